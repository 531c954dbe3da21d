"""The parts of the audit of control, with numbers worked out by hand."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest

from trueward.audit.control.behaviour import (
    ENDING_EARLY,
    GOING_ROUND,
    LOITERING,
    OTHER,
    SATURATED,
    STANDING_STILL,
    Ceiling,
    Lap,
    behaviour_of,
    ceiling_of,
    lap_of,
    part_to_blame,
)
from trueward.audit.control.comparing import Scale, compare, competent_of, measured
from trueward.audit.control.environments import environments_of
from trueward.audit.control.episodes import Episodes, Observations, Stage, discounted
from trueward.audit.control.planning import explorer, planned, seen_in
from trueward.audit.control.policies import LeavingOff, Program, RandomPolicy, fixed_policies, leaving_off
from trueward.audit.control.potentials import form_of
from trueward.audit.control.scoring import FAILS, Scoring, unstable
from trueward.batch import Transitions
from trueward.errors import RewardError
from trueward.measures.tabular import expected_return, optimal
from trueward.rewards.control import ControlReward, StepScores, as_control_reward
from trueward.tasks.control.tabular import TabularTask, TabularVectorEnv, gridworld


def played(
    keys: Any,
    reward: Any,
    gold: Any = None,
    terminated: bool = False,
    starts: int = 5,
    parts: dict[str, Any] | None = None,
    title: str = "made up",
) -> Episodes:
    """The same episode from every start."""

    def columns(values: Any) -> np.ndarray:
        return np.repeat(np.asarray(values, dtype=np.float64)[:, None], starts, axis=1)

    steps = len(reward)
    return Episodes(
        policy=Program(title, "made up", np.zeros(1, dtype=np.int64)),
        reward=columns(reward),
        gold=columns([0.0] * steps if gold is None else gold),
        parts={name: columns(values) for name, values in (parts or {}).items()},
        actions=np.zeros((steps, starts), dtype=np.int64),
        keys=columns(keys).astype(np.int64),
        lengths=np.full(starts, steps),
        terminated=np.full(starts, terminated),
    )


# ---- returns ----


def test_discounted_by_hand() -> None:
    values = np.array([[1.0] * 4, [2.0] * 4, [3.0, 3.0, 9.0, 3.0], [4.0, 4.0, 9.0, 4.0]])
    keys = np.array([[0, 0, 0, 0], [1, 1, 1, 1], [2, 2, 2, 2], [3, 3, 9, 3], [4, 4, 9, 2]])
    lengths, cut_off = np.array([4, 4, 2, 4]), np.array([False, True, True, True])
    ended = 1 + 2 / 2 + 3 / 4 + 4 / 8
    # On average 3.5 for ever; on average 2 for ever, and what is after the end is not read; 3 and 4 in turn for ever.
    went_on = [ended + 3.5 * 2 / 16, 1 + 2 / 2 + 2 * 2 / 4, ended + (3 + 4 / 2) / (1 - 1 / 4) / 16]
    assert discounted(values, keys, lengths, cut_off, 0.5) == pytest.approx([ended, *went_on])


@pytest.mark.parametrize("steps", [1, 2, 7, 40])
@pytest.mark.parametrize("still", [True, False])
def test_a_constant_reward_is_worth_the_same_wherever_it_is_cut_off(steps: int, still: bool) -> None:
    keys = np.zeros((steps + 1, 1)) if still else np.arange(steps + 1)[:, None]
    values = np.full((steps, 1), 3.0)
    assert discounted(values, keys, np.array([steps]), np.array([True]), 0.9) == pytest.approx([30.0])


@pytest.mark.parametrize("steps", [9, 10, 15, 16, 17])
@pytest.mark.parametrize("lap", [1, 2, 3])
def test_shaping_adds_only_what_the_start_is_worth_wherever_a_round_is_cut_off(steps: int, lap: int) -> None:
    keys = np.array([0, 1, 2, *(3 + step % lap for step in range(steps - 2))])
    worth = np.array([0.3, -1.0, 2.0, 5.0, 4.0, -3.0])[keys]
    shaping = (0.9 * worth[1:] - worth[:-1])[:, None]
    assert discounted(shaping, keys[:, None], np.array([steps]), np.array([True]), 0.9) == pytest.approx([-0.3])


# ---- who is paid too much ----


def _scale(reward: float, gold: float, steps: int = 10) -> Scale:
    best = measured(played(range(steps + 1), [reward] * steps, [gold] * steps, terminated=True), 0.0)
    return Scale(best, reward=0.0, gold=0.0, gold_sum=0.0)


@pytest.mark.parametrize(
    ("reward", "gold", "worse", "paid"),
    [
        (1.0, 0.5, True, True),
        (0.995, 0.5, True, True),
        (0.98, 0.5, True, False),
        (2.0, 0.95, False, True),
        (2.0, 1.0, False, True),
    ],
)
def test_an_inversion_needs_as_much_reward_and_less_gold(reward: float, gold: float, worse: bool, paid: bool) -> None:
    tried = measured(played(range(11), [reward] * 10, [gold] * 10, terminated=True), 0.0)
    found = compare(tried, _scale(1.0, 1.0), 0.1)
    assert (found.worse, found.paid, found.inverted) == (worse, paid, worse and paid)
    assert found.payoffs == pytest.approx(reward)
    assert found.gold_kept == pytest.approx(gold)


def test_gold_must_be_less_by_plain_sums_too() -> None:
    """The same gold, only later: discounted it is less, and nothing is lost."""
    late = measured(played(range(11), [1.0] * 10, [0.0] * 9 + [1.0], terminated=True), 0.5)
    soon = measured(played(range(11), [1.0] * 10, [1.0] + [0.0] * 9, terminated=True), 0.5)
    found = compare(late, Scale(soon, 0.0, 0.0, 0.0), 0.1)
    assert found.gold.high < -0.5
    assert not found.worse


def test_starts_without_a_score_are_left_out() -> None:
    episodes = played(range(11), [1.0] * 10, [0.5] * 10, terminated=True)
    episodes.reward[3, 0] = np.nan
    assert compare(measured(episodes, 0.0), _scale(1.0, 1.0), 0.1).reward.n == 4


def test_the_competent_policy_is_the_best_paid_of_those_with_nearly_the_best_gold() -> None:
    def one(reward: float, gold: float) -> Any:
        return measured(played(range(11), [reward] * 10, [gold] * 10, terminated=True), 0.0)

    ignorant = [one(0.0, 0.0)]
    best, nearly, poor = one(1.0, 1.0), one(3.0, 0.95), one(9.0, 0.8)
    assert competent_of([*ignorant, best, nearly, poor], ignorant, 0.1) is nearly
    assert competent_of([*ignorant, best, poor], ignorant, 0.1) is best
    assert competent_of([*ignorant, best, nearly, poor], ignorant, 0.3) is poor


# ---- what it does ----


@pytest.mark.parametrize(
    ("keys", "lap"),
    [
        ([5] * 11, Lap(1, 0, 2.0, 0.0)),
        ([0, 1, 2, *[3, 4] * 6], Lap(2, 3, 4.0, 0.0)),
        ([0, 1, 2, 3] + [4] * 9, Lap(1, 4, 2.0, 0.0)),
        ([*range(13)], None),
        ([0, 1, 2, 3] * 2 + [0], None),  # twice is not again and again
    ],
)
def test_laps(keys: list[int], lap: Lap | None) -> None:
    assert lap_of(played(keys, [2.0] * (len(keys) - 1)), 0) == lap


def test_a_ceiling_needs_different_gold_at_the_highest_reward() -> None:
    assert ceiling_of([played(range(5), [0, 1, 1, 0], [0, 1, 3, 0])]) == Ceiling(1.0, 1.0, 3.0)
    assert ceiling_of([played(range(5), [0, 1, 1, 0], [0, 3, 3, 1])]) is None
    assert ceiling_of([played(range(5), [1, 1, 1, 1], [0, 1, 3, 0])]) is None
    assert ceiling_of([played(range(5), [0, 1, 2, 0], [0, 1, 3, 0])]) is None


@pytest.mark.parametrize(
    ("tried", "behaviour"),
    [
        (played(range(5), [1] * 4, terminated=True), ENDING_EARLY),
        (played(range(41), [9.0] * 40), SATURATED),
        (played([3] * 41, [1] * 40), STANDING_STILL),
        (played([0, 1] * 20 + [0], [1] * 40), GOING_ROUND),
        (played(range(41), [1] * 40), LOITERING),
        (played(range(21), [1] * 20, terminated=True), LOITERING),
        (played(range(11), [1] * 10, terminated=True), OTHER),
    ],
)
def test_behaviours(tried: Episodes, behaviour: str) -> None:
    best = measured(played(range(11), [1] * 10, [1] * 10, terminated=True), 0.9)
    assert behaviour_of(measured(tried, 0.9), best, Ceiling(9.0, 0.0, 1.0)) == behaviour


def test_the_part_to_blame_turns_the_order_round() -> None:
    def with_parts(task: float, near: float) -> Any:
        parts = {"task": [task], "near": [near]}
        return measured(played([0, 1], [task + near], terminated=True, parts=parts), 0.9)

    assert part_to_blame(with_parts(0.0, 5.0), with_parts(1.0, 0.0), 0.9) == "near"
    assert part_to_blame(with_parts(3.0, -0.1), with_parts(1.0, 0.0), 0.9) == "task"
    # Neither alone: without either the other policy still earns more.
    assert part_to_blame(with_parts(2.0, 2.0), with_parts(1.0, 1.0), 0.9) is None
    assert part_to_blame(measured(played([0, 1], [1.0]), 0.9), with_parts(1.0, 0.0), 0.9) is None


# ---- shaping ----


def _wandering(shaping: Callable[[int, int, bool], float], ends: tuple[int, ...] = (6, 7)) -> list[Episodes]:
    rng = np.random.default_rng(1)
    found = []
    for _ in range(40):
        keys = [int(rng.integers(6))]
        while len(keys) < 12 and keys[-1] not in ends:
            keys.append(int(rng.integers(8)))
        over = keys[-1] in ends
        paid = [
            shaping(before, after, over and place == len(keys) - 2)
            for place, (before, after) in enumerate(itertools.pairwise(keys))
        ]
        found.append(played(keys, paid, terminated=over, starts=1, parts={"shaping": paid}))
    return found


_WORTH = np.array([1.0, -2.0, 0.5, 3.0, 0.0, 1.5, 4.0, -1.0])


@pytest.mark.parametrize(
    ("discount", "kept", "form"),
    [(0.9, False, "potential"), (1.0, False, "no discount"), (0.9, True, "ends kept"), (1.0, True, "neither")],
)
def test_what_shaping_forgets_is_told(discount: float, kept: bool, form: str) -> None:
    def shaping(before: int, after: int, ended: bool) -> float:
        return discount * float(_WORTH[after]) * (kept or not ended) - float(_WORTH[before])

    assert form_of(_wandering(shaping), "shaping", 0.9) == form


def test_what_is_no_difference_of_a_potential_has_no_form() -> None:
    assert form_of(_wandering(lambda before, after, ended: float(_WORTH[after])), "shaping", 0.9) is None
    assert form_of(_wandering(lambda before, after, ended: float(after > before)), "shaping", 0.9) is None
    assert form_of(_wandering(lambda before, after, ended: 0.0), "shaping", 0.9) is None


# ---- who plays ----


@pytest.mark.parametrize(
    "space",
    [
        gymnasium.spaces.Discrete(4),
        gymnasium.spaces.Discrete(30, start=-3),
        gymnasium.spaces.Box(-2.0, 3.0, (2,), np.float32),
        gymnasium.spaces.Box(-np.inf, np.inf, (1,), np.float64),
        gymnasium.spaces.Box(0.5, 1.0, (3,), np.float32),
        gymnasium.spaces.MultiDiscrete([2, 3]),
        gymnasium.spaces.MultiBinary(3),
    ],
    ids=str,
)
def test_every_fixed_policy_takes_actions_of_the_space(space: Any) -> None:
    policies = fixed_policies(space)
    titles = [policy.title for policy in policies]
    assert len(set(titles)) == len(titles)
    assert titles == [policy.title for policy in fixed_policies(space)]
    observation = np.zeros((3, 1))
    for policy in [*policies, *leaving_off(policies[0], space, 10, True)]:
        policy.begin(3, 0)
        for step in range(12):
            actions = policy.act(observation, step)
            assert all(space.contains(action if space.shape else space.dtype.type(action)) for action in actions)


def test_programs_go_round_and_mixtures_change_over() -> None:
    turns = Program("turns", "made up", np.array([3, 7]), dwell=2)
    assert [int(turns.act(np.zeros((1, 1)), step)[0]) for step in range(6)] == [3, 3, 7, 7, 3, 3]
    mixture = LeavingOff(Program("a", "made up", np.array([1])), turns, 2)
    mixture.begin(1, 0)
    assert [int(mixture.act(np.zeros((1, 1)), step)[0]) for step in range(6)] == [1, 1, 3, 3, 7, 7]


def test_planning_finds_the_optimum_of_a_slippery_world() -> None:
    grid = gridworld(("A..", ".#.", "..G"), slip=0.2, discount=0.9)
    paid = np.where(grid.signs == "G", 1.0, -0.05)
    task = TabularTask(grid.mdp, {"none": np.zeros(grid.mdp.states)}, np.eye(grid.mdp.states, dtype=np.float32), "grid")
    environments = environments_of(lambda count: TabularVectorEnv(task, count, "none", horizon=40))
    stage = Stage(
        environments, Scoring(as_control_reward(lambda next_state: paid[next_state.astype(int)])), None, 64, 40
    )
    space = environments.actions
    found = [stage.play(RandomPolicy(space), seed) for seed in range(4)]
    found.append(stage.play(explorer(seen_in(found, space, stage.observations), 0, 0.9, space, stage.observations), 0))
    plan = planned(
        seen_in(found, space, stage.observations), "reward", 0.9, "plan", "planned", space, stage.observations
    )
    # The plan as a policy of the world: what its observations say of each state.
    policy = np.zeros((grid.mdp.states, 4))
    policy[np.arange(grid.mdp.states), plan.act(task.observations, 0)] = 1.0
    entering = grid.mdp.backup(paid)
    best = optimal(grid.mdp, entering)
    assert expected_return(grid.mdp, entering, policy) == pytest.approx(float(grid.mdp.start @ best.values), rel=0.02)


def test_equal_observations_have_equal_numbers() -> None:
    observations = Observations()
    first = observations.of(np.array([[0.0, 1.0], [2.0, 1.0], [-0.0, 1.0]]))
    assert first.tolist() == [0, 1, 0]
    assert observations.of(np.array([[2.0, 1.0], [5.0, 5.0]])).tolist() == [1, 2]


def test_large_observations_are_told_apart_and_not_kept() -> None:
    observations = Observations()
    images = np.zeros((3, 64, 64, 3), np.uint8)
    images[1, 63, 63, 2] = 1
    assert observations.of(images).tolist() == [0, 1, 0]
    assert max(len(key) for key in observations.numbers) <= 32


# ---- scores ----


def _steps(count: int = 4, steps: int = 6) -> list[Transitions]:
    rng = np.random.default_rng(3)
    return [
        Transitions(
            observation=rng.normal(size=(count, 2)),
            action=np.zeros(count, dtype=np.int64),
            reward=np.zeros(count),
            next_observation=rng.normal(size=(count, 2)),
            terminated=np.zeros(count, dtype=bool),
            truncated=np.zeros(count, dtype=bool),
        )
        for _ in range(steps)
    ]


class _Remembers(ControlReward):
    """Pays for change since the last step: a state of its own, which `begin` clears unless it forgets to."""

    def __init__(self, forgetful: bool, by_row: bool = False) -> None:
        self.forgetful, self.by_row, self.last = forgetful, by_row, 0.0

    @property
    def name(self) -> str:
        return "remembers"

    def begin(self, count: int) -> None:
        if not self.forgetful:
            self.last = np.zeros(count)

    def score(self, transitions: Transitions, *, training: bool = True) -> StepScores:
        now = transitions.next_observation[:, 0]
        value = now - self.last + (np.arange(len(now)) if self.by_row else 0.0)
        self.last = now
        return StepScores(value, value, {"remembers": value})


def test_scores_that_change_when_asked_again() -> None:
    assert unstable(_Remembers(forgetful=False), _steps()) is None
    again = unstable(_Remembers(forgetful=True), _steps())
    assert again is not None and again.how == "the same steps once more" and again.step == 0
    moved = unstable(_Remembers(forgetful=False, by_row=True), _steps())
    assert moved is not None and moved.how == "the same steps in other rows of the batch"


def test_rows_that_fail_are_scored_as_missing_and_the_others_as_ever() -> None:
    def root(next_observation: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore"):
            return np.sqrt(next_observation[..., 0])

    [step] = _steps(steps=1)
    scoring = Scoring(as_control_reward(root))
    found = scoring.score(step, "made up", 7)
    positive = step.next_observation[:, 0] >= 0
    assert 0 < positive.sum() < len(positive)
    assert np.isfinite(found.value).tolist() == positive.tolist()
    assert found.value[positive] == pytest.approx(np.sqrt(step.next_observation[positive, 0]))
    assert (scoring.failed, scoring.failures[0].title, scoring.failures[0].step) == (int((~positive).sum()), FAILS, 7)


def test_a_reward_that_fails_on_everything_cannot_be_audited() -> None:
    [step] = _steps(steps=1)
    with pytest.raises(RewardError, match="ZeroDivisionError"):
        Scoring(as_control_reward(lambda reward: 1 / 0)).score(step, "made up", 0)


# ---- where ----


def test_observations_in_dictionaries_become_arrays() -> None:
    class Pair(gymnasium.Env[Any, Any]):
        observation_space = gymnasium.spaces.Dict(
            {"a": gymnasium.spaces.Box(0, 1, (2,)), "b": gymnasium.spaces.Discrete(3)}
        )
        action_space = gymnasium.spaces.Discrete(2)

        def reset(self, **_: Any) -> tuple[Any, dict[str, Any]]:
            return {"a": np.zeros(2, np.float32), "b": 1}, {}

    environments = environments_of(Pair)
    assert environments.name == "Pair"
    assert environments.observations.shape == (5,)
    env = environments.make(3)
    observation, _ = env.reset(seed=0)
    assert observation.shape == (3, 5)
    env.close()
