"""What STARC is put to the test on: settings, what is measured, and further arms.

An arm is one way to say how far two rewards are apart. `starc_mdps` compares them on random MDPs, `starc_learned` on
rewards learnt from preferences, in gridworlds and by language models.
"""

from __future__ import annotations

from collections.abc import Mapping

from trueward.evidence.ensemble_bed import BED
from trueward.evidence.recipe import Arm, Metric, Settings

# fmt: off
SETTINGS: Settings = {
    **BED,
    "mdps.count": 64, "mdps.pairs": 6, "mdps.steps": 16, "mdps.states": 32, "mdps.actions": 4, "mdps.discount": 0.95,
    "mdps.deterministic": 16, "mdps.unreachable_share": 0.01, "mdps.unreachable_size": 100.0,
    "use.worlds": 8, "use.side": 4, "use.bad_cells": 5, "use.slip": 0.2, "use.discount": 0.95,
    "use.labels": [10000, 3000, 1000, 300, 100],
    "use.noise": [0.0, 0.1, 0.2, 0.3, 0.4], "use.length": 10, "use.ridge": 0.1, "use.temperature": 0.3,
    "task.unasked_share": 0.3, "task.unasked_in_pairs": 0.1, "task.equal_share": 0.4, "task.evasion": 0.7,
    "policy.demonstrations": 2000, "trunk.corpus": 2000, "preferences.tests": 400, "pool.prompts": 32,
    "models.kinds": [
        *(["annotated", pairs] for pairs in (30, 100, 300, 1000)),
        *(["debiased", pairs] for pairs in (30, 100, 300, 1000)),
        *(["shuffled", pairs] for pairs in (100, 1000)),
    ],
    "distance.kind": "value", "distance.form": 2, "distance.normalised": True, "distance.dynamics": "true",
    "fragments.count": 2000, "fragments.length": 10,
}

SCALES: Mapping[str, Settings] = {
    "smoke": {
        "mdps.count": 6, "mdps.pairs": 2, "mdps.steps": 4, "mdps.states": 12, "mdps.deterministic": 2,
        "use.worlds": 1, "use.side": 3, "use.bad_cells": 2, "use.labels": [1000, 100], "use.noise": [0.0, 0.4],
        "policy.width": 16, "policy.demonstrations": 600, "policy.steps": 100, "policy.learning_rate": 1e-2,
        "trunk.width": 16, "trunk.corpus": 100, "trunk.steps": 10,
        "reward_model.epochs": 1, "preferences.tests": 20, "pool.prompts": 12,
        "models.kinds": [["annotated", 40], ["debiased", 40], ["shuffled", 40]],
    },
    "small": {},
    "full": {"mdps.count": 128, "mdps.pairs": 8, "mdps.deterministic": 64, "pool.prompts": 96},
}

FORMS = {"distance.form": (2, 1, "weighted_2")}
LENGTHS = {"fragments.length": (10, 3, 30)}

FULL_ARMS = (
    Arm("minimal_potential", "the smallest of the rewards equal up to shaping", "reference",
        {"distance.kind": "minimal_potential"}, full=True),
    Arm("epic_1", "EPIC's canonicalisation, L1 norm and distance", "reference",
        {"distance.kind": "epic", "distance.form": 1}, full=True),
    Arm("dard_1", "DARD's canonicalisation, L1 norm and distance", "reference",
        {"distance.kind": "dard", "distance.form": 1}, full=True),
    Arm("epic_pearson", "EPIC as it is published", "reference",
        {"distance.kind": "epic", "distance.form": "pearson"}, full=True),
    Arm("dard_pearson", "DARD as it is published", "reference",
        {"distance.kind": "dard", "distance.form": "pearson"}, full=True),
    *(Arm(f"val_{name}", f"VAL with {about} norm and distance", "reference", {"distance.form": form}, full=True)
      for name, about, form in (("1", "L1", 1), ("inf", "L∞", "inf"), ("weighted_1", "τ-weighted L1", "weighted_1"),
                                ("weighted_2", "τ-weighted L2", "weighted_2"),
                                ("weighted_inf", "τ-weighted L∞", "weighted_inf"))),
    *(Arm(f"{kind}_unnormalised", f"{about}, not normalised", "reference",
          {"distance.kind": kind, "distance.normalised": False}, full=True)
      for kind, about in (("none", "no canonicalisation"), ("epic", "EPIC"), ("dard", "DARD"))),
)

METRICS = (
    Metric("overall", "mean of `pearson` and `use_spearman`: what settings are chosen by"),
    Metric("pearson", "random MDPs: correlation of distance and regret, mean of both directions"),
    Metric("spearman", "the same, of ranks"),
    Metric("pearson_worse", "the same, with the larger of the two regrets"),
    Metric("pearson_within", "the same among pairs equally far along the line between two rewards"),
    Metric("pearson_l2", "the same with L2 norm and distance, whatever was tuned"),
    Metric("unreachable_pearson", "that, where 1 % of the transitions that do not happen pay ±100"),
    Metric("weighted_pearson", "the same with τ-weighted L2: transitions count as they are likely"),
    Metric("deterministic_pearson", "that, in deterministic MDPs"),
    Metric("determinism_loss", "that, random minus deterministic MDPs", None),
    Metric("use_spearman", "learnt rewards: rank correlation of distance and regret, mean over worlds"),
    Metric("use_pearson", "the same, correlation"),
    Metric("use_exact_spearman", "the same, with the regret of what is exactly best for the learnt reward"),
    Metric("models_spearman", "reward models: rank correlation of closeness and gold of the best of 64"),
    Metric("models_pearson", "the same, correlation"),
    Metric("regret_mean", "random MDPs: normalised regret", None, "share"),
    Metric("regret_spread", "the same, standard deviation", None, "share"),
    Metric("use_regret_mean", "learnt rewards: normalised regret of what was trained on them", None, "share"),
    Metric("use_regret_spread", "the same, standard deviation within a world", None, "share"),
    Metric("models_gold_spread", "reward models: standard deviation of gold of the best of 64", None),
    Metric("models_held_out", "rank correlation of their accuracy on held-out annotated pairs with that gold", None),
)
# fmt: on
