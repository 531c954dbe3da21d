"""A curator by rule: what it knows, where its limit lies, and that it errs as often as it is said to."""

from __future__ import annotations

import numpy as np
import pytest

from trueward.tasks.flow.artefacts import KINDS, spoilt
from trueward.tasks.flow.curator import Curator
from trueward.tasks.flow.digits import digits


def images(*values):
    return np.array(values, dtype=np.float32)[:, None, None, None]


def test_the_limit_by_hand():
    # Known: −1 and 1. The others lie .1, .2, .3 and .4 from the nearest of them.
    curator = Curator.of(images(-1.0, 1.0, -1.0, 1.0, -0.9, 0.8, -0.7, 0.6), quantile=0.5, error=0.0)
    assert curator.limit == pytest.approx(0.25, abs=1e-6)
    found = curator.labels(images(-0.8, 0.7, 0.0, 5.0), np.random.default_rng(0))
    # What lies outside of the range is shown at its end.
    assert found.tolist() == [0, 1, 1, 0]


def test_it_errs_at_its_rate():
    curator = Curator(images(0.0), limit=0.5, error=0.2)
    found = curator.labels(np.zeros((5000, 1, 1, 1), dtype=np.float32), np.random.default_rng(0))
    assert found.mean() == pytest.approx(0.2, abs=0.02)
    always = Curator(images(0.0), limit=0.5, error=1.0)
    assert (always.labels(images(0.0, 1.0), np.random.default_rng(0)) == [1, 0]).all()


def test_it_tells_spoilt_digits_from_real_ones_that_it_does_not_know():
    splits = digits()
    curator, generator = Curator.of(splits.generator.images, error=0.0), np.random.default_rng(0)
    real = curator.labels(splits.heldout.images, generator)
    assert real.mean() == pytest.approx(0.1, abs=0.06)
    for kind in KINDS:
        assert curator.labels(spoilt(splits.heldout.images, generator, [kind])[0], generator).mean() > 0.25, kind


def test_it_knows_no_image_of_gold():
    splits = digits()
    known = {one.tobytes() for one in Curator.of(splits.generator.images).known}
    assert not known & {one.tobytes() for one in np.concatenate([splits.judge.images, splits.proxy.images])}


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="1 images"):
        Curator.of(images(0.0))
    with pytest.raises(ValueError, match="quantile=2"):
        Curator.of(images(0.0, 1.0), quantile=2.0)
    with pytest.raises(ValueError, match="error=-1"):
        Curator(images(0.0), 1.0, error=-1)
