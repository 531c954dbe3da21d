"""Potential-based shaping: F = γ Φ(s') − Φ(s), with Φ = 0 where an episode terminated."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float

from trueward.batch import Transitions
from trueward.errors import RewardError
from trueward.rewards.address import load_object
from trueward.rewards.control.base import ControlReward, StepScores, checked
from trueward.rewards.control.functions import FIELDS

if TYPE_CHECKING:
    import torch

Potential = Callable[[Any], Any]


class PotentialShaping(ControlReward):
    """The difference of a potential, which shapes the way to a goal and leaves the goal as it is.

        F(s, s') = γ Φ(s') − Φ(s),   Φ(s') = 0 where the step terminated the episode

    Along an episode it telescopes: Σ_t γ^t F_t = γ^T Φ(s_T) − Φ(s_0), without its first addend where the episode
    terminated. Whatever the policy does, its return changes by what does not depend on it, so the optimal policies and
    all advantages stay the same; values fall by Φ(s).

    A truncated step keeps Φ(s'): the episode was only cut off, and a learner that bootstraps there with its critic
    (which has learnt V − Φ) counts everything once. A learner that does not bootstrap sees returns that hold Φ of where
    the time ran out. Rows that were reset in place of a step earn 0.

    `remember` keeps Φ(s') of a step as Φ(s) of the next one. For a potential that moves while training this is what
    keeps the sum telescoping, and with it the optimum; it also halves the calls. It needs the steps of episodes in
    their order, so stored transitions are scored without it.

    Attributes:
        potential: takes an array of N states and returns N numbers.
        discount: γ, the discount of whoever is trained.
        reads: what is s and what is s': fields of `Transitions`, or names out of the environment's `info`.
        remember: see above.

    References: Ng, Harada and Russell 1999, "Policy invariance under reward transformations", theorem 1; Grzes 2017,
    "Reward shaping in episodic reinforcement learning" (terminal potentials); Devlin and Kudenko 2012, "Dynamic
    potential-based reward shaping", equation 7 (potentials that move).

    Example:
        >>> import numpy as np
        >>> shaping = PotentialShaping(lambda observation: -np.abs(observation[..., 0]), discount=0.5)
        >>> step = {"action": np.zeros(2), "reward": np.zeros(2), "truncated": np.array([False, False])}
        >>> states = {"observation": np.array([[4.0], [4.0]]), "next_observation": np.array([[2.0], [2.0]])}
        >>> shaping.score(Transitions(**states, **step, terminated=np.array([False, True]))).value
        array([3., 4.])
    """

    def __init__(
        self,
        potential: Potential | str,
        discount: float,
        *,
        reads: tuple[str, str] = ("observation", "next_observation"),
        remember: bool = False,
    ) -> None:
        """Shaping with a potential.

        Args:
            potential: a function, or its address ("rewards.py:distance"). For a network see `network_potential`.
            discount: γ.
            reads: names of s and s'.
            remember: keep Φ(s') for the next step.

        Raises:
            RewardError: γ outside [0, 1], or no potential.
        """
        found = load_object(potential) if isinstance(potential, str) else potential
        if not callable(found):
            raise RewardError(f"the potential {found!r} cannot be called: give a function of N states that returns N")
        if not 0.0 <= discount <= 1.0:
            raise RewardError(f"shaping needs the discount of the trainer, in [0, 1]; got {discount}")
        self.potential: Potential = found
        self.discount = float(discount)
        self.reads = reads
        self.remember = remember
        self._last: Float[np.ndarray, " n"] | None = None
        self._known: Bool[np.ndarray, " n"] | None = None

    @property
    def name(self) -> str:
        """For logs."""
        return "shaping"

    def needs(self) -> tuple[str, ...]:
        """States that lie in the environment's `info`."""
        return tuple(name for name in self.reads if name not in FIELDS)

    def begin(self, count: int) -> None:
        """Forgets the potentials of episodes that are gone."""
        self._last = self._known = None

    def restarted(self, rows: Bool[np.ndarray, " n"]) -> None:
        """Forgets those of some environments."""
        if self._known is not None:
            self._known = self._known & ~rows

    def twin(self) -> PotentialShaping:
        """The same potential, for other environments."""
        other = copy.copy(self)
        other.begin(0)
        return other

    def score(self, transitions: Transitions, *, training: bool = True) -> StepScores:
        """F as one part; the raw value is 0, because shaping is no part of what is wanted.

        Raises:
            RewardError: the potential is not one finite number per environment, or, where it is remembered, the number
                of environments changed without `begin`.
        """
        after = self._of(self._states(transitions, 1))
        before = self._remembered(transitions) if self.remember else self._of(self._states(transitions, 0))
        if self.remember:
            # Where an environment was reset in place of a step, `after` is where its new episode begins.
            self._last, self._known = after, ~(transitions.terminated | transitions.truncated)
        going_on = np.where(transitions.terminated, 0.0, after) if np.count_nonzero(transitions.terminated) else after
        added = self.discount * going_on - before
        value = checked(added, transitions, self.name)
        return StepScores(value, np.zeros(len(value)), {self.name: value})

    def _states(self, transitions: Transitions, which: int) -> Any:
        name = self.reads[which]
        if name in FIELDS:
            return getattr(transitions, name)
        if name not in transitions.features:
            known = ", ".join((*FIELDS, *transitions.features))
            raise RewardError(f"shaping reads {name!r}, which is not there; it can have: {known}")
        return transitions.features[name]

    def _of(self, states: Any) -> Float[np.ndarray, " n"]:
        try:
            values = np.asarray(self.potential(states), dtype=np.float64)
        except RewardError:
            raise
        except Exception as error:
            raise RewardError(
                f"the potential raised {type(error).__name__}: {error}. It is called with an array of "
                f"{len(states)} states, shape {np.shape(states)}; for a network use network_potential(module)"
            ) from error
        if values.shape != (len(states),):
            raise RewardError(
                f"the potential returned an array of shape {values.shape} for {len(states)} states of shape "
                f"{np.shape(states)[1:]}; expected one number for each, shape ({len(states)},)"
            )
        return values

    def _remembered(self, transitions: Transitions) -> Float[np.ndarray, " n"]:
        n = len(transitions)
        if self._last is None or self._known is None:
            self._last, self._known = np.zeros(n), np.zeros(n, dtype=bool)
        if len(self._last) != n:
            raise RewardError(
                f"shaping remembers the potentials of {len(self._last)} environments and was called with {n}: call "
                "begin when environments are reset, or score other environments with a twin()"
            )
        unknown = ~self._known
        if np.count_nonzero(unknown):
            self._last = self._last.copy()
            self._last[unknown] = self._of(np.asarray(self._states(transitions, 0))[unknown])
        return self._last


def network_potential(module: torch.nn.Module) -> Potential:
    """A network from N states to N numbers (or [N, 1]) as a potential: called without gradients, in float32.

    A network that is trained during the run is a potential that moves: use `remember=True`.
    """
    import torch

    def potential(states: Any) -> Float[np.ndarray, " n"]:
        parameter = next(module.parameters(), None)
        device = None if parameter is None else parameter.device
        with torch.no_grad():
            given = torch.as_tensor(np.asarray(states), dtype=torch.float32, device=device)
            values: np.ndarray = module(given).reshape(len(states)).double().cpu().numpy()
        return values

    return potential
