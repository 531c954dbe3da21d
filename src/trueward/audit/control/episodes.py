"""Whole episodes of a policy, from the same start states for every policy, with what the reward and gold say of them.

Two returns are kept. The plain sum is what a reader expects. The discounted one is what an optimiser sees: an episode
that was only cut off is worth what would have come after it, and is taken to go on as it did. Where its last
observation was there before in the second half, at step b, it goes round and round between the two; otherwise it goes
on as in its second half on average:

    G = Σ_{t<T} γ^t r_t + γ^T · Σ_{b≤t<T} γ^(t−b) r_t / (1 − γ^(T−b))     or     … + γ^T / (1 − γ) · mean_{t≥T/2} r_t

For a policy that stands or goes round that is exact, and a reward with potential-based shaping differs from the same
reward without by what the start is worth, as it must. Cut off at a time limit it would not.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from trueward.audit.control.environments import Environments
from trueward.audit.control.policies import Policy
from trueward.audit.control.scoring import Scored, Scoring
from trueward.batch import Transitions
from trueward.tasks.control.stepping import Stepper

_LONGEST_KEPT = 32  # bytes of an observation


@dataclass(frozen=True)
class Episodes:
    """The first episode of each of N environments; T is the length of the longest.

    Attributes:
        policy: who played.
        reward, gold: [T, N], 0 after the end of an episode, NaN where there is no score; gold is None without one.
        parts: addends of the reward by name, [T, N].
        actions: [T, N, …].
        keys: number of the observation before each step and after the last, [T + 1, N]; equal numbers are equal
            observations, over all episodes of one audit.
        lengths: steps [N].
        terminated: True where the episode came to its own end, False where it was cut off [N].
    """

    policy: Policy
    reward: np.ndarray
    gold: np.ndarray | None
    parts: Mapping[str, np.ndarray]
    actions: np.ndarray
    keys: np.ndarray
    lengths: np.ndarray
    terminated: np.ndarray

    @property
    def exists(self) -> np.ndarray:
        """True where there was a step [T, N]."""
        return np.asarray(np.arange(len(self.reward))[:, None] < self.lengths)

    def discounted(self, values: np.ndarray, discount: float) -> np.ndarray:
        """Discounted return of each episode [N]; see the module's docstring.

        Args:
            values: per step [T, N].
            discount: γ in [0, 1).
        """
        return discounted(values, self.keys, self.lengths, ~self.terminated, discount)


def discounted(
    values: np.ndarray, keys: np.ndarray, lengths: np.ndarray, cut_off: np.ndarray, discount: float
) -> np.ndarray:
    """Discounted returns of N episodes, of which those that were cut off go on.

    Args:
        values: per step [T, N]; those after the end of an episode do not count.
        keys: number of the observation before each step and after the last [T + 1, N].
        lengths: steps of each episode.
        cut_off: which ones go on.
        discount: γ in [0, 1).
    """
    steps = np.arange(len(values))[:, None]
    powers = np.power(discount, steps)
    returns = (np.where(steps < lengths, values, 0.0) * powers).sum(axis=0)
    for start in np.flatnonzero(cut_off):
        length = int(lengths[start])
        half = length // 2
        again = np.flatnonzero(keys[half:length, start] == keys[length, start])
        if len(again):
            loop = values[half + int(again[0]) : length, start]
            after = float(loop @ powers[: len(loop), 0]) / (1.0 - discount ** len(loop))
        else:
            after = float(values[half:length, start].mean()) / (1.0 - discount)
        returns[start] += discount**length * after
    return np.asarray(returns)


@dataclass
class Observations:
    """Gives each observation that is seen a number."""

    numbers: dict[bytes, int] = field(default_factory=dict)

    def of(self, observation: np.ndarray) -> np.ndarray:
        """Numbers of N observations."""
        rows = np.ascontiguousarray(observation).reshape(len(observation), -1)
        # -0.0 is 0.0.
        rows = rows + 0 if rows.dtype.kind == "f" else rows
        return np.array([self.numbers.setdefault(_short(row.tobytes()), len(self.numbers)) for row in rows])


def _short(observation: bytes) -> bytes:
    """What an observation is known by: images would fill the memory."""
    if len(observation) <= _LONGEST_KEPT:
        return observation
    return hashlib.blake2b(observation, digest_size=_LONGEST_KEPT).digest()


@dataclass
class Stage:
    """Where policies play.

    Attributes:
        environments: makes them.
        reward: what is audited.
        gold: what is really wanted; None where nobody said.
        starts: N, the number of start states.
        horizon: most steps of an episode, where the environment has no limit of its own.
        observations: numbers of all observations so far.
        steps: steps that were played.
    """

    environments: Environments
    reward: Scoring
    gold: Scoring | None
    starts: int
    horizon: int
    observations: Observations = field(default_factory=Observations)
    steps: int = 0

    def play(self, policy: Policy, seed: int, kept: list[Transitions] | None = None) -> Episodes:
        """One episode from each start state.

        Args:
            policy: who plays.
            seed: decides the start states, and what a policy draws.
            kept: gets every step, as long as all episodes last.

        Raises:
            RewardError: the reward or gold cannot be called.
        """
        record = _Record()
        with contextlib.closing(self.environments.make(self.starts)) as env:
            features = {*self.reward.reward.needs(), *(self.gold.reward.needs() if self.gold else ())}
            stepper = Stepper(env, sorted(features))
            observation = stepper.reset(seed=seed)
            self.reward.begin(self.starts)
            if self.gold:
                self.gold.begin(self.starts)
            policy.begin(self.starts, _apart(seed))
            going = np.ones(self.starts, dtype=bool)
            record.keys.append(self.observations.of(observation))
            for step in range(self.horizon):
                transitions = stepper.step(policy.act(observation, step))
                scores = self.reward.score(transitions, policy.title, step)
                gold = self.gold.score(transitions, policy.title, step).value if self.gold else None
                record.add(transitions, scores, gold, self.observations.of(transitions.next_observation), going)
                observation = stepper.observation
                if kept is not None and going.all():
                    kept.append(transitions)
                self.steps += int(going.sum())
                going = going & ~(transitions.terminated | transitions.truncated)
                if not going.any():
                    break
        return record.episodes(policy)


def _apart(seed: int) -> int:
    """A seed for the policy: with that of the environment both would draw the same numbers."""
    return int(np.random.SeedSequence((seed, 1)).generate_state(1)[0])


@dataclass
class _Record:
    reward: list[np.ndarray] = field(default_factory=list)
    gold: list[np.ndarray] = field(default_factory=list)
    parts: list[Mapping[str, np.ndarray]] = field(default_factory=list)
    actions: list[np.ndarray] = field(default_factory=list)
    keys: list[np.ndarray] = field(default_factory=list)
    going: list[np.ndarray] = field(default_factory=list)
    terminated: list[np.ndarray] = field(default_factory=list)

    def add(
        self, transitions: Transitions, scores: Scored, gold: np.ndarray | None, keys: np.ndarray, going: np.ndarray
    ) -> None:
        """One step; rows that are not `going` have had their episode."""
        self.reward.append(np.where(going, scores.value, 0.0))
        if gold is not None:
            self.gold.append(np.where(going, gold, 0.0))
        self.parts.append({name: np.where(going, values, 0.0) for name, values in scores.parts.items()})
        self.actions.append(np.asarray(transitions.action))
        self.keys.append(keys)
        self.going.append(going)
        self.terminated.append(going & transitions.terminated)

    def episodes(self, policy: Policy) -> Episodes:
        """All of it."""
        zeros = np.zeros_like(self.reward[0])
        names = sorted({name for step in self.parts for name in step})
        return Episodes(
            policy=policy,
            reward=np.stack(self.reward),
            gold=np.stack(self.gold) if self.gold else None,
            parts={name: np.stack([step.get(name, zeros) for step in self.parts]) for name in names},
            actions=np.stack(self.actions),
            keys=np.stack(self.keys),
            lengths=np.stack(self.going).sum(axis=0),
            terminated=np.asarray(np.stack(self.terminated).any(axis=0)),
        )
