"""What test beds of reward-model ensembles share: a pool of samples, and a grid of reward models that scored it.

K trunks are pretrained, each with weights, order and part of the corpus of its own. From each of them H reward models
are trained on the same pairs; those of one trunk differ in their head and in the order of their training alone. Every
model scores the same pool once, so that an arm is arithmetic on a few arrays.

Flat settings: `policy.…` of what is sampled from, `pool.prompts`, `pool.samples`, `trunk.…` (`layers`, `width`,
`heads`, `positions`, `corpus`, `share`, `steps`, `batch_size`, `learning_rate`), `preferences.pairs`,
`preferences.tests`, `reward_model.…` (fields of `FitSettings`), `grid.trunks`, `grid.heads`.
"""

from __future__ import annotations

import dataclasses
import io
import json
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Float

from trueward.evidence.language_bed import curve_metrics, train_settings, under, warm_started
from trueward.evidence.recipe import Settings
from trueward.report.atomic import write_whole

if TYPE_CHECKING:
    from trueward.evidence.run import Run
    from trueward.policies.language import LanguagePolicy
    from trueward.policies.scorer import TokenScorer
    from trueward.tasks.text.procedural.replies import ReviewReplies
    from trueward.training.best_of_n import Pool

Labels = Literal["annotated", "debiased", "shuffled"]
BED: Settings = {
    "policy.layers": 2,
    "policy.width": 48,
    "policy.heads": 4,
    "policy.positions": 80,
    "policy.demonstrations": 3000,
    "policy.steps": 500,
    "policy.batch_size": 48,
    "policy.learning_rate": 3e-3,
    "trunk.layers": 2,
    "trunk.width": 48,
    "trunk.heads": 4,
    "trunk.positions": 80,
    "trunk.corpus": 3000,
    "trunk.share": 0.6,
    "trunk.steps": 300,
    "trunk.batch_size": 48,
    "trunk.learning_rate": 3e-3,
    "grid.trunks": 4,
    "grid.heads": 4,
    "preferences.pairs": 600,
    "preferences.tests": 1200,
    "reward_model.epochs": 3,
    "reward_model.batch_size": 32,
    "reward_model.learning_rate": 1e-3,
    "reward_model.held_out": 0.0,
    "pool.prompts": 96,
    "pool.samples": 64,
    "sampling.max_new_tokens": 32,
    "train.steps": 150,
    "train.prompts": 16,
    "train.group": 8,
    "train.learning_rate": 1e-3,
    "train.evaluate_every": 10,
    "train.evaluation_samples": 2,
    "train.checkpoint_every": 75,
    "train.tensorboard": False,
}
"""Sizes at which single models are over-optimised between 4 and 64 samples, in some three minutes a seed."""

_DEPENDS_ON = ("policy", "sampling", "pool", "trunk", "preferences", "reward_model")


@dataclass(frozen=True)
class Grid:
    """Reward models of one kind, K trunks × H heads, and what they said.

    Attributes:
        scores: of the pool, trunks × heads × prompts × samples.
        accuracy: on held-out pairs that the same annotators labelled, trunks × heads.
    """

    scores: Float[np.ndarray, "k h p s"]
    accuracy: Float[np.ndarray, "k h"]


def pool_of(run: Run, task: ReviewReplies) -> Pool:
    """Samples of the warm-started policy to held-out prompts; drawn once for all arms of a seed."""
    from trueward.batch import Rollouts, Text
    from trueward.training.best_of_n import Pool, sample_pool
    from trueward.training.record import texts_of

    size, samples = run.settings["pool.prompts"], run.settings["pool.samples"]
    rows = task.rows(size, run.seed_for("pool prompts"), "held out")

    def build(folder: Path) -> None:
        policy, sampling = warm_started(run, task), train_settings(run).sampling
        seed = run.seed_for("pool")
        rollouts = sample_pool(policy, rows, task.gold, samples=samples, sampling=sampling, seed=seed).rollouts
        finished = np.asarray(rollouts.features["finished"]).tolist()
        write_whole(folder / "pool.json", json.dumps({"texts": texts_of(rollouts), "finished": finished}).encode())

    found = json.loads(
        (run.shared("pool", _key(run, task, "policy", "sampling", "pool"), build) / "pool.json").read_text()
    )
    repeated = [row for row in rows for _ in range(samples)]
    rollouts = Rollouts(
        Text([row.prompt for row in repeated], found["texts"]),
        group=np.repeat(np.arange(size), samples),
        features={"finished": np.array(found["finished"])},
    )
    return Pool(rows, rollouts, task.gold(repeated, found["texts"]))


def trunk(run: Run, task: ReviewReplies, number: int) -> LanguagePolicy:
    """A language model pretrained on its own part of the corpus, with weights and an order of its own."""
    from trueward.policies.language import LanguagePolicy
    from trueward.training.warm_start import warm_start

    chosen = under(run.settings, "trunk")
    shape = {key: chosen[key] for key in ("layers", "width", "heads", "positions")}

    def build(folder: Path) -> None:
        model = LanguagePolicy.tiny(task.vocabulary, **shape, seed=run.seed_for(f"trunk {number}"))
        subset = run.seed_for(f"part of the corpus {number}")
        texts = task.corpus(chosen["corpus"], run.seed_for("corpus"), share=chosen["share"], subset=subset)
        training = {key: chosen[key] for key in ("steps", "batch_size", "learning_rate")}
        warm_start(model, texts, **training, seed=run.seed_for(f"pretraining {number}"))
        model.save(folder)

    return LanguagePolicy.load(run.shared(f"trunk {number}", _key(run, task, "trunk"), build))


def member(run: Run, task: ReviewReplies, number: int, head: int, *, labels: Labels, centring: float) -> Path:
    """Folder of one reward model with what it says; built once for all arms of a seed.

    Args:
        run: whose settings and seed count.
        task: gives pairs.
        number: of its trunk.
        head: number among the models of this trunk.
        labels: of annotators as they are; of an oracle's pairs, where nothing but gold is to be learnt; or of the
            annotators, exchanged among the pairs.
        centring: η of the loss.
    """
    from trueward.policies.scorer import TokenScorer
    from trueward.training.reward_model import train_on_preferences
    from trueward.training.reward_model_loop import FitSettings

    chosen = under(run.settings, "preferences")

    def fitted() -> tuple[TokenScorer, LanguagePolicy]:
        policy, seed = trunk(run, task, number), run.seed_for(f"reward model {number} {head}")
        pairs = task.preferences(chosen["pairs"], run.seed_for("pairs"), debiased=labels == "debiased")
        if labels == "shuffled":
            exchanged = run.generator("shuffled labels").permutation(np.asarray(pairs.label))
            pairs = dataclasses.replace(pairs, label=exchanged)
        scorer = TokenScorer.from_policy(policy, seed=seed)
        settings = FitSettings(seed=seed, **under(run.settings, "reward_model"))
        train_on_preferences(scorer, policy.tokenizer, pairs, settings, centring=centring)
        return scorer, policy

    key = {"trunk": number, "head": head, "labels": labels, "centring": centring}
    return _judged(run, task, f"member {number} {head}", key, fitted)


def members(run: Run, task: ReviewReplies, heads: int, *, labels: Labels, centring: float) -> list[list[Path]]:
    """Folders of the reward models of one kind, trunks × heads; see `member`.

    They are built in an order of the arm's own: arms that run at the same time then share the work instead of waiting
    for one another at every model.
    """
    places = [(number, head) for number in range(run.settings["grid.trunks"]) for head in range(heads)]
    order = np.random.default_rng(zlib.crc32(run.arm.encode())).permutation(len(places))
    built = {places[i]: member(run, task, *places[i], labels=labels, centring=centring) for i in order.tolist()}
    return [[built[number, head] for head in range(heads)] for number in range(run.settings["grid.trunks"])]


def averaged(run: Run, task: ReviewReplies, number: int) -> Path:
    """Folder of the weight average of all reward models of one trunk, with what it says."""
    from trueward.policies.scorer import TokenScorer
    from trueward.training.reward_model import weight_average

    heads, centring = run.settings["grid.heads"], run.settings["reward.centring"]

    def fitted() -> tuple[TokenScorer, LanguagePolicy]:
        folders = [member(run, task, number, head, labels="annotated", centring=centring) for head in range(heads)]
        return weight_average([TokenScorer.load(folder / "scorer") for folder in folders]), trunk(run, task, number)

    return _judged(run, task, f"averaged {number}", {"trunk": number, "heads": heads, "centring": centring}, fitted)


def trained(run: Run, task: ReviewReplies, folders: Sequence[Path]) -> dict[str, float]:
    """GRPO on the ensemble of some reward models, with a divergence of weight `rl.kl` in the loss.

    Returns:
        `rl_gold`, `rl_proxy` and `rl_kl` at the end.
    """
    from trueward.credit.estimators import GroupRelative
    from trueward.objectives.policy_loss import PolicyLoss
    from trueward.policies.scorer import TokenScorer
    from trueward.rewards.models.ensemble import Ensemble
    from trueward.rewards.models.learned import LearnedReward
    from trueward.training.language import train

    policy, chosen = warm_started(run, task), run.settings
    scorers = [TokenScorer.load(folder / "scorer") for folder in folders]
    learned = [LearnedReward(f"member_{place}", scorer, policy.tokenizer) for place, scorer in enumerate(scorers)]
    result = train(
        policy,
        task.rows(chosen["rows.train"], run.seed_for("train")),
        Ensemble(learned, chosen["reward.aggregate"]),
        gold=task.gold,
        held_out=task.rows(chosen["rows.held out"], run.seed_for("held out"), "held out"),
        credit=GroupRelative(),
        objective=PolicyLoss(kl=chosen["rl.kl"]),
        settings=train_settings(run),
        directory=run.directory,
    )
    curves = curve_metrics(result.metrics)
    return {f"rl_{name}": curves[f"{name}_end"] for name in ("gold", "proxy", "kl")}


def read_grid(folders: Sequence[Sequence[Path]], pool: Pool) -> Grid:
    """What the reward models in some folders, trunks × heads, said."""
    told = [[json.loads((folder / "accuracy.json").read_text()) for folder in row] for row in folders]
    scores = np.array([[np.load(folder / "scores.npy", allow_pickle=False) for folder in row] for row in folders])
    return Grid(scores.reshape(*scores.shape[:2], len(pool.rows), pool.samples), np.array(told))


def _judged(
    run: Run,
    task: ReviewReplies,
    name: str,
    key: Settings,
    fitted: Callable[[], tuple[TokenScorer, LanguagePolicy]],
) -> Path:
    """A reward model with its scores of the pool and its accuracy on held-out pairs."""
    from trueward.batch import Context
    from trueward.rewards.models.learned import LearnedReward

    def build(folder: Path) -> None:
        scorer, policy = fitted()
        scorer.save(folder / "scorer")
        reward = LearnedReward("reward_model", scorer, policy.tokenizer, batch_size=256)
        buffer = io.BytesIO()
        np.save(buffer, pool_of(run, task).scored(reward).ravel(), allow_pickle=False)
        write_whole(folder / "scores.npy", buffer.getvalue())
        tests = task.preferences(run.settings["preferences.tests"], run.seed_for("test pairs"))
        a, b = (reward.score(side, Context()).total() for side in (tests.a, tests.b))
        accuracy = float(((a > b) == (np.asarray(tests.label) > 0.5)).mean())
        write_whole(folder / "accuracy.json", json.dumps(accuracy).encode())

    return run.shared(name, {**_key(run, task, *_DEPENDS_ON), **key}, build)


def _key(run: Run, task: ReviewReplies, *prefixes: str) -> Settings:
    chosen = {name: value for name, value in run.settings.items() if name.split(".")[0] in prefixes}
    return {"task": repr(task), **chosen}
