"""What the catalogue is worth under the same pressure, in closed form: each principle of PAR shows by itself."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import trueward.rewards.transforms as transforms

ROOT = Path(__file__).parents[3]
SEEDS = 6
# Measured by somebody else with a program of their own: gold at KL 2 over six draws, spread .04 … .11 between draws.
PUBLISHED = {
    "KL 2": {
        "none": 0.28,
        "`centred()`": 0.28,
        "`slow_start()`": 0.55,
        "`running_clip()`": 0.58,
        "`sigmoid()`": 0.60,
        "`win_probability()`, 1 reference": 0.74,
        "`win_probability()`, 10 references": 0.82,
        "`log_sigmoid_centred()`": 0.82,
    },
    "KL 2, no offsets": {
        "none": 0.28,
        "`running_clip()`": 0.95,
        "`sigmoid()`": 0.89,
        "`win_probability()`, 1 reference": 0.74,
        "`win_probability()`, 10 references": 0.82,
    },
}


@pytest.fixture(scope="module")
def example() -> ModuleType:
    path = ROOT / "examples" / "transforms_table.py"
    spec = importlib.util.spec_from_file_location("trueward_transforms_table", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def found(example: ModuleType) -> dict[str, dict[str, np.ndarray]]:
    return example.measure(SEEDS, [*PUBLISHED["KL 2"]])


def test_it_agrees_with_an_independent_measurement(found: dict[str, dict[str, np.ndarray]]) -> None:
    for setting, arms in PUBLISHED.items():
        for arm, published in arms.items():
            values = found[arm][setting]
            # Both are means over six draws, so their difference is as wide as that of √(2 / 6) draws.
            allowed = max(0.06, 2.0 * float(values.std(ddof=1)) * (2.0 / SEEDS) ** 0.5)
            assert abs(float(values.mean()) - published) <= allowed, (setting, arm, values.mean())


def test_bounding_early_growth_and_centring_each_help(found: dict[str, dict[str, np.ndarray]]) -> None:
    def gain(better: str, worse: str, setting: str = "KL 2") -> float:
        return float((found[better][setting] - found[worse][setting]).mean())

    ten, one = "`win_probability()`, 10 references", "`win_probability()`, 1 reference"
    assert gain("`running_clip()`", "none") > 0.15
    assert gain(ten, "`slow_start()`") > 0.15
    assert gain(one, "`sigmoid()`") > 0.05
    assert gain(one, "`sigmoid()`", "KL 2, no offsets") < -0.05
    np.testing.assert_allclose(found["`centred()`"]["KL 2"], found["none"]["KL 2"], atol=1e-6)
    assert float((found[ten]["KL 2"] - found[ten]["KL 5"]).mean()) > 0.25  # put off, not removed


def test_the_page_holds_every_transform_and_the_table() -> None:
    page = (ROOT / "docs" / "transforms.md").read_text(encoding="utf-8")
    assert page.count("| `win_probability()`, 10 references |") == 1
    for name in transforms.__all__:
        if callable(getattr(transforms, name)) and name.islower() and name not in ("lengths", "with_raw"):
            assert f"`{name}(" in page, name
