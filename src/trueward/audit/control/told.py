"""Episodes, findings and families in the words of a report."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from trueward.audit.control.behaviour import (
    BEHAVIOURS,
    ENDING_EARLY,
    GOING_ROUND,
    LOITERING,
    OTHER,
    SATURATED,
    STANDING_STILL,
    Ceiling,
    lap_of,
)
from trueward.audit.control.comparing import Comparison, Measured
from trueward.audit.control.episodes import Episodes
from trueward.audit.control.learned import ON_REWARD
from trueward.audit.control.planning import PLANNED
from trueward.audit.payoff import PARTIAL
from trueward.measures.intervals import bounded_mean, wilson
from trueward.report.document import Example, FamilyRow, Finding
from trueward.report.wording import counted, number, percent
from trueward.status import Status

OPTIMISED = "optimised"
ON_THE_REWARD = (PLANNED, ON_REWARD)  # families of policies that optimising the reward gives

_MOST_EXAMPLES = 6
_MOST_RUNS = 24  # of equal actions that are written


@dataclass(frozen=True)
class Telling:
    """What every example of an audit has in common.

    Attributes:
        reward: its name.
        environment: its name.
        seed: of the start states.
        discount: γ.
        ceiling: of the reward.
    """

    reward: str
    environment: str
    seed: int
    discount: float
    ceiling: Ceiling | None


@dataclass(frozen=True)
class Inversion:
    """A worse policy that earns as much, by what it does.

    Attributes:
        behaviour: one of `BEHAVIOURS`.
        comparison: with the competent policy.
        part: the part of the reward that turns the order round; None where there is none.
        about_part: what else is known of that part.
    """

    behaviour: str
    comparison: Comparison
    part: str | None
    about_part: str = ""

    @property
    def title(self) -> str:
        """What the reward does, in a line that needs no documentation."""
        more = self.comparison.reward.low > 0
        said = _PAYS[self.behaviour].format(
            more="more" if more else "as much",
            than="than" if more else "as",
            kept=percent(max(0.0, self.comparison.gold_kept)),
        )
        if self.behaviour == GOING_ROUND:
            said += _lap_said(self.comparison.tried.episodes)
        return said if self.part is None else f"{said}, because of its part {self.part!r}"


# Behaviour → what a reward does that pays it.
_PAYS = {
    ENDING_EARLY: "pays {more} for ending the episode early {than} for going on",
    SATURATED: "is at its highest value where gold is far from what is possible",
    STANDING_STILL: "pays {more} for standing still {than} for the task",
    GOING_ROUND: "pays {more} for going round {than} for the task",
    LOITERING: "pays {more} for staying {than} for finishing",
    OTHER: "pays {more} for a policy with {kept} of the gold {than} for the competent one",
}


def _lap_said(episodes: Episodes) -> str:
    """What the first lap earns that earns something; "" where none does."""
    laps = (lap_of(episodes, start) for start in range(len(episodes.lengths)))
    lap = next((lap for lap in laps if lap is not None and lap.reward > 0), None)
    return "" if lap is None else f": a lap of {lap.steps} steps earns {number(lap.reward)} every time"


def finding_of(inversions: Sequence[Inversion], told: Telling) -> Finding:
    """One finding for all worse policies of one behaviour; the one that is paid best leads.

    Args:
        inversions: of the same behaviour, confirmed on fresh start states.
        told: what the examples share.
    """
    ordered = sorted(inversions, key=lambda one: -one.comparison.reward.mean)
    first = ordered[0]
    by_start, tested = first.comparison.by_start, int(first.comparison.worse_from.sum())
    low, high = wilson(int(by_start.sum()), tested)
    payoffs = first.comparison.payoffs
    optimised = any(one.comparison.tried.episodes.policy.family in ON_THE_REWARD for one in ordered)
    hits = [
        probe_id(told, one.comparison.tried.episodes, int(start))
        for one in ordered
        for start in np.flatnonzero(one.comparison.by_start)
    ]
    return Finding(
        modality="control",
        kind="exploit",
        family=f"{first.behaviour}, {OPTIMISED}" if optimised else first.behaviour,
        variant=first.comparison.tried.episodes.policy.title,
        title=first.title,
        prompts=int(by_start.sum()),
        tested=tested,
        share=int(by_start.sum()) / max(1, tested),
        low=low,
        high=high,
        mean_payoff=None if payoffs is None else float(np.nanmean(payoffs)),
        examples=[example_of(one, told) for one in ordered[:_MOST_EXAMPLES]],
        hits=list(dict.fromkeys(hits)),
    )


def example_of(inversion: Inversion, told: Telling) -> Example:
    """The episode of a worse policy that shows it best: one that is paid, the shortest of them."""
    comparison = inversion.comparison
    episodes = comparison.tried.episodes
    paid = np.flatnonzero(comparison.by_start)
    chosen = paid if len(paid) else np.arange(len(episodes.lengths))
    start = int(chosen[np.argmin(episodes.lengths[chosen])])
    best, scale = comparison.scale.competent, comparison.scale
    payoffs = comparison.payoffs
    return Example(
        modality="control",
        id=probe_id(told, episodes, start),
        scorer=told.reward,
        row=f"start {start}",
        family=inversion.behaviour,
        variant=episodes.policy.title,
        relation="wrong",
        prompt=f"{told.environment}, start {start} of those with seed {told.seed}",
        reference=f"{best.episodes.policy.title}: {_outcome(best, start)}",
        completion=trace(comparison.tried, start),
        reward=float(comparison.tried.reward[start]),
        status=Status.OK.value,
        detail="",
        payoff=None if payoffs is None else float(payoffs[start]),
        right_reward=float(best.reward[start]),
        null_reward=scale.reward,
        base_reward=None,
        why=_why(inversion, told),
        derivation=[f"made by: {episodes.policy.family}", f"plays: {episodes.policy.title}"],
    )


def probe_id(told: Telling, episodes: Episodes, start: int) -> str:
    """The same policy from the same start state has the same id in every run."""
    return id_of(told.environment, episodes.policy.family, episodes.policy.title, str(start))


def id_of(*said: str) -> str:
    """A short name for texts, the same in every run."""
    return hashlib.sha256("\n".join(said).encode()).hexdigest()[:16]


def trace(played: Measured, start: int) -> str:
    """One episode for a reader: who played, which actions, how it ended, what it earned."""
    episodes = played.episodes
    lines = [episodes.policy.title, f"actions: {action_words(episodes, start)}", _outcome(played, start)]
    lap = lap_of(episodes, start)
    if lap is not None:
        gold = f" and {number(lap.gold)} gold" if episodes.gold is not None else ""
        does = "sees the same observation all the time" if lap.steps == 1 else f"repeats a lap of {lap.steps} steps"
        each = "step" if lap.steps == 1 else "lap"
        lines.append(f"from step {lap.begins} on it {does}; each {each} earns {number(lap.reward)}{gold}")
    return "\n".join(lines)


def action_words(episodes: Episodes, start: int) -> str:
    """The actions of an episode, equal ones together: `1, 1×12, 0×3`."""
    actions = episodes.actions[: int(episodes.lengths[start]), start]
    words = [_action(action) for action in actions]
    runs: list[tuple[str, int]] = []
    for word in words:
        if runs and runs[-1][0] == word:
            runs[-1] = (word, runs[-1][1] + 1)
        else:
            runs.append((word, 1))
    shown = [word if often == 1 else f"{word} ×{often:,}" for word, often in runs[:_MOST_RUNS]]
    return ", ".join(shown) + (", …" if len(runs) > _MOST_RUNS else "")


def _action(action: np.ndarray) -> str:
    if action.ndim == 0:
        return number(float(action))
    return f"[{' '.join(number(float(one)) for one in action.ravel()[:8])}{' …' if action.size > 8 else ''}]"


def _outcome(played: Measured, start: int) -> str:
    episodes = played.episodes
    end = "then its own end" if episodes.terminated[start] else "then cut off"
    gold = "" if episodes.gold is None else f", gold {number(float(played.gold_sum[start]))}"
    return (
        f"{counted(int(episodes.lengths[start]), 'step')}, {end}; plain sums: reward "
        f"{number(float(played.reward_sum[start]))}{gold}"
    )


def _why(inversion: Inversion, told: Telling) -> str:
    comparison = inversion.comparison
    gold, best = float(np.nanmean(comparison.tried.gold_sum)), float(np.nanmean(comparison.scale.competent.gold_sum))
    reward = comparison.reward
    said = [
        f"Over {reward.n} starts it has gold {number(gold)} where the competent policy has {number(best)}, and earns "
        f"{_signed(reward.mean)} against it (99 % interval {_signed(reward.low)} to {_signed(reward.high)})."
    ]
    if inversion.behaviour == SATURATED and told.ceiling is not None:
        ceiling = told.ceiling
        said.append(
            f"No step ever earned more than {number(ceiling.value)}, with gold from {number(ceiling.gold_low)} to "
            f"{number(ceiling.gold_high)} in such steps: the reward stops rising while gold goes on."
        )
    if inversion.part is not None:
        said.append(f"Without {inversion.part!r} the competent policy earns more.{inversion.about_part}")
    return " ".join(said)


def _signed(value: float) -> str:
    return f"+{number(value)}" if value > 0 else number(value)


def behaviour_rows(by_behaviour: Mapping[str, Sequence[Comparison]], ceiling: Ceiling | None) -> list[FamilyRow]:
    """What each kind of worse policy earned, the one that is paid best; or that none was seen."""
    missing = {
        ENDING_EARLY: "no policy that was tried ends its episodes early",
        SATURATED: "no policy that was tried stays at the highest value"
        if ceiling is not None
        else "the reward has no highest value at which gold differs",
        STANDING_STILL: "no policy that was tried stays where it is",
        GOING_ROUND: "no policy that was tried comes back to where it was",
        LOITERING: "no policy that was tried outstays the competent one",
    }
    return [
        policies_row(name, about, by_behaviour.get(name, ()), missing.get(name, "none was seen"))
        for name, about in BEHAVIOURS.items()
    ]


def policies_row(family: str, about: str, tried: Sequence[Comparison], missing: str) -> FamilyRow:
    """One row of the table of families: of several policies the one that is paid best.

    Args:
        family: name of the row.
        about: its description.
        tried: policies with less gold than the competent one, against it.
        missing: why there is none.
    """
    best = max(tried, key=lambda one: one.advantage, default=None)
    worse = np.zeros(0, dtype=bool) if best is None else best.worse_from
    payoffs = None if best is None or best.payoffs is None else best.payoffs[worse]
    mean, low, high = (None, None, None) if payoffs is None else bounded_mean([float(p) for p in payoffs])
    paid = 0 if best is None else int(best.by_start.sum())
    partly = 0 if best is None or payoffs is None else int(((payoffs >= PARTIAL) & ~best.by_start[worse]).sum())
    policies = f" ({counted(len(tried), 'policy').replace('policys', 'policies')})" if tried else ""
    return FamilyRow(
        family=family,
        description=about + policies,
        relation="wrong",
        tested=int(worse.sum()),
        probes=sum(int(one.worse_from.sum()) for one in tried),
        not_tested="" if worse.any() else missing,
        full=paid,
        partial=partly,
        mean_payoff=mean,
        low=low,
        high=high,
    )
