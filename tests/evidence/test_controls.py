"""Controls keep what they say they keep, and lose the rest."""

from __future__ import annotations

import dataclasses
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueward.batch import Context, Part, Preferences, Rollouts, Scores, Text
from trueward.errors import EvidenceError, RewardError
from trueward.evidence.controls import ConstantBonus, LabelNoise, RandomSignal, Shuffled, flipped, selected_at_random
from trueward.rewards.base import as_reward
from trueward.status import Status

OK, LATE, GONE = Status.OK, Status.TIMED_OUT, Status.UNAVAILABLE


def rollouts(group: list[int] | None, n: int | None = None) -> Rollouts:
    n = len(group) if group is not None else n or 0
    return Rollouts(Text([""] * n, [""] * n), group=None if group is None else np.array(group))


def scores(values: list[float], status: list[Status] | None = None, **about: float) -> Scores:
    return Scores({"r": Part(np.array(values, dtype=float), status or [OK] * len(values), **about)})  # type: ignore[arg-type]


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(-9, 9), st.sampled_from([OK, OK, LATE, GONE])), min_size=1))
def test_shuffling_keeps_the_values_of_every_group_and_every_status(rows: list[tuple[int, float, Status]]) -> None:
    group, given_values, status = (list(column) for column in zip(*rows, strict=True))
    values = [v if s.ok else float("nan") for v, s in zip(given_values, status, strict=True)]
    part = Shuffled("group")(scores(values, status), rollouts(group), Context()).parts["r"]
    assert list(part.status) == status
    for number in set(group):
        rows_of = [i for i, g in enumerate(group) if g == number and status[i].ok]
        assert Counter(part.values[rows_of].tolist()) == Counter(values[i] for i in rows_of)


def test_shuffling_the_batch_loses_the_prompt_and_shuffling_groups_does_not() -> None:
    group, values = [i // 8 for i in range(800)], [float(i // 8) for i in range(800)]
    kept = Shuffled("group")(scores(values), rollouts(group), Context()).parts["r"].values
    assert kept.tolist() == values
    lost = Shuffled("batch")(scores(values), rollouts(group), Context()).parts["r"].values
    assert Counter(lost.tolist()) == Counter(values)
    assert abs(np.corrcoef(lost, values)[0, 1]) < 0.15


def test_shuffling_visits_every_order_equally_often() -> None:
    seen = Counter(
        tuple(Shuffled("batch", seed)(scores([1, 2, 3]), rollouts(None, 3), Context()).parts["r"].values.tolist())
        for seed in range(1200)
    )
    assert len(seen) == 6
    assert sum((count - 200) ** 2 / 200 for count in seen.values()) < 20.5  # chi², 5 degrees, p = .001


def test_parts_of_a_row_stay_together() -> None:
    values = np.arange(40.0)
    both = Scores({"a": Part(values, [OK] * 40), "b": Part(-values, [OK] * 40)})
    found = Shuffled("batch")(both, rollouts(None, 40), Context()).parts
    assert (found["a"].values == -found["b"].values).all()
    assert found["a"].values.tolist() != values.tolist()


def test_segments_that_do_not_exist_stay_out() -> None:
    exists = np.array([[True, True, False], [True, False, False]])
    part = Part(np.array([[1.0, 2.0, 0.0], [3.0, 0.0, 0.0]]), [OK, OK], "segment", exists=exists)
    found = Shuffled("batch", 3)(Scores({"s": part}), rollouts([0, 1]), Context()).parts["s"]
    assert sorted(found.values[exists].tolist()) == [1.0, 2.0, 3.0]
    assert (found.values[~exists] == 0).all()
    alone = Shuffled("group", 3)(Scores({"s": part}), rollouts([0, 1]), Context()).parts["s"]
    assert alone.values[1, 0] == 3.0 and sorted(alone.values[0, :2].tolist()) == [1.0, 2.0]


@pytest.mark.parametrize("control", [Shuffled("batch", 1), RandomSignal(1), LabelNoise(0.5, 1, low=0, high=50)])
def test_the_same_step_draws_the_same_and_another_step_does_not(control: Shuffled) -> None:
    def draw(step: int, training: bool = True) -> list[float]:
        context = Context(step=step, training=training)
        values: list[float] = control(scores(list(range(50))), rollouts(None, 50), context).parts["r"].values.tolist()
        return values

    assert draw(3) == draw(3) == draw(3, training=False) != draw(4)
    assert not hasattr(control, "state_dict")


def test_a_random_signal_has_the_distribution_of_the_signal_and_no_meaning() -> None:
    values = np.random.default_rng(0).exponential(size=4000)
    status = [OK] * 3999 + [GONE]
    values[-1] = np.nan
    found = RandomSignal(5)(scores(values.tolist(), status), rollouts(None, 4000), Context()).parts["r"]
    assert np.isnan(found.values[-1]) and list(found.status) == status
    old, new = values[:-1], found.values[:-1]
    assert set(new.tolist()) <= set(old.tolist())
    assert np.quantile(new, [0.25, 0.5, 0.75]) == pytest.approx(np.quantile(old, [0.25, 0.5, 0.75]), rel=0.15)
    assert abs(np.corrcoef(old, new)[0, 1]) < 0.06


def test_label_noise_turns_its_share_round() -> None:
    values = [0.0, 1.0] * 2000
    context, all_rows = Context(), rollouts(None, 4000)
    found = LabelNoise(0.2, 9)(scores(values, low=0.0, high=1.0), all_rows, context).parts["r"].values
    assert np.mean(found != values) == pytest.approx(0.2, abs=0.025)  # four deviations
    assert LabelNoise(0.0)(scores(values, low=0.0, high=1.0), all_rows, context).parts["r"].values.tolist() == values
    turned = LabelNoise(1.0)(scores([2.0, 5.0, 4.0], low=2.0, high=5.0), rollouts(None, 3), context)
    assert turned.parts["r"].values.tolist() == [5.0, 2.0, 3.0]


def test_label_noise_leaves_failures_alone() -> None:
    noisy = LabelNoise(1.0)(
        scores([1.0, np.nan, np.nan], [OK, LATE, GONE], low=0.0, high=1.0), rollouts(None, 3), Context()
    )
    assert noisy.total().tolist()[:2] == [0.0, 0.0] and np.isnan(noisy.total()[2])


def test_label_noise_needs_a_range_and_a_share() -> None:
    with pytest.raises(RewardError, match="range"):
        LabelNoise(0.1)(scores([1.0]), rollouts(None, 1), Context())
    with pytest.raises(EvidenceError, match=r"\[0, 1\]"):
        LabelNoise(1.5)
    with pytest.raises(RewardError, match="group"):
        Shuffled("group")(scores([1.0]), rollouts(None, 1), Context())


def test_a_bonus_moves_every_row_alike() -> None:
    before = scores([1.0, 3.0, np.nan, np.nan], [OK, OK, LATE, GONE], low=0.0)
    after = ConstantBonus(2.5)(before, rollouts(None, 4), Context())
    assert (after.total() - before.total())[:3].tolist() == [2.5, 2.5, 2.5]
    assert np.isnan(after.total()[3])  # what could not be scored still leaves the statistics
    assert after.total()[2] <= after.total()[0]


def test_any_reward_becomes_its_control() -> None:
    def length(prompts: list[str], completions: list[str], **columns: object) -> list[float]:
        return [float(len(completion)) for completion in completions]

    reward = as_reward(length)
    texts = ["a" * n for n in range(30)]
    batch = Rollouts(Text([""] * 30, texts))
    shuffled = reward.transform(Shuffled("batch")).score(batch, Context()).total()
    assert sorted(shuffled.tolist()) == [float(n) for n in range(30)] != shuffled.tolist()


def test_flipped_preferences() -> None:
    pairs = rollouts(None, 1000)
    preferences = Preferences(pairs, pairs, np.tile([1.0, 0.9], 500))
    found = flipped(preferences, 0.3, np.random.default_rng(1))
    changed = found.label != preferences.label
    assert np.mean(changed) == pytest.approx(0.3, abs=0.06)
    assert np.allclose(found.label[changed], 1 - preferences.label[changed])
    assert dataclasses.replace(found, label=preferences.label) == preferences
    with pytest.raises(EvidenceError):
        flipped(preferences, -0.1, np.random.default_rng(1))


def test_selection_at_random_takes_as_many_from_every_group() -> None:
    selected = np.array([True, True, False, False, True, False, False, False, False])
    group = np.array([0, 1, 0, 1, 1, 0, 2, 2, 0])
    counts = np.zeros(9)
    for seed in range(600):
        taken = selected_at_random(selected, np.random.default_rng(seed), group)
        assert [taken[group == g].sum() for g in (0, 1, 2)] == [1, 2, 0]
        counts += taken
    # One of four in group 0, two of three in group 1, none in group 2.
    assert counts / 600 == pytest.approx(np.select([group == 0, group == 1], [0.25, 2 / 3], 0.0), abs=0.08)
    assert selected_at_random(selected, np.random.default_rng(0)).sum() == 3
