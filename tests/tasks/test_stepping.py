"""Steps of vector environments as transitions, in all three ways to reset: by hand."""

from __future__ import annotations

import types

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from numpy.testing import assert_array_equal
from tests.adapters.corridor import Corridor, FreshCorridor, corridors

from trueward.errors import TrainingError
from trueward.tasks.control.stepping import Stepper, TransitionReader, autoreset_of

NEXT, SAME, DISABLED = AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP, AutoresetMode.DISABLED
ACTION = np.zeros(2, dtype=int)
NOTHING = np.zeros(1, dtype=bool)

# Cells before and after each step of the two corridors (to cell 3; cut off at 2). None: it was reset instead.
WALKED = {
    NEXT: [[(0, 1), (1, 2), (2, 3), None, (0, 1)], [(0, 1), (1, 2), None, (0, 1), (1, 2)]],
    SAME: [[(0, 1), (1, 2), (2, 3), (0, 1), (1, 2)], [(0, 1), (1, 2), (0, 1), (1, 2), (0, 1)]],
}
WALKED[DISABLED] = WALKED[SAME]


@pytest.mark.parametrize("mode", list(WALKED))
def test_steps_go_from_what_was_seen_to_what_came_of_it(mode):
    stepper = Stepper(corridors(mode))
    stepper.reset(seed=0)
    taken = []
    for _ in range(5):
        chosen_from = stepper.observation.copy()
        taken.append(stepper.step(ACTION))
        if mode is not DISABLED:  # which resets when it is asked for the step
            assert_array_equal(taken[-1].observation, chosen_from)
    for row in range(2):
        walked = []
        for t, step in enumerate(taken):
            there = step.exists is None or step.exists[row]
            walked.append((step.observation[row, 0], step.next_observation[row, 0]) if there else None)
            end = walked[-1] is not None and walked[-1][1] == (3 if row == 0 else 2)
            assert (step.terminated[row], step.truncated[row]) == (end and row == 0, end and row == 1), (t, row)
        assert walked == WALKED[mode][row]


@pytest.mark.parametrize("mode", list(WALKED))
def test_features_are_those_of_the_step(mode):
    stepper = Stepper(corridors(mode), features=("cell",))
    stepper.reset()
    cells = np.array([stepper.step(ACTION).features["cell"] for _ in range(5)])
    expected = [[0 if pair is None else pair[1] for pair in WALKED[mode][row]] for row in range(2)]
    assert_array_equal(cells.T, expected)


@pytest.mark.parametrize("mode", list(WALKED))
def test_what_an_environment_writes_later_changes_no_transition(mode):
    # Where it is reset in the same step, Gymnasium has kept no copy of the last observation either.
    corridor = FreshCorridor if mode is SAME else Corridor
    env = SyncVectorEnv([lambda: corridor(end=3), lambda: corridor(end=3)], autoreset_mode=mode, copy=False)
    stepper = Stepper(env)
    stepper.reset()
    taken = [stepper.step(ACTION) for _ in range(4)]
    cells = [(int(step.observation[0, 0]), int(step.next_observation[0, 0])) for step in taken[:3]]
    assert cells == [(0, 1), (1, 2), (2, 3)]
    assert_array_equal(taken[0].reward, [1.0, 1.0])


def test_rewards_are_not_the_environments_own_array():
    reader = TransitionReader("NextStep")
    reader.begin(np.zeros((1, 1)))
    reward, terminated = np.ones(1), np.zeros(1, dtype=bool)
    step = reader.read(np.zeros(1), np.ones((1, 1)), reward, terminated, NOTHING, {})
    reward[:], terminated[:] = 7.0, True
    assert (step.reward[0], step.terminated[0]) == (1.0, False)


def test_whoever_resets_is_asked_to():
    reader = TransitionReader("Disabled")
    reader.begin(np.zeros((2, 1)))
    both, ended = np.zeros(2, dtype=bool), np.array([False, True])
    reader.read(ACTION, np.ones((2, 1)), np.ones(2), ended, both, {})
    with pytest.raises(TrainingError, match=r"environments \[1\] were stepped although their episodes are over"):
        reader.read(ACTION, np.ones((2, 1)), np.ones(2), both, both, {})
    reader.begin(np.zeros((2, 1)), ended)
    reader.read(ACTION, np.ones((2, 1)), np.ones(2), both, both, {})


def test_what_cannot_be_read_is_refused():
    reader = TransitionReader("SameStep")
    with pytest.raises(TrainingError, match="before its first reset"):
        reader.read(ACTION, np.ones((2, 1)), np.ones(2), NOTHING, NOTHING, {})
    reader.begin(np.zeros((1, 1)))
    with pytest.raises(TrainingError, match=r"no info\['final_obs'\]"):
        reader.read(np.zeros(1), np.ones((1, 1)), np.ones(1), ~NOTHING, NOTHING, {})

    silent = types.SimpleNamespace(metadata={})
    with pytest.raises(TrainingError, match="does not say how it resets itself"):
        autoreset_of(silent)
    with pytest.raises(TrainingError, match="not reset yet"):
        _ = Stepper(corridors(NEXT)).observation


def test_a_feature_that_is_not_there_is_named():
    stepper = Stepper(corridors(NEXT), features=("height",))
    stepper.reset()
    with pytest.raises(TrainingError, match="info has no 'height'; it has: cell"):
        stepper.step(ACTION)
