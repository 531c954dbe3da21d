"""What a completion says to its reader: without thoughts, comments and code.

An answer that stands in a thought, a comment or a program has not been given to anybody.
"""

from __future__ import annotations

import re

_THOUGHT = re.compile(
    r"<(/?)(?:think|thinking|thought|thoughts|reasoning|reflection|scratchpad|scratch_pad)>", re.IGNORECASE
)
_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})[^\n]*$", re.MULTILINE)
_MARKDOWN_COMMENT = re.compile(r"^ {0,3}\[[^\]\n]{1,20}\]: ?(?:#|<>)[^\n]*$", re.MULTILINE)
_LATEX_COMMENT = re.compile(r"^[ \t]{0,8}%[^\n]*$", re.MULTILINE)
_LEAST_WORDS = 3  # of a question; a shorter one may be part of any answer
_OPENING_TAG = re.compile(r"<answer>\s*$", re.IGNORECASE)


def spoken_text(text: str) -> str | None:
    """`text` without what stands in thoughts, comments and code fences; None when a thought is never closed.

    Thoughts do not nest, because models write the tag's name while they think: the first closing tag ends a thought.
    What stands before a closing tag that nobody opened is a thought too, since chat templates open it in the prompt. A
    fence that holds the whole text, or the whole of an answer tag, is an envelope and not code.
    """
    thoughtless = _without_thoughts(text)
    return None if thoughtless is None else _without_fences(_without_comments(thoughtless))


def _without_thoughts(text: str) -> str | None:
    if "<" not in text:
        return text
    kept: list[str] = []
    start = 0
    thinking = False
    for tag in _THOUGHT.finditer(text):
        if tag.group(1):
            if not thinking:
                kept.clear()
            start, thinking = tag.end(), False
        elif not thinking:
            kept.append(text[start : tag.start()])
            thinking = True
    return None if thinking else "\n".join([*kept, text[start:]])


def _without_comments(text: str) -> str:
    """As browsers read it: a comment that is not closed reaches to the end."""
    kept: list[str] = []
    start = 0
    while (at := text.find("<!--", start)) >= 0:
        kept.append(text[start:at])
        end = text.find("-->", at + 4)
        if end < 0:
            return _without_comment_lines("".join(kept))
        start = end + 3
    return _without_comment_lines("".join([*kept, text[start:]]))


def _without_comment_lines(text: str) -> str:
    """Comments of LaTeX are lines that begin with a per cent sign: elsewhere in a line it is one."""
    if "]:" in text:
        text = _MARKDOWN_COMMENT.sub("", text)
    return _LATEX_COMMENT.sub("", text) if "%" in text else text


def _without_fences(text: str) -> str:
    if "```" not in text and "~~~" not in text:
        return text
    kept: list[str] = []
    start = 0
    opening: re.Match[str] | None = None
    blocks: list[tuple[int, int, int, int]] = []  # begins, content begins, content ends, ends
    for fence in _FENCE.finditer(text):
        if opening is None:
            opening = fence
        elif fence.group(1).startswith(opening.group(1)) and fence.group().strip() == fence.group(1):
            blocks.append((opening.start(), opening.end(), fence.start(), fence.end()))
            opening = None
    if opening is not None:
        blocks.append((opening.start(), opening.end(), len(text), len(text)))
    if len(blocks) == 1 and not (text[: blocks[0][0]] + text[blocks[0][3] :]).strip():
        return text[blocks[0][1] : blocks[0][2]]
    for begins, inside, ends, after in blocks:
        before = text[start:begins]
        kept.append(before)
        tagged = _OPENING_TAG.search(before[-40:]) and text[after : after + 40].lstrip().lower().startswith("</answer>")
        kept.append(text[inside:ends] if tagged else "\n")
        start = after
    return "".join([*kept, text[start:]])


def without_question(text: str, question: str) -> str:
    """`text` without the question, where it is given back: quoting a question that holds its answer answers nothing."""
    question = question.strip()
    return text.replace(question, " ") if len(question.split()) >= _LEAST_WORDS else text
