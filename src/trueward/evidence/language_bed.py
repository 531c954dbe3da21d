"""What the test beds on language models share: a warm-started policy, training by flat settings, and their curves.

Flat settings by prefix: `policy.…` (size and warm start), `train.…` (fields of `TrainSettings`), `sampling.…` (fields
of `Sampling`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trueward.errors import EvidenceError
from trueward.evidence.recipe import Metric

if TYPE_CHECKING:
    from trueward.evidence.run import Run
    from trueward.policies.language import LanguagePolicy
    from trueward.tasks.text.procedural.task import TextTask
    from trueward.training.language import TrainSettings

_AT_THE_END = 3  # evaluations whose mean is "the end": one alone is noisy

CURVE_METRICS = (
    Metric("gold_start", "what is wanted: before training"),
    Metric("gold_end", "what is wanted: last three evaluations"),
    Metric("gold_peak", "what is wanted: at its best"),
    Metric("gold_mean", "what is wanted: over the run"),
    Metric("gold_kept", "what is wanted: end divided by peak (1 where it never rose above 0)"),
    Metric("proxy_start", "raw reward, start of training", None),
    Metric("proxy_end", "raw reward, end of training", None),
    Metric("kl_start", "divergence from the warm start, start of training", None, "nats"),
    Metric("kl_end", "divergence from the warm start, end of training", None, "nats"),
    Metric("length_start", "length, start of training", None, "tokens"),
    Metric("length_end", "length, end of training", None, "tokens"),
)
"""What `curve_metrics` returns."""


def under(settings: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """The settings below a prefix, without it: {"train.steps": 9} below "train" is {"steps": 9}."""
    return {name[len(prefix) + 1 :]: value for name, value in settings.items() if name.startswith(prefix + ".")}


def warm_started(run: Run, task: TextTask, *, name: str = "warm start", seed: str = "policy") -> LanguagePolicy:
    """A small policy that has learnt a task's demonstrations; built once for all arms of a seed.

    Settings: `policy.layers`, `policy.width`, `policy.heads`, `policy.positions`, `policy.demonstrations`,
    `policy.steps`, `policy.batch_size`, `policy.learning_rate`.

    Args:
        run: whose settings and seed count.
        task: gives vocabulary and demonstrations.
        name: of the shared folder, where a recipe has several.
        seed: name of the source of randomness of weights and data; policies with different names differ.
    """
    from trueward.policies.language import LanguagePolicy
    from trueward.training.warm_start import warm_start

    chosen = under(run.settings, "policy")
    shape = {key: chosen[key] for key in ("layers", "width", "heads", "positions")}

    def build(folder: Path) -> None:
        policy = LanguagePolicy.tiny(task.vocabulary, **shape, seed=run.seed_for(seed))
        warm_start(
            policy,
            task.demonstrations(chosen["demonstrations"], run.seed_for(f"{seed} demonstrations")),
            steps=chosen["steps"],
            batch_size=chosen["batch_size"],
            learning_rate=chosen["learning_rate"],
            seed=run.seed_for(f"{seed} warm start"),
        )
        policy.save(folder)

    return LanguagePolicy.load(run.shared(name, {"task": repr(task), "source": seed, **chosen}, build))


def train_settings(run: Run) -> TrainSettings:
    """`TrainSettings` from `train.…` and `sampling.…`; draws depend on the seed alone.

    Raises:
        EvidenceError: a setting that does not exist.
    """
    from trueward.policies.sampling import Sampling
    from trueward.training.language import TrainSettings

    chosen, sampling = under(run.settings, "train"), under(run.settings, "sampling")
    for kind, given in ((TrainSettings, chosen), (Sampling, sampling)):
        unknown = sorted(given.keys() - {field.name for field in dataclasses.fields(kind)})
        if unknown:
            raise EvidenceError(f"{kind.__name__} has no setting {', '.join(unknown)}")
    return TrainSettings(sampling=Sampling(**sampling), seed=run.seed_for("training"), **chosen)


def curve_metrics(metrics: Sequence[Mapping[str, float]], measures: Sequence[str] = ()) -> dict[str, float]:
    """What a run's evaluations come to.

    Args:
        metrics: lines of `metrics.jsonl`.
        measures: those of the task that count too.

    Returns:
        What `CURVE_METRICS` declares, and `…_start`, `…_end` of the measures (mean of the last three evaluations).
    """
    evaluated = [line for line in metrics if line.get("gold") is not None]
    if not evaluated:
        raise EvidenceError("this run has no evaluations")
    found: dict[str, float] = {}
    for name in ("proxy", "gold", "kl", "length", *measures):
        key = f"measure/{name}" if name in measures else name
        values = [np.nan if line.get(key) is None else line[key] for line in evaluated]
        found[f"{name}_start"] = float(values[0])
        found[f"{name}_end"] = float(np.nanmean(values[-_AT_THE_END:]))
    gold = np.array([line["gold"] for line in evaluated])
    found["gold_peak"], found["gold_mean"] = float(gold.max()), float(gold.mean())
    found["gold_kept"] = found["gold_end"] / found["gold_peak"] if found["gold_peak"] > 0 else 1.0
    return found
