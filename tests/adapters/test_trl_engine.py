"""TRL is loaded when it is asked for, and a missing or another one is told."""

from __future__ import annotations

import subprocess
import sys

import pytest

from trueward.adapters.trl.engine import engine
from trueward.errors import MissingExtra, TrainingError


def test_the_package_is_light_until_a_trainer_is_asked_for() -> None:
    source = "import sys, trueward.adapters.trl as a; assert not {'torch', 'trl'} & set(sys.modules); print(a.__all__)"
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "TruewardGRPOTrainer" in done.stdout


def test_without_trl_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "trl", None)
    with pytest.raises(MissingExtra, match=r"pip install 'trueward\[trl\]'"):
        engine()


@pytest.mark.parametrize("version", ["1.15.3", "2.0.0", "0.29.1"])
def test_another_version_has_other_hooks(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import trl

    monkeypatch.setattr(trl, "__version__", version)
    with pytest.raises(TrainingError, match=version):
        engine()


def test_a_name_that_is_not_there() -> None:
    import trueward.adapters.trl as adapter

    with pytest.raises(AttributeError, match="nothing"):
        _ = adapter.nothing
