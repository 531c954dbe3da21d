"""`trueward curve`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from trueward.cli.data_options import require_folders


@dataclass(frozen=True)
class CurveCommand:
    """What optimising for a reward by best-of-n earns, exactly: expected proxy and gold for every n.

    Exit code: 0, or 2 when the samples cannot be read.
    """

    samples: tyro.conf.Positional[Path]
    """Samples with both scores: .parquet, .jsonl or .json, or a folder of them; several samples of each prompt."""
    proxy: str
    """Column of the reward that is optimised."""
    gold: str
    """Column of what is really wanted."""
    n: tuple[int, ...] = ()
    """Numbers of samples; by default powers of two."""
    json: Path | None = None
    """Write the curve as JSON."""
    html: Path | None = None
    """Write one self-contained HTML page."""


def run_curve(command: CurveCommand, typed: str = "") -> int:
    """Print the curve, write the files.

    Args:
        command: what to do.
        typed: the command line as it was typed, for the report.
    """
    from trueward.audit.curves import curve_of
    from trueward.audit.report import document_of
    from trueward.report.curve_terminal import curve_lines

    require_folders(command.json, command.html)
    curve = curve_of(command.samples, command.proxy, command.gold, command.n or None)
    print("\n".join(curve_lines(curve)))
    document = document_of([], typed, curves=[curve])
    if command.json is not None:
        from trueward.report.json_file import write_json

        write_json(document, command.json)
    if command.html is not None:
        from trueward.report.html import write_html

        write_html(document, command.html)
    return 0
