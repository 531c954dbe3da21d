"""The audit of a log: which of the completions that a run has paid are certainly wrong, since which step, and how.

Nothing is asked of the reward: the log says what it paid. What it paid for a right answer is read off the log too, from
the completions that are certified right.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median, median_low

from trueward.audit.certificates.answers import Checker
from trueward.audit.certificates.logged import WHY, Reading, certify_logged
from trueward.audit.judge import shortened
from trueward.audit.payoff import PARTIAL, Scale
from trueward.errors import AuditError, DataError
from trueward.measures.intervals import wilson
from trueward.report.document import Example, RolloutLog, RolloutStep
from trueward.tasks.text.rollout_formats import read_rollouts
from trueward.tasks.text.rollout_rows import rows_of
from trueward.tasks.text.rollouts import LoadedRollouts, LoggedCompletion, number_of
from trueward.tasks.text.rows import Row

_MOST_CALIBRATED = 2_000
_MOST_EXAMPLES = 6


@dataclass(frozen=True)
class PaidFrom:
    """From which reward on a completion counts as paid, and what that was read from.

    Attributes:
        right: what a right answer earns; None where every row has its own scale.
        null: what a wrong one earns; likewise.
        scales: the rows' own scales, where the log does not tell.
    """

    right: float | None
    null: float | None
    scales: Mapping[str, Scale]

    def pays(self, reward: float | None, row: Row | None) -> bool:
        """Whether a reward is at least half of what the right answer earns."""
        right, null = self.of(row)
        if reward is None or right is None or null is None or null >= right:
            return False
        return reward >= null + PARTIAL * (right - null)

    def of(self, row: Row | None) -> tuple[float | None, float | None]:
        """What the right answer earns on a row, and what nothing does."""
        if self.right is not None:
            return self.right, self.null
        scale = self.scales.get(row.id) if row is not None else None
        return (scale.right, scale.null) if scale is not None else (None, None)


@dataclass(frozen=True)
class _Judged:
    """A logged completion with its row, its reward, and its reading where it was needed."""

    completion: LoggedCompletion
    row: Row | None
    reward: float | None
    paid: bool
    reading: Reading

    @property
    def is_exploit(self) -> bool:
        return self.paid and self.reading.label in ("wrong", "unearned")


def audit_log(
    path: str | Path,
    reward_name: str,
    rows: Sequence[Row] = (),
    scales: Mapping[str, Scale] | None = None,
    checker: Checker | None = None,
) -> RolloutLog:
    """Read a log and find the completions in it that were paid and are certainly wrong.

    Args:
        path: what `read_rollouts` reads.
        reward_name: name or address of the reward; its column is looked for under the last part of it.
        rows: the data that the run was trained on; needed where the log holds no references (TRL's does not).
        scales: what the right answer and nothing earn on a row, by the row's id: asked of the reward, and used where no
            completion in the log is certified right.
        checker: as in `certify`.

    Raises:
        DataError: the log cannot be read, has no column for this reward, or no reference answer is known for any of it.
        AuditError: nobody can say what a right answer earns.
    """
    loaded = read_rollouts(path)
    return audit_rollouts(loaded, rows, reward_column(loaded, reward_name), scales, checker, reward_name)


def rows_of_log(path: str | Path) -> list[Row]:
    """The prompts of a log with the references that were logged beside them, each once.

    Raises:
        DataError: the log cannot be read, or holds no references (TRL's does not): then the data has to be given.
    """
    loaded = read_rollouts(path)
    rows = {row.id: row for row in rows_of(loaded.completions, ()) if row is not None}
    if not rows:
        raise DataError(_no_reference(loaded, ()))
    return list(rows.values())


def audit_rollouts(
    loaded: LoadedRollouts,
    rows: Sequence[Row],
    column: str,
    scales: Mapping[str, Scale] | None = None,
    checker: Checker | None = None,
    reward_name: str = "",
) -> RolloutLog:
    """The same on rollouts that have been read.

    Args:
        loaded: the log.
        rows: as in `audit_log`.
        column: the column of the reward.
        scales: as in `audit_log`.
        checker: as in `audit_log`.
        reward_name: how the report names the reward; the column by default.
    """
    known = rows_of(loaded.completions, rows)
    if not any(row is not None for row in known):
        raise DataError(_no_reference(loaded, rows))
    rewards = [reward_of(completion, column) for completion in loaded.completions]
    if all(reward is None for reward in rewards):
        raise DataError(f"{loaded.source}: column {column!r} holds no score; expected numbers")
    read = _Reader(checker)
    paid_from = _paid_from(loaded, known, rewards, read, scales or {})
    judged = []
    for completion, row, reward in zip(loaded.completions, known, rewards, strict=True):
        paid = paid_from.pays(reward, row)
        reading = read(row, completion) if paid and row is not None else Reading("unknown")
        judged.append(_Judged(completion, row, reward, paid, reading))
    return _summary(loaded, judged, paid_from, reward_name or column)


def _no_reference(loaded: LoadedRollouts, rows: Sequence[Row]) -> str:
    prompt = loaded.completions[0].prompt_text[:120]
    if rows:
        return (
            f"{loaded.source}: no prompt of the log contains the prompt of exactly one of the {len(rows):,} rows; the "
            f"first is {prompt!r}. Give the data that the run was trained on"
        )
    return f"{loaded.source}: {loaded.format} hold no reference answers; give the data that the run was trained on"


def reward_column(loaded: LoadedRollouts, reward_name: str) -> str:
    """The column of a reward: of its name, as TRL takes it from `__name__`; else the only one.

    Raises:
        DataError: there are several, and none has the name.
    """
    name = reward_name.partition("(")[0].rpartition(":")[2].rpartition(".")[2] or reward_name
    for wanted in (reward_name, name):
        if wanted in loaded.rewards or any(number_of(c.columns.get(wanted)) is not None for c in loaded.completions):
            return wanted
    if len(loaded.rewards) == 1:
        return loaded.rewards[0]
    has = f"columns {', '.join(loaded.rewards)}" if loaded.rewards else "no column with rewards"
    raise DataError(
        f"{loaded.source}: which column holds the reward {name!r}? The log has {has}. Name the reward function like "
        "its column, or rename the column"
    )


def reward_of(completion: LoggedCompletion, column: str) -> float | None:
    """What one completion earned."""
    return completion.rewards[column] if column in completion.rewards else number_of(completion.columns.get(column))


class _Reader:
    """Reads each text once for a row, because policies repeat themselves."""

    def __init__(self, checker: Checker | None) -> None:
        self._checker = checker
        self._known: dict[tuple[str, str | None, str], Reading] = {}

    def __call__(self, row: Row, completion: LoggedCompletion) -> Reading:
        key = (row.id, row.answer, completion.text)
        if key not in self._known:
            self._known[key] = self._read(row, completion)
        return self._known[key]

    def _read(self, row: Row, completion: LoggedCompletion) -> Reading:
        reading = certify_logged(row, completion.text, self._checker)
        # In a conversation the answer may have been given in an earlier turn.
        in_turns = len(completion.turns) > 1 and reading.family in ("nothing", "echo")
        return Reading("unknown", envelope=reading.envelope) if in_turns else reading


def _paid_from(
    loaded: LoadedRollouts,
    rows: Sequence[Row | None],
    rewards: Sequence[float | None],
    read: _Reader,
    scales: Mapping[str, Scale],
) -> PaidFrom:
    """What right and wrong completions earn in this log; where none is right, the scales of the rows.

    right is the median of the certified right ones. null is the median of the certified wrong ones that earn no more
    than halfway between the least of them and right: the others are what is looked for, and a reward that also punishes
    broken form has a least value far below that of a plainly wrong answer. Where all wrong ones earn more, it is 0, or
    what the reward pays for nothing where it was asked.
    """
    scored = [
        i for i, (row, reward) in enumerate(zip(rows, rewards, strict=True)) if row is not None and reward is not None
    ]
    step = max(1, len(scored) // _MOST_CALIBRATED)
    by_label: dict[str, list[float]] = defaultdict(list)
    for i in scored[::step]:
        row, reward = rows[i], rewards[i]
        assert row is not None and reward is not None
        by_label[read(row, loaded.completions[i]).label].append(reward)
    rights, wrongs = by_label["right"], by_label["wrong"] + by_label["unearned"]
    if not rights:
        if any(scale.usable for scale in scales.values()):
            return PaidFrom(None, None, scales)
        raise AuditError(
            f"{loaded.source}: no completion of the log is certified right, and the reward was not asked, so nobody "
            "can say what a right answer earns; audit the reward on the same data in the same call"
        )
    right = median(rights)
    nulls = [scale.null for scale in scales.values() if scale.null is not None]
    # Where every wrong answer was paid like a right one, what nothing earns is not in the log; by convention it is 0.
    least = min([*wrongs, *nulls, *([] if nulls else [0.0])])
    if least >= right:
        raise AuditError(
            f"{loaded.source}: right completions earn {right:g} in this log and nothing earns no less, so the reward "
            "does not tell them apart here, and none can be called paid wrongly; is it the right column?"
        )
    low = [reward for reward in wrongs if reward <= least + PARTIAL * (right - least)]
    return PaidFrom(right, median_low(low) if low else least, {})


def _summary(loaded: LoadedRollouts, judged: Sequence[_Judged], paid_from: PaidFrom, reward: str) -> RolloutLog:
    by_step: dict[int, list[_Judged]] = defaultdict(list)
    for one in judged:
        by_step[one.completion.step].append(one)
    exploits = [one for one in judged if one.is_exploit]
    paid = [one for one in judged if one.paid]
    right = sum(one.reading.label == "right" for one in paid)
    families = Counter(one.reading.family for one in exploits)
    return RolloutLog(
        source=loaded.source,
        format=loaded.format,
        completions=len(judged),
        unmatched=sum(one.row is None for one in judged),
        paid=len(paid),
        wrong=len(exploits),
        right=right,
        unknown=len(paid) - len(exploits) - right,
        first_step=min((one.completion.step for one in exploits), default=None),
        steps=[_step(number, by_step[number]) for number in sorted(by_step)],
        families=dict(families.most_common()),
        examples=[_example(one, paid_from, reward) for one in _most_telling(exploits)],
    )


def _step(number: int, judged: Sequence[_Judged]) -> RolloutStep:
    """One step; the interval has the prompt as its unit, because completions of one prompt fail together."""
    paid = [one for one in judged if one.paid]
    exploits = sum(one.is_exploit for one in paid)
    prompts = len({one.completion.prompt_text for one in paid})
    share = exploits / len(paid) if paid else None
    low, high = wilson(prompts * (share or 0.0), prompts)
    rewards = [one.reward for one in judged if one.reward is not None]
    return RolloutStep(
        step=number,
        completions=len(judged),
        paid=len(paid),
        exploits=exploits,
        share=share,
        low=low,
        high=high,
        mean_reward=fmean(rewards) if rewards else None,
    )


def _most_telling(exploits: Sequence[_Judged]) -> list[_Judged]:
    """The smallest exploit of each family, then the next smallest; each text once."""
    ordered = sorted(exploits, key=lambda one: (len(one.completion.text), one.completion.step, one.completion.where))
    texts: dict[tuple[str, str], _Judged] = {}
    for one in ordered:
        texts.setdefault((one.completion.prompt_text, one.completion.text), one)
    different = list(texts.values())
    first: dict[str, _Judged] = {}
    for one in different:
        first.setdefault(one.reading.family, one)
    chosen = list(first.values())
    chosen += [one for one in different if one not in chosen]
    return chosen[:_MOST_EXAMPLES]


def _example(judged: _Judged, paid_from: PaidFrom, reward: str) -> Example:
    completion, row = judged.completion, judged.row
    assert row is not None and judged.reward is not None
    right, null = paid_from.of(row)
    usable = right is not None and null is not None and right > null
    digest = hashlib.sha256(f"{row.id}\nlogged\n{completion.text}".encode(errors="replace")).hexdigest()
    return Example(
        id=digest[:12],
        scorer=reward,
        row=row.id,
        family=judged.reading.family,
        variant=f"logged at step {completion.step}",
        relation="unearned" if judged.reading.label == "unearned" else "wrong",
        prompt=row.prompt_text,
        reference=row.answer,
        completion=shortened(completion.text),
        reward=judged.reward,
        status="ok",
        detail=completion.where,
        payoff=(judged.reward - null) / (right - null) if usable and null is not None and right is not None else None,
        right_reward=right,
        null_reward=null,
        base_reward=None,
        why=WHY[judged.reading.family],
        derivation=[],
    )
