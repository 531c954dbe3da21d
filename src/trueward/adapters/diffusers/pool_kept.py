"""A pool that was drawn, kept beside a run, so that the run goes on with the same one."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from trueward.errors import TrainingError
from trueward.policies.flow.base import Condition
from trueward.report.atomic import write_whole
from trueward.training.flow.pool import Pool


def kept_pool(
    path: Path, prompts: Sequence[str], reward: str, encode: Callable[[Sequence[str]], Condition]
) -> Pool | None:
    """The pool of a file of `keep_pool`; None where there is no file.

    Args:
        path: of the file.
        prompts, reward: that the pool must be of; the reward's name.
        encode: from prompts to their condition.

    Raises:
        TrainingError: the file cannot be read, or is of other prompts or another reward.
    """
    if not path.is_file():
        return None
    try:
        with safe_open(path, "pt") as file:
            told = json.loads(file.metadata()["pool"])
            tensors = {name: file.get_tensor(name) for name in ("samples", "rewards", "prompt")}
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise TrainingError(f"{path}: this pool cannot be read ({error}); remove it to draw another") from error
    if (told["prompts"], told["reward"]) != (list(prompts), reward):
        raise TrainingError(
            f"{path}: holds a pool of {len(told['prompts'])} prompts scored by {told['reward']}, and {len(prompts)} "
            f"prompts scored by {reward} are wanted; give another directory, or remove it"
        )
    rewards, prompt = tensors["rewards"].numpy(), tensors["prompt"].numpy()
    return Pool(list(prompts), encode(prompts), tensors["samples"], rewards, prompt, told["low"], told["high"])


def keep_pool(path: Path, pool: Pool, reward: str) -> None:
    """Write a pool without its conditions, which are made of the prompts again."""
    tensors = {
        "samples": pool.samples.cpu().contiguous(),
        "rewards": torch.from_numpy(pool.rewards.copy()),
        "prompt": torch.from_numpy(pool.prompt.copy()),
    }
    told = json.dumps({"prompts": list(pool.prompts), "reward": reward, "low": pool.low, "high": pool.high})
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, save(tensors, {"pool": told}))
