"""Prediction errors against one unpadded row at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from trueward.batch import Rollouts
from trueward.policies import prediction_errors
from trueward.policies.language import LanguagePolicy
from trueward.policies.prediction_errors import hidden_and_errors
from trueward.policies.sampling import Sampling
from trueward.tasks.text.vocabulary import Vocabulary
from trueward.training.rollouts import prediction_errors_of

torch.set_num_threads(1)
WORDS = Vocabulary("words", tuple("abcdefgh"))
PROMPTS = ["a b c", "a b c", "h", "h", "d e f g h a b"]
τ = 0.7


@pytest.fixture(scope="module")
def policy() -> LanguagePolicy:
    return LanguagePolicy.tiny(WORDS, width=32, heads=2, positions=32, seed=3)


@pytest.fixture(scope="module")
def rollouts(policy: LanguagePolicy) -> Rollouts:
    return policy.sample(PROMPTS, Sampling(6, temperature=τ), torch.Generator().manual_seed(1), want=["hidden"])


def by_row(policy: LanguagePolicy, rollouts: Rollouts, row: int) -> tuple[torch.Tensor, list[int]]:
    """onehot − probability over the whole vocabulary, and the tokens chosen."""
    ids = torch.from_numpy(rollouts.content.token_ids[row][rollouts.content.attention[row]])
    count = int(rollouts.mask[row].sum())
    with torch.no_grad():
        probabilities = (policy.model(ids[None]).logits[0, -count - 1 : -1] / τ).softmax(-1)
    chosen = ids[-count:]
    return torch.nn.functional.one_hot(chosen, probabilities.shape[-1]) - probabilities, chosen.tolist()


def test_errors_are_those_of_each_row_alone_on_the_tokens_of_its_group(
    policy: LanguagePolicy, rollouts: Rollouts
) -> None:
    found = prediction_errors_of(policy, rollouts, τ)
    alone = [by_row(policy, rollouts, row) for row in range(len(rollouts))]
    widths = []
    for number in set(rollouts.group.tolist()):
        rows = np.flatnonzero(rollouts.group == number)
        vocabulary = sorted({token for row in rows for token in alone[row][1]})
        widths.append(len(vocabulary))
        for row in rows:
            errors, chosen = alone[row]
            got = found["errors"][row]
            assert got[: len(chosen), : len(vocabulary)] == pytest.approx(errors[:, vocabulary].numpy(), abs=1e-5)
            assert (got[len(chosen) :] == 0).all() and (got[:, len(vocabulary) :] == 0).all()
    assert found["errors"].shape[2] == max(widths) > min(widths)


def test_hidden_states_are_those_before_each_decision(policy: LanguagePolicy, rollouts: Rollouts) -> None:
    found = prediction_errors_of(policy, rollouts, τ)
    m = rollouts.mask
    assert found["hidden"][m] == pytest.approx(rollouts.features["hidden"][m], abs=1e-5)
    assert (found["hidden"][~m] == 0).all()
    logits = torch.from_numpy(found["hidden"][m]) @ policy.model.get_output_embeddings().weight.detach().T / τ
    ids = torch.from_numpy(rollouts.content.token_ids[:, -m.shape[1] :][m])
    assert logits.log_softmax(-1).gather(-1, ids[:, None])[:, 0].numpy() == pytest.approx(
        rollouts.logprobs[m], abs=1e-4
    )


def test_rows_at_once_change_nothing(
    policy: LanguagePolicy, rollouts: Rollouts, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = prediction_errors_of(policy, rollouts, τ)
    monkeypatch.setattr(prediction_errors, "_LOGITS_AT_ONCE", 1)
    alone = prediction_errors_of(policy, rollouts, τ)
    for name, values in whole.items():
        assert alone[name] == pytest.approx(values, abs=1e-5)


def test_the_order_of_rows_and_the_names_of_groups_do_not_matter(policy: LanguagePolicy, rollouts: Rollouts) -> None:
    order = [3, 0, 4, 2, 1]
    content = rollouts.content
    ids, attention = torch.from_numpy(content.token_ids), torch.from_numpy(content.attention)
    mask, group = torch.from_numpy(rollouts.mask), torch.from_numpy(rollouts.group)
    whole = hidden_and_errors(policy.model, ids, attention, mask, group, temperature=τ)
    moved = hidden_and_errors(
        policy.model, ids[order], attention[order], mask[order], 100 - 7 * group[order], temperature=τ
    )
    for before, after in zip(whole, moved, strict=True):
        assert torch.allclose(before[order], after, atol=1e-5)


def test_the_model_stays_in_the_mode_it_was_in(policy: LanguagePolicy, rollouts: Rollouts) -> None:
    policy.model.train()
    try:
        prediction_errors_of(policy, rollouts, τ)
        assert policy.model.training
    finally:
        policy.model.eval()
