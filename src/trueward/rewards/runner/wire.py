"""Frames between parent and worker: four bytes of length, then JSON."""

from __future__ import annotations

import json
import os
import struct
from typing import Any

_HEAD = struct.Struct(">I")
_CHUNK = 1 << 20


def encode(message: Any) -> bytes:
    """One frame. ASCII only, so that lone surrogates survive; NaN and infinity survive too."""
    body = json.dumps(message, ensure_ascii=True, separators=(",", ":")).encode("ascii")
    return _HEAD.pack(len(body)) + body


class Reader:
    """Collects bytes and gives back whole messages."""

    def __init__(self) -> None:
        """Starts empty."""
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Any]:
        """Add bytes; return every message that is complete now."""
        self._buffer += data
        messages = []
        while len(self._buffer) >= _HEAD.size:
            (length,) = _HEAD.unpack_from(self._buffer)
            end = _HEAD.size + length
            if len(self._buffer) < end:
                break
            messages.append(json.loads(bytes(self._buffer[_HEAD.size : end])))
            del self._buffer[:end]
        return messages


def write_all(fd: int, data: bytes) -> None:
    """Write every byte to a blocking descriptor."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view[:_CHUNK]) :]


def read_some(fd: int) -> bytes:
    """What is there, or b"" at the end."""
    return os.read(fd, _CHUNK)
