"""verl's own scorers, called by verl and through Trueward, in the environment that verl needs."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
PYTHON = os.environ.get("TRUEWARD_VERL_PYTHON")


@pytest.mark.skipif(not PYTHON, reason="verl cannot share this environment; `make test` makes one for it")
def test_scorers_of_verl_give_the_same_through_an_address() -> None:
    assert PYTHON
    environment = {**os.environ, "PYTHONPATH": str(HERE.parents[1] / "src")}
    done = subprocess.run(
        [PYTHON, str(HERE / "verl_rewards.py")], capture_output=True, text=True, timeout=300, env=environment
    )
    assert done.returncode == 0, done.stderr
    cases = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
    assert len(cases) == 4
    for address, by_hand, through in cases:
        assert through == by_hand, address
        assert len(set(by_hand)) > 1, address
