"""PAR: pay how probable the reward model finds it that an answer beats reference answers, not its score.

A Bradley–Terry reward model is unbounded and can be trusted near its data alone. PAR takes, for answer y to prompt x
and M answers y_m that the policy before training wrote,

    r'(x, y) = 1/M Σ_m σ(k · [r(x, y) − r(x, y_m)])

which is bounded, steep where y is as good as the references and flat once it clearly beats them. Here: keyword texts,
a reward model that learnt from a noisy annotator, PPO with a critic that begins as the reward model.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import TYPE_CHECKING

from trueward.evidence.language_bed import CURVE_METRICS, curve_metrics, train_settings, under, warm_started
from trueward.evidence.preference_bed import reward_model
from trueward.evidence.recipe import Arm, Falsifier, Metric, Recipe, above, greater, within
from trueward.recipes.beds.par import SCALES, SETTINGS, credit_of, fitted, full_arms, shape_of
from trueward.report.atomic import write_whole

if TYPE_CHECKING:
    from trueward.evidence.run import Run
    from trueward.rewards.base import Reward


def run(run: Run) -> dict[str, float]:
    """Warm start, reward model, references; then PPO on the shaped reward, with the raw one as the proxy."""
    from trueward.objectives.policy_loss import PolicyLoss
    from trueward.rewards.models.learned import LearnedReward
    from trueward.rewards.transforms import length_penalty
    from trueward.tasks.text.procedural.topics import TopicKeywords
    from trueward.training.language import train
    from trueward.training.reference_rewards import exchanged, reference_rewards, with_references

    chosen, settings = run.settings, train_settings(run)
    kind, credit, kl = (chosen[name] for name in ("reward.model", "credit.kind", "credit.kl"))
    task = TopicKeywords(**under(chosen, "task"))
    policy = warm_started(run, task)
    model = reward_model(run, task, policy, settings.sampling, kind, lambda *data: fitted(kind, policy, *data))
    raw: Reward = LearnedReward("reward_model", model.scorer, policy.tokenizer)
    if kind != "two heads":
        raw = raw.transform(length_penalty(chosen["length.rate"], chosen["length.free"]))
    rows = {split: task.rows(chosen[f"rows.{split}"], run.seed_for(split), split) for split in ("train", "held out")}

    def build(folder: Path) -> None:
        both, seed = [*rows["train"], *rows["held out"]], run.seed_for("references")
        made = reference_rewards(policy, both, raw, references=10, sampling=settings.sampling, seed=seed)
        write_whole(folder / "table.json", json.dumps(made).encode())

    # References of another reward model, or of another policy, are worth nothing: both are in the name.
    named = {"model": model.folder.name, **under(chosen, "rows"), **under(chosen, "length")}
    table = json.loads((run.shared("references", named, build) / "table.json").read_text())
    if chosen["reward.exchanged"]:
        table = exchanged(table, run.generator("exchanged"))
    trained = train(
        policy,
        with_references(rows["train"], table, most=chosen["reward.references"]),
        raw.transform(*shape_of(chosen)),
        gold=task.gold,
        held_out=with_references(rows["held out"], table),
        credit=credit_of(credit, kl),
        objective=PolicyLoss(kl=kl if credit == "group" else 0.0),
        settings=settings,
        directory=run.directory,
        proxy=raw,
        critic=copy.deepcopy(model.scorer).requires_grad_(True) if credit == "critic" else None,
    )
    losses = [line["update/critic/loss"] for line in trained.metrics if "update/critic/loss" in line]
    critic_loss = sum(losses) / len(losses) if losses else float("nan")
    return {**curve_metrics(trained.metrics), "accuracy": model.accuracy, "critic_loss": critic_loss}


_PAR = {"reward.shape": "win_probability"}
# σ has slope k/4 at 0, so a quarter of a coefficient weighs as much against a win probability as the whole of it
# against the raw reward.
_KL = (0.05, 0.1, 0.2)
_KL_BOUNDED = tuple(kl / 4 for kl in _KL)

ARMS = (
    Arm("vanilla", "the reward model's score as it is, with little divergence to pay for", "reference"),
    Arm("vanilla_kl", "the score as it is, with the best price of divergence", "baseline", {}, {"credit.kl": _KL}),
    Arm("par", "probability of beating ten references", "method", _PAR, {"credit.kl": _KL_BOUNDED}),
    Arm(
        "sigmoid",
        "bounded by a sigmoid, but not compared with references",
        "ablation",
        {"reward.shape": "sigmoid"},
        {"credit.kl": _KL_BOUNDED},
    ),
    Arm(
        "exchanged",
        "probability of beating the references of another prompt: what is compared with no longer fits",
        "ablation",
        {**_PAR, "reward.exchanged": True, "credit.kl": _KL_BOUNDED[1]},
    ),
    Arm(
        "shuffled",
        "win probabilities that went to other rollouts: what is left is drift",
        "control",
        {"reward.shape": "shuffled win_probability", "credit.kl": _KL_BOUNDED[1]},
    ),
    *full_arms(_KL_BOUNDED[1], _KL[1]),
)

RECIPE = Recipe(
    name="par",
    title="PAR (preference as reward)",
    paper="Fu, Zhao et al., Reward Shaping to Mitigate Reward Hacking in RLHF, 2025, arXiv 2502.18770",
    claim="Optimising the probability of beating reference answers keeps what is really wanted, better than the best "
    "price of divergence does.",
    arms=ARMS,
    metrics=(
        *CURVE_METRICS,
        Metric("accuracy", "of the reward model on held-out pairs of its annotator", None, "share"),
        Metric("critic_loss", "mean over the run", None),
    ),
    claims=(
        above("par", "gold_kept", 0.9),
        greater("par", "vanilla_kl", "gold_mean", 0.03),
        greater("par", "sigmoid", "gold_mean"),
        greater("par", "shuffled", "gold_mean"),
    ),
    preconditions=(
        # About twice what the best of some noisy evaluations exceeds their mean by; .16 to .31 when the bed was made,
        # on seeds from 2000 on.
        greater("vanilla", "vanilla", "gold_peak", 0.08, metric_b="gold_end"),
        greater("vanilla", "vanilla", "proxy_end", metric_b="proxy_start"),
    ),
    falsifiers=(
        Falsifier(
            "the score as it is matches PAR once divergence has its best price",
            (within("vanilla_kl", "par", "gold_mean", 0.03), greater("vanilla_kl", "par", "gold_mean")),
        ),
        Falsifier("the score as it is never over-optimises", (above("vanilla", "gold_kept", 0.9),)),
    ),
    tuned_on="gold_mean",
    settings=SETTINGS,
    scales=SCALES,
    run=run,
    parts=(
        "trueward.tasks.text.procedural.topics.TopicKeywords",
        "trueward.training.reward_model.train_on_preferences",
        "trueward.training.reference_rewards.reference_rewards",
        "trueward.rewards.models.learned.LearnedReward",
        "trueward.rewards.transforms.win_probability",
        "trueward.credit.estimators.GeneralisedAdvantage",
        "trueward.objectives.policy_loss.PolicyLoss",
        "trueward.training.language.train",
    ),
    notes=(
        "Built on seeds from 2000 by the curves of the unshaped reward; one run of the tuned baseline was seen. "
        "The source asks for gold at the end below 0.7 of its peak; single seeds lie on both sides of that here, "
        "so the precondition is a fall of 0.08. The reward model's offsets between prompts are small (0.4 against "
        "a deviation of 1.1 to 1.6), so that little is gained by comparing with references. The best divergence "
        "is the highest that was tried."
    ),
    at_scale="`trueward.recipes.real.par.build` gives a `GRPOTrainer` of TRL: it scores one answer per prompt before "
    "training and hands `reward.transform(win_probability())` to the trainer as its reward function. Begin with k = 1, "
    "one reference and a KL coefficient of 0.005 to 0.02. Affine shapes (centred, standardised) change nothing under "
    "group normalisation.",
)
