"""What guided rollouts are put to the test on: the process reward, what guides, further arms, and what a curve says."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trueward.errors import EvidenceError
from trueward.evidence import digits_bed
from trueward.evidence.recipe import Arm, Metric, Settings

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from trueward.evidence.digits_measured import DigitsBed
    from trueward.evidence.run import Run
    from trueward.policies.flow.base import Velocity
    from trueward.policies.flow.guided import Gradient, Guidance
    from trueward.rewards.models.images.process import LatentProcessReward
    from trueward.training.flow.online import OnlineUpdate

LEVEL = 0.9
"""The proxy that runs are to reach."""

NOISES = (0.0, 0.3, 0.5, 0.7, 0.9)
"""At which the process reward is tested."""

Lines = Sequence[Mapping[str, float]]
"""Of `metrics.jsonl`, from the evaluation before training to the one at the end."""

_AGREEMENT = "hook/process_agreement_"
_SOUND = 0.2  # realism of a run that got there by something else than noise; real images have 0.5

# fmt: off
METRICS = (
    Metric("log_iterations", f"ln of the iterations until the unguided proxy is {LEVEL:g}; of all where it never is",
           "lower"),
    Metric("log_sound", "the same where realism is then at least 0.2; ln of all iterations where it is not", "lower"),
    Metric("reached", f"runs whose unguided proxy gets to {LEVEL:g}", "higher", "share"),
    Metric("realism_at", f"realism when the proxy is {LEVEL:g}; at the end where it never is", "higher", "share"),
    Metric("gold_at", "gold then", "higher", "share"),
    Metric("diversity_at", "diversity then", "higher"),
    Metric("corrected_at", "corrected proxy then", "higher"),
    Metric("proxy_gained", "proxy at the end less proxy before training", "higher", "share"),
    Metric("corrected_gained", "the same of the corrected proxy", "higher"),
    Metric("realism_lost", "realism before training less realism at the end", "lower", "share"),
    Metric("rollout_gap", "proxy of the rollouts of the last tenth less that of unguided samples", None, "share"),
    Metric("process_calls", "states whose process reward was asked for, in thousands", "lower"),
    Metric("process_failures", "states for which it had no value", "lower"),
    Metric("agreement_noisy", "correlation of process advantages with outcomes, first half of the steps", "higher"),
    Metric("agreement_clear", "the same, second half", "higher"),
    *(Metric(f"process_{100 * noise:.0f}", f"accuracy of the process reward on held-out images at t = {noise:g}",
             "higher", "share") for noise in NOISES),
    *digits_bed.METRICS,
)

SETTINGS: Settings = {
    **digits_bed.SETTINGS,
    "process.width": 128, "process.steps": 1000, "process.batch": 64, "process.rate": 2e-3,
    "flow.steps": 100, "flow.learning_rate": 1e-4, "flow.evaluate_every": 5, "flow.checkpoint_every": 40,
    "rollouts.steps": 10, "rollouts.group": 12, "rollouts.kernel": "dance_grpo", "rollouts.level": 0.3,
    "rollouts.step_share": 1.0, "rollouts.share_noise": True,
    "guidance.by": "nothing", "guidance.beta": 0.2, "guidance.coefficient": None, "guidance.window": None,
    "guidance.clip_norm": 5.0, "guidance.draws": 8, "guidance.size": 0.01, "guidance.at_test": False,
    "learn.distill": "none", "learn.distill_weight": 1.0, "learn.outcome_weight": 1.0, "learn.process_weight": 0.0,
    "learn.kl": 0.04,
}

SCALES: Mapping[str, Settings] = {
    "smoke": {
        **digits_bed.SMOKE, "process.width": 16, "process.steps": 20, "flow.steps": 2, "flow.evaluate_every": 1,
        "rollouts.group": 3, "guidance.draws": 2,
    },
    "small": {},
    "full": {"flow.steps": 240, "flow.evaluate_every": 12, "rollouts.group": 24, "bed.samples": 100},
}

GUIDED: Settings = {"guidance.by": "process"}
EXPLICIT: Settings = {**GUIDED, "learn.distill": "explicit"}
_IMPLICIT: Settings = {**GUIDED, "learn.distill": "implicit"}
_LATE: Settings = {"guidance.window": [6, 8], "guidance.beta": None, "guidance.coefficient": 0.01}

FULL_ARMS = (
    *(
        Arm(f"beta_{100 * beta:g}", f"explicit distillation, β = {beta:g}", "reference",
            {**EXPLICIT, "guidance.beta": beta}, full=True)
        for beta in (0.05, 0.2, 1.0, 4.5)
    ),
    Arm("weight_8", "explicit distillation that weighs 8 times as much", "reference",
        {**EXPLICIT, "learn.distill_weight": 8.0}, full=True),
    Arm("explicit_no_kl", "explicit distillation without a KL penalty", "reference",
        {**EXPLICIT, "learn.kl": 0.0}, full=True),
    Arm("late", "explicit distillation of the last three steps with noise, with 0.01 times the gradient", "reference",
        {**EXPLICIT, **_LATE}, full=True),
    Arm("implicit", "log-probabilities without the shift, as released, β = 0.05", "reference",
        {**_IMPLICIT, "guidance.beta": 0.05}, full=True),
    Arm("implicit_1", "the same with β = 1", "reference", {**_IMPLICIT, "guidance.beta": 1.0}, full=True),
    Arm("implicit_late", "the same in the last three steps with noise, with 0.01 times the gradient", "reference",
        {**_IMPLICIT, **_LATE}, full=True),
    Arm("dual_unguided", "DanceGRPO with outcome and process advantages", "reference",
        {"learn.process_weight": 1.0}, full=True),
    Arm("process_only", "DanceGRPO with process advantages alone", "reference",
        {"learn.process_weight": 1.0, "learn.outcome_weight": 0.0}, full=True),
    Arm("spsa", "explicit distillation of a gradient that is estimated from the proxy's values", "reference",
        {**EXPLICIT, "guidance.by": "spsa"}, full=True),
    Arm("guided_at_test", "the generator as it is, guided while it is measured: needs the process reward", "reference",
        {"guidance.at_test": True, "flow.steps": 0}, full=True),
    Arm("explicit_at_test", "explicit distillation, guided while it is measured too", "reference",
        {**EXPLICIT, "guidance.at_test": True}, full=True),
)
# fmt: on


def process_of(run: Run, bed: DigitsBed) -> LatentProcessReward:
    """log p(c | x_t, t) by a classifier of the proxy's images at all noise levels, built once per seed."""
    from safetensors.torch import load_file, save_file

    from trueward.evidence.digits_measured import SHAPE
    from trueward.rewards.models.images.classifier import ClassifierSettings, ImageClassifier, class_of, fit_classifier
    from trueward.rewards.models.images.process import ClassEvidence, LatentProcessReward
    from trueward.tasks.flow.digits import CLASSES

    names = ("process.width", "process.steps", "process.batch", "process.rate")
    chosen, seed = {name: run.settings[name] for name in names}, run.seed_for("process reward") % 2**31
    model = ImageClassifier(SHAPE, CLASSES, chosen["process.width"], time=True, seed=seed)

    def build(folder: Path) -> None:
        told = ClassifierSettings(chosen["process.steps"], chosen["process.batch"], chosen["process.rate"])
        fit_classifier(model, bed.splits.proxy.images, bed.splits.proxy.labels, settings=told, seed=seed)
        save_file(model.state_dict(), folder / "process.safetensors")

    model.load_state_dict(load_file(run.shared("digits-process", chosen, build) / "process.safetensors"))
    model.eval().requires_grad_(False)

    def classes(prompts: Sequence[Any]) -> Tensor:
        import torch

        return torch.tensor([class_of(prompt, CLASSES) for prompt in prompts])

    return LatentProcessReward("process", ClassEvidence(model), classes)


def seeded(x: Tensor, seed: int) -> torch.Generator:
    """A generator that follows from a seed and states, so that a run that goes on draws the same again."""
    import torch

    return torch.Generator().manual_seed(zlib.crc32(x.detach().numpy().tobytes()) ^ seed)


def random_direction(gradient: Gradient, seed: int) -> Gradient:
    """A control: gradients keep their length in a direction that says nothing. Values stay."""

    def drawn(x: Tensor, t: Tensor, condition: Any) -> tuple[Tensor, Tensor]:
        import torch

        value, found = gradient(x, t, condition)
        direction = torch.randn(found.shape, generator=seeded(x, seed))
        length = found.flatten(1).norm(dim=1) / direction.flatten(1).norm(dim=1)
        return value, direction * length.reshape(-1, *[1] * (found.ndim - 1))

    return drawn


def guidance_of(run: Run, bed: DigitsBed, process: LatentProcessReward) -> Guidance | None:
    """What moves the rollouts of an arm: `guidance.by` nothing, the process reward, a random direction, or SPSA.

    Raises:
        EvidenceError: it names none of them.
    """
    from trueward.policies.flow.guided import Guidance, spsa_gradient

    chosen, seed = run.settings, run.seed_for("guidance") % 2**31

    def readability(images: Tensor, labels: Any) -> Tensor:
        return bed.readability("prob").value(images, labels)

    def estimated(x: Tensor, t: Tensor, condition: Any) -> tuple[Tensor, Tensor]:
        drawn = spsa_gradient(
            readability, size=chosen["guidance.size"], draws=chosen["guidance.draws"],
            generator=seeded(x, seed),
        )  # fmt: skip
        return drawn(x, t, condition)

    gradients: dict[str, Gradient] = {
        "process": process.gradient, "random": random_direction(process.gradient, seed), "spsa": estimated,
    }  # fmt: skip
    by = chosen["guidance.by"]
    if by == "nothing":
        return None
    if by not in gradients:
        raise EvidenceError(f"guidance.by={by!r}; expected nothing, {', '.join(gradients)}")
    window = chosen["guidance.window"]
    return Guidance(
        gradients[by],
        beta=chosen["guidance.beta"],
        coefficient=chosen["guidance.coefficient"],
        clip_norm=chosen["guidance.clip_norm"],
        window=None if window is None else (window[0], window[1]),
        on="clean" if by == "spsa" else "state",
    )


def update_of(run: Run, bed: DigitsBed, process: LatentProcessReward) -> OnlineUpdate:
    """What an arm learns from."""
    from trueward.policies.flow.kernels import Kernel
    from trueward.training.flow.online import OnlineSettings, OnlineUpdate

    chosen = run.settings
    kind, classes = chosen["rollouts.kernel"], bed.conditions(1)
    rollouts = ("group", "steps", "step_share", "share_noise")
    learn = ("kl", "distill", "distill_weight", "outcome_weight", "process_weight")
    online = OnlineSettings(
        **{name: chosen[f"rollouts.{name}"] for name in rollouts},
        **{name: chosen[f"learn.{name}"] for name in learn},
        prompts=len(classes),
        kernel=Kernel(kind, chosen["rollouts.level"], clean_end=kind == "dance_grpo"),
    )
    return OnlineUpdate(
        bed.readability("prob"),
        bed.prompts(classes),
        classes,
        online,
        guidance=guidance_of(run, bed, process),
        process=process if online.process_weight > 0 else None,
    )


def measured_policy(run: Run, policy: nn.Module, process: LatentProcessReward) -> Velocity:
    """What is measured: the policy alone, or, for orientation, with the process reward at its side.

    x − Δ (v − g ∇r) is the Euler step of v with guidance of coefficient g, and g = σ²/(2β) is that of the rollouts.
    """
    if not run.settings["guidance.at_test"]:
        return policy
    strength = run.settings["rollouts.level"] ** 2 / (2 * run.settings["guidance.beta"])

    def guided(x: Tensor, t: Tensor, condition: Any) -> Tensor:
        velocity: Tensor = policy(x, t, condition) - strength * process.gradient(x, t, condition)[1]
        return velocity

    return guided


def process_metrics(run: Run, bed: DigitsBed, process: LatentProcessReward, lines: Lines) -> dict[str, float]:
    """What is told of the process reward: held-out accuracy at each noise level, agreement with outcomes, counts."""
    from trueward.rewards.models.images.process import ClassEvidence, accuracy_at

    assert isinstance(process.model, ClassEvidence)
    held_out = bed.splits.heldout
    right = accuracy_at(process.model.classifier, held_out.images, held_out.labels, NOISES)
    steps = run.settings["rollouts.steps"] - 1
    looks = [[line[_AGREEMENT + str(step)] for step in range(steps)] for line in lines if _AGREEMENT + "0" in line]
    halves = [[row[: steps // 2] for row in looks], [row[steps // 2 :] for row in looks]]
    noisy, clear = (sum(map(sum, half)) / sum(map(len, half)) if half else math.nan for half in halves)
    return {
        **{f"process_{100 * noise:.0f}": share for noise, share in right.items()},
        "agreement_noisy": noisy,
        "agreement_clear": clear,
        "process_calls": lines[-1].get("hook/process_calls", 0.0) / 1000,
        "process_failures": lines[-1].get("hook/process_failures", 0.0),
    }


def summarised(lines: Lines) -> dict[str, float]:
    """The metrics that a curve says, from the lines of a run.

    A run that never gets to the level counts as having got there at its end: less than it would need, so that a
    slower arm loses less than it should.
    """
    from trueward.measures.speed import first_reaching

    curve = [line for line in lines if "gold" in line]
    steps = [line["step"] for line in curve]
    proxy = [line["proxy"] for line in curve]
    crossing = first_reaching(steps, proxy, LEVEL)
    there = {
        name: crossing.at([line[name] for line in curve]) for name in ("realism", "gold", "diversity", "corrected")
    }
    taken, every = math.log(max(crossing.step, 1.0)), math.log(max(steps[-1], 1.0))
    sound = crossing.reached and there["realism"] >= _SOUND
    rollouts = [line["update/reward"] for line in lines if line["step"] > 0.9 * steps[-1] and "update/reward" in line]
    return {
        "log_iterations": taken,
        "log_sound": taken if sound else every,
        "reached": float(crossing.reached),
        **{f"{name}_at": value for name, value in there.items()},
        "proxy_gained": proxy[-1] - proxy[0],
        "corrected_gained": curve[-1]["corrected"] - curve[0]["corrected"],
        "realism_lost": curve[0]["realism"] - curve[-1]["realism"],
        "rollout_gap": sum(rollouts) / len(rollouts) - proxy[-1] if rollouts else math.nan,
    }
