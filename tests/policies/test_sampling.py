"""One draw: which token, by hand, and how often, against the probabilities."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from scipy.stats import chisquare

from trueward.policies.sampling import Sampling, draw, uniforms

# Probabilities .5, .2, .3 at temperature 1.
LOGITS = torch.tensor([0.5, 0.2, 0.3]).log()


def drawn(uniform: list[float], **settings: Any) -> list[int]:
    tokens, _ = draw(LOGITS.repeat(len(uniform), 1), torch.tensor(uniform, dtype=torch.float64), sampling(**settings))
    return tokens.tolist()


def sampling(**settings: Any) -> Sampling:
    return Sampling(max_new_tokens=1, **settings)


def test_the_token_is_where_the_cumulative_probability_passes_the_number() -> None:
    assert drawn([0.0, 0.499, 0.501, 0.699, 0.701, 0.999]) == [0, 0, 1, 1, 2, 2]


def test_the_largest_number_never_leaves_the_vocabulary() -> None:
    largest = uniforms(1, 1, torch.Generator()).clamp(min=1 - 2.0**-40).squeeze(0)
    tokens, _ = draw(torch.tensor([[0.0, 0.0, -1e9]]), largest, sampling())
    assert tokens.tolist() == [1]  # the last token has no probability


def test_temperature() -> None:
    # At τ = ½ probabilities are squared: .25, .04, .09, of .38 in all.
    tokens, probabilities = draw(LOGITS[None], torch.tensor([0.66], dtype=torch.float64), sampling(temperature=0.5))
    assert probabilities[0].tolist() == pytest.approx([0.25 / 0.38, 0.04 / 0.38, 0.09 / 0.38], abs=1e-6)
    assert tokens.tolist() == [1]


def test_top_k_and_top_p_leave_the_most_probable() -> None:
    assert drawn([0.0, 0.62, 0.63, 0.99], top_k=2) == [0, 0, 2, 2]  # .5 and .3 of .8: the step is at .625
    assert drawn([0.0, 0.62, 0.63, 0.99], top_p=0.8) == [0, 0, 2, 2]
    assert drawn([0.0, 0.99], top_p=0.5) == [0, 0]
    assert drawn([0.0, 0.49, 0.51, 0.71], top_p=0.81) == [0, 0, 1, 2]
    # Within the two of top-k, .5 / .8 = .625 of the probability is the first token's.
    assert drawn([0.0, 0.99], top_k=2, top_p=0.6) == [0, 0]
    assert drawn([0.0, 0.99], top_k=7) == [0, 2]


def test_greedy_takes_the_likeliest() -> None:
    assert drawn([0.0, 0.99], greedy=True) == [0, 0]


def test_probabilities_are_of_all_tokens_whatever_was_left_out() -> None:
    for settings in ({"top_k": 1}, {"top_p": 0.1}, {"greedy": True}):
        _, probabilities = draw(LOGITS[None], torch.tensor([0.0], dtype=torch.float64), sampling(**settings))
        assert probabilities[0].tolist() == pytest.approx([0.5, 0.2, 0.3])


def test_frequencies_are_the_probabilities() -> None:
    n = 20_000
    number = uniforms(n, 1, torch.Generator().manual_seed(5)).squeeze(1)
    logits = torch.randn(12, generator=torch.Generator().manual_seed(6))
    tokens, probabilities = draw(logits.repeat(n, 1), number, sampling())
    counts = torch.bincount(tokens, minlength=12)
    expected = n * probabilities[0].double() / probabilities[0].double().sum()
    assert chisquare(counts, expected).pvalue > 1e-3
    assert chisquare(counts, expected.roll(1)).pvalue < 1e-6


def test_a_row_has_the_same_numbers_whoever_else_is_there() -> None:
    many = uniforms(5, 7, torch.Generator().manual_seed(1))
    assert torch.equal(uniforms(3, 7, torch.Generator().manual_seed(1)), many[:3])
    assert len(many.unique()) == 35


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"temperature": 0.0}, "greedy=True"),
        ({"temperature": float("nan")}, "temperature=nan"),
        ({"top_p": 0.0}, "top_p=0.0"),
        ({"top_k": -1}, "top_k=-1"),
        ({"stop": "end"}, "tuple of texts"),
        ({"stop": ("",)}, "not empty"),
    ],
)
def test_settings_that_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        sampling(**settings)
    with pytest.raises(ValueError, match="max_new_tokens=0"):
        Sampling(max_new_tokens=0)
