"""How different two rewards are for whoever optimises them.

- `form`: how rewards on transitions are held without an array [S, A, S]; `norms` and `thin`: their norms.
- `canonical`: what is left of a reward when that which changes no policy's rank is taken away; `minimal` for the two
  that need least squares.
- `starc`: STARC distances, small exactly where the worst regret is small.
- `pearson`: EPIC and DARD.
- `regret`: what is lost by optimising the wrong reward, and the constants between distance and loss.
- `bandit`: the special case of language models: scores of several answers per prompt.
- `sampled`: rewards as functions on continuous spaces, from samples with intervals; `td` for the values they need.

Rewards are arrays [S], [S, A], [S, A, S] or sparse [S·A, S]; the world is a `measures.tabular.TabularMDP`.
"""

from trueward.measures.distances.bandit import BanditDistance, bandit_distance
from trueward.measures.distances.canonical import Kind, canonicalise
from trueward.measures.distances.norms import norm_of
from trueward.measures.distances.pearson import dard_distance, epic_distance, pearson_distances
from trueward.measures.distances.regret import (
    BoundRatios,
    Regret,
    bound_ratios,
    normalised_regret,
    regret_constants,
    regrets,
    worst_case_regret,
)
from trueward.measures.distances.sampled import SampledDistance, sampled_epic_distance, sampled_starc_distance
from trueward.measures.distances.starc import is_trivial, starc_distance, starc_distances
from trueward.measures.distances.td import FourierFeatures, LinearValues, fit_values, fourier_features

__all__ = [
    "BanditDistance",
    "BoundRatios",
    "FourierFeatures",
    "Kind",
    "LinearValues",
    "Regret",
    "SampledDistance",
    "bandit_distance",
    "bound_ratios",
    "canonicalise",
    "dard_distance",
    "epic_distance",
    "fit_values",
    "fourier_features",
    "is_trivial",
    "norm_of",
    "normalised_regret",
    "pearson_distances",
    "regret_constants",
    "regrets",
    "sampled_epic_distance",
    "sampled_starc_distance",
    "starc_distance",
    "starc_distances",
    "worst_case_regret",
]
