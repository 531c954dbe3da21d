"""What every page is made with: its style and script, the policy that allows only these, and the templates.

Three things keep foreign text inert: every expression of a template is made visible and escaped; the scripts set
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

from trueward.report import charts, wording
from trueward.report.escape import pieces, visible
from trueward.report.vocabulary import vocabulary_of

_TEMPLATES = Path(__file__).with_name("templates")


def asset(*names: str) -> str:
    """Our own styles or scripts, one after the other, as they stand between their tags."""
    return "".join((_TEMPLATES / name).read_text(encoding="utf-8") for name in names)


def content_policy(style: str, script: str, *, images: bool = False) -> str:
    """The content security policy of a page with this style and this script: nothing else may load or run.

    Args:
        style, script: as they stand between their tags.
        images: whether the page holds images; then those that are written into it may be shown, and no others.
    """
    shown = "img-src data:; " if images else ""
    return (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; {shown}"
        "base-uri 'none'; form-action 'none'"
    )


@cache
def environment() -> Environment:
    """Where templates come from; every template has `w` (wording), `charts`, `pieces` and `vocabulary_of`."""
    made = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_harmless,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.update(w=wording, charts=charts, pieces=pieces, vocabulary_of=vocabulary_of)
    return made


def _hash(content: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()


def _harmless(value: Any) -> Any:
    """What every expression of a template goes through before it is escaped."""
    return value if isinstance(value, Markup) else visible(str(value), multiline=True)
