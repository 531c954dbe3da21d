"""Audits as a page of Markdown: every finding with the few lines of Python that show it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from trueward.report.document import Audit, Document, Example, Finding
from trueward.report.escape import visible
from trueward.report.python_source import literal
from trueward.report.wording import counts_sentence, extent, number, verdict_sentence, worst_first

_GYM = "reasoning_gym:"


def render_markdown(document: Document, title: str, command: str, confirmed: Mapping[str, bool]) -> str:
    """The page.

    Args:
        document: many audits.
        title: of the page.
        command: that makes it.
        confirmed: `key_of` an example → whether its lines gave the reward that the audit saw when they were run by
            themselves; for those that were run.

    Returns:
        Markdown that ends with a line end. Foreign text stands in code only.
    """
    audits = document["audits"]
    lines = [
        f"# {title}",
        "",
        f"{verdict_sentence(audits)}. {counts_sentence(audits)}.",
        "",
        f"Made by `{command}`. Every finding shows its smallest example; a share is one of prompts.",
        "",
        "| reward | findings | worst |",
        "|---|---|---|",
    ]
    bad = [audit for audit in worst_first(audits) if audit["findings"]]
    for audit in bad:
        lines.append(f"| {code(audit['reward'])} | {len(audit['findings'])} | {cell(audit['headline'])} |")
    for audit in bad:
        lines += ["", f"## {code(audit['reward'])}", "", *_notices(audit)]
        for finding in audit["findings"]:
            lines += [*_finding(audit, finding, confirmed), ""]
    clean = [code(audit["reward"]) for audit in audits if audit["verdict"] == "clean"]
    if clean:
        lines += ["", "## Nothing found", "", ", ".join(sorted(clean))]
    lost = [audit for audit in audits if audit["verdict"] == "not audited"]
    if lost:
        lines += ["", "## Not audited", ""]
        lines += [f"- {code(audit['reward'])}: {cell(audit['error'])}" for audit in lost]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip() + "\n"


def _notices(audit: Audit) -> list[str]:
    asked = f"{audit['prompts']} prompts, {audit['calls']:,} calls, answers given as {code(audit['envelope'])}."
    return [asked, ""]


def _finding(audit: Audit, finding: Finding, confirmed: Mapping[str, bool]) -> Iterator[str]:
    yield f"**{cell(finding['title'])}** ({finding['kind']}; {extent(finding)})"
    if not finding["examples"]:
        return
    example = finding["examples"][0]
    said = confirmed.get(key_of(audit, example))
    yield ""
    yield "```python"
    yield from (reproduction(audit, example) or ["# the completion is too long to be written here"])
    yield "```"
    if said is False:
        yield ""
        yield "Run by themselves these lines gave another score: it depends on the process, or on what came before."


def key_of(audit: Audit, example: Example) -> str:
    """Names an example of a document."""
    return f"{audit['reward']}\n{example['id']}\n{example['family']}\n{example['variant']}"


def reproduction(audit: Audit, example: Example) -> list[str]:
    """The lines of Python that score an example again with the scorer itself; [] where the completion is too long.

    The last line is an expression whose value is the score, or a list of it; the comment says what the audit saw.
    """
    completion = literal(example["completion"], 4, 1)
    prompt, reference = literal(example["prompt"], 4, 1), literal(example["reference"], 4, 1)
    if completion is None or prompt is None or reference is None or "… [" in example["completion"]:
        return []
    if audit["reward"].startswith(_GYM):
        name, seed, index = example["row"].rsplit("-", 2)
        made = [
            "import reasoning_gym",
            "",
            f'data = reasoning_gym.create_dataset("{name}", seed={seed}, size={max(20, int(index) + 1)})',
        ]
        call = [f"data.score_answer({completion}, data[{index}])"]
    else:
        if audit["envelope"].endswith("chat messages"):
            completion = f'[{{"role": "assistant", "content": {completion}}}]'
        made = ["from trueward import as_reward", "", f"reward = as_reward({literal(audit['reward'])})"]
        call = ["reward(", f"    [{prompt}],", f"    [{completion}],", f"    answer=[{reference}],", ")"]
    call[-1] += f"  # {_seen(example)}"
    return [*made, *"\n".join(call).split("\n")]


def _seen(example: Example) -> str:
    if example["status"] != "ok":
        return visible(f"{example['status']}: {example['detail']}", 100)
    right = "" if example["right_reward"] is None else f"; the right answer earns {number(example['right_reward'])}"
    return f"{number(example['reward'])}{right}"


def code(text: str) -> str:
    """Foreign text as a code span: no backtick, pipe or line end in it can end the span or the table."""
    shown = visible(text, 200).replace("|", "¦")
    longest = max((len(run) for run in re.findall(r"`+", shown)), default=0)
    fence = "`" * (longest + 1)
    blank = " " if longest else ""
    return f"{fence}{blank}{shown}{blank}{fence}"


def cell(text: str, limit: int = 300) -> str:
    """Our own sentence, which may quote foreign text: nothing in it is markup."""
    return re.sub(r"([\\`*_{}\[\]<>|#])", r"\\\1", visible(text, limit))
