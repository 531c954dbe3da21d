"""The audit of rewards of control: five planted flaws are found and named, and their mended twins come out clean."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trueward.audit.control import audit_control
from trueward.errors import AuditError, MissingExtra, RewardError, TruewardError
from trueward.report.json_file import read_json

HERE = Path(__file__).parent
QUICK = {"steps": 0, "horizon": 60}


def _worlds() -> Any:
    spec = importlib.util.spec_from_file_location("control_worlds", HERE / "control_worlds.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["control_worlds"] = module
    spec.loader.exec_module(module)
    return module


worlds = _worlds()


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("flaw", worlds.PLANTED)
def test_planted_flaws_are_named_and_mended_twins_are_clean(flaw: str, seed: int) -> None:
    env, gold, flawed, mended = worlds.PLANTED[flaw]
    found = audit_control(flawed, env, gold=gold, seed=seed, **QUICK)
    assert found.audit["verdict"] == "findings"
    named = {finding["family"].split(", ")[0]: finding for finding in found.audit["findings"]}
    if flaw == "shaping":
        assert all("because of its part 'shaping'" in finding["title"] for finding in named.values())
    else:
        assert flaw in named
        assert all("because of" not in finding["title"] for finding in named.values())
    twin = audit_control(mended, env, gold=gold, seed=seed, **QUICK)
    assert twin.clean, str(twin)
    assert twin.document["exit_code"] == 0


def test_a_finding_is_a_policy_that_exists() -> None:
    report = audit_control(worlds.cycle, worlds.world, gold=worlds.arrived, **QUICK)
    [finding] = report.audit["findings"]
    assert finding["title"] == "pays more for going round than for the task: a lap of 2 steps earns .3 every time"
    assert (finding["prompts"], finding["tested"], finding["share"]) == (16, 16, 1.0)
    example = finding["examples"][0]
    assert "60 steps, then cut off" in example["completion"]
    assert "repeats a lap of 2 steps; each lap earns .3 and 0 gold" in example["completion"]
    # In and out of the checkpoint, for ever, from the step on in which it is first entered: the fourth from one of the
    # two cells in which episodes begin, the fifth from the other.
    returns = [0.3 * 0.99**enters / (1 - 0.99**2) for enters in (3, 4)]
    assert any(example["reward"] == pytest.approx(expected, abs=1e-9) for expected in returns)
    assert example["payoff"] > 1
    assert "gold 0 where the competent policy has 1" in example["why"]


def test_a_reward_that_is_gold_is_clean_whatever_its_scale_and_shaping() -> None:
    rng = np.random.default_rng(5)
    for _ in range(3):
        worth = rng.normal(size=worlds.GRID.mdp.states) * 3
        scale = float(rng.uniform(0.1, 10))

        def reward(
            state: np.ndarray, next_state: np.ndarray, terminated: np.ndarray, worth: Any = worth, scale: float = scale
        ) -> np.ndarray:
            after, before = worth[next_state.astype(int)], worth[state.astype(int)]
            return scale * worlds.arrived(next_state) + worlds.DISCOUNT * after * ~terminated - before

        report = audit_control(reward, worlds.slippery_world, gold=worlds.arrived, **QUICK)
        assert report.clean, str(report)


def test_flaws_are_found_where_moves_slip() -> None:
    report = audit_control(worlds.loitering, worlds.slippery_world, gold=worlds.arrived, **QUICK)
    assert "loitering" in {finding["family"].split(", ")[0] for finding in report.audit["findings"]}


def test_without_gold_there_are_no_findings_but_what_was_seen_is_told() -> None:
    report = audit_control(worlds.cycle, worlds.world, **QUICK)
    assert report.clean
    assert "not tested" in report.audit["header"][0]
    assert [note["title"] for note in report.audit["notes"]] == ["the policy that earns most goes round"]
    assert "went" not in str(report) and "start" in str(report)
    [row] = report.audit["families"]
    assert (row["family"], row["not_tested"]) == ("asked again", "")


def _not_a_number(next_state: np.ndarray) -> np.ndarray:
    return np.where(next_state == worlds.CHECKPOINT, np.nan, worlds.arrived(next_state))


def _forgets_nothing() -> Callable[..., np.ndarray]:
    asked = [0]

    def reward(next_state: np.ndarray) -> np.ndarray:
        asked[0] += 1
        return worlds.arrived(next_state) + 0.001 * asked[0]

    return reward


def _of_the_batch(next_state: np.ndarray) -> np.ndarray:
    return next_state - next_state.mean()


def test_failures_are_findings() -> None:
    report = audit_control(_not_a_number, worlds.world, gold=worlds.arrived, **QUICK)
    finding = report.audit["findings"][0]
    assert (finding["kind"], finding["title"]) == ("failure", "fails on some steps")
    assert "nan" in finding["examples"][0]["why"]
    assert 0 < finding["share"] < 0.5
    assert report.audit["statuses"]["raised"] == finding["prompts"]


@pytest.mark.parametrize("seen_before_training", [True, False])
def test_a_reward_that_fails_in_training_has_failed(seen_before_training: bool) -> None:
    """It is no error of the audit, whether the failing steps are seen before the training or only in it."""
    calls = [0]

    def reward(next_state: np.ndarray) -> np.ndarray:
        calls[0] += len(next_state) > 1
        fails = next_state == worlds.CHECKPOINT if seen_before_training else np.full(len(next_state), calls[0] > 3000)
        return np.where(fails, np.nan, worlds.arrived(next_state))

    settings = {**QUICK, "steps": 20_480, "seeds": 1, "starts": 5, "horizon": 20}
    report = audit_control(reward, worlds.world, gold=worlds.arrived, **settings)
    assert "fails on some steps" in [finding["title"] for finding in report.audit["findings"]]
    assert any("nothing more was trained" in notice for notice in report.audit["header"])
    [example] = report.audit["findings"][0]["examples"]
    assert ("a policy in training" in example["completion"]) is not seen_before_training


def test_gold_must_score_every_step() -> None:
    with pytest.raises(AuditError, match="gold must score every step"):
        audit_control(worlds.arrived, worlds.world, gold=_not_a_number, **QUICK)


def test_scores_that_change_are_findings() -> None:
    report = audit_control(_forgets_nothing(), worlds.world, gold=worlds.arrived, **QUICK)
    assert [finding["kind"] for finding in report.audit["findings"]] == ["failure"]
    assert report.audit["headline"] == "scores the same steps differently when it is asked again"
    assert report.audit["deterministic"] is False


def test_rows_that_depend_on_each_other_are_findings() -> None:
    report = audit_control(_of_the_batch, worlds.world, gold=worlds.arrived, **QUICK)
    assert [finding["title"] for finding in report.audit["findings"]] == ["its rows depend on each other"]
    assert report.audit["families"][-1]["not_tested"]


@pytest.mark.parametrize(
    ("reward", "env", "gold", "settings", "error", "words"),
    [
        (lambda height: height, "world", None, {}, RewardError, "has no 'height'"),
        (lambda next_state: next_state[0], "world", None, {}, RewardError, "shape"),
        ("arrived", "world", lambda next_state: 0.0 * next_state, {}, AuditError, "better by gold"),
        ("arrived", "CartPol-v1", None, {}, AuditError, "CartPole"),
        ("arrived", "nosuchpackage:Some-v0", None, {}, AuditError, "nosuchpackage"),
        ("arrived", "envs.py:missing", None, {}, RewardError, "envs.py"),
        ("arrived", lambda: 3, None, {}, AuditError, "returned int"),
        ("arrived", lambda a, b: None, None, {}, AuditError, "2 arguments"),
        ("arrived", 7, None, {}, AuditError, "int"),
        ("arrived", "world", None, {"discount": 1.0}, AuditError, "discount=1.0"),
        ("arrived", "world", None, {"starts": 2}, AuditError, "at least 5"),
    ],
)
def test_what_cannot_be_audited_says_why(
    reward: Any, env: Any, gold: Any, settings: dict[str, Any], error: type[TruewardError], words: str
) -> None:
    given = worlds.arrived if reward == "arrived" else reward
    where = worlds.world if env == "world" else env
    with pytest.raises(error, match=words):
        audit_control(given, where, gold=gold, **{**QUICK, **settings})


@pytest.mark.parametrize("missing", ["gymnasium", "trueward.policies.control"])
def test_what_is_not_installed_is_named(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(MissingExtra, match=r"pip install 'trueward\[control\]'"):
        audit_control(worlds.arrived, worlds.world, gold=worlds.arrived, **{**QUICK, "steps": 2048})


def test_the_same_audit_twice_says_the_same() -> None:
    first, second = (
        audit_control(worlds.loitering, worlds.slippery_world, gold=worlds.arrived, **QUICK).audit for _ in range(2)
    )
    for audit in (first, second):
        audit.update(seconds=0.0, latency=None)
    assert first == second


def test_training_finds_what_planning_cannot_and_gold_falls(tmp_path: Path) -> None:
    """CartPole with a reward that costs in every step: the pole had better fall. PPO finds that, and gold collapses."""

    def costs(next_observation: np.ndarray) -> np.ndarray:
        return -1.0 - np.abs(next_observation[..., 2])

    def stands(terminated: np.ndarray) -> np.ndarray:
        return 1.0 - terminated

    report = audit_control(costs, "CartPole-v1", gold=stands, steps=12_000, seeds=2, starts=8, horizon=150)
    finding = report.audit["findings"][0]
    assert finding["title"] == "pays more for ending the episode early than for going on"
    assert finding["family"] == "ending early, optimised"
    assert any("made by: trained on the reward" in example["derivation"] for example in finding["examples"])
    control = report.audit["control"]
    assert (control["environment"], control["seeds"], control["training_steps"]) == ("CartPole-v1", 2, 12_000)
    assert control["gap"] is not None and control["gap"] > 20
    assert [(curve["trained_on"], curve["seed"]) for curve in control["curves"]] == [
        ("reward", 0),
        ("gold", 0),
        ("reward", 1),
        ("gold", 1),
    ]
    # The same words as in the report, and the report of a script is that of the command line.
    assert "exploitation gap: a policy that was trained on gold has" in str(report)
    report.to_json(tmp_path / "a.json")
    assert read_json(tmp_path / "a.json")["audits"][0]["control"] == json.loads(json.dumps(control))
