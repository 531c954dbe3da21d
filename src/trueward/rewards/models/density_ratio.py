r"""A network that says how much more often one policy is somewhere than another: $d \approx \log \mu_\pi / \mu_{ref}$.

Trained as a classifier of whose step it is (`trueward.training.density_ratio`), on states and actions or on states
alone. Rewards made of it pay for being where demonstrations are (GAIL), or charge for being where a reference policy
never is (occupancy regularisation).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from trueward.policies.control.actor_critic import as_tensor
from trueward.policies.control.spaces import choices_of

if TYPE_CHECKING:
    from gymnasium import Space


class DensityRatio(nn.Module):
    r"""Multilayer perceptron with leaky rectifiers on the observation, and on the action where there is a space for it.

    Where the two policies share nothing a classifier becomes certain, and exp(d) says no more than that. So d is
    capped, smoothly: $c \tanh(x / c)$.

    Args:
        observation_shape: of one observation.
        action_space: Discrete or MultiDiscrete (one-hot), or Box (as it is); None to look at states alone.
        hidden: widths of the hidden layers.
        cap: c, the largest |d|; None for none, as a Wasserstein critic needs it.
        encoder: from observations to vectors; by default flattened.
        seed: of the first weights (those of the encoder are its own affair).

    Raises:
        TrainingError: the action space is of another kind.

    Reference: Laidlaw, Singhal and Dragan 2024 (arXiv 2403.03185); Ho and Ermon 2016 (GAIL).
    """

    def __init__(
        self,
        observation_shape: Sequence[int],
        action_space: Space[Any] | None = None,
        hidden: Sequence[int] = (256, 256),
        *,
        cap: float | None = 8.0,
        encoder: nn.Module | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.cap = cap
        self.reads_actions = action_space is not None
        self._choices: tuple[int, ...] = () if action_space is None else choices_of(action_space)
        self.encoder = nn.Flatten() if encoder is None else encoder
        with torch.no_grad():
            width = self.encoder(torch.zeros(1, *observation_shape)).shape[1]
        if action_space is not None:
            width += sum(self._choices) or int(np.prod(action_space.shape or ()))
        generator = torch.Generator().manual_seed(seed)
        layers: list[nn.Module] = []
        for wide in hidden:
            layers += [_linear(width, wide, generator), nn.LeakyReLU()]
            width = wide
        self.head = nn.Sequential(*layers, _linear(width, 1, generator))

    def joined(
        self, observation: Shaped[Tensor, "n *observation"], action: Shaped[Tensor, "n *action"] | None = None
    ) -> Float[Tensor, "n width"]:
        """What the perceptron reads: the observation, and the action beside it.

        Raises:
            ValueError: actions are read and there are none.
        """
        seen: Tensor = self.encoder(observation.to(torch.float32))
        if not self.reads_actions:
            return seen
        if action is None:
            raise ValueError("this density ratio reads actions; give them, or build it without an action space")
        if not self._choices:
            return torch.cat([seen, action.to(torch.float32).flatten(1)], dim=1)
        columns = action.long().reshape(len(action), -1).unbind(dim=1)
        chosen = [nn.functional.one_hot(c, n) for c, n in zip(columns, self._choices, strict=True)]
        return torch.cat([seen, *(one.to(torch.float32) for one in chosen)], dim=1)

    def of_joined(self, joined: Float[Tensor, "n width"]) -> Float[Tensor, " n"]:
        """d of what `joined` gave."""
        d: Tensor = self.head(joined).squeeze(1)
        return d if self.cap is None else self.cap * torch.tanh(d / self.cap)

    def forward(
        self, observation: Shaped[Tensor, "n *observation"], action: Shaped[Tensor, "n *action"] | None = None
    ) -> Float[Tensor, " n"]:
        """d, one per step."""
        return self.of_joined(self.joined(observation, action))

    @torch.inference_mode()
    def log_ratio(
        self, observation: Shaped[np.ndarray, "n *observation"], action: Shaped[np.ndarray, "n *action"] | None = None
    ) -> Float[np.ndarray, " n"]:
        """d of arrays, as numbers."""
        d = self(as_tensor(observation), None if action is None else as_tensor(action))
        return d.numpy().astype(np.float64)  # type: ignore[no-any-return]


def _linear(width: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    made = nn.Linear(width, outputs)
    nn.init.kaiming_uniform_(made.weight, a=5**0.5, generator=generator)
    nn.init.zeros_(made.bias)
    return made
