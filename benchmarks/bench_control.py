"""Environments as arrays, and training on them, against Gymnasium and Stable-Baselines3 on one thread.

    python benchmarks/bench_control.py

Equality first: states against Gymnasium's CartPole, one update of PPO against SB3's. Then all take turns, and the best
of some rounds counts. SB3 gets the same network, batch and passes; it steps Gymnasium's own environments, which is what
its users have. Numbers are steps per second of processor time: all of it is one thread of one process, and the machine
may have other things to do.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import warnings
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import torch
from control_sb3 import COUNT, HORIZON, updated_by_both
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from step_rates import rates

from trueward.policies.control import ActorCritic
from trueward.tasks.control.arrays import ArrayEnv, CartPole, MountainCar, Pendulum
from trueward.tasks.control.stepping import Stepper
from trueward.training.control import ControlSettings, train_policy

ROUNDS = 5
ENVIRONMENTS, STEPS, UPDATES = 64, 32, 10
STEP_TARGET, TRAIN_TARGET = 1e5, 2e4
lost = 0


def row(name: str, rate: float, target: str = "", kept: bool = True) -> None:
    """One line of the table."""
    global lost
    lost += not kept
    verdict = f"{target:<32} {'ok' if kept else 'LOST'}" if target else ""
    print(f"  {name:<56} {rate:14,.1f}   {verdict}".rstrip())


def check(name: str, gap: float, limit: float) -> None:
    """Stop where two implementations differ."""
    if not gap <= limit:
        raise SystemExit(f"{name}: differs by {gap:.1e}, more than {limit:.0e}")
    print(f"  equal to {name} to {gap:.1e}")


def against_gymnasium() -> float:
    """Largest difference of a step from the same states, in one thousand states."""
    ours, theirs = CartPole(1000), gymnasium.make("CartPole-v1").unwrapped
    rng = np.random.default_rng(0)
    states = rng.uniform(-1.0, 1.0, size=(1000, 4)) * [2.4, 3.0, 0.2, 3.0]
    actions = rng.integers(2, size=1000)
    after, _, _ = ours.advance(states, actions)
    gap = 0.0
    for state, action, found in zip(states, actions, after, strict=True):
        theirs.reset()
        theirs.state = state  # type: ignore[attr-defined]
        theirs.step(int(action))
        gap = max(gap, float(np.abs(np.asarray(theirs.state) - found).max()))  # type: ignore[attr-defined]
    return gap


def stepping(env: Any, times: int, actions: np.ndarray | None = None) -> Callable[[], int]:
    """Steps of an environment, without a policy."""
    env.reset(seed=0)
    chosen = env.action_space.sample() if actions is None else actions

    def task() -> int:
        for _ in range(times):
            env.step(chosen)
        return times * len(chosen)

    return task


def read(count: int, times: int) -> Callable[[], int]:
    """Steps as transitions."""
    stepper = Stepper(CartPole(count))
    stepper.reset(0)
    actions = np.ones(count, dtype=np.int64)

    def task() -> int:
        for _ in range(times):
            stepper.step(actions)
        return times * count

    return task


def environments() -> None:
    """Steps per second of environments alone."""
    made: dict[str, type[ArrayEnv]] = {"CartPole": CartPole, "Pendulum": Pendulum, "MountainCar": MountainCar}
    tasks = {f"{name}, {n} as arrays": stepping(env(n), 200) for name, env in made.items() for n in (64, 1024)}
    tasks |= {f"CartPole, {n} as transitions": read(n, 200) for n in (64, 1024)}
    single = gymnasium.make_vec("CartPole-v1", 64, vectorization_mode="sync")
    tasks["CartPole, 64 in Gymnasium's SyncVectorEnv"] = stepping(single, 10)
    arrays = gymnasium.make_vec("CartPole-v1", 64, vectorization_mode="vector_entry_point")
    tasks["CartPole, 64 in Gymnasium's own arrays"] = stepping(arrays, 200)
    found = rates(tasks, ROUNDS)
    for name, rate in found.items():
        ours = "Gymnasium" not in name
        row(name, rate, f"at least {STEP_TARGET:,.0f}" if ours else "", not ours or rate >= STEP_TARGET)
    first, theirs = found["CartPole, 64 as arrays"], found["CartPole, 64 in Gymnasium's own arrays"]
    row("  ours against Gymnasium's arrays, 64", first / theirs, "at least 1 times", first >= theirs)


def ours(settings: ControlSettings) -> Callable[[], int]:
    """Our loop."""
    env, policy = CartPole(ENVIRONMENTS), ActorCritic.for_spaces(CartPole(1))

    def task() -> int:
        train_policy(env, policy=policy, settings=settings)
        return settings.steps * settings.horizon * ENVIRONMENTS

    return task


def sb3(count: int, horizon: int, batch: int, passes: int, updates: int) -> Callable[[], int]:
    """SB3's loop."""
    model = PPO(
        "MlpPolicy",
        make_vec_env("CartPole-v1", count),
        n_steps=horizon,
        batch_size=batch,
        n_epochs=passes,
        device="cpu",
    )

    def task() -> int:
        model.learn(updates * horizon * count)
        return updates * horizon * count

    return task


def training() -> None:
    """Steps per second of training: collect, score, credit, update."""
    settings = ControlSettings(steps=UPDATES, horizon=STEPS)
    batch = ENVIRONMENTS * STEPS // settings.minibatches
    found = rates(
        {
            "ours": ours(settings),
            "same": sb3(ENVIRONMENTS, STEPS, batch, settings.epochs, 1),
            "usual": sb3(8, 256, 64, 10, 1),
        },
        ROUNDS,
    )
    row(f"PPO, {ENVIRONMENTS} CartPole", found["ours"], f"at least {TRAIN_TARGET:,.0f}", found["ours"] >= TRAIN_TARGET)
    row(f"SB3 PPO, {ENVIRONMENTS} CartPole, same batch and passes", found["same"])
    row("SB3 PPO, 8 CartPole, with SB3's own settings", found["usual"])
    ratio = found["ours"] / found["same"]
    row("  ours against SB3, same batch and passes", ratio, "at least 1 times", ratio >= 1)


def main() -> None:
    """Both tables."""
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    check("Gymnasium's CartPole, one step from 1,000 states", against_gymnasium(), 1e-12)
    settings = ControlSettings(horizon=HORIZON, minibatches=1, learning_rate=1e-3, advantage_scale="minibatch")
    for env, name in ((CartPole(COUNT, horizon=50), "CartPole-v1"), (Pendulum(COUNT, horizon=50), "Pendulum-v1")):
        told, theirs, apart = updated_by_both(env, name, settings)
        loss = theirs["train/value_loss"]
        check(f"SB3's loss of the values on {name} (relative)", abs(2 * told["value_loss"] - loss) / loss, 1e-5)
        check(f"SB3's weights after {settings.epochs} steps of Adam on {name}", apart, 1e-5)
    print()
    environments()
    training()
    print(f"\n  rows lost: {lost}")


if __name__ == "__main__":
    main()
