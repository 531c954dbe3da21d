"""The page of a watched run: complete without a script, inert in a real browser."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import watch_sample
from page_in_browser import DARK, NARROW, Page, asked, attacker_elements, browse, digest, without_policy

from trueward.report.watch_html import render_watch_page, write_watch_html


def test_what_was_found_comes_first_and_words_are_explained() -> None:
    page = Page(render_watch_page(watch_sample.document()))
    assert page.title == "Trueward: alarm at step 24"
    main = page.text.split("Skip to what was found")[1]
    order = ["✗ alarm", "gold is .30, the line .55", "The run so far", "What was found", "What this means", "Numbers"]
    assert [main.index(said) for said in order] == sorted(main.index(said) for said in order)
    for expected in (
        "runs/sums/seed-0",
        "step 40 of 100, 2,560 completions; trueward rollouts, reward: reward; gold: as the run logged it, 8 checks a",
        "completion It is 3. It is 4. reward .95 gold 0 why pays twice",
        "reward – gold 0",
        "? hint step 15, length completions are twice as long",
        "at most 5 %",
        "16 completions were logged again",
        "exit code 1; it is 1 from the first alarm on",
        "trueward watch runs/sums/seed-0",
    ):
        assert expected in main
    assert main.index("step 24, gold probe") < main.index("step 15, length")
    # Reward over gold, then length, two parts and a status.
    assert len(page.find(**{"class": "chart"})) == 5
    assert len(page.find(**{"class": "line gold"})) == 2  # in the legend and in the chart
    ids = [have["id"] for _, have in page.elements if "id" in have]
    assert len(ids) == len(set(ids))
    assert len(page.scripts) == 0


def test_what_is_absent_is_not_drawn() -> None:
    waiting = Page(render_watch_page(watch_sample.empty()))
    assert waiting.find(**{"class": "chart"}) == []
    assert "The first step has not been logged." in waiting.text and "Step by step" not in waiting.text
    unchecked = watch_sample.document(notices=[], state="quiet", probe="none")
    for name in ("probe/gold", "probe/line", "gold"):
        del unchecked["series"][name]
    page = Page(render_watch_page(unchecked))
    assert "– not checked against gold" in page.text
    assert "there can be no alarm" in page.text
    assert page.find(**{"class": "line gold"}) == []
    assert "there can be no alarm" not in Page(render_watch_page(watch_sample.document())).text


def test_long_runs_are_thinned() -> None:
    steps = list(range(1, 5001))
    made = watch_sample.document(steps=steps, series={"reward": [float(step) for step in steps]})
    source = render_watch_page(made)
    assert len(source) < 200_000
    page = Page(source)
    assert "Step by step (200 of 5,000 steps)" in page.text
    rows = re.findall(r'<th scope="row" class="n">([\d,]+)</th>', source)
    assert (len(rows), rows[0], rows[-1]) == (200, "25", "5,000")
    [path] = [
        have["d"] for tag, have in page.elements if have.get("class") == "line proxy" and len(have["d"] or "") > 20
    ]
    assert path is not None and path.count("L") == 299


@pytest.mark.parametrize("policy", [True, False], ids=["with policy", "escaping alone"])
def test_hostile_text_is_inert_in_a_browser(policy: bool, chromium: str, tmp_path: Path) -> None:
    page = tmp_path / "watch.html"
    write_watch_html(watch_sample.hostile(), page)
    if not policy:
        page.write_text(without_policy(page.read_text(encoding="utf-8")), encoding="utf-8")
    seen = browse(chromium, page, tmp_path)
    assert seen.title == "Trueward: alarm at step 5"
    assert attacker_elements(seen) == []
    assert seen.scripts == [] and seen.console == []
    for text in ("<script>document.title='pwned'</script>", "{{7*7}} {% raw %} ${7*7}", "⟨U+202E⟩", "\\x1b"):
        assert text in seen.text


@pytest.mark.parametrize("flags", [(), (DARK,), (NARROW,)], ids=["light", "dark", "narrow"])
def test_the_page_is_as_wide_as_the_window_and_can_be_read(
    flags: tuple[str, ...], chromium: str, tmp_path: Path
) -> None:
    measure = """
    const light = (colour) => {
      const [r, g, b] = colour.match(/[0-9.]+/g).map((x) => Number(x) / 255)
        .map((x) => (x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4));
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const paper = light(getComputedStyle(document.body).backgroundColor);
    const contrast = (colour) => {
      const [low, high] = [light(colour), paper].sort((a, b) => a - b);
      return (high + 0.05) / (low + 0.05);
    };
    say("wide", document.documentElement.scrollWidth <= innerWidth);
    const said = [...document.querySelectorAll("h1 .verdict, article h3 b")].map((x) => getComputedStyle(x).color);
    say("words", Math.min(...said.map(contrast)) >= 4.5);
    const lines = [".proxy", ".gold", ".floor"]
      .map((role) => getComputedStyle(document.querySelector(`.chart .line${role}`)).stroke);
    say("lines", Math.min(...lines.map(contrast)) >= 3);
    say("colours", new Set(lines).size);
    """
    said = asked(render_watch_page(watch_sample.document()), measure, chromium, tmp_path, *flags)
    assert said == {"wide": "true", "words": "true", "lines": "true", "colours": "3"}


def test_the_page_allows_and_fetches_nothing_but_its_own() -> None:
    source = render_watch_page(watch_sample.hostile())
    page = Page(source)
    [policy] = [have["content"] for _, have in page.elements if have.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'" and rules["style-src"] == digest(page.styles[0])
    assert attacker_elements(page) == []
    assert not any("style" in have for _, have in page.elements)
    assert not re.search(r"url\(|@import|https?:", "".join(page.styles))
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]", source)
