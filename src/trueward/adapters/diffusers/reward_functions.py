"""A reward in the form that other trainers of image generators call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from trueward.batch import Context
from trueward.errors import RewardError
from trueward.rewards.images import as_image_reward, rollouts_of

RewardFunction = Callable[..., tuple[Float[np.ndarray, " n"], dict[str, Float[np.ndarray, " n"]]]]
"""(images, prompts, metadata) → (scores, details)."""


def reward_function(reward: Any, *, missing: float | None = None) -> RewardFunction:
    """A reward as flow_grpo and trainers after DanceGRPO call it: `fn(images, prompts, metadata) -> (scores, details)`.

    In flow_grpo, put it into `flow_grpo/rewards.py` under a name of its own:

        score_functions["mine"] = lambda device: reward_function("my_scorers.py:score")

    Images may be a tensor [N, C, H, W] in [0, 1], whole numbers [N, H, W, C] from 0 to 255, or Pillow images of one
    size. Details hold each part of the reward, so that a trainer logs them apart.

    Args:
        reward: a Trueward reward, a function of images, or its address.
        missing: what an image earns that could not be scored for no fault of its own, such as a server that was away.
            Those trainers have no word for a missing score, and whatever number stands there enters the statistics of
            the group; so there is none by default.

    Returns:
        The function. An image that the reward failed on by the image's fault earns the lowest score, as everywhere.

    Raises:
        RewardError: no such reward. The function itself: an image without a score, and no `missing`; images of a form
            that is not known.
    """
    made = as_image_reward(reward)

    def score(
        images: Any, prompts: Sequence[str], metadata: Sequence[Mapping[str, Any]] | None = None, **ignored: Any
    ) -> tuple[Float[np.ndarray, " n"], dict[str, Float[np.ndarray, " n"]]]:
        columns = metadata if metadata and len(metadata) == len(prompts) else ()
        rollouts = rollouts_of(_arrays(images), list(prompts), reference=[dict(row) for row in columns])
        scores = made.score(rollouts, Context(training=True))
        total = scores.total()
        lost = np.isnan(total)
        if lost.any():
            if missing is None:
                first = int(np.flatnonzero(lost)[0])
                raise RewardError(
                    f"{made.name}: {int(lost.sum())} of {len(total)} images have no score (the first: "
                    f"{scores.status[first].value}). Give missing= to say what they earn"
                )
            total = np.where(lost, missing, total)
        return total, {name: part.values for name, part in scores.parts.items() if part.level == "rollout"}

    score.__name__ = made.name
    return score


def _arrays(images: Any) -> Float[np.ndarray, "n c h w"]:
    """Images in [0, 1]."""
    if isinstance(images, Sequence):
        sizes = {getattr(image, "size", None) for image in images}
        if len(sizes) != 1 or None in sizes:
            raise RewardError(f"expected Pillow images of one size; got sizes {sorted(map(str, sizes))}")
        return np.stack([np.asarray(image.convert("RGB"), dtype=np.float32) / 255.0 for image in images]).transpose(
            0, 3, 1, 2
        )
    values = np.asarray(images.detach().float().cpu() if hasattr(images, "detach") else images)
    if values.ndim == 4 and values.dtype == np.uint8 and values.shape[3] in (1, 3, 4):
        return values.astype(np.float32).transpose(0, 3, 1, 2) / 255.0
    if values.ndim == 4 and np.issubdtype(values.dtype, np.floating) and values.shape[1] in (1, 3, 4):
        return values.astype(np.float32).clip(0.0, 1.0)
    raise RewardError(
        f"images of shape {values.shape} and type {values.dtype}; expected [N, C, H, W] in [0, 1], whole numbers "
        "[N, H, W, C] from 0 to 255, or a list of Pillow images"
    )
