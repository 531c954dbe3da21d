r"""Fitting a frozen judge by its instruction: criticism in words in place of gradients, and a beam of instructions.

A judge answers an instruction about each item with p, the probability of "yes". An instruction is as good as the mean
log-likelihood of the labels y under it,

    ℓ = (1/N) Σ_i  y_i ln p_i + (1 − y_i) ln(1 − p_i),        p clipped to [ε, 1 − ε].

A round: each instruction of the beam is shown a minibatch; its mistakes go to a critic, some at a time, which says why
it failed, rewrites it, and paraphrases the rewrite. All that is new is scored on the whole of the data, beside its
parents, and the best stay. An item without an answer counts as wrong with certainty (ln ε), because in use its row
would be lost.

Reference: Pryzant et al. 2023, "Automatic prompt optimization with gradient descent and beam search", arXiv 2305.03495;
Hong et al. 2026, arXiv 2601.03468 (a judge of artefacts in images).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from jaxtyping import Float, Int

from trueward.errors import TrainingError

_EPSILON = 1e-3
_LONGEST = 6000
INSTRUCTION = "Answer with one word: YES or NO."

Judge = Callable[[str, Sequence[Any]], Float[np.ndarray, " n"]]
"""From an instruction and N items to the probability of "yes" about each; NaN where it cannot be told."""


@dataclass(frozen=True)
class Mistake:
    """An item that an instruction gets wrong.

    Attributes:
        item: what was judged.
        label: 1 where "yes" is right, else 0.
        probability: of "yes", as the judge said it; NaN where it gave no answer.
    """

    item: Any
    label: int
    probability: float


class Critic(Protocol):
    """Says what is wrong with an instruction, and writes another one."""

    def reason(self, instruction: str, mistakes: Sequence[Mistake]) -> str:
        """Why the instruction fails on these items."""

    def rewrite(self, instruction: str, mistakes: Sequence[Mistake], reason: str) -> str:
        """A better instruction."""

    def paraphrase(self, instruction: str) -> str:
        """The same instruction in other words."""


@dataclass(frozen=True)
class SearchSettings:
    """How instructions are searched.

    Attributes:
        rounds: of criticism.
        minibatch: items that an instruction is shown in a round.
        gradients: how often a critic is asked about one instruction in a round.
        errors: mistakes it is told of at a time.
        expansions: new instructions out of one that are scored.
        beam: instructions that stay.
        threshold: of p, for what counts as a mistake.
        seed: of minibatches and mistakes.
    """

    rounds: int = 6
    minibatch: int = 60
    gradients: int = 4
    errors: int = 4
    expansions: int = 5
    beam: int = 4
    threshold: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises `TrainingError` for counts below 1, or a threshold that is no probability."""
        counts = ("rounds", "minibatch", "gradients", "errors", "expansions", "beam")
        wrong = [f"{name}={getattr(self, name)!r}" for name in counts if getattr(self, name) < 1]
        if wrong or not 0 < self.threshold < 1:
            raise TrainingError(
                f"{', '.join(wrong) or f'threshold={self.threshold!r}'}: counts are at least 1, the threshold in (0, 1)"
            )


@dataclass(frozen=True)
class Candidate:
    """An instruction with its quality on some data.

    Attributes:
        instruction: the text.
        likelihood: ℓ.
        accuracy: share of items on the right side of the threshold; one without an answer is wrong.
        abstained: items without an answer.
    """

    instruction: str
    likelihood: float
    accuracy: float
    abstained: int


@dataclass(frozen=True)
class SearchResult:
    """What a search found.

    Attributes:
        beam: best first.
        history: the best instruction after each round; the first is where the search began.
        held_out: the best instruction on data that the search never saw; None without any.
        judged: items that the judge was asked about.
        mended: candidates that had dropped the instruction to answer YES or NO and got it back.
        refused: candidates that were empty, too long or not text.
    """

    beam: Sequence[Candidate]
    history: Sequence[Candidate]
    held_out: Candidate | None
    judged: int
    mended: int
    refused: int

    @property
    def best(self) -> Candidate:
        """The best instruction."""
        return self.beam[0]


def assessed(
    instruction: str,
    probability: Float[np.ndarray, " n"],
    labels: Int[np.ndarray, " n"],
    threshold: float = 0.5,
) -> Candidate:
    """How good an instruction is, by what the judge said under it.

    Args:
        instruction: the text.
        probability: p; NaN where there is no answer.
        labels: y, 0 or 1.
        threshold: from which p counts as "yes".
    """
    known = ~np.isnan(probability)
    p = np.clip(np.where(known, probability, 0.5), _EPSILON, 1 - _EPSILON)
    likelihood = np.where(known, np.log(np.where(labels == 1, p, 1 - p)), np.log(_EPSILON))
    right = known & ((probability >= threshold) == (labels == 1))
    return Candidate(instruction, float(likelihood.mean()), float(right.mean()), int((~known).sum()))


def asks_for_yes_or_no(instruction: str) -> bool:
    """True where an instruction names both words, so that the judge knows what to answer."""
    words = {word.casefold() for word in re.findall(r"[^\W\d_]+", instruction)}
    return {"yes", "no"} <= words


def validated(text: Any) -> str | None:
    """A candidate as it may be used; None where it may not.

    Quotes and fences around it go. One that does not ask for YES or NO any more gets that back: else the judge answers
    in sentences and nothing can be read.
    """
    if not isinstance(text, str):
        return None
    fenced = re.fullmatch(r"\s*```\w*\n(.*?)\n?```\s*", text, re.DOTALL)
    plain = (fenced[1] if fenced else text).strip()
    if len(plain) > 1 and plain[0] == plain[-1] and plain[0] in "\"'":
        plain = plain[1:-1].strip()
    if not plain or len(plain) > _LONGEST:
        return None
    return plain if asks_for_yes_or_no(plain) else f"{plain}\n{INSTRUCTION}"


def prompt_search(
    judge: Judge,
    critic: Critic,
    items: Sequence[Any],
    labels: Int[np.ndarray, " n"],
    instruction: str,
    *,
    settings: SearchSettings | None = None,
    held_out: tuple[Sequence[Any], Int[np.ndarray, " m"]] | None = None,
) -> SearchResult:
    """Find the instruction under which a judge agrees best with labels.

    Args:
        judge: frozen.
        critic: writes instructions.
        items: N items.
        labels: 1 where "yes" is right, 0 where "no" is.
        instruction: where the search begins; it matters.
        settings: sizes; those of the reference by default.
        held_out: items and labels that are only reported: the likelihood of the best of many on the data that chose it
            is too good.

    Raises:
        TrainingError: no data, labels other than 0 and 1, an unusable first instruction, or a judge that does not give
            one number for each item.
    """
    chosen = settings or SearchSettings()
    first = validated(instruction)
    if first is None:
        raise TrainingError(f"the first instruction {instruction!r} cannot be used: expected text, not too long")
    search = _Search(judge, critic, items, _checked(items, labels), chosen)
    beam, history = [search.scored(first)], []
    history.append(beam[0])
    for number in range(chosen.rounds):
        generator = np.random.default_rng([chosen.seed, number])
        new = [text for candidate in beam for text in search.expanded(candidate.instruction, generator)]
        pool = {candidate.instruction: candidate for candidate in [*beam, *map(search.scored, new)]}
        # sorted is stable: of equals the older one stays.
        beam = sorted(pool.values(), key=lambda one: -one.likelihood)[: chosen.beam]
        history.append(beam[0])
    told = None
    if held_out is not None:
        answers = search.asked(beam[0].instruction, held_out[0])
        told = assessed(beam[0].instruction, answers, _checked(*held_out), chosen.threshold)
    return SearchResult(beam, history, told, search.judged, search.mended, search.refused)


def _checked(items: Sequence[Any], labels: Any) -> Int[np.ndarray, " n"]:
    numbers = np.asarray(labels)
    if not len(items) or numbers.shape != (len(items),) or not np.isin(numbers, (0, 1)).all():
        raise TrainingError(
            f"{len(items)} items with labels of shape {numbers.shape}; expected at least one item and a label of 0 or "
            "1 for each"
        )
    return numbers.astype(int)


@dataclass
class _Search:
    """What a search is made of, and what it has counted and scored so far."""

    judge: Judge
    critic: Critic
    items: Sequence[Any]
    labels: Int[np.ndarray, " n"]
    settings: SearchSettings
    judged: int = 0
    mended: int = 0
    refused: int = 0
    known: dict[str, Float[np.ndarray, " n"]] = field(default_factory=dict)

    def asked(self, instruction: str, items: Sequence[Any]) -> Float[np.ndarray, " n"]:
        """p of items."""
        answers = np.asarray(self.judge(instruction, items), dtype=np.float64)
        if answers.shape != (len(items),):
            raise TrainingError(f"the judge gave numbers of shape {answers.shape} for {len(items)} items")
        self.judged += len(items)
        return answers

    def scored(self, instruction: str) -> Candidate:
        """An instruction on all data; asked once."""
        if instruction not in self.known:
            self.known[instruction] = self.asked(instruction, self.items)
        return assessed(instruction, self.known[instruction], self.labels, self.settings.threshold)

    def expanded(self, instruction: str, generator: np.random.Generator) -> list[str]:
        """New instructions out of one: criticised on its mistakes in a minibatch, rewritten and paraphrased."""
        chosen = self.settings
        shown = generator.permutation(len(self.items))[: chosen.minibatch]
        # The answers are known already: every instruction of the beam was scored on all data.
        answers, labels = self.known[instruction][shown], self.labels[shown]
        wrong = shown[~((answers >= chosen.threshold) == (labels == 1)) | np.isnan(answers)]
        if not len(wrong):
            return []
        found: list[str] = []
        for _ in range(chosen.gradients):
            places = generator.permutation(wrong)[: chosen.errors]
            mistakes = [
                Mistake(self.items[place], int(self.labels[place]), float(self.known[instruction][place]))
                for place in places.tolist()
            ]
            reason = self.critic.reason(instruction, mistakes)
            rewritten = self._usable(self.critic.rewrite(instruction, mistakes, reason))
            if rewritten is None:
                continue
            found.append(rewritten)
            paraphrased = self._usable(self.critic.paraphrase(rewritten))
            if paraphrased is not None:
                found.append(paraphrased)
        new = [text for text in dict.fromkeys(found) if text not in self.known]
        return [new[place] for place in sorted(generator.permutation(len(new))[: chosen.expansions].tolist())]

    def _usable(self, text: Any) -> str | None:
        usable = validated(text)
        self.refused += usable is None
        self.mended += usable is not None and not asks_for_yes_or_no(text)
        return usable


_REASON = """An instruction asks a judge of images a question. On the images below its answer was wrong.

Instruction:
{instruction}

{mistakes}

Give one reason why the instruction leads to these mistakes, in one or two sentences."""
_REWRITE = """An instruction asks a judge of images a question. On the images below its answer was wrong.

Instruction:
{instruction}

{mistakes}

What is wrong with it:
{reason}

Write one better instruction. It must still end by asking for the answer YES or NO. Write nothing but the
instruction."""
_PARAPHRASE = """Say the following instruction in other words, with the same meaning. It must still end by asking for
the answer YES or NO. Write nothing but the instruction.

{instruction}"""


@dataclass(frozen=True)
class WrittenCritic(Critic):
    """A critic that is a language model.

    Attributes:
        ask: from a message and the items it is about to an answer.
    """

    ask: Callable[[str, Sequence[Any]], str]

    def reason(self, instruction: str, mistakes: Sequence[Mistake]) -> str:
        """One reason."""
        return self._about(_REASON, instruction, mistakes)

    def rewrite(self, instruction: str, mistakes: Sequence[Mistake], reason: str) -> str:
        """One rewrite."""
        return self._about(_REWRITE, instruction, mistakes, reason=reason)

    def paraphrase(self, instruction: str) -> str:
        """One paraphrase."""
        return self.ask(_PARAPHRASE.format(instruction=instruction), [])

    def _about(self, message: str, instruction: str, mistakes: Sequence[Mistake], **more: str) -> str:
        told = "\n".join(_told(number, one) for number, one in enumerate(mistakes, 1))
        return self.ask(message.format(instruction=instruction, mistakes=told, **more), [one.item for one in mistakes])


def _told(number: int, mistake: Mistake) -> str:
    right = "YES" if mistake.label else "NO"
    said = (
        "gave no readable answer" if np.isnan(mistake.probability) else f"said YES with p = {mistake.probability:.2f}"
    )
    return f"Image {number}: right is {right}; the judge {said}."
