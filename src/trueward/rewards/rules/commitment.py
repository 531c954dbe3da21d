r"""What a completion commits to: one answer, none, several, one taken back, or one denied.

A reward that searches a completion for something right pays whoever names many things. This reads it as a person would:
what is the answer that is given here?

Envelopes rank: the answer tag, then `\boxed{}` and `####`, then a sentence ("the final answer is 12", "Answer: 12"),
then the whole text where it holds nothing else, then the last expression of the prose (`prose`). A lower one counts
beside a higher one only where it comes later: whoever boxes 12 and then says that the answer is 13 has given both.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from trueward.rewards.rules.offers import CONNECTIVES, Offer, in_prose, offer_of, sentences, whole
from trueward.rewards.rules.prose import prose_words
from trueward.rewards.rules.spoken import spoken_text
from trueward.tasks.text.reference import box_spans
from trueward.tasks.text.visible import visible_text as visible_text

Kind = Literal["one", "none", "several", "retracted", "denied"]

_TAG = re.compile(r"<(/?)answer>", re.IGNORECASE)
_HASHES = re.compile(r"^[ \t]*####[ \t]*([^\n#]+?)[ \t]*$", re.MULTILINE)
_LEAST_HEADING_WORD = 3  # letters of a word that makes a heading of a line behind ####
_JOINED = re.compile(r"[\s$.]{0,9}(?:,|;|,?\s{0,3}(?:\\text\{\s{0,3})?and(?:\s{0,3}\})?)[\s$]{0,9}")
_EMPTY_BOX = re.compile(r"\\f?box(?:ed)?\s{0,5}\{\s{0,20}\}")
_LONGEST_TRAILING = 300
_ALONE = re.compile(r"(?:[}$.*]|\\\]|\\\)|</answer>|[ \t])*(?:\n|[;,.]|\bor\b)[\s$]*([^\n]+?)[.\s]*", re.IGNORECASE)
_VALUE = re.compile(r"\d|[a-z]\s*[-+*/^]|[-+*/^]\s*[(a-z]", re.IGNORECASE)
_RETRACTING = (
    "wrong",
    "mistake",
    "incorrect",
    "an error",
    "it back",
    "that back",
    "this back",
    "retract",
    "scratch that",
    "correction",
    "ignore",
    "disregard",
    "forget",
    "not right",
    "not correct",
    "not the answer",
    "no, wait",
    "wait, no",
)
_RETRACTION = re.compile(
    r"\bi (?:was|am) (?:wrong|mistaken|incorrect)\b|\bi (?:take|took) (?:it|that|this) back\b|\bi retract\b"
    r"|\bi (?:have |'ve )?(?:made) (?:a|an) (?:mistake|error)\b|\bscratch that\b|\bcorrection ?:"
    r"|\b(?:ignore|disregard|forget) (?:that|the above|my (?:previous|earlier|last|first) answer)\b"
    r"|\b(?:my|the) (?:previous|earlier|first|last) answer (?:was|is) (?:wrong|incorrect)\b"
    r"|(?:^|[\n.!?,;:-]|\bwait|\bno|\boops|\bhmm|\bsorry|\bactually) {0,4}"
    r"(?:that|this|it)(?:'s| is| was) (?:wrong|incorrect|a mistake|not (?:right|correct|the answer))\b"
    r"|(?:^|[\n.!?}] {0,4})(?:no, wait|wait, no)\b"
)


@dataclass(frozen=True)
class Commitment:
    """What a completion commits to.

    Attributes:
        kind: "one"; "none"; "several": alternatives are offered and none is chosen ("12 or 13", different boxes);
            "retracted": an answer was taken back and none follows; "denied": "not 12". An answer that was taken back
            and replaced is "one", the replacement.
        answers: the candidate answers in the order of the text, the final one last; exactly one for "one", () for
            "none".
        envelope: "answer tag", "boxed", "####", "sentence", "bare" (the whole text) or "prose" (its last expression).
    """

    kind: Kind
    answers: tuple[str, ...] = ()
    envelope: str = "bare"

    @property
    def answer(self) -> str | None:
        """The committed answer; None where there is not exactly one."""
        return self.answers[-1] if self.kind == "one" else None


def committed_answer(text: str, *, words: bool = False) -> Commitment:
    r"""The commitment of a whole completion.

    What stands in thoughts, comments and code is not an answer; a thought that is never closed commits to nothing.
    Takes time in proportion to the length, whatever the text is.

    Args:
        text: the completion.
        words: the answer may be words with numbers among them ("red number 3"), so that no expression is looked for.

    Example:
        >>> committed_answer(r"So it is 12: \boxed{12}").answer
        '12'
        >>> committed_answer("The answer is 12 or 13.").kind, committed_answer("The answer is not 12.").kind
        ('several', 'denied')
    """
    spoken = spoken_text(visible_text(text))
    if spoken is None:
        return Commitment("none")
    return _committed(spoken.replace("’", "'").replace("⁄", "/"), True, words)


def _committed(text: str, tags: bool, words: bool) -> Commitment:
    taken_back = _last_retraction(text)
    if taken_back is None:
        return _stated(text, tags, words)
    start, end = taken_back
    after = _stated(text[end:], tags, words)
    if after.kind != "none":
        return after
    before = _stated(text[:start], tags, words)
    return Commitment("retracted", before.answers, before.envelope) if before.answers else Commitment("none")


def _last_retraction(text: str) -> tuple[int, int] | None:
    """Where an answer is taken back for the last time."""
    folded = text.lower()
    # A search for words without which nothing is taken back costs far less than the expression.
    if not any(word in folded for word in _RETRACTING):
        return None
    if len(folded) != len(text):
        folded = "".join(char.lower() if char.isascii() else char for char in text)
    spans = [found.span() for found in _RETRACTION.finditer(folded)]
    return spans[-1] if spans else None


def _stated(text: str, tags: bool, words: bool) -> Commitment:
    """The commitment of a text in which nothing is taken back."""
    explicit, end, empty = _explicit(text, tags, words)
    said = [found for found in sentences(text, end, words) if not end or found.mathematical]
    offers = explicit + said
    if explicit or empty is not None:
        return _joined(offers + _trailing(text, offers)) if offers else Commitment("none", envelope=empty or "boxed")
    if said:
        # Words that only follow "the answer is" ("clear from the figure") give way to an expression that comes later.
        later = None if words or said[-1].mathematical else in_prose(text[said[-1].end :])
        return _joined([later] if later is not None and later.mathematical else said + _trailing(text, said))
    if tags:
        text = _TAG.sub(" ", text)
    only = whole(text, words) or in_prose(text, words)
    return Commitment("none", envelope="prose") if only is None else _joined([only])


def _trailing(text: str, offers: list[Offer]) -> list[Offer]:
    """The offer of an expression that stands alone behind all others: "#### 12", and 13 on the next line."""
    end = max(offer.end for offer in offers)
    found = _ALONE.fullmatch(text, end) if len(text) - end <= _LONGEST_TRAILING else None
    if found is None or not _VALUE.search(found[1]) or "\\text" in found[1] or prose_words(found[1]):
        return []
    offer = offer_of(found[1].strip("$ "), offers[-1].envelope, found.start(1), found.end(1))
    return [] if offer is None else [offer]


def _explicit(text: str, tags: bool, words: bool) -> tuple[list[Offer], int, str | None]:
    """Offers in tags, boxes and behind ####; where they end; the envelope that stands there with nothing in it."""
    found: list[Offer] = []
    end = 0
    empty = None
    for start, stop in _tagged(text) if tags and "<" in text else []:
        end = stop
        empty = "answer tag"
        inner = _committed(text[start:stop], False, words)
        if inner.kind != "none":
            found.append(Offer(inner.answers, inner.kind == "denied", "answer tag", start, stop))
    later = _boxes(text, end) + _hashes(text, end)
    later.sort(key=lambda offer: offer.start)
    if later:
        end = later[-1].end
    elif empty is None and _EMPTY_BOX.search(text):
        empty = "boxed"
    return found + later, end, empty


def _tagged(text: str) -> list[tuple[int, int]]:
    """Where the contents of answer tags begin and end; one that is not closed reaches to the end of the text."""
    spans: list[tuple[int, int]] = []
    opened = -1
    for tag in _TAG.finditer(text):
        if not tag.group(1):
            opened = tag.end()
        elif opened >= 0:
            spans.append((opened, tag.start()))
            opened = -1
    if opened >= 0 and text[opened:].strip():
        spans.append((opened, len(text)))
    return spans


def _boxes(text: str, begin: int) -> list[Offer]:
    """Offers in boxes; boxes side by side ("1 and 2") are one offer of both."""
    if "boxed" not in text and "fbox" not in text:
        return []
    offers: list[Offer | None] = []
    group: list[tuple[int, int]] = []
    for start, stop in box_spans(text):
        if start < begin:
            continue
        # The command and its brace stand between two boxes side by side.
        between = text[group[-1][1] + 1 : start] if group and start - group[-1][1] < 80 else "apart"
        if group and _JOINED.fullmatch(re.sub(r"\\f?box(?:ed)?\s*\{$", "", between)):
            group.append((start, stop))
            continue
        if group:
            offers.append(_box_group(text, group))
        group = [(start, stop)]
    if group:
        offers.append(_box_group(text, group))
    return [offer for offer in offers if offer is not None]


def _box_group(text: str, group: list[tuple[int, int]]) -> Offer | None:
    contents = list(dict.fromkeys(text[start:stop].strip() for start, stop in group))
    return offer_of(", ".join(contents), "boxed", group[0][0], group[-1][1])


def _hashes(text: str, begin: int) -> list[Offer]:
    """Offers behind ####, which is also a heading: one with words in it counts only where nothing follows."""
    if "####" not in text:
        return []
    offers = []
    for line in _HASHES.finditer(text, begin):
        heading = any(
            len(word) >= _LEAST_HEADING_WORD for word in prose_words(line.group(1)) if word not in CONNECTIVES
        )
        if not heading or not text[line.end() :].strip():
            offers.append(offer_of(line.group(1), "####", line.start(1), line.end()))
    return [offer for offer in offers if offer is not None]


def _joined(offers: list[Offer]) -> Commitment:
    """One commitment from everything that is offered."""
    envelope = min(offers, key=lambda offer: offer.rank).envelope
    claimed = [offer for offer in offers if not offer.denied]
    if not claimed:
        return Commitment("denied", offers[-1].answers, envelope)
    different: dict[str, str] = {}
    for offer in claimed:
        for answer in offer.answers:
            key = _key(answer)
            different.pop(key, None)
            different[key] = answer
    answers = tuple(different.values())
    return Commitment("one" if len(answers) == 1 else "several" if answers else "none", answers, envelope)


def _key(answer: str) -> str:
    """Two ways to write the same letters."""
    return "".join(answer.replace(r"\dfrac", r"\frac").replace("$", "").split()).rstrip(".").casefold()
