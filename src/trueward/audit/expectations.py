"""Expectations: what a test says that a reward must and must not pay; the object behind the fixture `trueward`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import Any

from trueward.audit.api import audit
from trueward.audit.judge import LEAST_GAIN
from trueward.audit.payoff import FULL, PARTIAL
from trueward.audit.probes.nothing import NULLS
from trueward.audit.report import Report
from trueward.audit.subjects import Subject, subject_of
from trueward.report.document import Example, Finding
from trueward.report.escape import visible
from trueward.report.wording import counted, earned, extent, number
from trueward.rewards.references import text_of
from trueward.rewards.runner.types import Item, Outcome, Runner
from trueward.status import Status
from trueward.tasks.text.rows import Row

_MEMORY_MB = 2048
_MOST_SHOWN = 4  # findings
_LONGEST_SHOWN = 300  # characters of a completion in a message
_EQUAL = 1e-9
# No score at all, and not because of the answer: nothing can be said about what it pays.
_NO_ANSWER = (Status.UNAVAILABLE, Status.MISSING_REFERENCE, Status.NOT_FINITE, Status.WRONG_TYPE, Status.WRONG_COUNT)


class Expectations:
    """Audits rewards and asserts what they pay.

    Rewards with an address run in worker processes, which are started once and kept until `close`.

    Payoffs are those of the audit: u = (r − r0) / (r+ − r0) with r+ the reward of the right completion and r0 the
    median reward of null completions, so that nothing earns 0 and the right answer earns 1.
    """

    def __init__(self) -> None:
        """Starts nothing yet."""
        self._runners: dict[tuple[str, float], Runner] = {}

    def __enter__(self) -> Expectations:
        """Returns itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends every worker."""
        self.close()

    def close(self) -> None:
        """End every worker."""
        for runner in self._runners.values():
            runner.close()
        self._runners.clear()

    def audit(self, reward: Any, data: Any = None, **settings: Any) -> Report:
        """`trueward.audit`, for tests that look at the report themselves."""
        return audit(reward, data, **settings)

    def assert_clean(self, reward: Any, data: Any = None, **settings: Any) -> Report:
        """Audit a reward and fail on any finding, with the smallest example of each.

        Args:
            reward, data, settings: as `trueward.audit`.

        Raises:
            AssertionError: there are findings.
            TruewardError: the audit came to no verdict.
        """
        __tracebackhide__ = True
        report = audit(reward, data, **settings)
        if not report.clean:
            raise AssertionError(_not_clean(report, data))
        return report

    def assert_not_paid(
        self,
        reward: Any,
        prompt: Any,
        completion: Any,
        *,
        right: Any,
        columns: Mapping[str, Any] | None = None,
        null: Any = None,
        at_most: float = PARTIAL,
        deadline: float = 5.0,
    ) -> None:
        """Fail when a completion earns more than a share of what the right one earns.

        Args:
            reward: an address, a callable, or a Trueward reward.
            prompt: text or messages.
            completion: what must not be paid; text or messages.
            right: a completion that is right, or the reward that such a one earns, as a number.
            columns: the other columns of the row, as the reward wants them.
            null: completions that hold no answer, or their reward as a number; by default empty, a refusal, and a word.
            at_most: the largest payoff that is allowed.
            deadline: seconds for each call.

        Raises:
            AssertionError: it is paid more, or the right completion earns no more than nothing, so that nothing can be
                compared.
        """
        __tracebackhide__ = True
        paid = self._payoff(reward, prompt, completion, right, columns, null, deadline)
        if paid.value is not None and paid.value > at_most:
            raise AssertionError(
                f"{paid.name} pays {number(paid.value)} of a right answer, at most {number(at_most)} is allowed\n"
                + paid.told
            )

    def assert_paid(
        self,
        reward: Any,
        prompt: Any,
        completion: Any,
        *,
        right: Any = None,
        columns: Mapping[str, Any] | None = None,
        null: Any = None,
        at_least: float = FULL,
        deadline: float = 5.0,
    ) -> None:
        """Fail when a completion earns less than a share of what the right one earns.

        Args:
            right: a completion that is right, or its reward; without it the completion is the right one itself, and
                must earn more than nothing does.
            reward, prompt, completion, columns, null, deadline: as `assert_not_paid`.
            at_least: the smallest payoff that is allowed.

        Raises:
            AssertionError: it is paid less, or has no score.
        """
        __tracebackhide__ = True
        reference = completion if right is None else right
        paid = self._payoff(reward, prompt, completion, reference, columns, null, deadline)
        if paid.value is None or paid.value < at_least:
            raise AssertionError(
                f"{paid.name} pays {number(paid.value)} of a right answer, at least {number(at_least)} is wanted\n"
                + paid.told
            )

    def assert_no_gain(
        self,
        reward: Any,
        prompt: Any,
        completion: Any,
        base: Any,
        *,
        columns: Mapping[str, Any] | None = None,
        at_most: float = LEAST_GAIN,
        deadline: float = 5.0,
    ) -> None:
        """Fail when a completion earns more than another one that says the same.

        Args:
            base: the completion that must not be beaten.
            at_most: by how much it may be, in units of the reward.
            reward, prompt, completion, columns, deadline: as `assert_not_paid`.
        """
        __tracebackhide__ = True
        subject, (outcome, before) = self._score(reward, prompt, [completion, base], columns, deadline)
        _must_say(subject, completion, outcome)
        _must_say(subject, base, before)
        if outcome.value is not None and before.value is not None and outcome.value - before.value > at_most:
            raise AssertionError(
                f"{subject.name} pays {number(outcome.value)} for a completion and {number(before.value)} for the same "
                f"without what adds nothing\n{_told(prompt, completion, outcome)}\n  without it  {_shown(base)}"
            )

    def assert_scored(
        self,
        reward: Any,
        prompt: Any,
        completion: Any,
        *,
        columns: Mapping[str, Any] | None = None,
        deadline: float = 5.0,
    ) -> None:
        """Fail when a completion makes the reward hang, crash, raise, or return something that is no number.

        None (no score) and a status by which the reward itself refuses the answer are no failures.
        """
        __tracebackhide__ = True
        subject, (outcome,) = self._score(reward, prompt, [completion], columns, deadline)
        if outcome.status not in (Status.OK, Status.ABSTAINED, Status.UNPARSABLE):
            raise AssertionError(f"{subject.name} gives no score\n{_told(prompt, completion, outcome)}")

    def assert_same(
        self,
        reward: Any,
        prompt: Any,
        completion: Any,
        *,
        columns: Mapping[str, Any] | None = None,
        deadline: float = 5.0,
    ) -> None:
        """Fail when the score of a completion changes: with a second call, in a fresh worker, or beside another one."""
        __tracebackhide__ = True
        subject, item = self._item(reward, prompt, completion, columns)
        runner = self._runner(subject, deadline)
        other = self._item(reward, prompt, text_of(NULLS[2].text), columns)[1]
        first, second = (row[0] for row in runner.run(subject.address, [[item], [item]]))
        fresh = runner.run(subject.address, [[item]], fresh=True)[0][0]
        behind, before = runner.run(subject.address, [[other, item], [item, other]])
        for how, outcome in (
            ("a second call", second),
            ("a fresh worker", fresh),
            ("another row before it", behind[-1]),
            ("another row behind it", before[0]),
        ):
            _must_say(subject, completion, outcome)
            same = first.value == outcome.value or (
                first.value is not None
                and outcome.value is not None
                and math.isclose(first.value, outcome.value, rel_tol=_EQUAL, abs_tol=_EQUAL)
            )
            if not same:
                raise AssertionError(
                    f"{subject.name} pays {number(first.value)}, and {number(outcome.value)} with {how}\n"
                    + _told(prompt, completion, outcome)
                )

    def _payoff(
        self,
        reward: Any,
        prompt: Any,
        completion: Any,
        right: Any,
        columns: Mapping[str, Any] | None,
        null: Any,
        deadline: float,
    ) -> _Paid:
        nulls = [one.text for one in NULLS] if null is None else [] if isinstance(null, int | float) else list(null)
        rights = [] if isinstance(right, int | float) else [right]
        subject, outcomes = self._score(reward, prompt, [completion, *rights, *nulls], columns, deadline)
        outcome, rest = outcomes[0], outcomes[1:]
        _must_say(subject, completion, outcome)
        best = float(right) if not rights else rest[0].value
        values = [one.value for one in rest[len(rights) :] if one.value is not None]
        least = float(null) if isinstance(null, int | float) else median(values) if values else None
        marks = f"the right answer earns {number(best)}, no answer {number(least)}"
        told = f"{_told(prompt, completion, outcome)}  ({marks})"
        if best is None or least is None or best <= least:
            what = f"\n  right answer  {_shown(right)}: {rest[0].status.value} {rest[0].detail}" if rights else ""
            raise AssertionError(f"{subject.name} pays nothing for the right answer: {marks}\n{told}{what}")
        value = None if outcome.value is None else (outcome.value - least) / (best - least)
        return _Paid(subject.name, value, told)

    def _score(
        self, reward: Any, prompt: Any, completions: Sequence[Any], columns: Mapping[str, Any] | None, deadline: float
    ) -> tuple[Subject, list[Outcome]]:
        pairs = [self._item(reward, prompt, completion, columns) for completion in completions]
        subject = pairs[0][0]
        runner = self._runner(subject, deadline)
        return subject, [rows[0] for rows in runner.run(subject.address, [[item] for _, item in pairs])]

    def _item(
        self, reward: Any, prompt: Any, completion: Any, columns: Mapping[str, Any] | None
    ) -> tuple[Subject, Item]:
        row = Row("test", prompt, None, {"prompt": prompt, **(columns or {})})
        if isinstance(reward, str) and reward.startswith("reasoning_gym:"):
            subject = Subject(reward, reward, (row,))
        else:
            subject = subject_of(reward, [row])
        renamed = {wanted: row.columns[present] for wanted, present in subject.aliases.items()}
        return subject, Item(prompt, completion, {**row.columns, **renamed})

    def _runner(self, subject: Subject, deadline: float) -> Runner:
        """A pool for all rewards that have an address and ask for nothing of their own; else one for this reward."""
        own = subject.needs_own_runner
        key = (subject.address if own else "", deadline)
        if subject.is_local:
            # Two local functions may bear one name.
            old = self._runners.pop(key, None)
            if old is not None:
                old.close()
        if key not in self._runners:
            self._runners[key] = subject.start(1, deadline, _MEMORY_MB)
        return self._runners[key]


class _Paid:
    """What a completion earned on the scale from nothing to the right answer; None without a score."""

    def __init__(self, name: str, value: float | None, told: str) -> None:
        self.name, self.value, self.told = name, value, told


def _must_say(subject: Subject, completion: Any, outcome: Outcome) -> None:
    """Raises where nothing is known about what the reward pays, which is neither paid nor not paid."""
    __tracebackhide__ = True
    if outcome.status in _NO_ANSWER:
        said = f"{outcome.status.value}: {visible(outcome.detail, _LONGEST_SHOWN)}"
        raise AssertionError(f"{subject.name} gives no score, {said}\n  completion  {_shown(completion)}")


def _told(prompt: Any, completion: Any, outcome: Outcome) -> str:
    if outcome.status.ok:
        said = number(outcome.value)
    else:
        said = f"no score, {outcome.status.value}" + (f": {visible(outcome.detail, 200)}" if outcome.detail else "")
    return f"  prompt      {_shown(prompt)}\n  completion  {_shown(completion)}\n  earned      {said}"


def _shown(content: Any) -> str:
    if isinstance(content, int | float):
        return number(content)
    text = text_of(content)
    return visible(text, _LONGEST_SHOWN) if text.strip() else "(empty)" if not text else "(blank)"


def _not_clean(report: Report, data: Any) -> str:
    found = report.audit
    lines = [f"{found['reward']} is not clean: {visible(found['headline'], _LONGEST_SHOWN)}"]
    for finding in found["findings"][:_MOST_SHOWN]:
        lines += _finding_lines(finding)
    more = len(found["findings"]) - _MOST_SHOWN
    if more > 0:
        lines.append(f"and {counted(more, 'more finding')}")
    where = f" --data {data}" if isinstance(data, str | Path) else ""
    if not report.subject.is_local:
        lines.append(f"All of it: trueward audit '{found['reward']}'{where}")
    if report.exploits:
        lines.append("The first exploit again, in a fresh worker: trueward.audit(…).exploits[0].reproduce()")
    return "\n".join(lines)


def _finding_lines(finding: Finding) -> list[str]:
    lines = [f"{finding['kind']}: {visible(finding['title'], _LONGEST_SHOWN)}, {extent(finding)}"]
    smallest: Example | None = min(finding["examples"], key=lambda one: len(one["completion"]), default=None)
    if smallest is not None:
        lines += [
            f"  prompt      {_shown(smallest['prompt'])}",
            f"  completion  {_shown(smallest['completion'])}",
            f"  earned      {visible(earned(smallest), _LONGEST_SHOWN)}",
        ]
    return lines
