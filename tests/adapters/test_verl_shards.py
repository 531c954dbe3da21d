"""Hidden states and prediction errors of a model in shards, groups spread over processes: those of the whole model."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.adapters.same_rollouts import ROWS, Same, fixture, with_features


@pytest.fixture(scope="module")
def same(tmp_path_factory: pytest.TempPathFactory) -> Same:
    """The fixture, with what two processes made of it that hold the model in shards."""
    made = fixture(tmp_path_factory.mktemp("shards"))
    script = str(Path(__file__).with_name("verl_shards.py"))
    processes = [
        subprocess.Popen(
            [sys.executable, script, str(made.folder), str(rank)], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
        )
        for rank in range(2)
    ]
    told = [process.communicate(timeout=240)[1].decode() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], "\n".join(told)[-4000:]
    return made


@pytest.mark.parametrize("kind", ["fsdp", "fsdp2"])
def test_shards_tell_what_the_whole_model_tells(same: Same, kind: str) -> None:
    found = {name: array for rank in range(2) for name, array in np.load(same.folder / f"{kind}-{rank}.npz").items()}
    whole = with_features(same.policy, same.rollouts, {"hidden", "errors"}).features
    mask = same.arrays["mask"]
    assert len(found) == 2 * ROWS
    for row in range(ROWS):
        for name in ("hidden", "errors"):
            expected = torch.from_numpy(whole[name][row][mask[row]])
            assert torch.allclose(torch.from_numpy(found[f"{name}/{row}"]), expected, atol=2e-6), (row, name)
    assert max(np.abs(found[f"errors/{row}"]).max() for row in range(ROWS)) > 0.5
