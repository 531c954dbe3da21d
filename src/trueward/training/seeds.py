"""Random streams that depend on where a run stands and on nothing else.

Every draw of a run comes from a stream that is named by seed, purpose and step. A run that was killed therefore needs
no random state to go on as if nothing had happened, and two runs that differ in their reward see the same prompts.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def stream(seed: int, purpose: str, step: int = 0) -> np.random.Generator:
    """A NumPy generator for one purpose at one step.

    Args:
        seed: of the run, at least 0.
        purpose: any name; different names give independent streams.
        step: of the run.
    """
    return np.random.default_rng(_entropy(seed, purpose, step))


def torch_stream(seed: int, purpose: str, step: int = 0) -> torch.Generator:
    """The same for torch, on the CPU."""
    import torch

    generator = torch.Generator()
    generator.manual_seed(stream_number(seed, purpose, step))
    return generator


def stream_number(seed: int, purpose: str, step: int = 0) -> int:
    """The same as one number, for libraries that take a seed."""
    return int(np.random.SeedSequence(_entropy(seed, purpose, step)).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _entropy(seed: int, purpose: str, step: int) -> list[int]:
    return [seed, zlib.crc32(purpose.encode()), step]
