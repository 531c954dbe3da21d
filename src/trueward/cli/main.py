"""Which command was meant, and how it ends."""

from __future__ import annotations

import os
import shlex
import sys

import tyro
from rich.console import Console

from trueward.cli.audit import AuditCommand, run_audit
from trueward.cli.curve import CurveCommand, run_curve
from trueward.cli.distance import DistanceCommand, run_distance
from trueward.cli.evidence import EvidenceCommand, run_evidence
from trueward.cli.harden import HardenCommand, run_harden
from trueward.cli.list import ListCommand, run_list
from trueward.cli.run import RunCommand, run_run
from trueward.cli.show import ShowCommand, run_show
from trueward.cli.watch import WatchCommand, run_watch
from trueward.errors import TruewardError
from trueward.rewards.address import shown


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code.

    Args:
        arguments: without the program's name; by default those of the process.
    """
    given = sys.argv[1:] if arguments is None else arguments
    command = tyro.extras.subcommand_cli_from_dict(
        {
            "audit": AuditCommand,
            "curve": CurveCommand,
            "distance": DistanceCommand,
            "harden": HardenCommand,
            "watch": WatchCommand,
            "list": ListCommand,
            "show": ShowCommand,
            "run": RunCommand,
            "evidence": EvidenceCommand,
        },
        args=given,
        prog="trueward",
        description="Rewards that stay true under optimisation.",
    )
    console = Console(stderr=True)
    try:
        return _run(command, f"trueward {shlex.join(shown(text) for text in given)}")
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


Command = (
    AuditCommand
    | CurveCommand
    | DistanceCommand
    | HardenCommand
    | WatchCommand
    | ListCommand
    | ShowCommand
    | RunCommand
    | EvidenceCommand
)


def _run(command: Command, typed: str) -> int:
    match command:
        case AuditCommand():
            return run_audit(command, typed)
        case CurveCommand():
            return run_curve(command, typed)
        case DistanceCommand():
            return run_distance(command, typed)
        case HardenCommand():
            return run_harden(command)
        case WatchCommand():
            return run_watch(command, typed)
        case ListCommand():
            return run_list(command)
        case ShowCommand():
            return run_show(command)
        case RunCommand():
            return run_run(command, typed)
        case EvidenceCommand():
            return run_evidence(command)
