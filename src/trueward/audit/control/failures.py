"""Rewards of control that fail: no score, or not the same score for the same step."""

from __future__ import annotations

from trueward.audit.control.scoring import CHANGES, Scoring, Unstable
from trueward.audit.control.told import Telling, id_of
from trueward.measures.intervals import wilson
from trueward.report.document import Example, Finding
from trueward.report.wording import number
from trueward.status import Status

REPEATED = "asked again"
FAILING = "failing"


def failure_findings(scoring: Scoring, changed: Unstable | None, told: Telling) -> list[Finding]:
    """What makes a reward unusable, whatever gold says.

    Args:
        scoring: what it scored.
        changed: how scores changed when the same steps were scored again; None where they did not.
        told: what the examples share.
    """
    found = []
    if scoring.failures:
        first = scoring.failures[0]
        example = _example(told, FAILING, first.said, f"step {first.step} of: {first.policy}", Status.RAISED.value)
        found.append(_failure(FAILING, first.title, scoring.failed, scoring.steps, example))
    if changed is not None:
        said = f"{changed.how}: {number(changed.first)} became {number(changed.again)}"
        example = _example(told, REPEATED, said, f"step {changed.step} of: random actions", Status.OK.value)
        example = Example(**{**example, "relation": "same", "reward": changed.again, "base_reward": changed.first})
        found.append(_failure(REPEATED, CHANGES, changed.steps, changed.asked, example))
    return found


def _failure(family: str, title: str, hit: int, asked: int, example: Example) -> Finding:
    low, high = wilson(min(hit, asked), asked)
    return Finding(
        modality="control",
        kind="failure",
        family=family,
        variant="",
        title=title,
        prompts=hit,
        tested=asked,
        share=min(1.0, hit / max(1, asked)),
        low=low,
        high=high,
        mean_payoff=None,
        examples=[example],
        hits=[example["id"]],
    )


def _example(told: Telling, family: str, said: str, where: str, status: str) -> Example:
    return Example(
        modality="control",
        id=id_of(told.environment, family),
        scorer=told.reward,
        row="start 0",
        family=family,
        variant="",
        relation="returns" if family == FAILING else "same",
        prompt=told.environment,
        reference=None,
        completion=where,
        reward=None,
        status=status,
        detail=said if status != Status.OK.value else "",
        payoff=None,
        right_reward=None,
        null_reward=None,
        base_reward=None,
        why=said,
        derivation=[],
    )
