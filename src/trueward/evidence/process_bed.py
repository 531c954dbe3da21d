"""What test beds of process rewards share: steps that end with a line break, and scorers of steps and of outcomes.

The scorers learn from samples of the warm-started policy, labelled by a verifier or, step by step, by how often that
policy gets it right from there. They are built once for all arms of a seed and stay as they are.

Flat settings: `process.samples` (solutions), `process.completions` (per prefix), `process.epochs`,
`process.learning_rate`, `process.pool` (prompts on which the step scorer is judged).
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool

from trueward.evidence.language_bed import curve_metrics, under
from trueward.evidence.recipe import Metric
from trueward.report.atomic import write_whole

if TYPE_CHECKING:
    from trueward.batch import Rollouts
    from trueward.evidence.run import Run
    from trueward.policies.language import LanguagePolicy
    from trueward.policies.sampling import Sampling
    from trueward.rewards.base import Reward
    from trueward.rewards.models.learned import LearnedReward
    from trueward.rewards.models.process import StepScorer
    from trueward.tasks.text.procedural.chain import ChainArithmetic
    from trueward.tasks.text.rows import Row
    from trueward.training.reward_model_loop import FitSettings
    from trueward.training.rollouts import Segmenter

_POOL_SAMPLES = 8  # of best-of-8
_MEASURES = ("lines", "duplicated", "truncated")
_PUNISHED = "part/process (share of steps)"

PROCESS_METRICS = (
    Metric(
        "accuracy_end", "held-out solutions with the right answer, mean of the last three evaluations", unit="share"
    ),
    Metric("accuracy_start", "the same before training", unit="share"),
    Metric("accuracy_greedy", "the same of the likeliest tokens, after training", unit="share"),
    Metric("pass_at_8", "questions with a right answer among eight samples, after training", unit="share"),
    Metric("process_return_start", "sum of the process scorer's probabilities over the steps, before training", None),
    Metric("process_return_end", "the same at the end: what summing them would pay", None),
    Metric("return_growth", "process return at the end over that at the start", None),
    Metric("lines_start", "lines per solution, before training", None, "lines"),
    Metric("lines_end", "lines per solution at the end", None, "lines"),
    Metric("line_growth", "lines at the end over those at the start", None),
    Metric("duplicated_start", "lines that are an earlier one word for word, before training", "lower", "share"),
    Metric("duplicated_end", "the same at the end", "lower", "share"),
    Metric("duplicated_growth", "the same, end minus start", "lower", "share"),
    Metric("truncated_start", "solutions without an answer at their end, before training", "lower", "share"),
    Metric("truncated_end", "the same at the end", "lower", "share"),
    Metric("correlation", "of process return and accuracy over training"),
    Metric("punished", "steps that the clip punishes, mean over training", None, "share"),
    Metric("kl", "divergence from the warm start, at the end", None, "nats"),
    Metric("length", "of solutions at the end", None, "tokens"),
    Metric("pass_at_1", "the warm start's accuracy where the step scorer is judged", unit="share"),
    Metric("process_gain", "the same of the best of eight by the worst step's score, minus pass at 1", unit="share"),
    Metric("step_score", "mean score of the warm start's steps", None, "share"),
    Metric("restatement_score", "mean score of its steps that repeat a true earlier one", None, "share"),
)
"""What `scorer_quality`, `step_metrics` and `after_training` return together."""


def lines_as_steps(tokenizer: Any) -> Segmenter:
    """Cuts rollouts at line breaks; the end of text behind a last one is no step."""
    from trueward.tasks.text.procedural.steps import LINE_BREAK, segments_of

    delimiter, closing = tokenizer.convert_tokens_to_ids(LINE_BREAK), [tokenizer.eos_token_id]

    def segment(rollouts: Rollouts) -> np.ndarray:
        mask = np.asarray(rollouts.mask, dtype=bool)
        content: Any = rollouts.content
        ids = np.asarray(content.token_ids)[:, -mask.shape[1] :]
        return segments_of(ids, mask, delimiter, closing=closing)

    return segment


def step_scorer(
    run: Run, task: ChainArithmetic, policy: LanguagePolicy, correct: Reward, sampling: Sampling
) -> tuple[StepScorer, dict[str, float]]:
    """The process reward of a seed, and what it is worth before anything is optimised; see `scorer_quality`.

    Args:
        run: whose settings and seed count.
        task: gives prompts; its gold measures the scorer and does not train it.
        policy: as it comes from the warm start; it samples, completes prefixes, and lends its trunk to the scorer.
        correct: the verifier: what labels completions.
        sampling: how the policy draws.
    """
    from trueward.policies.scorer import TokenScorer
    from trueward.rewards.models.process import StepScorer
    from trueward.training.reward_model import train_on_labels
    from trueward.training.seeds import torch_stream
    from trueward.training.step_labels import checked_by, monte_carlo_labels

    chosen = under(run.settings, "process")

    def build(folder: Path) -> None:
        solutions = _solutions(run, task, policy, sampling)
        completer = torch_stream(run.seed_for("process samples"), "completions")
        check, completions = checked_by(correct), chosen["completions"]
        found = monte_carlo_labels(solutions, policy, check, sampling, completer, completions=completions)
        scorer = TokenScorer.from_policy(policy)
        train_on_labels(scorer, policy.tokenizer, solutions, found.labels, _fit_settings(run))
        scorer.save(folder)
        quality = scorer_quality(run, task, policy, StepScorer("process", scorer, policy.tokenizer), sampling)
        write_whole(folder / "quality.json", json.dumps(quality).encode())

    folder = run.shared("step scorer", _depends_on(run, task, sampling), build)
    reward = StepScorer("process", TokenScorer.load(folder), policy.tokenizer)
    return reward, json.loads((folder / "quality.json").read_text())


def outcome_scorer(
    run: Run, task: ChainArithmetic, policy: LanguagePolicy, correct: Reward, sampling: Sampling
) -> LearnedReward:
    """The outcome reward model of a seed, on the solutions that the step scorer learns from; see `step_scorer`."""
    from trueward.policies.scorer import TokenScorer
    from trueward.rewards.models.learned import LearnedReward
    from trueward.training.reward_model import train_on_labels
    from trueward.training.step_labels import checked_by

    def build(folder: Path) -> None:
        solutions = _solutions(run, task, policy, sampling)
        scorer = TokenScorer.from_policy(policy)
        train_on_labels(scorer, policy.tokenizer, solutions, checked_by(correct)(solutions), _fit_settings(run))
        scorer.save(folder)

    folder = run.shared("outcome scorer", _depends_on(run, task, sampling), build)
    return LearnedReward("outcome", TokenScorer.load(folder), policy.tokenizer, sigmoid=True)


def _solutions(run: Run, task: ChainArithmetic, policy: LanguagePolicy, sampling: Sampling) -> Rollouts:
    from trueward.training.rollouts import gather
    from trueward.training.seeds import torch_stream

    rows = task.rows(run.settings["process.samples"], run.seed_for("process prompts"))
    generator = torch_stream(run.seed_for("process samples"), "solutions")
    return gather(policy, rows, sampling, generator, segment=lines_as_steps(policy.tokenizer))


def _fit_settings(run: Run) -> FitSettings:
    from trueward.training.reward_model_loop import FitSettings

    chosen = under(run.settings, "process")
    return FitSettings(
        epochs=chosen["epochs"], learning_rate=chosen["learning_rate"], seed=run.seed_for("process training")
    )


def _depends_on(run: Run, task: ChainArithmetic, sampling: Sampling) -> dict[str, Any]:
    of_policy, of_scorer = under(run.settings, "policy"), under(run.settings, "process")
    return {"task": repr(task), "sampling": repr(sampling), "policy": of_policy, **of_scorer}


def scorer_quality(
    run: Run, task: ChainArithmetic, policy: LanguagePolicy, process: StepScorer, sampling: Sampling
) -> dict[str, float]:
    """What a step scorer is worth on held-out prompts, before anything is optimised.

    Returns:
        `pass_at_1`; `process_gain`, gold of the best of 8 by the worst step, minus `pass_at_1`; `restatement_score`,
        the mean probability of steps that repeat a true earlier one; `step_score`, that of all steps. Without such
        steps their score is not a number.
    """
    from trueward.batch import Context
    from trueward.rewards.transforms import min_form
    from trueward.training.best_of_n import pressure, sample_pool

    rows = task.rows(run.settings["process.pool"], run.seed_for("process pool"), "held out")
    pool = sample_pool(
        policy,
        rows,
        task.gold,
        samples=_POOL_SAMPLES,
        sampling=sampling,
        seed=run.seed_for("process pool"),
        segment=lines_as_steps(policy.tokenizer),
    )
    gold = pressure(pool, process.transform(min_form(0.0)), (1, _POOL_SAMPLES)).gold
    part = process.score(pool.rollouts, Context()).parts[process.name]
    repeated = [row for row in rows for _ in range(_POOL_SAMPLES)]
    restated = restatements(task, repeated, pool.rollouts, part.values.shape[1]) & part.present
    return {
        "pass_at_1": float(gold[0]),
        "process_gain": float(gold[1] - gold[0]),
        "restatement_score": float(part.values[restated].mean()) if restated.any() else math.nan,
        "step_score": float(part.values[part.present].mean()),
    }


def restatements(task: ChainArithmetic, rows: Sequence[Row], rollouts: Rollouts, steps: int) -> Bool[np.ndarray, "n s"]:
    """Which steps repeat a true earlier line; none of a rollout whose lines and steps are not the same."""
    from trueward.training.record import texts_of

    found = np.zeros((len(rollouts), steps), dtype=bool)
    counts = np.asarray(rollouts.segments).max(axis=1) + 1
    for place, (row, text) in enumerate(zip(rows, texts_of(rollouts), strict=True)):
        kinds = [line.kind == "restatement" for line in task.lines(row, text)]
        if len(kinds) == counts[place]:
            found[place, : len(kinds)] = kinds
    return found


def after_training(
    run: Run, task: ChainArithmetic, policy: LanguagePolicy, rows: Sequence[Row], sampling: Sampling
) -> dict[str, float]:
    """Held-out accuracy of a trained policy: of its likeliest tokens, and of the best of eight samples."""
    from trueward.training.best_of_n import sample_pool

    greedy, seed = dataclasses.replace(sampling, greedy=True), run.seed_for("after training")
    one = sample_pool(policy, rows, task.gold, samples=1, sampling=greedy, seed=seed)
    eight = sample_pool(policy, rows, task.gold, samples=_POOL_SAMPLES, sampling=sampling, seed=seed)
    return {
        "accuracy_greedy": float(one.measured().mean()),
        "pass_at_8": float(eight.measured().max(axis=1).mean()),
    }


def step_metrics(metrics: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """What became of accuracy, steps and the return of the process scorer, which must be the proxy of the run.

    Args:
        metrics: lines of `metrics.jsonl`.

    Returns:
        `…_start` and `…_end` of accuracy, process_return, lines, duplicated, truncated; `kl`, `length` at the end;
        `return_growth`, `line_growth` (end over start) and `duplicated_growth` (end minus start); `correlation` of
        process return and accuracy over the evaluations, 0 where either stands still; `punished`, the mean share of
        steps that a clip punishes in training, 0 where nothing is clipped.
    """
    curves = curve_metrics(metrics, _MEASURES)
    found = {"kl": curves["kl_end"], "length": curves["length_end"]}
    for name, key in {"accuracy": "gold", "process_return": "proxy", **{name: name for name in _MEASURES}}.items():
        found |= {f"{name}_start": curves[f"{key}_start"], f"{name}_end": curves[f"{key}_end"]}
    evaluated = [line for line in metrics if line.get("gold") is not None]
    gold, proxy = (np.array([line[name] for line in evaluated]) for name in ("gold", "proxy"))
    moved = gold.std() > 0 and proxy.std() > 0
    punished = [line[_PUNISHED] for line in metrics if line.get(_PUNISHED) is not None]
    return found | {
        "return_growth": found["process_return_end"] / found["process_return_start"],
        "line_growth": found["lines_end"] / found["lines_start"],
        "duplicated_growth": found["duplicated_end"] - found["duplicated_start"],
        "correlation": float(np.corrcoef(gold, proxy)[0, 1]) if moved else 0.0,
        "punished": float(np.mean(punished)) if punished else 0.0,
    }
