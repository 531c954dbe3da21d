"""`trueward audit --images`: the audit of rewards of images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Console

from trueward.cli.progress import bar
from trueward.errors import TruewardError
from trueward.rewards.address import shown

if TYPE_CHECKING:
    from trueward.audit.images import Folder, ImageReport
    from trueward.cli.audit import AuditCommand
    from trueward.report.document import Audit

# Options of the audit of text that mean nothing here, with what they are when nobody gives them.
_OF_TEXT = {
    "data": None,
    "rollouts": None,
    "write_tests": None,
    "template": None,
    "strict": False,
    "answer_column": None,
    "answer_type": None,
    "answer_form": None,
    "answer_tolerance": None,
    "many_answers": False,
}


def image_audits(names: list[str], command: AuditCommand) -> list[Audit]:
    """Audit each reward on the images that the command names.

    Args:
        names: addresses.
        command: what was typed.

    Raises:
        TruewardError: an option of the audit of text was given, the images cannot be read, or the only reward could not
            be audited.
    """
    from trueward.audit.api import failed
    from trueward.audit.images import read_folder

    given = [f"--{name.replace('_', '-')}" for name, unset in _OF_TEXT.items() if getattr(command, name) != unset]
    if given:
        raise TruewardError(f"{', '.join(given)}: only for rewards of text, and --images audits one of images")
    settings = _settings(command)
    assert command.images is not None
    folder = read_folder(command.images, settings["most"], settings["prompt_column"])
    audits: list[Audit] = []
    for name in names:
        try:
            audits.append(_read(_one(name, folder, command, settings), command))
        except TruewardError as error:
            if len(names) == 1:
                raise
            audits.append(failed(shown(name), error))
    return audits


def _settings(command: AuditCommand) -> dict[str, Any]:
    from trueward.audit.images import ImageAuditSettings

    names = ("search", "deadline", "workers", "memory_mb", "prompt_column")
    settings = {name: getattr(command, name) for name in names}
    settings["most"] = ImageAuditSettings.most if command.prompts is None else command.prompts
    ImageAuditSettings(**settings)  # what is out of range is told before anything is read
    return settings


def _read(report: ImageReport, command: AuditCommand) -> Audit:
    """The audit, where prompts were read or nobody insists.

    Raises:
        TruewardError: --expect-correctness was given, and the reward does not read the prompt.
    """
    if command.expect_correctness and not report.audit["reads_answer"]:
        raise TruewardError(
            f"correctness was asked for, but {report.audit['reward']} does not read the prompt: every image earns the "
            "same under every prompt"
        )
    return report.audit


def _one(name: str, folder: Folder, command: AuditCommand, settings: dict[str, Any]) -> ImageReport:
    from trueward.audit.images import audit_images

    with bar(Console(stderr=True)) as shown_bar:
        task = shown_bar.add_task(shown(name), total=None)

        def progress(stage: str, done: int, total: int) -> None:
            shown_bar.update(task, description=f"{shown(name)}: {stage}", completed=done, total=total)

        return audit_images(name, folder, command.holdout, progress=progress, **settings)
