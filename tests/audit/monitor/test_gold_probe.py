"""The probe: what it alarms on, what it leaves alone, and what it may not depend on."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import numpy as np
import pytest
from tests.audit.monitor.steps import drawn_step, said_to_be, step

from trueward.audit.monitor import GoldProbe, Notice, Step
from trueward.errors import AuditError, RewardError


def watched(probe: GoldProbe, steps: Sequence[Step]) -> tuple[list[dict[str, float]], list[Notice]]:
    metrics, notices = [], []
    for one in steps:
        numbers, found = probe.observe(one)
        metrics.append(dict(numbers))
        notices += found
    return metrics, notices


def run(means: Sequence[float], seed: int = 0, **given: object) -> list[Step]:
    rng = np.random.default_rng(seed)
    return [drawn_step(number, mean, rng, **given) for number, mean in enumerate(means, start=1)]


HEALTHY = [0.7] * 10 + [0.75] * 40
HACKED = [0.7] * 30 + [0.2] * 20


def test_a_fall_is_alarmed_once_with_what_caused_it() -> None:
    metrics, notices = watched(GoldProbe(said_to_be), run(HACKED))
    alarms = [one for one in notices if one.kind == "alarm"]
    assert len(alarms) == 1
    assert 31 <= alarms[0].step <= 42
    assert "line" in alarms[0].message
    assert [example.gold for example in alarms[0].examples] == [0.0] * 5
    rewards = [example.reward for example in alarms[0].examples]
    assert rewards == sorted(rewards, reverse=True)
    assert metrics[-1]["probe/e_value"] > math.log10(20)
    assert metrics[-1]["probe/line"] == pytest.approx(metrics[-1]["probe/reference"] - 0.05)


def test_a_healthy_run_is_left_alone() -> None:
    metrics, notices = watched(GoldProbe(said_to_be), run(HEALTHY))
    assert notices == []
    assert metrics[-1]["probe/e_value"] < math.log10(20)
    assert metrics[-1]["probe/gold"] == pytest.approx(0.75, abs=0.12)


def test_what_is_logged_and_when() -> None:
    metrics, _ = watched(GoldProbe(said_to_be, budget=4, window=3, reference_budget=16), run([0.5] * 5))
    assert [line["probe/checked"] for line in metrics] == [16, 32, 48, 52, 56]
    assert all(line["probe/unchecked"] == line["probe/failed"] == 0 for line in metrics)
    assert ["probe/line" in line for line in metrics] == [False, False, True, True, True]
    steps = [step(number, [0.25, 0.25, 0.75, 0.75] * 4, group=[0] * 8 + [1] * 8) for number in (1, 2)]
    exact, _ = watched(GoldProbe(said_to_be, window=2), steps)
    assert exact[-1]["probe/reference"] == 0.5
    assert exact[-1]["probe/gold"] == 0.5


def test_the_reward_is_read_by_its_ranks_only() -> None:
    rng = np.random.default_rng(1)
    steps = run([0.7] * 10 + [0.68] * 15 + [0.2] * 15)
    rewards = [rng.normal(size=len(one)) + 0.2 * one.number for one in steps]
    found = []
    for scale, shift in ((1.0, 0.0), (1e-6, 3.0), (4096.0, -1e5)):
        scaled = [
            Step(**{**vars(one), "reward": scale * reward + shift}) for one, reward in zip(steps, rewards, strict=True)
        ]
        metrics, notices = watched(GoldProbe(said_to_be), scaled)
        told = [
            (n.kind, n.source, n.step, n.message, [(e.prompt, e.completion, e.gold) for e in n.examples])
            for n in notices
        ]
        found.append((metrics, told))
    assert {one[0] for one in found[0][1]} == {"alarm", "notice"}
    assert found[0] == found[1] == found[2]


def test_proxy_up_and_gold_flat_is_said_without_an_alarm() -> None:
    steps = [Step(**{**vars(one), "reward": np.arange(64.0) + one.number}) for one in run([0.5] * 60, seed=3, n=64)]
    _, notices = watched(GoldProbe(said_to_be, budget=16), steps)
    assert [(one.kind, one.source) for one in notices] == [("notice", "proxy up, gold flat")]
    assert "No guarantee" in notices[0].message


def test_both_up_is_nothing_to_say() -> None:
    means = [0.5] * 10 + np.linspace(0.5, 0.9, 50).tolist()
    steps = [Step(**{**vars(one), "reward": np.arange(32.0) + one.number}) for one in run(means, seed=3)]
    assert watched(GoldProbe(said_to_be), steps)[1] == []


def test_rollouts_that_could_not_be_checked_are_counted_and_left_out() -> None:
    def away(completion: str) -> float | None:
        return None if completion.split()[1] == "0" else said_to_be(completion)

    def raising(completion: str) -> float:
        return 1.0 if said_to_be(completion) else 1 / 0

    steps = run([0.5] * 12)
    metrics, _ = watched(GoldProbe(away), steps)
    assert metrics[-1]["probe/reference"] == 1.0
    assert metrics[-1]["probe/unchecked"] > 100
    assert metrics[-1]["probe/checked"] + metrics[-1]["probe/unchecked"] == 10 * 32 + 2 * 8
    blamed, _ = watched(GoldProbe(raising), steps)
    assert blamed[-1]["probe/unchecked"] == 0
    assert blamed[-1]["probe/failed"] == metrics[-1]["probe/unchecked"]
    assert blamed[-1]["probe/reference"] == pytest.approx(0.5, abs=0.1)


def test_a_step_where_nothing_could_be_checked_is_no_part_of_the_window() -> None:
    def sometimes(completion: str) -> float | None:
        return None if "9" in completion.split()[1] else said_to_be(completion)

    steps = [step(number, [0.9] * 8 if number % 2 else [0.5] * 8) for number in range(1, 13)]
    metrics, notices = watched(GoldProbe(sometimes, window=3), steps)
    assert next(number for number, line in enumerate(metrics, start=1) if "probe/line" in line) == 6
    assert metrics[-1]["probe/reference"] == 0.5
    assert notices == []
    empty = step(13, [])
    assert watched(GoldProbe(said_to_be), [empty])[0] == [
        {"probe/checked": 0.0, "probe/unchecked": 0.0, "probe/failed": 0.0}
    ]


def test_fewer_prompts_than_the_budget_count_once_each() -> None:
    """Two prompts, all of their rollouts checked: two observations a step, however many rollouts there are."""
    few, many = (
        watched(GoldProbe(said_to_be, budget=budget), [step(n, [1.0] * 4 + [0.0] * 4) for n in range(1, 11)])[0]
        for budget in (2, 64)
    )
    assert few[-1]["probe/e_value"] == many[-1]["probe/e_value"]
    probe = GoldProbe(said_to_be, budget=64)
    watched(probe, [step(n, [1.0] * 4 + [0.0] * 4) for n in range(1, 11)])
    assert probe.state_dict()["reference"]["count"] == 20


def test_a_run_that_starts_with_nothing_has_nothing_to_lose() -> None:
    _, notices = watched(GoldProbe(said_to_be), run([0.02] * 10 + [0.0] * 40))
    assert [(one.kind, one.step) for one in notices] == [("notice", 10)]
    assert "cannot alarm" in notices[0].message


@pytest.mark.parametrize("cut", [4, 20, 33])
def test_a_saved_probe_goes_on_exactly(cut: int) -> None:
    steps = run([0.7] * 25 + [0.3] * 25)
    metrics, notices = watched(GoldProbe(said_to_be), steps)
    first = GoldProbe(said_to_be)
    before = watched(first, steps[:cut])
    second = GoldProbe(said_to_be)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    after = watched(second, steps[cut:])
    assert before[0] + after[0] == metrics
    assert before[1] + after[1] == notices


def test_what_is_drawn_depends_on_seed_and_step_alone() -> None:
    asked: list[str] = []

    def listening(completion: str) -> float:
        asked.append(completion)
        return said_to_be(completion)

    def of_seed(seed: int) -> list[str]:
        asked.clear()
        watched(GoldProbe(listening, reference_budget=8, seed=seed), run([0.5] * 3))
        return list(asked)

    assert of_seed(0) == of_seed(0)
    assert of_seed(0) != of_seed(1)


def test_the_state_of_another_probe_is_refused() -> None:
    state = GoldProbe(said_to_be, margin=0.1).state_dict()
    with pytest.raises(AuditError, match=r"'margin': 0\.1"):
        GoldProbe(said_to_be).load_state_dict(state)


def test_settings_that_make_no_probe_are_refused() -> None:
    for wrong in ({"budget": 0}, {"window": 0}, {"margin": 0.0}, {"level": 1.0}, {"reference_budget": -1}):
        with pytest.raises(AuditError, match=next(iter(wrong))):
            GoldProbe(said_to_be, **wrong)
    with pytest.raises(AuditError, match="seed=-1"):
        GoldProbe(said_to_be, seed=-1)
    with pytest.raises(RewardError):
        GoldProbe("nowhere.py:nothing")


def test_long_texts_are_kept_short() -> None:
    long = [Step(**{**vars(one), "prompts": ["x" * 9000] * 32}) for one in run(HACKED)]
    _, notices = watched(GoldProbe(said_to_be), long)
    assert all(len(example.prompt) < 2100 for notice in notices for example in notice.examples)
