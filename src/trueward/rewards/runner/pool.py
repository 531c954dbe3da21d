"""The pool: keeps worker processes, and runs calls on them under hard limits.

No signals and no helper threads, so it behaves the same in the main thread, in another thread, inside an event loop, or
in a daemonic process.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType

from trueward.errors import WorkerError
from trueward.rewards.runner.process import Process
from trueward.rewards.runner.session import Session
from trueward.rewards.runner.types import Item, Outcome

_SLOWEST = 10

OnProgress = Callable[[int, int, Sequence[tuple[float, str]]], None]


class WorkerPool:
    """Worker processes that score leaf rewards, replaced as soon as they overstep a limit.

    Args:
        workers: how many; an invariant: after any number of hangs and crashes there are as many again.
        deadline: seconds from the moment a call is a worker's turn to its result, for each of its rows; then the
            worker is killed.
        memory_mb: resident memory of one worker and its children, in MiB.
        budget: seconds that one `run` may take; by default number of rows · deadline / workers, twice over for
            repeats, plus the start of the workers.
        start_limit: seconds in which an interpreter must start, and in which a reward must load.
        on_progress: called with (done, total, slowest calls) at most twice a second.
        loader: `module:function` that turns an address into a leaf reward, inside the worker.
        warm: whether the spare loads the reward ahead of its use. Off for rewards of many gigabytes.

    Raises:
        ValueError: a limit that is not positive.
    """

    has_deadline = True

    def __init__(
        self,
        workers: int = 2,
        deadline: float = 5.0,
        memory_mb: float = 2048,
        budget: float | None = None,
        start_limit: float = 120.0,
        on_progress: OnProgress | None = None,
        loader: str = "trueward.rewards.address:load",
        warm: bool = True,
    ) -> None:
        """Starts nothing yet: workers start with the first call."""
        if workers < 1 or deadline <= 0 or memory_mb <= 0 or start_limit <= 0 or (budget is not None and budget <= 0):
            raise ValueError("workers, deadline, memory_mb, budget and start_limit must be positive")
        self.workers, self.deadline, self.memory_mb = workers, deadline, memory_mb
        self.budget, self.start_limit, self.on_progress, self.loader = budget, start_limit, on_progress, loader
        self.warm = warm
        self._team: list[Process] = []
        self._spare: Process | None = None
        self._count = 0
        self._lock = threading.RLock()
        self._slowest: list[tuple[float, str]] = []
        self._closed = False

    @property
    def size(self) -> int:
        """Live workers, the spare not counted."""
        return sum(process.alive for process in self._team)

    @property
    def slowest(self) -> list[tuple[float, str]]:
        """Seconds and beginning of the ten slowest calls so far, slowest first."""
        return sorted(self._slowest, reverse=True)

    def __enter__(self) -> WorkerPool:
        """Returns itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends every worker."""
        self.close()

    def close(self) -> None:
        """End every worker, and whatever they left behind. A closed pool cannot score."""
        with self._lock:
            self._closed = True
            for process in (*self._team, *([self._spare] if self._spare else [])):
                process.kill()
            self._team, self._spare = [], None

    def run(
        self, address: str, calls: Sequence[Sequence[Item]], *, retry: bool = True, fresh: bool = False
    ) -> list[list[Outcome]]:
        """Call the reward once per element of `calls`; see `Runner.run`.

        A time-out, crash or memory overrun is repeated once, alone, in a worker that has scored nothing before; an
        exception is repeated once in any worker. What comes back the same is the answer's fault; a value the second
        time is the value; two different failures are `UNAVAILABLE`.

        Raises:
            WorkerError: workers cannot be started, or the budget ended; then `error.outcomes` holds what there is.
            RewardError: the reward cannot be loaded, or a column cannot be sent.
        """
        with self._lock:
            if self._closed:
                raise WorkerError("this worker pool is closed")
            team = [self._take()] if fresh else self._full_team()
            session = Session(self, address, team, calls, retry)
            try:
                return session.finish()
            finally:
                # A worker that still has calls (interrupted, out of budget) may be in the middle of one.
                for process in team:
                    if fresh or process.sent or process.loading:
                        process.kill()
                if not fresh:
                    self._team = [process for process in team if process.alive]
                    self._full_team()

    def self_test(self, address: str, right: Item, wrong: Item) -> None:
        """Score a known-right and a known-wrong answer inside every worker.

        Raises:
            WorkerError: in some worker the right answer does not score above the wrong one.
        """
        with self._lock:
            for position, process in enumerate(self._full_team()):
                team = [process]
                outcomes = [one[0] for one in Session(self, address, team, [[right], [wrong]], True).finish()]
                self._team[position] = team[0]
                first, second = (o.value if o.status.ok else f"{o.status.value} ({o.detail})" for o in outcomes)
                if not (isinstance(first, float) and isinstance(second, float) and first > second):
                    raise WorkerError(
                        f"in worker {process.number} the right answer scored {first!r} and a wrong one {second!r}; "
                        "expected the right one to score higher, as it did before"
                    )

    def _full_team(self) -> list[Process]:
        self._team = [process for process in self._team if process.alive]
        while len(self._team) < self.workers:
            self._team.append(self._take())
        return self._team

    def _start(self) -> Process:
        self._count += 1
        return Process(self._count - 1, self.loader)

    def _take(self) -> Process:
        """The warm spare, or a new worker where there is none; a new spare is started in its place."""
        process = self._spare if self._spare is not None and self._spare.alive else self._start()
        self._spare = self._start()
        return process

    def warm_spare(self, address: str) -> None:
        """Let the spare load a reward, so that it is ready when it is needed."""
        spare = self._spare
        if self.warm and spare is not None and address not in spare.loaded and spare.loading is None:
            spare.loading = (address, time.monotonic())
            spare.post({"load": address})

    def remember(self, seconds: float, rows: Sequence[Item]) -> None:
        """Keep the call if it is among the slowest."""
        heapq.heappush(self._slowest, (seconds, str(rows[0].completion)[:200] if rows else ""))
        if len(self._slowest) > _SLOWEST:
            heapq.heappop(self._slowest)

    def replace(self, process: Process) -> Process:
        """Kill a worker and give back another."""
        process.kill()
        return self._take()

    def tell(self, done: int, total: int) -> None:
        """Report progress to whoever asked for it."""
        if self.on_progress is not None:
            self.on_progress(done, total, self.slowest)
