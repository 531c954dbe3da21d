"""ODIN's three terms by hand and against NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from trueward.objectives.preference import bradley_terry
from trueward.objectives.two_heads import two_heads

EMPTY = torch.zeros(1, 3)


def drawn(n: int = 8) -> list[Tensor]:
    seed = torch.Generator().manual_seed(6)
    scores = torch.randn(4, n, generator=seed, dtype=torch.float64)
    lengths = torch.randint(1, 200, (2, n), generator=seed).double()
    return [*scores, *lengths, *torch.randn(2, 2, 5, generator=seed, dtype=torch.float64)]


def test_by_hand() -> None:
    """Two pairs; quality falls with length along a line, the length head rises with it, the heads stand at 60 °."""
    length_a, length_b = torch.tensor([10.0, 20.0]), torch.tensor([30.0, 40.0])
    heads = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.5, math.sqrt(0.75)]])
    quality = -0.1 * length_a, -0.1 * length_b
    extent = 0.3 * length_a, 0.3 * length_b
    loss, metrics = two_heads(*quality, *extent, length_a, length_b, *heads, correlation=0.5, orthogonality=2.0)
    gap = 0.2 * (10 - 30)  # the same for both pairs
    ranking = math.log1p(math.exp(-gap))
    assert loss.item() == pytest.approx(ranking + 0.5 * (1 - 1) + 2.0 * 0.5, rel=1e-5)
    assert metrics["quality_length_correlation"].item() == pytest.approx(-1.0)
    assert metrics["length_correlation"].item() == pytest.approx(1.0)
    assert metrics["orthogonality"].item() == pytest.approx(0.5, rel=1e-5)
    assert (metrics["accuracy"], metrics["quality_accuracy"]) == (0.0, 1.0)


def test_against_numpy() -> None:
    given = drawn()
    loss, metrics = two_heads(*given)
    quality_a, quality_b, extent_a, extent_b, length_a, length_b, w_q, w_l = (part.numpy() for part in given)
    length = np.concatenate([length_a, length_b])
    leaked = np.corrcoef(np.concatenate([quality_a, quality_b]), length)[0, 1]
    explained = np.corrcoef(np.concatenate([extent_a, extent_b]), length)[0, 1]
    ranking = np.log1p(np.exp(-(quality_a + extent_a - quality_b - extent_b))).mean()
    overlap = np.linalg.norm(w_q @ w_l.T) / (np.linalg.norm(w_q) * np.linalg.norm(w_l) + 1e-6)
    assert loss.item() == pytest.approx(ranking + abs(leaked) - explained + overlap)
    assert metrics["quality_length_correlation"].item() == pytest.approx(leaked)


def test_without_its_terms_it_is_bradley_terry_of_the_sum() -> None:
    given = drawn()
    loss, _ = two_heads(*given, correlation=0.0, orthogonality=0.0)
    assert torch.allclose(loss, bradley_terry(given[0] + given[2], given[1] + given[3])[0])


def test_correlations_do_not_depend_on_units() -> None:
    given = drawn()
    scaled = [*given[:4], 7 * given[4] + 3, 7 * given[5] + 3, *given[6:]]
    assert torch.allclose(two_heads(*given)[0], two_heads(*scaled)[0])


def test_its_gradient_takes_length_out_of_quality() -> None:
    given = drawn()
    quality_a, quality_b = given[0].clone().requires_grad_(), given[1].clone().requires_grad_()
    rest = given[2:]
    start = 0.0
    for step in range(40):
        loss, metrics = two_heads(quality_a, quality_b, *rest, correlation=10.0)
        start = start or metrics["quality_length_correlation"].abs().item()
        found = torch.autograd.grad(loss, [quality_a, quality_b])
        with torch.no_grad():
            rate = 0.5 / (1 + step)
            quality_a -= rate * found[0]
            quality_b -= rate * found[1]
    assert start > 0.1
    assert metrics["quality_length_correlation"].abs().item() < 0.02


@pytest.mark.parametrize("which", ["lengths", "scores", "heads"])
def test_what_does_not_vary_has_no_correlation_and_no_nan(which: str) -> None:
    scores, length, heads = [torch.randn(4) for _ in range(4)], [torch.full((4,), 7.0)] * 2, [torch.randn(1, 3)] * 2
    if which == "scores":
        scores, length = [torch.full((4,), 0.1)] * 4, [torch.arange(4.0), torch.arange(4.0)]
    if which == "heads":
        heads = [EMPTY, EMPTY]
    trained = [part.clone().requires_grad_() for part in (*scores, *heads)]
    loss, metrics = two_heads(*trained[:4], *length, *trained[4:])
    assert loss.isfinite()
    assert all(found.isfinite().all() for found in torch.autograd.grad(loss, trained))
    if which == "heads":
        assert metrics["orthogonality"] == 0
    else:
        assert metrics["quality_length_correlation"] == 0 and metrics["length_correlation"] == 0
