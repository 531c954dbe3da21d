"""Contact sheets of what a reward pays: images as they are above, what was made of them below, with their rewards."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from trueward.audit.images.changes import resized
from trueward.audit.images.folder import Picture
from trueward.report.contact_sheet import contact_sheet, png_bytes
from trueward.report.document import ImageSheet
from trueward.report.wording import number

MOST_COLUMNS = 6

_CELL = 88  # pixels of a side
_PAPER = 0.92  # what lies around an image that is not square


def sheet_of(
    title: str, above: Sequence[Picture], below: Sequence[Picture], rewards: Sequence[tuple[float, float]]
) -> ImageSheet:
    """One sheet of at most `MOST_COLUMNS` pairs.

    Args:
        title: what it shows.
        above: images as they are.
        below: what was made of each.
        rewards: of both.
    """
    count = min(len(above), MOST_COLUMNS)
    cells = [cell_of(picture.pixels) for picture in (*above[:count], *below[:count])]
    labels = [number(round(pair[0], 4)) for pair in rewards[:count]] + [
        number(round(pair[1], 4)) for pair in rewards[:count]
    ]
    drawn = contact_sheet(np.stack(cells), count, labels, row_labels=("as it is", "changed"))
    return ImageSheet(
        title=title,
        about="above as it is, below what was made of it; the numbers are rewards",
        png=base64.b64encode(png_bytes(drawn)).decode("ascii"),
    )


def cell_of(pixels: Float[np.ndarray, "h w c"]) -> Float[np.ndarray, "3 side side"]:
    """An image in a square: a small one enlarged by a whole number without smoothing, a large one reduced."""
    height, width = pixels.shape[:2]
    longest = max(height, width)
    if longest <= _CELL:
        times = _CELL // longest
        shown = pixels.repeat(times, axis=0).repeat(times, axis=1)
    else:
        shown = resized(pixels[None], max(1, round(height * _CELL / longest)), max(1, round(width * _CELL / longest)))[
            0
        ]
    cell = np.full((_CELL, _CELL, 3), _PAPER, dtype=np.float32)
    top, left = (_CELL - shown.shape[0]) // 2, (_CELL - shown.shape[1]) // 2
    cell[top : top + shown.shape[0], left : left + shown.shape[1]] = shown
    return cell.transpose(2, 0, 1)
