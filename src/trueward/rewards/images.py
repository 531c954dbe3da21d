"""Rewards of generated images: ordinary rewards that read `Denoising` rollouts.

They combine like all others (`+`, `*`, `gate`, `.transform`, `Ensemble`). A user's function takes Pillow images; see
`trueward.rewards.image_functions`.

    reward = as_image_reward("my_scorers.py:sharpness") + 0.5 * Readability(…)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float

from trueward.batch import Denoising, Rollouts
from trueward.errors import RewardError
from trueward.rewards.base import Foreign, Reward, as_reward

if TYPE_CHECKING:
    from PIL.Image import Image


def as_image_reward(reward: Any, *, low: float | None = None, high: float | None = None) -> Reward:
    """Any reward of images as a Trueward reward.

    Args:
        reward: an address ("file.py:name"), a function that takes `images` or `image`, or a Trueward reward.
        low, high: the range of its scores. An image that makes the reward fail earns `low`.

    Raises:
        RewardError: it cannot be found or called, or it scores text.
    """
    made = as_reward(reward, low=low, high=high)
    if isinstance(made, Foreign) and made.leaf.kind != "image":
        raise RewardError(
            f"{made.name} scores text: none of its parameters is named images or image. Expected "
            "score(prompts, images, **columns) -> list[float], or score(image, prompt) -> float"
        )
    return made


def content_of(rollouts: Rollouts, name: str) -> Denoising:
    """The content of generator rollouts.

    Args:
        rollouts: what is scored.
        name: of the reward, for the message.

    Raises:
        RewardError: the rollouts hold something else.
    """
    if not isinstance(rollouts.content, Denoising):
        raise RewardError(
            f"{name} scores images; the rollouts hold {type(rollouts.content).__name__}. Make rollouts of images with "
            "trueward.rewards.images.rollouts_of"
        )
    return rollouts.content


def finite(content: Denoising) -> Bool[np.ndarray, " n"]:
    """True on images of numbers: clamping would turn NaN and infinity into ordinary pixels, which nobody made."""
    made = _array(content.final)
    sound: np.ndarray = np.isfinite(made).all(axis=tuple(range(1, made.ndim)))
    return sound


def _array(made: Any) -> Float[np.ndarray, "n *sample"]:
    return np.asarray(made.detach().float().cpu() if hasattr(made, "detach") else made, dtype=np.float32)


def images_of(content: Denoising) -> Float[np.ndarray, "n c h w"]:
    """The images as arrays in [0, 1]: (x + 1) / 2, clamped as every image file clamps them.

    Raises:
        RewardError: what was made is no batch of images [N, C, H, W] with 1, 3 or 4 channels.
    """
    made = _array(content.final)
    if made.ndim != 4 or made.shape[1] not in (1, 3, 4):
        raise RewardError(
            f"images need the shape [N, C, H, W] with 1, 3 or 4 channels; got {made.shape}. Latents need "
            "Denoising.decoded, what the decoder makes of them"
        )
    return np.clip((made + 1) / 2, 0.0, 1.0)


def pil_images(images: Float[np.ndarray, "n c h w"]) -> list[Image]:
    """Pillow images (RGB, 8 bits) of arrays in [0, 1]; a value that is not finite is black."""
    from PIL import Image as pillow

    pixels = np.rint(np.nan_to_num(images, nan=0.0, posinf=0.0, neginf=0.0).clip(0, 1) * 255).astype(np.uint8)
    pixels = pixels[:, :3] if pixels.shape[1] > 1 else np.repeat(pixels, 3, axis=1)
    return [pillow.fromarray(np.ascontiguousarray(one.transpose(1, 2, 0))) for one in pixels]


def rollouts_of(
    images: Float[np.ndarray, "n c h w"],
    prompts: Sequence[Any],
    *,
    group: Any = None,
    reference: Sequence[Mapping[str, Any]] = (),
) -> Rollouts:
    """Rollouts of images that are there already, with no denoising step.

    Args:
        images: in [0, 1].
        prompts: one per image.
        group: images with the same number belong to one prompt.
        reference: one mapping per image with what a reward may read.

    Raises:
        ValueError: there is not one prompt per image.
    """
    if len(prompts) != len(images):
        raise ValueError(f"{len(prompts)} prompts for {len(images)} images; give one for each, '' where there is none")
    samples = np.asarray(images, dtype=np.float32)[:, None] * 2 - 1
    return Rollouts(Denoising(prompts, samples), group=group, reference=reference)
