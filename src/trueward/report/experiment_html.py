"""An experiment as one self-contained page: verdict, claims as a forest, curves, arms, tuning, samples, settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from trueward.report import experiment_figures, experiment_images, experiment_words
from trueward.report.atomic import write_whole
from trueward.report.embedded import script_data, within_size
from trueward.report.escape import visible
from trueward.report.experiment_curves import against_kl, arm_curves
from trueward.report.experiment_document import ExperimentDocument, StatementResult
from trueward.report.page import asset, content_policy, environment
from trueward.report.wording import number

_SAMPLE_FIELDS = ("arm", "seed", "step", "picked", "prompt", "completion", "proxy", "gold")


def render_experiment(document: ExperimentDocument, sheets: Mapping[str, bytes] | None = None) -> str:
    """The page.

    Args:
        document: of one experiment, finished or not.
        sheets: arm → a PNG file with what it makes, where it makes images.

    Returns:
        HTML that can be encoded as UTF-8.
    """
    own = ("images.css",) if sheets else ()
    style = asset("palette.css", "chart.css", "report.css", "forest.css", "experiment.css", *own)
    script = asset("elements.js", "experiment.js")
    over_steps = [arm_curves(arm) for arm in document["arms"]]
    return (
        environment()
        .get_template("experiment.html.j2")
        .render(
            e=experiment_words,
            f=experiment_figures,
            document=document,
            forest=_by_metric(document["claims"]),
            conditions=_by_metric(document["preconditions"]),
            curves={"steps": over_steps, "KL": [against_kl(curves) for curves in over_steps]},
            samples=sum(len(arm["samples"]) for arm in document["arms"]),
            sheets=[(name, experiment_images.shown(name, sheet)) for name, sheet in (sheets or {}).items()],
            policy=content_policy(style, script, images=bool(sheets)),
            style=Markup(style),
            script=Markup(script),
            data=script_data(_browsable(document)),
        )
    )


def write_experiment_html(
    document: ExperimentDocument, path: str | Path, sheets: Mapping[str, bytes] | None = None
) -> None:
    """Write the page; the file appears whole or not at all.

    Args:
        document: of one experiment.
        path: the file.
        sheets: as in `render_experiment`.

    Raises:
        OSError: when the file cannot be written.
    """
    write_whole(Path(path), render_experiment(document, sheets).encode())


def _by_metric(
    statements: Sequence[StatementResult],
) -> list[tuple[experiment_figures.ForestScale, list[StatementResult]]]:
    """Statements about one metric together, with the scale that they share, in the order of the first of each."""
    groups: dict[str, list[StatementResult]] = {}
    for statement in statements:
        groups.setdefault(statement["metric"], []).append(statement)
    return [(experiment_figures.forest_scale(group), group) for group in groups.values()]


def _browsable(document: ExperimentDocument) -> dict[str, Any]:
    """Every sample for the script of the page: `texts` holds each text once, samples hold positions in it."""
    texts: dict[str, int] = {}
    rows = []
    for place, arm in enumerate(document["arms"]):
        for sample in arm["samples"]:
            prompt, completion = (texts.setdefault(sample[key], len(texts)) for key in ("prompt", "completion"))
            said = [number(sample["proxy"]), number(sample["gold"])]
            picked = visible(sample["picked"], 60)
            rows.append([place, sample["seed"], sample["step"], picked, prompt, completion, *said])
    limit, shown = within_size(texts)
    arms = [visible(arm["name"], 80) for arm in document["arms"]]
    return {"arms": arms, "limit": limit, "fields": _SAMPLE_FIELDS, "texts": shown, "samples": rows}
