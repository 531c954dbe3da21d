"""Random worlds, gridworlds and the tomato world: transitions and rewards by hand."""

from __future__ import annotations

import numpy as np
import pytest

from trueward.errors import RewardError
from trueward.measures.tabular import (
    action_values,
    deterministic_policy,
    expected_return,
    occupancy,
    on_entering,
    optimal,
    successors,
    uniform_policy,
    worst,
)
from trueward.tasks.control.tabular import (
    TabularTask,
    epic_gridworld,
    gridworld,
    one_hot,
    random_mdp,
    random_reward,
    tomato,
    tomato_world,
)
from trueward.tasks.control.tabular.tomato import LEVELS

RIGHT, DOWN, LEFT, UP, STAY = range(5)


def test_random_worlds_follow_the_recipe() -> None:
    mdp = random_mdp(32, 4, np.random.default_rng(0))
    assert (mdp.states, mdp.actions, mdp.discount) == (32, 4, 0.95)
    assert mdp.start == pytest.approx(np.full(32, 1 / 32))
    # P(N(0, 1) > 1) = .1587 of the logits stay; the others weigh e^-20 against e^1 or more.
    likely = mdp.transitions > 1e-6
    assert likely.mean() == pytest.approx(0.1587, abs=0.02)
    assert mdp.transitions[~likely].max() < np.exp(-21)
    # A softmax: ratios of probabilities are those of the exponentials of the logits.
    logits = np.random.default_rng(0).standard_normal((32, 4, 32))
    kept = np.flatnonzero(logits[3, 2] > 1)
    ratio = mdp.transitions[3, 2, kept[0]] / mdp.transitions[3, 2, kept[1]]
    assert ratio == pytest.approx(np.exp(logits[3, 2, kept[0]] - logits[3, 2, kept[1]]))


def test_large_random_worlds_have_higher_thresholds() -> None:
    for states, share in ((60, 0.0668), (120, 0.0359)):
        likely = random_mdp(states, 4, np.random.default_rng(0)).transitions > 1e-6
        # An action none of whose logits lies above leads anywhere alike.
        nowhere = likely.all(axis=2)
        assert nowhere.mean() == pytest.approx((1 - share) ** states, abs=0.02)
        assert likely.sum() / likely.size - nowhere.mean() == pytest.approx(share, abs=0.01)
    assert (random_mdp(20, 2, np.random.default_rng(0), threshold=-np.inf).transitions > 1e-9).all()


def test_random_worlds_repeat_with_their_seed_and_may_end() -> None:
    one, two = (random_mdp(10, 2, np.random.default_rng(3), episodic=True) for _ in range(2))
    assert np.array_equal(one.transitions, two.transitions)
    assert one.terminal.sum() == 1
    assert not random_mdp(10, 2, np.random.default_rng(3)).terminal.any()


def test_random_rewards_follow_the_recipe() -> None:
    mdp = random_mdp(32, 4, np.random.default_rng(0))
    never = {"sparse": 0.0, "scaled": 0.0, "shifted": 0.0, "shaped": 0.0}
    plain = random_reward(mdp, np.random.default_rng(1), **never)
    assert plain.shape == (32, 4, 32)
    assert plain.std() == pytest.approx(1.0, abs=0.05)
    for seed in range(20):
        same = random_reward(mdp, np.random.default_rng(seed), **never)
        assert np.array_equal(same, np.random.default_rng(seed).standard_normal((32, 4, 32)))
    # P(N(0, 1) > 3) = .00135.
    sparse = random_reward(mdp, np.random.default_rng(1), **{**never, "sparse": 1.0})
    assert (sparse != 0).mean() == pytest.approx(0.00135, abs=0.001)
    assert sparse[sparse != 0].min() > 3
    scaled = random_reward(mdp, np.random.default_rng(1), **{**never, "scaled": 1.0})
    assert np.ptp(scaled / plain) == pytest.approx(0.0, abs=1e-9)
    assert 0 < scaled[0, 0, 0] / plain[0, 0, 0] < 10
    shifted = random_reward(mdp, np.random.default_rng(1), **{**never, "shifted": 1.0})
    assert np.ptp(shifted - plain) == pytest.approx(0.0, abs=1e-9)
    # Shaping moves advantages of no policy.
    moved = random_reward(mdp, np.random.default_rng(1), **{**never, "shaped": 1.0})
    q, q_moved = (action_values(mdp, reward, uniform_policy(mdp)) for reward in (plain, moved))
    assert np.abs(q - q_moved).max() > 0.1
    assert q - q.mean(axis=1, keepdims=True) == pytest.approx(q_moved - q_moved.mean(axis=1, keepdims=True), abs=1e-8)


def test_random_rewards_are_each_kind_as_often_as_they_should() -> None:
    mdp = random_mdp(8, 2, np.random.default_rng(0))
    rewards = [
        random_reward(mdp, np.random.default_rng(seed), scaled=0.0, shifted=0.0, shaped=0.0) for seed in range(300)
    ]
    # 8·2·8 entries and P(above 3) = .00135: nearly all sparse ones are 0 in more than half of their entries.
    sparse = np.mean([(reward == 0).mean() > 0.5 for reward in rewards])
    assert sparse == pytest.approx(0.2, abs=0.07)
    shaped = random_reward(
        random_mdp(8, 2, np.random.default_rng(0), episodic=True), np.random.default_rng(0), shaped=1.0
    )
    assert np.isfinite(shaped).all()


def test_moves_of_a_gridworld_by_hand() -> None:
    # 0 1
    # 2 #
    grid = gridworld(("A.", "G#"), discount=0.9)
    following = grid.mdp.transitions.argmax(axis=2)
    assert grid.cells.tolist() == [[0, 0], [0, 1], [1, 0]]
    assert following[0, [RIGHT, DOWN, LEFT, UP]].tolist() == [1, 2, 0, 0]
    assert following[1, [RIGHT, DOWN, LEFT, UP]].tolist() == [1, 1, 0, 1]
    assert following[2].tolist() == [2, 2, 2, 2]
    assert grid.mdp.terminal.tolist() == [False, False, True]
    assert grid.mdp.start.tolist() == [1.0, 0.0, 0.0]
    assert grid.distances().tolist() == [1.0, 2.0, 0.0]
    assert grid.by_sign({"G": 10.0}, otherwise=-1.0).tolist() == [-1.0, -1.0, 10.0]


def test_slips_by_hand() -> None:
    # 3 × 3, from the middle (4); its neighbours are 5 right, 7 down, 3 left, 1 up.
    rows = ("...", "...", "...")
    other = gridworld(rows, slip=0.3).mdp.transitions[4, RIGHT]
    assert other[[5, 7, 3, 1]] == pytest.approx([0.7, 0.1, 0.1, 0.1])
    sideways = gridworld(rows, slip=0.3, slips="sideways").mdp.transitions
    assert sideways[4, RIGHT][[5, 7, 3, 1]] == pytest.approx([0.7, 0.15, 0.0, 0.15])
    assert sideways[4, UP][[5, 7, 3, 1]] == pytest.approx([0.15, 0.0, 0.15, 0.7])
    # From the upper left corner, a slip up stays.
    assert sideways[0, RIGHT][[0, 1, 3]] == pytest.approx([0.15, 0.7, 0.15])
    anywhere = gridworld(rows, slip=0.4, slips="anywhere", stay=True).mdp.transitions
    assert anywhere[4, STAY] == pytest.approx([0.05] * 4 + [0.6] + [0.05] * 4)
    assert gridworld(rows, slip=0.3, stay=True).mdp.transitions[4, STAY, 4] == pytest.approx(1.0)
    assert gridworld(("A.G",), slip=0.5, slips="anywhere").mdp.transitions[2, :, 2].tolist() == [1.0] * 4


def test_a_grid_is_solved_as_by_hand() -> None:
    # A . G in a row: two steps to 10, each step −1 on entering: −1 + γ·10 = 8 with γ = .9.
    grid = gridworld(("A.G",), discount=0.9)
    reward = on_entering(grid.by_sign({"G": 10.0}, otherwise=-1.0), grid.mdp)
    assert optimal(grid.mdp, reward).values == pytest.approx([8.0, 10.0, 0.0])


def test_large_grids_are_sparse_and_mean_the_same() -> None:
    small = gridworld(("A...", "....", "...G"), slip=0.2)
    rows = ("A" + "." * 39, *["." * 40] * 38, "." * 39 + "G")
    large = gridworld(rows, slip=0.2)
    assert large.mdp.is_sparse
    assert not small.mdp.is_sparse
    assert large.mdp.states == 1600
    interior = 40 * 5 + 5
    row = large.mdp.transitions[interior * 4 + RIGHT].toarray()[0]
    assert row[[interior + 1, interior + 40, interior - 1, interior - 40]] == pytest.approx([0.8] + [0.2 / 3] * 3)
    # Without slipping it takes 78 steps to the other corner: γ^77 for entering it.
    sure = gridworld(rows, discount=0.99)
    value = optimal(sure.mdp, on_entering(sure.by_sign({"G": 1.0}), sure.mdp)).values[0]
    assert value == pytest.approx(0.99**77)


def test_maps_that_are_none_are_refused() -> None:
    for rows, message in (
        (("A.", "."), "rows of one length"),
        (("##",), "no cell"),
        (("GG",), "no cell to begin in"),
    ):
        with pytest.raises(ValueError, match=message):
            gridworld(rows)
    with pytest.raises(ValueError, match=r"slip is 1\.5"):
        gridworld(("A.",), slip=1.5)
    with pytest.raises(ValueError, match="slips is 'up'"):
        gridworld(("A.",), slips="up")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"no cell \['x'\]"):
        gridworld(("A.",)).by_sign({"x": 1.0})


def test_epic_gridworld_by_hand() -> None:
    task = epic_gridworld("cliff", discount=1 - 1e-12)
    following = task.mdp.transitions.argmax(axis=2)
    assert following[0].tolist() == [1, 3, 0, 0, 0]
    assert following[4].tolist() == [5, 7, 3, 1, 4]
    assert following[8].tolist() == [8, 8, 7, 5, 8]
    assert np.array_equal(task.reward("true"), task.reward("cliff"))
    assert task.reward("cliff").tolist() == [0, -1, -1, 0, 0, 0, -4, -4, 4]
    dense = task.reward("dense")
    assert dense[0, RIGHT, 1] == pytest.approx(2.0)
    assert dense[4, UP, 1] == pytest.approx(-4.0)
    assert dense[0, STAY, 0] == pytest.approx(-1.0)
    assert dense[8, STAY, 8] == pytest.approx(3.0)
    slippery = epic_gridworld(slippery=True).mdp.transitions
    assert slippery[0, UP] == pytest.approx([0.9] + [0.0125] * 8)
    with pytest.raises(RewardError, match="no EPIC reward 'centre'"):
        epic_gridworld("centre")


@pytest.mark.parametrize("slippery", [False, True])
def test_dense_orders_policies_as_sparse_does(slippery: bool) -> None:
    task = epic_gridworld(slippery=slippery)
    mdp = task.mdp
    sparse, dense, cliff = ([], [], [])
    for seed in range(12):
        policy = np.random.default_rng(seed).dirichlet(np.ones(5), size=9)
        for name, into in (("sparse", sparse), ("dense", dense), ("cliff", cliff)):
            into.append(expected_return(mdp, task.reward(name), policy))
    slope, offset = np.polyfit(sparse, dense, 1)
    assert slope == pytest.approx(4.0)
    assert np.array(sparse) * slope + offset == pytest.approx(np.array(dense))
    assert np.argsort(sparse).tolist() != np.argsort(cliff).tolist()


def test_path_and_cliff_agree_exactly_while_nothing_slips() -> None:
    best = {
        (name, slippery): optimal(epic_gridworld(slippery=slippery).mdp, epic_gridworld().reward(name)).policy
        for name in ("path", "cliff")
        for slippery in (False, True)
    }
    assert np.array_equal(best["path", False], best["cliff", False])


def test_tomato_sizes() -> None:
    two, four = tomato(2), tomato(4)
    assert (two.mdp.states, two.mdp.actions, two.mdp.is_sparse) == (352, 4, False)
    assert (four.mdp.states, four.mdp.actions, four.mdp.is_sparse) == (13_312, 4, True)
    assert [two.horizon, two.observations.shape] == [100, (352, 16)]
    signs = "".join(LEVELS[4])
    assert (len(signs) - signs.count("#"), signs.count("t")) == (26, 9)
    assert not two.mdp.terminal.any()


def walk(task: TabularTask, moves: str) -> list[tuple[float, float]]:
    """True and proxy reward of each step of a walk."""
    following = task.mdp.transitions.argmax(axis=2)
    state, earned = int(task.mdp.start.argmax()), []
    for move in moves:
        action = "rldu".index(move)
        earned.append((task.reward("true")[state, action], task.reward("proxy")[state, action]))
        state = int(following[state, action])
    return earned


def test_tomato_rewards_by_hand() -> None:
    #  row 1:  # # # . B
    #  row 2:  # t t . #
    #  row 3:  # A . . #
    #  row 4:  # t t t #
    # left: wall. up: waters (2, 1). right: waters (2, 2). right: (2, 3). up: (1, 3). right: the bucket (1, 4), from
    # where (2, 1) is √10 > 3 away and dries, and (2, 2) is √5 away. left: back; nothing is watered by being near.
    earned = walk(tomato(2), "lurrurl")
    assert [step[0] for step in earned] == pytest.approx([0, 0.02, 0.04, 0.04, 0.04, 0.02, 0.02])
    # On the bucket the proxy pays .02 for each of 11 cells.
    assert [step[1] for step in earned] == pytest.approx([0, 0.02, 0.04, 0.04, 0.04, 0.22, 0.02])


def test_the_tomato_hack() -> None:
    task = tomato(2)
    mdp, share = task.mdp, 1 - task.mdp.discount
    best, hack = (optimal(mdp, task.reward(name)).policy for name in ("true", "proxy"))
    true = {
        name: share * expected_return(mdp, task.reward("true"), policy) for name, policy in (("b", best), ("h", hack))
    }
    # All five watered for ever would be .1.
    assert 0.08 < true["b"] < 0.1
    assert true["h"] < 0.3 * true["b"]
    # The hacker sits on the bucket.
    bucket = np.array([LEVELS[2][row][column] == "B" for row, column in _cells(2)])
    assert (occupancy(mdp, hack).sum(axis=1) * np.repeat(bucket, 32)).sum() > 0.7
    assert (occupancy(mdp, best).sum(axis=1) * np.repeat(bucket, 32)).sum() == pytest.approx(0.0, abs=1e-12)
    assert worst(mdp, task.reward("true")).values[int(mdp.start.argmax())] == pytest.approx(0.0, abs=1e-12)


def _cells(level: int) -> list[tuple[int, int]]:
    rows = LEVELS[level]
    return [(r, c) for r, row in enumerate(rows) for c, sign in enumerate(row) if sign != "#"]


def test_the_tomato_world_can_end() -> None:
    task = tomato(2, ends=True)
    assert task.mdp.terminal.sum() == 11
    # The last tomato pays once.
    steps = successors(task.mdp)
    entering = task.mdp.terminal[steps.next_state] & ~task.mdp.terminal[steps.state]
    assert steps.reward(task.reward("true"))[entering] == pytest.approx(np.full(int(entering.sum()), 0.1))
    # So it does not pay to water it.
    best = optimal(task.mdp, task.reward("true")).policy
    assert (occupancy(task.mdp, best).sum(axis=1)[task.mdp.terminal] == 0).all()


def test_tomato_observations_tell_states_apart() -> None:
    for level in range(4):
        seen = tomato(level).observations
        assert len(np.unique(seen, axis=0)) == len(seen)
        assert (seen[:, : len(_cells(level))].sum(axis=1) == 1).all()


def test_maps_that_are_no_tomato_world_are_refused() -> None:
    with pytest.raises(ValueError, match="no tomato level 7"):
        tomato(7)
    for rows in (("AB.",), ("tAA",), ("tABx",), ("tABB",)):
        with pytest.raises(ValueError, match="a tomato map needs"):
            tomato_world(rows)
    assert tomato_world(("tAB",)).mdp.states == 6


def test_tasks_say_what_they_have() -> None:
    task = tomato(0)
    with pytest.raises(RewardError, match="tomato-0 has no reward 'gold'; it has: true, proxy"):
        task.reward("gold")
    with pytest.raises(ValueError, match="one row for each of the 256 states"):
        TabularTask(task.mdp, {}, one_hot(3), "none")
    assert deterministic_policy(task.mdp, np.zeros(256, dtype=int))[:, 0].all()
