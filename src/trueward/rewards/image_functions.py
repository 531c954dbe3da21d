"""Rewards of images, as their users write them: a batch of images per call, or one.

    def score(prompts, images, **columns):          # N prompts, N Pillow images (RGB), a list of N per column
        return [sharpness(image) for image in images]

    def score(image, prompt): ...                   # one image per call

The convention of diffusion trainers, `reward(images, prompts, metadata) -> (scores, details)`, works as it is: metadata
is the list of the rows' columns, and of a pair of scores and details the scores count.

A worker process gets an image as text (`encoded`), because frames between processes are JSON.
"""

from __future__ import annotations

import base64
import inspect
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from trueward.errors import RewardError
from trueward.rewards.awaiting import settled
from trueward.rewards.batch_functions import declared
from trueward.rewards.references import value, with_aliases
from trueward.rewards.runner.types import Demands, Item

if TYPE_CHECKING:
    from collections.abc import Callable

    from PIL.Image import Image

_PREFIX = "data:image/png;base64,"
_GIVEN = ("images", "image", "prompts", "prompt", "metadata")
_AT_ONCE = 64  # images in one call


@dataclass(frozen=True)
class ImageFunction:
    """A function of images.

    Attributes:
        function: the reward.
        name: for readers.
        parameters: names in its signature.
        every: whether it accepts any further column.
        needs: columns for its parameters without default.
        aliases: needed column → column that stands for it.
        kind, containers, stand_ins: as in `Leaf`.
    """

    function: Callable[..., Any]
    name: str
    parameters: tuple[str, ...]
    every: bool
    needs: tuple[str, ...]
    aliases: Mapping[str, str] = field(default_factory=dict)
    kind: str = "image"
    containers: tuple[str, ...] = ("image",)
    stand_ins: tuple[str, ...] = ()

    @property
    def takes(self) -> tuple[str, ...] | None:
        """Parameters that it accepts; None when it accepts every column."""
        return None if self.every else self.parameters

    @property
    def demands(self) -> Demands:
        """Many images a call, unless it takes one."""
        return Demands(batch=_AT_ONCE if "images" in self.parameters else 1)

    def score_rows(self, rows: Sequence[Item]) -> object:
        """One score per row.

        Raises:
            RewardError: a needed column is missing, or a completion is no image.
            Exception: whatever the function raises.
        """
        columns = [with_aliases(self.needs, row.columns, self.aliases) for row in rows]
        if "images" in self.parameters:
            return _scores(settled(self.function(**self._together(rows, columns))))
        return settled([self.function(**self._alone(row, own)) for row, own in zip(rows, columns, strict=True)])

    def _together(self, rows: Sequence[Item], columns: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        names = dict.fromkeys(name for row in columns for name in row)
        arguments: dict[str, Any] = {
            name: [row.get(name) for row in columns] for name in names if name not in _GIVEN and self._wants(name)
        }
        given = {"images": [as_image(row.completion) for row in rows], "prompts": [row.prompt for row in rows],
                 "metadata": [dict(row) for row in columns]}  # fmt: skip
        return arguments | {name: one for name, one in given.items() if self._wants(name)}

    def _alone(self, row: Item, columns: Mapping[str, Any]) -> dict[str, Any]:
        arguments = {name: value(columns, name) for name in columns if name not in _GIVEN and self._wants(name)}
        given = {"image": as_image(row.completion), "prompt": row.prompt, "metadata": dict(columns)}
        return arguments | {name: one for name, one in given.items() if name in self.parameters}

    def _wants(self, name: str) -> bool:
        return name in self.parameters or (self.every and name != "metadata")


def _scores(returned: Any) -> Any:
    paired = isinstance(returned, tuple) and len(returned) == 2 and isinstance(returned[1], Mapping)
    return returned[0] if paired else returned


def is_image_function(signature: inspect.Signature) -> bool:
    """True for functions that take images."""
    return "images" in signature.parameters or "image" in signature.parameters


def image_function(
    function: Callable[..., Any], name: str, signature: inspect.Signature, aliases: Mapping[str, str]
) -> ImageFunction:
    """Wrap a function for which `is_image_function` holds."""
    parameters, every, needs = declared(signature, _GIVEN, aliases)
    return ImageFunction(function, name, parameters, every, needs, aliases)


def encoded(image: Image) -> str:
    """An image as text, without loss: a data URI of a PNG file."""
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=1)
    return _PREFIX + base64.b64encode(file.getvalue()).decode("ascii")


def as_image(completion: Any) -> Image:
    """The image that a completion is, or that `encoded` made text of.

    Raises:
        RewardError: it is neither.
    """
    if isinstance(completion, str) and completion.startswith(_PREFIX):
        from PIL import Image as images

        found = images.open(io.BytesIO(base64.b64decode(completion[len(_PREFIX) :])))
        found.load()
        return found
    if not hasattr(completion, "getpixel"):
        raise RewardError(f"a reward of images got a completion of type {type(completion).__name__}, and no image")
    return completion  # type: ignore[no-any-return]
