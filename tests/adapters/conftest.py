"""A policy in a folder, and the settings that all tests of adapters share."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.training.conftest import policy

VERL = pytest.mark.skipif(
    not os.environ.get("TRUEWARD_VERL_PYTHON"),
    reason="verl cannot share this environment; `make test` makes one for it",
)


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    monkeypatch.setenv("TRL_EXPERIMENTAL_SILENCE", "1")


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a tiny policy for the task "say the word"."""
    folder = tmp_path_factory.mktemp("policy")
    policy().save(folder)
    return folder


@dataclass(frozen=True)
class Verl:
    """What happened in verl: its answers case by case, and what it made of the rollouts of `same_rollouts`."""

    cases: list[dict[str, Any]]
    arrays: Mapping[str, np.ndarray]


@pytest.fixture(scope="session")
def verl(tmp_path_factory: pytest.TempPathFactory) -> Verl:
    """One run in the environment of verl, with Ray and verl's queue: it takes longest to start."""
    from tests.adapters.same_rollouts import fixture

    folder = tmp_path_factory.mktemp("verl")
    fixture(folder)
    script = Path(__file__).with_name("verl_run.py")
    done = subprocess.run(
        [os.environ["TRUEWARD_VERL_PYTHON"], str(script), str(folder)],
        capture_output=True,
        text=True,
        timeout=500,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    cases = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return Verl(cases, dict(np.load(folder / "verl.npz")))
