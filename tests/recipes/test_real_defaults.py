"""What a real configuration takes where nothing is given exists."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

import pytest

import trueward.recipes.real
from trueward.rewards.base import as_reward

MODULES = [module.name for module in pkgutil.iter_modules(trueward.recipes.real.__path__, "trueward.recipes.real.")]


def addresses(module: str) -> list[str]:
    """Rewards by address among the defaults of a module's own functions."""
    own = [f for _, f in inspect.getmembers(importlib.import_module(module), inspect.isfunction)]
    defaults = [p.default for f in own if f.__module__ == module for p in inspect.signature(f).parameters.values()]
    return [default for default in defaults if isinstance(default, str) and ":" in default]


@pytest.mark.parametrize("module", MODULES)
def test_rewards_that_are_defaults_can_be_found(module: str) -> None:
    for address in addresses(module):
        assert as_reward(address).name


def test_there_are_such_defaults() -> None:
    assert {"trueward.recipes.real.cooper", "trueward.recipes.real.clip_delta"} <= {m for m in MODULES if addresses(m)}
