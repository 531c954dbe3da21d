"""The support vector machine that is kept as arrays."""

from __future__ import annotations

import numpy as np
import pytest

from trueward.tasks.flow.digits import digits
from trueward.tasks.flow.kernel_machine import KernelMachine

SPLITS = digits()
IMAGES, LABELS = SPLITS.judge.images[:250], SPLITS.judge.labels[:250]
MACHINE = KernelMachine.fit(IMAGES, LABELS)


def test_the_arrays_say_what_the_library_says():
    from sklearn.svm import SVC

    flat, seen = IMAGES.reshape(250, -1).astype(float), SPLITS.heldout.images.reshape(297, -1).astype(float)
    decided = MACHINE.decision(SPLITS.heldout.images)
    for one in range(10):
        machine = SVC(C=10.0, gamma=float(MACHINE.gamma)).fit(flat, one == LABELS)
        assert decided[:, one] == pytest.approx(machine.decision_function(seen), abs=1e-9)


def test_it_reads_digits_that_it_has_not_seen():
    shares = MACHINE.probabilities(SPLITS.heldout.images)
    assert shares.sum(axis=1) == pytest.approx(np.ones(297))
    assert np.mean(shares.argmax(axis=1) == SPLITS.heldout.labels) > 0.93


def test_probabilities_can_be_taken_at_their_word():
    """On average as sure as it is right."""
    shares = MACHINE.probabilities(SPLITS.heldout.images)
    right = np.mean(shares.argmax(axis=1) == SPLITS.heldout.labels)
    assert shares.max(axis=1).mean() == pytest.approx(right, abs=0.04)


def test_labels_that_mean_nothing_teach_nothing():
    shuffled = np.random.default_rng(0).permutation(LABELS)
    shares = KernelMachine.fit(IMAGES, shuffled).probabilities(SPLITS.heldout.images)
    assert np.mean(shares.argmax(axis=1) == SPLITS.heldout.labels) < 0.25
    assert shares.max(axis=1).mean() < 0.3


def test_far_from_everything_no_class_is_certain():
    """The kernel vanishes there: what is left are the offsets."""
    far = np.full((1, 1, 8, 8), 50.0)
    assert MACHINE.decision(far)[0] == pytest.approx(MACHINE.offsets)


def test_arrays_make_the_same_machine_again():
    again = KernelMachine(**MACHINE.arrays())
    assert (again.probabilities(SPLITS.heldout.images) == MACHINE.probabilities(SPLITS.heldout.images)).all()
