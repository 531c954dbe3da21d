"""All policies that are held against each other: fixed, planned, learned, and mixtures with the best of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from trueward.audit.control.comparing import Measured, measured
from trueward.audit.control.episodes import Stage
from trueward.audit.control.learned import Run, runs
from trueward.audit.control.planning import PLANNED, Seen, TablePolicy, can_plan, explorer, planned, seen_in
from trueward.audit.control.policies import Policy, fixed_policies, leaving_off
from trueward.audit.control.scoring import FAILS, Failure
from trueward.errors import RewardError

if TYPE_CHECKING:
    from trueward.audit.control.api import ControlAuditSettings

PLANNED_ON_GOLD = "planned on gold"
_MOST_EXPLORATIONS = 20
_ROUNDS = 2

Progress = Callable[[str, int, int], None]


@dataclass
class Pool:
    """What was played from the same start states.

    Attributes:
        ignorant: fixed policies.
        others: all others.
        runs: training runs.
        planned: whether the world was small enough to plan in it.
    """

    ignorant: list[Measured] = field(default_factory=list)
    others: list[Measured] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    planned: bool = False

    @property
    def every(self) -> list[Measured]:
        """All of them."""
        return [*self.ignorant, *self.others]

    def best(self, by_gold: bool) -> Measured:
        """The policy with the highest discounted return, by gold or by the reward."""

        def worth(one: Measured) -> float:
            values = one.gold if by_gold else one.reward
            return float(np.mean(values)) if np.isfinite(values).all() else -np.inf

        return max(self.every, key=worth)


def gather(stage: Stage, settings: ControlAuditSettings, progress: Progress) -> Pool:
    """Play everything.

    Raises:
        RewardError: the reward or gold cannot be called.
        MissingExtra: training needs torch, and it is not installed.
    """
    pool = Pool()

    def play(policy: Policy) -> Measured:
        return measured(stage.play(policy, settings.seed), settings.discount)

    fixed = fixed_policies(stage.environments.actions)
    for place, policy in enumerate(fixed):
        progress("playing what knows nothing", place, len(fixed))
        pool.ignorant.append(play(policy))
    if can_plan(stage.environments.actions, stage.observations):
        progress("planning", 0, 1)
        _plan(pool, stage, settings, play)
    if settings.steps and not stage.reward.failures:
        _train(pool, stage, settings, play, progress)
    if stage.gold is not None:
        best = pool.best(by_gold=True).episodes
        ends, length = bool(best.terminated.mean() >= 0.5), int(np.median(best.lengths))
        mixtures = list(leaving_off(best.policy, stage.environments.actions, length, ends))
        for place, policy in enumerate(mixtures):
            progress("leaving off", place, len(mixtures))
            pool.others.append(play(policy))
    return pool


def _train(
    pool: Pool,
    stage: Stage,
    settings: ControlAuditSettings,
    play: Callable[[Policy], Measured],
    progress: Progress,
) -> None:
    """Runs on the reward and on gold. A reward that fails in one of them has failed; the runs end there."""
    total = settings.seeds * (1 if stage.gold is None else 2)
    trained = runs(
        stage.environments,
        stage.reward.reward,
        None if stage.gold is None else stage.gold.reward,
        steps=settings.steps,
        seeds=settings.seeds,
        discount=settings.discount,
    )
    try:
        for place in range(total):
            progress("training", place, total)
            run = next(trained)
            pool.runs.append(run)
            pool.others += [play(run.sampled), play(run.greedy)]
    except RewardError as error:
        stage.reward.failed += 1
        stage.reward.failures.append(Failure(FAILS, str(error), "a policy in training", 0))


def _plan(pool: Pool, stage: Stage, settings: ControlAuditSettings, play: Callable[[Policy], Measured]) -> None:
    """See the world until nothing new is seen, plan in it, play the plans, and plan again with what they saw."""
    space = stage.environments.actions
    explored: list[Measured] = []
    tried = 0

    def seen_now() -> Seen:
        return seen_in([one.episodes for one in (*pool.every, *explored)], space, stage.observations)

    for number in range(_MOST_EXPLORATIONS):
        if not can_plan(space, stage.observations):
            return
        seen = seen_now()
        if explored and seen.tried == tried:
            break
        tried = seen.tried
        explored.append(play(explorer(seen, number, settings.discount, space, stage.observations)))
    wanted = [("reward", PLANNED)] + ([("gold", PLANNED_ON_GOLD)] if stage.gold is not None else [])
    for number in range(_ROUNDS):
        for which, family in wanted:
            if not can_plan(space, stage.observations):
                return
            title = f"{family}{'' if number == 0 else ', again'}"
            plan: TablePolicy = planned(seen_now(), which, settings.discount, title, family, space, stage.observations)
            pool.others.append(play(plan))
            pool.planned = True
