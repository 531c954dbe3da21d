"""The page of an experiment: complete without the script, browsable with it, inert in a real browser."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import experiment_sample
import pytest
from page_in_browser import DARK, NARROW, Page, asked, attacker_elements, browse, digest, without_policy

from trueward.report.experiment_html import render_experiment, write_experiment_html


def hostile() -> Any:
    """Hostile text wherever a document has text."""
    made = experiment_sample.document()
    bad = " ".join(experiment_sample.HOSTILE)
    for field in ("title", "paper", "claim", "why", "notes", "at_scale", "command", "commit"):
        made[field] = bad
    for arm in made["arms"]:
        arm["name"] = arm["about"] = bad
        arm["differs"] = {bad: bad}
    for statement in (*made["claims"], *made["preconditions"]):
        statement["text"] = bad
    made["falsifiers"][0]["text"] = bad
    made["failures"] = [{"arm": bad, "seed": 0, "error": bad}]
    made["parts"], made["versions"], made["settings"] = [bad], {bad: bad}, {bad: bad}
    return made


def test_the_verdict_comes_first_and_everything_is_there_without_the_script() -> None:
    page = Page(render_experiment(experiment_sample.document()))  # type: ignore[arg-type]
    assert page.title == "Trueward: par, contradicted"
    main = page.text.split("Skip to the verdict")[1]
    assert main.index("✗ contradicted") < main.index("What was claimed") < main.index("Proxy and gold during")
    for expected in (
        "contradicted A sigmoid of the reward centred on a reference keeps gold up",
        "5 arms, 5 seeds, scale small",
        "“Contradicted” means that an interval lies wholly on the wrong side",
        "✓ holds gold(par) > gold(vanilla) difference .31 [.23, .39] over 5 seeds",
        "✗ fails gold(par) > gold(minmax) + 0.05 difference -.01 [-.03, .01] over 5 seeds",
        "? open |kl(par) − kl(vanilla)| ≤ 0.5",
        "✓ holds proxy(vanilla) > 0.6 difference from 0.6: .30 [.25, .35] over 5 seeds",
        "✓ not met Gold falls under the shaped reward as it does under the raw one.",
        "par sigmoid of the centred reward reward.transform=par, reward.k=3.0 method .66 .64 to .68",
        "par reward.k=3.0 .65 1000: .64, 1001: .66 ✓ chosen",
        "trueward evidence --only par commit 0123abcd seeds 0, 1, 2, 3, 4 scale small",
        "time of all runs 12 min 34 s versions python 3.11.2, trueward 0.1.0, torch 2.6.0",
        "train.steps 250",
        "GRPOTrainer(reward_funcs=reward)",
    ):
        assert expected in main
    # Five arms and two charts of all, against steps and against KL.
    assert len(page.find(**{"class": "chart"})) == 14
    ids = [have["id"] for _, have in page.elements if "id" in have]
    assert len(ids) == len(set(ids))


def test_what_is_absent_has_no_section() -> None:
    made = experiment_sample.document(preconditions=[], falsifiers=[], tuning=[], parts=[], notes="", at_scale="")
    for arm in made["arms"]:
        arm.update(curves={}, samples=[], metrics={})
    page = Page(render_experiment(made))  # type: ignore[arg-type]
    absent = (
        "Preconditions",
        "Would refute",
        "Tuning",
        "Samples",
        "during training",
        "failed",
        "The test bed",
        "At scale",
    )
    for unexpected in absent:
        assert unexpected not in page.text
    assert "Would refute" in Page(render_experiment(experiment_sample.document())).text  # type: ignore[arg-type]


def test_one_seed_has_no_ends_and_failures_are_named() -> None:
    made = experiment_sample.document(failures=[{"arm": "par", "seed": 3, "error": "ArithmeticError: broke"}])
    made["claims"][0].update(low=None, high=None, seeds=1, state="open")
    text = Page(render_experiment(made)).text  # type: ignore[arg-type]
    assert "difference .31 over 1 seed" in text
    assert "Runs that failed par, seed 3: ArithmeticError: broke" in text
    assert "5 arms, 5 seeds, scale small; 1 run failed" in text


@pytest.mark.parametrize("policy", [True, False], ids=["with policy", "escaping alone"])
def test_hostile_text_is_inert_in_a_browser(policy: bool, chromium: str, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    write_experiment_html(hostile(), page)
    if not policy:
        page.write_text(without_policy(page.read_text(encoding="utf-8")), encoding="utf-8")
    seen = browse(chromium, page, tmp_path)
    assert seen.title == "Trueward: par, contradicted"
    assert attacker_elements(seen) == []
    assert len(seen.scripts) == 2
    assert seen.console == []
    assert "Showing 12 of 35 samples" in seen.text  # our own script ran
    assert seen.find(**{"class": "card"}) == ["article"] * 12
    for text in ("<script>document.title='pwned'</script>", "{{7*7}} {% raw %} ${7*7}", "⟨U+202E⟩", "\\x1b"):
        assert text in seen.text


def test_samples_are_filtered_and_curves_switched(chromium: str, tmp_path: Path) -> None:
    clicks = """
    const count = () => by("sample-count").textContent;
    const options = (id) => [...by(id).options].map((option) => option.text).join();
    const parts = document.querySelectorAll("[data-against]");
    const drawn = () => [...parts].map((part) => part.dataset.against + part.hidden).join();
    say("all", count());
    say("arms", options("by-arm"));
    say("picks", options("by-picked"));
    set("by-arm", "1");
    say("vanilla", count());
    set("by-picked", "worst gold");
    say("worst", count());
    set("by-text", "as an expert");
    say("text", count());
    set("by-text", "no such text");
    say("none", count());
    say("steps", drawn());
    by("against").elements.against.value = "KL";
    by("against").dispatchEvent(new Event("change"));
    say("kl", drawn());
    """
    said = asked(render_experiment(experiment_sample.document()), clicks, chromium, tmp_path)  # type: ignore[arg-type]
    assert said == {
        "all": "Showing 12 of 35 samples",
        "arms": "any,par,vanilla,minmax,uncentred,shuffled",
        "picks": "any,best proxy,worst gold,random",
        "vanilla": "Showing 7 of 7 samples",
        "worst": "Showing 2 of 2 samples",
        "text": "Showing 1 of 1 sample",
        "none": "No sample fits these filters.",
        "steps": "stepsfalse,KLtrue",
        "kl": "stepstrue,KLfalse",
    }


@pytest.mark.parametrize("flags", [(), (DARK,), (NARROW,)], ids=["light", "dark", "narrow"])
def test_the_page_is_as_wide_as_the_window_and_can_be_read(
    flags: tuple[str, ...], chromium: str, tmp_path: Path
) -> None:
    """No sideways scrolling, and verdict and lines stand out from the paper in both colour schemes."""
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
    say("verdict", contrast(getComputedStyle(document.querySelector("h1 .verdict")).color) >= 4.5);
    const lines = [...document.querySelectorAll(".overlay .line")].map((x) => getComputedStyle(x).stroke);
    say("colours", new Set(lines).size);
    say("lines", Math.min(...lines.map(contrast)) >= 3);
    """
    said = asked(render_experiment(experiment_sample.document()), measure, chromium, tmp_path, *flags)  # type: ignore[arg-type]
    assert said == {"wide": "true", "verdict": "true", "colours": "5", "lines": "true"}


def test_the_page_allows_and_fetches_nothing_but_its_own() -> None:
    source = render_experiment(hostile())
    page = Page(source)
    [policy] = [have["content"] for _, have in page.elements if have.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["style-src"] == digest(page.styles[0])
    assert rules["script-src"] == digest(page.scripts[1])
    assert attacker_elements(page) == []
    assert not any("style" in have for _, have in page.elements)
    assert not re.search(r"url\(|@import|https?:", "".join(page.styles) + page.scripts[1])
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]", source)
    read = json.loads(page.scripts[0])
    assert all(len(row) == len(read["fields"]) for row in read["samples"])
    assert not re.search("[<>&\u2028\u2029]", source.split('id="data">')[1].split("</script>")[0])
