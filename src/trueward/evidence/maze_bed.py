"""Mazes as a test bed of exploration: PPO with a bonus on one layout, and what it has seen and reached on the way.

A policy with two value heads learns the maze's own reward, which is paid at the end alone, and the bonus. What counts
is how many states were seen, on average over training: a bonus that falls too early leaves the policy where it is.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int

from trueward.batch import Context
from trueward.evidence.recipe import Settings
from trueward.rewards.intrinsic.novelty import Novelty
from trueward.training.control.collected import Collected
from trueward.training.control.hooks import ControlHook

if TYPE_CHECKING:
    from trueward.evidence.run import Run

Key = Callable[[np.ndarray], np.ndarray]

_CANDIDATES = 10  # layouts that are looked at
_PARTS = 10  # of a run, in each of which the share of successes counts the same


class Coverage(ControlHook):
    """Watches which states are seen and how episodes end, and changes nothing.

    Attributes:
        environments: how many.
        visits: how often each state was seen, in the order in which they were first seen.
        observations: what was observed when each was first seen.
        curve: distinct states known, mean over the steps of each update.
        ended: successes and ended episodes of each update.
        watching: share of steps at the television in each update.
    """

    def __init__(self) -> None:
        self._places: dict[bytes, int] = {}
        self.environments = 0
        self.visits: list[int] = []
        self.observations: list[list[float]] = []
        self.curve: list[float] = []
        self.ended: list[list[int]] = []
        self.watching: list[float] = []

    def after_update(self, collected: Collected, context: Context) -> Mapping[str, float]:
        """Count the states of an update."""
        states = np.ascontiguousarray(collected.features["state"].astype(np.int64))
        known = []
        for step, observed in zip(states, collected.next_observation, strict=True):
            for state, observation in zip(step, observed, strict=True):
                place = self._places.setdefault(state.tobytes(), len(self.visits))
                if place == len(self.visits):
                    self.visits.append(0)
                    self.observations.append(observation.tolist())
                self.visits[place] += 1
            known.append(len(self.visits))
        over = collected.terminated | collected.truncated
        self.environments = over.shape[1]
        self.curve.append(float(np.mean(known)))
        self.ended.append([int(collected.terminated.sum()), int(over.sum())])
        self.watching.append(float(collected.features["watching"].mean()))
        return {"states": float(len(self.visits)), "successes": float(self.ended[-1][0])}

    @property
    def successes(self) -> Float[np.ndarray, " parts"]:
        """Share of successful episodes in each part of the run, of at least as many as there are environments.

        A part in which one episode ended, early because it succeeded, is no part in which all succeed.
        """
        sums = [np.sum(part, axis=0) for part in np.array_split(np.array(self.ended).reshape(-1, 2), _PARTS)]
        return np.array([succeeded / max(over, self.environments, 1) for succeeded, over in sums])

    def state_dict(self) -> dict[str, Any]:
        """Everything, as lists."""
        return {
            "environments": self.environments,
            "keys": [key.hex() for key in self._places], "visits": self.visits, "observations": self.observations,
            "curve": self.curve, "ended": self.ended, "watching": self.watching,
        }  # fmt: skip

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take that back."""
        self._places = {bytes.fromhex(key): place for place, key in enumerate(state["keys"])}
        for name in ("environments", "visits", "observations", "curve", "ended", "watching"):
            setattr(self, name, copy.copy(state[name]))


class ShuffledNovelty(Novelty):
    """A control: each environment is paid the bonus of another one. How much is paid stays, and what for is gone."""

    def __init__(self, inner: Novelty, seed: int) -> None:
        self.inner, self.seed = inner, seed
        self._visits = 0

    @property
    def name(self) -> str:
        """For logs."""
        return f"shuffled {self.inner.name}"

    def bonus(self, observation: np.ndarray) -> Float[np.ndarray, " n"]:
        """Bonuses, permuted among the environments; asked twice between two visits it permutes alike."""
        return np.random.default_rng([self.seed, self._visits]).permutation(self.inner.bonus(observation))

    def observe(self, observation: np.ndarray) -> None:
        """Visits count where they were made."""
        self._visits += len(observation)
        self.inner.observe(observation)

    def learn(self) -> Mapping[str, float]:
        """As ever."""
        return self.inner.learn()

    def modules(self) -> Mapping[str, Any]:
        """Those of what is shuffled."""
        return self.inner.modules()

    def optimizers(self) -> Mapping[str, Any]:
        """Those of what is shuffled."""
        return self.inner.optimizers()

    def state_dict(self) -> dict[str, Any]:
        """Where it stands, and the state of what is shuffled."""
        return {"visits": self._visits, "inner": self.inner.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take that back."""
        self._visits = int(state["visits"])
        self.inner.load_state_dict(state["inner"])


@dataclass(frozen=True)
class Explored:
    """What exploration of one maze came to.

    Attributes:
        coverage: what was seen.
        novelty: as it is at the end; None without one.
    """

    coverage: Coverage
    novelty: Novelty | None

    @property
    def log_coverage(self) -> float:
        """Natural logarithm of the number of distinct states known, averaged over training."""
        return float(np.log(np.mean(self.coverage.curve)))

    def bonus_and_visits(self) -> tuple[Float[np.ndarray, " s"], Int[np.ndarray, " s"]] | None:
        """Bonus and visits of every state that was seen; None without a bonus."""
        if self.novelty is None:
            return None
        novelty = self.novelty.inner if isinstance(self.novelty, ShuffledNovelty) else self.novelty
        bonus = novelty.bonus(np.array(self.coverage.observations, dtype=np.float32))
        return bonus, np.array(self.coverage.visits)


def explore(
    settings: Settings,
    name: str,
    novelty: Callable[[int, Key], Novelty | None],
    *,
    layout: int,
    seed: int,
    directory: Path,
) -> Explored:
    """Train on one maze.

    Args:
        settings: `maze.television`, `policy.hidden`, and `train.…`: `environments`, `one_head`, and fields of
            `ControlSettings`.
        name: of the maze, or "MountainCar-v0".
        novelty: makes the bonus, or None, out of the size of an observation and what tells states apart in it.
        layout: of the maze.
        seed: of everything else, below 2^31.
        directory: of the run; one that was killed goes on there.
    """
    from trueward.policies.control import ActorCritic
    from trueward.rewards.control import ControlReward, EnvironmentReward
    from trueward.rewards.intrinsic import Bonus, BonusNormaliser
    from trueward.training.control import ControlSettings, train_policy

    env = _environment(settings, name, layout)
    made, coverage = novelty(env.single_observation_space.shape[0], env.key), Coverage()
    names = ("steps", "horizon", "epochs", "minibatches", "learning_rate", "entropy", "discount", "bonus_discount",
             "reward_weight", "bonus_weight", "checkpoint_every")  # fmt: skip
    chosen = {one: settings[f"train.{one}"] for one in names}
    reward: ControlReward = EnvironmentReward()
    added = made is not None and settings["train.one_head"]
    if made is not None and added:
        scale = BonusNormaliser(chosen["bonus_discount"])
        bonus = Bonus(made, chosen["bonus_weight"], normaliser=scale, every=chosen["horizon"])
        reward, chosen["reward_weight"] = chosen["reward_weight"] * reward + bonus, 1.0
    separate = None if added else made
    heads = 1 if separate is None else 2
    policy = ActorCritic.for_spaces(env, tuple(settings["policy.hidden"]), value_heads=heads, seed=seed)
    train_policy(
        env,
        reward,
        policy=policy,
        settings=ControlSettings(**chosen, seed=seed, evaluation_episodes=0),
        directory=directory,
        bonus=separate,
        hooks=[coverage],
        features=("state", "watching"),
    )
    return Explored(coverage, made)


def _environment(settings: Settings, name: str, layout: int) -> Any:
    count = settings["train.environments"]
    if name == "MountainCar-v0":
        from trueward.evidence.counted_car import CountedCar

        return CountedCar(count)
    from trueward.tasks.control.minigrid import MazeVectorEnv

    return MazeVectorEnv(name, count, layout=layout, television=settings["maze.television"])


def hard_layout(run: Run, name: str) -> int:
    """A layout on which actions at random never reach the end, so that a reward that is paid there teaches nothing.

    The first of `_CANDIDATES` layouts with no success in `maze.random_steps` steps; the one with the fewest where
    there is none. All arms of a seed share it.
    """
    wanted = {"name": name, "random_steps": run.settings["maze.random_steps"]}

    def build(folder: Path) -> None:
        found = None
        for place in range(_CANDIDATES):
            layout = run.seed_for(f"layout {name} {place}") % 2**31
            lucky = lucky_episodes(name, layout, wanted["random_steps"], run.seed_for("random steps") % 2**31)
            if found is None or lucky < found[1]:
                found = layout, lucky
            if not lucky:
                break
        (folder / "layout.json").write_text(json.dumps(found))

    return int(json.loads((run.shared("layout", wanted, build) / "layout.json").read_text())[0])


def lucky_episodes(name: str, layout: int, steps: int, seed: int) -> int:
    """How many episodes succeed in so many steps at random."""
    from trueward.tasks.control.minigrid import MazeVectorEnv

    env, generator = MazeVectorEnv(name, 64, layout=layout), np.random.default_rng(seed)
    env.reset(seed=seed)
    actions = len(env.mazes[0].env.actions)
    return sum(int(env.step(generator.integers(0, actions, 64))[2].sum()) for _ in range(-(-steps // 64)))
