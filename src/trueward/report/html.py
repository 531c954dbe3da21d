"""The audit as one self-contained page: opens from disk, asks the network for nothing, and runs nothing it was given.

Three things keep foreign text inert: every expression of the template is made visible and escaped; the script sets
text, never markup; and the page's content security policy allows only the style and the script that came with it, by
their hashes.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from trueward.report import charts, figures, sentences, wording
from trueward.report.atomic import write_whole
from trueward.report.document import Audit, Document
from trueward.report.embedded import browsable, examples_of, script_data
from trueward.report.escape import pieces, visible

_TEMPLATES = Path(__file__).with_name("templates")


def render_html(document: Document) -> str:
    """The page.

    Args:
        document: one audit, many, or none and at least one curve.

    Returns:
        HTML that can be encoded as UTF-8.
    """
    style, script = _asset("report.css"), _asset("report.js")
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    page = _environment().get_template("report.html.j2")
    audits = document["audits"]
    positions = {id(audit): index for index, audit in enumerate(audits)}
    return page.render(
        document=document,
        audits=audits,
        ordered=wording.worst_first(audits),
        position=lambda audit: positions[id(audit)],
        telling=wording.telling_of(document)[:3],
        curves_headline=_curves_headline(document),
        policy=policy,
        style=Markup(style),
        script=Markup(script),
        data=script_data(browsable(document)),
    )


def write_html(document: Document, path: str | Path) -> None:
    """Write the page.

    Args:
        document: one audit or many.
        path: the file; it appears whole or not at all.

    Raises:
        OSError: when the file cannot be written.
    """
    write_whole(Path(path), render_html(document).encode())


def _asset(name: str) -> str:
    """Our own style or script, as it stands between its tags."""
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def _hash(content: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_harmless,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        w=wording, s=sentences, charts=charts, figures=figures, pieces=pieces, kept_ids=_kept_ids
    )
    return environment


def _harmless(value: Any) -> Any:
    """What every expression of the template goes through before it is escaped."""
    return value if isinstance(value, Markup) else visible(str(value), multiline=True)


def _kept_ids(audit: Audit) -> frozenset[str]:
    """Ids of the probes that a reader can look at."""
    return frozenset(example["id"] for example in examples_of(audit))


def _curves_headline(document: Document) -> str:
    """The first line of a page that holds curves and no audit."""
    curves = document["curves"]
    if len(curves) == 1:
        return f"Gold is highest at n = {curves[0]['peak']:,}"
    return f"{wording.counted(len(curves), 'curve')} of proxy and gold under best-of-n"
