"""The page: complete without the script, small, and inert in a real browser whatever the completions hold."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import ModuleType

import pytest
from page_in_browser import DARK, NARROW, Page, asked, attacker_elements, browse, digest, without_policy

from trueward.report.html import render_html, write_html


@pytest.mark.parametrize("policy", [True, False], ids=["with policy", "escaping alone"])
def test_hostile_completions_are_inert_in_a_browser(
    policy: bool, chromium: str, sample: ModuleType, tmp_path: Path
) -> None:
    page = tmp_path / "report.html"
    write_html(sample.hostile(), page)
    if not policy:
        page.write_text(without_policy(page.read_text(encoding="utf-8")), encoding="utf-8")
    seen = browse(chromium, page, tmp_path)
    source = seen.text
    assert seen.title == "Trueward: reward audit"
    assert attacker_elements(seen) == []
    assert len(seen.scripts) == 2  # the data and our own
    [count] = [have for tag, have in seen.elements if have.get("id") == "example-count"]
    assert count.get("role") == "status"
    assert "Showing 20 of 26 examples" in source  # our own script ran
    assert seen.console == []
    # The completions are there, as text; our cards are made by the script.
    assert seen.find(**{"class": "card"}) == ["article"] * 20
    for text in ("<script>document.title='pwned'</script>", "{{7*7}} {% raw %} ${7*7}", "]]> <![CDATA[ &lt;b"):
        assert text in source
    for notation in ("\\x1b", "⟨U+2028⟩", "⟨U+202E⟩", "⟨U+D800⟩", "⟨U+200B⟩"):
        assert notation in source


def test_the_browser_test_can_fail(chromium: str, tmp_path: Path) -> None:
    page = tmp_path / "bad.html"
    page.write_text(
        "<title>fine</title><p>x</p><img src=x onerror=\"document.title='pwned'\"><script>document.title+='1'</script>"
    )
    seen = browse(chromium, page, tmp_path)
    assert seen.title in ("pwned", "pwned1", "fine1")
    assert attacker_elements(seen) != []
    page.write_text("<title>fine</title><p>x</p><script>throw new Error('broken')</script>")
    assert any("broken" in line for line in browse(chromium, page, tmp_path).console)


def test_many_audits_run_in_a_browser(chromium: str, sample: ModuleType, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    made = sample.many()
    write_html(made, page)
    seen = browse(chromium, page, tmp_path)
    assert re.search(r"Showing 20 of [\d,]+ examples", seen.text)
    assert seen.console == []
    buttons = [have for tag, have in seen.elements if tag == "button" and have.get("type") == "button"]
    assert len(buttons) == 6  # five columns to sort by, and "show more"
    [form] = [have for tag, have in seen.elements if have.get("id") == "reward-filters"]
    assert "hidden" not in form


def test_filters_sorting_and_links_work(chromium: str, sample: ModuleType, tmp_path: Path) -> None:
    """A script of the test's own clicks through the page."""
    made = sample.many(12)
    clicks = """
    const rows = () => [...by("rewards").tBodies[0].rows].filter((row) => !row.hidden);
    const count = () => by("example-count").textContent;
    say("all", rows().length);
    set("find-verdict", "clean");
    say("clean", rows().length);
    set("find-verdict", "");
    set("find-reward", "THINK_format");
    say("named", rows().map((row) => row.cells[1].textContent).join());
    set("find-reward", "");
    by("rewards").querySelectorAll("thead button")[4].click();
    say("most", rows()[0].cells[4].textContent);
    by("rewards").querySelectorAll("thead button")[4].click();
    say("sorted", by("rewards").querySelectorAll("th[aria-sort=ascending]").length);
    set("by-payoff", "0.99");
    say("paid", count());
    set("by-text", "no such text");
    say("none", count());
    document.querySelector("#audit-2 a.all").click();
    setTimeout(() => say("linked", count()), 100);
    location.hash = "#audit-2";
    setTimeout(() => say("open", by("audit-2").open), 200);
    """
    said = asked(render_html(made), clicks, chromium, tmp_path)
    every = [e for a in made["audits"] for f in (*a["findings"], *a["notes"]) for e in f["examples"]]
    paid = sum(example["payoff"] >= 0.99 for example in every)
    assert said == {
        "all": "12",
        "clean": "4",
        "named": "trl.rewards:think_format_reward",
        "most": "4",
        "sorted": "1",
        "paid": f"Showing 20 of {paid} examples ({len(every)} in all)",
        "none": "No example fits these filters.",
        "linked": f"Showing 6 of 6 examples ({len(every)} in all)",
        "open": "true",
    }


def test_the_policy_allows_only_our_style_and_script(sample: ModuleType) -> None:
    page = Page(render_html(sample.hostile()))
    [policy] = [have["content"] for tag, have in page.elements if have.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["style-src"] == digest(page.styles[0])
    assert rules["script-src"] == digest(page.scripts[1])
    assert len(page.scripts) == 2 and len(page.styles) == 1
    assert not any("style" in have for tag, have in page.elements)


@pytest.mark.parametrize("build", ["one", "many", "full", "hostile"])
def test_nothing_is_fetched_and_nothing_foreign_becomes_an_element(build: str, sample: ModuleType) -> None:
    source = render_html(getattr(sample, build)())
    page = Page(source)
    assert attacker_elements(page) == []
    assert not re.search(r"url\(|@import|https?:", "".join(page.styles) + page.scripts[1])
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", page.scripts[1])
    source.encode("utf-8")
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]", source)


def test_the_data_cannot_end_its_element(sample: ModuleType) -> None:
    source = render_html(sample.hostile())
    data = source.split('<script type="application/json" id="data">')[1].split("</script>")[0]
    assert not re.search("[<>&\u2028\u2029]", data)
    read = json.loads(data)
    assert "<script>document.title='pwned'</script>" in read["texts"]
    assert len(read["examples"]) == 26
    assert all(len(row) == len(read["fields"]) for row in read["examples"])


def test_without_the_script_the_findings_are_there(sample: ModuleType) -> None:
    text = Page(render_html(sample.one())).text
    for expected in (
        "examples/rewards.py:last_number",
        "✗ findings best cheap trick earns .83 of a right answer on 92% of prompts",
        "answers are taken as unique: the data does not declare it",
        "92 % of prompts pays 'A or B', or an answer that was taken back 44 of 48 prompts (95 % interval 82–98 %)",
        "It does not commit to the right answer",
        "the right answer earns 1, no answer 0",
        ": no certified probe for these answers. grid",
        "partly pays answers that are close and wrong 2 of 48 prompts",
        "timed out the answer makes the reward fail 2",
        "median call 0.40 ms 99 % within 3.1 ms slowest 5 s slowest on \\boxed{9^9",
        "sign, boxed equivalents",
        "report.exploits[0].reproduce()",
    ):
        assert expected in text


def test_without_the_script_every_audit_is_there(sample: ModuleType) -> None:
    made = sample.many(12)
    page = Page(render_html(made))
    assert "7 of 12 rewards pay what they should not, or fail" in page.text
    assert len([tag for tag, have in page.elements if tag == "details"]) == 12
    links = {
        have["href"] for tag, have in page.elements if tag == "a" and (have.get("href") or "").startswith("#audit-")
    }
    ids = {f"#{have['id']}" for tag, have in page.elements if tag == "details"}
    assert links == ids
    for audit in made["audits"]:
        assert audit["reward"] in page.text
        for finding in audit["findings"]:
            assert finding["title"] in page.text


def test_numbers_that_are_not_finite_do_not_break_the_data(sample: ModuleType) -> None:
    made = sample.one()
    made["audits"][0]["findings"][0]["examples"][0].update(reward=float("nan"), payoff=float("inf"))
    page = Page(render_html(made))
    assert json.loads(page.scripts[0])["examples"][0][5:7] == [None, "NaN"]


@pytest.mark.parametrize("word", ["word ↑ ", "\u202e\u200b"], ids=["words", "hidden"])
def test_many_audits_make_a_small_page(word: str, sample: ModuleType) -> None:
    made = sample.many(115)
    # Every example its own long completion: the worst case for the size, and more so where nothing of it prints.
    for audit in made["audits"]:
        for finding in audit["findings"]:
            for index, example in enumerate(finding["examples"]):
                example["completion"] = f"{audit['reward']} {index} " + word * 2000
    source = render_html(made)
    assert len(source.encode()) < 6_000_000
    assert "characters …" in source


def test_many_audits_with_searches_and_logs_make_a_small_page(sample: ModuleType) -> None:
    source = render_html(sample.many(115, runs=True))
    assert source.count('class="chart"') == 115
    assert len(source.encode()) < 6_000_000


def test_long_completions_are_shortened_and_say_so(sample: ModuleType) -> None:
    made = sample.one()
    made["audits"][0]["findings"][0]["examples"][0]["completion"] = "x" * 12_000
    texts = json.loads(Page(render_html(made)).scripts[0])["texts"]
    [long] = [text for text in texts if isinstance(text, list) and text[0].startswith("xxx")]
    assert long[1] == "… 10,000 characters …"
    assert len(long[0]) + len(long[2]) == 2000


def test_the_file_appears_whole(sample: ModuleType, tmp_path: Path) -> None:
    write_html(sample.one(), tmp_path / "report.html")
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.html"]
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == render_html(sample.one())


def test_searches_logs_comparisons_and_curves_are_there_without_the_script(sample: ModuleType) -> None:
    page = Page(render_html(sample.full()))
    for expected in (
        "Compared with last.json 3 probes count now and did not then; 1 probe counted then and does not now. "
        "new pays 'A or B', or an answer that was taken back New: 3 probes",
        "Found by search Found 2 causes with 1,730 of 2,000 calls",
        "how it was made sign: -72 written as: sign ', km' behind the answer 'QED' at the end",
        "137 of 440 paid completions (31 %) are certified wrong",
        "TRL completions in runs/completions , 768 completions.",
        "103 hedge 34 wrong answer",
        "40 64 32 2 6 % 0 % to 18 % .5",  # the numbers of step 40
        "The smallest exploit that it was paid for 2 examples prompt",
        "Right answers that are refused",
        "500 prompts, 1,000 samples of each, from rollouts.parquet .",
        "proxy: reward gold: correct",
        "n KL nats proxy gold pass@n 1 0 .45 .43 to .47 .42 .39 to .45 .42",
        "12 samples without a score were left out",
        "model and judge under best-of-n Gold is highest at n = 64",
    ):
        assert expected in page.text
    # Each find of the search stands there once, not among those of the fixed probes as well.
    assert page.text.count("pays a wrong answer with ', km' behind the answer and 'QED' at the end") == 1
    assert len([tag for tag, have in page.elements if have.get("class") == "chart"]) == 3
    ids = [have["id"] for _, have in page.elements if "id" in have]
    assert len(ids) == len(set(ids))


def test_what_is_absent_has_no_section(sample: ModuleType) -> None:
    text = Page(render_html(sample.document([sample.audit(1, "a", ())]))).text
    for unexpected in ("Compared with", "Found by search", "training run", "are refused", "Over-optimisation", "curve"):
        assert unexpected not in text


def test_curves_alone_make_a_page(chromium: str, sample: ModuleType, tmp_path: Path) -> None:
    write_html(sample.curves_only(), tmp_path / "curves.html")
    seen = browse(chromium, tmp_path / "curves.html", tmp_path)
    assert seen.console == []
    assert seen.title == "Trueward: best-of-n curves"
    assert "2 curves of proxy and gold under best-of-n" in seen.text
    assert "Examples" not in seen.text and "reward audit" not in seen.text
    assert seen.scripts == []
    made = sample.curves_only()
    made["curves"].pop()
    assert "Gold is highest at n = 16 Over-optimisation" in Page(render_html(made)).text


def test_many_audits_say_which_tricks_work_and_what_has_changed(sample: ModuleType) -> None:
    made = sample.many(12)
    assert "Against" not in Page(render_html(made)).text
    made["audits"][5]["comparison"] = sample.comparison()
    text = Page(render_html(made)).text
    assert "Against last.json: 3 new probes in 1 reward, 1 gone" in text
    assert "What works on how many rewards" in text
    found = sum(any(f["family"] == "hedge" for f in a["findings"]) for a in made["audits"])
    assert re.search(rf"several boxes or answer lines with the last one wrong \d+ % {found} 10 ", text)


def test_examples_are_filtered_by_what_found_them(chromium: str, sample: ModuleType, tmp_path: Path) -> None:
    clicks = """
    const count = () => by("example-count").textContent;
    const options = (id) => [...by(id).options].map((option) => option.value).join();
    say("all", count());
    say("origins", options("by-origin"));
    set("by-origin", "search");
    say("search", count());
    say("steps", by("example-list").querySelectorAll("article")[1].querySelectorAll(".derivation li").length);
    set("by-origin", "");
    set("by-family", "search");
    say("family", count());
    set("by-family", "");
    set("by-text", "'QED' at the end");
    say("step", count());
    document.querySelector("a.all[data-origin]").click();
    setTimeout(() => {
      say("logged", count());
      say("brief", by("example-list").querySelectorAll(".derivation").length);
      document.querySelector("a.all[data-text]").click();
      setTimeout(() => say("id", count()), 100);
    }, 100);
    """
    made = sample.full()
    said = asked(render_html(made), clicks, chromium, tmp_path)
    total = len(json.loads(Page(render_html(made)).scripts[0])["examples"])
    assert said == {
        "all": f"Showing 20 of {total} examples",
        "origins": ",probes,search,training log",
        "search": f"Showing 2 of 2 examples ({total} in all)",
        "steps": "4",
        "family": f"Showing 2 of 2 examples ({total} in all)",
        "step": f"Showing 1 of 1 example ({total} in all)",
        "logged": f"Showing 2 of 2 examples ({total} in all)",
        "brief": "0",
        "id": f"Showing 1 of 1 example ({total} in all)",
    }


def contrast(first: str, second: str) -> float:
    """Contrast of two colours `rgb(r, g, b)` by WCAG 2: (L1 + .05) / (L2 + .05)."""

    def luminance(colour: str) -> float:
        channels = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_contrast_of_known_colours() -> None:
    assert contrast("rgb(0, 0, 0)", "rgb(255, 255, 255)") == pytest.approx(21.0)
    assert contrast("rgb(119, 119, 119)", "rgb(255, 255, 255)") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("flags", [(), (DARK,), (NARROW,)], ids=["light", "dark", "narrow"])
def test_charts_can_be_read(flags: tuple[str, ...], chromium: str, sample: ModuleType, tmp_path: Path) -> None:
    """Colours stand out from the page, words lie inside their drawing and do not touch, the page is not too wide."""
    measure = """
    const colours = (selector, property) =>
      [...new Set([...document.querySelectorAll(selector)].map((e) => getComputedStyle(e)[property]))].join("|");
    say("paper", getComputedStyle(document.body).backgroundColor);
    say("words", colours(".chart text", "fill"));
    say("lines", colours(".chart .line", "stroke"));
    say("bars", colours(".families .bad .mean", "fill"));
    let outside = 0, touching = 0, words = 0;
    for (const chart of document.querySelectorAll(".chart")) {
      const all = chart.getBoundingClientRect();
      const boxes = [...chart.querySelectorAll("text")].map((text) => text.getBoundingClientRect());
      for (const [i, a] of boxes.entries()) {
        words += 1;
        outside += a.left < all.left || a.right > all.right || a.top < all.top || a.bottom > all.bottom ? 1 : 0;
        for (const b of boxes.slice(i + 1))
          touching += a.left < b.right && b.left < a.right && a.top + 3 < b.bottom && b.top + 3 < a.bottom ? 1 : 0;
      }
    }
    say("outside", outside);
    say("touching", touching);
    say("counted", words > 60);
    say("wide", document.documentElement.scrollWidth > innerWidth);
    say("scheme", matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
    """
    said = asked(render_html(sample.full()), measure, chromium, tmp_path, *flags)
    assert said["scheme"] == ("dark" if DARK in flags else "light")
    assert (said["outside"], said["touching"], said["counted"], said["wide"]) == ("0", "0", "true", "false")
    for colour in said["words"].split("|"):
        assert contrast(colour, said["paper"]) >= 4.5
    lines = said["lines"].split("|")
    assert len(lines) == 3  # proxy and exploits, gold, reward
    for colour in (*lines, *said["bars"].split("|")):
        assert contrast(colour, said["paper"]) >= 3
