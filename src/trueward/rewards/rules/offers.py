"""Offers: the answers that one sentence, box or line puts forward, and whether it denies them."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from trueward.rewards.rules.prose import (
    OR_WORDS,
    Expression,
    first_expression_at,
    last_expression,
    prose_words,
    without_delimiters,
    without_emphasis,
)

_ENVELOPES = ("answer tag", "boxed", "####", "sentence", "bare", "prose")
_LONGEST = 2_000  # characters of a sentence or a bare text that can be an answer in words
_SHORT = 4  # words of a last line that can be an answer
_LEAD_IN = 100  # characters of a sentence in which another one may begin
_MOST_SENTENCES = 100  # the last ones that speak of an answer
_TAIL = 4_000  # characters at the end of prose in which its last line is looked for
_MOST_WORDS = 12  # of a text that can be an answer with units and alternatives

_ANSWER = re.compile(r"[aA](?:nswer|NSWER)")
_FINAL = re.compile(r"\bfinal\s{1,3}$", re.IGNORECASE)
_SAYS = re.compile(
    r"(?:\*\*|__)?(?:\s{1,3}(?:to|for|of)\b[^\n.?!:=]{0,80}?|\s{0,3}\([^)\n]{0,40}\))?\s{0,3}"
    r"(?P<verb>\b(?:isn't|is|are|was|equals|(?:would|must|should|can't|cannot) be)\b|[:=])"
    r"(?:\*\*|__)?\s{0,20}:?\s{0,20}",
    re.IGNORECASE,
)
_DELIMITED = ((r"\[", r"\]"), (r"\(", r"\)"), ("$$", "$$"), ("$", "$"))
_END = re.compile(
    r"\n|(?<!\svs)(?<![\s\\])[.!?;](?=\s|$)|(?<=\s)[.!?;](?=\s+(?-i:[A-Z])|\s*$)"  # nothing ends in "5 ! -5"
    r"|,?\s{1,3}(?:because|since|which|where|as we|so that)\b|(?=</)",
    re.IGNORECASE,
)
_LEAD = re.compile(
    r"(?:\*\*|__|[\"'`]|(?:therefore|thus|hence|so|approximately|about|around|roughly|exactly|simply|just|indeed|clearly"
    r"|either|equal to|given by|then|probably|maybe)\b,?)\s{0,5}",
    re.IGNORECASE,
)
_POINTER = re.compile(r"(?:this|that|it|as follows|(?:the )?following|below|above|here|\.+|…|#+)?", re.IGNORECASE)
_DENIAL = re.compile(
    r"(?:is |are |was )?(?:not|never|isn't|cannot be|can't be|no longer|anything but)\b\s{0,5}(?:equal to )?",
    re.IGNORECASE,
)
_INSTEAD = re.compile(
    r"(?:[,;.]|\s-)?\s{1,3}(?:but(?: rather)?|rather|instead(?: it is)?|it is|it's|it should be)\s{1,3}(?=\S)",
    re.IGNORECASE,
)
_CONTRAST = re.compile(r"(?<=\S)\s{0,3}(?:[,;(]|\s-)\s{0,3}(?:and )?(?:not|rather than|instead of)\s", re.IGNORECASE)
_WORD_IN_LATEX = re.compile(r"\\(?:text|mathrm|textrm|mbox)\{\s{0,5}(or|and)\s{0,5}\}", re.IGNORECASE)
_OR = re.compile(rf"[{{}}]|[,;]?\s{{0,5}}(?:\(\s?{OR_WORDS}\s?\)|{OR_WORDS})\s{{0,5}}", re.IGNORECASE)
_MATHEMATICAL = re.compile(r"[-+−]?\s?[\d$\\(\[{.√π∞]|[A-Za-z](?![A-Za-z])")
_WORDS = re.compile(r"(?<![\\A-Za-z])[^\W\d_]{2,}")
_LABEL = re.compile(r"[^\W\d_]{2,20}\s?(?::|=>|→)\s")  # "Total: 12"
_WITH_UNIT = re.compile(r"(?:\$[^$]+\$|\\\([^$()]+\\\))\s?[^\W\d_]+\.?")  # "$7$ km"
_FEW_WORDS = re.compile(r"[^\W\d_]{2,}(?: [^\W\d_]{2,}){0,3}")
CONNECTIVES = frozenset(
    {
        "or",
        "and",
        "not",
        "either",
        "is",
        "isn",
        "alternatively",
        "else",
        "maybe",
        "perhaps",
        "possibly",
        "otherwise",
        "vs",
    }
    | {"versus"}
)
"""Words between the answers of a text that holds nothing else."""
_OPENERS = frozenset({"it", "so", "that", "this", "thus", "hence", "then", "therefore", "we"})


@dataclass(frozen=True)
class Offer:
    """Answers that are put forward together.

    Attributes:
        answers: the alternatives; one when the text decides.
        denied: whether they are named as what the answer is not.
        envelope: where they stand.
        start, end: position in the text.
    """

    answers: tuple[str, ...]
    denied: bool
    envelope: str
    start: int = 0
    end: int = 0

    @property
    def rank(self) -> int:
        """0 for the envelope that counts most."""
        return _ENVELOPES.index(self.envelope)

    @property
    def mathematical(self) -> bool:
        """True when the answer looks like mathematics or an option, rather than like more of the sentence."""
        return any(_MATHEMATICAL.match(answer) for answer in self.answers)


def offer_of(text: str, envelope: str, start: int = 0, end: int = 0) -> Offer | None:
    """The offer that a short text makes ("12", "12 or 13", "not 12", "not 12 but 13"); None when it offers nothing."""
    text = cleaned(text)
    denial = _DENIAL.match(text)
    if denial and denial.end() < len(text):
        rest = text[denial.end() :]
        instead = _INSTEAD.search(rest)
        if instead and not _POINTER.fullmatch(rest[instead.end() :].strip(" .:")):
            return offer_of(rest[instead.end() :], envelope, start, end)
        return Offer((cleaned(rest),), True, envelope, start, end)
    if contrast := _CONTRAST.search(text):
        text = cleaned(text[: contrast.start()])
    if _POINTER.fullmatch(text):
        return None
    return Offer(alternatives(text), False, envelope, start, end)


def cleaned(text: str) -> str:
    """An answer without what only leads up to it, marks of emphasis, and a closing full stop."""
    text = text.strip()
    start = 0
    while lead := _LEAD.match(text, start):
        if lead.end() == len(text):
            break
        start = lead.end()
    text = without_emphasis(text[start:])
    if _WITH_UNIT.fullmatch(text):
        text = without_delimiters(text)
    for mark in ("**", "__", "`", '"'):
        text = text.removesuffix(mark).strip()
    return text[:-1].rstrip() if text.endswith(".") and not text.endswith("..") else text.rstrip(",;: ")


def alternatives(text: str) -> tuple[str, ...]:
    """The parts that "or" joins outside of braces, each once."""
    if len(text) > _LONGEST:
        return (text,)
    plain = _WORD_IN_LATEX.sub(r" \1 ", text)
    parts = []
    depth = start = 0
    for token in _OR.finditer(plain):
        if token.group() in "{}":
            depth += 1 if token.group() == "{" else -1
        elif depth <= 0 and plain[start : token.start()].strip():
            parts.append(plain[start : token.start()])
            start = token.end()
    if not parts:
        return (text,)
    parts.append(plain[start:])
    return tuple(dict.fromkeys(filter(None, map(cleaned, parts))))


def sentences(text: str, begin: int = 0, words: bool = False) -> list[Offer]:
    """Offers of the form "the answer is X" or "Answer: X"; of those that say "final", where any does.

    Args:
        text: what is said.
        begin: where to start.
        words: keep the sentence where an expression stands among its words.
    """
    plain: list[Offer] = []
    final: list[Offer] = []
    position = begin
    for word in list(_ANSWER.finditer(text, begin))[-_MOST_SENTENCES:]:
        says = _SAYS.match(text, word.end()) if word.start() >= position else None
        if says is None:
            continue
        position = says.end()
        content, stop = _until_end(text, position)
        # A sentence that ends in a colon announces, a question asserts nothing, and one inside of another counts.
        if not content or content.endswith(":") or text[stop : stop + 1] == "?" or _says_again(content):
            continue
        verb = says["verb"].lower()
        denied = "n't" in verb or "cannot" in verb
        offer = _offer_of_sentence(f"not {content}" if denied else content, words, word.start(), stop)
        if offer is not None:
            offer = _with_more(text, stop, offer)
            stop = offer.end
            is_final = _FINAL.search(text[max(0, word.start() - 10) : word.start()])
            (final if is_final else plain).append(offer)
        position = max(position, stop)
    return final or plain


def _until_end(text: str, start: int) -> tuple[str, int]:
    """The rest of the sentence, and where it ends."""
    inside = start
    for opening, closing in _DELIMITED:
        if text.startswith(opening, start):
            # What follows in the same sentence belongs to it too: "$x = 1$ or $x = 2$".
            inside = text.find(closing, start + len(opening), start + _LONGEST) + len(closing)
            break
    found = _END.search(text, max(inside, start), start + _LONGEST)
    stop = found.start() if found else min(len(text), start + _LONGEST)
    return text[start:stop].strip(), stop


def _with_more(text: str, stop: int, offer: Offer) -> Offer:
    """With another answer behind a semicolon: an expression, or words that are no more than those of the first."""
    if text[stop : stop + 1] != ";" or not offer.answers:
        return offer
    found = _END.search(text, stop + 1, stop + _LONGEST)
    end = found.start() if found else min(len(text), stop + _LONGEST)
    rest = text[stop + 1 : end]
    first = offer.answers[-1].strip("$ ")
    words = len(first.split()) if _FEW_WORDS.fullmatch(first) else 0
    if prose_words(rest) and not (_FEW_WORDS.fullmatch(rest.strip()) and len(rest.split()) <= words):
        return offer
    more = offer_of(rest, offer.envelope) if rest.strip() else None
    return (
        offer if more is None else replace(offer, answers=tuple(dict.fromkeys(offer.answers + more.answers)), end=end)
    )


def _says_again(content: str) -> bool:
    return any(_SAYS.match(content, word.end()) for word in _ANSWER.finditer(content, 0, _LEAD_IN))


def _offer_of_sentence(content: str, words: bool, start: int, end: int) -> Offer | None:
    """The last expression of a sentence that leads up to it with words; otherwise the sentence itself."""
    content = cleaned(content)
    first = None if words else first_expression_at(content)
    if first is None or not _WORDS.search(content[:first]) or _DENIAL.match(content):
        return offer_of(content, "sentence", start, end)
    last = last_expression(content)
    return None if last is None else _offer_of_expression(last, "sentence", start, end)


def _offer_of_expression(found: Expression, envelope: str, start: int, end: int) -> Offer | None:
    return offer_of(("not " if found.denied else "") + found.text, envelope, start, end)


def whole(text: str, words: bool = False) -> Offer | None:
    """The offer of a text that is nothing but an answer; None when it is prose, or only announces one.

    Args:
        text: what is said.
        words: whether an expression may stand among words.
    """
    stripped = text.strip()
    if not stripped or stripped.endswith(":"):
        return None
    if len(stripped) > _LONGEST:
        return None if " " in stripped else offer_of(stripped, "bare", 0, len(text))
    found = [word for word in map(str.casefold, _WORDS.findall(stripped)) if word not in CONNECTIVES]
    expression = None
    if found and not words and len(found) <= _MOST_WORDS and (expression := first_expression_at(stripped)) is not None:
        # Units and functions are no prose: "7 km/-7 km".
        found = [word for word in prose_words(stripped) if word not in CONNECTIVES]
    # One word with its number ("type 2") is an answer; an expression among more words stands in prose.
    leads_up = bool(found) and (found[0] in _OPENERS or _LABEL.match(stripped) is not None)
    among = not words and (len(found) > 1 or leads_up)
    if found and ("\n" in stripped or (among and (expression is not None or len(found) > _MOST_WORDS))):
        return None
    # The same answer several times is one; different answers one below the other are alternatives.
    paragraphs = list(dict.fromkeys(filter(None, (part.strip() for part in stripped.split("\n\n")))))
    offers = [offer for part in paragraphs if (offer := offer_of(part, "bare", 0, len(text))) is not None]
    claimed = [offer for offer in offers if not offer.denied] or offers[-1:]
    answers = tuple(dict.fromkeys(answer for offer in claimed for answer in offer.answers))
    return Offer(answers, claimed[0].denied, "bare", 0, len(text)) if claimed else None


def in_prose(text: str, words: bool = False) -> Offer | None:
    """The offer of the last expression of the prose, or of a last line that is short; None when there is neither.

    Args:
        text: what is said.
        words: look at the last line only.
    """
    last = None if words else last_expression(text)
    if last is not None:
        return _offer_of_expression(last, "prose", last.start, last.end)
    tail = text[-_TAIL:]
    lines = [line for line in tail.splitlines() if line.strip()]
    if len(lines) > 1 and len(lines[-1].split()) <= _SHORT and not lines[-1].rstrip().endswith(("?", ":")):
        return offer_of(lines[-1], "prose", len(text) - len(tail), len(text))
    return None
