"""Kills a short run fifty times at random moments and compares what comes out with a run that was let through.

    python benchmarks/kill_and_resume.py [KILLS]

Policy, critic, their optimisers and a reward with running statistics are trained, with several epochs and minibatches;
weights, metrics and rollouts must be equal to the bit.
"""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

WORDS = ("red", "green", "blue", "say", ":")


def run(directory: Path, steps: int) -> str:
    """The run; returns a hash of all weights."""
    import numpy as np
    import torch

    from trueward.credit import GeneralisedAdvantage
    from trueward.objectives.policy_loss import PolicyLoss
    from trueward.policies.language import LanguagePolicy
    from trueward.policies.sampling import Sampling
    from trueward.policies.scorer import TokenScorer
    from trueward.rewards.base import as_reward
    from trueward.rewards.transforms import standardise
    from trueward.tasks.gold import Gold
    from trueward.tasks.text.rows import Row
    from trueward.tasks.text.vocabulary import Vocabulary
    from trueward.training.language import TrainSettings, train

    torch.set_num_threads(1)

    def asked_for(completion: str, answer: str) -> float:
        return completion.split().count(answer) / 4

    def gold(rows: Sequence[Row], completions: Sequence[str]) -> Gold:
        return Gold(np.array([asked_for(c, str(row.answer)) for row, c in zip(rows, completions, strict=True)]), {})

    policy = LanguagePolicy.tiny(Vocabulary("words", WORDS), layers=1, width=16, heads=2, positions=24)
    critic = TokenScorer.from_policy(policy)
    rows = [Row(word, f"say {word} :", word) for word in WORDS[:3]]
    train(
        policy,
        rows,
        as_reward(asked_for, low=0.0, high=1.0).transform(standardise()),
        gold=gold,
        held_out=rows,
        credit=GeneralisedAdvantage(kl=0.01),
        objective=PolicyLoss(),
        critic=critic,
        settings=TrainSettings(
            steps=steps,
            prompts=2,
            group=4,
            sampling=Sampling(max_new_tokens=4),
            epochs=2,
            minibatches=2,
            evaluate_every=5,
            checkpoint_every=1,
            tensorboard=False,
        ),
        directory=directory,
    )
    digest = hashlib.sha256()
    for network in (policy.model, critic):
        for value in network.state_dict().values():
            digest.update(value.detach().numpy().tobytes())
    return digest.hexdigest()


def killed_until_done(directory: Path, kills: int, steps: int, seed: int = 0) -> str:
    """Starts the run again and again, kills it after a random time in which it got on, and lets the last one through.

    Args:
        directory: of the run.
        kills: how often it is killed.
        steps: of the whole run; enough of them that it outlives the kills.
        seed: of the moments.

    Returns:
        The hash that the last one printed.
    """
    draw = random.Random(seed)
    for _ in range(kills):
        process, before = _started(directory, steps), _checkpoints(directory)
        while process.poll() is None and _checkpoints(directory) == before:
            time.sleep(0.001)
        time.sleep(draw.uniform(0.0, 0.1))
        process.send_signal(signal.SIGKILL)
        if process.wait() != -signal.SIGKILL:
            raise RuntimeError(f"the run ended by itself before it was killed {kills} times: {steps} steps are too few")
        process.communicate()
    output, _ = _started(directory, steps).communicate(timeout=300)
    return output.strip()


def _checkpoints(directory: Path) -> set[str]:
    folder = directory / "checkpoints"
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


def _started(directory: Path, steps: int) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__, "--run", str(directory), str(steps)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def main() -> None:
    if sys.argv[1:2] == ["--run"]:
        print(run(Path(sys.argv[2]), int(sys.argv[3])))
        return
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    with tempfile.TemporaryDirectory() as folder:
        whole, cut = Path(folder, "whole"), Path(folder, "cut")
        begun = time.perf_counter()
        steps = 20 * kills
        wanted, found = killed_until_done(whole, 0, steps), killed_until_done(cut, kills, steps)
        if wanted != found:
            raise SystemExit(f"after {kills} kills the weights differ")
        if (whole / "metrics.jsonl").read_bytes() != (cut / "metrics.jsonl").read_bytes():
            raise SystemExit(f"after {kills} kills the metrics differ")
        print(f"{kills} kills, resumed each time: weights and metrics equal to the bit ({found[:16]})")
        print(f"{time.perf_counter() - begun:.0f} s")


if __name__ == "__main__":
    main()
