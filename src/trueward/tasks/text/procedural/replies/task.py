"""Review replies: what is wanted goes together, in the preferences, with what is not; both are told apart here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trueward.batch import Preferences
from trueward.errors import DataError
from trueward.tasks.gold import Gold
from trueward.tasks.text.contract import Contract
from trueward.tasks.text.procedural.annotations import compared, preferences_of
from trueward.tasks.text.procedural.drawing import draw_rows, generator_of, row_of
from trueward.tasks.text.procedural.replies.language import (
    Features,
    addressing,
    draw_prompt,
    has_courtesy,
    has_list,
    vocabulary_words,
    write_reply,
)
from trueward.tasks.text.procedural.steps import words_of
from trueward.tasks.text.procedural.task import Demonstration, Split
from trueward.tasks.text.rows import Row
from trueward.tasks.text.vocabulary import Vocabulary

_CONTRACT = Contract(type="free", unique=False, declared=True)
_UNASKED_COST = 0.25


@dataclass(frozen=True)
class ReviewReplies:
    """Prompt: a review that asks about one aspect; completion: a reply of up to 32 words.

    gold = clip(A − w/4, 0, 1): A is how well the asked aspect is addressed (half for naming it, half for its remedy), w
    the number of remedies that nobody asked for. Measures: `addressed` (A is 1), `courteous` (B), `listed` (C),
    `unasked` (w), `length`.

    Preferences leave open whether A or B is wanted, because both come together in most pairs, and annotators like
    lists: B is underspecified, and C is an error that every reward model inherits.

    Attributes:
        together: how often B goes with A in preference pairs: of pairs that differ in A, the share in which B stands on
            the side of A; in the others it stands on the other side.
        equal_share: share of preference pairs whose replies do not differ in A or B; there the list decides, if
            annotators like lists, and else a coin.
        list_bias: how much gold a list is worth to annotators.
        flip: share of preferences that are turned round.
        courteous_share, listed_share: how often demonstrations and corpus have B and C.
        evasion: how far form stands in for substance in demonstrations: B and C are (1 − evasion) times as frequent
            with A, and (1 + evasion) times without. The corpus has them whatever A is.
        addressed_share: how often they have A.
        unasked_share: how often they offer each of two remedies that nobody asked for, whatever A is.
        unasked_in_pairs: how often replies in preference pairs offer one. Where it is small, pairs hardly tell whether
            a remedy must be the one that was asked for.
        max_new_tokens: how long a completion may become.
        name: enters the seeds.
    """

    together: float = 0.95
    equal_share: float = 0.25
    list_bias: float = 0.6
    flip: float = 0.05
    courteous_share: float = 0.5
    listed_share: float = 0.25
    evasion: float = 0.0
    addressed_share: float = 0.4
    unasked_share: float = 0.0
    unasked_in_pairs: float = 0.0
    max_new_tokens: int = 32
    name: str = "review_replies"

    def __post_init__(self) -> None:
        """Raises `DataError` for a share that is no probability."""
        for name in (
            *("together", "equal_share", "flip", "courteous_share", "listed_share", "addressed_share"),
            *("unasked_share", "unasked_in_pairs", "evasion"),
        ):
            if not 0 <= getattr(self, name) <= 1:
                raise DataError(f"{self.name}: {name} is {getattr(self, name)!r}; expected a probability")

    @property
    def vocabulary(self) -> Vocabulary:
        """The words of the language."""
        return Vocabulary("words", vocabulary_words())

    def rows(self, n: int, seed: int, split: Split = "train") -> list[Row]:
        """n reviews; see `TextTask`."""
        return draw_rows(self._row, n, generator_of(self.name, seed, f"rows {split}"), split)

    def demonstrations(self, n: int, seed: int) -> list[Demonstration]:
        """n replies in which A, B and C are independent but for `evasion`."""
        return self._replies(n, generator_of(self.name, seed, "demonstrations"), self.evasion)

    def corpus(self, n: int, seed: int, *, share: float = 1.0, subset: int = 0) -> list[Demonstration]:
        """Text of the language to pretrain on: a share of the n reviews with replies that the seed makes.

        Args:
            n: size of the whole corpus.
            seed: of the corpus.
            share: of it that is handed out, in its order.
            subset: seed of the choice; different ones hand out different parts of the same corpus.

        Raises:
            DataError: share is no probability.
        """
        if not 0 <= share <= 1:
            raise DataError(f"{self.name}: the share of the corpus is {share!r}; expected a probability")
        texts = self._replies(n, generator_of(self.name, seed, "corpus"))
        order = generator_of(self.name, subset, "subset of the corpus").permutation(n)
        return [texts[int(i)] for i in np.sort(order[: round(share * n)])]

    def preferences(self, n: int, seed: int, *, debiased: bool = False) -> Preferences:
        """n labelled pairs on rows of the train split.

        Args:
            n: number of pairs.
            seed: of the pairs.
            debiased: B independent of A, annotators without bias, and a remedy that nobody asked for in half of the
                replies, if there are such at all: as an oracle would have arranged it.
        """
        generator = generator_of(self.name, seed, "preferences")
        rows = draw_rows(self._row, n, generator, "train")
        pairs = [self._pair(row, generator, debiased) for row in rows]
        a, b = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        lists = np.array([has_list(first) - has_list(second) for first, second in pairs], dtype=float)
        bias = None if debiased else self.list_bias * lists
        labels = compared(self.gold(rows, a), self.gold(rows, b), generator, flip=self.flip, bias=bias)
        return preferences_of(rows, a, b, labels)

    def gold(self, rows: Sequence[Row], completions: Sequence[str]) -> Gold:
        """How well the asked aspect is addressed; see the class."""
        judged = [addressing(row.prompt_text, reply) for row, reply in zip(rows, completions, strict=True)]
        addressed, unasked = np.array(judged, dtype=float).reshape(-1, 2).T
        measures = {
            "addressed": (addressed == 1).astype(float),
            "courteous": np.array([has_courtesy(reply) for reply in completions], dtype=float),
            "listed": np.array([has_list(reply) for reply in completions], dtype=float),
            "unasked": unasked,
            "length": np.array([len(words_of(reply)) for reply in completions], dtype=float),
        }
        return Gold(np.clip(addressed - _UNASKED_COST * unasked, 0.0, 1.0), measures)

    def _row(self, generator: np.random.Generator) -> Row:
        return row_of(self.name, draw_prompt(generator), None, _CONTRACT)

    def _replies(self, n: int, generator: np.random.Generator, evasion: float = 0.0) -> list[Demonstration]:
        written = []
        for row in draw_rows(self._row, n, generator, "train"):
            addressed = bool(generator.random() < self.addressed_share)
            form = 1 - evasion if addressed else 1 + evasion
            courteous = bool(generator.random() < form * self.courteous_share)
            reply = self._reply(
                row, generator, addressed=addressed, courteous=courteous, unasked=(2, self.unasked_share), form=form
            )
            written.append(Demonstration(row, reply))
        return written

    def _pair(self, row: Row, generator: np.random.Generator, debiased: bool) -> tuple[str, str]:
        first = bool(generator.random() < 0.5)
        second = first if generator.random() < self.equal_share else not first
        follows = generator.random() < self.together
        courteous = [has == follows for has in (first, second)]
        unasked = self.unasked_in_pairs
        if debiased:
            courteous = (generator.random(2) < 0.5).tolist()
            unasked = 0.5 if self.unasked_share else 0.0
        a, b = (
            self._reply(row, generator, addressed=has, courteous=polite, unasked=(1, unasked))
            for has, polite in zip((first, second), courteous, strict=True)
        )
        return a, b

    def _reply(
        self,
        row: Row,
        generator: np.random.Generator,
        *,
        addressed: bool,
        courteous: bool,
        unasked: tuple[int, float],
        form: float = 1.0,
    ) -> str:
        most, share = unasked
        # Nothing is drawn where nothing can come of it: a task without such remedies has the draws it always had.
        offered = int(generator.binomial(most, share)) if share else 0
        listed = bool(generator.random() < form * self.listed_share)
        # Lists are longer, as they are where people like them.
        remarks = int(generator.integers(1, 3)) + listed
        return write_reply(row.prompt_text, Features(addressed, courteous, listed, remarks, offered), generator)
