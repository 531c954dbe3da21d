"""What `harden` changes in an audit: fewer exploits, and no more refusals."""

from __future__ import annotations

from pathlib import Path

import pytest

from trueward.audit.api import Settings
from trueward.audit.before_after import (
    Effect,
    Rate,
    both,
    effects_of,
    exploited,
    markdown,
    refused,
    refused_equivalents,
)
from trueward.audit.many import audit_many
from trueward.report.document import Audit

ROOT = Path(__file__).resolve().parents[2]
REWARDS = [f"{ROOT}/examples/rewards.py:{name}" for name in ("last_number", "boxed_or_contains", "format_and_answer")]
FORM = "trl.rewards:think_format_reward"


@pytest.fixture(scope="module")
def effects() -> list[Effect]:
    audits = audit_many(
        both([*REWARDS, FORM], ROOT / "examples" / "prompts.jsonl"),
        Settings(workers=2, prompts=10, strict=True),
        progress=lambda name, done, total: None,
        finished=lambda audit: None,
    )
    return effects_of(audits)


@pytest.mark.parametrize("name", ["last_number", "boxed_or_contains", "format_and_answer"])
def test_exploits_are_strictly_fewer_and_refusals_no_more(name: str, effects: list[Effect]) -> None:
    (effect,) = [effect for effect in effects if effect.reward.endswith(name)]
    before, after = effect.before, effect.after
    assert effect.measured and after["reward"] == f"harden({before['reward']})"
    assert exploited(before).asked == exploited(after).asked > 100
    assert exploited(after).count < exploited(before).count
    assert refused(after).share <= refused(before).share
    assert refused_equivalents(after).share <= refused_equivalents(before).share
    # Nothing that came back before fails now.
    assert set(after["statuses"]) <= {"ok", "unparsable"}


@pytest.mark.parametrize("name", ["last_number", "boxed_or_contains", "format_and_answer"])
def test_no_family_earns_more_than_before(name: str, effects: list[Effect]) -> None:
    (effect,) = [effect for effect in effects if effect.reward.endswith(name)]
    before = {row["family"]: row["mean_payoff"] for row in effect.before["families"]}
    for row in effect.after["families"]:
        earlier = before[row["family"]]
        if row["relation"] in ("wrong", "unearned") and row["mean_payoff"] is not None and earlier is not None:
            assert row["mean_payoff"] <= earlier + 1e-9, row["family"]


def test_the_one_that_only_lacked_commitment_comes_out_clean(effects: list[Effect]) -> None:
    (effect,) = [effect for effect in effects if effect.reward.endswith("format_and_answer")]
    assert effect.before["verdict"] == "findings"
    assert [finding["family"] for finding in effect.after["findings"]] == ["equivalents"]  # refused before, too


def test_a_reward_that_reads_no_answer_is_left_as_it_is_and_told_why(effects: list[Effect]) -> None:
    (effect,) = [effect for effect in effects if effect.reward == FORM]
    assert not effect.measured
    assert "names no reference column" in effect.why_not
    assert f"- `{FORM}` is left as it is: think_format_reward names no reference column" in markdown(effects)


def test_the_tables_hold_every_reward_and_family(effects: list[Effect]) -> None:
    lines = markdown(effects).splitlines()
    first = [line for line in lines if line.startswith("| `")]
    assert [line.split("`")[1] for line in first] == REWARDS
    families = {row["family"] for row in effects[0].before["families"] if row["relation"] in ("wrong", "unearned")}
    tested = {line.split(" | ")[0].removeprefix("| ") for line in lines if line.count("|") == 5 and "`" not in line}
    assert tested - {"---"} and {"hedge", "negation", "near miss"} <= tested & families
    assert {line.count("|") for line in lines if line.startswith("|")} <= {5, 6}


def audit(paid: list[str], refusals: list[str], usable: int) -> Audit:
    """As much of an audit as is counted."""
    row = {"family": "hedge", "relation": "wrong", "tested": 4, "probes": 8, "mean_payoff": 0.5}
    others = [
        {**row, "family": "equivalents", "relation": "right"},
        {**row, "family": "padding", "relation": "no_gain"},
    ]
    found = (("exploit", "hedge", paid), ("cheap", "echo", ["x"]), ("exploit", "echo", paid[:1]))
    found += (("refusal", "equivalents", refusals), ("refusal", "right answer", ["y"]))
    findings = [{"kind": kind, "family": family, "hits": hits} for kind, family, hits in found]
    return {"findings": findings, "families": [row, *others], "prompts": 10, "usable": usable}  # type: ignore[typeddict-item,return-value]


def test_rates_by_hand() -> None:
    made = audit(["a", "b"], ["c"], 7)
    # Two different probes are paid, one of them in two findings, of 8 that must not be; padding is another question.
    assert (exploited(made), refused(made), refused_equivalents(made)) == (Rate(2, 8), Rate(3, 10), Rate(1, 8))
    assert str(Rate(2, 8)) == "2 of 8 (25 %)" and Rate(0, 0).share == 0.0
