"""The network of the built-in loop: a distribution over actions, and one value per stream of reward."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from trueward.errors import TrainingError
from trueward.policies.control.distributions import ActionDistribution, Categorical, DiagonalGaussian, MultiCategorical
from trueward.policies.control.observations import ObservationScale, OneHot
from trueward.policies.control.spaces import choices_of

if TYPE_CHECKING:
    from gymnasium import Space


class ActorCritic(nn.Module):
    """Two multilayer perceptrons with tanh, for actions and for values, over what an encoder makes of observations.

    Weights are orthogonal, with gain √2 inside, 0.01 for the actions (so that the first policy is nearly uniform) and 1
    for the values. The deviation of Gaussian actions does not depend on the observation.

    Args:
        observation_shape: of one observation.
        action_space: Discrete, MultiDiscrete, or Box with one axis.
        hidden: widths of the hidden layers.
        value_heads: values per observation: one per stream of reward.
        encoder: shared by both, from observations to vectors; by default the observation itself, flattened.
        scale_observations: scale them by running statistics first; see `ObservationScale`.
        seed: of the first weights (those of the encoder are its own affair).

    Raises:
        TrainingError: the action space is of another kind.

    Reference: Schulman et al. 2017 (PPO); Huang et al. 2022, "The 37 implementation details of PPO", 2, and continuous
    actions, 2.
    """

    def __init__(
        self,
        observation_shape: Sequence[int],
        action_space: Space[Any],
        hidden: Sequence[int] = (64, 64),
        value_heads: int = 1,
        encoder: nn.Module | None = None,
        *,
        scale_observations: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.action_space, self.value_heads = action_space, value_heads
        self._choices = choices_of(action_space)
        self._one_column = not action_space.shape
        outputs = sum(self._choices) or int(np.prod(action_space.shape or ()))
        self.scale = ObservationScale(observation_shape) if scale_observations else None
        self.encoder = nn.Flatten() if encoder is None else encoder
        with torch.no_grad():
            width = self._encoded(torch.zeros(1, *observation_shape)).shape[1]
        generator = torch.Generator().manual_seed(seed)
        self.actor = _perceptron(width, hidden, outputs, 0.01, generator)
        self.critic = _perceptron(width, hidden, value_heads, 1.0, generator)
        self.log_deviation = None if self._choices else nn.Parameter(torch.zeros(outputs))

    @classmethod
    def for_spaces(cls, env: Any, hidden: Sequence[int] = (64, 64), **given: Any) -> ActorCritic:
        """A network for the spaces of an environment, single or vector.

        Args:
            env: with `single_observation_space` and `single_action_space`, or the same without "single".
            hidden: widths of the hidden layers.
            given: see the class.

        Raises:
            TrainingError: observations are neither arrays nor numbers that name a state.
        """
        from gymnasium import spaces

        observations = getattr(env, "single_observation_space", None) or env.observation_space
        actions = getattr(env, "single_action_space", None) or env.action_space
        if isinstance(observations, spaces.Discrete):
            given.setdefault("encoder", OneHot(int(observations.n), int(observations.start)))
        if not isinstance(observations, spaces.Box | spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary):
            raise TrainingError(
                f"observations of {type(observations).__name__} are not arrays; expected Box, Discrete, MultiDiscrete "
                "or MultiBinary: flatten them first (gymnasium.wrappers.FlattenObservation)"
            )
        return cls(observations.shape or (), actions, hidden, **given)

    def forward(
        self, observation: Shaped[Tensor, "n *observation"]
    ) -> tuple[ActionDistribution, Float[Tensor, "n heads"]]:
        """Distribution and values, from one pass through the encoder."""
        encoded = self._encoded(observation)
        return self._distribution(encoded), self.critic(encoded)

    def distribution(self, observation: Shaped[Tensor, "n *observation"]) -> ActionDistribution:
        """Distribution over actions."""
        return self._distribution(self._encoded(observation))

    def values(self, observation: Shaped[Tensor, "n *observation"]) -> Float[Tensor, "n heads"]:
        """One value per head."""
        values: Tensor = self.critic(self._encoded(observation))
        return values

    @torch.inference_mode()
    def act(
        self, observation: Shaped[np.ndarray, "n *observation"], generator: np.random.Generator, *, greedy: bool = False
    ) -> tuple[Shaped[np.ndarray, "n *action"], Float[np.ndarray, " n"], Float[np.ndarray, "n heads"]]:
        """Actions with their log-probabilities, and values.

        Args:
            observation: of N environments.
            generator: of the draws.
            greedy: the most probable action instead of a drawn one.
        """
        distribution, values = self(as_tensor(observation))
        action = distribution.mode() if greedy else distribution.sample(generator)
        return action.numpy(), distribution.log_prob(action).numpy(), values.numpy()

    def _encoded(self, observation: Tensor) -> Tensor:
        numbers = observation.to(torch.float32)
        encoded: Tensor = self.encoder(numbers if self.scale is None else self.scale(numbers))
        return encoded

    def _distribution(self, encoded: Tensor) -> ActionDistribution:
        out = self.actor(encoded)
        if self.log_deviation is not None:
            return DiagonalGaussian(out, self.log_deviation.expand_as(out))
        if self._one_column:
            return Categorical.from_logits(out)
        return MultiCategorical(tuple(Categorical.from_logits(one) for one in out.split(self._choices, dim=1)))


def as_tensor(observation: Shaped[np.ndarray, "n *observation"]) -> Shaped[Tensor, "n *observation"]:
    """Observations as a tensor; without a copy where they can be shared."""
    return torch.from_numpy(np.ascontiguousarray(observation))


def _perceptron(
    width: int, hidden: Sequence[int], outputs: int, last_gain: float, generator: torch.Generator
) -> nn.Sequential:
    layers: list[nn.Module] = []
    for wide in hidden:
        layers += [_linear(width, wide, 2**0.5, generator), nn.Tanh()]
        width = wide
    return nn.Sequential(*layers, _linear(width, outputs, last_gain, generator))


def _linear(width: int, outputs: int, gain: float, generator: torch.Generator) -> nn.Linear:
    made = nn.Linear(width, outputs)
    nn.init.orthogonal_(made.weight, gain, generator=generator)
    nn.init.zeros_(made.bias)
    return made
