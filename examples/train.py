"""A task, a policy, a reward, a credit and an objective, joined: and how the reward is hacked.

The reward pays when the right number stands anywhere in the completion. The policy learns to write all of them: the
reward rises, and what is really wanted (the right number as the answer) falls.

    python examples/train.py [DIRECTORY]
"""

from __future__ import annotations

import sys

from trueward import as_reward
from trueward.credit import GroupRelative
from trueward.objectives.policy_loss import PolicyLoss
from trueward.policies.language import LanguagePolicy
from trueward.policies.sampling import Sampling
from trueward.tasks.text.procedural import ChainArithmetic
from trueward.training import TrainSettings, train, warm_start


def says_it(completion: str, answer: str) -> float:
    """Pays for the answer, wherever it stands."""
    return float(answer in completion.split())


def main(directory: str) -> None:
    task = ChainArithmetic(modulus=10, operations=(2, 3))
    policy = LanguagePolicy.tiny(task.vocabulary, width=64)  # or LanguagePolicy.load("Qwen/Qwen3-0.6B")
    warm_start(policy, task.demonstrations(2000, seed=0), steps=150)
    trained = train(
        policy,
        task.rows(512, seed=0),
        as_reward(says_it, low=0.0, high=1.0),
        gold=task.gold,
        held_out=task.rows(128, seed=0, split="held out"),
        credit=GroupRelative("z_score"),
        objective=PolicyLoss(low=0.2, high=0.2),
        settings=TrainSettings(steps=60, learning_rate=5e-4, sampling=Sampling(max_new_tokens=40), evaluate_every=15),
        directory=directory,
    )
    for line in trained.metrics:
        if "gold" in line:
            print(f"step {line['step']:3d}: reward {line['proxy']:.2f}, what was wanted {line['gold']:.2f}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "runs/says-it")
