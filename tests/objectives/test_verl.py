"""The losses that verl computes, in the environment that verl needs, on the same random tensors."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from trueward.objectives.aggregation import decision_weight, weighted_total
from trueward.objectives.divergence import kl_estimate
from trueward.objectives.policy_gradient import clipped_surrogate
from trueward.objectives.value import clipped_value_loss

PYTHON = os.environ.get("TRUEWARD_VERL_PYTHON")
N, T = 24, 9
OVER = {"token-mean": "token", "seq-mean-token-mean": "sequence", "seq-mean-token-sum-norm": "fixed_length"}


def drawn() -> dict[str, Tensor]:
    seed = torch.Generator().manual_seed(21)
    old = -torch.rand(N, T, generator=seed) * 2
    drift = 0.4 * torch.randn(N, 1, generator=seed)
    mask = torch.arange(T) < torch.randint(1, T + 1, (N, 1), generator=seed)
    mask[3] = False  # a row without a decision counts for neither
    return {
        "logprobs": old + torch.randn(N, T, generator=seed) / 4 + drift,
        "old": old,
        "ref": old + torch.randn(N, T, generator=seed) / 3,
        "returns": torch.randn(N, T, generator=seed),
        "advantages": torch.randn(N, generator=seed),
        "mask": mask,
    }


def mine(name: str, given: dict[str, Tensor], new: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    mask, old = given["mask"], given["old"]
    if name in ("k1", "k2", "k3"):
        return weighted_total(kl_estimate(new, given["ref"], mask, name), mask), {}  # type: ignore[arg-type]
    if name == "value":
        return clipped_value_loss(new, old, given["returns"], mask, clip=0.2)
    if name == "sequences":
        weight = decision_weight(mask, "sequence")
        return clipped_surrogate(new, old, given["advantages"], mask, weight, high=0.28, ratio="sequence")
    _, mode, dual = name.split()
    weight = decision_weight(mask, OVER[mode], length=T)  # type: ignore[arg-type]
    return clipped_surrogate(new, old, given["advantages"], mask, weight, high=0.28, dual=float(dual))


def held(metrics: dict[str, Tensor], theirs: dict[str, float]) -> None:
    """verl calls clipped what its dual clip holds too, and counts decisions; its KL is k1."""
    if "clip_share" in theirs:
        assert metrics["clip_share"].item() == pytest.approx(theirs["clip_share"], rel=1e-5)
    if "actor/pg_clipfrac" in theirs:
        share = (metrics["clip_share_low"] + metrics["clip_share_high"]).item()
        assert share == pytest.approx(theirs["actor/pg_clipfrac"], rel=1e-5)
        assert share > 0
    if theirs.get("actor/pg_clipfrac_lower"):
        assert metrics["clip_share_dual"].item() == pytest.approx(theirs["actor/pg_clipfrac_lower"], rel=1e-5)


@pytest.mark.skipif(not PYTHON, reason="verl cannot share this environment; `make test` makes one for it")
def test_losses_of_verl() -> None:
    assert PYTHON
    given = drawn()
    done = subprocess.run(
        [PYTHON, str(Path(__file__).with_name("verl_losses.py"))],
        input=json.dumps({name: tensor.tolist() for name, tensor in given.items()}),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    cases: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert len(cases) == 11
    for theirs in cases:
        new = given["logprobs"].clone().requires_grad_()
        loss, metrics = mine(theirs["name"], given, new)
        (gradient,) = torch.autograd.grad(loss, new)
        assert loss.item() == pytest.approx(theirs["loss"], rel=1e-5), theirs["name"]
        assert torch.allclose(gradient, torch.tensor(theirs["gradient"]), rtol=1e-4, atol=1e-8), theirs["name"]
        held(metrics, theirs["metrics"])
    duals = [case["metrics"]["actor/pg_clipfrac_lower"] for case in cases if "1.5" in case["name"]]
    assert all(share > 0 for share in duals)
