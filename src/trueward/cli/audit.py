"""`trueward audit`."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro
from rich.console import Console

from trueward.cli.data_options import DataOptions, require_folders
from trueward.cli.progress import bar
from trueward.errors import TruewardError
from trueward.rewards.address import shown

if TYPE_CHECKING:
    from trueward.audit.api import Settings
    from trueward.audit.report import Report
    from trueward.audit.subjects import Subject
    from trueward.report.document import Audit, Document

Workers = Annotated[int, tyro.conf.arg(help_behavior_hint="(default: number of cores, at most 8)")]


def default_workers() -> int:
    """As many workers as there are cores, at most 8."""
    return max(1, min(8, os.cpu_count() or 1))


@dataclass(frozen=True, kw_only=True)
class AuditCommand(DataOptions):
    """Find out what a reward pays that it should not, and how it fails, before training against it.

    Exit code: 0 clean, 1 findings (with --baseline: only new ones), 2 could not be audited.
    """

    rewards: tyro.conf.Positional[tuple[str, ...]]
    """Addresses: file.py:name, package.module:name, module:factory(k=3), reasoning_gym:NAME, 'reasoning_gym:*',
    hf:path/to/model, http://host/score; with --env also "environment", what the environment itself pays."""

    search: int = 0
    """Calls of the reward that a search for further exploits may make; 2000 is a good number."""
    rollouts: Path | None = None
    """Completions that a run has already paid (TRL's or verl's log, or our own): which of them were paid wrongly?"""

    env: str | None = None
    """Audit rewards of control in this environment: an id of Gymnasium, or the address of a factory (file.py:make)."""
    gold: str | None = None
    """With --env: what is really wanted, a reward like the audited ones; "environment" for what it pays itself."""
    steps: int = 50_000
    """With --env: environment steps of each training run; 0 to train nothing."""
    seeds: int = 3
    """With --env: training runs on the reward, and as many on gold."""
    starts: int = 16
    """With --env: start states from which every policy is played."""
    discount: float = 0.99
    """With --env: the discount with which the reward will be optimised."""
    horizon: int = 500
    """With --env: most steps of an episode that is played."""

    images: Path | None = None
    """Audit rewards of images, score(prompts, images, **columns) -> list of numbers, with the images of this folder.
    Prompts: metadata.jsonl (file_name, text), else the names of its sub-folders. --prompts: at most so many images (64
    unless given). --search: images that a search may score."""
    holdout: str | None = None
    """With --images: another scorer, that nothing is trained on: where does it disagree?"""

    json: Path | None = None
    """Write the audit as JSON."""
    html: Path | None = None
    """Write one self-contained HTML report."""
    write_tests: Path | None = None
    """Write a pytest file with one case per exploit."""
    baseline: Path | None = None
    """JSON of an earlier audit: fail only on what it does not have."""
    format: Literal["terminal", "github"] = "terminal"
    """terminal: for people. github: annotations of GitHub Actions, and the summary of the step."""

    template: str | None = None
    """Format of an answer, with {answer} once; instead of finding the format."""
    deadline: float = 5.0
    """Seconds that one call of the reward may take."""
    workers: Workers = field(default_factory=default_workers)
    """Worker processes."""
    memory_mb: int = 2048
    """Resident memory of one worker, in MiB."""
    tolerance: float = 0.05
    """Share of prompts that a reward which is not deterministic may pay wrongly."""
    strict: bool = False
    """Count refused ways to write the right answer as findings even where the data does not say form: value."""
    expect_correctness: bool = False
    """Fail with exit code 2 when the reward does not read the answer."""


def run_audit(command: AuditCommand, typed: str = "") -> int:
    """Audit what the command names, print the report, write the files.

    Args:
        command: what to do.
        typed: the command line as it was typed, for the report.
    """
    from trueward.audit.regression import compared, exit_code_against, read_baseline
    from trueward.audit.report import document_of
    from trueward.rewards.address import expand

    require_folders(command.json, command.html, command.write_tests)
    if not command.rewards:
        raise TruewardError(
            "name at least one reward, for example: trueward audit rewards.py:my_reward --data prompts.jsonl"
        )
    names = [name for reward in command.rewards for name in expand(reward)]
    if command.write_tests is not None and len(names) > 1:
        raise TruewardError(f"--write-tests writes the tests of one reward, and {len(names)} are named: audit one")
    if command.gold is not None and command.env is None:
        raise TruewardError("--gold says what is wanted of a policy, and needs an environment: give --env")
    if command.holdout is not None and command.images is None:
        raise TruewardError("--holdout is another scorer of images, and needs a folder of them: give --images")
    if command.images is not None and command.env is not None:
        raise TruewardError("--images audits rewards of images and --env rewards of control: give one of them")
    baseline = None if command.baseline is None else read_baseline(command.baseline)
    audits = _audits(names, command)
    if baseline is not None and command.baseline is not None:
        audits = compared(audits, baseline, command.baseline)
    document = document_of(audits, typed)
    if baseline is not None:
        document["exit_code"] = exit_code_against(audits)
    _show(document, command, names)
    _write(document, command)
    return document["exit_code"]


def _audits(names: list[str], command: AuditCommand) -> list[Audit]:
    from trueward.audit.api import Settings

    if command.env is not None:
        from trueward.cli.control_audit import control_audits

        return control_audits(names, command)
    if command.images is not None:
        from trueward.cli.image_audit import image_audits

        return image_audits(names, command)
    names_of_settings = {setting.name for setting in dataclasses.fields(Settings)}
    settings = Settings(**{k: v for k, v in dataclasses.asdict(command).items() if k in names_of_settings})
    if len(names) > 1:
        return _many(names, command, settings)
    report = _one(names[0], command, settings)
    if command.write_tests is not None:
        _write_tests(report, command.write_tests)
    return [report.audit]


def _show(document: Document, command: AuditCommand, names: Sequence[str]) -> None:
    if command.format == "github":
        from trueward.report.github import render_github, write_step_summary
        from trueward.rewards.source import place_of

        root = Path(os.environ.get("GITHUB_WORKSPACE", ""))
        places = {shown(name): place for name in names if (place := place_of(name, root)) is not None}
        print(render_github(document, places), end="")
        write_step_summary(document)
        return
    from trueward.report.terminal import render

    render(document, Console(), report_path=str(command.html) if command.html else None)


def _write(document: Document, command: AuditCommand) -> None:
    if command.json is not None:
        from trueward.report.json_file import write_json

        write_json(document, command.json)
    if command.html is not None:
        from trueward.report.html import write_html

        write_html(document, command.html)


def _write_tests(report: Report, path: Path) -> None:
    from trueward.audit.written_tests import write_tests

    count = write_tests(report, path)
    said = f"{count} tests written to {path}" if count else f"nothing to write to {path}: the reward is clean"
    Console(stderr=True).print(said, markup=False, highlight=False, soft_wrap=True)


def _one(name: str, command: AuditCommand, settings: Settings) -> Report:
    from trueward.audit.api import audit_subject
    from trueward.audit.subjects import subject_of

    subject = subject_of(name, _data(command), settings.prompts, **command.columns)
    runner = subject.start(settings.workers, settings.deadline, settings.memory_mb)
    try:
        with bar(Console(stderr=True)) as shown_bar:
            task = shown_bar.add_task(subject.name, total=None)

            def progress(stage: str, done: int, total: int) -> None:
                shown_bar.update(task, description=f"{subject.name}: {stage}", completed=done, total=total)

            return audit_subject(subject, runner, settings, progress)
    finally:
        runner.close()


def _many(names: list[str], command: AuditCommand, settings: Settings) -> list[Audit]:
    from trueward.audit.subjects import subject_of

    data = _data(command)
    return audit_all(
        [(shown(name), partial(subject_of, name, data, settings.prompts, **command.columns)) for name in names],
        settings,
    )


def _data(command: AuditCommand) -> object:
    """The user's data; without any, the prompts and references of the log."""
    if command.data is not None or command.rollouts is None:
        return command.data
    from trueward.audit.logs import rows_of_log

    return rows_of_log(command.rollouts)


def audit_all(subjects: Sequence[tuple[str, Callable[[], Subject]]], settings: Settings) -> list[Audit]:
    """Audit several rewards side by side, with a progress bar on standard error; see `audit.many.audit_many`."""
    from trueward.audit.many import audit_many

    with bar(Console(stderr=True)) as shown_bar:
        task = shown_bar.add_task("auditing", total=len(subjects))
        return audit_many(
            subjects,
            settings,
            progress=lambda name, done, total: shown_bar.update(task, description=f"auditing {name}"),
            finished=lambda audit: shown_bar.advance(task),
        )
