r"""The canonical completion: of what a model wrote, the one committed answer and the structure around it.

    <think>\nFirst 12, or is it 13? <!-- 12 --> …\n</think>\nBy symmetry, \boxed{12} (verified, correct)

becomes

    <think>\nI work it out.\n</think>\n\boxed{12}

A reward that sees only this cannot be paid for what stands beside the answer. Whether tags are there, in order and once
each, and whether something stands outside of them can still be seen; what stood there cannot.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from trueward.rewards.limits import LONGEST_COMPLETION, MOST_TAGS, excess
from trueward.rewards.rules.commitment import Commitment, committed_answer, visible_text
from trueward.rewards.rules.spoken import spoken_text
from trueward.tasks.text.copies import is_copied

_THOUGHT = "I work it out."
_ELSEWHERE = "..."
_MOST_BLANKS = 4
_TAG = re.compile(
    r"<(/?)(think|thinking|thought|thoughts|reasoning|reflection|scratchpad|scratch_pad|answer)>", re.IGNORECASE
)
_LEAD = re.compile(
    r"(?:\*\*|__)?(?:\b(?:the|my|our|final|correct|right)[ \t]{1,3}){0,3}\banswer\b(?:\*\*|__)?[ \t]{0,3}"
    r"(?:is|are|was|equals|would be|must be|should be)?[ \t]{0,3}[:=]?(?:\*\*|__)?[ \t]{0,3}$",
    re.IGNORECASE,
)
_WITHHELD = {
    "none": "it commits to no answer",
    "several": "it offers several answers and chooses none",
    "retracted": "it takes its answer back",
    "denied": "it says what the answer is not",
}


@dataclass(frozen=True)
class Canonical:
    """What a hardened reward shows of a completion.

    Attributes:
        text: the canonical completion; "" where no answer may count.
        answer: the answer that may count; None where there is none.
        withheld: why no answer may count: none was committed, or it is copied from the question; "" otherwise.
        refused: which static limit the completion exceeds; "" otherwise.
    """

    text: str = ""
    answer: str | None = None
    withheld: str = ""
    refused: str = ""


def canonical(completion: str, prompt: str = "", references: Sequence[str] = (), template: str = "") -> Canonical:
    r"""The canonical completion.

    Args:
        completion: what the model wrote.
        prompt: the question: an expression copied from it is not an answer.
        references: texts of the row: an answer may be as long and as deep as they are, and one that is one of them is
            no copy of the question.
        template: the format in which the answer is given, with {answer} once, where it is none of those that
            `committed_answer` knows.

    Example:
        >>> canonical("<think>\n12? 13?\n</think>\nIt is 12.").text
        '<think>\nI work it out.\n</think>\n12'
        >>> canonical("12 or 13").withheld, canonical("9^{9^{9^9}}").refused
        ('it offers several answers and chooses none', 'powers of powers: 3, allowed 2')
    """
    if len(completion) > LONGEST_COMPLETION:
        return Canonical(refused=f"characters: {len(completion):,}, allowed {LONGEST_COMPLETION:,}")
    text = visible_text(completion)
    tags = list(_TAG.finditer(text)) if "<" in text else []
    if len(tags) > MOST_TAGS:
        return Canonical(refused=f"tags: {len(tags):,}, allowed {MOST_TAGS}")
    commitment = _in_template(text, template) if template else committed_answer(text)
    answer = commitment.answer
    if answer is None:
        return Canonical(withheld=_WITHHELD[commitment.kind])
    over = excess(answer, references)
    if over is not None:
        return Canonical(refused=over)
    if is_copied(answer, prompt) and answer not in (reference.strip() for reference in references):
        return Canonical(withheld="it is copied from the question and not worked out")
    if template:
        body = template.replace("{answer}", answer)
    else:
        body = _enveloped(commitment, text)
    return Canonical(_structured(text, tags, body, commitment.envelope), answer)


def _in_template(text: str, template: str) -> Commitment:
    """What is committed to in a format that the caller names."""
    before, _, after = template.partition("{answer}")
    spoken = spoken_text(text) or ""
    if before.strip() not in spoken:
        return Commitment("none")
    given = spoken.rpartition(before.strip())[2]
    if after.strip():
        given = given.partition(after.strip())[0]
    elif not after:
        given = given.strip().partition("\n")[0]
    # Whatever stood before it is measured by the same rules: two of them are two answers.
    others = [part.strip().partition("\n")[0] for part in spoken.split(before.strip())[1:-1]]
    if any(other.partition(after.strip() or "\n")[0].strip() != given.strip() for other in others):
        return Commitment("several")
    return committed_answer(given.strip())


def _enveloped(commitment: Commitment, text: str) -> str:
    """The answer in the envelope in which it was given."""
    answer = commitment.answer or ""
    match commitment.envelope:
        case "boxed":
            return rf"\boxed{{{answer}}}" if "boxed" in text else rf"\fbox{{{answer}}}"
        case "####":
            return f"#### {answer}"
        case "sentence":
            return _sentence(answer, text)
        case "answer tag":
            contents = [
                content for content in re.split(r"</?answer>", text, flags=re.IGNORECASE)[1::2] if content.strip()
            ]
            inner = committed_answer(contents[-1]) if contents else commitment
            return _enveloped(inner, contents[-1]) if inner.answer == answer and inner != commitment else answer
    return answer


def _sentence(answer: str, text: str) -> str:
    """The answer with the words that lead up to it, where these are only words that say that it follows."""
    spoken = spoken_text(text) or ""
    at = spoken.rfind(answer)
    lead = _LEAD.search(spoken[max(0, at - 80) : at].rpartition("\n")[2]) if at >= 0 else None
    end = "." if spoken[at + len(answer) :][:1] == "." or lead is None else ""
    return f"{lead.group() if lead else 'The answer is '}{answer}{end}"


def _structured(text: str, tags: Sequence[re.Match[str]], body: str, envelope: str) -> str:
    """The answer among the tags of the completion where these are in order and there once; elsewhere alone."""
    tagged = envelope == "answer tag"
    names = [tag.group(1) + tag.group(2).lower() for tag in tags]
    answers = ["answer", "/answer"] if tagged else []
    thoughts = names[: len(names) - len(answers)]
    in_order = names[len(thoughts) :] == answers and not {"answer", "/answer"} & set(thoughts)
    closed = len(thoughts) == 1 and thoughts[0].startswith("/")  # a template opened it in the prompt
    paired = len(thoughts) == 2 and thoughts[1] == f"/{thoughts[0]}"
    if not in_order or not (closed or paired or not thoughts):
        # Out of order, they are no structure; a tag that was left open stays open.
        closing = "</answer>" if names and names[-1] != "answer" else ""
        return f"<answer>{body}{closing}" if tagged else body
    pieces: list[str] = []
    position = 0
    for index, tag in enumerate(tags):
        between = text[position : tag.start()]
        if tagged and index == len(tags) - 1:
            pieces.append(_stand_in(between, body))
        elif index < len(thoughts) and names[index].startswith("/"):
            pieces.append(_stand_in(between, _THOUGHT))
        else:
            pieces.append(_stand_in(between, _ELSEWHERE))
        pieces.append(tag.group())
        position = tag.end()
    rest = text[position:]
    pieces.append(_stand_in(rest, _ELSEWHERE if tagged else body))
    return "".join(pieces)


def _stand_in(text: str, instead: str) -> str:
    """`instead` in the place of `text`, between the blanks around it; nothing in the place of nothing."""
    content = text.strip()
    if not content:
        return text[:_MOST_BLANKS]
    start = text.index(content)
    return text[:start][-_MOST_BLANKS:] + instead + text[start + len(content) :][:_MOST_BLANKS]
