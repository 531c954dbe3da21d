"""A page as a browser shows it, and as text: what the tests of pages share."""

from __future__ import annotations

import base64
import hashlib
import html.parser
import re
import subprocess
from pathlib import Path
from typing import Any

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--virtual-time-budget=3000"),
    "--enable-logging=stderr",  # with what the page's console says
)
DARK = "--blink-settings=preferredColorScheme=0"
NARROW = "--window-size=500,900"  # a headless window is not narrower than this


class Page(html.parser.HTMLParser):
    """Elements with their attributes, and the text of the page outside scripts and styles."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.styles: list[str] = []
        self.words: list[str] = []
        self.words_of: list[str] = []  # text that follows each start tag
        self.inside = ""
        self.console: list[str] = []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.words_of.append("")
        if tag in ("script", "style"):
            self.inside = tag
            (self.scripts if tag == "script" else self.styles).append("")

    def handle_endtag(self, tag: str) -> None:
        if tag == self.inside:
            self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside == "script":
            self.scripts[-1] += data
        elif self.inside == "style":
            self.styles[-1] += data
        else:
            self.words.append(data)
            if self.words_of:
                self.words_of[-1] += data

    @property
    def title(self) -> str:
        place = next(i for i, (tag, _) in enumerate(self.elements) if tag == "title")
        return self.words_of[place].strip()

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def find(self, **attributes: str) -> list[str]:
        return [tag for tag, have in self.elements if attributes.items() <= have.items()]


def browse(chromium: str, page: Path, tmp_path: Path, *flags: str) -> Page:
    """The page as it stands after its scripts ran, with what it said on the console."""
    command = [chromium, *FLAGS, *flags, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", page.as_uri()]
    done = subprocess.run(command, capture_output=True, timeout=120, check=True)
    dumped = Page(done.stdout.decode("utf-8"))
    logged = done.stderr.decode("utf-8", "replace")
    assert dumped.elements, logged
    dumped.console = [line for line in logged.splitlines() if ":CONSOLE" in line]
    return dumped


def without_policy(source: str) -> str:
    """The page without its content security policy, so that a script of the test's own can run."""
    made = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", source)
    assert made != source
    return made


def asked(source: str, script: str, chromium: str, tmp_path: Path, *flags: str) -> dict[str, str]:
    """What a script of the test's own says about the page, without the policy that would forbid it.

    The script has `say(name, value)`, `by(id)` and `set(id, value)`, which changes a field as a reader would.
    """
    tools = """
    const say = (name, value) => {
      const p = document.createElement("p");
      p.textContent = `said ${name}=${value};`;
      document.body.append(p);
    };
    const by = (id) => document.getElementById(id);
    const set = (id, value) => { by(id).value = value; by(id).dispatchEvent(new Event("input", { bubbles: true })); };
    """
    written = without_policy(source)
    page = tmp_path / "report.html"
    page.write_text(written.replace("</body>", f"<script>{tools}{script}</script></body>"), encoding="utf-8")
    seen = browse(chromium, page, tmp_path, *flags)
    assert seen.console == []
    return dict(re.findall(r"said (\w+)=([^;]*);", seen.text))


def digest(content: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode() + "'"


def attacker_elements(page: Page) -> list[Any]:
    """Elements that only a completion could have brought."""
    return [
        (tag, have)
        for tag, have in page.elements
        if tag in ("img", "iframe", "object", "embed", "base", "b-attacker")
        or "attacker" in (have.get("class") or "")
        or any(name.startswith("on") for name in have)
        or (have.get("href") or "#").startswith("javascript:")
        or not re.match(r"#|$", have.get("href") or "")
        or (tag not in ("script",) and "src" in have)
    ]
