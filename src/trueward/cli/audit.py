"""The command line: `trueward audit`."""

from __future__ import annotations

import dataclasses
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from trueward.errors import TruewardError

if TYPE_CHECKING:
    from trueward.audit.api import Settings
    from trueward.audit.subjects import Subject
    from trueward.report.document import Audit


@dataclass(frozen=True)
class AuditCommand:
    """Find out what a reward pays that it should not, and how it fails, before training against it.

    Exit code: 0 clean, 1 findings, 2 could not be audited.
    """

    rewards: tyro.conf.Positional[tuple[str, ...]]
    """Addresses: file.py:name, package.module:name, module:factory(k=3), reasoning_gym:NAME, 'reasoning_gym:*'."""

    data: Path | None = None
    """Prompts with answers: .jsonl, .json, .csv, .tsv or .parquet. Not needed for reasoning-gym sets."""
    prompts: int | None = None
    """Audit at most this many prompts (reasoning-gym sets: 20 unless given)."""
    json: Path | None = None
    """Write the audit as JSON."""
    html: Path | None = None
    """Write one self-contained HTML report."""

    template: str | None = None
    """Format of an answer, with {answer} once; instead of finding the format."""
    prompt_column: str | None = None
    """Column that holds the prompt."""
    answer_column: str | None = None
    """Column that holds the reference answer."""
    answer_type: (
        Literal["int", "number", "expression", "choice", "word", "list", "set", "grid", "code", "free"] | None
    ) = None
    """What an answer is; without it only what is wrong under every type counts as wrong."""
    answer_form: Literal["value", "verbatim"] | None = None
    """value: every way to write it must be paid. verbatim: the string itself is asked for."""
    answer_tolerance: float | None = None
    """Absolute difference up to which two numbers are the same answer."""
    many_answers: bool = False
    """Other answers than the reference may be right."""

    deadline: float = 5.0
    """Seconds that one call of the reward may take."""
    workers: Annotated[int, tyro.conf.arg(help_behavior_hint="(default: number of cores, at most 8)")] = field(
        default_factory=lambda: max(1, min(8, os.cpu_count() or 1))
    )
    """Worker processes."""
    memory_mb: int = 2048
    """Resident memory of one worker, in MiB."""
    tolerance: float = 0.05
    """Share of prompts that a reward which is not deterministic may pay wrongly."""
    strict: bool = False
    """Count refused ways to write the right answer as findings even where the data does not say form: value."""
    expect_correctness: bool = False
    """Fail with exit code 2 when the reward does not read the answer."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code.

    Args:
        arguments: without the program's name; by default those of the process.
    """
    given = sys.argv[1:] if arguments is None else arguments
    command = tyro.extras.subcommand_cli_from_dict(
        {"audit": AuditCommand},
        args=given,
        prog="trueward",
        description="Rewards that stay true under optimisation.",
    )
    console = Console(stderr=True)
    try:
        return run_audit(command, f"trueward {shlex.join(given)}")
    except TruewardError as error:
        console.print("trueward:", str(error), style=None, markup=False, highlight=False, soft_wrap=True)
        return 2
    except BrokenPipeError:
        # Whoever read our output has gone; a second attempt to write at exit must not complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 2
    except KeyboardInterrupt:
        console.print("trueward: interrupted", markup=False)
        return 130


def run_audit(command: AuditCommand, typed: str = "") -> int:
    """Audit what the command names, print the report, write the files.

    Args:
        command: what to do.
        typed: the command line as it was typed, for the report.
    """
    from trueward.audit.api import Settings
    from trueward.audit.report import document_of, exit_code_of
    from trueward.report.terminal import render
    from trueward.rewards.address import expand

    for path in (command.json, command.html):
        if path is not None and not path.resolve().parent.is_dir():
            raise TruewardError(f"{path}: the folder {path.resolve().parent} does not exist")
    if not command.rewards:
        raise TruewardError(
            "name at least one reward, for example: trueward audit rewards.py:my_reward --data prompts.jsonl"
        )
    names = [name for reward in command.rewards for name in expand(reward)]
    names_of_settings = {setting.name for setting in dataclasses.fields(Settings)}
    settings = Settings(**{k: v for k, v in dataclasses.asdict(command).items() if k in names_of_settings})
    audits = _one(names[0], command, settings) if len(names) == 1 else _many(names, command, settings)
    document = document_of(audits, typed)
    render(document, Console(), report_path=str(command.html) if command.html else None)
    if command.json is not None:
        from trueward.report.json_file import write_json

        write_json(document, command.json)
    if command.html is not None:
        from trueward.report.html import write_html

        write_html(document, command.html)
    return exit_code_of(audits)


def _columns(command: AuditCommand) -> dict[str, Any]:
    return {
        "prompt_column": command.prompt_column,
        "answer_column": command.answer_column,
        "answer_type": command.answer_type,
        "answer_form": command.answer_form,
        "answer_tolerance": command.answer_tolerance,
        "unique": False if command.many_answers else None,
    }


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        TextColumn("{task.completed}/{task.total}"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    )


def _one(name: str, command: AuditCommand, settings: Settings) -> list[Audit]:
    from trueward.audit.api import audit_subject
    from trueward.audit.subjects import subject_of

    subject = subject_of(name, command.data, settings.prompts, **_columns(command))
    runner = subject.start(settings.workers, settings.deadline, settings.memory_mb)
    try:
        with _bar(Console(stderr=True)) as bar:
            task = bar.add_task(name, total=None)

            def progress(stage: str, done: int, total: int) -> None:
                bar.update(task, description=f"{name}: {stage}", completed=done, total=total)

            return [audit_subject(subject, runner, settings, progress).audit]
    finally:
        runner.close()


def _many(names: list[str], command: AuditCommand, settings: Settings) -> list[Audit]:
    from trueward.audit.subjects import subject_of

    columns = _columns(command)
    return audit_all(
        [(name, partial(subject_of, name, command.data, settings.prompts, **columns)) for name in names], settings
    )


def audit_all(subjects: Sequence[tuple[str, Callable[[], Subject]]], settings: Settings) -> list[Audit]:
    """Audit several rewards side by side, with a progress bar on standard error; see `audit.many.audit_many`."""
    from trueward.audit.many import audit_many

    with _bar(Console(stderr=True)) as bar:
        task = bar.add_task("auditing", total=len(subjects))
        return audit_many(
            subjects,
            settings,
            progress=lambda name, done, total: bar.update(task, description=f"auditing {name}"),
            finished=lambda audit: bar.advance(task),
        )


if __name__ == "__main__":
    sys.exit(main())
