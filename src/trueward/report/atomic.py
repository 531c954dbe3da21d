"""Files that appear whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Write to a temporary name beside `path`, then rename.

    What is no regular file (a pipe, `/dev/stdout`) is written to directly.

    Raises:
        OSError: when the folder does not exist or cannot be written to; then no temporary file is left.
    """
    if path.exists() and not path.is_file():
        path.write_bytes(content)
        return
    # A link keeps pointing to its file, which gets the new content.
    target = path.resolve()
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
