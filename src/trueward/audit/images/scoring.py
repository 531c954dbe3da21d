"""Asking a reward of images: pictures in, one number or the reason for none each."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from trueward.audit.images.folder import Picture
from trueward.audit.images.leaf import LOADER, leaf_of
from trueward.rewards.address import address_of, shown
from trueward.rewards.base import Reward
from trueward.rewards.runner import InProcess, Runner, WorkerPool
from trueward.rewards.runner.batches import run_in_batches
from trueward.rewards.runner.types import Item, Outcome
from trueward.status import Status

ROWS = 16  # of a call: enough for a model to gain, few enough to share out among workers

IN_PROCESS = (
    "{name} has no address that a worker could load, so it ran in this process: no deadline and no memory limit hold. "
    "Put it into a module and pass 'file.py:name' to lift this."
)


@dataclass(frozen=True)
class Asked:
    """What came back for N pictures.

    Attributes:
        values: scores; NaN where there is none.
        outcomes: with status and detail.
    """

    values: Float[np.ndarray, " n"]
    outcomes: tuple[Outcome, ...]

    @property
    def failed(self) -> list[int]:
        """Places of the pictures without a score."""
        return [place for place, outcome in enumerate(self.outcomes) if not outcome.status.ok]


@dataclass
class Scoring:
    """Asks one reward, and counts.

    Attributes:
        name: of the reward, for the reader.
        address: for the runner.
        runner: where it runs.
        in_process: whether the pictures need not be sent.
        images: how many were scored.
        calls: of the reward.
        statuses: what became of them.
        seconds: for each image its share of its call.
    """

    name: str
    address: str
    runner: Runner
    in_process: bool
    images: int = 0
    calls: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)

    @property
    def notices(self) -> list[str]:
        """What a reader has to know of how it ran."""
        return [IN_PROCESS.format(name=self.name)] if self.in_process else []

    def score(self, pictures: Sequence[Picture], prompts: Sequence[str] | None = None, *, rows: int = ROWS) -> Asked:
        """Scores of pictures, in calls of a few of them.

        Args:
            pictures: N of them.
            prompts: under other prompts than their own.
            rows: most of a call.
        """
        said = prompts if prompts is not None else [picture.prompt for picture in pictures]
        outcomes: list[Outcome] = []
        # A slice at a time, so that the files of large images do not fill the disk.
        size = max(rows, 4 * ROWS)
        for begin in range(0, len(pictures), size):
            outcomes += self._slice(pictures[begin : begin + size], said[begin : begin + size], rows)
        self.images += len(outcomes)
        for outcome in outcomes:
            self.statuses[outcome.status.value] += 1
            self.seconds.append(outcome.seconds)
        values = np.array([np.nan if one.value is None else one.value for one in outcomes], dtype=np.float64)
        return Asked(values, tuple(outcomes))

    def _slice(self, pictures: Sequence[Picture], prompts: Sequence[str], rows: int) -> list[Outcome]:
        with tempfile.TemporaryDirectory(prefix="trueward-images-") as folder:
            items = [
                Item(prompt, self._sent(picture, Path(folder) / f"{place}.npy"), picture.columns)
                for place, (picture, prompt) in enumerate(zip(pictures, prompts, strict=True))
            ]
            batched = run_in_batches(self.runner, self.address, items, rows)
        self.calls += batched.calls
        return list(batched.outcomes)

    def _sent(self, picture: Picture, file: Path) -> Any:
        if self.in_process:
            return picture.bits
        np.save(file, picture.bits, allow_pickle=False)
        return str(file)

    def close(self) -> None:
        """End the workers."""
        self.runner.close()


def scoring_of(reward: Any, workers: int, deadline: float, memory_mb: float) -> Scoring:
    """A reward with workers of its own; without an address it runs in this process.

    Args:
        reward: an address, a function of images, or a Trueward reward.
        workers: how many.
        deadline: seconds for each image of a call.
        memory_mb: resident memory of a worker, in MiB.

    Raises:
        RewardError: it is none of these.
    """
    name = shown(reward) if isinstance(reward, str) else _name(reward)
    address = reward if isinstance(reward, str) else address_of(reward)
    if address is not None:
        # Most rewards of images are models: a spare that loads one ahead of its use would cost as much as a worker.
        pool = WorkerPool(workers, deadline, memory_mb, loader=LOADER, warm=False)
        return Scoring(name, address, pool, in_process=False)
    return Scoring(name, name, InProcess({name: leaf_of(reward)}), in_process=True)


def why_none(asked: Asked) -> str:
    """The most frequent reason for having no score, with one detail; "" where every picture has one."""
    failed = [asked.outcomes[place] for place in asked.failed]
    if not failed:
        return ""
    [(status, _)] = Counter(outcome.status for outcome in failed).most_common(1)
    detail = next(outcome.detail for outcome in failed if outcome.status is status)
    hint = "; give the workers more with --memory-mb" if status is Status.OUT_OF_MEMORY else ""
    return f"{status.value}: {detail}{hint}" if detail else f"{status.value}{hint}"


def _name(reward: Any) -> str:
    return reward.name if isinstance(reward, Reward) else str(getattr(reward, "__name__", type(reward).__name__))
