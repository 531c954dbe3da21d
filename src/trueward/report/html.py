"""The audit as one self-contained page: opens from disk, asks the network for nothing, runs nothing it was given."""

from __future__ import annotations

from pathlib import Path

from markupsafe import Markup

from trueward.report import control_runs, figures, image_runs, sentences, wording
from trueward.report.atomic import write_whole
from trueward.report.document import Audit, Document
from trueward.report.embedded import browsable, examples_of, script_data
from trueward.report.page import asset, content_policy, environment
from trueward.report.vocabulary import vocabulary_of


def render_html(document: Document) -> str:
    """The page.

    Args:
        document: one audit, many, or none and at least one curve.

    Returns:
        HTML that can be encoded as UTF-8.
    """
    audits = document["audits"]
    pictured = image_runs.has_images(audits)
    own = ("forest.css", "images.css") if pictured else ()
    style, script = asset("palette.css", "chart.css", "report.css", *own), asset("elements.js", "report.js")
    page = environment().get_template("report.html.j2")
    positions = {id(audit): index for index, audit in enumerate(audits)}
    return page.render(
        s=sentences,
        figures=figures,
        runs=control_runs,
        pictures=image_runs,
        kept_ids=_kept_ids,
        document=document,
        audits=audits,
        ordered=wording.worst_first(audits),
        position=lambda audit: positions[id(audit)],
        telling=wording.telling_of(document)[:3],
        curves_headline=_curves_headline(document),
        kinds=list(dict.fromkeys(vocabulary_of(audit) for audit in audits)),
        policy=content_policy(style, script, images=pictured),
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


def _kept_ids(audit: Audit) -> frozenset[str]:
    """Ids of the probes that a reader can look at."""
    return frozenset(example["id"] for example in examples_of(audit))


def _curves_headline(document: Document) -> str:
    """The first line of a page that holds curves and no audit."""
    curves = document["curves"]
    if len(curves) == 1:
        return f"Gold is highest at n = {curves[0]['peak']:,}"
    return f"{wording.counted(len(curves), 'curve')} of proxy and gold under best-of-n"
