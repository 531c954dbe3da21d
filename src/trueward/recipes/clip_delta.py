"""Clip and Delta: process rewards that can be summed over steps without paying for more steps.

A process reward model that ranks solutions well is a poor reward for training: the sum of its scores grows with the
number of steps, so the policy repeats true lines until it is cut off. PR-Clip-Delta bounds what the steps can pay:

    c_k = min(r_k − η, 0),    d_k = c_k − c_{k+1} (k < K − 1),  d_{K−1} = c_{K−1},  d_K = 0
    reward = correct + α Σ_k d_k,    credited step by step with γ = 1, so that step k answers for c_k alone
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trueward.evidence.chain_bed import states_answer
from trueward.evidence.language_bed import train_settings, under, warm_started
from trueward.evidence.process_bed import (
    PROCESS_METRICS,
    after_training,
    lines_as_steps,
    outcome_scorer,
    step_metrics,
    step_scorer,
)
from trueward.evidence.recipe import Arm, Falsifier, Recipe, above, below, greater, less
from trueward.recipes.beds.clip_delta import FULL_ARMS, SCALES, SETTINGS

if TYPE_CHECKING:
    from trueward.evidence.run import Run
    from trueward.rewards.base import Reward
    from trueward.rewards.transforms import Transform
    from trueward.rewards.transforms.thresholds import Threshold


def run(run: Run) -> dict[str, float]:
    """Warm start, scorers of steps and outcomes; then PPO on the verifier and what the arm makes of them."""
    from trueward.credit.estimators import GeneralisedAdvantage, SegmentReturns
    from trueward.objectives.policy_loss import PolicyLoss
    from trueward.policies.scorer import TokenScorer
    from trueward.rewards.base import as_reward
    from trueward.tasks.text.procedural.chain import ChainArithmetic, Habits
    from trueward.training.language import train

    chosen, settings = run.settings, train_settings(run)
    task = ChainArithmetic(**under(chosen, "task"), habits=Habits(**under(chosen, "habits")))
    policy = warm_started(run, task)
    correct = as_reward(states_answer, low=0.0, high=1.0)
    bed = (run, task, policy, correct, settings.sampling)
    process, quality = step_scorer(*bed)
    outcome = outcome_scorer(*bed) if chosen["reward.shape"] == "outcome" else None
    held_out = task.rows(chosen["rows.held out"], run.seed_for("held out"), "held out")
    critic = chosen["credit.kind"] == "critic"
    trained = train(
        policy,
        task.rows(chosen["rows.train"], run.seed_for("train")),
        _reward(run, correct, process, outcome),
        gold=task.gold,
        held_out=held_out,
        credit=GeneralisedAdvantage(trace=chosen["credit.trace"], kl=chosen["credit.kl"])
        if critic
        else SegmentReturns(),
        objective=PolicyLoss(kl=0.0 if critic else chosen["credit.kl"]),
        settings=settings,
        directory=run.directory,
        proxy=process,
        segment=lines_as_steps(policy.tokenizer),
        critic=TokenScorer.from_policy(policy) if critic else None,
    )
    after = after_training(run, task, trained.policy, held_out, settings.sampling)
    return {**quality, **step_metrics(trained.metrics), **after}


def _reward(run: Run, correct: Reward, process: Reward, outcome: Reward | None) -> Reward:
    """correct + α · (what the arm makes of the scores)."""
    from trueward.evidence.controls import Shuffled
    from trueward.rewards import transforms as of

    weight, name = float(run.settings["reward.weight"]), run.settings["reward.shape"]
    if name in ("none", "outcome"):
        return correct if outcome is None else correct + weight * outcome
    mean = of.QuestionMean()
    etas: dict[str, Threshold] = {"question mean": mean, "frozen": of.Frozen(mean, 5), "quantile": of.BatchQuantile()}
    clip, delta = of.step_clip(etas[run.settings["reward.threshold"]]), of.step_delta()
    shapes: dict[str, tuple[Transform, ...]] = {
        "sum": (),
        "clip": (clip,),
        "delta": (delta,),
        "clip delta": (clip, delta),
        "normed": (of.per_step_count(),),
        "cost": (of.step_cost(run.settings["reward.cost"]),),
        "min": (of.min_form(),),
    }
    exchanged = [Shuffled(seed=run.seed_for("control"))] if run.settings["reward.shuffled"] else []
    return correct + weight * process.transform(*exchanged, *shapes[name])


# fmt: off
ARMS = (
    Arm("clip_delta", "process rewards clipped from above, then differences of neighbours", "method",
        {"reward.shape": "clip delta"}, {"reward.weight": (1.0, 0.5, 0.2)}),
    Arm("sr", "the verifier alone", "baseline",
        {"reward.shape": "none"}, {"train.learning_rate": (5e-4, 1e-3, 2.5e-4)}),
    Arm("pr", "process rewards summed over steps, as they are", "reference", {"reward.shape": "sum"}),
    Arm("clip", "the method without differences", "ablation", {"reward.shape": "clip"}),
    Arm("delta", "the method without the clip", "ablation", {"reward.shape": "delta"}),
    Arm("shuffled", "the method on step scores exchanged within each question", "control",
        {"reward.shape": "clip delta", "reward.shuffled": True}),
    *FULL_ARMS,
)

RECIPE = Recipe(
    name="clip-delta",
    title="Clip and Delta",
    paper="Gao, Xu et al., On designing effective RL reward at training time for LLM reasoning, 2024, arXiv 2410.15115",
    claim=(
        "Process rewards summed over steps make a policy repeat true lines until accuracy falls; clipped and "
        "differenced they do not, and accuracy is no lower than with the verifier alone."
    ),
    arms=ARMS,
    metrics=PROCESS_METRICS,
    claims=(
        below("clip_delta", "duplicated_growth", 0.02),
        greater("clip_delta", "sr", "accuracy_end", -0.01),
        greater("clip_delta", "pr", "accuracy_end", 0.10),
    ),
    preconditions=(
        above("pr", "process_gain", 0.05),
        above("pr", "restatement_score", 0.6),
        above("pr", "return_growth", 2.0),
        above("pr", "line_growth", 1.8),
        less("pr", "sr", "accuracy_end", 0.10),
    ),
    falsifiers=(
        Falsifier(
            "summed process rewards do not diverge (the preconditions on the scorer say whether they should)",
            (below("pr", "return_growth", 2.0), below("pr", "line_growth", 1.8),
             greater("pr", "sr", "accuracy_end", -0.10)),
        ),
        Falsifier("the method grows in steps as they do", (above("clip_delta", "line_growth", 1.8),)),
        Falsifier("the method ends more than 3 points below the verifier alone",
                  (less("clip_delta", "sr", "accuracy_end", 0.03),)),
    ),
    tuned_on="accuracy_end",
    settings=SETTINGS,
    scales=SCALES,
    run=run,
    notes=(
        "Built on seeds 2000 to 2005 by the process scorer, the summed rewards and the verifier alone. The weight "
        "of the step rewards is 1, above the source's, because some eight lines fit here where the source has 24: "
        "at 0.2 and 0.5 the summed rewards lengthen solutions without lowering accuracy. Two operations modulo 4, "
        "so that the process scorer learns; the start is above the accuracy that the source asks for. The "
        "control, the method on exchanged step scores, does as well as the method: what helps here is the bound, "
        "not what the scores say."
    ),
    at_scale=(
        "`trueward.recipes.real.clip_delta.build(model, process_model, questions)` gives TRL's GRPO trainer advantages "
        "per token, because its own sum over steps takes the differences back. With a critic (the published setting) "
        "put the step rewards at the ends of their steps, and take a discount of 1. Watch `punished`."
    ),
    parts=(
        "trueward.rewards.transforms.step_clip", "trueward.rewards.transforms.step_delta",
        "trueward.rewards.models.process.StepScorer", "trueward.training.step_labels.monte_carlo_labels",
        "trueward.credit.estimators.GeneralisedAdvantage", "trueward.tasks.text.procedural.chain.ChainArithmetic",
    ),
)
# fmt: on
