"""What random distribution distillation is put to the test on: its rivals, the calibration, further arms."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from trueward.errors import EvidenceError
from trueward.evidence.recipe import Arm, Metric, Settings

if TYPE_CHECKING:
    from trueward.evidence.maze_bed import Explored
    from trueward.evidence.run import Run
    from trueward.rewards.intrinsic import Novelty

METRICS = (
    Metric("log_coverage", "ln of the distinct states known, mean over training, mean over the mazes", "higher"),
    Metric("log_coverage_1", "the same in the first maze", "higher"),
    Metric("log_coverage_2", "the same in the second maze", "higher"),
    Metric("log_coverage_3", "the same in the third maze", "higher"),
    Metric("success", "successful episodes, mean over training, mean over the mazes", "higher", "share"),
    Metric("success_last", "successful episodes in the last tenth of training, mean over the mazes", "higher", "share"),
    Metric("rank", "rank correlation of the bonus with 1/n: 200 states, 20,000 visits", "higher"),
    Metric("slope", "slope of log bonus on log n there: −1 for a count", None),
    Metric("floor", "bonus times n of the states visited most: 1 for a count", "lower"),
    Metric("unevenness", "divergence of the bonuses from equal shares before any visit", "lower", "nats"),
    Metric("maze_rank", "rank correlation of the bonus with 1/n over the states seen in the mazes", "higher"),
    Metric("maze_slope", "slope of log bonus on log n there", None),
    Metric("watching", "steps at the television, where there is one", "lower", "share"),
)

# fmt: off
SETTINGS: Settings = {
    "maze.names": ["MiniGrid-DoorKey-8x8-v0", "MiniGrid-KeyCorridorS3R3-v0", "MiniGrid-MultiRoom-N4-S5-v1"],
    "maze.television": 0, "maze.random_steps": 200_000,
    "policy.hidden": [64, 64],
    "train.environments": 32, "train.horizon": 64, "train.steps": 80, "train.epochs": 4, "train.minibatches": 4,
    "train.learning_rate": 1e-3, "train.entropy": 0.001, "train.discount": 0.99, "train.bonus_discount": 0.99,
    "train.reward_weight": 2.0, "train.bonus_weight": 1.0, "train.checkpoint_every": 40, "train.one_head": False,
    "bonus.kind": "none", "bonus.outputs": 64, "bonus.hidden": [256], "bonus.minibatch": 32, "bonus.epochs": 1,
    "bonus.learning_rate": 3e-3, "bonus.decay": None, "bonus.averaging": None, "bonus.start": "random",
    "bonus.sigma": 1.0, "bonus.mean": "unit", "bonus.redraw": False, "bonus.power": 1.0, "bonus.shuffled": False,
    "bonus.targets": 10, "bonus.alpha": 0.9,
    "calibration.states": 200, "calibration.entries": 64, "calibration.spread": 1.0, "calibration.visits": 20000,
    "calibration.collection": 500,
}

SCALES: Mapping[str, Settings] = {
    "smoke": {
        "maze.names": ["MiniGrid-DoorKey-5x5-v0"], "maze.random_steps": 100, "train.environments": 4,
        "train.horizon": 16, "train.steps": 2, "bonus.hidden": [32], "calibration.states": 40,
        "calibration.visits": 1000,
    },
    "small": {},
    "full": {"train.steps": 200},
}

AVERAGED: Settings = {"bonus.kind": "rdd", "bonus.averaging": 3.0, "bonus.start": "zero"}
_OTHER: Settings = {
    "maze.names": ["MiniGrid-DoorKey-6x6-v0", "MiniGrid-KeyCorridorS3R2-v0", "MiniGrid-MultiRoom-N2-S4-v0"]
}
_CAR: Settings = {"maze.names": ["MountainCar-v0"]}
_NEWS: Settings = {"maze.television": 16}
_RND: Settings = {"bonus.kind": "rnd"}
_COUNT: Settings = {"bonus.kind": "count"}

FULL_ARMS = (
    Arm("rdd_redraw", "draws anew at each of four passes over the visits", "reference",
        {**AVERAGED, "bonus.redraw": True, "bonus.epochs": 4}, full=True),
    Arm("rdd_reused", "one draw for each visit, four passes over it", "reference",
        {**AVERAGED, "bonus.epochs": 4}, full=True),
    Arm("rdd_constant", "constant step size, no average", "reference",
        {"bonus.kind": "rdd", "bonus.start": "zero"}, full=True),
    Arm("rdd_decayed", "step size that falls like 1/n, no average", "reference",
        {"bonus.kind": "rdd", "bonus.start": "zero", "bonus.decay": 500.0}, full=True),
    Arm("rdd_net", "the mean is a network of any size", "reference", {**AVERAGED, "bonus.mean": "net"}, full=True),
    Arm("rdd_ones", "the mean is 1 everywhere", "reference", {**AVERAGED, "bonus.mean": "const"}, full=True),
    Arm("rdd_one_head", "the bonus is added to the reward, one value head", "reference",
        {**AVERAGED, "train.one_head": True}, full=True),
    Arm("coin_flip", "regression on coin flips", "reference", {**AVERAGED, "bonus.kind": "coin flip"}, full=True),
    Arm("count_root", "exact counts, n^(−1/2)", "reference", {**_COUNT, "bonus.power": 0.5}, full=True),
    *(
        Arm(f"{arm}_{where}", f"{about}, {place}", "reference", {**settings, **changed}, full=True)
        for where, place, changed in (
            ("television", "with a television", _NEWS), ("other", "other mazes", _OTHER), ("car", "MountainCar", _CAR),
        )
        for arm, about, settings in (("rdd", "RDD, averaged", AVERAGED), ("rnd", "RND", _RND),
                                     ("count", "exact counts", _COUNT))
    ),
)
# fmt: on

_NONE = float("nan")  # of a run that has no bonus, or no third maze


def novelty_of(settings: Settings, size: int, key: Callable[[np.ndarray], np.ndarray], seed: int) -> Novelty | None:
    """The bonus of an arm.

    Args:
        settings: of the run.
        size: entries of an observation.
        key: what tells states apart in observations, for counts.
        seed: of weights and draws.

    Raises:
        EvidenceError: `bonus.kind` names none.
    """
    from trueward.evidence.maze_bed import ShuffledNovelty
    from trueward.rewards import intrinsic

    names = ("outputs", "minibatch", "epochs", "learning_rate", "decay", "averaging", "start")
    predictor = intrinsic.PredictorSettings(
        **{name: settings[f"bonus.{name}"] for name in names}, hidden=tuple(settings["bonus.hidden"]), warm_up=0
    )
    kinds: dict[str, Callable[[], Novelty | None]] = {
        "none": lambda: None,
        "count": lambda: intrinsic.CountNovelty(key, settings["bonus.power"]),
        "rnd": lambda: intrinsic.RandomNetworkDistillation(size, predictor, seed=seed),
        "drnd": lambda: intrinsic.DistributionalRND(
            size, predictor, targets=settings["bonus.targets"], alpha=settings["bonus.alpha"], seed=seed
        ),
        "rdd": lambda: intrinsic.RandomDistributionDistillation(
            size,
            predictor,
            sigma=settings["bonus.sigma"],
            mean=settings["bonus.mean"],
            redraw=settings["bonus.redraw"],
            seed=seed,
        ),
        "coin flip": lambda: intrinsic.CoinFlip(size, predictor, seed=seed),
    }
    if settings["bonus.kind"] not in kinds:
        raise EvidenceError(f"bonus.kind={settings['bonus.kind']!r}; expected one of {', '.join(kinds)}")
    made = kinds[settings["bonus.kind"]]()
    return ShuffledNovelty(made, seed) if made is not None and settings["bonus.shuffled"] else made


def calibrated(run: Run) -> dict[str, float]:
    """How the bonus counts: states with vectors of unequal length, visited by Zipf's law, without any policy."""
    from trueward.measures.bonus_calibration import calibration, unevenness

    chosen = run.settings
    entries, count = chosen["calibration.entries"], chosen["calibration.states"]
    novelty = novelty_of(
        {**chosen, "bonus.shuffled": False}, entries, lambda seen: seen, run.seed_for("calibration bonus") % 2**31
    )
    if novelty is None:
        return dict.fromkeys(("rank", "slope", "floor", "unevenness"), _NONE)
    states, shares, generator = world(run, count, entries, chosen["calibration.spread"])
    uneven, visits = unevenness(novelty.bonus(states)), np.zeros(count)
    for _ in range(chosen["calibration.visits"] // chosen["calibration.collection"]):
        seen = generator.choice(count, chosen["calibration.collection"], p=shares)
        visits += np.bincount(seen, minlength=count)
        novelty.observe(states[seen])
        novelty.learn()
    found = calibration(novelty.bonus(states), visits)
    return {"rank": found.rank, "slope": found.slope, "floor": found.floor, "unevenness": uneven}


def world(
    run: Run, count: int, entries: int, spread: float
) -> tuple[Float[np.ndarray, "s d"], Float[np.ndarray, " s"], np.random.Generator]:
    """States of unequal length, how often each is visited, and the generator of the visits."""
    generator = run.generator("calibration")
    states = generator.standard_normal((count, entries)) * np.sqrt(8.0 / entries)
    states *= np.exp(generator.uniform(-spread, spread, (count, 1)))
    shares = generator.permutation(1.0 / np.arange(1, count + 1))
    return states.astype(np.float32), shares / shares.sum(), generator


def summarised(found: Sequence[Explored]) -> dict[str, float]:
    """The metrics of the mazes."""
    from trueward.measures.bonus_calibration import calibration

    logs = [one.log_coverage for one in found]
    pairs = [pair for one in found if (pair := one.bonus_and_visits()) is not None]
    counts = [calibration(bonus, visits.astype(float)) for bonus, visits in pairs]
    successes = np.array([one.coverage.successes for one in found])
    return {
        "log_coverage": float(np.mean(logs)),
        **{f"log_coverage_{place + 1}": logs[place] if place < len(logs) else _NONE for place in range(3)},
        "success": float(successes.mean()),
        "success_last": float(successes[:, -1].mean()),
        "maze_rank": float(np.mean([one.rank for one in counts])) if counts else _NONE,
        "maze_slope": float(np.mean([one.slope for one in counts])) if counts else _NONE,
        "watching": float(np.mean([np.mean(one.coverage.watching) for one in found])),
    }


def curve_of(found: Sequence[Explored]) -> list[dict[str, Any]]:
    """Share of successful episodes in each tenth of training, as lines that a report draws."""
    successes = np.mean([one.coverage.successes for one in found], axis=0)
    updates = len(found[0].coverage.curve)
    return [
        {"step": round((place + 1) * updates / len(successes)), "gold": float(share)}
        for place, share in enumerate(successes)
    ]
