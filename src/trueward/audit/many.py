"""Many audits side by side: a thread per audit, each with workers of its own that live as long as the thread."""

from __future__ import annotations

import queue
import threading
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from trueward.audit.api import Progress, Settings, audit_subject, failed
from trueward.audit.subjects import Subject
from trueward.errors import TruewardError
from trueward.report.document import Audit
from trueward.rewards.runner import WorkerPool

Find = Callable[[], Subject]


def audit_many(
    subjects: Sequence[tuple[str, Find]],
    settings: Settings,
    *,
    progress: Progress,
    finished: Callable[[Audit], None],
) -> list[Audit]:
    """Audit several rewards, `settings.workers` at a time, each on one worker.

    Args:
        subjects: name of each reward, and a function that finds it and its data.
        settings: how; the same for all.
        progress: called with (name, done, total) when an audit begins.
        finished: called with each audit as it ends.

    Returns:
        One audit per subject, in their order. One that cannot be audited says why instead of ending the others.
    """
    pools: queue.SimpleQueue[WorkerPool] = queue.SimpleQueue()
    count = max(1, min(settings.workers, len(subjects)))
    started = [WorkerPool(workers=1, deadline=settings.deadline, memory_mb=settings.memory_mb) for _ in range(count)]
    for pool in started:
        pools.put(pool)
    lock = threading.Lock()
    begun = 0

    def one(name: str, find: Find) -> Audit:
        nonlocal begun
        pool = pools.get()
        try:
            with lock:
                progress(name, begun, len(subjects))
                begun += 1
            subject = find()
            runner = subject.start(1, settings.deadline, settings.memory_mb) if subject.needs_own_runner else pool
            result = audit_subject(subject, runner, settings, _silent).audit
        except TruewardError as error:
            result = failed(name, error)
        except Exception as error:
            # A bug of ours in one audit must not lose the others; it is reported in its place.
            place = traceback.extract_tb(error.__traceback__)[-1]
            message = (
                f"internal error, please report it: {type(error).__name__}: {error} ({place.name}, line {place.lineno})"
            )
            result = failed(name, TruewardError(message))
        finally:
            pools.put(pool)
        with lock:
            finished(result)
        return result

    try:
        with ThreadPoolExecutor(count) as executor:
            return list(executor.map(lambda subject: one(*subject), subjects))
    finally:
        for pool in started:
            pool.close()


def _silent(stage: str, done: int, total: int) -> None:
    return None
