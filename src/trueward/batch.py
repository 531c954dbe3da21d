"""What flows between the stages: rollouts, scores, preferences, transitions, trees.

Frozen records with shapes in their annotations. N rollouts, T decisions (tokens, steps, denoising steps), S segments.
Arrays may be NumPy or torch; scores are always NumPy float64, because rewards are few numbers that must be exact.

Failure is a value: every part of a score has a status per row. A row whose failure is the answer's fault earns the
lowest reward of the declared range, so that breaking the parser never pays more than being wrong; a row that failed
for any other reason is NaN in `Scores.total` and leaves the statistics of its group.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from trueward.status import Status

Level = Literal["rollout", "segment", "token"]
_DIMENSIONS: dict[Level, int] = {"rollout": 1, "segment": 2, "token": 2}


@dataclass(frozen=True)
class Text:
    """Content of language rollouts.

    Attributes:
        prompts: N prompts, text or chat messages.
        completions: N completions, text or chat messages.
        token_ids: tokens of prompt and completion, L columns; None for text that was not tokenized. Prompts are padded
            on the left and completions on the right, so that the decisions of `Rollouts.mask` are the last T columns.
        attention: True on tokens, False on padding.
    """

    prompts: Sequence[Any]
    completions: Sequence[Any]
    token_ids: Int[Any, "n l"] | None = None
    attention: Bool[Any, "n l"] | None = None

    def __len__(self) -> int:
        """Number of rollouts."""
        return len(self.completions)


@dataclass(frozen=True)
class Path:
    """Content of control rollouts: what was observed and done at each step."""

    observations: Shaped[Any, "n t *observation"]
    actions: Shaped[Any, "n t *action"]

    def __len__(self) -> int:
        """Number of rollouts."""
        return len(self.observations)


@dataclass(frozen=True)
class Denoising:
    """Content of generator rollouts: the sample at each level of noise, and what it was made for.

    T denoising steps pass through T + 1 samples, from noise to clean; step i is the decision that leads from sample i
    to sample i + 1. Images that nobody denoised here have T = 0.

    Attributes:
        prompts: N prompts.
        samples: x at each level, [N, T + 1, *sample]; images in [−1, 1] as [N, T + 1, C, H, W].
        times: t at each level, from 1 (noise) to 0 (clean); None when unknown.
        decoded: the images, [N, C, H, W] in [−1, 1], where samples are latents; None where the last samples are images.
    """

    prompts: Sequence[Any]
    samples: Float[Any, "n levels *sample"]
    times: Float[Any, " levels"] | None = None
    decoded: Float[Any, "n c h w"] | None = None

    def __len__(self) -> int:
        """Number of rollouts."""
        return len(self.samples)

    @property
    def final(self) -> Any:
        """What was made: decoded images, or the last samples, [N, *sample]."""
        return self.samples[:, -1] if self.decoded is None else self.decoded


@dataclass(frozen=True)
class Rollouts:
    """N rollouts of a policy.

    Attributes:
        content: the only field that depends on the modality.
        group: rollouts with the same number answer the same prompt and are comparable.
        mask: True on decisions that the policy made itself: never padding, tool results or environment text.
        logprobs: log-probability of each decision under the policy that sampled it.
        ref_logprobs: the same under the reference policy.
        segments: the step or turn that each decision belongs to; −1 outside.
        source: which policy or prefix each rollout came from.
        features: named arrays [N, T, …], produced only when asked for.
        reference: one mapping per row with what a reward may read (answer, tests, rubric). What is really wanted
            (gold) is not here.
    """

    content: Text | Path | Denoising
    group: Int[Any, " n"] | None = None
    mask: Bool[Any, "n t"] | None = None
    logprobs: Float[Any, "n t"] | None = None
    ref_logprobs: Float[Any, "n t"] | None = None
    segments: Int[Any, "n t"] | None = None
    source: Int[Any, " n"] | None = None
    features: Mapping[str, Any] = field(default_factory=dict)
    reference: Sequence[Mapping[str, Any]] = ()

    def __post_init__(self) -> None:
        """Raises `ValueError` when a field does not have one entry per rollout."""
        n = len(self.content)
        arrays = {
            name: getattr(self, name) for name in ("group", "mask", "logprobs", "ref_logprobs", "segments", "source")
        }
        for name, value in {**arrays, **self.features, "reference": self.reference or None}.items():
            if value is not None and len(value) != n:
                raise ValueError(f"rollouts.{name} has {len(value)} entries for {n} rollouts")

    def __len__(self) -> int:
        """Number of rollouts."""
        return len(self.content)


@dataclass(frozen=True)
class Part:
    """One named component of a reward.

    Attributes:
        values: scores; NaN wherever the status of the row is not ok.
        status: what became of each row.
        level: whether a value belongs to a rollout [N], a segment [N, S] or a token [N, T].
        weight: factor in the total.
        exists: for segments and tokens, True where there is one; None for rollouts.
        low: lowest value of the declared range; None when none is declared.
        high: highest value of the declared range; None when none is declared.
        details: one line per row that says what happened; () when there is nothing to say.
    """

    values: Float[np.ndarray, "..."]
    status: Sequence[Status]
    level: Level = "rollout"
    weight: float = 1.0
    exists: Bool[np.ndarray, "..."] | None = None
    low: float | None = None
    high: float | None = None
    details: Sequence[str] = ()

    def __post_init__(self) -> None:
        """Raises `ValueError` when shapes and statuses do not fit, or a value that is ok is not finite."""
        if self.values.ndim != _DIMENSIONS[self.level] or len(self.status) != len(self.values):
            raise ValueError(
                f"a {self.level} part needs {_DIMENSIONS[self.level]} dimensions and one status per row; got values of "
                f"shape {self.values.shape} and {len(self.status)} statuses"
            )
        if self.exists is not None and self.exists.shape != self.values.shape:
            raise ValueError(f"exists has shape {self.exists.shape}, values have {self.values.shape}")
        if not np.isfinite(self.values[self.present]).all():
            raise ValueError("a value whose row is ok is not finite: give the row the status NOT_FINITE instead")

    @property
    def ok(self) -> Bool[np.ndarray, " n"]:
        """True on rows with a usable value."""
        return np.array([status.ok for status in self.status], dtype=bool)

    @property
    def present(self) -> Bool[np.ndarray, "..."]:
        """True on every value that counts."""
        rows = self.ok if self.level == "rollout" else np.broadcast_to(self.ok[:, None], self.values.shape)
        return rows if self.exists is None else rows & self.exists

    def filled(self) -> Float[np.ndarray, "..."]:
        """Values with the failure rule applied.

        Rows that failed by the answer's fault earn `low` (`high` where the weight is negative), or, where no range is
        declared, the lowest value that is ok in this batch (the highest); rows that failed for any other reason are
        NaN, and so are those of the first kind when there is nothing to compare them with. Segments and tokens that do
        not exist are 0.
        """
        worst, seen = (self.low, np.min) if self.weight >= 0 else (self.high, np.max)
        if worst is None:
            worst = float(seen(self.values[self.present])) if self.present.any() else np.nan
        values = np.where(self.present, self.values, 0.0)
        blamed = np.array([status.blames_answer for status in self.status], dtype=bool)
        lost = ~self.ok & ~blamed
        if self.level == "rollout":
            return np.where(lost, np.nan, np.where(blamed, worst, values))
        values = np.where(lost[:, None], np.nan, values)
        # One worst reward for the row, not one for each of its segments: at its last one.
        for row in np.flatnonzero(blamed).tolist():
            values[row, _last(self.exists, row, values.shape[1])] = worst
        return values


def _last(exists: np.ndarray | None, row: int, width: int) -> int:
    if exists is None or not exists[row].any():
        return width - 1
    return int(np.flatnonzero(exists[row])[-1])


@dataclass(frozen=True)
class Scores:
    """What a reward says about N rollouts, part by part. No total is stored: see `total`."""

    parts: Mapping[str, Part]

    def __post_init__(self) -> None:
        """Raises `ValueError` for no parts, or parts of different lengths."""
        lengths = {name: len(part.status) for name, part in self.parts.items()}
        if not lengths or len(set(lengths.values())) > 1:
            raise ValueError(f"scores need at least one part, all with the same number of rows; got {lengths}")

    def __len__(self) -> int:
        """Number of rollouts."""
        return len(next(iter(self.parts.values())).status)

    @property
    def paid(self) -> Mapping[str, Part]:
        """Parts that enter the total: those of another weight than 0. All of them where there are no others."""
        return {name: part for name, part in self.parts.items() if part.weight} or self.parts

    def total(self, level: Level = "rollout") -> Float[np.ndarray, "..."]:
        """Weighted sum of the parts at one level, with the failure rule of each part applied.

        Parts of weight 0 are there to be seen: what fails in them takes nothing from the others. At level "rollout"
        segment and token parts are summed over their existing entries. At a finer level a rollout part joins at the
        row's last existing entry.

        Returns:
            [N] or [N, S] or [N, T]; NaN on rows where a part failed without the answer being to blame.

        Raises:
            ValueError: segment and token parts are mixed, or no part has the finer level asked for.
        """
        if level == "rollout":
            columns = [
                part.weight * part.filled() if part.level == "rollout" else part.weight * part.filled().sum(axis=1)
                for part in self.paid.values()
            ]
            summed: np.ndarray = np.sum(columns, axis=0)
            return summed
        finer = [part for part in self.paid.values() if part.level == level]
        if not finer or any(part.level not in (level, "rollout") for part in self.paid.values()):
            raise ValueError(
                f"parts { ({n: p.level for n, p in self.paid.items()}) } cannot be joined at level {level!r}"
            )
        exists = finer[0].exists
        total: np.ndarray = np.sum([part.weight * part.filled() for part in finer], axis=0)
        for part in self.paid.values():
            if part.level == "rollout":
                for row, value in enumerate(part.weight * part.filled()):
                    total[row, _last(exists, row, total.shape[1])] += value
        return total

    @property
    def status(self) -> list[Status]:
        """One status per row: ok, or the first one that is not, those that are not the answer's fault first."""
        rows = zip(*(part.status for part in self.paid.values()), strict=True)
        return [min(row, key=lambda status: (status.ok, status.blames_answer)) for row in rows]


@dataclass(frozen=True)
class Preferences:
    """Pairs of rollouts and which of each is better.

    Attributes:
        a, b: rollouts; pair i compares a[i] with b[i].
        label: probability that a is better, in [0, 1]; .5 is a tie.
        weight: weight of each pair.
        margin: by how much the better one should be better; None when unknown.
        id: stable number of each pair, for memories per pair.
    """

    a: Rollouts
    b: Rollouts
    label: Float[Any, " n"]
    weight: Float[Any, " n"] | None = None
    margin: Float[Any, " n"] | None = None
    id: Int[Any, " n"] | None = None

    def __post_init__(self) -> None:
        """Raises `ValueError` when the fields do not have one entry per pair."""
        lengths = {name: len(value) for name, value in vars(self).items() if value is not None}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"preferences have fields of different lengths: {lengths}")


@dataclass(frozen=True)
class Transitions:
    """One step of a batch of N environments. An episode that ended is never confused with one that was cut off.

    Attributes:
        observation: before the step.
        action: what the policy did.
        reward: what the environment itself paid.
        next_observation: after the step. Where an episode was over it is the last observation of that episode, never
            the first of the next one.
        terminated: True where the step led to a terminal state: nothing can be earned after it.
        truncated: True where the episode was only cut off (a time limit): the state is as good as it was.
        exists: False where the environment was reset in place of a step, so that there is no transition; None where all
            exist.
        features: named arrays [N, ...] out of the environment's `info`.
    """

    observation: Shaped[Any, "n *observation"]
    action: Shaped[Any, "n *action"]
    reward: Float[Any, " n"]
    next_observation: Shaped[Any, "n *observation"]
    terminated: Bool[Any, " n"]
    truncated: Bool[Any, " n"]
    exists: Bool[Any, " n"] | None = None
    features: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        """Number of environments."""
        return len(self.reward)


@dataclass(frozen=True)
class Tree:
    """A search tree of M nodes; the root is node 0.

    Attributes:
        parent: number of the parent; −1 for the root.
        prefix: what has been generated or done up to the node.
        value: estimated value.
        visits: how often the node was visited.
        snapshot: saved environment state per node, or None where there is none.
    """

    parent: Int[Any, " m"]
    prefix: Sequence[Any]
    value: Float[Any, " m"]
    visits: Int[Any, " m"]
    snapshot: Sequence[Any]


@dataclass(frozen=True)
class Context:
    """Where training stands, for rewards that depend on it.

    Attributes:
        step: current update.
        total_steps: planned updates; None when open.
        training: False while evaluating: nothing that keeps statistics may update them then.
        policy: the policy being trained.
        reference_policy: the policy it must stay near.
        generator: source of randomness.
    """

    step: int = 0
    total_steps: int | None = None
    training: bool = False
    policy: Any = None
    reference_policy: Any = None
    generator: np.random.Generator | None = None
