"""What test beds on learnt rewards share: a reward model trained on pairs that a noisy annotator labelled.

Flat settings by prefix: `preferences.pairs`, `preferences.flip`; `reward_model.…` (fields of `FitSettings`).
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from trueward.evidence.language_bed import under
from trueward.report.atomic import write_whole

if TYPE_CHECKING:
    from trueward.batch import Preferences
    from trueward.evidence.run import Run
    from trueward.policies.language import LanguagePolicy
    from trueward.policies.sampling import Sampling
    from trueward.policies.scorer import TokenScorer
    from trueward.tasks.text.procedural.task import TextTask
    from trueward.training.reward_model_loop import FitResult, FitSettings

    Fit = Callable[[Preferences, FitSettings], tuple[TokenScorer, FitResult]]
    """Trains a scorer of its own on pairs."""

_DEPENDS_ON = ("policy.", "sampling.", "preferences.", "reward_model.")


def annotated_pairs(
    policy: LanguagePolicy, task: TextTask, pairs: int, *, flip: float, sampling: Sampling, seed: int
) -> Preferences:
    """Two samples of a policy to each of many training prompts, labelled by an annotator who errs.

    Args:
        policy: what samples.
        task: gives prompts; gold goes to the annotator alone.
        pairs: how many.
        flip: share of labels that are turned round.
        sampling: how.
        seed: of prompts, draws and labels.
    """
    from trueward.batch import Preferences
    from trueward.tasks.text.procedural.annotations import compared
    from trueward.training.record import texts_of
    from trueward.training.rollouts import gather
    from trueward.training.seeds import stream, torch_stream

    rows = task.rows(pairs, seed)
    prompts = {row.prompt_text: number for number, row in enumerate(rows)}
    sides, golds = [], []
    for side in ("a", "b"):
        rollouts = gather(policy, rows, sampling, torch_stream(seed, f"pairs {side}"))
        golds.append(task.gold(rows, texts_of(rollouts)))
        sides.append(rollouts)
    labels = compared(golds[0], golds[1], stream(seed, "labels"), flip=flip)
    group = np.array([prompts[row.prompt_text] for row in rows])
    a, b = (dataclasses.replace(side, group=group) for side in sides)
    return Preferences(a, b, labels, id=np.arange(pairs))


@dataclass(frozen=True)
class RewardModel:
    """A reward model of a seed.

    Attributes:
        scorer: as it was trained.
        accuracy: share of held-out pairs that it orders as their annotator did.
        folder: which it was built in; named for everything that it depends on.
    """

    scorer: TokenScorer
    accuracy: float
    folder: Path


def reward_model(
    run: Run, task: TextTask, policy: LanguagePolicy, sampling: Sampling, kind: str, fit: Fit
) -> RewardModel:
    """A reward model on annotated samples of the warm-started policy; built once for all arms of a seed.

    Args:
        run: whose settings and seed count.
        task: gives prompts and annotators.
        policy: warm-started.
        sampling: how it samples.
        kind: of reward model; enters the name of its folder.
        fit: trains it.
    """
    from trueward.policies.scorer import TokenScorer
    from trueward.training.reward_model_loop import FitSettings

    def build(folder: Path) -> None:
        seed = run.seed_for("annotated pairs")
        pairs = annotated_pairs(policy, task, **under(run.settings, "preferences"), sampling=sampling, seed=seed)
        fitting = FitSettings(seed=run.seed_for("reward model"), **under(run.settings, "reward_model"))
        scorer, result = fit(pairs, fitting)
        scorer.save(folder / "scorer")
        write_whole(folder / "held_out.json", json.dumps(dict(result.held_out)).encode())

    counts = {name: value for name, value in run.settings.items() if name.startswith(_DEPENDS_ON)}
    folder = run.shared(f"reward model {kind}", {"task": repr(task), **counts}, build)
    held_out = json.loads((folder / "held_out.json").read_text())
    accuracy = held_out.get("accuracy", held_out.get("quality_accuracy", float("nan")))
    return RewardModel(TokenScorer.load(folder / "scorer"), float(accuracy), folder)
