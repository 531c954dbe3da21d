r"""Correlated proxies: how far a proxy may be optimised depends on where the policy goes, so that is charged for.

A proxy that is r-correlated with the true reward under a reference policy promises an improvement only as far as
$\sqrt{(1 - r^2) \chi^2(\mu_\pi \| \mu_{ref})}$ stays below the gain in proxy. So the reward of each step is

    r' = R̃ − λ x/√ĉ,    x = exp(d) − 1,    d ≈ log μ_π/μ_ref from a classifier of the two policies' steps,

λ = c σ, ĉ the mean of x. A penalty on KL of the actions in each state does not see where they lead. Here: a gardener
and a bucket in which the world looks watered, where returns, occupancies and the promise are known exactly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trueward.evidence.recipe import Arm, Falsifier, Recipe, above, below, greater, within
from trueward.recipes.beds.correlated_proxies import (
    FULL_ARMS,
    METRICS,
    OCCUPANCY,
    SCALES,
    SETTINGS,
    WEIGHTS,
    solved,
    world_of,
)

if TYPE_CHECKING:
    from trueward.evidence.run import Run


def run(run: Run) -> dict[str, float]:
    """PPO on the proxy in a tomato world, held near the reference as the arm has it; or exactly; or in other worlds."""
    if run.settings["solver"] == "language":
        from trueward.recipes.beds.correlated_proxies_language import on_language

        return on_language(run)
    if run.settings["solver"] == "running":
        from trueward.recipes.beds.correlated_proxies_running import on_running

        return on_running(run)
    if run.settings["solver"] == "exact":
        return solved(world_of(run.settings), run.settings)
    from trueward.recipes.beds.correlated_proxies_learned import trained

    return trained(run, world_of(run.settings))


# fmt: off
ARMS = (
    Arm("none", "the proxy alone", "reference"),
    Arm("action_kl", "KL of the actions in each state, with its best weight", "baseline",
        {"penalty": "action kl"}, {"penalty.c": WEIGHTS["action_kl"]}),
    Arm("stopped", "the proxy alone, stopped at the best divergence", "baseline",
        {}, {"stop.divergence": WEIGHTS["budget"]}),
    Arm("sqrt_chi2", "√χ² of the occupancy, with its best weight", "method",
        OCCUPANCY, {"penalty.c": WEIGHTS["sqrt_chi2"]}),
    Arm("om_kl", "KL of the occupancy in place of χ²", "ablation",
        {**OCCUPANCY, "penalty": "kl"}, {"penalty.c": WEIGHTS["om_kl"]}),
    Arm("shuffled", "a classifier that was told whose step it is at random", "control",
        {**OCCUPANCY, "penalty.shuffled": True}),
    *FULL_ARMS,
)
# fmt: on

RECIPE = Recipe(
    name="correlated-proxies",
    title="ORPO (occupancy-regularised policy optimisation)",
    paper=(
        "Laidlaw, Singhal, Dragan, Correlated Proxies: A New Definition and Improved Mitigation for Reward Hacking, "
        "2024, arXiv 2403.03185"
    ),
    claim=(
        "A proxy that goes with the true reward under a reference policy keeps doing so as far as the occupancy stays "
        "near; charged for √χ² of the occupancy, a policy ends higher than with the best price on its actions."
    ),
    arms=ARMS,
    metrics=METRICS,
    claims=(
        above("sqrt_chi2", "gain_end", 0.0),
        greater("sqrt_chi2", "action_kl", "gain_end", 0.1),
        greater("sqrt_chi2", "stopped", "gain_end"),
        greater("sqrt_chi2", "om_kl", "gain_end"),
        greater("sqrt_chi2", "shuffled", "gain_end", 0.1),
        *(above(arm, "certificate_slack", -1e-6) for arm in ("none", "action_kl", "stopped", "sqrt_chi2", "om_kl")),
    ),
    preconditions=(
        above("none", "correlation_start", 0.5),
        above("none", "proxy_gain_end", 1.0),
        below("none", "gain_end", 0.0),
    ),
    falsifiers=(
        Falsifier(
            "the best price on actions does as well as √χ² of the occupancy",
            (within("action_kl", "sqrt_chi2", "gain_end", 0.1), greater("action_kl", "sqrt_chi2", "gain_end")),
        ),
        Falsifier(
            "what was promised with exact quantities was not kept",
            tuple(below(arm.name, "certificate_slack", -1e-6) for arm in ARMS if not arm.full),
        ),
    ),
    tuned_on="gain_end",
    settings=SETTINGS,
    scales=SCALES,
    run=run,
    parts=(
        "trueward.tasks.control.tabular.tomato.tomato",
        "trueward.measures.proxies.correlation",
        "trueward.measures.tabular.occupancy",
        "trueward.training.control.regularised.occupancy_regularised",
        "trueward.rewards.models.density_ratio.DensityRatio",
        "trueward.training.control.occupancy_penalty.OccupancyPenalty",
        "trueward.training.control.action_divergence.ActionDivergence",
        "trueward.training.control.stopping.StopAtDivergence",
        "trueward.training.control.train_policy",
        "trueward.audit.monitor.episodes.probed",
    ),
    notes=(
        "Built on seeds from 2000 by the curves of the proxy alone, and of the divergence from the reference. The "
        "range of the price on actions comes from three runs of it, that of the divergence to stop at from one, on "
        "seed 2001. The source's reference (temperature .3) comes to the bucket so seldom that PPO, which begins as "
        "it, never found the bucket under some seeds; at .5 it did under every seed seen, and the correlation is .84 "
        "in place of .90. Policies begin as the reference, where the source begins at random in this world, so that a "
        "fall of gold can be told from a bad start. Three runs of the method were seen at the scale of seconds (seed "
        "3000): its classifier lagged behind the policy and got eight passes in place of four. One run of the "
        "decision set was timed on seed 2004. Tomatoes dry all at once here and one after another in the published "
        "program; exact returns at temperature .3 (reference .0650, optimum .0872, hacked .0227) lie within 3 % of "
        "those that this test goes back to. Arms with a classifier give half of their environments to the reference, "
        "so that their policy learns from half as many steps. Arms that run at scale full alone, on seed 2000: at "
        "level 4 the proxy alone is hacked where the policy begins at random; on HalfCheetah the true reward falls "
        "from .8 to .2 deviations above the reference within 100 updates; on replies gold rises by .60 and ends .10 "
        "below the start, with correlations of .86 and .02."
    ),
    at_scale=(
        "`trueward.recipes.real.correlated_proxies.build` gives PPO of Stable-Baselines3 with the penalty on "
        "HalfCheetah; `build_language` gives TRL's GRPO trainer with √χ² of whole answers in the loss. Ask first, with "
        "`trueward.audit.proxy.hacking_report`, whether the reward is a proxy at all: that takes a thousand steps or "
        "answers of the reference policy, scored by both. Sweep c over 1, .5, .2, .1, .05 deviations of the reward."
    ),
)
