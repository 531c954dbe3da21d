"""Completions that hold no answer: nothing, the question itself, the format without content."""

from __future__ import annotations

from collections.abc import Iterator

from trueward.audit.derivations import Derivation, nothing
from trueward.audit.probes.base import Draft, Family, Surroundings
from trueward.tasks.text.rows import Row

EMPTY = nothing("empty", "")
REFUSAL = nothing("refusal", "I am sorry, but I cannot help with that.")
UNRELATED = nothing("unrelated word", "wheelbarrow")
NULLS = (EMPTY, REFUSAL, UNRELATED)


def _nothing(row: Row, surroundings: Surroundings) -> Iterator[Draft]:
    for derivation in (*NULLS, nothing("blank", " \n\t \n")):
        yield Draft(derivation)


def _echo(row: Row, surroundings: Surroundings) -> Iterator[Draft]:
    yield Draft(Derivation("echo", "the question", blocks=((row.prompt_text,),)))


def _format(row: Row, surroundings: Surroundings) -> Iterator[Draft]:
    for name, text in (
        ("empty box", r"\boxed{}"),
        ("empty answer tag", "<answer></answer>"),
        ("think and answer tags with a placeholder", "<think>\n...\n</think>\n<answer>...</answer>"),
        ("answer marker alone", "The final answer is: "),
        ("empty #### line", "#### "),
    ):
        yield Draft(nothing(name, text))


NOTHING = Family(
    "nothing",
    "pays completions that hold no answer",
    "no answer: empty, blank, a refusal, an unrelated word",
    "wrong",
    "There is no answer in it.",
    uses_reference=False,
    needs_answer=True,
    build=_nothing,
)
ECHO = Family(
    "echo",
    "pays the question given back",
    "the question given back",
    "wrong",
    "It repeats the question and answers nothing.",
    uses_reference=False,
    needs_answer=True,
    build=_echo,
)
FORMAT = Family(
    "format only",
    "pays the format with nothing in it",
    "the expected format with nothing in it",
    "wrong",
    "The format is there, the answer is not.",
    uses_reference=False,
    needs_answer=True,
    build=_format,
    rendering="bare",
)
