"""What is audited: a reward that has been found, its rows, and how to start workers for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trueward.audit.certificates.answers import Checker
from trueward.audit.derivations import Container
from trueward.audit.scoring import Scoring
from trueward.errors import AuditError
from trueward.rewards.address import address_of, load, parse, shown
from trueward.rewards.base import Foreign, Reward
from trueward.rewards.foreign import Leaf, alias, demands_of, wrap
from trueward.rewards.reasoning_gym import reasoning_gym_leaf
from trueward.rewards.runner import InProcess, Runner, WorkerPool
from trueward.rewards.runner.combined import Combined
from trueward.rewards.runner.types import Demands
from trueward.tasks.text import reasoning_gym
from trueward.tasks.text.rows import Row

LEAST_ROWS = 10  # of a reasoning-gym set, so that calibration has enough
DEFAULT_PROMPTS = 20
_BACKSTOP = 1.2  # a worker waits longer than the reward's own clock, which knows better whose fault it is
_LOADED_MB_PER_SECOND = 25.0  # what a slow disk gives, for the time that loading may take
_START_LIMIT = 120.0
_SPARED_MB = 1024  # a spare holds the weights once more

IN_PROCESS = (
    "{name} has no address that a worker could load, so it ran in this process: no deadline and no memory limit hold, "
    "and answers that could hang it were left out. Put it into a module and pass 'file.py:name' to lift this."
)


@dataclass(frozen=True)
class Subject:
    """A reward with its data.

    Attributes:
        name: for readers.
        address: for the runner.
        rows: the rows, reserve for calibration included.
        leaf: the reward itself when it cannot be addressed and runs in this process.
        reward: the reward itself when it is a combination, whose leaves run in workers.
        containers: which completion containers it may take.
        aliases: column of the reward → column of the data.
        bare_only: whether answers are delivered without envelope by convention.
        full: the declared full reward, where rows may store no answer.
        checker: independent check of answers where many are right.
        demands: what the reward asks of whoever runs it.
        notices: assumptions for the report's header.
    """

    name: str
    address: str
    rows: tuple[Row, ...]
    leaf: Leaf | None = None
    reward: Reward | None = None
    containers: tuple[Container, ...] = ("text",)
    aliases: Mapping[str, str] = field(default_factory=dict)
    bare_only: bool = False
    full: float | None = None
    checker: Checker | None = None
    demands: Demands = field(default_factory=Demands)
    notices: tuple[str, ...] = ()

    @property
    def is_local(self) -> bool:
        """True when no worker could load it by its address."""
        return self.leaf is not None or self.reward is not None

    @property
    def needs_own_runner(self) -> bool:
        """True when a pool that others use too does not suit it."""
        return self.is_local or self.demands.most_workers is not None or self.demands.seconds > 0

    def start(self, workers: int, deadline: float, memory_mb: int) -> Runner:
        """A runner for this reward alone: workers, or this process when the reward has no address.

        Args:
            workers: how many, if the reward does not ask for fewer.
            deadline: seconds for each row of a call; longer where the reward keeps a time of its own.
            memory_mb: what a worker may use beyond the weights of a model.
        """
        if self.leaf is not None:
            return InProcess({self.address: self.leaf})
        pool = WorkerPool(
            workers=min(workers, self.demands.most_workers or workers),
            deadline=max(deadline, _BACKSTOP * self.demands.seconds),
            memory_mb=memory_mb + self.demands.weights_mb,
            start_limit=_START_LIMIT + self.demands.weights_mb / _LOADED_MB_PER_SECOND,
            warm=self.demands.weights_mb < _SPARED_MB,
        )
        return pool if self.reward is None else Combined(self.reward, pool)

    def scoring(self, runner: Runner) -> Scoring:
        """What asks this reward on a runner."""
        return Scoring(runner, self.address, self.aliases, self.demands.batch)


def subject_of(reward: Any, data: Any, prompts: int | None = None, **columns: Any) -> Subject:
    """Resolve a reward and its data.

    Args:
        reward: an address, a callable, or a Trueward reward.
        data: a path, records, or rows; None for reasoning-gym sets.
        prompts: how many rows a reasoning-gym set is asked for.
        columns: options of `load_rows`: which columns, which answer contract.

    Raises:
        RewardError, DataError, AuditError: as `trueward.audit`.
    """
    if isinstance(reward, str) and reward.startswith("reasoning_gym:"):
        return _reasoning_gym(reward, prompts)
    if data is None:
        raise AuditError(
            f"{shown(_name(reward))} needs data: give a file of prompts and answers with --data, or a list of rows; "
            "for a reward of images give a folder of them with --images"
        )
    rows, notices = _rows(data, prompts, columns)
    if isinstance(reward, Reward):
        return Subject(
            reward.name,
            reward.name,
            rows,
            reward=reward,
            containers=("text", "chat"),
            demands=_together([demands_of(leaf) for leaf in _leaves(reward)]),
            notices=notices,
        )
    address = reward if isinstance(reward, str) else address_of(reward)
    leaf = load(address) if address is not None else wrap(reward, _name(reward))
    if leaf.kind == "image":
        raise AuditError(
            f"{leaf.name} scores images, and this is the audit of text: give a folder of images with --images, or call "
            "trueward.audit.images.audit_images"
        )
    aliases = alias(leaf.needs, rows[0].columns) if rows else {}
    notices += tuple(f"column {present!r} was given to the reward as {wanted!r}" for wanted, present in aliases.items())
    if leaf.stand_ins:
        notices += (
            "completion_ids come from a stand-in tokenizer: words, spaces and punctuation marks are one token each",
        )
    notices += tuple(getattr(leaf, "notices", ()))
    if address is None:
        notices += (IN_PROCESS.format(name=leaf.name),)
    containers: tuple[Container, ...] = tuple(c for c in ("text", "chat") if c in leaf.containers)
    return Subject(
        name=shown(address) if address is not None else leaf.name,
        address=address or leaf.name,
        rows=rows,
        leaf=leaf if address is None else None,
        containers=containers,
        aliases=aliases,
        demands=demands_of(leaf),
        notices=notices,
    )


def _leaves(reward: Reward) -> Iterator[Leaf]:
    """The rewards that a combination is made of."""
    if isinstance(reward, Foreign):
        yield reward.leaf
        return
    waiting: list[Any] = list(vars(reward).values())
    while waiting:
        part = waiting.pop()
        if isinstance(part, Reward):
            yield from _leaves(part)
        elif isinstance(part, list | tuple):
            waiting += part


def _together(demands: Sequence[Demands]) -> Demands:
    """What a combination asks for. No batches: a transform may look at all rows of a call."""
    fewest = [one.most_workers for one in demands if one.most_workers is not None]
    return Demands(
        most_workers=min(fewest, default=None),
        weights_mb=sum(one.weights_mb for one in demands),
        seconds=max((one.seconds for one in demands), default=0.0),
        noise=max((one.noise for one in demands), default=0.0),
    )


def _name(reward: Any) -> str:
    return reward if isinstance(reward, str) else str(getattr(reward, "__name__", type(reward).__name__))


def _rows(data: Any, prompts: int | None, columns: Mapping[str, Any]) -> tuple[tuple[Row, ...], tuple[str, ...]]:
    if isinstance(data, Sequence) and not isinstance(data, str) and data and all(isinstance(r, Row) for r in data):
        return tuple(data), ()
    from trueward.tasks.text.data import load_rows, rows_from

    if isinstance(data, str | Path):
        loaded = load_rows(data, **columns)
    else:
        loaded = rows_from(data, **columns)
    return loaded.rows, loaded.notices


def _reasoning_gym(address: str, prompts: int | None) -> Subject:
    parts = parse(address)
    config = dict(parts.arguments[1]) if parts.arguments else {}
    size = config.setdefault("size", max(LEAST_ROWS, prompts or DEFAULT_PROMPTS))
    leaf = reasoning_gym_leaf(parts.name, config)
    config.setdefault("seed", leaf.config["seed"])
    arguments = ", ".join(f"{name}={value!r}" for name, value in sorted(config.items()))
    entries = {index: leaf.entry(index) for index in range(size)}
    rows = reasoning_gym.rows_of(parts.name, entries, f"{parts.name}-{config['seed']}")
    unanswered = not any(row.answer for row in rows)
    return Subject(
        name=address,
        address=f"reasoning_gym:{parts.name}({arguments})",
        rows=rows,
        bare_only=True,
        full=reasoning_gym.FULL,
        checker=reasoning_gym.checker(parts.name),
        notices=("this set stores no answers: nothing can be compared with one",) if unanswered else (),
    )
