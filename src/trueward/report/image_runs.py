"""Audits of images in sentences and figures: what every change did, the best-paid images, how far the reward goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from trueward.report.charts import Axis, Panel, Series, line_chart, ticks_inside
from trueward.report.document import FOUND_BY_SEARCH, Audit, FamilyRow, ImageChange, ImageRun, ImageSheet
from trueward.report.experiment_document import StatementResult
from trueward.report.experiment_figures import ForestScale, forest_axis, forest_row
from trueward.report.wording import GROUPS, counted, number, percent

_WIDEST = 4.0  # spreads; what is larger stands at the edge of the drawing
_STATES = {"found": "bad", "fine": "good", "not tested": "untested"}


@dataclass(frozen=True)
class Family:
    """The changes of one family, the one that raises the reward most first.

    Attributes:
        row: the family as the document has it.
        state: "bad" (a finding), "good" or "untested".
        changes: its changes that were tested; () for what is no change of images.
    """

    row: FamilyRow
    state: str
    changes: tuple[ImageChange, ...]


def families_of(audit: Audit) -> list[tuple[str, list[Family]]]:
    """The families of an audit of images under their headings; headings without a family are left out."""
    found = {family for finding in audit["findings"] for family in finding["family"].split(", ")}
    groups = []
    for heading, relations in GROUPS:
        rows = [row for row in audit["families"] if row["relation"] in relations]
        if rows:
            groups.append((heading, [_family(row, row["family"] in found, audit["images"]) for row in rows]))
    return groups


def _family(row: FamilyRow, found: bool, run: ImageRun) -> Family:
    changes = [
        change for change in run["changes"] if change["family"] == row["family"] and change["state"] != "not tested"
    ]
    changes.sort(key=lambda change: -(change["gain"] or 0.0))
    state = "bad" if found else "untested" if row["not_tested"] else "good"
    return Family(row, state, tuple(changes))


def state_of(change: ImageChange) -> str:
    """The class of a change in the style sheet: "bad", "good" or "untested"."""
    return _STATES[change["state"]]


def gain_said(change: ImageChange) -> str:
    """What a change did: `+1.8 (1.2 to 2.4)`."""
    if change["gain"] is None:
        return number(None)
    ends = (
        "" if change["low"] is None or change["high"] is None else f" ({two(change['low'])} to {two(change['high'])})"
    )
    return f"{two(change['gain'])}{ends}"


def family_said(family: Family, run: ImageRun) -> str:
    """What a family did: its change that raises the reward most, or how far growth or a search went; "" for neither."""
    growth, climb = run["growth"], run["climb"]
    if family.changes:
        return gain_said(family.changes[0])
    if family.row["family"] == "growth" and growth is not None and growth["beyond"]:
        return two(growth["beyond"][-1])
    if family.row["family"] == FOUND_BY_SEARCH and climb is not None and climb["gain"]:
        return two(climb["gain"][-1])
    return ""


def holdout_said(change: ImageChange) -> str:
    """What the other scorer says of a change; "" without one."""
    return "" if change["holdout"] is None else two(change["holdout"])


def two(value: float | None) -> str:
    """A gain in spreads: two decimals below ten, with its sign."""
    if value is None:
        return number(None)
    rounded = round(value, 2 if abs(value) < 10 else 1)
    return f"+{number(rounded)}" if rounded > 0 else number(rounded)


def ran_said(run: ImageRun) -> list[str]:
    """How the reward was audited, in short phrases."""
    prompts = f", {counted(run['prompts'], 'prompt')}" if run["prompts"] else ", no prompts"
    said = [f"{counted(run['images'], 'image')} of {run['sizes']} pixels from {run['source']}{prompts}"]
    if run["spread"] is not None:
        said.append(
            f"one spread is {number(_short(run['spread']))}, {run['spread_said']}; the images as they are earn "
            f"{number(_short(run['mean']))} on average, the best one {number(_short(run['best']))}"
        )
    said.append(
        f"a change may raise the reward by {number(_short(run['room']))} spreads; what is worth nothing must lose "
        f"{number(run['loss'])}; all intervals hold together at 95 %"
    )
    if run["holdout"] is not None:
        said.append(f"held against {run['holdout']['name']}")
    return said


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.3g}")


def ledger_said(run: ImageRun) -> list[str]:
    """What the best-paid images look like, in sentences; [] where nothing is known."""
    ledger = run["ledger"]
    if ledger is None:
        return []
    said = []
    if ledger["diversity"] is not None and ledger["low"] is not None and ledger["high"] is not None:
        said.append(
            f"The {ledger['top']} best-paid images are {number(round(ledger['diversity'], 2))} times as far from each "
            f"other as all are ({number(round(ledger['low'], 2))} to {number(round(ledger['high'], 2))} for as many at "
            "random)."
        )
    if run["prompts"]:
        said.append(f"They are for {counted(ledger['prompts'], 'prompt')} of {run['prompts']:,}.")
    scored = sum(ledger["best_of_all"].values())
    own = ledger["best_of_all"].get("as it is", 0)
    if scored:
        others = [f"{family} {percent(count / scored)}" for family, count in ledger["best_of_all"].items()]
        said.append(
            f"Of the best-paid tenth of all that was scored, {percent(own / scored)} are images as they are "
            f"({', '.join(one for one in others if not one.startswith('as it is'))})."
            if own < scored
            else "The best-paid tenth of all that was scored are images as they are."
        )
    return said


def growth_said(run: ImageRun) -> str:
    """How far the best-paid images were raised; "" where they were not."""
    growth = run["growth"]
    if growth is None or not growth["rounds"]:
        return ""
    said = (
        f"The {growth['images']} best-paid images, changed {growth['rounds'][-1]} times by a little, whatever was "
        f"paid: at the end {two(growth['beyond'][-1])} spreads on average, {growth['far']} of "
        f"{growth['images']} far above where they began."
    )
    if growth["boundary"] is not None:
        when = f"after {counted(growth['boundary'], 'round')}" if growth["boundary"] else "at the beginning"
        said += f" The corrected score is highest {when}, and ends lower while the reward has risen."
    return said


def growth_chart(run: ImageRun, name: str) -> Markup:
    """Reward, other scorer and corrected score over the rounds; an empty string where nothing was raised.

    Args:
        run: of the audit.
        name: the beginning of the element ids; unique on the page.
    """
    growth = run["growth"]
    if growth is None or len(growth["rounds"]) < 2:
        return Markup("")
    rounds = [float(one) for one in growth["rounds"]]
    panels = [Panel("gain (spreads)", (Series("proxy", growth["beyond"]),))]
    if growth["holdout"]:
        panels.append(Panel("other scorer (spreads)", (Series("gold", growth["holdout"]),)))
    if growth["corrected"]:
        panels.append(Panel("corrected score", (Series("plain", growth["corrected"]),)))
    return line_chart(
        rounds,
        panels,
        Axis("rounds", ticks_inside(rounds, whole=True)),
        name=name,
        title="The reward of the best-paid images, changed step by step",
        description=growth_said(run),
    )


def drawn(change: ImageChange, run: ImageRun) -> Markup:
    """The interval of a gain over the gains that a sound reward may show. Its numbers must stand beside it."""
    limit = run["room"] if change["relation"] == "no_gain" else -run["loss"]
    statement = StatementResult(
        text="",
        kind="less",
        metric="gain",
        a=change["family"],
        b="as it is",
        mean=change["gain"],
        low=change["low"],
        high=change["high"],
        by=-limit,
        margin=0.0,
        state="fails" if change["state"] == "found" else "holds",
        seeds=change["tested"],
    )
    return forest_row(statement, _SCALE)


_SCALE = ForestScale(-_WIDEST, _WIDEST)


def axis() -> Markup:
    """The axis below the gains."""
    return forest_axis(_SCALE)


def picture(sheet: ImageSheet) -> Markup:
    """A sheet as an image inside the page."""
    return Markup('<img class="sheet" src="data:image/png;base64,{}" alt="{}">').format(sheet["png"], sheet["title"])


def has_images(audits: Sequence[Audit]) -> bool:
    """Whether one of them is of images."""
    return any("images" in audit for audit in audits)
