"""Trueward in verl's registries, reward workers, queue and trainers, in the environment that verl needs."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.adapters.conftest import VERL, Verl

pytestmark = VERL


@pytest.fixture(scope="module")
def registry() -> list[dict[str, Any]]:
    script = Path(__file__).with_name("verl_registry.py")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [os.environ["TRUEWARD_VERL_PYTHON"], str(script)], capture_output=True, text=True, timeout=300, env=environment
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def only(cases: list[dict[str, Any]], name: str, **values: Any) -> dict[str, Any]:
    found = [case for case in cases if case["name"] == name and values.items() <= case.items()]
    assert len(found) == 1, (name, values)
    return found[0]


def test_importing_verl_loads_the_entry_point_and_nothing_else(registry: list[dict[str, Any]]) -> None:
    assert only(registry, "loaded by import verl")["modules"] == ["plugin"]


def test_losses_are_those_of_verl_in_all_of_its_means(registry: list[dict[str, Any]]) -> None:
    """On a batch of its own, and on a part of a larger one on four workers; with and without weights of rollouts."""
    losses = [case for case in registry if case["name"] == "loss"]
    assert len(losses) == 6 * 3 * 2
    assert {case["mode"] for case in losses} == {
        "token-mean", "token-sum", "seq-mean-token-sum", "seq-mean-token-mean", "seq-mean-token-sum-norm",
    }  # fmt: skip
    for case in losses:
        assert case["difference"] <= 1e-6 * max(1.0, abs(case["loss"])), case
        assert case["gradient"] <= 1e-6, case
        assert case["metrics"] <= 1e-6 and case["shared"] >= 2, case
    assert len({case["loss"] for case in losses}) > 20


@pytest.mark.parametrize("name", ["trueward_z_score", "trueward_centre", "trueward_leave_one_out"])
def test_estimators_are_those_of_verl(registry: list[dict[str, Any]], name: str) -> None:
    case = only(registry, "estimator", ours=name)
    assert case["difference"] < 1e-6 < case["size"]
    assert case["same"]  # returns are the advantages where there is no critic


@pytest.mark.parametrize("name", ["trueward_grpo_lambda", "trueward_segment_returns"])
def test_estimators_are_those_that_they_are_made_of(registry: list[dict[str, Any]], name: str) -> None:
    case = only(registry, "built in", ours=name)
    assert case["difference"] < 1e-6 < case["size"]


def test_what_verl_has_no_word_for(registry: list[dict[str, Any]]) -> None:
    unscored = only(registry, "unscored")
    assert unscored["row"] == 0.0 and unscored["others"] == 0.0
    filled = only(registry, "filled")
    assert filled["rows"] == 0.0 and filled["padding"] == 0.0 and filled["size"] > 0.5
    # A group of four: the deviation over n instead of n − 1 is smaller by √¾.
    assert only(registry, "setting")["ratio"] == pytest.approx((4 / 3) ** 0.5, rel=1e-5)
    # Returns of turns: 1 + 3 and 3, and 0 + 2 and 2, of which the mean is 2.75.
    first, second = only(registry, "turns")["advantages"]
    assert first == [1.25, 1.25, 0.0, 0.25, 0.25, 0.25, 0.0, 0.0, 0.0]
    assert second == [-0.75, -0.75, 0.0, -0.75, -0.75, -0.75, 0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("unknown setting", "has no setting epsilom"),
        ("thr without trainer", "trainer.v1.trainer_mode=trueward"),
        ("separately without trainer", "the parts of the reward"),
        ("kl in a switched reward", "use_kl_in_reward=true"),
        ("no groups", "prompt ids"),
        ("reinforce twice", "ppo_epochs=2"),
    ],
)
def test_refuses(registry: list[dict[str, Any]], name: str, says: str) -> None:
    case = only(registry, name)
    assert case["error"] == "TrainingError" and says in case["message"]


def test_every_process_has_the_names_or_says_so(verl: Verl) -> None:
    assert only(verl.cases, "process")["lacks"] == {}
    actor = only(verl.cases, "actor worker")
    assert actor["knows"] == ["trueward_clip"] and actor["asks"]
    assert "loss_mode=clop is unknown in actor worker 0" in actor["unknown"]
    check, loss, worker = only(verl.cases, "process with a broken plugin")["answers"]
    assert "trueward_thr" in check and "loading it failed" in check and "VERL_USE_EXTERNAL_MODULES" in check
    assert "Unsupported loss mode: trueward_clip" in loss  # what verl itself would say, after the first rollouts
    assert "verl does not know Trueward in actor worker 3" in worker


def test_the_reward_manager_scores_and_says_what_it_could_not_score(verl: Verl) -> None:
    case = only(verl.cases, "rows")
    # ¼ is half of the style's ½. What raises earns the lowest number, what abstains nothing at all.
    assert case["scores"] == [1.25, 0.25, None, 0.25, 1.25] * 3
    assert case["status"] == ["ok", "ok", "abstained", "raised", "ok"]
    assert case["keys"] == ["reward/number", "reward/style", "score", "status", "trueward"]
    assert case["parts"] == [1.0, 0.5]
    assert only(verl.cases, "refused", what="nothing")["message"] == ""  # its self-test read the first rows
    function = only(verl.cases, "function of verl")
    assert function["score"] == 1.0 and function["status"] == "ok"
    placed = only(verl.cases, "placed")
    assert placed["by_token"] == [0.0, 0.25, 1.0] and placed["unscored"] == [0.0, 0.0, None]


def test_a_reward_worker_does_not_start_with_a_reward_that_is_silently_wrong(verl: Verl) -> None:
    case = only(verl.cases, "reward worker")
    assert case["scores"] == [1.25, 0.25] and case["ready"] == ""
    assert "did not start" in case["broken"] and "self-test of number+style" in case["broken"]


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("silent zero", "known to be right got 0.25"),
        ("other estimator", "+reward.trueward.unscored=0.0"),
        ("unknown setting", "it knows deadline, high, low"),
        ("transform of the batch", "the transforms centre look at other rows"),
        ("no range", "number declares no range"),
        ("no data", "data.train_files names no file"),
        ("zero everywhere", "in none of the usual formats does it score the references of 4 rows"),
        ("fused kernels", "use_fused_kernels=True"),
        ("another policy", "choose trainer.v1.trainer_mode=trueward"),
        ("unknown monitor setting", "trueward.monitor has no setting bugdet"),
    ],
)
def test_refuses_a_configuration(verl: Verl, what: str, says: str) -> None:
    assert says in only(verl.cases, "refused", what=what)["message"]


def test_verl_logs_parts_and_statuses_and_rewards_of_scored_rows(verl: Verl) -> None:
    told = only(verl.cases, "same", case="z_score")["metrics"]
    assert told["reward/correct/mean"] == pytest.approx(9 / 15)
    assert told["reward/status/abstained"] == told["reward/status/unparsable"] == told["reward/unscored"] == 1 / 16
    assert told["trueward/unscored_rows"] == 1.0
    metrics = only(verl.cases, "metrics")
    assert metrics["score"]["critic/score/mean"] == pytest.approx(0.6 + 0.5 * told["reward/style/mean"], abs=0.05)
    assert metrics["validated"]["val-core/sums/reward/mean@1"] == 0.5
    assert metrics["validated"]["val-aux/trueward/unscored"] == 1.0
    # Its file of rollouts has them too: 16, of which one has no reward and says why.
    assert metrics["rows"] == 16 and metrics["lost"] == [None]
    assert sum(metrics["styles"]) / 16 == pytest.approx(told["reward/style/mean"])


def test_outputs_of_one_session_count_once(verl: Verl) -> None:
    """Sessions earn 3, 1 and 2: counted once each their mean is 2, counted per output it would be 2.25."""
    assert only(verl.cases, "sessions")["advantages"] == [
        [1.0, 1.0, 1.0, 0.0],
        [1.0, 1.0, 1.0, 1.0],
        [-1.0, -1.0, -1.0, 0.0],
        [0.0, 0.0, 0.0, 0.0],
    ]


def test_turns_are_steps_where_only_the_mask_tells_them(verl: Verl) -> None:
    """Returns with γ = ½: ½ and 1, 1½ and 3, of which the mean is 1.5."""
    case = only(verl.cases, "turns")
    assert case["advantages"] == [[-1.0, -1.0, 0.0, -0.5, -0.5], [0.0, 0.0, 0.0, 1.5, 1.5]]
    assert "algorithm.trueward.response_length would have no effect" in case["useless"]


def test_an_alarm_ends_the_loop_of_verl_after_its_step(verl: Verl) -> None:
    case = only(verl.cases, "stopped")
    assert case["steps"] == [1, 2] and case["why"] == "the probe alarms"
    assert [Path(path).parent.name for path in case["saved"]] == ["global_step_2"]
    assert case["lines"] == 2 and case["step"] == 2 and "monitor/probe/gold" in case["monitor"]
    assert case["state"] == ["generator", "monitor", "reward"]
    assert case["fresh"] is None and case["from"] == case["resumed"] == 2
    assert "trueward.json is missing" in case["without"]
