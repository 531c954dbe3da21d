"""`trueward audit --env`: the audit of rewards of control."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from rich.console import Console

from trueward.cli.progress import bar
from trueward.errors import TruewardError
from trueward.rewards.address import shown

if TYPE_CHECKING:
    from trueward.audit.control import ControlAuditSettings, ControlReport
    from trueward.cli.audit import AuditCommand
    from trueward.report.document import Audit

# Options of the audit of text that mean nothing here, with what they are when nobody gives them.
_OF_TEXT = {
    "data": None,
    "prompts": None,
    "search": 0,
    "rollouts": None,
    "write_tests": None,
    "template": None,
    "strict": False,
    "expect_correctness": False,
}


def control_audits(names: list[str], command: AuditCommand) -> list[Audit]:
    """Audit each reward in the environment that the command names.

    Args:
        names: addresses; "environment" is what the environment itself pays.
        command: what was typed.

    Raises:
        TruewardError: an option of the audit of text was given, or the only reward could not be audited.
    """
    from trueward.audit.api import failed
    from trueward.audit.control import ControlAuditSettings

    given = [f"--{name.replace('_', '-')}" for name, unset in _OF_TEXT.items() if getattr(command, name) != unset]
    if given:
        raise TruewardError(f"{', '.join(given)}: only for rewards of text, and --env audits one of control")
    fields = {field.name for field in dataclasses.fields(ControlAuditSettings)} - {"tolerance", "seed"}
    settings = ControlAuditSettings(**{name: getattr(command, name) for name in fields})
    audits: list[Audit] = []
    for name in names:
        try:
            audits.append(_one(name, command, settings).audit)
        except TruewardError as error:
            if len(names) == 1:
                raise
            audits.append(failed(shown(name), error))
    return audits


def _one(name: str, command: AuditCommand, settings: ControlAuditSettings) -> ControlReport:
    from trueward.audit.control import audit_control

    with bar(Console(stderr=True)) as shown_bar:
        task = shown_bar.add_task(shown(name), total=None)

        def progress(stage: str, done: int, total: int) -> None:
            shown_bar.update(task, description=f"{shown(name)}: {stage}", completed=done, total=total)

        return audit_control(name, command.env, command.gold, progress=progress, **dataclasses.asdict(settings))
