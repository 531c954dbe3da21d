"""Carries out many runs on a Ray cluster; a local one is started if none is named.

Every machine of the cluster needs Trueward installed and the same directory of runs (a shared file system): that is
where results and checkpoints are.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from trueward.errors import MissingExtra
from trueward.evidence.engines import ATTEMPTS, Event, ended, environment
from trueward.evidence.perform import perform


def on_ray(directories: Sequence[Path], jobs: int, address: str | None = None) -> Generator[Event, None, None]:
    """One Ray task a run, one processor each.

    Ray starts a task again when its worker or its machine dies, `ATTEMPTS` times in all, and leaves the other tasks
    alone. A run that raises is not started again: it would raise again.

    Args:
        directories: of prepared runs.
        jobs: processors of the local cluster, where one is started.
        address: of a cluster; None for the one of the environment variable RAY_ADDRESS, else a local one. A
            connection that this process already has is used, and left open.

    Raises:
        MissingExtra: Ray is not installed.
    """
    with cluster(jobs, address) as ray:
        task = ray.remote(num_cpus=1, max_retries=ATTEMPTS - 1, retry_exceptions=False)(_perform)
        pending = {task.remote(str(directory.absolute())): directory for directory in directories}
        try:
            while pending:
                (done, *_), _ = ray.wait(list(pending), num_returns=1)
                yield _event(ray, pending.pop(done), done)
        finally:
            for reference in pending:
                ray.cancel(reference, force=True)


@contextmanager
def cluster(jobs: int, address: str | None = None) -> Iterator[Any]:
    """A connection to a cluster, closed at the end unless it was there before: one inside another costs nothing."""
    ray = _ray()
    if ray.is_initialized():
        yield ray
        return
    _connect(ray, jobs, address)
    try:
        yield ray
    finally:
        ray.shutdown()


def _perform(directory: str) -> str | None:
    return perform(Path(directory))


def _event(ray: Any, directory: Path, reference: Any) -> Event:
    try:
        return ended(directory, ray.get(reference))
    except ray.exceptions.RayError as error:
        reason = str(error).strip().splitlines() or [""]
        return Event(directory, "failed", f"{type(error).__name__}: {reason[0]}, {ATTEMPTS} times")


def _connect(ray: Any, jobs: int, address: str | None) -> None:
    options = {"log_to_driver": False, "configure_logging": False}
    address = address or os.environ.get("RAY_ADDRESS")
    if address:
        # Ray itself gives a task of one processor one thread.
        ray.init(address=address, **options)
        return
    # What Ray starts here inherits these. Its own way, a runtime environment, costs seconds for every worker.
    before = dict(os.environ)
    os.environ.update(environment())
    try:
        ray.init(num_cpus=jobs, include_dashboard=False, **options)
    finally:
        os.environ.clear()
        os.environ.update(before)


def _ray() -> Any:
    # Ray reports usage to its makers unless told otherwise; a run of an experiment is nobody else's business.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise MissingExtra("running on Ray needs ray: pip install 'trueward[ray]'") from error
    return ray
