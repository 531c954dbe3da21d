"""Topic keywords: short texts that should cover the topic of their prompt, without repeating it and without padding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trueward.errors import DataError
from trueward.tasks.gold import Gold
from trueward.tasks.text.contract import Contract
from trueward.tasks.text.procedural.drawing import draw_rows, generator_of, row_of
from trueward.tasks.text.procedural.steps import words_of
from trueward.tasks.text.procedural.task import Demonstration, Split
from trueward.tasks.text.rows import Row
from trueward.tasks.text.vocabulary import Vocabulary

# Topics of different breadth: a narrow one is soon covered, so that the level of gold depends on the prompt.
TOPICS: dict[str, tuple[str, ...]] = {
    "kitchen": ("oven", "knife", "pan", "spoon"),
    "weather": ("rain", "cloud", "wind", "storm", "frost"),
    "school": ("lesson", "teacher", "pupil", "desk", "chalk", "book"),
    "sea": ("wave", "tide", "shore", "sail", "reef", "gull", "salt"),
    "music": ("song", "drum", "flute", "choir", "tune", "chord", "tempo", "violin"),
    "forest": ("oak", "moss", "fern", "deer", "owl", "pine", "root", "leaf", "bark", "trail"),
}
FILLERS = ("the", "a", "and", "with", "of", "near", "old", "new")
READERS = ("children", "sailors", "readers", "guests")
TONES = ("calm", "bright", "plain")
_CONTRACT = Contract(type="free", unique=False, declared=True)
_EXCESS_SPAN = 20


@dataclass(frozen=True)
class TopicKeywords:
    """Prompt `about sea for children in calm`; completion: up to 24 words of a vocabulary of 64.

    gold = clip(coverage − repetition − excess, 0, 1) with

    - coverage = 1 − (1 − d/B)², d different keywords of the prompt's topic, which has B;
    - repetition = share of words that repeat an earlier keyword of any topic;
    - excess = max(0, length − free)/20.

    Reader and tone only make prompts differ. Measures: `coverage`, `repetition`, `excess`, `keywords` (keywords of the
    topic, repeated ones too), `off_topic` (keywords of other topics), `length`.

    Attributes:
        free: words that may be written without excess.
        keyword_rate: the demonstrations' share of words that are keywords of the topic, in the mean.
        repeat_rate: probability that a demonstration's keyword may be one that was already written.
        stray_rate: their share of keywords of other topics.
        lengths: fewest and most words of a demonstration.
        max_new_tokens: how long a completion may become.
        name: enters the seeds.
    """

    free: int = 14
    keyword_rate: float = 0.35
    repeat_rate: float = 0.1
    stray_rate: float = 0.1
    lengths: tuple[int, int] = (4, 12)
    max_new_tokens: int = 24
    name: str = "topic_keywords"

    def __post_init__(self) -> None:
        """Raises `DataError` for rates and lengths that cannot be."""
        rates = (self.keyword_rate, self.repeat_rate, self.stray_rate)
        if not all(0 <= rate <= 1 for rate in rates) or self.keyword_rate + self.stray_rate > 1:
            raise DataError(f"{self.name}: the rates {rates} are no probabilities, or the first and last exceed 1")
        if not 1 <= self.lengths[0] <= self.lengths[1] <= self.max_new_tokens:
            raise DataError(
                f"{self.name}: lengths {self.lengths} do not lie in order between 1 and {self.max_new_tokens}"
            )

    @property
    def vocabulary(self) -> Vocabulary:
        """64 words."""
        keywords = [word for words in TOPICS.values() for word in words]
        return Vocabulary("words", (*TOPICS, *keywords, *FILLERS, *READERS, *TONES, "about", "for", "in"))

    def rows(self, n: int, seed: int, split: Split = "train") -> list[Row]:
        """n prompts; see `TextTask`."""
        return draw_rows(self._row, n, generator_of(self.name, seed, f"rows {split}"), split)

    def demonstrations(self, n: int, seed: int) -> list[Demonstration]:
        """n texts of fillers and keywords, of mixed quality."""
        generator = generator_of(self.name, seed, "demonstrations")
        rows = draw_rows(self._row, n, generator, "train")
        return [Demonstration(row, self._write(topic_of(row.prompt_text), generator)) for row in rows]

    def gold(self, rows: Sequence[Row], completions: Sequence[str]) -> Gold:
        """Coverage less repetition less excess; see the class."""
        names = ("coverage", "repetition", "excess", "keywords", "off_topic", "length")
        records = [
            self._judge(topic_of(row.prompt_text), words_of(completion))
            for row, completion in zip(rows, completions, strict=True)
        ]
        measures = dict(zip(names, np.array(records, dtype=float).reshape(-1, len(names)).T, strict=True))
        values = measures["coverage"] - measures["repetition"] - measures["excess"]
        return Gold(np.clip(values, 0.0, 1.0), measures)

    def _judge(self, topic: str, words: list[str]) -> tuple[float, ...]:
        wanted = TOPICS[topic]
        seen: set[str] = set()
        repeated = 0
        for word in words:
            repeated += word in seen
            if word in _TOPIC_OF:
                seen.add(word)
        written = sum(word in wanted for word in words)
        covered = len(seen.intersection(wanted)) / len(wanted)
        return (
            1 - (1 - covered) ** 2,
            repeated / max(1, len(words)),
            max(0, len(words) - self.free) / _EXCESS_SPAN,
            written,
            sum(word in _TOPIC_OF for word in words) - written,
            len(words),
        )

    def _row(self, generator: np.random.Generator) -> Row:
        topic, reader, tone = (
            choices[int(generator.integers(len(choices)))] for choices in (tuple(TOPICS), READERS, TONES)
        )
        return row_of(self.name, f"about {topic} for {reader} in {tone}", None, _CONTRACT)

    def _write(self, topic: str, generator: np.random.Generator) -> str:
        length = int(generator.integers(self.lengths[0], self.lengths[1] + 1))
        # Writers differ in how much they have to say: without it, all texts of one length would be about equally good.
        rate = min(1 - self.stray_rate, float(generator.uniform(0, 2 * self.keyword_rate)))
        words: list[str] = []
        for _ in range(length):
            kind = generator.random()
            if kind < rate:
                fresh = [word for word in TOPICS[topic] if word not in words]
                choices = TOPICS[topic] if not fresh or generator.random() < self.repeat_rate else fresh
            elif kind < rate + self.stray_rate:
                choices = [word for word, owner in _TOPIC_OF.items() if owner != topic]
            else:
                choices = FILLERS
            words.append(choices[int(generator.integers(len(choices)))])
        return " ".join(words)


_TOPIC_OF = {word: topic for topic, words in TOPICS.items() for word in words}


def topic_of(prompt: str) -> str:
    """The topic that a prompt names.

    Raises:
        DataError: it names none.
    """
    words = prompt.split()
    if len(words) < 2 or words[0] != "about" or words[1] not in TOPICS:
        raise DataError(
            f"the prompt {prompt!r} names no topic; expected 'about TOPIC …' with one of {', '.join(TOPICS)}"
        )
    return words[1]
