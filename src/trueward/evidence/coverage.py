"""How much of what is right a policy still finds: pass@k, greedy accuracy, entropy, distinct solutions.

Flat settings: `coverage.prompts` and `coverage.samples` (per prompt, at least 256) for pass@k, entropy and distinct
solutions; `coverage.accuracy prompts` and `coverage.accuracy samples` for accuracy, which more prompts make exact
sooner than more samples.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from trueward.evidence.language_bed import under
from trueward.evidence.recipe import Metric
from trueward.report.atomic import write_whole
from trueward.tasks.text.procedural.task import TextTask

if TYPE_CHECKING:
    from trueward.evidence.run import Run
    from trueward.policies.language import LanguagePolicy
    from trueward.policies.sampling import Sampling
    from trueward.tasks.text.rows import Row

PASSES = (1, 8, 64, 256)
_PROMPTS_AT_ONCE = 16

COVERAGE_METRICS = (
    *(Metric(f"pass_{k}", f"prompts that {k} samples solve, expected, after training", unit="share") for k in PASSES),
    Metric("accuracy", "of one sample, after training", unit="share"),
    Metric("greedy", "accuracy of the likeliest tokens, after training", unit="share"),
    Metric("entropy", "of the policy at each token that it writes, after training", None, "nats"),
    Metric("distinct", "different right solutions per prompt among the samples, after training"),
    *(Metric(f"pass_{k}_start", f"prompts that {k} samples solve, before training", unit="share") for k in PASSES),
    Metric("accuracy_start", "of one sample, before training", unit="share"),
    Metric("greedy_start", "accuracy of the likeliest tokens, before training", unit="share"),
    Metric("entropy_start", "of the policy at each token, before training", None, "nats"),
    Metric("distinct_start", "different right solutions per prompt, before training"),
)
"""What `coverage` returns, after training and before."""


class ManySolutions(TextTask, Protocol):
    """A task whose rows have several right answers that can be told apart."""

    def solution(self, row: Row, completion: str) -> Hashable | None:
        """What two completions share that are one solution; None where the completion is not right."""


def coverage(run: Run, task: ManySolutions, policy: LanguagePolicy, sampling: Sampling) -> dict[str, float]:
    """What a policy finds on held-out prompts; the same prompts and draws in every arm.

    Returns:
        `pass_…` (unbiased), `accuracy`, `greedy`, `entropy` (mean over the tokens of the samples), `distinct`.
    """
    from trueward.measures.best_of_n import pass_at_k
    from trueward.training.record import texts_of
    from trueward.training.rollouts import gather
    from trueward.training.seeds import torch_stream

    chosen, seed = under(run.settings, "coverage"), run.seed_for("coverage")
    samples, generator = chosen["samples"], torch_stream(seed, "samples")
    rows = task.rows(chosen["prompts"], seed, "held out")
    texts: list[str] = []
    entropies: list[np.ndarray] = []
    for first in range(0, len(rows), _PROMPTS_AT_ONCE):
        some = rows[first : first + _PROMPTS_AT_ONCE]
        drawn = gather(policy, some, sampling, generator, group=samples, want=("entropy",))
        texts += texts_of(drawn)
        entropies.append(drawn.features["entropy"][np.asarray(drawn.mask)])
    right = task.gold([row for row in rows for _ in range(samples)], texts).values.reshape(-1, samples)
    counts = right.sum(axis=1).astype(int)
    passes = pass_at_k(counts, np.full(len(rows), samples), PASSES).mean(axis=0)
    many, each = task.rows(chosen["accuracy prompts"], seed, "held out"), chosen["accuracy samples"]
    sampled = texts_of(gather(policy, many, sampling, generator, group=each))
    likeliest = texts_of(gather(policy, many, dataclasses.replace(sampling, greedy=True), generator))
    return {
        **{f"pass_{k}": float(value) for k, value in zip(PASSES, passes, strict=True)},
        "accuracy": float(task.gold([row for row in many for _ in range(each)], sampled).values.mean()),
        "greedy": float(task.gold(many, likeliest).values.mean()),
        "entropy": float(np.concatenate(entropies).mean()),
        "distinct": _distinct(task, rows, texts, samples),
    }


def coverage_at_start(run: Run, task: ManySolutions, policy: LanguagePolicy, sampling: Sampling) -> dict[str, float]:
    """The same of the warm-started policy, measured once for all arms of a seed; names end in `_start`."""

    def build(folder: Path) -> None:
        write_whole(folder / "coverage.json", json.dumps(coverage(run, task, policy, sampling)).encode())

    depends = {"task": repr(task), "sampling": repr(sampling), **under(run.settings, "policy")}
    folder = run.shared("coverage", {**depends, "coverage": under(run.settings, "coverage")}, build)
    found = json.loads((folder / "coverage.json").read_text())
    return {f"{name}_start": value for name, value in found.items()}


def _distinct(task: ManySolutions, rows: Sequence[Row], texts: Sequence[str], samples: int) -> float:
    counts = [
        len({task.solution(row, text) for text in set(texts[place * samples : (place + 1) * samples])} - {None})
        for place, row in enumerate(rows)
    ]
    return float(np.mean(counts))
