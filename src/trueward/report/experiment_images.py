"""What the arms of an experiment make, as pictures: one sheet of all of them, and each inside a page."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from trueward.errors import MissingExtra
from trueward.report.contact_sheet import png_bytes
from trueward.report.escape import visible

if TYPE_CHECKING:
    from PIL.Image import Image

_SHEET = 1000  # pixels across, where several pictures fit
_WIDEST = 640  # pixels of one picture; a wider one is reduced
_LETTERS, _LINE, _GAP = 15, 22, 16  # pixels
_PAPER, _INK = (255, 255, 255), (0, 0, 0)


def joined(pictures: Mapping[str, bytes]) -> bytes:
    """The pictures on one sheet, each below its name, in the order that they have.

    Args:
        pictures: name → PNG file, at least one.

    Returns:
        A PNG file. Equal pictures give equal bytes.

    Raises:
        MissingExtra: Pillow is not installed.
        ValueError: there is no picture.
    """
    if not pictures:
        raise ValueError("there is no picture to put on a sheet")
    pillow, drawing, font = _pillow()
    opened = {name: _reduced(pillow.open(io.BytesIO(content)).convert("RGB")) for name, content in pictures.items()}
    wide = max(image.width for image in opened.values()) + _GAP
    across = max(1, min(len(opened), _SHEET // wide))
    down = -(-len(opened) // across)
    high = max(image.height for image in opened.values()) + _LINE + _GAP
    sheet = pillow.new("RGB", (across * wide + _GAP, down * high + _GAP), _PAPER)
    pen = drawing.Draw(sheet)
    for place, (name, image) in enumerate(opened.items()):
        left, top = _GAP + place % across * wide, _GAP + place // across * high
        pen.text((left, top), visible(name, 60), fill=_INK, font=font)
        sheet.paste(image, (left, top + _LINE))
    return png_bytes(sheet)


def shown(name: str, picture: bytes) -> Markup:
    """A picture inside a page.

    Args:
        name: what it shows, for those who do not see it.
        picture: a PNG file.
    """
    content = base64.b64encode(picture).decode("ascii")
    return Markup('<img class="sheet" src="data:image/png;base64,{}" alt="{}">').format(content, visible(name, 120))


def _reduced(image: Image) -> Image:
    if image.width <= _WIDEST:
        return image
    return image.resize((_WIDEST, max(1, round(image.height * _WIDEST / image.width))))


def _pillow() -> tuple[Any, Any, Any]:
    try:
        from PIL import Image as pillow
        from PIL import ImageDraw, ImageFont
    except ImportError as error:
        raise MissingExtra(f"pictures need Pillow: pip install 'trueward[flow]' ({error})") from error
    return pillow, ImageDraw, ImageFont.load_default(_LETTERS)
