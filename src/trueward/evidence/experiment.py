"""Carries out an experiment: tuning runs, the choice, then every arm under every seed.

Runs that are done are not done again; what a killed run saved, it goes on from. A run that fails costs itself only: it
is in the outcome, and leaves the statements that need it open.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from trueward.errors import EvidenceError
from trueward.evidence.engines import Engine, Event, in_process, in_processes
from trueward.evidence.on_ray import cluster, on_ray
from trueward.evidence.plan import Experiment, Tried, best
from trueward.evidence.recipe import Arm
from trueward.evidence.record import Result, move_aside, prepare, read_result
from trueward.evidence.registry import module_of
from trueward.evidence.run import Run
from trueward.report.atomic import write_whole

SetAside = Literal["nothing", "changed", "all"]


@dataclass(frozen=True)
class Progress:
    """Where an experiment stands.

    Attributes:
        kind: "planned" once at the start; "kept" for a run that was done before; "started", "finished", "failed".
        run: which run; None for "planned".
        done, total: runs that have ended, and all runs.
        remaining_seconds: estimate from the runs that are done; None before the first.
        error: what the run failed of.
    """

    kind: Literal["planned", "kept", "started", "finished", "failed"]
    run: Run | None
    done: int
    total: int
    remaining_seconds: float | None = None
    error: str = ""


@dataclass(frozen=True)
class Failure:
    """A run that gave no result."""

    arm: str
    seed: int
    error: str


@dataclass(frozen=True)
class Outcome:
    """What the runs of an experiment gave.

    Attributes:
        values: arm → reported seed → metric → number; NaN where a run gave no finite one.
        tried: the tuning table.
        chosen: arm → its tuned settings; an arm whose tuning failed is absent.
        runs: arm → reported seed → the run, for its settings and directory.
        failures: runs without result, tuning runs included.
        seconds: of all runs together, earlier sessions included.
    """

    values: Mapping[str, Mapping[int, Mapping[str, float]]]
    tried: tuple[Tried, ...]
    chosen: Mapping[str, Mapping[str, Any]]
    runs: Mapping[str, Mapping[int, Run]]
    failures: tuple[Failure, ...]
    seconds: float


def execute(
    experiment: Experiment,
    *,
    jobs: int = 1,
    engine: Engine = "processes",
    set_aside: SetAside = "nothing",
    progress: Callable[[Progress], None] | None = None,
) -> Outcome:
    """Carry out an experiment.

    Args:
        experiment: what to run.
        jobs: how many runs at a time; on Ray, the processors of a cluster that is started here.
        engine: "processes" on this machine, "ray", or "in process" (one at a time, for tests and debuggers).
        set_aside: which earlier runs are renamed and done again: those with other settings ("changed"), or all of
            this experiment, with the folders that they share ("all"); nothing is deleted.
        progress: told about every run.

    Raises:
        EvidenceError: an earlier run has other settings, or other processes cannot find the recipe.
        MissingExtra: Ray is not installed.
    """
    session = _Session(experiment, jobs, engine, set_aside, progress or (lambda _: None))
    # Held over tuning and reported runs: a cluster takes seconds to start.
    with cluster(jobs) if engine == "ray" else nullcontext():
        return session.carry_out()


@dataclass
class _Session:
    """One call of `execute`."""

    experiment: Experiment
    jobs: int
    engine: Engine
    set_aside: SetAside
    progress: Callable[[Progress], None]
    module: str | None = None
    done: int = 0
    total: int = 0
    durations: list[float] = field(default_factory=list)
    results: dict[Path, Result] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)

    def carry_out(self) -> Outcome:
        self.module = module_of(self.experiment.recipe)
        if self.module is None and self.engine != "in process":
            raise EvidenceError(
                f"recipe {self.experiment.recipe.name!r} is not the value RECIPE of a module that other processes can "
                'import; put it there, or use engine "in process"'
            )
        experiment, arms = self.experiment, self.experiment.chosen_arms
        if self.set_aside == "all":
            self._set_all_aside()
        tuning = {arm.name: self._tuning_runs(arm) for arm in arms}
        first = [run for row in tuning.values() for runs in row for run in runs]
        untuned = {arm.name: experiment.candidates(arm)[0] for arm in arms if not tuning[arm.name]}
        self.total = len(first) + len(arms) * len(experiment.reported)
        self.progress(Progress("planned", None, 0, self.total))

        self._do(first)
        tried = [one for arm in arms for one in self._tried(arm, tuning[arm.name])]
        chosen = untuned | {one.arm: dict(one.settings) for one in tried if one.chosen}
        # Arm by arm, not seed by seed: runs side by side then build the shared folders of different seeds instead of
        # waiting for one another.
        runs = {
            arm.name: {seed: experiment.run(arm, seed, chosen[arm.name]) for seed in experiment.reported}
            for arm in arms
            if arm.name in chosen
        }
        self.total -= (len(arms) - len(runs)) * len(experiment.reported)
        self._do([run for row in runs.values() for run in row.values()])
        self.failures += [
            Failure(arm.name, seed, "no combination of its tuned settings gave a result")
            for arm in arms
            if arm.name not in chosen
            for seed in experiment.reported
        ]
        return Outcome(
            {arm: {seed: found.metrics for seed, found in self._found(row).items()} for arm, row in runs.items()},
            tuple(tried),
            {arm.name: chosen[arm.name] for arm in arms if arm.name in chosen},
            runs,
            tuple(self.failures),
            math.fsum(result.seconds for result in self.results.values()),
        )

    def _found(self, row: Mapping[int, Run]) -> dict[int, Result]:
        return {seed: self.results[run.directory] for seed, run in row.items() if run.directory in self.results}

    def _tuning_runs(self, arm: Arm) -> list[list[Run]]:
        """A row of runs, one per tuning seed, for each combination; nothing where there is no choice."""
        candidates = self.experiment.candidates(arm)
        if len(candidates) < 2:
            return []
        seeds = self.experiment.recipe.tuning_seeds
        return [[self.experiment.run(arm, seed, one, tuning=True) for seed in seeds] for one in candidates]

    def _tried(self, arm: Arm, rows: Sequence[Sequence[Run]]) -> list[Tried]:
        if not rows:
            return []
        recipe = self.experiment.recipe
        tried = []
        for combination, row in zip(self.experiment.candidates(arm), rows, strict=True):
            found = {run.seed: self.results.get(run.directory) for run in row}
            values = {
                seed: result.metrics[recipe.tuned_on] if result is not None else None for seed, result in found.items()
            }
            tried.append(Tried(arm.name, combination, values))
        winner = best(recipe, tried)
        return [replace(one, chosen=number == winner) for number, one in enumerate(tried)]

    def _set_all_aside(self) -> None:
        recipe, seeds = self.experiment.recipe, self.experiment.reported
        for arm in self.experiment.chosen_arms:
            rows = [run for row in self._tuning_runs(arm) for run in row]
            rows += [self.experiment.run(arm, seed, {}) for seed in seeds]
            for run in rows:
                move_aside(run.directory)
        for seed in (*recipe.tuning_seeds, *seeds):
            move_aside(self.experiment.folder.parent / "shared" / f"seed-{seed}")

    def _do(self, runs: Sequence[Run]) -> None:
        """Carry out those that are not done, and read all results."""
        # All are prepared before any starts, so that a conflict of settings costs nothing.
        for run in runs:
            prepare(run, self.module, set_aside=self.set_aside != "nothing")
        waiting = []
        for run in runs:
            if self._take(run):
                self._tell("kept", run)
            else:
                waiting.append(run)
        by_directory = {run.directory: run for run in waiting}
        if not waiting:
            return
        with closing(self._events(list(by_directory))) as events:
            for event in events:
                self._heard(event, by_directory[event.directory])

    def _heard(self, event: Event, run: Run) -> None:
        if event.kind == "started":
            self._tell("started", run)
        elif event.kind == "finished" and self._take(run):
            self._tell("finished", run)
        else:
            error = event.error or "it ended without a result"
            if not (run.directory / "error.txt").exists():  # its worker had no time to write one
                write_whole(run.directory / "error.txt", f"{error}\n".encode())
            self.failures.append(Failure(run.arm, run.seed, error))
            self.done += 1
            self._tell("failed", run, error)

    def _events(self, directories: Sequence[Path]) -> Generator[Event, None, None]:
        if self.engine == "in process":
            return in_process(directories, self.experiment.recipe)
        if self.engine == "ray":
            return on_ray(directories, self.jobs)
        return in_processes(directories, self.jobs)

    def _take(self, run: Run) -> bool:
        """Read the result of a run; False when it is not done."""
        result = read_result(run.directory)
        if result is None:
            return False
        self.results[run.directory] = result
        self.durations.append(result.seconds)
        self.done += 1
        return True

    def _tell(self, kind: Literal["kept", "started", "finished", "failed"], run: Run, error: str = "") -> None:
        remaining = None
        if self.durations:
            mean = math.fsum(self.durations) / len(self.durations)
            remaining = mean * (self.total - self.done) / max(1, self.jobs)
        self.progress(Progress(kind, run, self.done, self.total, remaining, error))
