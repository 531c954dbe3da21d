"""Token hidden rewards: a knob per token between sharpening what a policy knows and keeping it open.

GRPO gives every token of a rollout the same advantage A, although few of them move the likelihood of the correct
rollouts, some up and some down. With the influence I of a token on that likelihood (`trueward.credit.tokens`):

    THR = sign(A) I,    A' = 1[|THR| > τ] (1 + p sign(THR)) A

p > 0 favours tokens that sharpen (exploitation, greedy accuracy), p < 0 those that do not (exploration, pass@k).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trueward.evidence.language_bed import train_settings, under, warm_started
from trueward.evidence.recipe import Arm, Falsifier, Recipe, above, below, greater, less, within
from trueward.recipes.beds.thr import FULL_ARMS, METRICS, SCALES, SETTINGS, credit_of, reaches_target, token_shares

if TYPE_CHECKING:
    from trueward.evidence.run import Run


def run(run: Run) -> dict[str, float]:
    """A warm start that has seen few products; then GRPO, with the credit of the arm, where products are needed."""
    from trueward.evidence.coverage import coverage, coverage_at_start
    from trueward.objectives.policy_loss import PolicyLoss
    from trueward.rewards.base import as_reward
    from trueward.tasks.text.procedural.countdown import Countdown
    from trueward.training.language import train

    chosen, settings = run.settings, train_settings(run)
    task = Countdown(**under(chosen, "task"))
    policy = warm_started(run, task)
    start = coverage_at_start(run, task, policy, settings.sampling)
    trained = train(
        policy,
        task.rows(chosen["rows.train"], run.seed_for("train")),
        as_reward(reaches_target, low=0.0, high=1.0),
        gold=task.gold,
        held_out=task.rows(chosen["rows.held out"], run.seed_for("held out"), "held out"),
        credit=credit_of(run),
        objective=PolicyLoss(over="sequence", **under(chosen, "objective")),
        settings=settings,
        directory=run.directory,
    )
    end = coverage(run, task, trained.policy, settings.sampling)
    return {**end, **start, **token_shares(trained.metrics)}


# fmt: off
ARMS = (
    Arm("thr_explore", "dominant tokens alone, those that sharpen at half weight (p = −0.5)", "method",
        {"credit.kind": "thr", "credit.p": -0.5}),
    Arm("thr_exploit", "dominant tokens alone, those that do not sharpen at half weight (p = 0.5)", "method",
        {"credit.kind": "thr", "credit.p": 0.5}),
    Arm("thr", "dominant tokens alone, as they are (p = 0)", "ablation", {"credit.kind": "thr"}),
    Arm("grpo", "all tokens alike", "baseline",
        {"credit.kind": "grpo"}, {"train.learning_rate": (2.5e-4, 1.25e-4)}),
    Arm("shuffled_explore", "p = −0.5, signs exchanged among the dominant tokens of each prompt", "control",
        {"credit.kind": "thr", "credit.p": -0.5, "credit.shuffled": True}),
    Arm("shuffled_exploit", "p = 0.5, signs exchanged among the dominant tokens of each prompt", "control",
        {"credit.kind": "thr", "credit.p": 0.5, "credit.shuffled": True}),
    Arm("pass_at_k_mixed", "prompts that four samples nearly surely solve count a fifth less", "reference",
        {"credit.kind": "pass at k"}),
    *FULL_ARMS,
)

RECIPE = Recipe(
    name="thr",
    title="Token hidden rewards",
    paper=(
        "Deng et al., Token hidden reward: steering exploration-exploitation in group relative deep reinforcement "
        "learning, 2025, arXiv 2510.03669"
    ),
    claim=(
        "One number steers GRPO: p < 0 keeps more of what 256 samples find than p > 0, p > 0 costs no greedy accuracy, "
        "and the tokens that decide it are at most half of all."
    ),
    arms=ARMS,
    metrics=METRICS,
    claims=(
        greater("thr_explore", "thr_exploit", "pass_256", 0.02),
        greater("thr_exploit", "thr_explore", "greedy", -0.015),
        greater("thr_explore", "thr", "entropy"),
        greater("thr", "thr_exploit", "entropy"),
        within("thr", "grpo", "accuracy", 0.015),
        below("thr", "kept_share", 0.5),
    ),
    preconditions=(
        above("grpo", "accuracy_start", 0.2),
        above("grpo", "pass_64_start", 0.6),
        below("grpo", "pass_64_start", 0.9),
        greater("grpo", "grpo", "accuracy", 0.05, metric_b="accuracy_start"),
        less("grpo", "grpo", "entropy", metric_b="entropy_start"),
    ),
    falsifiers=(
        Falsifier("exchanged signs give the same ordering of pass@256",
                  (greater("shuffled_explore", "shuffled_exploit", "pass_256", 0.02),)),
        Falsifier("exchanged signs give the same ordering of entropy, by a tenth of what GRPO ends at",
                  (greater("shuffled_explore", "shuffled_exploit", "entropy", 0.02),)),
        Falsifier("p does not order pass@256: the difference is reversed, or surely below 2 points",
                  (less("thr_explore", "thr_exploit", "pass_256"),
                   within("thr_explore", "thr_exploit", "pass_256", 0.02))),
    ),
    tuned_on="accuracy",
    settings=SETTINGS,
    scales=SCALES,
    run=run,
    notes=(
        "Built on seeds 2000 to 2003 by the warm start and GRPO alone, whose learning rate (the best of four) all arms "
        "take; GRPO is tuned once more, and nothing else is. Products are rare in the demonstrations and common in the "
        "problems: this makes the tail of prompts that one sample seldom solves and 256 often do. p is five times the "
        "published one, so that its effect can exceed the noise of seeds; ±0.1 runs at scale full. The source's "
        "1.5 points are asked of the accuracy of samples; an ordering absent in two of five seeds is read as a "
        "difference that surely lies below 2 points. No divergence in the loss (the source has 1e-4) and two "
        "optimiser steps per batch. Tokens left out still count in the denominator of the loss."
    ),
    at_scale=(
        "`trueward.recipes.real.thr.build(model, questions, p=-0.1)` gives TRL's GRPO trainer advantages per token, at "
        "the price of one more forward pass over the completions. Take p < 0 for better pass@k and p > 0 for better "
        "greedy accuracy, ±0.1 as published. Groups must be whole. Watch `kept_share` and `positive_share`."
    ),
    parts=(
        "trueward.credit.tokens.influences", "trueward.credit.token_estimators.TokenHiddenReward",
        "trueward.policies.prediction_errors.hidden_and_errors", "trueward.evidence.token_dynamics.step_effects",
        "trueward.tasks.text.procedural.countdown.Countdown",
    ),
)
# fmt: on
