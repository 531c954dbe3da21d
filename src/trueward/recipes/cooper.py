"""Cooper: train the reward model beside the policy, on pairs whose better side a rule certifies.

The test bed was changed once after a look at the method (seed 2000): the verifier model of the first one told right
from wrong no better than by style (AUC .58), and was replaced by one with more solutions and epochs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from trueward.evidence.language_bed import train_settings, warm_started
from trueward.evidence.recipe import Arm, Falsifier, Recipe, above, greater, less, within
from trueward.recipes.beds.cooper import (
    CO_TRAINED,
    FULL_ARMS,
    METRICS,
    SCALES,
    SETTINGS,
    outcome,
    pair_builder,
    rule,
    sums_by,
    verifier,
    verifier_layout,
)

if TYPE_CHECKING:
    from trueward.evidence.run import Run


def run(run: Run) -> Mapping[str, float]:
    """Warm start, verifier model; then GRPO on rule, model or both, the model frozen or trained along."""
    from trueward.credit.estimators import GroupRelative
    from trueward.evidence.controls import flipped
    from trueward.objectives.policy_loss import PolicyLoss
    from trueward.rewards.base import as_reward
    from trueward.training.co_training import CoTraining
    from trueward.training.language import train

    chosen, settings = run.settings, train_settings(run)
    task = sums_by(run, chosen["policy.writers"])
    policy = warm_started(run, task)
    model, accuracy = verifier(run, policy)
    checker = as_reward(rule, low=0.0, high=1.0)
    held_out = task.rows(chosen["rows.held out"], run.seed_for("held out"), "held out")
    co_training = CoTraining(
        model.scorer,
        policy.tokenizer,
        pair_builder(run, task),
        checker if chosen["pairs.positives"] == "rule" else None,
        verifier_layout(),
        learning_rate=chosen["pairs.learning_rate"],
        anchor=chosen["pairs.anchor"],
        relabel=(lambda pairs, generator: flipped(pairs, 0.5, generator)) if chosen["pairs.shuffled"] else None,
    )
    trained = train(
        policy,
        task.rows(chosen["rows.train"], run.seed_for("train")),
        {"rule": checker, "model": model, "mean": 0.5 * checker + 0.5 * model}[chosen["reward.kind"]],
        gold=task.gold,
        held_out=held_out,
        credit=GroupRelative(),
        objective=PolicyLoss(kl=chosen["objective.kl"]),
        settings=settings,
        directory=run.directory,
        proxy=model,
        hooks=[co_training] if chosen["reward.co_trained"] else [],
    )
    return {**outcome(run, task, model, trained, held_out), "verifier_accuracy": accuracy}


_RATES = {"train.learning_rate": (2e-4, 4e-4), "pairs.learning_rate": (1e-3, 3e-3)}

ARMS = (
    Arm(
        "rule",
        "GRPO on the rule, which reads one form",
        "baseline",
        {"reward.kind": "rule"},
        {"train.learning_rate": (4e-4, 1e-4, 2e-4, 8e-4)},
    ),
    Arm("frozen", "GRPO on the verifier model as it is", "reference"),
    Arm(
        "frozen_kl",
        "the model as it is, with the best price of divergence",
        "baseline",
        {},
        {"objective.kl": (0.2, 0.05, 0.5, 1.0)},
    ),
    Arm(
        "cooper",
        "the model trained along: certified positives, slips in the same style",
        "method",
        CO_TRAINED,
        _RATES,
    ),
    Arm(
        "style_mismatch",
        "negatives in another style: the model is kept fresh, but style tells the pairs apart",
        "ablation",
        {**CO_TRAINED, "pairs.negatives": "mismatched"},
        _RATES,
    ),
    Arm("shuffled", "pairs turned round by a coin", "control", {**CO_TRAINED, "pairs.shuffled": True}),
    *FULL_ARMS,
)

RECIPE = Recipe(
    name="cooper",
    title="Cooper",
    paper="Hong, Yan et al., Cooper: Co-Optimizing Policy and Reward Models in Reinforcement Learning for Large "
    "Language Models, 2025, arXiv 2508.05613",
    claim="A verifier model that is trained along on pairs certified by a rule is not hacked as the frozen one is, and "
    "teaches more than the rule alone.",
    arms=ARMS,
    metrics=METRICS,
    claims=(
        greater("cooper", "rule", "accuracy_end", 0.02),
        greater("cooper", "frozen_kl", "accuracy_end", 0.08),
        greater("cooper", "style_mismatch", "accuracy_end"),
        greater("cooper", "shuffled", "accuracy_end"),
        above("cooper", "auc_end", 0.9),
    ),
    preconditions=(
        less("frozen", "frozen", "accuracy_end", 0.10, metric_b="accuracy_start"),
        greater("frozen", "frozen", "reward_end", 0.30, metric_b="reward_start"),
    ),
    falsifiers=(
        Falsifier(
            "the frozen model does not collapse",
            (greater("frozen", "frozen", "accuracy_end", -0.10, metric_b="accuracy_start"),),
        ),
        Falsifier("Cooper ends more than 1 point below the rule", (less("cooper", "rule", "accuracy_end", 0.01),)),
        Falsifier(
            "negatives in another style do as well: a fresh model is enough",
            (
                within("style_mismatch", "cooper", "accuracy_end", 0.02),
                greater("style_mismatch", "cooper", "accuracy_end"),
            ),
        ),
    ),
    tuned_on="accuracy_end",
    settings=SETTINGS,
    scales=SCALES,
    run=run,
    parts=(
        "trueward.tasks.text.procedural.sums.Sums",
        "trueward.tasks.text.procedural.annotations.agreed",
        "trueward.rewards.models.learned.LearnedReward",
        "trueward.training.reward_model.train_on_labels",
        "trueward.training.pairs.PairBuilder",
        "trueward.training.co_training.CoTraining",
        "trueward.credit.estimators.GroupRelative",
        "trueward.objectives.policy_loss.PolicyLoss",
        "trueward.training.language.train",
    ),
    notes=(
        "Built on seeds from 2000 by the frozen model. It was changed once after a look at the method (seed "
        "2000): the verifier model of the first bed told right from wrong no better than by style (AUC 0.58), and "
        "was replaced by one with more solutions and epochs. The phenomenon needs a mediocre verifier model: one "
        "with twice the epochs was not hacked. On two of five seeds the policy was hacked before pairs came in, "
        "and then no pair is certified any more."
    ),
    at_scale="`trueward.recipes.real.cooper.build` gives a `GRPOTrainer` of TRL whose reward is a verifier model, with "
    "a callback that trains the model after every step. What writes negatives is an instruct model of the policy's "
    "size behind a server. Watch the share of prompts that give a pair, and the mean score of the pairs.",
)
