"""Euphonium: rollouts that are pushed by the gradient of a process reward, and a policy that learns to do without.

    x' = μ₀ + (σ²/2β) ∇_x r_φ(x, t, c) Δ + σ √Δ z                     guided rollouts
    v* = v_old − [(σ²/2β) ∇r] / (1 + σ²(1 − t)/2t)                    what the same step needs of an unguided policy
    loss = clipped surrogate of outcomes + λ Σ_t w_t ‖v_θ − v*‖²      distillation

Without the second term guidance finds good samples, and the policy never learns where they came from.

Here: a small flow over digits, a process reward from a classifier of noised images, and always samples of the policy
alone where anything is measured.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from trueward.evidence.recipe import Arm, Falsifier, Recipe, above, below, greater, less
from trueward.recipes.beds.euphonium import EXPLICIT, FULL_ARMS, GUIDED, METRICS, SCALES, SETTINGS

if TYPE_CHECKING:
    from trueward.evidence.run import Run

_FASTER = math.log(1.3)


def run(run: Run) -> dict[str, float]:
    """Train a copy of the generator on guided or unguided rollouts, and measure samples of it without guidance."""
    from trueward.evidence.digits_bed import bed
    from trueward.recipes.beds.euphonium import measured_policy, process_metrics, process_of, summarised, update_of
    from trueward.training.flow.loop import train_flow
    from trueward.training.flow.process_watch import ProcessWatch
    from trueward.training.flow.settings import FlowSettings

    settings, world = run.settings, bed(run)
    process = process_of(run, world)
    if not settings["flow.steps"]:
        measured = world.finish(run, measured_policy(run, world.reference, process))
        lines = [{"step": 0.0, **measured, "hook/process_calls": float(process.calls)}]
        return process_metrics(run, world, process, lines) | summarised(lines) | measured
    names = ("steps", "learning_rate", "evaluate_every", "checkpoint_every")
    trained = train_flow(
        world.policy(),
        update_of(run, world, process),
        settings=FlowSettings(
            **{name: settings[f"flow.{name}"] for name in names}, ema=None, seed=run.seed_for("training") % 2**31
        ),
        directory=run.directory,
        evaluate=lambda policy, step: world.evaluate(measured_policy(run, policy, process)),
        hooks=[ProcessWatch(process)],
    )
    lines = trained.metrics
    measured = world.finish(run, measured_policy(run, trained.average, process))
    return process_metrics(run, world, process, lines) | summarised(lines) | measured


# fmt: off
_RATES = {"flow.learning_rate": (1e-4, 2e-4, 4e-4)}
ARMS = (
    Arm("euphonium", "guided rollouts, guidance distilled into the velocity", "method", EXPLICIT, _RATES),
    Arm("dance_grpo", "the same noise without guidance", "baseline", {}, _RATES),
    Arm("flow_grpo", "the noise of Flow-GRPO", "baseline",
        {"rollouts.kernel": "flow_grpo", "rollouts.level": 0.7}, _RATES),
    Arm("guided", "guided rollouts without distillation", "ablation", GUIDED, _RATES),
    Arm("random", "guidance in a random direction of the same length, distilled", "control",
        {**EXPLICIT, "guidance.by": "random"}, _RATES),
    Arm("dual", "euphonium, with advantages of each step beside those of the outcome", "reference",
        {**EXPLICIT, "learn.process_weight": 1.0}, _RATES),
    Arm("no_kl", "DanceGRPO without a KL penalty", "reference", {"learn.kl": 0.0, "flow.learning_rate": 2e-4}),
    *FULL_ARMS,
)

RECIPE = Recipe(
    name="euphonium",
    title="Euphonium",
    paper=(
        "Zhong, Lan, Mi, Zhou, Zhou, Lu, Yan, Euphonium: steering video flow matching via process reward gradient "
        "guided stochastic dynamics, 2026, arXiv 2602.04928"
    ),
    claim=(
        "Rollouts that follow the gradient of a process reward, with the guidance distilled into the policy, reach a "
        "reward in fewer iterations than the same noise without guidance does, and samples need no reward model."
    ),
    arms=ARMS,
    metrics=METRICS,
    claims=(
        less("euphonium", "dance_grpo", "log_iterations", _FASTER),
        less("euphonium", "guided", "log_iterations", _FASTER),
        less("euphonium", "random", "log_iterations", _FASTER),
        above("euphonium", "proxy", 0.9),
        greater("euphonium", "dance_grpo", "realism_at", -0.1),
    ),
    preconditions=(
        above("no_kl", "proxy_gained", 0.1),
        above("no_kl", "realism_lost", 0.1),
        below("no_kl", "corrected_gained", 0.0),
        above("dance_grpo", "log_iterations", math.log(16)),
    ),
    falsifiers=(
        Falsifier("it is less than 1.3 times as fast as the same noise without guidance",
                  (greater("euphonium", "dance_grpo", "log_iterations", -_FASTER),)),
        Falsifier("without the process reward at its side the policy does not have the gain",
                  (below("euphonium", "proxy", 0.9),)),
        Falsifier("at equal proxy realism is lower by more than 0.1",
                  (less("euphonium", "dance_grpo", "realism_at", 0.1),)),
    ),
    tuned_on="log_sound",
    settings=SETTINGS,
    scales=SCALES,
    run=run,
    notes=(
        "Built on seeds 2000 to 2002 by DanceGRPO and Flow-GRPO. Fourteen runs of them without a KL penalty showed "
        "that to be no test bed: Adam moves the weights by noise alone, a random reward takes realism away too, and "
        "whoever takes larger steps is faster and less real. With a KL coefficient of 0.04 in every arm, where the "
        "source has none, realism stays; eight more runs of the baselines set coefficient and learning rates. `no_kl` "
        "is what it was, and not all that it loses is hacking. Euphonium was run three times before that and twice "
        "after it, on seed 2001: at a learning rate of 1e-4 and a weight of 1 its proxy got to 0.9 in about 45 "
        "iterations, where DanceGRPO at that rate took about 100; a weight of 8 was faster and less real, and is left "
        "to scale full. All arms are tuned over the same three learning rates, by iterations to a proxy of 0.9 at a "
        "realism of at least 0.2; β is 0.2, and its sweep is at scale full. Iterations are compared by their natural "
        "logarithm, so that 1.3 times is 0.26. A run that never gets to 0.9 counts as all its 100 iterations, which "
        "says too little of what it lacks, and its realism is that of its end. All steps with noise are learned from, "
        "where the source takes 60 %; samples of a prompt start at the same noise. The process reward is log p(c | x, "
        "t) of a classifier that learned the proxy's 200 images at all noise levels, and its gradient is held to a "
        "norm of 5. What is compared is iterations: a guided one costs a forward and a backward pass of that "
        "classifier more per step."
    ),
    at_scale=(
        "`trueward.recipes.real.euphonium.build(…)` is the same update on a flow transformer of diffusers with LoRA. "
        "The reward of noisy latents is learned from scored images unless one is given, and belongs to one VAE. Distil "
        "explicitly: with log-probabilities without the shift, as released, low rewards have the larger gradients and "
        "push the policy away. Look at the agreement of the process reward with outcomes at each step "
        '(`ProcessWatch`) before its advantages are used, bound its gradient, and keep a KL penalty (`method={"kl": '
        "0.04}`)."
    ),
    parts=(
        "trueward.policies.flow.sampling.Guidance", "trueward.objectives.flow.distillation.guidance_distillation",
        "trueward.credit.denoising.process_advantages",
        "trueward.rewards.models.images.process.LatentProcessReward", "trueward.training.flow.online.OnlineUpdate",
        "trueward.evidence.digits_bed.bed",
    ),
)
# fmt: on
