"""A pool of scored images from a file: one JSON object a line with prompt, image path and score."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from trueward.errors import DataError
from trueward.policies.flow.base import Condition
from trueward.training.flow.pool import Pool

if TYPE_CHECKING:
    from PIL.Image import Image

_COLUMNS = ("prompt", "image", "score")


def read_pool(
    path: str | Path,
    *,
    condition: Callable[[Sequence[str]], Condition],
    encode: Callable[[Tensor], Tensor] | None = None,
    size: tuple[int, int] | None = None,
    batch: int = 8,
    low: float | None = None,
    high: float | None = None,
) -> Pool:
    """Images that were made and scored elsewhere, for `PoolUpdate`.

        {"prompt": "a sign that says OPEN", "image": "images/0001.png", "score": 0.83}

    Lines of one prompt make a group. A line without a score (null) is left out.

    Args:
        path: of the file; image paths are relative to its folder.
        condition: from the distinct prompts, in the order of their first line, to one row for each (the text encoder).
        encode: from images [n, 3, H, W] in [−1, 1] to samples (the encoder of a VAE); by default images are samples.
        size: (height, width) to which images are resized; None where all are equally large already.
        batch: images at a time.
        low, high: range of the score; None for that of the file.

    Raises:
        DataError: the file or an image cannot be read, a column is missing or no number, no line has a score, or images
            differ in size and none is given.
    """
    rows = list(_rows(Path(path)))
    if not rows:
        raise DataError(f"{path}: no line has a score; expected lines with {', '.join(_COLUMNS)}")
    numbers: dict[str, int] = {}
    prompt = np.array([numbers.setdefault(text, len(numbers)) for _, text, _, _ in rows])
    samples: list[Tensor] = []
    for start in range(0, len(rows), batch):
        images = [_pixels(where, image, size) for where, _, image, _ in rows[start : start + batch]]
        for (where, *_), pixels in zip(rows[start : start + batch], images, strict=True):
            if pixels.shape != images[0].shape or (samples and encode is None and pixels.shape != samples[0].shape[1:]):
                raise DataError(f"{where}: the image has another size than those before it; give size=(height, width)")
        stacked = torch.from_numpy(np.stack(images))
        with torch.no_grad():
            samples.append(stacked if encode is None else encode(stacked).float().cpu())
    prompts = list(numbers)
    rewards = np.array([score for _, _, _, score in rows], dtype=np.float64)
    return Pool(prompts, condition(prompts), torch.cat(samples), rewards, prompt, low, high)


def _rows(path: Path) -> Iterator[tuple[str, str, Path, float]]:
    """Where each line stands, its prompt, its image and its score."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{where}: not a JSON object: {error}") from error
        missing = [name for name in _COLUMNS if not isinstance(row, dict) or name not in row]
        if missing:
            found = ", ".join(row) if isinstance(row, dict) else type(row).__name__
            raise DataError(f"{where}: {', '.join(missing)} missing; expected {', '.join(_COLUMNS)}, found {found}")
        if row["score"] is None:
            continue
        yield where, _text(where, "prompt", row), path.parent / _text(where, "image", row), _score(where, row["score"])


def _text(where: str, name: str, row: dict[str, Any]) -> str:
    value = row[name]
    if not isinstance(value, str):
        raise DataError(f"{where}: {name} is {value!r}; expected a string")
    return value


def _score(where: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise DataError(f"{where}: the score is {value!r}; expected a finite number, or null for none")
    return float(value)


def _pixels(where: str, path: Path, size: tuple[int, int] | None) -> np.ndarray:
    """[3, H, W] in [−1, 1]."""
    from PIL import Image as pillow
    from PIL import UnidentifiedImageError

    try:
        with pillow.open(path) as opened:
            image: Image = opened.convert("RGB")
    except (OSError, UnidentifiedImageError, pillow.DecompressionBombError) as error:
        raise DataError(f"{where}: {path} is no image that can be read: {error}") from error
    if size is not None and (image.height, image.width) != size:
        image = image.resize((size[1], size[0]), pillow.Resampling.BICUBIC)
    return np.asarray(image, dtype=np.float32).transpose(2, 0, 1) / 127.5 - 1.0
