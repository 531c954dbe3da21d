"""The language of review replies: complaints about a stay, and answers with features that are told apart exactly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trueward.errors import DataError
from trueward.tasks.text.procedural.steps import words_of

# aspect → (what is wrong with it, what is done about it)
ASPECTS: dict[str, tuple[str, tuple[str, str]]] = {
    "noise": ("loud", ("seal", "windows")),
    "bed": ("hard", ("replace", "mattress")),
    "food": ("cold", ("retrain", "cooks")),
    "staff": ("rude", ("coach", "team")),
    "price": ("high", ("refund", "fee")),
    "water": ("brown", ("repair", "boiler")),
    "light": ("dim", ("install", "lamps")),
    "view": ("blocked", ("trim", "trees")),
}
PRAISE = ("fine", "good", "clean")
NAMES = ("anna", "boris", "carla", "david", "elena", "farid")
CITIES = ("paris", "rome", "oslo", "lima", "cairo")
# One family of phrases: courtesies.
COURTESIES = ("thank you for telling us", "we are truly sorry", "your comfort matters to us")
REMARKS = (
    "we read each note",
    "the manager knows",
    "please visit again",
    "our hotel opened in spring",
    "breakfast begins at seven",
    "the garden is open",
)
ITEM = "-"
_REMEDIES = {verb: (aspect, thing) for aspect, (_, (verb, thing)) in ASPECTS.items()}
_FRAME = ("guest", "in", ":", "the", "was", "but", ";", "asks", "about", "we", "will", "soon", "regarding", ITEM)


def vocabulary_words() -> tuple[str, ...]:
    """Every word of the language once, in a fixed order."""
    words = [*_FRAME, *PRAISE, *NAMES, *CITIES]
    for aspect, (complaint, remedy) in ASPECTS.items():
        words += [aspect, complaint, *remedy]
    for phrase in (*COURTESIES, *REMARKS):
        words += phrase.split()
    return tuple(dict.fromkeys(words))


@dataclass(frozen=True)
class Features:
    """What a reply has, which its writer decides and a reader can tell.

    Attributes:
        addressed: A: names the asked aspect and what is done about it.
        courteous: B: has a courtesy.
        listed: C: is written as a list.
        remarks: how many sentences say something else.
        unasked: how many remedies it offers for what nobody asked about.
    """

    addressed: bool
    courteous: bool
    listed: bool
    remarks: int = 1
    unasked: int = 0


def draw_prompt(generator: np.random.Generator) -> str:
    """A review of two aspects, one of which is asked about."""
    asked, other = (list(ASPECTS)[int(i)] for i in generator.choice(len(ASPECTS), size=2, replace=False))
    name, city, praise = (choices[int(generator.integers(len(choices)))] for choices in (NAMES, CITIES, PRAISE))
    halves = [f"the {asked} was {ASPECTS[asked][0]}", f"the {other} was {praise}"]
    if generator.random() < 0.5:
        halves.reverse()
    return f"guest {name} in {city} : {' but '.join(halves)} ; asks about {asked} :"


def asked_aspect(prompt: str) -> str:
    """The aspect that a prompt asks about.

    Raises:
        DataError: it asks about none.
    """
    words = prompt.split()
    if len(words) < 4 or words[-4:-2] != ["asks", "about"] or words[-2] not in ASPECTS:
        raise DataError(f"the prompt {prompt!r} asks about no aspect; expected it to end in 'asks about ASPECT :'")
    return words[-2]


def write_reply(prompt: str, features: Features, generator: np.random.Generator) -> str:
    """A reply with exactly these features; sentences in random order, each behind `-` in a list."""
    asked = asked_aspect(prompt)
    offered = [asked] if features.addressed else []
    if features.unasked:
        others = [aspect for aspect in ASPECTS if aspect != asked]
        offered += [others[int(i)] for i in generator.choice(len(others), size=features.unasked, replace=False)]
    sentences = [_remedy(aspect, generator) for aspect in offered]
    if features.courteous:
        sentences.append(COURTESIES[int(generator.integers(len(COURTESIES)))])
    chosen = generator.choice(len(REMARKS), size=features.remarks, replace=False)
    sentences += [REMARKS[int(i)] for i in chosen]
    ordered = [sentences[int(i)] for i in generator.permutation(len(sentences))]
    return " ".join(f"{ITEM} {sentence}" for sentence in ordered) if features.listed else " ".join(ordered)


def _remedy(aspect: str, generator: np.random.Generator) -> str:
    verb, thing = ASPECTS[aspect][1]
    forms = (
        f"we will {verb} the {thing} regarding the {aspect}",
        f"regarding the {aspect} we will {verb} the {thing}",
    )
    return forms[int(generator.integers(len(forms)))]


def addressing(prompt: str, reply: str) -> tuple[float, float]:
    """How well a reply addresses what is asked, and how many remedies it offers for what nobody asked about.

    Half for naming the aspect, half for its remedy: its verb, and its thing within the next two words.
    """
    words = words_of(reply)
    asked = asked_aspect(prompt)
    offered = {
        remedy[0]
        for i, word in enumerate(words)
        if (remedy := _REMEDIES.get(word)) is not None and remedy[1] in words[i + 1 : i + 3]
    }
    return 0.5 * (asked in words) + 0.5 * (asked in offered), float(len(offered - {asked}))


def has_courtesy(reply: str) -> bool:
    """True when a reply has a phrase of the family of courtesies, word for word."""
    text = f" {' '.join(words_of(reply))} "
    return any(f" {phrase} " in text for phrase in COURTESIES)


def has_list(reply: str) -> bool:
    """True when a reply has a list marker."""
    return ITEM in words_of(reply)
