"""Novelty: what is added to a reward so that a policy looks where it has not been yet.

In: what was observed after a step. Out: a bonus per environment, which is pure, and which falls as a state is visited.

- `novelty`: the interface: `bonus`, `observe`, `learn`.
- `counts`: exact counts of states that can be told apart.
- `predictor`: what the networks have in common: settings, the predictor and its average, its gradient steps.
- `regression`: draws that visits make, kept until they are learnt.
- `distillation`: random network distillation (RND), distributional RND, random distribution distillation (RDD).
- `coin_flip`: counts out of the size of a regression on coin flips.
- `normalisers`: running statistics of observations and of bonuses.
- `bonus`: a novelty as a reward of control.

Everything is loaded when it is first used: exact counts need no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trueward.rewards.intrinsic.bonus import Bonus as Bonus
    from trueward.rewards.intrinsic.coin_flip import CoinFlip as CoinFlip
    from trueward.rewards.intrinsic.counts import CountNovelty as CountNovelty
    from trueward.rewards.intrinsic.distillation import DistributionalRND as DistributionalRND
    from trueward.rewards.intrinsic.distillation import (
        RandomDistributionDistillation as RandomDistributionDistillation,
    )
    from trueward.rewards.intrinsic.distillation import RandomNetworkDistillation as RandomNetworkDistillation
    from trueward.rewards.intrinsic.normalisers import BonusNormaliser as BonusNormaliser
    from trueward.rewards.intrinsic.normalisers import ObservationNormaliser as ObservationNormaliser
    from trueward.rewards.intrinsic.novelty import Novelty as Novelty
    from trueward.rewards.intrinsic.predictor import PredictorSettings as PredictorSettings

_LAZY = {
    "Bonus": "bonus",
    "BonusNormaliser": "normalisers",
    "CoinFlip": "coin_flip",
    "CountNovelty": "counts",
    "DistributionalRND": "distillation",
    "Novelty": "novelty",
    "ObservationNormaliser": "normalisers",
    "PredictorSettings": "predictor",
    "RandomDistributionDistillation": "distillation",
    "RandomNetworkDistillation": "distillation",
}

__all__ = [*_LAZY]


def __getattr__(name: str) -> Any:
    """Loads what is asked for."""
    if name in _LAZY:
        return getattr(importlib.import_module(f"trueward.rewards.intrinsic.{_LAZY[name]}"), name)
    raise AttributeError(f"module 'trueward.rewards.intrinsic' has no attribute {name!r}")
