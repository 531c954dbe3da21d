"""What a sandboxed program may use."""

from __future__ import annotations

import math
from dataclasses import dataclass

from trueward.errors import RewardError

_MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class Limits:
    """What one program may use.

    Attributes:
        seconds: wall time of everything that is asked of it, from the moment that it is up.
        memory_mb: address space of a process, and resident memory of all its processes together, in MiB.
        processes: processes and threads.
        output_kb: what it may print for one input, in KiB.
        disk_mb: temporary files, in MiB.
        open_files: descriptors of a process.
    """

    seconds: float = 4.0
    memory_mb: int = 512
    processes: int = 32
    output_kb: int = 1024
    disk_mb: int = 16
    open_files: int = 64

    def __post_init__(self) -> None:
        """Raises `RewardError` for a limit that is not positive."""
        for name, value in vars(self).items():
            if not value > 0:
                raise RewardError(f"the limit {name} is {value!r}; expected a positive number")

    def of_a_process(self, counts_processes: bool) -> list[tuple[str, int]]:
        """The limits that the kernel keeps, as (name of the RLIMIT, amount).

        Args:
            counts_processes: whether the kernel counts the processes of one sandbox apart from all others.
        """
        kept = [
            ("AS", self.memory_mb * _MEBIBYTE),
            ("CPU", math.ceil(self.seconds) + 1),
            ("FSIZE", self.disk_mb * _MEBIBYTE),
            ("NOFILE", self.open_files),
            # Of one byte, because the kernel hands a core to a program of the host under every other limit, 0 included.
            ("CORE", 1),
            ("MEMLOCK", 0),
            ("MSGQUEUE", 0),
        ]
        # The harness itself is one of them.
        return [*kept, ("NPROC", self.processes + 1)] if counts_processes else kept
