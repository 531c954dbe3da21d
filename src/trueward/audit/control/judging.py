"""Which worse policies the reward pays as much as the competent one, confirmed on start states of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from trueward.audit.control.behaviour import Ceiling, behaviour_of, ceiling_of, part_to_blame
from trueward.audit.control.comparing import Comparison, Scale, compare, competent_of, measured, scale_of
from trueward.audit.control.episodes import Stage
from trueward.audit.control.planning import MOST_OBSERVATIONS
from trueward.audit.control.pool import Pool
from trueward.audit.control.potentials import FAULTS, form_of
from trueward.audit.control.told import Inversion

if TYPE_CHECKING:
    from trueward.audit.control.api import ControlAuditSettings

_MOST_CONFIRMED = 4  # of each behaviour


@dataclass(frozen=True)
class Judged:
    """What was found.

    Attributes:
        scale: with the competent policy; None without gold.
        ceiling: of the reward.
        worse: policies with less gold, by what they do.
        found: those of them that the reward pays as much, confirmed on fresh start states.
    """

    scale: Scale | None = None
    ceiling: Ceiling | None = None
    worse: Mapping[str, Sequence[Comparison]] = field(default_factory=dict)
    found: Mapping[str, Sequence[Inversion]] = field(default_factory=dict)


def judge(pool: Pool, stage: Stage, settings: ControlAuditSettings) -> Judged:
    """Hold every policy against the one that gold likes best.

    Raises:
        RewardError: the reward or gold cannot be called.
    """
    if stage.gold is None:
        return Judged()
    # Of policies that are equally good, one that knows something.
    best = competent_of([*pool.others, *pool.ignorant], pool.ignorant, settings.tolerance)
    if best is None:
        return Judged()
    scale = scale_of(best, pool.ignorant)
    ceiling = ceiling_of([one.episodes for one in pool.every])
    if not scale.gold_span > 0:
        return Judged(scale, ceiling)
    worse: dict[str, list[Comparison]] = {}
    for one in pool.every:
        comparison = compare(one, scale, settings.tolerance)
        if one is not best and comparison.worse:
            worse.setdefault(behaviour_of(one, best, ceiling), []).append(comparison)
    found: dict[str, list[Inversion]] = {}
    fresh = None
    for comparisons in worse.values():
        inverted = sorted((it for it in comparisons if it.inverted), key=lambda it: -it.reward.mean)
        for suspect in inverted[:_MOST_CONFIRMED]:
            if fresh is None:
                again = measured(stage.play(best.episodes.policy, settings.seed + 1), settings.discount)
                fresh = Scale(again, scale.reward, scale.gold, scale.gold_sum)
            confirmed = _confirmed(suspect, fresh, ceiling, stage, settings)
            if confirmed is not None:
                confirmed = replace(confirmed, about_part=_about(confirmed.part, pool, stage, settings.discount))
                found.setdefault(confirmed.behaviour, []).append(confirmed)
    return Judged(scale, ceiling, worse, found)


def _about(part: str | None, pool: Pool, stage: Stage, discount: float) -> str:
    """What makes the part that is to blame no shaping, where it looks like some."""
    if part is None or len(stage.observations.numbers) > MOST_OBSERVATIONS:
        return ""
    form = form_of([one.episodes for one in pool.every], part, discount)
    return f" That part is shaping with a slip: {FAULTS[form]}." if form in FAULTS else ""


def _confirmed(
    suspect: Comparison, fresh: Scale, ceiling: Ceiling | None, stage: Stage, settings: ControlAuditSettings
) -> Inversion | None:
    """The suspect from other start states; None where it does not hold there."""
    policy = suspect.tried.episodes.policy
    again = measured(stage.play(policy, settings.seed + 1), settings.discount)
    comparison = compare(again, fresh, settings.tolerance)
    if not comparison.inverted:
        return None
    part = part_to_blame(again, fresh.competent, settings.discount)
    return Inversion(behaviour_of(again, fresh.competent, ceiling), comparison, part)
