"""Steps of a Gymnasium vector environment as transitions, whichever way it resets itself.

Gymnasium has three ways (`AutoresetMode`). NEXT_STEP: the step after the end of an episode ignores the action, resets
and pays 0. SAME_STEP: the step that ends an episode already returns the first observation of the next one, and the last
one of the old stands in `info["final_obs"]`. DISABLED: whoever steps resets what is over. Code that pairs what `step`
returns with what it returned before is wrong in two of them; here it is done once, for loops and wrappers alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from jaxtyping import Bool, Float, Shaped

from trueward.batch import Transitions
from trueward.errors import TrainingError

if TYPE_CHECKING:
    from gymnasium.vector import VectorEnv

Autoreset = Literal["NextStep", "SameStep", "Disabled"]


def autoreset_of(env: Any) -> Autoreset:
    """How a vector environment resets itself.

    Raises:
        TrainingError: it does not say.
    """
    mode = env.metadata.get("autoreset_mode")
    name = getattr(mode, "value", mode)
    if name not in ("NextStep", "SameStep", "Disabled"):
        raise TrainingError(
            f"{type(env).__name__} does not say how it resets itself: metadata['autoreset_mode'] is {mode!r}; expected "
            "a gymnasium.vector.AutoresetMode"
        )
    return name  # type: ignore[no-any-return]


@dataclass
class TransitionReader:
    """Turns what a vector environment returns into transitions.

    Attributes:
        autoreset: how the environment resets itself.
        features: numeric entries of `info` that transitions bring along.
        observation: what the next action is chosen from.
        over: True where the episode has ended and the environment was not reset yet.
    """

    autoreset: Autoreset
    features: tuple[str, ...] = ()
    observation: Shaped[np.ndarray, "n *observation"] | None = None
    over: Bool[np.ndarray, " n"] | None = None

    def begin(
        self, observation: Shaped[np.ndarray, "n *observation"], reset: Bool[np.ndarray, " n"] | None = None
    ) -> None:
        """Environments were reset.

        Args:
            observation: of all environments.
            reset: which ones; None for all.
        """
        n = len(observation)
        self.observation = np.array(observation, copy=True)
        self.over = np.zeros(n, dtype=bool) if reset is None or self.over is None else self.over & ~reset

    def read(
        self,
        action: Shaped[Any, "n *action"],
        observation: Shaped[np.ndarray, "n *observation"],
        reward: Float[np.ndarray, " n"],
        terminated: Bool[np.ndarray, " n"],
        truncated: Bool[np.ndarray, " n"],
        info: Mapping[str, Any],
    ) -> Transitions:
        """One step, from the arguments and results of the environment's `step`.

        Raises:
            TrainingError: the environment was not reset, or a feature is missing in its info.
        """
        before, over = self.observation, self.over
        if before is None or over is None:
            raise TrainingError("the environment was stepped before its first reset: call reset first")
        if self.autoreset == "Disabled" and over.any():
            raise TrainingError(
                f"environments {np.flatnonzero(over).tolist()} were stepped although their episodes are over; this "
                "vector environment does not reset itself: reset them with options={'reset_mask': mask}"
            )
        # Copies: environments may write into the arrays that they returned.
        after = np.array(observation, copy=True)
        dead, cut = np.array(terminated, dtype=bool), np.array(truncated, dtype=bool)
        ended = dead | cut
        resets_here = self.autoreset == "SameStep" and np.count_nonzero(ended) > 0
        transitions = Transitions(
            observation=before,
            action=action,
            reward=np.array(reward, dtype=np.float64),
            next_observation=_with_final(after, ended, info) if resets_here else after,
            terminated=dead,
            truncated=cut,
            exists=~over if np.count_nonzero(over) else None,
            features={name: self._feature(name, info, ended & resets_here, over) for name in self.features},
        )
        self.observation = after
        if self.autoreset != "SameStep":
            self.over = ended
        return transitions

    def _feature(
        self, name: str, info: Mapping[str, Any], final: Bool[np.ndarray, " n"], over: Bool[np.ndarray, " n"]
    ) -> Float[np.ndarray, "n ..."]:
        """One entry of `info`; that of the step itself where the environment was reset in it; 0 without a step."""
        last = info.get("final_info", {})
        source = info if name in info else last
        if name not in source:
            if over.all():
                return np.zeros(len(over))
            raise TrainingError(f"info has no {name!r}; it has: {', '.join(sorted(k for k in info if k[0] != '_'))}")
        values = np.array(source[name], dtype=np.float64, copy=True)
        if final.any():
            values[final] = np.asarray(last[name], dtype=np.float64)[final]
        values[over] = 0.0
        return values


def _with_final(
    observation: Shaped[np.ndarray, "n *observation"], ended: Bool[np.ndarray, " n"], info: Mapping[str, Any]
) -> Shaped[np.ndarray, "n *observation"]:
    """The observations after the step, before any reset."""
    if "final_obs" not in info:
        raise TrainingError("the environment resets in the step that ends an episode, but gives no info['final_obs']")
    true = observation.copy()
    final = info["final_obs"]
    for row in np.flatnonzero(ended):
        true[row] = final[row]
    return true


class Stepper:
    """Steps N environments, and says truly what each step was.

    Attributes:
        env: the vector environment.
        reader: what makes transitions of what it returns.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any], features: Sequence[str] = ()) -> None:
        """Wraps an environment that need not be reset yet.

        Args:
            env: any vector environment of Gymnasium 1.1 or newer whose observations are arrays.
            features: numeric entries of `info` to keep.

        Raises:
            TrainingError: it does not say how it resets itself.
        """
        self.env = env
        self.reader = TransitionReader(autoreset_of(env), tuple(features))

    @property
    def count(self) -> int:
        """Number of environments."""
        return int(self.env.num_envs)

    @property
    def observation(self) -> Shaped[np.ndarray, "n *observation"]:
        """What the next action is chosen from.

        Raises:
            TrainingError: there was no reset yet.
        """
        if self.reader.observation is None:
            raise TrainingError("the environment was not reset yet: call reset first")
        return self.reader.observation

    def reset(self, seed: int | None = None) -> Shaped[np.ndarray, "n *observation"]:
        """Begin new episodes everywhere."""
        observation, _ = self.env.reset(seed=seed)
        self.reader.begin(np.asarray(observation))
        return self.observation

    def step(self, action: Shaped[np.ndarray, "n *action"]) -> Transitions:
        """One step of every environment; those that are over are reset where the environment does not do it itself.

        Args:
            action: one per environment; ignored where an environment is reset in place of a step.

        Returns:
            Transitions whose `exists` is False where the environment was reset in place of a step.

        Raises:
            TrainingError: there was no reset yet, or a feature is not in the environment's info.
        """
        over = self.reader.over
        if self.reader.autoreset == "Disabled" and over is not None and over.any():
            observation, _ = self.env.reset(options={"reset_mask": over})
            self.reader.begin(np.asarray(observation), over)
        observation, reward, terminated, truncated, info = self.env.step(action)
        return self.reader.read(action, np.asarray(observation), reward, terminated, truncated, info)
