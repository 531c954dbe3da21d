"""Whatever a reward does, the audit names it and goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from trueward.audit.api import audit
from trueward.errors import AuditError
from trueward.rewards.runner import WorkerPool

HOSTILE = Path(__file__).with_name("hostile.py")
DATA: list[dict[str, Any]] = [
    {"prompt": f"Question {chr(97 + i)}: work it out.", "answer": str(11 + 3 * i)} for i in range(6)
]


@pytest.fixture(scope="module")
def pool() -> Iterator[WorkerPool]:
    with WorkerPool(workers=2, deadline=0.5, memory_mb=300) as workers:
        yield workers


@pytest.mark.parametrize(
    ("name", "status", "words"),
    [
        ("returns_nan", "not finite", "NaN or infinity"),
        ("returns_infinity", "not finite", "NaN or infinity"),
        ("returns_text", "wrong type", "no number"),
        ("returns_two", "wrong count", "wrong number of scores"),
        ("raises", "raised", "LookupError: no such thing"),
        ("sleeps", "timed out", "hangs"),
        ("exits", "crashed", "crashes"),
        ("exits_politely", "crashed", "crashes"),
    ],
)
def test_failures_are_findings_with_their_name(name: str, status: str, words: str, pool: WorkerPool) -> None:
    report = audit(f"{HOSTILE}:{name}", DATA, runner=pool, families=("nothing", "constant"))
    failures = [finding for finding in report.audit["findings"] if finding["kind"] == "failure"]
    assert [finding["family"] for finding in failures] == ["constant"]
    assert words in failures[0]["title"]
    assert failures[0]["examples"][0]["status"] == status
    assert failures[0]["prompts"] == len(DATA)
    assert report.audit["statuses"][status] >= len(DATA)
    assert pool.size == 2


def test_eating_memory_is_a_finding() -> None:
    # A deadline that leaves time to eat, however busy the machine is.
    with WorkerPool(workers=2, deadline=20, memory_mb=300) as patient:
        report = audit(f"{HOSTILE}:eats_memory", DATA, runner=patient, families=("constant",))
    failures = [finding["title"] for finding in report.audit["findings"] if finding["kind"] == "failure"]
    assert failures == ["eats memory: more than 300 MiB of resident memory"]


@pytest.mark.parametrize(("name", "words"), [("returns_none", "None"), ("prints", "printed"), ("forks", "forked")])
def test_oddities_are_notes(name: str, words: str, pool: WorkerPool) -> None:
    report = audit(f"{HOSTILE}:{name}", DATA, runner=pool, families=("nothing", "constant"))
    assert report.clean
    assert any(words in note["title"] for note in report.audit["notes"])


def test_a_reward_that_never_scores_is_not_audited_and_says_why(pool: WorkerPool) -> None:
    with pytest.raises(AuditError, match="RuntimeError: always"):
        audit(f"{HOSTILE}:fails_on_everything", DATA, runner=pool)


def test_too_few_rows(pool: WorkerPool) -> None:
    with pytest.raises(AuditError, match="at least 5"):
        audit(f"{HOSTILE}:prints", DATA[:4], runner=pool)
