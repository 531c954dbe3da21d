"""The files of a Hugging Face model: where they lie, whether they may be loaded, how much memory they want.

Looked at without torch, so that a wrong path is told in a moment.
"""

from __future__ import annotations

import json
import math
import os
import re
import struct
from pathlib import Path

from trueward.errors import TruewardError

_OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
_WANTED = ["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja", "*.tiktoken"]
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
_LONGEST_HEADER = 100_000_000  # the format's own limit
_MEBIBYTE = 1 << 20


def model_folder(
    path: str, revision: str | None = None, *, error: type[TruewardError], shown: str | None = None
) -> Path:
    """The folder that holds a model's files, checked.

    Args:
        path: folder, or name in the Hugging Face hub (`owner/name`). The hub is asked only for what its local cache
            does not hold, and never where `HF_HUB_OFFLINE` or `TRANSFORMERS_OFFLINE` is set.
        revision: branch, tag or commit in the hub.
        error: what to raise: the error of the stage that wants the model.
        shown: how messages call the model; by default its path.

    Raises:
        TruewardError: of type `error`; there is no such model, or it holds no safetensors.
    """
    shown = shown or path
    folder = Path(path).expanduser()
    if not folder.is_dir():
        folder = _from_hub(path, revision, error, shown)
    if (folder / "adapter_config.json").is_file():
        raise error(f"{shown!r} holds an adapter; merge it into its model, save, and give that folder")
    if not (folder / "config.json").is_file():
        raise error(f"{shown!r} is no model: the folder has no config.json")
    if not weights(folder):
        pickles = sorted(file.name for pattern in _PICKLES for file in folder.glob(pattern))
        if pickles:
            raise error(
                f"{shown!r} holds its weights as a pickle ({', '.join(pickles[:3])}), and loading a pickle runs "
                "whatever code is in it. Convert it where you trust it: load it with transformers and call "
                "model.save_pretrained(folder), which writes safetensors"
            )
        raise error(f"{shown!r} is no whole model: the folder has no *.safetensors")
    return folder


def weights(folder: Path) -> list[Path]:
    """The safetensors files of a folder."""
    return sorted(folder.glob("*.safetensors"))


def _from_hub(path: str, revision: str | None, error: type[TruewardError], shown: str) -> Path:
    if not _HUB_NAME.fullmatch(path):
        raise error(f"{shown!r}: there is no folder {path!r} in {os.getcwd()!r}, and the hub has no such names")
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(path, revision=revision, allow_patterns=_WANTED, local_files_only=True))
    except Exception:  # its errors are of many unrelated kinds; what matters is that the cache does not hold it
        offline = any(os.environ.get(name, "").upper() in ("1", "ON", "YES", "TRUE") for name in _OFFLINE)
        if offline:
            raise error(
                f"{shown!r}: there is no such folder, the local Hugging Face cache does not hold it, and "
                f"{' or '.join(_OFFLINE)} forbids to download it"
            ) from None
    try:
        return Path(snapshot_download(path, revision=revision, allow_patterns=_WANTED))
    except Exception as cause:
        said = str(cause).splitlines()[0] if str(cause) else ""
        raise error(
            f"{shown!r}: there is no such folder, and it cannot be had from the Hugging Face hub: "
            f"{type(cause).__name__}: {said}"
        ) from cause


def memory_mb(folder: Path, width: int, *, error: type[TruewardError]) -> float:
    """Memory that a loaded model may hold, in MiB: its files, which are mapped, and a copy in the dtype it runs in.

    Args:
        folder: folder of the model.
        width: bytes of one number in that dtype.
        error: what to raise: the error of the stage that wants the model.

    Raises:
        TruewardError: of type `error`; a file is no safetensors.
    """
    files = weights(folder)
    return sum(file.stat().st_size + width * _numbers(file, error) for file in files) / _MEBIBYTE


def _numbers(file: Path, error: type[TruewardError]) -> int:
    """How many numbers a safetensors file holds: its header is eight bytes of length, then JSON."""
    try:
        with file.open("rb") as data:
            (length,) = struct.unpack("<Q", data.read(8))
            if length > _LONGEST_HEADER:
                raise ValueError(f"a header of {length} bytes")
            header = json.loads(data.read(length))
        return sum(math.prod(entry["shape"]) for name, entry in header.items() if name != "__metadata__")
    except (OSError, struct.error, ValueError, KeyError, TypeError, AttributeError, RecursionError) as cause:
        raise error(f"{str(file)!r} is no safetensors file: {type(cause).__name__}: {cause}") from cause
