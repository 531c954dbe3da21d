"""GRPO-λ: pay for short answers only where the policy is already reliable.

A length penalty on every prompt shortens answers until accuracy suddenly falls: prompts that the policy cannot solve
yet are pushed to think less too. With ρ_k the share of right answers in group k of a batch of Q groups,

    r = 1 − α σ((L − mean L) / std L) where right, else 0,    in the ⌈λ Q⌉ groups with the highest ρ_k
    r = 1 where right, else 0                                 in all others

with mean and deviation over the right answers of the group. Here: chains of operations with a scratchpad whose lines
may be left out, which costs little on the easiest tier and much on the hardest.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from trueward.evidence.chain_bed import states_answer
from trueward.evidence.language_bed import train_settings, under, warm_started
from trueward.evidence.length_bed import LENGTH_METRICS, length_metrics
from trueward.evidence.recipe import Arm, Falsifier, Recipe, greater, less, within
from trueward.recipes.beds.grpo_lambda import FULL_ARMS, LP, SCALES, SETTINGS, SWITCHED, transforms_of

if TYPE_CHECKING:
    from trueward.evidence.run import Run


def run(run: Run) -> dict[str, float]:
    """Warm start on solutions with needless checks; then GRPO on the verifier, paid by length as the arm has it."""
    from trueward.credit.estimators import GroupRelative
    from trueward.objectives.policy_loss import PolicyLoss
    from trueward.rewards.base import as_reward
    from trueward.tasks.text.procedural.chain import Scratchpad, TieredChains
    from trueward.training.language import train

    chosen = run.settings
    task = TieredChains(**under(chosen, "task"), scratchpad=Scratchpad(**under(chosen, "scratchpad")))
    correct = as_reward(states_answer, low=0.0, high=1.0)
    trained = train(
        warm_started(run, task),
        task.rows(chosen["rows.train"], run.seed_for("train")),
        correct.transform(*transforms_of(chosen)),
        gold=task.gold,
        held_out=task.rows(chosen["rows.held out"], run.seed_for("held out"), "held out"),
        credit=GroupRelative(),
        objective=PolicyLoss(),
        settings=train_settings(run),
        directory=run.directory,
        proxy=correct,
    )
    return length_metrics(trained.metrics)


_ALPHAS = {"reward.alpha": (0.6, 0.2, 1.0)}

ARMS = (
    Arm("grpo_lambda", "length counts in the fifth of the groups that is solved best", "method", SWITCHED, _ALPHAS),
    Arm("lp", "length counts in all groups, with the best weight", "baseline", LP, _ALPHAS),
    Arm("lp_full", "length counts in all groups, with its full weight", "reference", {**LP, "reward.alpha": 1.0}),
    Arm("grpo", "length does not count", "reference"),
    Arm(
        "random_lambda",
        "length counts in as many groups, taken at random from those with a right answer",
        "control",
        {**SWITCHED, "switch.rank": "random"},
        _ALPHAS,
    ),
    *FULL_ARMS,
)

RECIPE = Recipe(
    name="grpo-lambda",
    title="GRPO-λ",
    paper="Dai, Liu, Si, Stable Reinforcement Learning for Efficient Reasoning, 2025, arXiv 2505.18086",
    claim=(
        "Paid for in the groups that are solved best, and in no others, short answers save three tokens of ten "
        "without loss on hard questions; paid for in all groups they make accuracy collapse."
    ),
    arms=ARMS,
    metrics=LENGTH_METRICS,
    claims=(
        greater("grpo_lambda", "grpo", "tier_3_end", -0.03),
        less("grpo_lambda", "grpo", "log_length_end", round(-math.log(0.7), 3)),
        greater("grpo_lambda", "random_lambda", "tier_3_short", 0.02),
        greater("grpo_lambda", "lp", "efficiency"),
        greater("grpo_lambda", "lp_full", "log_viable", round(math.log(2.5), 3)),
    ),
    preconditions=(
        less("lp_full", "lp_full", "tier_3_end", 0.10, metric_b="tier_3_peak"),
        less("lp_full", "grpo", "tier_3_end", 0.10),
        less("lp_full", "grpo", "log_length_end", round(-math.log(0.7), 3)),
    ),
    falsifiers=(
        Falsifier(
            "length in all groups, with its best weight, saves as much and stays as accurate",
            (greater("lp", "grpo_lambda", "efficiency"),),
        ),
        Falsifier(
            "groups taken at random do as well on the hardest tier at equal length",
            (
                within("random_lambda", "grpo_lambda", "tier_3_short", 0.02),
                greater("random_lambda", "grpo_lambda", "tier_3_short"),
            ),
        ),
        Falsifier(
            "the method loses more than 3 points on the hardest tier",
            (less("grpo_lambda", "grpo", "tier_3_end", 0.03),),
        ),
    ),
    tuned_on="efficiency",
    settings=SETTINGS,
    scales=SCALES,
    run=run,
    notes=(
        "Built on seeds 2000 to 2006 by the verifier alone and by the penalty on all groups. One, three or all five "
        "operations of a chain change anything; about 0.78, 0.60 and 0.40 of the answers are right before training, "
        "where 0.95, 0.65 and 0.30 were aimed at. One run each of method and control was seen, on seed 2003 of an "
        "earlier bed with four operations and fewer checks: both solved all tiers with as few tokens. The bed then "
        "became harder and longer, and neither was run on it; claims and rewards stayed as they were. With it the warm "
        "start went from 1,300 to 1,500 steps, the updates from 150 to 120, the prompts from 20 to 15, and the peak of "
        "a curve became its best single evaluation. Two other beds were tried and dropped: one with six operations, "
        "one whose checks the verifier alone drops by itself. The verifier alone ends near 0.97 on all tiers, so "
        "little room is left to tell those that do well apart. Three of 15 groups are shortened in a step, ties go to "
        "the longest answers, 120 updates. The arm that must collapse has α = 1: at 0.6 one seed of the earlier bed "
        "recovered."
    ),
    at_scale=(
        "`trueward.recipes.real.grpo_lambda.build(model, questions)` gives a GRPO trainer of TRL that ranks the groups "
        "of the gathered batch. Begin with λ = 0.2, α = 0.2 to 0.6, 8 to 16 answers per prompt, and room for 8,000 "
        "tokens. Dynamic sampling must leave groups out after the switch, or it drops those that are solved."
    ),
    parts=(
        "trueward.rewards.transforms.grpo_lambda",
        "trueward.rewards.transforms.group_switch",
        "trueward.rewards.transforms.sigmoid_length",
        "trueward.tasks.text.procedural.chain.TieredChains",
        "trueward.measures.efficiency.viable_updates",
        "trueward.evidence.length_bed.length_metrics",
    ),
)
