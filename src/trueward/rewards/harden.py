"""`harden`: any reward that reads an answer, so that it pays one committed answer and nothing else.

    reward = harden("rewards.py:correct")                    # also: a function, or a Trueward reward
    reward = harden("rewards.py:correct", low=0.0) + 0.2 * as_reward("rewards.py:form")

The reward does not see the completion but its canonical form (see `canonical`): the one answer that the completion
commits to, in the envelope in which it was given, among the tags that were there.

- Several answers, one that is taken back or denied, none at all, or a copy of the question: the reward sees an empty
  completion, so that hedging earns exactly what silence earns.
- An answer beyond the static limits (see `limits`) is not shown to it at all: `UNPARSABLE`, the answer's fault.
- Padding, repetition and keywords, zero-width and look-alike characters, and whatever stands in thoughts and comments
  are gone before it looks.

Runs in worker processes: the standard library only, at import.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from trueward.errors import RewardError, Unavailable
from trueward.rewards.address import address_of, load
from trueward.rewards.canonical import Canonical, canonical
from trueward.rewards.foreign import Leaf, demands_of, wrap
from trueward.rewards.references import text_of
from trueward.rewards.runner.types import Demands, Item
from trueward.status import Status

if TYPE_CHECKING:
    from trueward.rewards.base import Reward

_DEEPEST = 3  # levels of objects and lists in which a row's texts are looked for


@dataclass(frozen=True)
class Hardened:
    """A leaf reward that shows the one at `reward` nothing but canonical completions.

    Its own address is `trueward.rewards.harden:Hardened(reward='file.py:name')`.

    Attributes:
        reward: the address of the reward, or a leaf itself where it has none.
        template: format in which answers are given, with {answer} once; "" for the usual ones.
        reads_answer: harden also a reward whose signature names no reference column; see `harden`.

    Raises:
        RewardError: the reward cannot be found, reads no answer, or the template has not one {answer}.
    """

    reward: str | Leaf
    template: str = ""
    reads_answer: bool = False
    leaf: Leaf = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Finds the reward and checks that hardening it makes sense."""
        leaf = load(self.reward) if isinstance(self.reward, str) else self.reward
        if self.template and self.template.count("{answer}") != 1:
            raise RewardError(
                f"harden: the template {self.template!r} must contain {{answer}} exactly once, as in 'Sum: {{answer}}'"
            )
        if not self.reads_answer and not leaf.needs:
            raise RewardError(_reads_no_answer(leaf))
        object.__setattr__(self, "leaf", leaf)

    @property
    def __name__(self) -> str:
        """For readers and logs."""
        return f"harden({self.leaf.name})"

    @property
    def kind(self) -> str:
        """That of the reward."""
        return self.leaf.kind

    @property
    def needs(self) -> tuple[str, ...]:
        """Those of the reward."""
        return self.leaf.needs

    @property
    def takes(self) -> tuple[str, ...] | None:
        """Those of the reward."""
        return self.leaf.takes

    @property
    def containers(self) -> tuple[str, ...]:
        """Those of the reward."""
        return self.leaf.containers

    @property
    def stand_ins(self) -> tuple[str, ...]:
        """Those of the reward: it gets the tokens of the canonical completion."""
        return self.leaf.stand_ins

    @property
    def demands(self) -> Demands:
        """Those of the reward."""
        return demands_of(self.leaf)

    def prepare(self) -> None:
        """What the reward does to be ready, if anything."""
        prepare = getattr(self.leaf, "prepare", None)
        if callable(prepare):
            prepare()

    def score_rows(self, rows: Sequence[Item]) -> object:
        """What the reward returns for the canonical completions of N rows together.

        Returns:
            As the reward returned it, but for rows beyond a static limit: (`UNPARSABLE`, which limit). These, and rows
            without an answer that may count, stand in the reward's batch as empty completions, so that a reward which
            compares the rows of a batch sees as many as there are.

        Raises:
            Exception: whatever the reward raises on the rows that hold an answer.
        """
        shown = [self.shown(row) for row in rows]
        try:
            returned = self.leaf.score_rows([_showing(row, seen) for row, seen in zip(rows, shown, strict=True)])
        except (RewardError, Unavailable):
            raise
        except Exception as error:
            return self._without_empty(rows, shown, error)
        values = _as_list(returned, len(rows))
        if values is None:
            return returned
        return [
            (Status.UNPARSABLE, seen.refused) if seen.refused else value
            for value, seen in zip(values, shown, strict=True)
        ]

    def shown(self, row: Item) -> Canonical:
        """What the reward gets to see of one row, and why."""
        return canonical(text_of(row.completion), text_of(row.prompt), _texts(row.columns), self.template)

    def _without_empty(self, rows: Sequence[Item], shown: Sequence[Canonical], error: Exception) -> object:
        """The scores where the reward cannot read an empty completion: that must not cost the rows beside it theirs."""
        answered = [index for index, seen in enumerate(shown) if seen.text]
        if len(answered) == len(rows):
            raise error
        why = f"and the reward raises on an empty completion: {type(error).__name__}: {error}"
        scores: list[object] = [(Status.UNPARSABLE, f"{seen.refused or seen.withheld}, {why}") for seen in shown]
        if answered:
            returned = self.leaf.score_rows([_showing(rows[index], shown[index]) for index in answered])
            values = _as_list(returned, len(answered))
            if values is None:
                return returned
            for index, value in zip(answered, values, strict=True):
                scores[index] = value
        return scores


def harden(
    reward: Any,
    *,
    template: str = "",
    reads_answer: bool = False,
    low: float | None = None,
    high: float | None = None,
) -> Reward:
    """A reward that pays only one committed answer, under static limits, in normalised text, that is no copy.

    Of a combination (sum, product, gate, transforms) every part is hardened. What changes in the reward of a completion
    that gives one answer plainly: nothing, unless the reward looked at the text around it.

    Args:
        reward: an address, a callable in one of the known conventions, or a Trueward reward made of these.
        template: the format of an answer, with {answer} once, where it is not bare, boxed, behind ####, in an answer
            tag or in a sentence such as "The answer is 12".
        reads_answer: harden rewards whose signature names no reference column, too. They are refused otherwise: a
            reward of length, form or repetition would score a completion that nobody wrote.
        low, high: range of the scores. Declare it: an answer beyond the static limits earns `low`, and where none is
            declared the lowest score in its batch.

    Returns:
        A Trueward reward: a plain TRL function, and one that the audit runs in workers where the given one has an
        address.

    Raises:
        RewardError: it cannot be found, is of a kind that cannot be taken apart, or reads no answer.

    Example:
        >>> def contains(completion: str, answer: str) -> float:
        ...     return float(answer in completion)
        >>> reward = harden(contains)
        >>> reward(["6 + 6?"] * 3, ["It is 12.", "12 or 13", "<think>12</think> It is 13."], answer=["12"] * 3)
        [1.0, 0.0, 0.0]
    """
    from trueward.rewards.base import Foreign, Gated, Product, Reward, Sum, Transformed

    def again(part: Any) -> Reward:
        return harden(part, template=template, reads_answer=reads_answer, low=low, high=high)

    match reward:
        case Foreign():
            low, high = reward.low if low is None else low, reward.high if high is None else high
            return _foreign(Hardened(reward.address or reward.leaf, template, reads_answer), low, high)
        case Sum():
            return Sum(tuple((weight, again(part)) for weight, part in reward.terms))
        case Product():
            return Product(again(reward.first), again(reward.second))
        case Gated():
            return Gated(again(reward.opener), again(reward.reward))
        case Transformed():
            return Transformed(again(reward.inner), reward.transforms)
        case Reward():
            raise RewardError(
                f"harden: {reward.name} is a {type(reward).__name__}, whose leaves cannot be reached. Harden the "
                "functions or addresses that it is made of"
            )
    if isinstance(reward, str):
        return _foreign(Hardened(reward, template, reads_answer), low, high)
    inner = address_of(reward) or wrap(reward, getattr(reward, "__name__", type(reward).__name__))
    return _foreign(Hardened(inner, template, reads_answer), low, high)


def _foreign(hardened: Hardened, low: float | None, high: float | None) -> Reward:
    from trueward.rewards.base import Foreign

    return Foreign(wrap(hardened, hardened.__name__), address_of(hardened), low, high)


def _reads_no_answer(leaf: Leaf) -> str:
    reads = f"reads {' and '.join(leaf.stand_ins)}" if leaf.stand_ins else "names no reference column"
    return (
        f"harden: {leaf.name} {reads}, so it does not compare an answer with a reference, and of a hardened completion "
        "it could see nothing else: no length, repetition or wording. Harden the reward that reads the answer and add "
        "this one as it is: harden(correct) + 0.2 * form. If it does read the answer, through **columns or by itself, "
        "say reads_answer=True"
    )


def _showing(row: Item, seen: Canonical) -> Item:
    """The row with the canonical completion in the container that the completion came in."""
    if isinstance(row.completion, list | tuple):
        return dataclasses.replace(row, completion=[{"role": "assistant", "content": seen.text}])
    return dataclasses.replace(row, completion=seen.text)


def _as_list(returned: Any, count: int) -> list[Any] | None:
    """The scores one by one; None where there is not one for each row, which is for whoever called to say."""
    if hasattr(returned, "tolist") and not isinstance(returned, list | tuple):
        returned = returned.tolist()
    return list(returned) if isinstance(returned, list | tuple) and len(returned) == count else None


def _texts(value: Any, depth: int = 0) -> list[str]:
    """Every text in the columns of a row, and every number as text."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, int | float):
        return [str(value)]
    if depth < _DEEPEST and isinstance(value, Mapping):
        return [text for inner in value.values() for text in _texts(inner, depth + 1)]
    if depth < _DEEPEST and isinstance(value, list | tuple):
        return [text for inner in value for text in _texts(inner, depth + 1)]
    return []
