"""Learned rewards: agreement with the scorer row by row, what a row is made of, failures, files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from trueward.batch import Context, Denoising, Rollouts, Scores, Text
from trueward.errors import RewardError
from trueward.policies.language import LanguagePolicy
from trueward.policies.sampling import Sampling
from trueward.policies.scorer import TokenScorer
from trueward.policies.tokenizers import tokenizer_of
from trueward.rewards.models.learned import LearnedReward
from trueward.rewards.models.learned_inputs import Field, Layout, packed
from trueward.status import Status
from trueward.tasks.text.vocabulary import Vocabulary

WORDS = Vocabulary("words", (*"abcdefgh", "|", "=", "\n"))
TOKENIZER = tokenizer_of(WORDS)
PADDING, BEGIN, END = 0, 1, 2


def scorer(seed: int = 0, outputs: int = 1, positions: int = 32) -> TokenScorer:
    """A scorer with a head large enough that its scores differ."""
    made = TokenScorer.tiny(WORDS, outputs=outputs, width=32, heads=2, positions=positions, seed=seed)
    with torch.no_grad():
        made.head.weight.mul_(100)
    return made.eval()


def text(prompts: list[str], completions: list[str], **more: object) -> Rollouts:
    return Rollouts(Text(prompts, completions), **more)  # type: ignore[arg-type]


def sampled(n: int = 6) -> Rollouts:
    policy = LanguagePolicy.tiny(WORDS, width=32, heads=2, seed=3)
    prompts = ["a b", "c", "d e f"] * (n // 3)
    return policy.sample(prompts, Sampling(8, stop=("=",)), torch.Generator().manual_seed(0))


def scored(reward: LearnedReward, rollouts: Rollouts) -> Scores:
    return reward.score(rollouts, Context())


def alone(made: TokenScorer, ids: list[int]) -> float:
    with torch.inference_mode():
        return made(torch.tensor([ids]), torch.ones(1, len(ids), dtype=torch.bool))[0, -1, 0].item()


def test_the_score_is_that_of_the_last_token_of_the_row_alone() -> None:
    """Own tokens as sampled, without any padding: an independent forward pass for each row."""
    made, rollouts = scorer(), sampled()
    content = rollouts.content
    assert isinstance(content, Text) and content.token_ids is not None and content.attention is not None
    wanted = [alone(made, ids[real].tolist()) for ids, real in zip(content.token_ids, content.attention, strict=True)]
    assert len({round(value, 3) for value in wanted}) > 3
    for batch_size in (1, 2, 128):
        found = scored(LearnedReward("rm", made, TOKENIZER, batch_size=batch_size), rollouts)
        np.testing.assert_allclose(found.parts["rm"].values, wanted, atol=1e-4)


def test_text_is_read_as_the_policy_wrote_it() -> None:
    """A finished row ends with the end of text, one that was cut off does not; so text and tokens score alike."""
    policy = LanguagePolicy.tiny(WORDS, width=32, heads=2, seed=3)
    rollouts = policy.sample(["a b", "c"] * 16, Sampling(6), torch.Generator().manual_seed(1))
    content = rollouts.content
    assert isinstance(content, Text) and content.token_ids is not None and rollouts.mask is not None
    # A policy of random weights also writes special tokens, which are no text.
    special = (np.isin(content.token_ids[:, -6:], [PADDING, BEGIN]) & rollouts.mask).any(axis=1)
    finished = rollouts.features["finished"][~special]
    assert finished.any() and not finished.all()
    bare = replace(rollouts, content=Text(content.prompts, content.completions))
    reward = LearnedReward("rm", scorer(), TOKENIZER)
    wanted = scored(reward, rollouts).total()[~special]
    np.testing.assert_allclose(scored(reward, bare).total()[~special], wanted, atol=1e-4)


def test_rows_are_packed_to_the_left() -> None:
    rollouts = Rollouts(
        Text(["x", "y"], ["", ""], np.array([[0, 5, 6, 0], [4, 5, 0, 7]]), np.array([[0, 1, 1, 0], [1, 1, 0, 1]]) > 0)
    )
    rows = packed(rollouts, TOKENIZER)
    assert rows.token_ids.tolist() == [[5, 6, 0], [4, 5, 7]] and rows.lengths.tolist() == [2, 3]


def test_probabilities_are_sigmoids_of_the_logits() -> None:
    made, rollouts = scorer(), sampled()
    logits = scored(LearnedReward("rm", made, TOKENIZER), rollouts).total()
    part = scored(LearnedReward("rm", made, TOKENIZER, sigmoid=True), rollouts).parts["rm"]
    np.testing.assert_allclose(part.values, 1 / (1 + np.exp(-logits)), rtol=1e-6)
    assert (part.low, part.high) == (0.0, 1.0)


def test_the_output_can_be_chosen() -> None:
    made, rollouts = scorer(outputs=2), sampled()
    first, second = (scored(LearnedReward("rm", made, TOKENIZER, output=k), rollouts).total() for k in (0, 1))
    assert np.abs(first - second).max() > 1e-3


def test_scoring_leaves_the_scorer_as_it_was() -> None:
    made = scorer().train()
    scored(LearnedReward("rm", made, TOKENIZER), sampled())
    assert made.training


def test_layout_puts_fields_in_order_and_clips_their_middle() -> None:
    layout = Layout(
        (Field("prompt", "<q>", "</q>"), Field("answer", "<r>", "</r>"), Field("completion", "<c>", "</c>"))
    )
    long = "x" * 600 + "y" * 2000 + "z" * 1000
    wanted = "<q>1+1</q><r>2</r><c>" + "x" * 500 + "z" * 1000 + "</c>"
    assert layout.text("1+1", long, {"answer": 2}) == wanted
    exact = "x" * 500 + "y" * 1000
    assert layout.text("1+1", exact, {"answer": 2}) == f"<q>1+1</q><r>2</r><c>{exact}</c>"


TRIPLE = Layout((Field("prompt"), Field("answer", " | ", " | "), Field("completion")))


def test_a_reference_is_read() -> None:
    """Question, reference, completion: another reference, another score; the ids are those of the one text."""
    made = scorer()
    reward = LearnedReward("verifier", made, TOKENIZER, layout=TRIPLE)
    rollouts = text(["a b", "a b"], ["c", "c"], reference=[{"answer": "d"}, {"answer": "e"}])
    first, second = scored(reward, rollouts).total()
    assert first != second
    ids = [*(3 + "abcdefgh|=\n".index(token) for token in ("a", "b", "|", "d", "|", "c")), END]
    assert first == pytest.approx(alone(made, ids), abs=1e-4)


def test_failures_are_statuses() -> None:
    reward = LearnedReward("verifier", scorer(positions=8), TOKENIZER, layout=TRIPLE)
    rows = [
        ("a", "b", {"answer": "c"}, Status.OK),
        ("a", "b", {}, Status.MISSING_REFERENCE),
        ("a", "b " * 6 + "b", {"answer": "c"}, Status.UNPARSABLE),  # too long by its own fault
        ("a " * 9 + "a", "b", {"answer": "c"}, Status.ABSTAINED),  # no room for any completion
        ("a", "never heard of", {"answer": "c"}, Status.UNPARSABLE),
        ("never heard of", "b", {"answer": "c"}, Status.ABSTAINED),
        ("a", "| d | b", {"answer": "c"}, Status.UNPARSABLE),  # writes a reference of its own
    ]
    prompts, completions, references, wanted = zip(*rows, strict=True)
    found = scored(reward, text(list(prompts), list(completions), reference=list(references)))
    assert list(found.parts["verifier"].status) == list(wanted)
    assert all(detail for detail, status in zip(found.parts["verifier"].details, wanted, strict=True) if not status.ok)


def test_own_tokens_that_are_too_many_are_a_status_too() -> None:
    """Whose fault it is depends on whether the prompt leaves room."""
    ids = np.full((3, 12), 4)
    attention = np.ones((3, 12), dtype=bool)
    attention[0, :8] = False
    attention[1, :2] = False
    attention[2, 9:] = False
    mask = np.ones((3, 3), dtype=bool)
    rollouts = Rollouts(Text(["?"] * 3, ["!"] * 3, ids, attention), mask=mask)
    status = scored(LearnedReward("rm", scorer(positions=9), TOKENIZER), rollouts).status
    assert status == [Status.OK, Status.UNPARSABLE, Status.OK]
    assert scored(LearnedReward("rm", scorer(positions=7), TOKENIZER), rollouts).status[1] is Status.ABSTAINED


def test_a_failed_row_never_earns_more_than_a_scored_one() -> None:
    reward = LearnedReward("rm", scorer(), TOKENIZER)
    total = scored(reward, text(["a"] * 4, ["b", "c d", "e", "unheard"])).total()
    assert total[3] == total[:3].min()


def test_a_score_that_is_not_finite_is_the_model_s_fault() -> None:
    made = scorer()
    with torch.no_grad():
        made.head.bias.fill_(float("nan"))
    assert scored(LearnedReward("rm", made, TOKENIZER), text(["a"], ["b"])).status == [Status.NOT_FINITE]


def test_tokens_of_another_tokenizer_are_refused() -> None:
    rollouts = Rollouts(Text(["?"], ["!"], np.array([[4, 99]]), np.ones((1, 2), dtype=bool)))
    with pytest.raises(RewardError, match=r"token 99.*layout"):
        scored(LearnedReward("rm", scorer(), TOKENIZER), rollouts)


def test_rollouts_that_are_no_text_are_refused() -> None:
    with pytest.raises(RewardError, match="Denoising"):
        scored(LearnedReward("rm", scorer(), TOKENIZER), Rollouts(Denoising(["?"], np.zeros((1, 2, 3)))))


def test_it_is_the_same_after_saving(tmp_path: Path) -> None:
    reward = LearnedReward("verifier", scorer(outputs=2), TOKENIZER, layout=TRIPLE, output=1, sigmoid=True)
    reward.save(tmp_path / "rm")
    again = LearnedReward.load(tmp_path / "rm")
    assert again.name == "verifier" and again.layout == TRIPLE
    rollouts = text(["a b", "c"], ["d", "e f"], reference=[{"answer": "g"}, {"answer": "h"}])
    np.testing.assert_array_equal(scored(again, rollouts).total(), scored(reward, rollouts).total())


def test_a_pickle_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "rm"
    LearnedReward("rm", scorer(), TOKENIZER).save(folder)
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")
    with pytest.raises(RewardError, match="pickle"):
        LearnedReward.load(folder)


def test_another_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RewardError, match=r"reward\.json"):
        LearnedReward.load(tmp_path)


def test_an_output_that_is_not_there_is_refused() -> None:
    with pytest.raises(RewardError, match="output=1"):
        LearnedReward("rm", scorer(), TOKENIZER, output=1)


@pytest.mark.parametrize("layout", [{"fields": (Field("prompt"),)}, {"tail": 0}])
def test_a_layout_without_its_completion_is_refused(layout: dict[str, object]) -> None:
    with pytest.raises(RewardError, match="completion"):
        Layout(**layout)  # type: ignore[arg-type]
