"""Step rewards: read at the last token of each step, capped, and never an exception."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from trueward.batch import Context, Part, Rollouts, Text
from trueward.errors import RewardError
from trueward.policies.scorer import TokenScorer
from trueward.policies.tokenizers import tokenizer_of
from trueward.rewards.models.process import StepScorer, step_ends
from trueward.status import Status
from trueward.tasks.text.vocabulary import Vocabulary

WORDS = Vocabulary("words", (*"abcdefgh", "\n"))
TOKENIZER = tokenizer_of(WORDS)


def scorer(positions: int = 32) -> TokenScorer:
    made = TokenScorer.tiny(WORDS, width=32, heads=2, positions=positions)
    with torch.no_grad():
        made.head.weight.mul_(100)
    return made.eval()


def rollouts() -> Rollouts:
    """Prompts of 2 and 1 tokens; completions of steps (2, 2), (1), and none at all."""
    ids = np.array([[3, 4, 5, 6, 7, 8, 0], [0, 3, 9, 0, 0, 0, 0], [4, 5, 0, 0, 0, 0, 0]])
    attention = np.array([[1, 1, 1, 1, 1, 1, 0], [0, 1, 1, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0, 0]], dtype=bool)
    segments = np.array([[0, 0, 1, 1, -1], [0, -1, -1, -1, -1], [-1, -1, -1, -1, -1]])
    return Rollouts(Text(["?"] * 3, ["!"] * 3, ids, attention), mask=attention[:, 2:], segments=segments)


def part(reward: StepScorer, given: Rollouts) -> Part:
    return reward.score(given, Context()).parts["prm"]


def test_ends_by_hand() -> None:
    """Row 0 has its steps end at tokens 3 and 5; row 1, whose prompt is one token, at its token 1."""
    assert step_ends(rollouts()).tolist() == [[3, 5], [1, -1], [-1, -1]]


def test_decisions_outside_the_mask_end_no_step() -> None:
    given = rollouts()
    mask = np.asarray(given.mask).copy()
    mask[0, 3] = False  # the last token of step 1 was not the policy's
    assert step_ends(replace(given, mask=mask))[0].tolist() == [3, 4]


def test_values_are_probabilities_of_the_prefix_alone() -> None:
    """An independent pass over each prefix, cut behind its last step, gives the same number."""
    made, given = scorer(), rollouts()
    found = part(StepScorer("prm", made, TOKENIZER), given)
    for row, step, ids in ((0, 0, [3, 4, 5, 6]), (0, 1, [3, 4, 5, 6, 7, 8]), (1, 0, [3, 9])):
        with torch.inference_mode():
            logit = made(torch.tensor([ids]), torch.ones(1, len(ids), dtype=torch.bool))[0, -1, 0].item()
        assert found.values[row, step] == pytest.approx(1 / (1 + np.exp(-logit)), abs=1e-5)
    assert found.level == "segment" and (found.low, found.high) == (0.0, 1.0)
    assert found.exists is not None and found.exists.tolist() == [[True, True], [True, False], [False, False]]


def test_a_rollout_without_a_step_earns_the_least() -> None:
    found = part(StepScorer("prm", scorer(), TOKENIZER), rollouts())
    assert list(found.status) == [Status.OK, Status.OK, Status.UNPARSABLE]
    assert found.filled()[2].sum() == 0.0 < found.filled()[:2].sum(axis=1).min()


def test_a_missing_delimiter_is_told() -> None:
    details = part(StepScorer("prm", scorer(), TOKENIZER), rollouts()).details
    assert details[0] == "" and "no delimiter" in details[1] and "no step" in details[2]


def test_steps_beyond_the_cap_are_never_paid() -> None:
    """And they exist, so that what is paid at the end still stands at the end."""
    found = part(StepScorer("prm", scorer(), TOKENIZER, most_steps=1), rollouts())
    assert found.values[0, 0] > 0 and found.values[0, 1] == 0.0
    assert found.exists is not None and found.exists[0].all()
    assert found.details[0] == "1 of 2 steps are beyond the cap"


def test_a_row_that_is_too_long_has_a_status() -> None:
    assert list(part(StepScorer("prm", scorer(positions=4), TOKENIZER), rollouts()).status) == [
        Status.UNPARSABLE,
        Status.OK,
        Status.UNPARSABLE,
    ]


def test_the_order_of_rows_does_not_matter() -> None:
    given = rollouts()
    content = given.content
    assert isinstance(content, Text) and content.token_ids is not None and content.attention is not None
    turned = Rollouts(
        Text(["?"] * 3, ["!"] * 3, content.token_ids[::-1], content.attention[::-1]),
        mask=np.asarray(given.mask)[::-1],
        segments=np.asarray(given.segments)[::-1],
    )
    reward = StepScorer("prm", scorer(), TOKENIZER, batch_size=2)
    np.testing.assert_allclose(part(reward, turned).values[::-1], part(reward, given).values, atol=1e-6)


def test_rollouts_without_segments_or_tokens_are_refused() -> None:
    reward = StepScorer("prm", scorer(), TOKENIZER)
    with pytest.raises(RewardError, match="segments"):
        part(reward, replace(rollouts(), segments=None))
    with pytest.raises(RewardError, match="token_ids"):
        part(reward, Rollouts(Text(["a"], ["b"]), segments=np.zeros((1, 1), dtype=int)))


def test_settings_are_checked() -> None:
    with pytest.raises(RewardError, match="most_steps=0"):
        StepScorer("prm", scorer(), TOKENIZER, most_steps=0)
