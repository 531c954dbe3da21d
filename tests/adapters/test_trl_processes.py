"""Two processes that share a batch do what one does: a group that straddles them is compared as a whole."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.adapters.same_rollouts import SIZE, cases, fixture
from tests.adapters.trl_processes import SHARED, main
from tests.training.conftest import policy


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """What one process found, and what two found."""
    folder = tmp_path_factory.mktemp("processes")
    same = fixture(folder)
    policy().save(folder / "asker")
    arrays = same.arrays
    rows = [
        {
            **row,
            "prompt_ids": arrays["prompt_ids"][place][arrays["prompt_mask"][place]].tolist(),
            "completion_ids": arrays["completion_ids"][place][arrays["mask"][place]].tolist(),
            "segments": arrays["segments"][place][arrays["mask"][place]].tolist(),
            "old_logprobs": arrays["old_logprobs"][place][arrays["mask"][place]].tolist(),
        }
        for place, row in enumerate(same.rows())
    ]
    (folder / "rows.json").write_text(json.dumps(rows))
    main(folder)
    _run(folder, 2)
    found = {"one": ["1-0"], "two": ["2-0", "2-1"]}
    return {name: [np.load(folder / f"process-{one}.npz") for one in ran] for name, ran in found.items()}


def _run(folder: Path, world: int) -> None:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    started = []
    for rank in range(world):
        environment = {
            **os.environ, "OMP_NUM_THREADS": "1", "TRL_EXPERIMENTAL_SILENCE": "1", "ACCELERATE_USE_CPU": "true",
            "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world), "LOCAL_WORLD_SIZE": str(world),
            "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
        }  # fmt: skip
        started.append(
            subprocess.Popen(
                [sys.executable, "-m", "tests.adapters.trl_processes", str(folder)],
                cwd=Path(__file__).parents[2],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
    said = [one.communicate(timeout=240)[0] for one in started]
    for one, text in zip(started, said, strict=True):
        assert one.returncode == 0, text[-3000:]


@pytest.mark.parametrize("name", tuple(cases()))
def test_a_group_that_straddles_processes(name: str, processes: dict[str, list[Any]]) -> None:
    [one], two = processes["one"], processes["two"]
    assert SHARED // 2 % SIZE
    width = one[f"advantages/{name}"].shape[1:]
    parts = [process[f"advantages/{name}"] for process in two]
    if width:
        parts = [np.pad(part, ((0, 0), (0, width[0] - part.shape[1]))) for part in parts]
    assert np.concatenate(parts) == pytest.approx(one[f"advantages/{name}"], abs=1e-6)
    for process in two:
        assert process[f"total/{name}"] == pytest.approx(one[f"total/{name}"], nan_ok=True)
        assert process[f"logged/{name}"] == pytest.approx(one[f"logged/{name}"], abs=1e-6)
        assert process[f"metric/{name}"] == pytest.approx(one[f"metric/{name}"], abs=1e-5)
    weight = np.concatenate([process[f"weight/{name}"] for process in two])
    assert weight == pytest.approx(one[f"weight/{name}"], abs=1e-7)
    loss = np.mean([process[f"loss/{name}"] for process in two])
    assert loss == pytest.approx(float(one[f"loss/{name}"]), abs=1e-6)


def test_a_step_moves_the_weights_as_on_one_process(processes: dict[str, list[Any]]) -> None:
    [one], two = processes["one"], processes["two"]
    assert [int(process["step/first"]) for process in two] == [0, SHARED // 2]
    for process in two:
        assert process["step/weights"] == pytest.approx(one["step/weights"], abs=1e-6)
    moved = one["step/weights"] - np.concatenate([w.detach().numpy().ravel() for w in policy().model.parameters()])
    assert np.abs(moved).max() > 1e-3


def test_processes_stay_together_on_completions_of_their_own(processes: dict[str, list[Any]]) -> None:
    first, second = processes["two"]
    assert first["free/weights"].tolist() == second["free/weights"].tolist()
    assert np.isfinite(first["free/weights"]).all()
    assert first["free/total"].tolist() == second["free/total"].tolist()
    assert len(first["free/total"]) == SHARED
    assert [first["free/own"].tolist(), second["free/own"].tolist()] == [[0, SHARED // 2], [SHARED // 2, SHARED]]


def test_gold_is_checked_by_one_process(processes: dict[str, list[Any]]) -> None:
    assert [bool(process["step/watches"]) for process in processes["two"]] == [True, False]
    assert bool(processes["one"][0]["step/watches"])
