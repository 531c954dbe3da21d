"""Many images on one sheet, to be looked at beside their numbers.

Small images are enlarged without smoothing: what a generator does to single pixels is what one wants to see.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, UInt8

from trueward.errors import MissingExtra

if TYPE_CHECKING:
    from PIL.Image import Image

_PAPER, _INK = 255, 0
_GAP = 4  # pixels between images, and around them
_TEXT = 12  # height of the letters; a line of text takes a third more
_LINE = 16


def contact_sheet(
    images: Float[np.ndarray, "n c h w"],
    columns: int,
    labels: Sequence[str] | None = None,
    scale: int = 1,
    *,
    row_labels: Sequence[str] | None = None,
) -> Image:
    """Images in rows of so many, each enlarged, with a line of text below it where there are labels.

    Args:
        images: N of them, one channel (grey) or three (red, green, blue), in [0, 1]; what lies outside is clipped.
        columns: images in a row; the last row may be shorter.
        labels: a short text for each image.
        scale: pixels of the sheet per pixel of an image, in each direction.
        row_labels: a short text for each row, at its left.

    Returns:
        A Pillow image. Equal arguments give equal pixels.

    Raises:
        MissingExtra: Pillow is not installed.
        ValueError: there is no image, a shape or a number of texts does not fit, or a value is not finite.
    """
    rows = _checked(images, columns, labels, scale, row_labels)
    drawing, font = _pillow()
    left = max((int(font.getlength(text)) for text in row_labels or ()), default=-_GAP) + _GAP
    height, width = images.shape[2] * scale, images.shape[3] * scale
    down = height + _GAP + (_LINE if labels is not None else 0)
    across = width + _GAP
    sheet = np.full((_GAP + rows * down, left + _GAP + min(columns, len(images)) * across, 3), _PAPER, dtype=np.uint8)
    for place, image in enumerate(_enlarged(images, scale)):
        top, start = _GAP + place // columns * down, left + _GAP + place % columns * across
        sheet[top : top + height, start : start + width] = image
    drawn = _image_of(sheet)
    pen = drawing.Draw(drawn)
    for place, text in enumerate(labels or ()):
        corner = (left + _GAP + place % columns * across, _GAP + place // columns * down + height)
        pen.text(corner, _fitted(text, width + _GAP, font), fill=(_INK,) * 3, font=font)
    for place, text in enumerate(row_labels or ()):
        pen.text((_GAP, _GAP + place * down + max(0, height - _LINE) // 2), text, fill=(_INK,) * 3, font=font)
    return drawn


def png_bytes(image: Image) -> bytes:
    """A Pillow image as a PNG file: no date and no name in it, so that equal pixels give equal bytes."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=False)
    return buffer.getvalue()


def _checked(
    images: np.ndarray, columns: int, labels: Sequence[str] | None, scale: int, row_labels: Sequence[str] | None
) -> int:
    """Number of rows."""
    if images.ndim != 4 or not len(images) or images.shape[1] not in (1, 3):
        raise ValueError(f"a contact sheet needs images [N, 1 or 3, height, width], N ≥ 1; got shape {images.shape}")
    if not np.isfinite(images).all():
        raise ValueError("a pixel is not finite; leave that image out, or show what was made of it")
    if columns < 1 or scale < 1:
        raise ValueError(f"columns and scale are whole numbers of at least 1; got {columns} and {scale}")
    rows = -(-len(images) // columns)
    for what, texts, count in (("labels", labels, len(images)), ("row_labels", row_labels, rows)):
        if texts is not None and len(texts) != count:
            raise ValueError(f"{what} has {len(texts)} texts; expected {count}")
    return rows


def _enlarged(images: np.ndarray, scale: int) -> UInt8[np.ndarray, "n h w 3"]:
    pixels = np.rint(np.clip(images, 0.0, 1.0) * 255).astype(np.uint8).transpose(0, 2, 3, 1)
    coloured = np.broadcast_to(pixels, (*pixels.shape[:3], 3)) if pixels.shape[3] == 1 else pixels
    larger: np.ndarray = coloured.repeat(scale, axis=1).repeat(scale, axis=2)
    return larger


def _fitted(text: str, width: int, font: Any) -> str:
    """The text, cut so that it does not run into the next image."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"


def _pillow() -> tuple[Any, Any]:
    try:
        from PIL import ImageDraw, ImageFont
    except ImportError as error:
        raise MissingExtra(f"contact sheets need Pillow: pip install 'trueward[flow]' ({error})") from error
    return ImageDraw, ImageFont.load_default(_TEXT)


def _image_of(sheet: np.ndarray) -> Image:
    from PIL import Image as pillow

    return pillow.fromarray(sheet)
