"""Conditions of any form, noise levels, and the small network."""

from __future__ import annotations

import pytest
import torch

from trueward.policies.flow.base import (
    condition_join,
    condition_length,
    condition_repeat,
    condition_rows,
    condition_where,
    draw_times,
)
from trueward.policies.flow.network import FlowMLP


def test_conditions_as_tensors_and_mappings() -> None:
    plain = torch.tensor([5, 6, 7])
    named = {"a": plain, "b": plain.reshape(3, 1) * 10}
    assert condition_length(plain) == condition_length(named) == 3
    assert condition_rows(plain, torch.tensor([2, 0])).tolist() == [7, 5]
    assert condition_rows(named, torch.tensor([True, False, True]))["b"].tolist() == [[50], [70]]
    assert condition_repeat(plain, 2).tolist() == [5, 5, 6, 6, 7, 7]
    assert condition_join(named, named)["a"].tolist() == [5, 6, 7, 5, 6, 7]
    chosen = torch.tensor([True, False, True])
    assert condition_where(chosen, plain, -plain).tolist() == [5, -6, 7]
    with pytest.raises(TypeError, match="two kinds"):
        condition_join(plain, named)


def test_noise_levels_follow_their_distribution() -> None:
    n = 20000
    drawn = draw_times(n, torch.Generator().manual_seed(0))
    logits = torch.logit(drawn.double())
    assert abs(logits.mean()) < 4 / n**0.5
    assert abs(logits.var() - 1) < 4 * (2 / n) ** 0.5
    uniform = draw_times(n, torch.Generator().manual_seed(0), "uniform")
    assert abs(uniform.mean() - 0.5) < 4 / (12 * n) ** 0.5
    with pytest.raises(ValueError, match="logit_normal or uniform"):
        draw_times(1, torch.Generator(), "beta")  # type: ignore[arg-type]


def test_the_network_has_the_size_of_the_bed_and_begins_at_zero() -> None:
    network = FlowMLP()
    assert 0.5e6 < sum(values.numel() for values in network.parameters()) < 0.54e6
    x = torch.randn(3, 1, 8, 8)
    assert (network(x, torch.rand(3), torch.tensor([0, 9, 10])) == 0).all()


def test_first_weights_depend_on_the_seed_alone() -> None:
    torch.manual_seed(0)
    first = FlowMLP((4,), 2, width=8, blocks=1, seed=3)
    drawn = torch.rand(1)
    torch.manual_seed(0)
    assert torch.rand(1).equal(drawn), "the network must not touch torch's own generator"
    second = FlowMLP((4,), 2, width=8, blocks=1, seed=3)
    other = FlowMLP((4,), 2, width=8, blocks=1, seed=4)
    assert first.enter.weight.equal(second.enter.weight)
    assert not first.enter.weight.equal(other.enter.weight)


def test_the_network_reads_time_and_class() -> None:
    network = FlowMLP((4,), 2, width=8, blocks=1)
    torch.nn.init.normal_(network.leave.weight)
    x = torch.randn(1, 4).expand(3, 4)
    found = network(x, torch.tensor([0.2, 0.8, 0.2]), torch.tensor([0, 0, 1]))
    assert not torch.allclose(found[0], found[1])
    assert not torch.allclose(found[0], found[2])
