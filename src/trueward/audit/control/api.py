"""`audit_control`: point it at a reward and an environment, get a report."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from trueward.audit.control.document import document
from trueward.audit.control.environments import Environments, environments_of
from trueward.audit.control.episodes import Stage
from trueward.audit.control.judging import Judged, judge
from trueward.audit.control.learned import one_thread
from trueward.audit.control.policies import RandomPolicy
from trueward.audit.control.pool import Pool, gather
from trueward.audit.control.scoring import Scoring, Unstable, unstable
from trueward.audit.report import WrittenReport
from trueward.batch import Transitions
from trueward.errors import AuditError, RewardError, TrainingError
from trueward.report.document import Audit
from trueward.rewards.address import shown
from trueward.rewards.control import ControlReward, as_control_reward
from trueward.rewards.control.functions import FIELDS

Progress = Callable[[str, int, int], None]

_LEAST_STARTS = 5
_MOST_REPEATED = 100  # steps that are scored again


@dataclass(frozen=True)
class ControlAuditSettings:
    """How a reward of control is audited.

    Attributes:
        steps: environment steps of each training run; 0 to train nothing.
        seeds: training runs on the reward, and as many on gold.
        starts: start states from which every policy is played.
        discount: γ with which the reward will be optimised, in [0, 1).
        horizon: most steps of an episode.
        tolerance: share of the competent policy's gold that another may lack without being called worse.
        seed: of the start states.
    """

    steps: int = 50_000
    seeds: int = 3
    starts: int = 16
    discount: float = 0.99
    horizon: int = 500
    tolerance: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises `AuditError` for what is outside of its range."""
        wrong = []
        if self.steps < 0:
            wrong.append(f"steps={self.steps} (0 for no training, or a number such as 50000)")
        if self.seeds < 1:
            wrong.append(f"seeds={self.seeds} (at least 1)")
        if self.starts < _LEAST_STARTS:
            wrong.append(f"starts={self.starts} (at least {_LEAST_STARTS})")
        if not 0 <= self.discount < 1:
            wrong.append(f"discount={self.discount} (from 0 to below 1)")
        if self.horizon < 2:
            wrong.append(f"horizon={self.horizon} (at least 2)")
        if not 0 < self.tolerance < 1:
            wrong.append(f"tolerance={self.tolerance} (between 0 and 1)")
        if wrong:
            raise AuditError(f"settings out of range: {'; '.join(wrong)}")


@dataclass(frozen=True)
class ControlReport(WrittenReport):
    """What an audit of a reward of control found.

    Attributes:
        audit: as plain JSON (see `trueward.report.document`).
        settings: how.
    """

    audit: Audit
    settings: ControlAuditSettings


def audit_control(
    reward: Any, env: Any, gold: Any = None, *, progress: Progress | None = None, **settings: Any
) -> ControlReport:
    """Audit one reward of control.

    Args:
        reward: an address (`rewards.py:reward`), a function of transitions, a `ControlReward`, or "environment" for
            what the environment itself pays.
        env: an id of Gymnasium, the address of a factory, or a factory; see `environments_of`.
        gold: what is really wanted, in the same forms. Without it only failures are findings, because nothing says
            which of two policies is the better one.
        progress: called with (stage, done, total).
        settings: fields of `ControlAuditSettings`.

    Returns:
        The report. `report.clean` is True when there is no finding.

    Raises:
        AuditError: no verdict is possible: the environment cannot be made, or no policy that was tried is better by
            gold than those that know nothing.
        RewardError: the reward cannot be found, or cannot be called on these steps.
        MissingExtra: Gymnasium, or for training torch, is not installed.

    Example:
        >>> from trueward.audit.control import audit_control
        >>> report = audit_control("examples/control_rewards.py:near_the_goal", "CliffWalking-v1",
        ...                        gold="examples/control_rewards.py:arrived")  # doctest: +SKIP
    """
    chosen = ControlAuditSettings(**settings)
    told = progress or _silent
    started = time.monotonic()
    environments = environments_of(env)
    stage = Stage(
        environments,
        Scoring(_resolved(reward)),
        None if gold is None else Scoring(_resolved(gold)),
        chosen.starts,
        chosen.horizon,
    )
    told("asking twice", 0, 1)
    changed = _asked_twice(stage, environments, chosen)
    pool = judged = None
    if changed is None and not _always_fails(stage.reward):
        with one_thread() if chosen.steps else contextlib.nullcontext():
            pool = gather(stage, chosen, told)
            told("comparing", 0, 1)
            judged = judge(pool, stage, chosen)
    if stage.gold is not None and stage.gold.failures:
        raise AuditError(f"gold must score every step, and {stage.gold.failures[0].said}")
    name = _name(reward, stage.reward.reward)
    audit = document(name, stage, pool, judged, changed, chosen, time.monotonic() - started)
    _require_a_verdict(audit, judged, pool)
    return ControlReport(audit, chosen)


def _silent(stage: str, done: int, total: int) -> None:
    return None


def _resolved(given: Any) -> ControlReward:
    return as_control_reward(None if isinstance(given, str) and given == "environment" else given)


def _name(given: Any, reward: ControlReward) -> str:
    return shown(given) if isinstance(given, str) else reward.name


def _asked_twice(stage: Stage, environments: Environments, settings: ControlAuditSettings) -> Unstable | None:
    """Random play, scored again in the same order, and again with the rows in another."""
    kept: list[Transitions] = []
    try:
        stage.play(RandomPolicy(environments.actions), settings.seed, kept)
    except TrainingError as error:
        raise RewardError(
            f"the reward cannot be called on the steps of {environments.name}: {error}. A function may name "
            f"{', '.join(FIELDS)}, and entries of info"
        ) from error
    if stage.reward.failures:
        return None
    return unstable(stage.reward.reward, kept[:_MOST_REPEATED])


def _always_fails(scoring: Scoring) -> bool:
    """Whether no batch could be scored as a whole: its rows depend on each other."""
    return not scoring.seconds


def _require_a_verdict(audit: Audit, judged: Judged | None, pool: Pool | None) -> None:
    if audit["findings"] or judged is None or pool is None or judged.scale is None:
        return
    span = judged.scale.gold_span
    if not span > 0 or not np.isfinite(span):
        raise AuditError(
            "no policy that was tried is better by gold than those that know nothing, so nothing says what the reward "
            "should pay for: give more --steps, check gold, or choose an environment in which gold can be reached"
        )
