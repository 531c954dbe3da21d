"""Adapters: Trueward's rewards, credit, objectives and monitors inside engines that train.

Enters: an engine's own batch. Leaves: what the engine expects in its place, made by the same functions that the
built-in loop calls. An engine is imported only when its adapter is used.

- `trl`: trainers for TRL (GRPO, RLOO, reward models) and a callback that watches a run.
- `verl`: estimators, losses and a reward manager for verl, found through its plugins.
- `gymnasium`: a wrapper that pays a control reward, for single and vector environments.
- `sb3`: the same for the vector environments of Stable-Baselines3, bonuses with a value head of their own, and a
  penalty on where a policy goes.
- `diffusers`: transformers and UNets as flow policies, with LoRA; a scheduler with log-probabilities; rewards for other
  trainers of image generators.
"""

from __future__ import annotations

import importlib
from typing import Any

_ADAPTERS = ("diffusers", "gymnasium", "sb3", "trl", "verl")


def __getattr__(name: str) -> Any:
    """Loads an adapter, and with it its engine, when it is first used."""
    if name in _ADAPTERS:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
