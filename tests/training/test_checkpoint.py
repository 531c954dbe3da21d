"""Checkpoints: what is saved comes back bit for bit, what is half written is not found, what is foreign is refused."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from trueward.errors import TrainingError
from trueward.training.checkpoint import Resumable, fingerprint, latest, restore, save


class Counter:
    def __init__(self, value: Any = 0) -> None:
        self.value = value

    def state_dict(self) -> dict[str, Any]:
        return {"value": self.value}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.value = state["value"]


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3)
        self.second.weight = self.first.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.second(self.first(x))
        return result


def made(seed: int, steps: int) -> Resumable:
    torch.manual_seed(seed)
    network = Tied()
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.1)
    for _ in range(steps):
        network(torch.randn(4, 3)).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    return Resumable({"n": network}, {"n": optimizer}, {"c": Counter(0.1 + steps)}, {"lr": (0.1, 2)})


def one_more(run: Resumable) -> str:
    torch.manual_seed(9)
    run.modules["n"](torch.randn(4, 3)).square().sum().backward()
    run.optimizers["n"].step()
    return fingerprint(run.modules["n"])


def test_weights_moments_and_states_come_back(tmp_path: Path) -> None:
    run, other = made(0, 3), made(1, 0)
    save(tmp_path, 3, run)
    found = latest(tmp_path)
    assert found is not None
    assert restore(found, other) == 3
    assert fingerprint(run.modules["n"]) == fingerprint(other.modules["n"])
    assert other.states["c"].value == 3.1
    # Moments count: only with them is the next step the same.
    assert one_more(run) == one_more(other)


def test_only_the_last_one_is_kept_and_half_a_one_is_none(tmp_path: Path) -> None:
    run = made(0, 1)
    save(tmp_path, 1, run)
    (tmp_path / "unfinished-1").mkdir()
    assert latest(tmp_path) == tmp_path / "step-000001"
    save(tmp_path, 12, run)
    assert [path.name for path in tmp_path.iterdir()] == ["step-000012"]
    assert latest(tmp_path / "elsewhere") is None


def test_of_several_the_newest_counts(tmp_path: Path) -> None:
    save(tmp_path, 9, made(0, 1))
    shutil.copytree(tmp_path / "step-000009", tmp_path / "step-000010")
    assert latest(tmp_path) == tmp_path / "step-000010"


def test_what_is_foreign_is_refused(tmp_path: Path) -> None:
    found = save(tmp_path, 1, made(0, 1))
    other = made(0, 1)
    with pytest.raises(TrainingError, match=r"lr was \[0.1, 2\] and is 7"):
        restore(found, Resumable(other.modules, other.optimizers, other.states, {"lr": 7}))
    network = nn.Linear(3, 3)
    optimizer = torch.optim.AdamW(network.parameters())
    with pytest.raises(TrainingError, match="another network"):
        restore(found, Resumable({"n": network}, {"n": optimizer}, {}, {"lr": (0.1, 2)}))
    (found / "tensors.safetensors").write_bytes(b"no")
    with pytest.raises(TrainingError, match="cannot be read"):
        restore(found, made(0, 1))


def test_a_fingerprint_tells_weights_apart() -> None:
    assert fingerprint(made(0, 0).modules["n"]) == fingerprint(made(0, 0).modules["n"])
    assert fingerprint(made(0, 0).modules["n"]) != fingerprint(made(1, 0).modules["n"])
