"""Scorers: one row alone, the end of a row, saved and loaded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from trueward.errors import TrainingError
from trueward.policies.inputs import pad_left, pad_right
from trueward.policies.language import LanguagePolicy
from trueward.policies.scorer import TokenScorer
from trueward.tasks.text.vocabulary import Vocabulary

torch.set_num_threads(1)
WORDS = Vocabulary("words", tuple("abcdefgh"))
ROWS = [[1, 3, 4, 5], [1, 6], [1, 10, 9, 8, 7, 6, 5, 4], [1]]


def scorer(outputs: int = 2, seed: int = 0) -> TokenScorer:
    made = TokenScorer.tiny(WORDS, outputs=outputs, width=32, heads=2, positions=32, seed=seed)
    with torch.no_grad():
        made.head.weight.mul_(50)
    return made


@pytest.mark.parametrize("pad", [pad_left, pad_right])
def test_each_row_is_scored_as_if_alone(pad: object) -> None:
    made = scorer()
    ids, attention = pad(ROWS, 0)  # type: ignore[operator]
    scores = made(ids, attention)
    assert scores.shape == (4, 8, 2)
    ends = made.at_end(ids, attention)
    for row, tokens in enumerate(ROWS):
        hidden = made.backbone(torch.tensor([tokens])).last_hidden_state[0]
        expected = hidden @ made.head.weight.T + made.head.bias
        assert torch.allclose(scores[row][attention[row]], expected, atol=1e-5)
        assert torch.allclose(ends[row], expected[-1], atol=1e-5)
    assert (ends[0] - ends[1]).abs().max().item() > 0.1


def test_a_score_does_not_see_what_comes_after() -> None:
    made = scorer()
    first, second = torch.tensor([[1, 3, 4, 5]]), torch.tensor([[1, 3, 9, 9]])
    attention = torch.ones_like(first, dtype=torch.bool)
    a, b = made(first, attention)[0], made(second, attention)[0]
    assert torch.allclose(a[:2], b[:2], atol=1e-6)
    assert (a[2:] - b[2:]).abs().max().item() > 0.01


def test_at_the_end_of_prompt_and_completion_padded_apart() -> None:
    made = scorer()
    ids = torch.tensor([[0, 1, 3, 4, 0, 0], [1, 3, 3, 4, 5, 6]])
    attention = torch.tensor([[0, 1, 1, 1, 0, 0], [1] * 6], dtype=torch.bool)
    ends = made.at_end(ids, attention)
    apart = made(torch.tensor([[1, 3, 4]]), torch.ones(1, 3, dtype=torch.bool))
    assert torch.allclose(ends[0], apart[0, -1], atol=1e-5)
    with pytest.raises(ValueError, match="no token"):
        made.at_end(ids, attention & False)


def test_scores_begin_near_zero_and_differ_by_seed() -> None:
    ids, attention = pad_right(ROWS, 0)
    policy = LanguagePolicy.tiny(WORDS, width=32, heads=2)
    first, second = TokenScorer.from_policy(policy, seed=1), TokenScorer.from_policy(policy, seed=2)
    a, b = first(ids, attention), second(ids, attention)
    assert 0 < a.abs().max().item() < 0.5
    assert not torch.allclose(a, b, atol=1e-3)
    assert torch.equal(a, TokenScorer.from_policy(policy, seed=1)(ids, attention))


def test_a_scorer_of_a_policy_has_a_trunk_of_its_own() -> None:
    policy = LanguagePolicy.tiny(WORDS, width=32, heads=2).copy()
    made = TokenScorer.from_policy(policy, outputs=3)
    trunk = dict(policy.model.base_model.named_parameters())
    copied = dict(made.backbone.named_parameters())
    assert trunk.keys() == copied.keys()
    assert all(torch.equal(trunk[name], copied[name]) for name in trunk)
    ids, attention = pad_right(ROWS, 0)
    made.at_end(ids, attention).sum().backward()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(1.0)
    assert not any(torch.equal(trunk[name], copied[name]) for name in trunk)
    assert all(parameter.grad is None for parameter in policy.parameters())


def test_a_saved_scorer_is_the_same(tmp_path: Path) -> None:
    made = scorer(outputs=3)
    made.save(tmp_path / "scorer")
    again = TokenScorer.load(tmp_path / "scorer")
    ids, attention = pad_right(ROWS, 0)
    assert torch.equal(made(ids, attention), again(ids, attention))
    assert again.outputs == 3
    assert sorted(file.name for file in (tmp_path / "scorer").iterdir()) == [
        "config.json",
        "model.safetensors",
        "scorer.json",
    ]


def test_what_cannot_be_loaded(tmp_path: Path) -> None:
    scorer().save(tmp_path)
    (tmp_path / "scorer.json").write_text(json.dumps({"outputs": 5}))
    with pytest.raises(TrainingError, match="cannot be loaded"):
        TokenScorer.load(tmp_path)
    (tmp_path / "scorer.json").unlink()
    with pytest.raises(TrainingError, match=r"no scorer: it has no scorer\.json"):
        TokenScorer.load(tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "model.bin")
    with pytest.raises(TrainingError, match=r"pickle \(model\.bin\)"):
        TokenScorer.load(tmp_path)
    with pytest.raises(ValueError, match="outputs=0"):
        TokenScorer.tiny(WORDS, outputs=0)
