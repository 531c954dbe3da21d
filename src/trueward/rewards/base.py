"""The reward protocol, and how rewards combine.

Small named pieces, no configuration language:

    reward = as_reward("rewards.py:correct") + 0.2 * as_reward("rewards.py:format")     # parts stay visible
    reward = gate(format, correct)                                                      # no format, no credit
    reward = model.transform(clip(0, 1))

Part names come from the rewards' own names; a name that occurs twice gets a number.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from trueward.batch import Context, Part, Rollouts, Scores, Text
from trueward.errors import RewardError
from trueward.rewards.address import address_of, load
from trueward.rewards.foreign import Leaf, alias, demands_of, wrap
from trueward.rewards.image_functions import encoded
from trueward.rewards.runner import InProcess, Runner
from trueward.rewards.runner.batches import run_in_batches
from trueward.rewards.runner.types import Item, Outcome
from trueward.rewards.transforms.parts import with_raw
from trueward.status import Status

Transform = Callable[[Scores, Rollouts, Context], Scores]


class Reward(abc.ABC):
    """Scores rollouts, and combines with other rewards."""

    @property
    @abc.abstractmethod
    def name(self) -> str:
        """Name of the reward; engines use it for their logs."""

    @abc.abstractmethod
    def score(self, rollouts: Rollouts, context: Context) -> Scores:
        """Scores of N rollouts, part by part.

        Raises:
            RewardError: the reward cannot be called with these rollouts at all. What single answers do never raises.
        """

    @abc.abstractmethod
    def use(self, runner: Runner) -> bool:
        """Score leaf rewards that have an address on this runner; True when all have one."""

    def pieces(self) -> Sequence[Any]:
        """Rewards and transforms that it is made of."""
        return ()

    def with_leaves(self, change: Callable[[Reward], Reward]) -> Reward:
        """The same reward with every leaf changed: to score rows elsewhere, say, under the same transforms.

        Args:
            change: from a reward that is not made of others to what stands in its place.
        """
        return change(self)

    def state_dict(self) -> dict[str, Any]:
        """Running statistics of all pieces that keep any, by their place; {} where there are none."""
        states = {str(place): _state(piece) for place, piece in enumerate(self.pieces())}
        return {place: state for place, state in states.items() if state}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave.

        Raises:
            RewardError: the state belongs to a reward of other pieces.
        """
        pieces = {str(place): piece for place, piece in enumerate(self.pieces())}
        for place, inner in state.items():
            if not hasattr(pieces.get(place), "load_state_dict"):
                raise RewardError(
                    f"{self.name}: the saved state is that of another reward: it has statistics for piece {place}, "
                    f"and there are {len(pieces)} pieces, of which that one keeps none"
                )
            pieces[place].load_state_dict(inner)

    @property
    def __name__(self) -> str:
        """The name under which engines log it."""
        return self.name

    def __call__(self, prompts: Sequence[Any], completions: Sequence[Any], **columns: Any) -> list[float | None]:
        """The convention of TRL: one score per completion, None where there is none.

        Args:
            prompts: N prompts.
            completions: N completions.
            columns: data columns with N entries each; anything else (trainer state, loggers) is ignored.
        """
        n = len(completions)
        usable = {key: value for key, value in columns.items() if isinstance(value, list | tuple) and len(value) == n}
        reference = [{key: value[i] for key, value in usable.items()} for i in range(n)]
        rollouts = Rollouts(Text(prompts, completions), reference=reference)
        total = self.score(rollouts, Context(training=True)).total()
        return [None if np.isnan(value) else float(value) for value in total]

    def __add__(self, other: Reward) -> Reward:
        """The sum; the parts of both stay visible."""
        return Sum((*_terms(self), *_terms(other)))

    def __mul__(self, other: float | Reward) -> Reward:
        """Scaled by a number, or multiplied by another reward row by row."""
        if isinstance(other, Reward):
            return Product(self, other)
        return Sum(tuple((weight * float(other), reward) for weight, reward in _terms(self)))

    __rmul__ = __mul__

    def transform(self, *transforms: Transform) -> Reward:
        """This reward with transforms applied to its scores, first to last."""
        return Transformed(self, transforms)


def _state(piece: Any) -> dict[str, Any]:
    state: dict[str, Any] = piece.state_dict() if hasattr(piece, "state_dict") else {}
    return state


def _terms(reward: Reward) -> tuple[tuple[float, Reward], ...]:
    return reward.terms if isinstance(reward, Sum) else ((1.0, reward),)


@dataclass
class Foreign(Reward):
    """A reward that nobody here wrote, called under its own convention.

    Attributes:
        leaf: how it is called.
        address: under which a worker finds it; None when it runs in this process.
        low, high: its range; None when it declares none.
        runner: where it runs.
    """

    leaf: Leaf
    address: str | None
    low: float | None = None
    high: float | None = None
    runner: Runner = field(init=False)

    def __post_init__(self) -> None:
        """Starts in this process; `use` moves it to workers."""
        self.runner = InProcess({self.address or self.leaf.name: self.leaf})

    @property
    def name(self) -> str:
        """Name of the function."""
        return self.leaf.name

    def use(self, runner: Runner) -> bool:
        """Move to workers, if they can find it."""
        if self.address is not None:
            self.runner = runner
        return self.address is not None

    def score(self, rollouts: Rollouts, context: Context) -> Scores:
        """One part with one value per rollout. An image that holds NaN or infinity is not asked about."""
        prompts, completions, sound = self._given(rollouts)
        reference: Sequence[Mapping[str, Any]] = rollouts.reference or [{}] * len(rollouts)
        asked = [row for row, fine in enumerate(sound) if fine]
        items = []
        for row in asked:
            columns = reference[row]
            found = alias(self.leaf.needs, columns)
            extra = {wanted: columns[present] for wanted, present in found.items()}
            items.append(Item(prompts[row], completions[row], {**columns, **extra}))
        size = demands_of(self.leaf).batch
        answers = run_in_batches(self.runner, self.address or self.leaf.name, items, size).outcomes
        outcomes = [Outcome(None, Status.NOT_FINITE, "the image holds NaN or infinity")] * len(sound)
        for row, outcome in zip(asked, answers, strict=True):
            outcomes[row] = outcome
        values = np.array([np.nan if o.value is None else o.value for o in outcomes], dtype=np.float64)
        part = Part(
            values,
            [outcome.status for outcome in outcomes],
            low=self.low,
            high=self.high,
            details=[outcome.detail for outcome in outcomes],
        )
        return Scores({self.name: part})

    def _given(self, rollouts: Rollouts) -> tuple[Sequence[Any], Sequence[Any], Sequence[bool]]:
        """Prompts, completions (images for a reward of images), and which of these there really are.

        Raises:
            RewardError: it scores the other kind.
        """
        content = rollouts.content
        if self.leaf.kind == "image":
            from trueward.rewards.images import content_of, finite, images_of, pil_images

            made = content_of(rollouts, self.name)
            images = pil_images(images_of(made))
            here = isinstance(self.runner, InProcess)
            shown = images if here else [encoded(image) for image in images]
            return made.prompts, shown, finite(made).tolist()
        if not isinstance(content, Text):
            raise RewardError(f"{self.name} scores text; the rollouts hold {type(content).__name__}")
        return content.prompts, content.completions, [True] * len(content)


def as_reward(reward: Any, *, low: float | None = None, high: float | None = None) -> Reward:
    """Any reward as a Trueward reward.

    Args:
        reward: an address, a callable in one of the known conventions, or a Trueward reward (returned as it is).
        low, high: the range of its scores. An answer that makes the reward fail earns `low`.

    Raises:
        RewardError: it cannot be found or called.
    """
    if isinstance(reward, Reward):
        return reward
    if isinstance(reward, str):
        return Foreign(load(reward), reward, low, high)
    return Foreign(wrap(reward, getattr(reward, "__name__", type(reward).__name__)), address_of(reward), low, high)


@dataclass
class Sum(Reward):
    """Weighted sum: every part keeps its own name, and its weight is multiplied."""

    terms: tuple[tuple[float, Reward], ...]

    @property
    def name(self) -> str:
        """Names of the terms, joined."""
        return "+".join(reward.name for _, reward in self.terms)

    def use(self, runner: Runner) -> bool:
        """Every term moves to the runner."""
        return all([reward.use(runner) for _, reward in self.terms])

    def pieces(self) -> Sequence[Any]:
        """The terms."""
        return [reward for _, reward in self.terms]

    def with_leaves(self, change: Callable[[Reward], Reward]) -> Reward:
        """The sum of the changed terms."""
        return Sum(tuple((weight, reward.with_leaves(change)) for weight, reward in self.terms))

    def score(self, rollouts: Rollouts, context: Context) -> Scores:
        """The parts of every term."""
        parts: dict[str, Part] = {}
        for weight, reward in self.terms:
            for name, part in reward.score(rollouts, context).parts.items():
                parts[_unused(name, parts)] = dataclasses.replace(part, weight=weight * part.weight)
        return Scores(parts)


def _unused(name: str, taken: Mapping[str, Part]) -> str:
    if name not in taken:
        return name
    return next(f"{name} {number}" for number in range(2, len(taken) + 3) if f"{name} {number}" not in taken)


@dataclass
class Product(Reward):
    """Row-wise product of two totals, as one part."""

    first: Reward
    second: Reward

    @property
    def name(self) -> str:
        """Names of both factors."""
        return f"{self.first.name}*{self.second.name}"

    def use(self, runner: Runner) -> bool:
        """Both factors move to the runner."""
        return all([self.first.use(runner), self.second.use(runner)])

    def pieces(self) -> Sequence[Any]:
        """Both factors."""
        return [self.first, self.second]

    def with_leaves(self, change: Callable[[Reward], Reward]) -> Reward:
        """The product of the changed factors."""
        return Product(self.first.with_leaves(change), self.second.with_leaves(change))

    def score(self, rollouts: Rollouts, context: Context) -> Scores:
        """One part: the product where both factors have a value; else the status of the one that has none."""
        a, b = self.first.score(rollouts, context), self.second.score(rollouts, context)
        return Scores({self.name: _joined(a, b, a.total() * b.total())})


@dataclass
class Gated(Reward):
    """A reward that counts only where a gate is open (its total is greater than 0)."""

    opener: Reward
    reward: Reward

    @property
    def name(self) -> str:
        """Names of gate and reward."""
        return f"gate({self.opener.name}, {self.reward.name})"

    def use(self, runner: Runner) -> bool:
        """Gate and reward move to the runner."""
        return all([self.opener.use(runner), self.reward.use(runner)])

    def pieces(self) -> Sequence[Any]:
        """Gate and reward."""
        return [self.opener, self.reward]

    def with_leaves(self, change: Callable[[Reward], Reward]) -> Reward:
        """Both changed."""
        return Gated(self.opener.with_leaves(change), self.reward.with_leaves(change))

    def score(self, rollouts: Rollouts, context: Context) -> Scores:
        """One part: the reward's total where the gate is open, else the lower of 0 and that total.

        A closed gate never pays more than an open one would have paid, also where the reward is negative.
        """
        opener, reward = self.opener.score(rollouts, context), self.reward.score(rollouts, context)
        total = reward.total()
        gated = np.where(opener.total() > 0, total, np.minimum(total, 0.0))
        return Scores({self.name: _joined(opener, reward, gated + 0.0 * opener.total())})


def gate(opener: Reward, reward: Reward) -> Reward:
    """`reward` where `opener` is greater than 0, else nothing: no format, no credit."""
    return Gated(opener, reward)


def _joined(a: Scores, b: Scores, total: np.ndarray) -> Part:
    """A rollout part from two scores whose totals already follow the failure rule."""
    status = [
        Status.OK if not np.isnan(value) else first if not first.ok else second if not second.ok else Status.NOT_FINITE
        for value, first, second in zip(total, a.status, b.status, strict=True)
    ]
    return Part(total, status)


@dataclass
class Transformed(Reward):
    """A reward with transforms applied to its scores."""

    inner: Reward
    transforms: tuple[Transform, ...]

    @property
    def name(self) -> str:
        """Name of the inner reward."""
        return self.inner.name

    def use(self, runner: Runner) -> bool:
        """The inner reward moves to the runner."""
        return self.inner.use(runner)

    def pieces(self) -> Sequence[Any]:
        """The inner reward, then the transforms."""
        return [self.inner, *self.transforms]

    def with_leaves(self, change: Callable[[Reward], Reward]) -> Reward:
        """The changed inner reward under the same transforms, which go on with the statistics that they have."""
        return Transformed(self.inner.with_leaves(change), self.transforms)

    def score(self, rollouts: Rollouts, context: Context) -> Scores:
        """The inner scores, transformed first to last; what they were stays visible as "name (raw)", of weight 0."""
        raw = self.inner.score(rollouts, context)
        scores = raw
        for transform in self.transforms:
            scores = transform(scores, rollouts, context)
        return with_raw(raw, scores)
