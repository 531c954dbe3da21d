"""The images that a reward is audited on: a folder of files, with prompts where somebody wrote them down.

Prompts and further columns come from `metadata.jsonl` or `metadata.csv` (one row a file: `file_name`, `text`, anything
else), the convention of Hugging Face's imagefolder; without such a file the prompt of an image is the name of the
folder that it lies in, and images that lie in no folder have none.

Reference: Hugging Face datasets, "Create an image dataset", ImageFolder with metadata.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, UInt8

from trueward.errors import DataError, MissingExtra

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")
METADATA = ("metadata.jsonl", "metadata.csv")
PROMPT_COLUMNS = ("text", "prompt", "caption", "label")
_NAME = "file_name"
_SHORTEST = 4  # pixels of a side, below which there is nothing to blur, tile or frame
_PLAIN_MODES, _WITH_OPACITY = ("L", "RGB"), ("LA", "PA", "RGBA", "RGBa", "La")


@dataclass(frozen=True)
class Picture:
    """One image.

    Attributes:
        name: path below the folder.
        bits: grey or red, green, blue, as a file holds them: a hundred large images as real numbers would fill memory.
        prompt: what it was made for; "" where nobody said.
        columns: what else the metadata says of it, JSON values.
    """

    name: str
    bits: UInt8[np.ndarray, "h w c"]
    prompt: str = ""
    columns: Mapping[str, Any] = field(default_factory=dict)

    @property
    def pixels(self) -> Float[np.ndarray, "h w c"]:
        """The same in [0, 1]."""
        numbers: np.ndarray = self.bits.astype(np.float32) / np.float32(255)
        return numbers

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.bits.shape[1], self.bits.shape[0]

    def with_pixels(self, pixels: Float[np.ndarray, "h w c"]) -> Picture:
        """The same picture of other pixels, in [0, 1], rounded to 8 bits."""
        return replace(self, bits=np.rint(np.clip(pixels, 0.0, 1.0) * 255).astype(np.uint8))


@dataclass(frozen=True)
class Folder:
    """The images of an audit.

    Attributes:
        pictures: in a fixed order.
        source: where they are from, for the reader.
        notices: what was assumed.
    """

    pictures: tuple[Picture, ...]
    source: str
    notices: tuple[str, ...] = ()

    @property
    def prompts(self) -> tuple[str, ...]:
        """Distinct prompts, in the order in which they occur; () where there are none."""
        return tuple(dict.fromkeys(one.prompt for one in self.pictures if one.prompt))


def read_folder(path: str | Path, most: int | None = None, prompt_column: str | None = None) -> Folder:
    """Read the images of a folder and of the folders in it.

    Args:
        path: the folder.
        most: read at most this many, spread evenly over the names in their order; None for all.
        prompt_column: column of the metadata that holds the prompt; by default the first of `PROMPT_COLUMNS`.

    Raises:
        DataError: it is no folder, holds no image, or a file of it cannot be read.
        MissingExtra: Pillow is not installed.
    """
    folder = Path(path)
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise DataError(f"{path}: {what}; --images needs a folder of images ({', '.join(SUFFIXES)})")
    rows, said_by = _metadata(folder, prompt_column)
    names = [str(file.relative_to(folder)) for file in _files(folder)]
    if not names:
        raise DataError(f"{path}: holds no image; expected files that end with {', '.join(SUFFIXES)}")
    notices = []
    if rows is not None:
        missing = sorted(set(rows) - set(names))
        if missing:
            raise DataError(f"{folder / said_by}: names {missing[0]!r}, which is not in the folder")
        unnamed = len(names) - len(rows)
        if unnamed:
            images = "1 image is" if unnamed == 1 else f"{unnamed:,} images are"
            notices.append(f"{images} left out: {said_by} does not name {'it' if unnamed == 1 else 'them'}")
        names = [name for name in names if name in rows]
    chosen = names if most is None or len(names) <= most else [names[at] for at in _evenly(len(names), most)]
    pictures = []
    transparent = 0
    for name in chosen:
        image = _opened(folder / name)
        prompt, columns = rows[name] if rows is not None else (Path(name).parent.name, {})
        # A name that is no UTF-8 can be opened, and not be told.
        said = name.encode("utf-8", "backslashreplace").decode()
        pictures.append(picture_of(image, said, prompt, columns))
        if image.mode in _WITH_OPACITY:
            transparent += 1
    if transparent:
        images = "1 image has" if transparent == 1 else f"{transparent:,} images have"
        notices.append(f"{images} transparent parts: the reward gets RGB, and their opacity is left out")
    return Folder(tuple(pictures), str(path), tuple(notices))


def folder_of(images: Sequence[Image], prompts: Sequence[str] | None = None, **columns: Sequence[Any]) -> Folder:
    """Images that are in memory already.

    Args:
        images: N Pillow images.
        prompts: N texts.
        columns: further columns, N JSON values each.

    Raises:
        DataError: there is no image, or a column has another number of entries.
    """
    if not len(images):
        raise DataError("there is no image to audit with")
    for name, values in {"prompts": prompts, **columns}.items():
        if values is not None and len(values) != len(images):
            raise DataError(f"{name} has {len(values)} entries for {len(images)} images")
    said = prompts if prompts is not None else [""] * len(images)
    pictures = [
        picture_of(image, f"image {at}", str(said[at]), {name: values[at] for name, values in columns.items()})
        for at, image in enumerate(images)
    ]
    return Folder(tuple(pictures), f"{len(images)} images in memory")


def picture_of(image: Image, name: str, prompt: str = "", columns: Mapping[str, Any] | None = None) -> Picture:
    """A Pillow image as numbers, grey or in colours; opacity is left out.

    Raises:
        DataError: it is too small to change anything in it.
    """
    if min(image.size) < _SHORTEST:
        raise DataError(f"{name}: {image.width} × {image.height} pixels; expected at least {_SHORTEST} on each side")
    plain = image if image.mode in _PLAIN_MODES else _plain(image)
    return Picture(name, np.array(plain).reshape(plain.height, plain.width, -1), prompt, columns or {})


def _plain(image: Image) -> Image:
    if image.mode.startswith("I") or image.mode == "F":
        # Sixteen bits of grey: Pillow's own conversion cuts them off at 255.
        values = np.asarray(image, dtype=np.float64)
        low, high = (0.0, 65535.0) if values.min() >= 0 and values.max() <= 65535 else (values.min(), values.max())
        from PIL import Image as pillow

        return pillow.fromarray(np.rint(255.0 * (values - low) / max(high - low, 1e-12)).astype(np.uint8))
    return image.convert("L" if image.mode in ("1", "LA", "La") else "RGB")


def _opened(file: Path) -> Image:
    try:
        from PIL import Image as pillow
        from PIL import ImageOps
    except ImportError as error:
        raise MissingExtra(f"images need Pillow: pip install 'trueward[flow]' ({error})") from error
    try:
        with pillow.open(file) as opened:
            # A camera stores how it was held beside the pixels.
            upright = ImageOps.exif_transpose(opened)
            upright.load()
            return upright
    except Exception as error:
        # Decoders of dozens of formats raise whatever they like on a broken file.
        raise DataError(
            f"{file}: cannot be read as an image ({type(error).__name__}: {error}); mend it, or take it out of the "
            "folder"
        ) from error


def _files(folder: Path) -> list[Path]:
    """Images below the folder, hidden ones left out, sorted by name."""
    found = [file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file()]
    return sorted(
        (file for file in found if not any(part.startswith(".") for part in file.relative_to(folder).parts)),
        key=lambda file: file.relative_to(folder).as_posix(),
    )


def _evenly(count: int, most: int) -> list[int]:
    return [int(place) for place in np.linspace(0, count - 1, most).round()]


Rows = dict[str, tuple[str, dict[str, Any]]]


def _metadata(folder: Path, prompt_column: str | None) -> tuple[Rows | None, str]:
    """File → prompt and columns, and the name of the metadata file; None where there is none."""
    for name in METADATA:
        file = folder / name
        if file.is_file():
            return _rows(file, prompt_column), name
    if prompt_column is not None:
        raise DataError(f"--prompt-column {prompt_column}: {folder} holds no {' and no '.join(METADATA)}")
    return None, ""


def _rows(file: Path, prompt_column: str | None) -> Rows:
    rows: Rows = {}
    for line, row in _read(file):
        where = f"{file}:{line}"
        if not isinstance(row, dict) or not isinstance(row.get(_NAME), str) or not row[_NAME]:
            raise DataError(f"{where}: expected an object with the path of an image under {_NAME!r}")
        column = prompt_column or next((name for name in PROMPT_COLUMNS if name in row), None)
        if prompt_column is not None and prompt_column not in row:
            raise DataError(f"{where}: has no column {prompt_column!r}; it has {', '.join(map(str, row))}")
        prompt = "" if column is None or row[column] is None else str(row[column])
        name = str(Path(row[_NAME]))
        if name in rows:
            raise DataError(f"{where}: names {name!r} for the second time")
        rows[name] = (prompt, {str(key): value for key, value in row.items() if key != _NAME})
    if not rows:
        raise DataError(f"{file}: is empty; expected one row for each image")
    return rows


def _read(file: Path) -> Iterator[tuple[int, Any]]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: cannot be read: {error}") from error
    if file.suffix == ".csv":
        reader = csv.DictReader(text.splitlines())
        for row in reader:
            yield reader.line_num, row
        return
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except ValueError as error:
                raise DataError(f"{file}:{number}: is not JSON ({error})") from error
