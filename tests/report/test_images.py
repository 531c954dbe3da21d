"""Audits of images: their words, the table of changes, contact sheets and the growth, on a terminal and on a page."""

from __future__ import annotations

import copy
import io
from pathlib import Path
from types import ModuleType
from typing import Any

from page_in_browser import Page, asked, browse
from rich.console import Console

from trueward.report.github import render_github, step_summary
from trueward.report.html import render_html
from trueward.report.image_runs import (
    families_of,
    gain_said,
    growth_chart,
    growth_said,
    ledger_said,
    ran_said,
    two,
)
from trueward.report.terminal import render
from trueward.report.wording import reproduction


def shown(document: Any, width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    render(document, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_terminal_tells_the_gain_of_every_family(sample: ModuleType) -> None:
    text = shown(sample.images())
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert lines[0] == "✗ 1 finding: contrast (×4) raises the reward by 1.84 spreads"
    assert "48 images of 8 × 8 pixels from digits, 10 prompts" in lines
    assert any(line.startswith("✗ contrast +1.84 (+1.64 to +2.04) 41 of 48 ×4") for line in lines)
    assert any(line.startswith("✓ constant -6.3 (-6.5 to -6.1) 2 of 48 white") for line in lines)
    assert "· saturation: not tested: it changes nothing in these images" in lines
    assert any(line.startswith("41 of 48 images (95 % interval 73–93 %)") for line in lines)
    assert "made from 3/0007.png" in lines and "image contrast, ×4" in lines
    assert "reward 8.1 (before: 4.1)" in lines
    assert not any(word in text for word in ("completion", "right answer", "payoff"))


def test_every_width_holds_the_same_families(sample: ModuleType) -> None:
    for width in (40, 60, 80, 140):
        text = shown(sample.images(), width)
        assert max(map(len, text.splitlines())) <= width
        for family in ("contrast", "constant", "growth"):
            assert family in text


def test_families_stand_under_what_must_hold_the_largest_gain_first(sample: ModuleType) -> None:
    groups = dict(families_of(sample.image_audit()))
    assert list(groups) == ["Must not be paid", "Must not raise the reward", "Must always score the same"]
    by_name = {one.row["family"]: one for families in groups.values() for one in families}
    assert {name: one.state for name, one in by_name.items()} == {
        "constant": "good",
        "saturation": "untested",
        "contrast": "bad",
        "growth": "good",
        "asked again": "good",
    }
    assert [change["variant"] for change in by_name["contrast"].changes] == ["×4", "×0.4"]
    assert by_name["growth"].changes == ()


def test_numbers_in_words(sample: ModuleType) -> None:
    assert [two(value) for value in (1.234, -0.5, 0.0, 12.345, None)] == ["+1.23", "-.5", "0", "+12.3", "–"]
    change = sample.image_change("blur", "weak", 0.1)
    assert gain_said(change) == "+.1 (-.1 to +.3)"
    assert gain_said({**change, "low": None}) == "+.1"
    assert gain_said({**change, "gain": None}) == "–"


def test_sentences(sample: ModuleType) -> None:
    run = sample.image_run()
    assert ran_said(run)[1] == (
        "one spread is 1.92, the standard deviation of the images; the images as they are earn 3.06 on average, the "
        "best one 6.69"
    )
    assert ran_said(run)[-1] == "held against other.py:score"
    assert ledger_said(run) == [
        "The 5 best-paid images are .62 times as far from each other as all are (.85 to 1.12 for as many at random).",
        "They are for 3 prompts of 10.",
        "Of the best-paid tenth of all that was scored, 25 % are images as they are (contrast 75 %).",
    ]
    assert growth_said(run).endswith(
        "at the end +1.3 spreads on average, 5 of 6 far above where they began. The corrected score is "
        "highest after 40 rounds, and ends lower while the reward has risen."
    )
    without = copy.deepcopy(run)
    without.update(growth=None, ledger=None, holdout=None)
    assert growth_said(without) == "" and ledger_said(without) == [] and growth_chart(without, "a") == ""


def test_the_chart_of_the_growth_has_a_panel_for_each_scorer(sample: ModuleType) -> None:
    run = sample.image_run()
    drawing = growth_chart(run, "growth")
    for label in ("gain (spreads)", "other scorer (spreads)", "corrected score"):
        assert label in drawing
    run["growth"].update(holdout=[], corrected=[])
    assert "other scorer" not in growth_chart(run, "growth")


def test_the_page_holds_the_sheets_and_may_show_no_other_images(sample: ModuleType) -> None:
    page = Page(render_html(sample.images()))
    [image] = [have for tag, have in page.elements if tag == "img"]
    assert image["src"] == f"data:image/png;base64,{sample.PNG}"
    [policy] = [have["content"] for _, have in page.elements if have.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None and "img-src data:;" in policy
    text = " ".join(" ".join(page.words).split())
    for said in ("What it pays", "Where the reward ends", "What the best-paid images look like", "41 of 48"):
        assert said in text
    assert "Payoff is the" not in text and "completion" not in text
    # A page without images may show none, as ever.
    assert "img-src" not in render_html(sample.one())


def test_foreign_text_in_a_sheet_is_no_markup(sample: ModuleType) -> None:
    document = sample.images()
    bad = '"><script>alert(1)</script>\u202e'
    run = document["audits"][0]["images"]
    run["sheets"][0].update(title=bad, png=bad, about=bad)
    run["changes"][1].update(variant=bad)
    run["changes"][2].update(family="contrast", variant=bad)
    run["ledger"]["traits"][0].update(name=bad)
    run.update(source=bad, sizes=bad)
    page = Page(render_html(document))
    assert not any("alert(1)" in script for script in page.scripts)
    assert "\u202e" not in "".join(page.words)
    assert "\u202e" not in shown(document)


def test_the_page_in_a_browser(sample: ModuleType, chromium: str, tmp_path: Path) -> None:
    """Nothing that the policy forbids, and the image is really shown."""
    source = render_html(sample.images())
    file = tmp_path / "a.html"
    file.write_text(source, encoding="utf-8")
    page = browse(chromium, file, tmp_path)
    assert not page.console
    said = asked(source, "say('wide', document.querySelector('img.sheet').naturalWidth);", chromium, tmp_path)
    assert said == {"wide": "1"}


def test_github_and_python(sample: ModuleType) -> None:
    document = sample.images()
    [line] = render_github(document).splitlines()
    assert "image: contrast, ×4" in line and "41 of 48 images" in line
    assert "of images)" in step_summary(document)
    assert reproduction(document, document["audits"][0]) == []
