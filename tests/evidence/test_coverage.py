"""What a policy still finds, of policies whose every number is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trueward.batch import Rollouts, Text
from trueward.evidence.coverage import COVERAGE_METRICS, coverage, coverage_at_start
from trueward.evidence.run import Run
from trueward.policies.sampling import Sampling
from trueward.tasks.text.procedural import Countdown

TASK = Countdown(count=2, largest=6, largest_target=36)
SETTINGS = {
    "policy.layers": 1,
    "coverage.prompts": 12,
    "coverage.samples": 256,
    "coverage.accuracy prompts": 40,
    "coverage.accuracy samples": 2,
}


class Knows:
    """Writes every right answer in turn, in every `period`-th sample of a prompt; else nonsense. Entropy is ½."""

    def __init__(self, period: int) -> None:
        self.period, self.asked = period, 0

    def sample(self, prompts: Any, sampling: Sampling, generator: Any, *, want: Any = ()) -> Rollouts:
        self.asked += 1
        seen: dict[str, int] = {}
        texts = []
        for prompt in prompts:
            place = seen[prompt] = seen.get(prompt, -1) + 1
            texts.append(answers(prompt)[place % len(answers(prompt))] if place % self.period == 0 else "1 + 1 + 1")
        if sampling.greedy:
            texts = [answers(prompt)[0] for prompt in prompts]
        mask = np.ones((len(texts), 3), dtype=bool)
        mask[:, 2] = False
        entropy = np.where(mask, 0.5, 99.0)
        return Rollouts(Text(list(prompts), texts), mask=mask, features={"entropy": entropy})


def answers(prompt: str) -> list[str]:
    a, b, _, target = prompt.split()
    texts = [f"{x} {sign} {y}" for x, y in ((a, b), (b, a)) for sign in "+-*"]
    return [text for text in texts if eval(text) == int(target)]


def run(folder: Path, **settings: Any) -> Run:
    return Run("thr", "grpo", "small", 3, {**SETTINGS, **settings}, folder / "thr" / "small" / "seed-3" / "grpo")


def test_of_a_policy_that_always_knows(tmp_path: Path) -> None:
    found = coverage(run(tmp_path), TASK, Knows(1), Sampling(3))  # type: ignore[arg-type]
    assert {found[f"pass_{k}"] for k in (1, 8, 64, 256)} == {1.0}
    assert found["accuracy"] == found["greedy"] == 1.0
    assert found["entropy"] == pytest.approx(0.5)


def test_of_a_policy_that_knows_once_in_64_samples(tmp_path: Path) -> None:
    found = coverage(run(tmp_path), TASK, Knows(64), Sampling(3))  # type: ignore[arg-type]
    # 4 of 256 are right; 1 − C(252, k)/C(256, k).
    assert found["pass_1"] == pytest.approx(4 / 256)
    assert found["pass_8"] == pytest.approx(1 - np.prod([(252 - i) / (256 - i) for i in range(8)]))
    assert found["pass_256"] == pytest.approx(1.0)
    assert found["greedy"] == 1.0


def test_solutions_are_counted_once_however_they_are_written(tmp_path: Path) -> None:
    found = coverage(run(tmp_path), TASK, Knows(1), Sampling(3))  # type: ignore[arg-type]
    rows = TASK.rows(12, run(tmp_path).seed_for("coverage"), "held out")
    counts = [len({TASK.solution(row, text) for text in answers(row.prompt_text)}) for row in rows]
    assert found["distinct"] == pytest.approx(np.mean(counts))
    assert max(len(answers(row.prompt_text)) for row in rows) > max(counts)


def test_the_start_is_measured_once_for_all_arms_of_a_seed(tmp_path: Path) -> None:
    policy = Knows(1)
    one = run(tmp_path)
    one.directory.mkdir(parents=True)
    first = coverage_at_start(one, TASK, policy, Sampling(3))  # type: ignore[arg-type]
    asked = policy.asked
    assert coverage_at_start(one, TASK, policy, Sampling(3)) == first  # type: ignore[arg-type]
    assert policy.asked == asked > 0
    other = run(tmp_path, **{"coverage.prompts": 2})
    coverage_at_start(other, TASK, policy, Sampling(3))  # type: ignore[arg-type]
    assert policy.asked > asked
    after = coverage(one, TASK, policy, Sampling(3))  # type: ignore[arg-type]
    assert {*first, *after} == {metric.name for metric in COVERAGE_METRICS}
