"""Policies of control: networks from observations to distributions over actions, and their values.

- `actor_critic`: the network of the built-in loop, with one value per reward stream.
- `distributions`: categorical, several categoricals, diagonal Gaussian.
- `tabular`: a tabular policy as one that looks at observations.
- `observations`: running scale of observations; vectors for numbers that name a state.
- `spaces`: actions as environments take them.
"""

from trueward.policies.control.actor_critic import ActorCritic
from trueward.policies.control.distributions import ActionDistribution, Categorical, DiagonalGaussian, MultiCategorical
from trueward.policies.control.observations import ObservationScale, OneHot

__all__ = [
    "ActionDistribution",
    "ActorCritic",
    "Categorical",
    "DiagonalGaussian",
    "MultiCategorical",
    "ObservationScale",
    "OneHot",
]
