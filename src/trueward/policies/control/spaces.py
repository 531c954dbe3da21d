"""Action spaces: how many numbers a network gives out for one, and actions as the environment takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Shaped

from trueward.errors import TrainingError

if TYPE_CHECKING:
    from gymnasium import Space


def choices_of(space: Space[Any]) -> tuple[int, ...]:
    """Number of choices in each column of a discrete space; () for a Box.

    Raises:
        TrainingError: it is neither Discrete nor MultiDiscrete with one axis, nor a Box with one axis.
    """
    from gymnasium import spaces

    if isinstance(space, spaces.Discrete):
        return (int(space.n),)
    if isinstance(space, spaces.MultiDiscrete) and space.nvec.ndim == 1:
        return tuple(int(n) for n in space.nvec)
    if isinstance(space, spaces.Box) and len(space.shape) == 1:
        return ()
    raise TrainingError(
        f"actions {space} cannot be drawn by this policy; expected Discrete, or MultiDiscrete or Box with one axis"
    )


def executed(action: Shaped[np.ndarray, "n *action"], space: Space[Any]) -> Shaped[np.ndarray, "n *action"]:
    """Actions as an environment takes them: within their bounds, counted from where the space begins to count.

    Args:
        action: as a policy draws them, counted from 0 and without bounds.
        space: of a single environment.
    """
    low: Any = getattr(space, "low", None)
    if low is not None:
        return np.clip(action, low, space.high).astype(space.dtype, copy=False)  # type: ignore[attr-defined]
    start: Any = getattr(space, "start", 0)
    return action if not np.any(start) else action + start
