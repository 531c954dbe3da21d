"""What `harden` changes: the same audit of a reward before and after, side by side.

    audits = audit_many(both(addresses, data), Settings(strict=True))
    print(markdown(effects_of(audits)))

Strict, so that refused ways to write the right answer are counted, too.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from trueward.audit.subjects import Subject, subject_of
from trueward.errors import AuditError
from trueward.report.document import Audit, FamilyRow
from trueward.report.wording import payoff, percent
from trueward.rewards.address import address_of
from trueward.rewards.harden import Hardened

Find = Callable[[], Subject]


@dataclass(frozen=True)
class Effect:
    """One reward, audited as it is and hardened.

    Attributes:
        reward: its name.
        before: the audit as it is.
        after: the audit of the hardened reward; "not audited", with the reason, where it could not be hardened.
    """

    reward: str
    before: Audit
    after: Audit

    @property
    def measured(self) -> bool:
        """True when both audits came to a verdict on a reward that reads the answer."""
        verdicts = (self.before["verdict"], self.after["verdict"])
        return "not audited" not in verdicts and self.before["reads_answer"]

    @property
    def why_not(self) -> str:
        """Why there is nothing to compare."""
        said = self.before["error"] or self.after["error"] or "it does not read the answer"
        return said.removeprefix("harden: ").partition(". ")[0]


@dataclass(frozen=True)
class Rate:
    """A count out of a number of questions."""

    count: int
    asked: int

    @property
    def share(self) -> float:
        """count / asked; 0 where nothing was asked."""
        return self.count / self.asked if self.asked else 0.0

    def __str__(self) -> str:
        """`412 of 3,210 (13 %)`."""
        return f"{self.count:,} of {self.asked:,} ({percent(self.share)})"


def both(
    addresses: Sequence[str],
    data: Any,
    prompts: int | None = None,
    *,
    template: str | None = None,
    columns: Mapping[str, Any] | None = None,
) -> list[tuple[str, Find]]:
    """What `audit_many` needs to audit every reward as it is and hardened.

    Args:
        addresses: the rewards; callables have no address and are audited in this process only.
        data, prompts: as `trueward.audit`.
        template: format of an answer, for the hardened reward too.
        columns: options of `load_rows`.

    Returns:
        Two entries per reward, the hardened one second.
    """
    entries: list[tuple[str, Find]] = []
    for address in addresses:
        find = partial(subject_of, address, data, prompts, **(columns or {}))
        entries += [(address, find), (f"harden({address})", partial(_hardened, find, template or ""))]
    return entries


def _hardened(find: Find, template: str) -> Subject:
    """The same rows, containers and checker, under the hardened reward.

    Raises:
        RewardError: it cannot be hardened.
        AuditError: it has no address.
    """
    subject = find()
    if subject.is_local:
        raise AuditError(f"{subject.name} has no address: put it into a file to compare it before and after")
    address = address_of(Hardened(subject.address, template))
    assert address is not None
    return dataclasses.replace(subject, name=f"harden({subject.name})", address=address)


def effects_of(audits: Sequence[Audit]) -> list[Effect]:
    """The audits of `both`, paired."""
    return [Effect(before["reward"], before, after) for before, after in zip(audits[::2], audits[1::2], strict=True)]


def exploited(audit: Audit) -> Rate:
    """Wrong and unearned completions that are paid in full, of all that were tried."""
    paid = {hit for finding in audit["findings"] if finding["kind"] == "exploit" for hit in finding["hits"]}
    return Rate(len(paid), sum(row["probes"] for row in _wrong(audit)))


def refused(audit: Audit) -> Rate:
    """Prompts whose reference answer itself earns no more than no answer."""
    return Rate(audit["prompts"] - audit["usable"], audit["prompts"])


def refused_equivalents(audit: Audit) -> Rate:
    """Other ways to write the right answer that earn less than half of it, of all that were tried.

    They are findings, and so are counted, only in an audit that is `strict`.
    """
    found = [f for f in audit["findings"] if f["kind"] == "refusal" and f["family"] != "right answer"]
    rows = [row for row in audit["families"] if row["relation"] == "right"]
    return Rate(len({hit for finding in found for hit in finding["hits"]}), sum(row["probes"] for row in rows))


def _wrong(audit: Audit) -> list[FamilyRow]:
    return [row for row in audit["families"] if row["relation"] in ("wrong", "unearned") and row["tested"]]


def markdown(effects: Sequence[Effect]) -> str:
    """Two tables in Markdown: each reward on a line, and what every family of wrong completions earns.

    Rewards that could not be compared stand below, with the reason.
    """
    measured = [effect for effect in effects if effect.measured]
    lines = [
        "| reward | wrong completions paid in full | reference refused | other ways to write it refused | findings |",
        "|---|---|---|---|---|",
    ]
    for effect in measured:
        cells = [f"{rate(effect.before)} → {rate(effect.after)}" for rate in (exploited, refused, refused_equivalents)]
        findings = f"{len(effect.before['findings'])} → {len(effect.after['findings'])}"
        lines.append(f"| `{effect.reward}` | {' | '.join(cells)} | {findings} |")
    if measured:
        lines += ["", *_families(measured)]
    lines += [
        "",
        *(f"- `{effect.reward}` is left as it is: {effect.why_not}" for effect in effects if not effect.measured),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _families(effects: Sequence[Effect]) -> list[str]:
    """Mean payoff of every family before and after, one column per reward.

    "refused": every completion was over a static limit; "–": none could be certified.
    """
    names = [effect.reward.rpartition(":")[2] for effect in effects]
    lines = [f"| mean payoff of | {' | '.join(f'`{name}`' for name in names)} |", f"|---|{'---|' * len(names)}"]
    families = dict.fromkeys(row["family"] for effect in effects for row in _wrong(effect.before))
    for family in families:
        cells = []
        for effect in effects:
            then, now = (_mean(audit, family) for audit in (effect.before, effect.after))
            cells.append(then if then == now else f"{then} → {now}")
        lines.append(f"| {family} | {' | '.join(cells)} |")
    return lines


def _mean(audit: Audit, family: str) -> str:
    row = next((row for row in _wrong(audit) if row["family"] == family), None)
    return "–" if row is None else "refused" if row["mean_payoff"] is None else payoff(row["mean_payoff"])
