"""How a completion was made: derivations, and the envelopes that answers are delivered in.

A probe keeps its derivation, not only its text, so that whatever is changed about it later can be certified again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

Container = Literal["text", "chat"]
Form = Literal[
    "nothing", "single", "hidden", "hedge", "retracted", "negated", "echo", "restated", "explosion", "program"
]


@dataclass(frozen=True)
class Envelope:
    """The format in which a reward expects the answer.

    Attributes:
        name: "bare", "boxed", …
        before: text before the answer.
        after: text behind the answer.
        container: "text", or "chat" for a list with one assistant message.
    """

    name: str
    before: str = ""
    after: str = ""
    container: Container = "text"

    def wrap(self, text: str) -> str:
        """The text of a completion that delivers `text`."""
        return self.before + text + self.after

    def completion(self, text: str) -> Any:
        """`text` in the container that the reward takes."""
        return text if self.container == "text" else [{"role": "assistant", "content": text}]

    @property
    def title(self) -> str:
        """Name for readers, with the container where it is not plain text."""
        return self.name if self.container == "text" else f"{self.name}, chat messages"

    def bare(self) -> Envelope:
        """No format at all, in the same container."""
        return Envelope("bare", container=self.container)

    def in_container(self, container: Container) -> Envelope:
        """The same envelope in another container."""
        return replace(self, container=container)


@dataclass(frozen=True)
class Answer:
    """A candidate answer and where it comes from ("reference", "off by one", "answer of row 17")."""

    name: str
    text: str


@dataclass(frozen=True)
class Derivation:
    """How a completion is built: answers, what is said about them, envelope, edits.

    Attributes:
        form: what the completion commits to (see `certificates.completions`).
        variant: name of this way within its family.
        answers: the candidate answers it uses.
        blocks: what is written into each envelope: text, and numbers that stand for an answer.
        glue: text between two envelopes.
        envelope: the envelope.
        edits: changes to the whole text, in order: ("before", s), ("after", s), ("times", "3").
        steps: what a search has changed so far, in words.
    """

    form: Form
    variant: str
    answers: tuple[Answer, ...] = ()
    blocks: tuple[tuple[str | int, ...], ...] = ((0,),)
    glue: str = "\n"
    envelope: Envelope = Envelope("bare")
    edits: tuple[tuple[str, str], ...] = ()
    steps: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The completion as text."""
        pieces = (
            self.envelope.wrap("".join(part if isinstance(part, str) else self.answers[part].text for part in block))
            for block in self.blocks
        )
        text = self.glue.join(pieces)
        for kind, argument in self.edits:
            if kind == "before":
                text = argument + text
            elif kind == "after":
                text = text + argument
            else:
                text = "\n\n".join([text] * int(argument))
        return text

    @property
    def key(self) -> str:
        """Stable name of this derivation within its row and family."""
        names = ",".join(answer.name for answer in self.answers)
        edits = ",".join(f"{kind}:{len(argument)}" for kind, argument in self.edits)
        return f"{self.form}|{self.variant}|{names}|{self.envelope.name}|{edits}"

    @property
    def told(self) -> list[str]:
        """How the completion is made, in words, one step a line."""
        said = [f"{answer.name}: {_brief(answer.text)}" for answer in self.answers]
        said.append(f"written as: {self.variant.partition(' + ')[0]}")
        if self.envelope.before or self.envelope.after:
            said.append(f"delivered as: {self.envelope.name}")
        if self.steps:
            return [*said, *self.steps]
        for kind, argument in self.edits:
            said.append(f"{argument} times over" if kind == "times" else f"{kind} it: {_brief(argument)}")
        return said

    def inside(self, envelope: Envelope) -> Derivation:
        """The same, delivered in another envelope."""
        return replace(self, envelope=envelope)

    def edited(self, variant: str, *edits: tuple[str, str]) -> Derivation:
        """The same with further edits, under another variant name."""
        return replace(self, variant=variant, edits=self.edits + edits)


def _brief(text: str) -> str:
    return text.strip() if len(text) <= 60 else f"{text.strip()[:40]}… ({len(text):,} characters)"


def single(answer: Answer, variant: str = "") -> Derivation:
    """A completion that commits to one answer."""
    return Derivation("single", variant or answer.name, (answer,))


def nothing(variant: str, text: str) -> Derivation:
    """A completion that commits to no answer."""
    return Derivation("nothing", variant, blocks=((text,),))
