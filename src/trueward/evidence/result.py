"""The document of an experiment, `results/NAME.json`, made of its outcome and the verdict."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from trueward.evidence.curves import curves_of
from trueward.evidence.experiment import Outcome
from trueward.evidence.plan import Experiment, Tried
from trueward.evidence.provenance import versions
from trueward.evidence.recipe import Arm
from trueward.evidence.record import read_run
from trueward.evidence.run import json_text
from trueward.evidence.samples import samples_of
from trueward.evidence.verdict import Judged, JudgedFalsifier, judge
from trueward.measures.paired import mean_interval
from trueward.report.experiment_document import (
    SCHEMA_VERSION,
    ArmResult,
    ExperimentDocument,
    FalsifierResult,
    MetricResult,
    StatementResult,
    TuningRow,
)


def document(experiment: Experiment, outcome: Outcome, command: str) -> ExperimentDocument:
    """Everything that is published of an experiment, in the order of the recipe.

    Args:
        experiment: what was run.
        outcome: what came out.
        command: what repeats it, as a user types it.
    """
    recipe, seeds = experiment.recipe, experiment.reported
    judged = judge(recipe, outcome.values, seeds)
    return {
        "schema": "trueward-experiment",
        "schema_version": SCHEMA_VERSION,
        "recipe": recipe.name,
        "title": recipe.title,
        "paper": recipe.paper,
        "claim": recipe.claim,
        "verdict": judged.verdict,
        "why": judged.why,
        "scale": experiment.scale,
        "seeds": list(seeds),
        "metrics": [
            {"name": metric.name, "about": metric.about, "better": metric.better, "unit": metric.unit}
            for metric in recipe.metrics
        ],
        "claims": [_statement(one) for one in judged.claims],
        "preconditions": [_statement(one) for one in judged.preconditions],
        "falsifiers": [_falsifier(one) for one in judged.falsifiers],
        "arms": [_arm(experiment, outcome, arm) for arm in experiment.chosen_arms],
        "tuned_on": recipe.tuned_on,
        "tuning": [_tuning_row(one) for one in outcome.tried],
        "failures": [{"arm": one.arm, "seed": one.seed, "error": one.error} for one in outcome.failures],
        "parts": list(recipe.parts),
        "notes": recipe.notes,
        "at_scale": recipe.at_scale,
        "settings": _shared_settings(experiment),
        "versions": versions(),
        "commit": _commits(outcome),
        "seconds": round(outcome.seconds, 1),
        "command": command,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _commits(outcome: Outcome) -> str | None:
    """The commit of the runs; all of them, where runs that were kept come from another one."""
    records = [read_run(run.directory) for row in outcome.runs.values() for run in row.values()]
    found = {record["commit"] for record in records if record is not None and record.get("commit")}
    return ", ".join(sorted(found)) or None


def _statement(judged: Judged) -> StatementResult:
    comparison, interval = judged.comparison, judged.interval
    return {
        "text": comparison.text,
        "kind": comparison.kind,
        "metric": comparison.metric,
        "a": comparison.a,
        "b": comparison.b,
        "mean": _finite(interval.mean),
        "low": _finite(interval.low),
        "high": _finite(interval.high),
        "by": comparison.by,
        "margin": comparison.margin,
        "state": judged.state,
        "seeds": interval.n,
    }


def _falsifier(judged: JudgedFalsifier) -> FalsifierResult:
    return {
        "text": judged.falsifier.text,
        "state": judged.state,
        "comparisons": [_statement(one) for one in judged.comparisons],
    }


def _arm(experiment: Experiment, outcome: Outcome, arm: Arm) -> ArmResult:
    runs = outcome.runs.get(arm.name, {})
    chosen = dict(outcome.chosen.get(arm.name, {}))
    shared = _shared_settings(experiment)
    settings: dict[str, Any] = dict(next(iter(runs.values())).settings) if runs else {**shared, **arm.settings}
    curves = {str(seed): curves_of(run.directory) for seed, run in runs.items()}
    return {
        "name": arm.name,
        "about": arm.about,
        "role": arm.role,
        "settings": settings,
        "differs": {name: value for name, value in settings.items() if name not in shared or shared[name] != value},
        "chosen": chosen,
        "metrics": {
            metric.name: _metric(experiment, outcome, arm, metric.name) for metric in experiment.recipe.metrics
        },
        "curves": {seed: series for seed, series in curves.items() if series},
        "samples": [sample for seed, run in runs.items() for sample in samples_of(run.directory, seed)],
    }


def _shared_settings(experiment: Experiment) -> dict[str, Any]:
    """What all arms share, as it is in the record of a run: tuples are lists."""
    settings = {**experiment.recipe.at(experiment.scale), **experiment.overrides}
    shared: dict[str, Any] = json.loads(json_text(settings, f"recipe {experiment.recipe.name!r}"))
    return shared


def _metric(experiment: Experiment, outcome: Outcome, arm: Arm, metric: str) -> MetricResult:
    found = outcome.values.get(arm.name, {})
    values = {seed: _finite(found.get(seed, {}).get(metric, math.nan)) for seed in experiment.reported}
    interval = mean_interval(_known(list(values.values())))
    return {
        "mean": _finite(interval.mean),
        "low": _finite(interval.low),
        "high": _finite(interval.high),
        "values": {str(seed): value for seed, value in values.items()},
    }


def _tuning_row(tried: Tried) -> TuningRow:
    return {
        "arm": tried.arm,
        "settings": dict(tried.settings),
        "values": {str(seed): None if value is None else _finite(value) for seed, value in tried.values.items()},
        "mean": tried.mean,
        "chosen": tried.chosen,
    }


def _known(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
