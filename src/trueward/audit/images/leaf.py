"""A reward of images as a worker process knows it: rows are a prompt, an image and columns.

The wire between parent and worker carries JSON. One image may travel as text, thousands of large ones had better not:
here an image is the path of a `.npy` file of 8-bit values that the parent wrote; in one process it is the array itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from trueward.audit.images.changes import to_pillow
from trueward.batch import Context
from trueward.errors import RewardError
from trueward.rewards.address import load_object
from trueward.rewards.base import Foreign, Reward
from trueward.rewards.foreign import Leaf
from trueward.rewards.images import as_image_reward, rollouts_of
from trueward.rewards.runner.types import Item

LOADER = "trueward.audit.images.leaf:load_leaf"


@dataclass(frozen=True)
class FunctionLeaf:
    """A function of images (see `rewards.image_functions`), handed Pillow images.

    Attributes:
        leaf: the function.
    """

    leaf: Leaf

    @property
    def name(self) -> str:
        """Name of the function."""
        return self.leaf.name

    def score_rows(self, rows: Sequence[Item]) -> object:
        """What the function returns, unchanged.

        Raises:
            RewardError: a column that it needs is missing.
            Exception: whatever the function raises.
        """
        return self.leaf.score_rows([replace(row, completion=to_pillow(_pixels(row.completion))) for row in rows])


@dataclass(frozen=True)
class RewardLeaf:
    """A Trueward reward of images; images of one size are scored together.

    Attributes:
        reward: what scores.
    """

    reward: Reward

    @property
    def name(self) -> str:
        """Name of the reward."""
        return self.reward.name

    def score_rows(self, rows: Sequence[Item]) -> object:
        """The total of each row; where a part of it has none, the status of that part."""
        images = [_pixels(row.completion).transpose(2, 0, 1) for row in rows]
        scored: list[Any] = [None] * len(rows)
        alike: dict[tuple[int, ...], list[int]] = {}
        for place, image in enumerate(images):
            alike.setdefault(image.shape, []).append(place)
        for places in alike.values():
            rollouts = rollouts_of(
                np.stack([images[place] for place in places]),
                [rows[place].prompt for place in places],
                reference=[dict(rows[place].columns) for place in places],
            )
            scores = self.reward.score(rollouts, Context())
            total = scores.total()
            for row, place in enumerate(places):
                failed = next((part for part in scores.paid.values() if not part.status[row].ok), None)
                scored[place] = float(total[row]) if failed is None else failed.status[row]
        return scored


def load_leaf(address: str) -> FunctionLeaf | RewardLeaf:
    """What an address names, as a leaf.

    Raises:
        RewardError: it cannot be found, or takes no images.
    """
    found = load_object(address)
    try:
        return leaf_of(found)
    except RewardError as error:
        raise RewardError(f"{address!r}: {error}") from error


def leaf_of(found: Any) -> FunctionLeaf | RewardLeaf:
    """A function of images or a Trueward reward as a leaf.

    Raises:
        RewardError: it is neither.
    """
    made = as_image_reward(found)
    return FunctionLeaf(made.leaf) if isinstance(made, Foreign) else RewardLeaf(made)


def _pixels(sent: Any) -> Float[np.ndarray, "h w 3"]:
    bits = np.load(sent, allow_pickle=False) if isinstance(sent, str) else sent
    pixels: np.ndarray = np.asarray(bits, dtype=np.float32) / 255.0
    return pixels if pixels.shape[2] == 3 else pixels.repeat(3, axis=2)
