"""Reward-model ensembles: models that err apart are averaged, and what all of them inherit from the data stays.

Models trained on the same pairs agree on held-out pairs and differ where a policy is optimised. With error variance s²
and correlation ρ between K members the mean has s²(ρ + (1 − ρ)/K): members of several pretrainings (a small ρ) help
more than members of one. The pressure is best-of-n on one pool, n = 1…64, for all arms of a seed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trueward.evidence.best_of_n_bed import AGREEMENT_METRICS, PICK_METRICS
from trueward.evidence.ensemble_bed import BED
from trueward.evidence.language_bed import under
from trueward.evidence.recipe import Arm, Falsifier, Metric, Recipe, above, below, greater, less, within

if TYPE_CHECKING:
    from trueward.evidence.run import Run

CENTRING = 0.01  # η


def run(run: Run) -> dict[str, float]:
    """Trunks, reward models, a pool; then the best of n by each group of models, and what it is really worth."""
    from trueward.evidence.best_of_n_bed import agreement, combined, grouped, picks, write_curve
    from trueward.evidence.ensemble_bed import averaged, members, pool_of, read_grid, trained
    from trueward.tasks.text.procedural.replies import ReviewReplies

    chosen, task = run.settings, ReviewReplies(**under(run.settings, "task"))
    pool = pool_of(run, task)
    plain = read_grid(members(run, task, chosen["grid.heads"], labels="annotated", centring=CENTRING), pool)
    kind = {"labels": chosen["reward.labels"], "centring": chosen["reward.centring"]}
    if chosen["reward.averaged"]:
        folders = [[averaged(run, task, trunk)] for trunk in range(chosen["grid.trunks"])]
    else:
        folders = members(run, task, chosen["reward.heads"] or chosen["grid.heads"], **kind)
    scores = read_grid(folders, pool).scores
    if chosen["reward.standardised"]:
        scores = (scores - scores.mean((2, 3), keepdims=True)) / scores.std((2, 3), keepdims=True)
    groups, how = grouped(scores, chosen["reward.members"]), chosen["reward.aggregate"]
    found = picks(groups, how, pool) | agreement(plain.scores)
    alone = picks(grouped(plain.scores, "single"), "mean", pool)["listed_64"]
    found |= {"listed_of_single": found["listed_64"] / max(alone, 1e-9)}
    found |= {"gold_chosen": found[f"gold_{chosen['select.n']}"]}
    found |= {"accuracy": float(plain.accuracy.mean()), "accuracy_spread": float(plain.accuracy.std(ddof=1))}
    if chosen["rl.kl"] is not None:
        across = [row[trunk % len(row)] for trunk, row in enumerate(folders)]
        first = {"single": folders[0][:1], "finetune": folders[0], "pretrain": across}
        return found | trained(run, task, first[chosen["reward.members"]])
    write_curve(run, pool, combined(groups, how))
    return found | dict.fromkeys(("rl_gold", "rl_proxy", "rl_kl"), float("nan"))


# fmt: off
TUNED = {"select.n": (64, 16, 4)}
KINDS = {"single": "every model alone", "finetune": "models of one pretraining", "pretrain": "one of each pretraining"}
ONE_EACH = {"reward.members": "pretrain", "reward.heads": 1}
LOWEST = {**ONE_EACH, "reward.aggregate": "min"}
ARMS = (
    Arm("pretrain", "mean of models of different pretrainings", "method", {"reward.members": "pretrain"}, TUNED),
    Arm("single", "every reward model alone", "baseline", {"reward.members": "single"}, TUNED),
    Arm("averaged", "weights of the models of one pretraining, averaged (WARM)", "baseline",
        {"reward.members": "single", "reward.averaged": True}, TUNED),
    Arm("finetune", "mean of models of one pretraining", "ablation", {"reward.members": "finetune"}, TUNED),
    Arm("min_centred", "the lowest of different pretrainings, η = 0.01", "reference", LOWEST),
    Arm("min_uncentred", "the same, η = 0", "ablation", {**LOWEST, "reward.centring": 0.0}),
    Arm("shuffled", "the method, models of shuffled labels", "control", {**ONE_EACH, "reward.labels": "shuffled"}),
    Arm("debiased", "models of pairs in which nothing goes with what is wanted, each alone", "reference",
        {"reward.members": "single", "reward.heads": 1, "reward.labels": "debiased"}),
    *(Arm(f"{kind}_{how}", f"{KINDS[kind]}: {how.replace('_', ' ')}", "reference",
          {"reward.members": kind, "reward.aggregate": how}, full=True)
      for kind in ("finetune", "pretrain") for how in ("median", "min", "mean_minus_std")),
    Arm("pretrain_standardised", "the method, each member standardised on the pool", "reference",
        {"reward.members": "pretrain", "reward.standardised": True}, full=True),
    *(Arm(f"{kind}_rl_{kl}", f"{about}: GRPO at a divergence of weight {kl}", "reference",
          {"reward.members": kind, "rl.kl": kl}, full=True)
      for kind, about in KINDS.items() for kl in (0.01, 0.03, 0.1, 0.3)),
)

METRICS = (
    *PICK_METRICS,
    Metric("gold_chosen", "gold at the n that is chosen on the tuning seeds"),
    Metric("listed_of_single", "lists in the best of 64, over those that models alone pick", None),
    Metric("accuracy", "of models alone on held-out pairs, mean", unit="share"),
    Metric("accuracy_spread", "the same, standard deviation over models", "lower", "share"),
    *AGREEMENT_METRICS,
    Metric("rl_gold", "gold at the end of training, in arms that train"),
    Metric("rl_proxy", "score there", None),
    Metric("rl_kl", "divergence there", None, "nats"),
)

RECIPE = Recipe(
    name="ensembles",
    title="Reward-model ensembles",
    paper=(
        "Eisenstein, Nagpal, Agarwal et al., Helping or herding? Reward model ensembles mitigate but do not eliminate "
        "reward hacking, 2023, arXiv 2312.09244"
    ),
    claim=(
        "Under optimisation, ensembles over pretrainings keep more of what is wanted than ensembles over fine-tunings, "
        "and these more than single models; what all members inherit from the data is exploited all the same."
    ),
    arms=ARMS,
    metrics=METRICS,
    # Of "within 20 % of single" only the lower side is asked: more lists than with one model are no less of a flaw.
    claims=(
        greater("pretrain", "finetune", "gold_64", by=0.03),
        greater("finetune", "single", "gold_64", by=0.01),
        greater("pretrain", "single", "gold_chosen"),
        greater("pretrain", "shuffled", "gold_64"),
        below("single", "accuracy_spread", 0.015),
        less("pretrain", "pretrain", "between_best", by=0.1, metric_b="within_best"),
        greater("min_centred", "min_uncentred", "gold_64"),
        *(above(kind, "listed_rise", 0) for kind in KINDS),
        above("pretrain", "listed_of_single", 0.8),
    ),
    preconditions=(
        above("single", "proxy_rise", 0),
        greater("single", "single", "gold_4", metric_b="gold_1"),
        greater("single", "single", "gold_4", metric_b="gold_64"),
    ),
    falsifiers=(
        Falsifier(
            "ensembles over pretrainings do not beat ensembles over fine-tunings",
            (less("pretrain", "finetune", "gold_64"), within("pretrain", "finetune", "gold_64", 0.02)),
        ),
        Falsifier("lists fall to their base rate under ensembling", (below("pretrain", "listed_rise", 0.02),)),
    ),
    tuned_on="gold_chosen",
    settings={
        **BED,
        "task.unasked_share": 0.3, "task.unasked_in_pairs": 0.1, "task.equal_share": 0.4, "task.evasion": 0.7,
        "reward.members": "pretrain", "reward.aggregate": "mean", "reward.heads": None, "reward.labels": "annotated",
        "reward.centring": CENTRING, "reward.averaged": False, "reward.standardised": False,
        "select.n": 64, "rl.kl": None, "rows.train": 256, "rows.held out": 64,
    },
    scales={
        "smoke": {
            "policy.demonstrations": 300, "policy.steps": 60, "trunk.corpus": 300, "trunk.steps": 30,
            "grid.trunks": 3, "grid.heads": 2, "preferences.pairs": 96, "preferences.tests": 64,
            "reward_model.epochs": 1, "pool.prompts": 8,
            "rows.train": 16, "rows.held out": 8, "train.steps": 2, "train.prompts": 2, "train.group": 4,
        },
        "small": {},
        "full": {
            "grid.trunks": 5, "grid.heads": 5, "trunk.width": 96, "trunk.corpus": 6000, "trunk.steps": 600,
            "preferences.pairs": 1200, "pool.prompts": 96,
        },
    },
    run=run,
    parts=(
        "trueward.rewards.models.ensemble.Ensemble", "trueward.training.reward_model.train_on_preferences",
        "trueward.training.reward_model.weight_average", "trueward.training.best_of_n.sample_pool",
        "trueward.measures.best_of_n.best_of_n", "trueward.tasks.text.procedural.replies.ReviewReplies",
    ),
    notes=(
        "Built on seeds from 2000 by the curves of single models. Most beds levelled off instead of falling; "
        "`evasion`, replies that put form in the place of substance, is what makes gold fall, and was chosen for "
        "that. One figure of agreement between models had been seen before its threshold, which is the source's, "
        "was kept."
    ),
    at_scale=(
        "Train a reward model on each of several base models, the practical stand-in for pretraining seeds, with TRL's "
        "`RewardConfig(center_rewards_coefficient=0.01)`; `trueward.recipes.real.ensembles` does both. LoRA heads on "
        "one base are cheaper, and are an ensemble over fine-tunings. Watch the part `disagreement`: where it grows, "
        "the policy has left what the members were trained on."
    ),
)
# fmt: on
