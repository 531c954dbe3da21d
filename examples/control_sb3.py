"""A frozen lake with PPO of Stable-Baselines3: the reward as it is, with shaping, and with a bonus for what is new.

The goal pays 1, everything else nothing, and holes end the episode, so whoever has not found the goal learns nothing.
The potential is high near the goal and changes no optimal policy: a hole takes it all away again, because a terminal
state has none. The bonus has a value head of its own. What is compared is the raw return.

    python examples/control_sb3.py [--steps 14000]
"""

from __future__ import annotations

import argparse

import torch
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy

from trueward.adapters.sb3 import RewardCallback, TwoHeadPPO, wrap
from trueward.rewards.control import as_control_reward
from trueward.rewards.intrinsic import CountNovelty
from trueward.rewards.shaping import PotentialShaping

DISCOUNT = 0.97
SIDE = 8
LAKE = {"map_name": f"{SIDE}x{SIDE}", "is_slippery": False}


def nearness(observation):
    """1 at the goal, 0 in the corner opposite."""
    row, column = observation // SIDE, observation % SIDE
    return (row + column) / (2.0 * (SIDE - 1))


def arms():
    """Name, algorithm, reward and bonus of each."""
    reward = as_control_reward(None)
    return (
        ("reward alone", PPO, reward, None),
        ("with shaping", PPO, reward + PotentialShaping(nearness, DISCOUNT), None),
        ("with a bonus", TwoHeadPPO, reward, CountNovelty()),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=14_000)
    steps = parser.parse_args().steps
    torch.set_num_threads(1)
    for name, algorithm, reward, bonus in arms():
        venv = wrap(make_vec_env("FrozenLake-v1", n_envs=8, seed=0, env_kwargs=LAKE), reward, bonus=bonus)
        settings = {"n_steps": 128, "batch_size": 256, "n_epochs": 4, "learning_rate": 2e-3, "seed": 0, "device": "cpu"}
        model = algorithm("MlpPolicy", venv, gamma=DISCOUNT, ent_coef=0.01, **settings)
        model.learn(steps, callback=RewardCallback())
        plain = make_vec_env("FrozenLake-v1", n_envs=8, seed=1, env_kwargs=LAKE)
        raw, _ = evaluate_policy(model, plain, n_eval_episodes=100, deterministic=False)
        print(f"{name}: reaches the goal in {100.0 * raw:.0f} % of episodes")


if __name__ == "__main__":
    main()
