"""What is worth knowing of a reward of control and does not change the verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trueward.audit.control.behaviour import lap_of
from trueward.audit.control.comparing import Measured
from trueward.audit.control.episodes import Stage
from trueward.audit.control.judging import Judged
from trueward.audit.control.policies import RANDOM
from trueward.audit.control.pool import Pool
from trueward.audit.control.told import trace
from trueward.audit.payoff import FULL
from trueward.report.document import Note
from trueward.report.wording import number

if TYPE_CHECKING:
    from trueward.audit.control.api import ControlAuditSettings


def notes(stage: Stage, pool: Pool, judged: Judged, settings: ControlAuditSettings) -> list[Note]:
    """All notes of an audit."""
    found = []
    if stage.gold is None:
        found += _without_gold(pool)
    else:
        found += _about_correlation(stage, pool, settings.discount)
    if judged.scale is not None and judged.scale.span <= 0 and judged.scale.gold_span > 0:
        found.append(
            Note(
                title="the competent policy earns no more than policies that know nothing",
                detail=f"{number(float(np.nanmean(judged.scale.competent.reward)))} and {number(judged.scale.reward)}",
                examples=[],
            )
        )
    return found


def _about_correlation(stage: Stage, pool: Pool, discount: float) -> list[Note]:
    """How reward and gold go together, step by step, while actions are random."""
    from trueward.audit.proxy import LEAST_EPISODES, hacking_report
    from trueward.measures.proxies import Sampled

    [played] = [one.episodes for one in pool.ignorant if one.episodes.policy.family == RANDOM]
    exists = played.exists
    if played.gold is None or len(played.lengths) < LEAST_EPISODES or not np.isfinite(played.reward[exists]).all():
        return []
    steps, episodes = np.nonzero(exists)
    base = Sampled(played.reward[exists], episodes, discount**steps)
    found = hacking_report(base, played.gold[exists])
    if found.verdict == "no spread":
        return []
    value, (low, high) = found.base.value, found.base.correlation
    title = (
        f"while actions are random, reward and gold of a step correlate by {number(value.correlation)} "
        f"(95 % interval {number(low)} to {number(high)})"
    )
    detail = "shaping moves reward between the steps of an episode, which this sees and returns do not"
    if found.verdict == "proxy":
        detail = " ".join(found.sentences[1:]) if np.isfinite(found.budget_per_deviation) else ""
    return [Note(title=title, detail=detail, examples=[])]


def _without_gold(pool: Pool) -> list[Note]:
    """What would be flaws if they were not wanted: nobody said what is."""
    found = []
    best = pool.best(by_gold=False)
    span = float(np.mean(best.reward)) - float(np.median([np.mean(one.reward) for one in pool.ignorant]))
    blind = max(pool.ignorant, key=lambda one: float(np.mean(one.reward)))
    if float(np.mean(best.reward) - np.mean(blind.reward)) <= (1.0 - FULL) * max(0.0, span):
        found.append(_note("a policy that never looks earns as much as any that was found", blind))
    lap = lap_of(best.episodes, 0)
    if lap is not None and lap.steps > 1 and lap.reward > 0:
        found.append(_note("the policy that earns most goes round", best))
    elif lap is not None and lap.steps == 1 and lap.reward > 0:
        found.append(_note("the policy that earns most comes to rest and is paid for it", best))
    ended = best.episodes.terminated.mean() >= 0.5
    others = [one for one in pool.every if not one.episodes.terminated.any()]
    if ended and others and np.median(best.episodes.lengths) <= 0.1 * np.median(others[0].episodes.lengths):
        found.append(_note("the policy that earns most ends its episodes at once", best))
    return found


def _note(title: str, played: Measured) -> Note:
    return Note(title=title, detail="; ".join(trace(played, 0).splitlines()), examples=[])
