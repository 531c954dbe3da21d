"""STARC: distances between rewards that are small exactly where the worst regret is.

Two rewards order all policies of an MDP alike exactly if they differ by potential shaping, by redistribution over next
states, and by a positive factor. A canonicalisation c takes the first two away, a norm the third:

    d(R₁, R₂) = ‖c(R₁)/‖c(R₁)‖ − c(R₂)/‖c(R₂)‖‖,    c(R)(s, a, s') = E_{S'~τ(s,a)}[R(s, a, S') − V(s) + γV(S')]  (VAL)

with V the value of the uniform policy. EPIC and DARD take away shaping alone. Here: does d foretell the regret of
optimising one reward in place of the other, on random MDPs, for rewards learnt from preferences, and for reward models?
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trueward.evidence.recipe import Arm, Comparison, Falsifier, Recipe, above, greater, less, within
from trueward.recipes.beds.starc import FORMS, FULL_ARMS, LENGTHS, METRICS, SCALES, SETTINGS

if TYPE_CHECKING:
    from trueward.evidence.run import Run


def run(run: Run) -> dict[str, float]:
    """One way to say how far rewards are apart, and how well it foretells what optimising the wrong one costs."""
    from trueward.recipes.beds.starc_learned import on_learned_rewards, on_reward_models
    from trueward.recipes.beds.starc_mdps import on_random_mdps

    found = on_random_mdps(run) | on_learned_rewards(run) | on_reward_models(run)
    return found | {"overall": (found["pearson"] + found["use_spearman"]) / 2}


# fmt: off
ARMS = (
    Arm("val", "VAL: the advantage under the uniform policy", "method", {"distance.kind": "value"}, FORMS),
    Arm("epic", "EPIC's canonicalisation", "baseline", {"distance.kind": "epic"}, FORMS),
    Arm("dard", "DARD's canonicalisation", "baseline", {"distance.kind": "dard"}, FORMS),
    Arm("accuracy", "share of pairs of fragments, or of answers, that are ordered wrongly", "baseline",
        {"distance.kind": "accuracy"}, LENGTHS),
    Arm("returns", "1 − correlation of the returns of random fragments", "baseline",
        {"distance.kind": "returns"}, LENGTHS),
    Arm("val_potential", "VALPotential: without the mean over next states", "ablation",
        {"distance.kind": "value_potential"}, FORMS),
    Arm("unnormalised", "VAL, not divided by its norm", "ablation", {"distance.normalised": False}, FORMS),
    Arm("wrong_dynamics", "VAL by transitions that are exchanged among the states", "control",
        {"distance.dynamics": "exchanged"}, FORMS),
    Arm("none", "normalised rewards as they are", "reference", {"distance.kind": "none"}),
    Arm("minimal", "the smallest of the rewards that order policies alike", "reference", {"distance.kind": "minimal"}),
    *FULL_ARMS,
)
# fmt: on

RECIPE = Recipe(
    name="starc",
    title="STARC",
    paper=(
        "Skalse, Farnik, Motwani, Jenner, Gleave, Abate, STARC: a general framework for quantifying differences "
        "between reward functions, ICLR 2024, arXiv 2309.15257"
    ),
    claim=(
        "A distance that sees through shaping, redistribution over next states and scale foretells regret better than "
        "EPIC and DARD, which see through shaping and scale alone, and better than accuracy on preferences."
    ),
    arms=ARMS,
    metrics=METRICS,
    claims=(
        greater("val", "epic", "pearson_l2", by=0.03),
        greater("val", "epic", "pearson"),
        greater("val", "dard", "pearson"),
        within("val_potential", "epic", "pearson_l2", 0.03),
        greater("val", "unnormalised", "pearson", by=0.1),
        greater("val", "wrong_dynamics", "pearson", by=0.03),
        greater("val", "dard", "determinism_loss"),
        Comparison("within", "val", "val", "unreachable_pearson", margin=0.01, metric_b="pearson_l2"),
        less("epic", "epic", "unreachable_pearson", by=0.2, metric_b="pearson_l2"),
        above("val", "use_spearman", 0.8),
        greater("val", "accuracy", "use_spearman"),
        greater("val", "epic", "use_spearman"),
    ),
    preconditions=(
        above("none", "regret_spread", 0.1),
        greater("epic", "none", "pearson", by=0.1),
        above("none", "use_regret_spread", 0.05),
        above("accuracy", "use_spearman", 0.3),
    ),
    falsifiers=(
        Falsifier(
            "it loses to EPIC or to DARD in the mean over seeds",
            (less("val", "epic", "pearson"), less("val", "dard", "pearson")),
        ),
        Falsifier(
            "it foretells the regret of what is trained on a learnt reward no better than accuracy does",
            (less("val", "accuracy", "use_spearman"), within("val", "accuracy", "use_spearman", 0.02)),
        ),
    ),
    tuned_on="overall",
    settings=SETTINGS,
    scales=SCALES,
    run=run,
    notes=(
        "Built on seeds 2000 to 2003 by EPIC, DARD, accuracy, returns and rewards as they are. Of the two distances "
        "that see through everything, one figure of Minimal was seen, on seed 2002 of a bed that still counted rewards "
        "under which nothing is at stake, and none of VAL. Such rewards are left out: sparse ones often pay only for "
        "what does not happen. The source's .03 between VAL and EPIC is asked at the L2 norm, as there, and more than "
        "nothing at the norms that tuning chose. Much worse without a norm is read as .1, a collapse of EPIC as .2. "
        "Whether the gap to DARD shrinks where next states are certain is asked with τ-weighted norms; otherwise what "
        "cannot happen, most of a deterministic MDP, decides. The gridworlds are 4 × 4 and slippery, with a good and "
        "five bad cells; in the 3 × 3 ones of EPIC over a third of the learnt rewards had the same regret, 0. What is "
        "trained there is best with a price on entropy, since the regret of greedy policies jumps: "
        "`use_exact_spearman` has it. Accuracy and returns are measured against the true reward, without noise. Reward "
        "models of text have no claim of their own; in one step EPIC, DARD and VAL are nearly the same. All arms with "
        "settings to choose try three norms, or three lengths of fragments."
    ),
    at_scale=(
        "Before any training, `trueward.recipes.real.starc.build(model, questions, reward=…, check=…)` samples 8 "
        "answers to each of 500 prompts, logs how far the two rewards are apart, and can refuse to train. In control: "
        "record a batch of transitions of one fixed policy; fit the value of that policy under each of the two rewards "
        "by TD, as the value head of Stable-Baselines3 is; take the mean of R − V(s) + γV(s') over next states that a "
        "simulator draws again from (s, a); normalise; compare: `trueward.measures.distances.sampled`. For finite "
        "worlds `trueward distance a.npy b.npy --mdp mdp.npz` is exact. Distances of all pairs of reward models tell "
        "which of them err alike."
    ),
    parts=(
        "trueward.measures.distances.starc_distance",
        "trueward.measures.distances.regrets",
        "trueward.measures.distances.bandit_distance",
        "trueward.measures.tabular.TabularMDP",
        "trueward.tasks.control.tabular.random_mdp",
        "trueward.tasks.control.tabular.gridworld",
        "trueward.training.reward_model.train_on_preferences",
    ),
)
