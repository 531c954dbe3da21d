"""Mazes at once against MiniGrid in Gymnasium's vector environment, and what a bonus costs per step, on one thread.

    python benchmarks/bench_mazes.py

Equality first: the same layouts and actions lead to the same cells, rewards and ends. MiniGrid is seen whole, which is
the same information. Numbers are per second of processor time, the best of some rounds in turn.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from minigrid.core.constants import OBJECT_TO_IDX
from minigrid.wrappers import FullyObsWrapper, ImgObsWrapper, ReseedWrapper
from step_rates import rates

from trueward.rewards.intrinsic import CountNovelty, PredictorSettings, RandomDistributionDistillation
from trueward.tasks.control.minigrid import MazeVectorEnv

MAZES = ("MiniGrid-DoorKey-8x8-v0", "MiniGrid-KeyCorridorS3R3-v0", "MiniGrid-MultiRoom-N4-S5-v1")
COUNT, STEPS, ROUNDS, LAYOUT, FASTER = 16, 200, 3, 3, 5.0
lost = 0


def row(name: str, rate: float, target: str = "", kept: bool = True) -> None:
    global lost
    lost += not kept
    verdict = f"{target:<20} {'ok' if kept else 'LOST'}" if target else ""
    print(f"  {name:<56} {rate:14,.0f}   {verdict}".rstrip())


def package(name: str) -> SyncVectorEnv:
    def make() -> gymnasium.Env[Any, Any]:
        return ImgObsWrapper(FullyObsWrapper(ReseedWrapper(gymnasium.make(name), seeds=(LAYOUT,))))

    return SyncVectorEnv([make] * COUNT, autoreset_mode=AutoresetMode.SAME_STEP)


def compare(name: str) -> None:
    ours, theirs = MazeVectorEnv(name, COUNT, layout=LAYOUT), package(name)
    ours.reset(seed=0)
    theirs.reset(seed=0)
    generator = np.random.default_rng(0)
    for _ in range(STEPS):
        actions = generator.integers(0, 7, COUNT)
        _, paid, over, cut, info = ours.step(actions)
        grids, reward, terminated, truncated, _ = theirs.step(actions)
        agents = np.argwhere(grids[..., 0] == OBJECT_TO_IDX["agent"])[:, 1:]
        same = [(info["state"][:, :2] == agents).all(), np.allclose(paid, reward), (over == terminated).all(),
                (cut == (truncated & ~terminated)).all()]  # fmt: skip
        if not all(same):
            raise SystemExit(f"{name}: cells, rewards and ends are not those of MiniGrid: {same}")
    print(f"  equal to MiniGrid over {STEPS * COUNT:,} steps of {name}")


def stepping(env: Any) -> Callable[[], int]:
    env.reset(seed=0)
    actions = np.random.default_rng(1).integers(0, 7, (STEPS, COUNT))

    def task() -> int:
        for action in actions:
            env.step(action)
        return STEPS * COUNT

    return task


def paying(novelty: Any) -> Callable[[], int]:
    seen = np.random.default_rng(0).integers(0, 2, (STEPS, COUNT, 43)).astype(np.float32)

    def task() -> int:
        for observation in seen:
            novelty.bonus(observation)
            novelty.observe(observation)
        novelty.learn()
        return STEPS * COUNT

    return task


def main() -> None:
    torch.set_num_threads(1)
    for name in MAZES:
        compare(name)
    print(f"steps per second, {COUNT} at once")
    for name in MAZES:
        found = rates(
            {"mazes": stepping(MazeVectorEnv(name, COUNT, layout=LAYOUT)), "MiniGrid": stepping(package(name))},
            ROUNDS,
        )
        row(f"{name}, SyncVectorEnv", found["MiniGrid"])
        ratio = found["mazes"] / found["MiniGrid"]
        row(f"{name}, MazeVectorEnv ({ratio:.1f} ×)", found["mazes"], f"≥ {FASTER:g} ×", ratio >= FASTER)
    print("bonuses paid and learnt per second, one call for 16")
    settings = PredictorSettings(hidden=(256,), minibatch=32, averaging=3.0, start="zero", warm_up=0)
    novelties = {"count": CountNovelty(), "RDD": RandomDistributionDistillation(43, settings)}
    for name, rate in rates({name: paying(novelty) for name, novelty in novelties.items()}, ROUNDS).items():
        row(name, rate)
    print(f"\n{lost} rows lost")


if __name__ == "__main__":
    main()
