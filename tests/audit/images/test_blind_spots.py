"""The pair test by hand, and a blind, a sharp and a perverse reward on real pairs."""

from __future__ import annotations

import numpy as np
import pytest

from trueward.audit.images.blind_spots import PairTest, pair_test, pair_test_by_kind
from trueward.errors import AuditError
from trueward.tasks.flow.artefacts import KINDS, spoilt
from trueward.tasks.flow.digits import digits


def test_right_wrong_tied_by_hand():
    # The clean scores have a standard deviation of 1: a tie of .1 is a difference of at most .1.
    clean = np.array([1.0, 1.0, -1.0, -1.0, np.nan])
    found = pair_test(clean, np.array([0.5, 1.05, -1.05, 0.0, 1.0]), tie=0.1)
    assert found == PairTest(right=1, wrong=1, tied=2, unscored=1) and found.pairs == 4
    assert [found.share(which) for which in ("right", "wrong", "tied")] == [0.25, 0.25, 0.5]


def test_without_a_tie_only_equal_scores_are_tied():
    clean, other = np.array([0.0, 2.0, 4.0]), np.array([0.0, 1.999, 4.001])
    assert pair_test(clean, other, tie=0.0) == PairTest(1, 1, 1)


def test_turning_the_pairs_round_turns_right_into_wrong():
    generator = np.random.default_rng(0)
    clean = generator.normal(size=100)
    spoilt_scores = generator.permutation(clean)
    one, other = pair_test(clean, spoilt_scores), pair_test(spoilt_scores, clean)
    assert (one.right, one.wrong, one.tied) == (other.wrong, other.right, other.tied)
    scaled = pair_test(3 * clean + 7, 3 * spoilt_scores + 7)
    assert scaled == one


def test_kinds_add_up_to_all():
    generator = np.random.default_rng(1)
    clean, other = generator.normal(size=90), generator.normal(size=90)
    other[5] = np.nan
    kinds = [("a", "b", "c")[place % 3] for place in range(90)]
    by_kind, together = pair_test_by_kind(clean, other, kinds), pair_test(clean, other)
    assert list(by_kind) == ["a", "b", "c"]
    for name in ("right", "wrong", "tied", "unscored"):
        assert sum(getattr(one, name) for one in by_kind.values()) == getattr(together, name)


def test_no_pairs():
    found = pair_test(np.zeros(0), np.zeros(0))
    assert found == PairTest(0, 0, 0) and np.isnan(found.share("right")) and found.interval("right") == (0.0, 1.0)
    assert found.blind


def test_what_does_not_fit_is_refused():
    with pytest.raises(AuditError, match=r"shape \(2,\) and \(3,\)"):
        pair_test(np.zeros(2), np.zeros(3))
    with pytest.raises(AuditError, match="tie=-1"):
        pair_test(np.zeros(2), np.zeros(2), tie=-1)
    with pytest.raises(AuditError, match="1 kinds"):
        pair_test_by_kind(np.zeros(2), np.zeros(2), ["a"])


def test_rewards_with_known_blind_spots():
    """Ink is blind to speckle, loves a second outline and hates cuts; the distance to real digits sees all of it."""
    splits = digits()
    clean = splits.heldout.images[:200]
    other, which = spoilt(clean, np.random.default_rng(3))
    kinds = [tuple(KINDS)[place] for place in which]
    known = splits.generator.images.reshape(-1, 64)

    def ink(images):
        return images.mean(axis=(1, 2, 3))

    def real(images):
        return -((images.reshape(-1, 1, 64) - known[None]) ** 2).sum(axis=2).min(axis=1)

    by_ink = pair_test_by_kind(ink(clean), ink(other), kinds)
    assert by_ink["double outline"].share("wrong") == 1.0 and by_ink["double outline"].blind
    assert by_ink["cut strokes"].share("right") == 1.0 and not by_ink["cut strokes"].blind
    constant = pair_test(np.ones(200), np.ones(200))
    assert constant.share("tied") == 1.0 and constant.blind
    by_real = pair_test(real(clean), real(other))
    assert by_real.share("right") > 0.85 and not by_real.blind
