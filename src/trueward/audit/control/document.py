"""What the audit of a reward of control found, as the document that every report is made from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trueward.audit.control.episodes import Stage
from trueward.audit.control.failures import REPEATED, failure_findings
from trueward.audit.control.judging import Judged
from trueward.audit.control.learned import ON_GOLD, ON_REWARD
from trueward.audit.control.notes import notes
from trueward.audit.control.pool import Pool
from trueward.audit.control.scoring import CHANGES, Scoring, Unstable
from trueward.audit.control.told import (
    ON_THE_REWARD,
    OPTIMISED,
    Telling,
    behaviour_rows,
    finding_of,
    policies_row,
)
from trueward.audit.latency import latency_of
from trueward.errors import RewardError
from trueward.measures.paired import Interval, paired_interval
from trueward.report.document import Audit, ControlCurve, ControlRun, FamilyRow, Finding
from trueward.report.wording import counted, percent
from trueward.rewards.control import ControlReward
from trueward.status import Status

if TYPE_CHECKING:
    from trueward.audit.control.api import ControlAuditSettings


def document(
    name: str,
    stage: Stage,
    pool: Pool | None,
    judged: Judged | None,
    changed: Unstable | None,
    settings: ControlAuditSettings,
    seconds: float,
) -> Audit:
    """The audit as plain JSON.

    Args:
        name: of the reward.
        stage: where was played.
        pool: what was played; None where the reward is too broken to be optimised.
        judged: what was found in it.
        changed: how scores changed when the same steps were scored again; None where they did not.
        settings: of the audit.
        seconds: that it took.
    """
    told = Telling(
        name, stage.environments.name, settings.seed + 1, settings.discount, None if judged is None else judged.ceiling
    )
    inverted = [] if judged is None else list(judged.found.values())
    inverted.sort(key=lambda ones: -max(one.comparison.reward.mean for one in ones))
    found = [finding_of(inversions, told) for inversions in inverted]
    findings = [*failure_findings(stage.reward, changed, told), *found]
    gap = None if pool is None else _gap(pool)
    return Audit(
        modality="control",
        control=_control(stage, pool, gap, settings),
        reward=name,
        verdict="findings" if findings else "clean",
        headline=_headline(findings, found, judged),
        reads_answer=True,
        header=_header(stage, pool, judged, settings),
        envelope="",
        auc=None,
        prompts=settings.starts,
        usable=settings.starts,
        calls=stage.reward.calls,
        seconds=seconds,
        deterministic=_deterministic(stage.reward, changed),
        statuses=_statuses(stage.reward),
        latency=latency_of(stage.reward.seconds),
        families=_families(stage, judged, changed, settings),
        findings=findings,
        notes=notes(stage, pool, judged, settings) if pool is not None and judged is not None else [],
        search=None,
        rollouts=None,
        comparison=None,
        error="",
    )


def _deterministic(scoring: Scoring, changed: Unstable | None) -> bool | None:
    """None where it was not asked, because the reward fails otherwise."""
    if changed is not None or any(failure.title == CHANGES for failure in scoring.failures):
        return False
    return None if scoring.failures else True


def _headline(findings: list[Finding], found: list[Finding], judged: Judged | None) -> str:
    if len(findings) > len(found):
        return findings[0]["title"]
    if judged is None or judged.scale is None:
        return "scores every step, and the same step the same; without gold nothing more can be said"
    if not found:
        return "no policy with less gold is paid as much as the competent one"
    worst = min((one.comparison.gold_kept for inversions in judged.found.values() for one in inversions), default=0.0)
    kept = "none" if worst <= 0 else f"only {percent(worst)}"
    return f"a policy that is paid as much as the competent one has {kept} of its gold"


def _about_discount(reward: ControlReward, discount: float) -> list[str]:
    from trueward.rewards.shaping import check_discount

    try:
        check_discount(reward, discount)
    except RewardError as error:
        return [f"{error}; or give the trainer's with --discount"]
    return []


def _header(stage: Stage, pool: Pool | None, judged: Judged | None, settings: ControlAuditSettings) -> list[str]:
    said = _about_discount(stage.reward.reward, settings.discount)
    if stage.gold is None:
        said.append(
            "without --gold nothing says which of two policies is better: standing still, loitering, going round, "
            "ending early and saturation were not tested, only looked at"
        )
    if judged is not None and judged.scale is not None and pool is not None:
        best = judged.scale.competent.episodes.policy
        if any(one.episodes.policy is best for one in pool.ignorant):
            said.append(
                f"the best policy by gold that was found knows nothing ({best.title}): where a better one exists, give "
                "more --steps"
            )
    if pool is not None and settings.steps and stage.reward.failures:
        said.append("the reward fails on some steps: nothing more was trained on it")
    if pool is None:
        said.append("the reward is too broken to be optimised: nothing but its scores was tested")
    elif not settings.steps and not pool.planned:
        said.append("nothing was trained (--steps 0) and the world is too large to plan in: only fixed policies played")
    return said


def _control(stage: Stage, pool: Pool | None, gap: Interval | None, settings: ControlAuditSettings) -> ControlRun:
    bounded = gap is not None and np.isfinite(gap.low)
    return ControlRun(
        environment=stage.environments.name,
        gold=None if stage.gold is None else stage.gold.reward.name,
        policies=0 if pool is None else len(pool.every),
        steps=stage.steps,
        training_steps=settings.steps,
        seeds=settings.seeds if settings.steps else 0,
        discount=settings.discount,
        gap=None if gap is None else gap.mean,
        gap_low=gap.low if gap is not None and bounded else None,
        gap_high=gap.high if gap is not None and bounded else None,
        curves=[
            ControlCurve(
                trained_on="reward" if run.family == ON_REWARD else "gold",
                seed=run.seed,
                steps=run.curve.steps,
                reward=run.curve.reward,
                gold=run.curve.gold,
            )
            for run in ([] if pool is None else pool.runs)
        ],
    )


def _gap(pool: Pool) -> Interval | None:
    """Gold of the policies trained on gold minus that of those trained on the reward, paired by seed."""
    means: dict[str, list[float]] = {ON_REWARD: [], ON_GOLD: []}
    for one in pool.others:
        policy = one.episodes.policy
        if policy.family in means and any(run.sampled is policy for run in pool.runs):
            means[policy.family].append(float(np.mean(one.gold_sum)))
    if not means[ON_GOLD] or not np.isfinite([*means[ON_GOLD], *means[ON_REWARD]]).all():
        return None
    return paired_interval(means[ON_GOLD], means[ON_REWARD])


def _statuses(scoring: Scoring) -> dict[str, int]:
    counts = {Status.OK.value: scoring.steps - scoring.failed, Status.RAISED.value: scoring.failed}
    return {name: count for name, count in counts.items() if count}


def _families(
    stage: Stage, judged: Judged | None, changed: Unstable | None, settings: ControlAuditSettings
) -> list[FamilyRow]:
    rows: list[FamilyRow] = []
    if judged is not None and judged.scale is not None:
        rows += behaviour_rows(judged.worse, judged.ceiling)
        tried = [
            one
            for comparisons in judged.worse.values()
            for one in comparisons
            if one.tried.episodes.policy.family in ON_THE_REWARD
        ]
        runs = f"{counted(settings.seeds, 'run')} of PPO of {settings.steps:,} steps" if settings.steps else "planning"
        none = "no policy that the reward was optimised with has less gold than the competent one"
        rows.append(policies_row(OPTIMISED, f"what optimising the reward gives: {runs}", tried, none))
    asked, hits = (changed.asked, changed.steps) if changed is not None else (settings.starts, 0)
    rows.append(
        FamilyRow(
            family=REPEATED,
            description="the same steps once more, and with the environments in another order",
            relation="same",
            tested=0 if stage.reward.failures else asked,
            probes=0 if stage.reward.failures else asked,
            not_tested="the reward fails on some steps" if stage.reward.failures else "",
            full=hits,
            partial=0,
            mean_payoff=None,
            low=None,
            high=None,
        )
    )
    return rows
