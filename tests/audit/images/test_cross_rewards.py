"""The matrix of training reward by reward: by hand, and on images whose taste is known."""

from __future__ import annotations

import numpy as np
import pytest

from trueward.audit.images.cross_rewards import cross_rewards, scored_by
from trueward.errors import AuditError
from trueward.rewards.images import as_image_reward, rollouts_of
from trueward.tasks.flow.digits import digits


def test_shifts_by_hand():
    found = cross_rewards(
        {
            "start": {"a": np.array([0.0, 2.0]), "b": np.array([10.0, 30.0, np.nan]), "same": np.ones(2)},
            "on a": {"a": np.array([5.0]), "b": np.array([0.0, 20.0]), "same": np.zeros(2)},
            "lost": {"a": np.array([1.0]), "b": np.array([np.nan]), "same": np.ones(1)},
        }
    )
    assert found.mean[:2].tolist() == [[1.0, 20.0, 1.0], [5.0, 10.0, 0.0]] and np.isnan(found.mean[2, 1])
    assert found.spread.tolist() == [1.0, 10.0, 0.0] and found.scored[:, 1].tolist() == [2, 2, 0]
    # (5 − 1) / 1 and (10 − 20) / 10; a column without spread has no unit.
    assert found.of("on a", "a") == 4.0 and found.of("on a", "b") == -1.0 and np.isnan(found.of("on a", "same"))
    assert found.shift[0, :2].tolist() == [0.0, 0.0]
    assert found.paid_for("on a", by=0.5) == ["b"] and found.paid_for("on a") == []


def test_scales_of_rewards_do_not_matter():
    generator = np.random.default_rng(0)
    start, end = generator.normal(size=50), generator.normal(2.0, size=40)
    one = cross_rewards({"start": {"r": start}, "end": {"r": end}})
    other = cross_rewards({"start": {"r": 5 * start - 3}, "end": {"r": 5 * end - 3}})
    assert one.of("end", "r") == pytest.approx(other.of("end", "r"))


def test_policies_with_a_taste():
    """Bright images please ink and displease likeness to what they came from."""

    def ink(prompts, images, **columns):
        return [float(np.asarray(image).mean()) for image in images]

    def modest(prompts, images, **columns):
        return [-float((np.asarray(image) == 255).mean()) for image in images]

    clean = (digits().heldout.images[:30] + 1) / 2
    bright = np.clip(clean * 3, 0, 1)
    samples = {"start": rollouts_of(clean, [""] * 30), "bright": rollouts_of(bright, [""] * 30)}
    found = scored_by(samples, {"ink": as_image_reward(ink), "modest": as_image_reward(modest)})
    assert found.of("bright", "ink") > 1 and found.of("bright", "modest") < -1
    assert found.paid_for("bright") == ["modest"] and found.scored.tolist() == [[30, 30], [30, 30]]


def test_what_does_not_fit_is_refused():
    row = {"a": np.ones(2)}
    with pytest.raises(AuditError, match="at least one policy"):
        cross_rewards({})
    with pytest.raises(AuditError, match="'other' is scored by b, the first one by a"):
        cross_rewards({"start": row, "other": {"b": np.ones(2)}})
    with pytest.raises(AuditError, match="no sample of the first policy has a score by a"):
        cross_rewards({"start": {"a": np.array([np.nan])}})
    with pytest.raises(AuditError, match="no entry for policy 'x'"):
        cross_rewards({"start": row}).of("x", "a")
