"""What GDRO is put to the test on: its rivals, the clock, further arms."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from trueward.errors import EvidenceError
from trueward.evidence import digits_bed
from trueward.evidence.recipe import Arm, Metric, Settings

if TYPE_CHECKING:
    import torch
    from torch import nn

    from trueward.evidence.digits_measured import DigitsBed
    from trueward.evidence.flow_cost import TrainingCost
    from trueward.evidence.run import Run
    from trueward.rewards.base import Reward
    from trueward.training.flow.pool import Pool
    from trueward.training.flow.update import FlowUpdate

LEVEL, EQUAL = 0.95, 0.9
"""The proxy up to which cost is counted, and that at which corrected scores are compared."""

# fmt: off
METRICS = (
    *digits_bed.METRICS,
    Metric("peak", "highest corrected score of the run", "higher"),
    Metric("rise", "corrected score at its peak minus before training", "higher"),
    Metric("fall", "corrected score at its peak minus at the end", "lower"),
    Metric("corrected_at", "corrected score where the proxy first reached 0.9; at the end where never", "higher"),
    Metric("margin_since", "margin at the end minus at the peak of the corrected score", None, "nats"),
    Metric("boundary", "where the margin goes on rising and the corrected score falls; unknown: nowhere", "higher",
           "share"),
    Metric("reached", "1 where the proxy reached 0.95", "higher"),
    Metric("log_seconds", "ln of processor seconds of training up to there; of the whole run where never", "lower"),
    Metric("log_evaluations", "ln of network evaluations up to there, a gradient as three; likewise", "lower"),
    Metric("log_seconds_in_all", "ln of processor seconds of the whole training", None),
    Metric("pool_best", "proxy of the best image of each digit in the pool: what there is to learn from", None),
    Metric("spread", "deviation of implied rewards inside a group, last tenth of training", None),
    Metric("best_delta", "error of the best image minus the reference's, likewise; above 0: it is less likely", None),
)

SETTINGS: Settings = {
    **digits_bed.SETTINGS,
    "learn": "pool", "reward.kind": "margin", "reward.shuffled": False,
    "pool.images": 64, "pool.sampling_steps": 20, "pool.best": 4,
    "pool.groups": 16, "pool.size": 6, "pool.temperature": 0.05, "pool.beta": 4.0, "pool.stabiliser": 0.5,
    "pool.kind": "pl", "pool.reduction": "mean", "pool.share_noise": True, "pool.share_time": True,
    "pool.refresh_every": None, "pool.steps": 800, "pool.learning_rate": 3e-4, "pool.ema": 0.995,
    "online.group": 12, "online.denoising_steps": 10, "online.kl": 0.0, "online.kernel": "flow_grpo",
    "online.level": 0.7, "online.step_share": 1.0, "online.share_noise": False, "online.drop_last_step": True,
    "online.steps": 200, "online.learning_rate": 3e-4, "online.ema": 0.9,
    "measure.quick": 20, "measure.images": 20,
}

SCALES: Mapping[str, Settings] = {
    "smoke": {
        **digits_bed.SMOKE, "pool.images": 8, "pool.sampling_steps": 4, "pool.best": 2, "pool.groups": 4,
        "pool.size": 4, "pool.steps": 4, "online.group": 3, "online.denoising_steps": 4, "online.steps": 2,
        "measure.quick": 2, "measure.images": 2,
    },
    "small": {},
    "full": {},
}
# fmt: on


def rewarded(run: Run, bed: DigitsBed) -> Reward:
    """The reward of an arm: the proxy, or, in the control, the proxy of another image of the same prompt."""
    from trueward.evidence.controls import Shuffled

    reward = bed.readability(run.settings["reward.kind"])
    if not run.settings["reward.shuffled"]:
        return reward
    return reward.transform(Shuffled("group", run.seed_for("shuffled") % 2**31))


def pool_drawn(run: Run, bed: DigitsBed, policy: nn.Module, generator: torch.Generator) -> Pool:
    """Scored images of every digit from a policy."""
    from trueward.evidence.digits_measured import SHAPE
    from trueward.policies.flow.kernels import time_grid
    from trueward.training.flow.pool import draw_pool

    labels, settings = bed.conditions(1), run.settings
    return draw_pool(
        policy,
        bed.prompts(labels),
        labels,
        rewarded(run, bed),
        images=settings["pool.images"],
        shape=SHAPE,
        times=time_grid(settings["pool.sampling_steps"]),
        generator=generator,
    )


def update_of(run: Run, bed: DigitsBed) -> tuple[FlowUpdate, Pool | None]:
    """What an arm learns from, and its pool, where it has one.

    Raises:
        EvidenceError: `learn` or `online.kernel` names nothing.
    """
    import torch

    from trueward.training.flow.matching import FlowMatchingUpdate
    from trueward.training.flow.pool import PoolSettings, PoolUpdate

    settings = run.settings
    if settings["learn"] == "online":
        return online_of(run, bed), None
    pool = pool_drawn(run, bed, bed.reference, torch.Generator().manual_seed(run.seed_for("pool") % 2**31))
    if settings["learn"] == "best":
        places, condition = pool.best(settings["pool.best"])
        batch = settings["pool.groups"] * settings["pool.size"]
        return FlowMatchingUpdate(pool.samples[torch.from_numpy(places)], condition, batch=batch), pool
    if settings["learn"] != "pool":
        raise EvidenceError(f"learn={settings['learn']!r}; expected pool, best or online")
    names = ("groups", "size", "temperature", "beta", "stabiliser", "kind", "reduction", "share_noise", "share_time",
             "refresh_every")  # fmt: skip
    chosen = PoolSettings(**{name: settings[f"pool.{name}"] for name in names})

    def redraw(policy: nn.Module, generator: torch.Generator) -> Pool:
        return pool_drawn(run, bed, policy, generator)

    return PoolUpdate(pool, bed.reference, chosen, redraw if chosen.refresh_every else None), pool


def online_of(run: Run, bed: DigitsBed) -> FlowUpdate:
    """Flow-GRPO, or DanceGRPO."""
    from trueward.policies.flow.kernels import dance_grpo, flow_grpo
    from trueward.training.flow.online import OnlineSettings, OnlineUpdate

    settings, labels = run.settings, bed.conditions(1)
    kernels = {"flow_grpo": flow_grpo, "dance_grpo": dance_grpo}
    if settings["online.kernel"] not in kernels:
        raise EvidenceError(f"online.kernel={settings['online.kernel']!r}; expected {' or '.join(kernels)}")
    chosen = OnlineSettings(
        group=settings["online.group"],
        prompts=len(labels),
        steps=settings["online.denoising_steps"],
        kernel=kernels[settings["online.kernel"]](settings["online.level"]),
        kl=settings["online.kl"],
        step_share=settings["online.step_share"],
        share_noise=settings["online.share_noise"],
        drop_last_step=settings["online.drop_last_step"],
    )
    return OnlineUpdate(rewarded(run, bed), bed.prompts(labels), labels, chosen, reference=bed.reference)


def measuring(run: Run, bed: DigitsBed, steps: int) -> Callable[[nn.Module, int], dict[str, float]]:
    """An evaluation that says often what the proxy of a few images is, and every other time all there is to say."""
    from trueward.evidence.digits_measured import SHAPE
    from trueward.policies.flow.kernels import time_grid
    from trueward.policies.flow.sampling import sample

    per_class, few = run.settings["bed.samples"], run.settings["measure.images"]
    labels, proxy = bed.conditions(few), bed.readability("prob")
    noise = bed.noise.reshape(-1, per_class, *SHAPE)[:, :few].flatten(0, 1)
    grid, every = time_grid(run.settings["bed.sampling_steps"]), 2 * quick_every(run.settings, steps)

    def evaluate(policy: nn.Module, step: int) -> dict[str, float]:
        made = sample(policy, labels, shape=SHAPE, times=grid, noise=noise).final
        found = {"quick_proxy": float(proxy.value(made, labels).mean())}
        return found | (bed.evaluate(policy, step) if step % every == 0 or step == steps else {})

    return evaluate


def quick_every(settings: Settings, steps: int) -> int:
    """Updates between two measurements of the proxy."""
    return max(1, steps // int(settings["measure.quick"]))


def summarised(lines: Sequence[Mapping[str, Any]], cost: TrainingCost, final: Mapping[str, float]) -> dict[str, float]:
    """What a run came to, beside `final`: peak and fall of the corrected score, cost up to the level, the losses."""
    from trueward.measures.images import hacking_boundary
    from trueward.measures.speed import first_reaching

    full = [line for line in lines if "corrected" in line]
    steps, corrected, margin = ([float(line[name]) for line in full] for name in ("step", "corrected", "margin"))
    best = max(range(len(full)), key=corrected.__getitem__)
    boundary = hacking_boundary(steps, margin, corrected, tolerance=0.05)
    spent, reached = cost.until(LEVEL)
    equal = first_reaching(steps, [line["proxy"] for line in full], EQUAL)
    last = [line for line in lines if line["step"] > 0.9 * steps[-1]]
    return {
        "peak": corrected[best],
        "rise": corrected[best] - corrected[0],
        "fall": corrected[best] - final["corrected"],
        "corrected_at": equal.at(corrected),
        "margin_since": final["margin"] - margin[best],
        "boundary": math.nan if boundary is None else boundary / steps[-1],
        "reached": float(reached),
        "log_seconds": math.log(spent.seconds),
        "log_evaluations": math.log(spent.evaluations),
        "log_seconds_in_all": math.log(cost.curve[-1][1]),
        "spread": _mean(last, "update/spread"),
        "best_delta": _mean(last, "update/best_delta"),
    }


def pool_proxy(bed: DigitsBed, pool: Pool | None) -> float:
    """Probability of the right digit for the best image of each digit by the reward; unknown without a pool."""
    if pool is None:
        return math.nan
    import torch

    places, labels = pool.best()
    assert isinstance(labels, torch.Tensor)
    with torch.no_grad():
        return float(bed.readability("prob").value(pool.samples[torch.from_numpy(places)], labels).mean())


def _mean(lines: Sequence[Mapping[str, Any]], name: str) -> float:
    values = [line[name] for line in lines if name in line]
    return math.fsum(values) / len(values) if values else math.nan


# fmt: off
ONLINE: Settings = {"learn": "online"}
HACKED: Settings = {**ONLINE, "online.learning_rate": 7e-5, "online.ema": 0.98, "online.share_noise": True}
HELD: Settings = {**ONLINE, "online.kl": 0.1}
DPO: Settings = {"pool.size": 2, "pool.groups": 48, "pool.kind": "rank", "pool.stabiliser": 0.0, "pool.beta": 50.0}
FREE: Settings = {"pool.stabiliser": 0.0}
_DANCE: Settings = {**HACKED, "online.kernel": "dance_grpo", "online.level": 0.3, "online.step_share": 0.6}
_RIVALS: tuple[tuple[str, str, Settings], ...] = (
    ("gdro", "GDRO", {}), ("no_stabiliser", "γ = 0", FREE), ("dpo", "Diffusion-DPO", DPO),
    ("flow_grpo", "Flow-GRPO without KL", HACKED), ("flow_grpo_kl", "Flow-GRPO with KL", HELD),
)

FULL_ARMS: tuple[Arm, ...] = (
    Arm("best_of_n", "flow matching on the best images of the pool", "reference", {"learn": "best"}, full=True),
    Arm("dance_grpo", "DanceGRPO without KL", "reference", _DANCE, full=True),
    Arm("flow_grpo_fast", "Flow-GRPO without KL, all else as with it", "reference", ONLINE, full=True),
    *(Arm(f"size_{size}", f"groups of {size}, as many images per update", "reference",
          {"pool.size": size, "pool.groups": 96 // size}, full=True) for size in (2, 4, 8)),
    *(Arm(f"beta_{beta}", f"β = {beta}", "reference", {"pool.beta": float(beta)}, full=True)
      for beta in (2, 5, 12, 30)),
    *(Arm(f"temperature_{name}", f"τ = {value}", "reference", {"pool.temperature": value}, full=True)
      for name, value in (("0", 0.0), ("0025", 0.025), ("05", 0.5))),
    Arm("top1", "the first choice alone", "reference", {"pool.kind": "top1"}, full=True),
    Arm("summed", "errors are sums over pixels, β is as much smaller", "reference",
        {"pool.reduction": "sum", "pool.beta": 4.0 / 64}, full=True),
    Arm("own_noise", "a noise for each image of a group", "reference", {"pool.share_noise": False}, full=True),
    Arm("own_time", "noise and noise level for each image of a group", "reference",
        {"pool.share_noise": False, "pool.share_time": False}, full=True),
    Arm("refreshed", "the pool drawn anew from the policy after every 200 updates", "reference",
        {"pool.refresh_every": 200}, full=True),
    *(Arm(f"{name}_prob", f"{about}, for a reward with bounds", "reference", {**settings, "reward.kind": "prob"},
          full=True) for name, about, settings in _RIVALS),
)
# fmt: on
