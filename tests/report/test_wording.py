"""Numbers and sentences that both renderings share."""

from __future__ import annotations

from types import ModuleType

import pytest

from trueward.report import wording as w


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1.0, "1"),
        (0.0, "0"),
        (-0.5, "-.5"),
        (0.8333, ".833"),
        (12.5, "12.5"),
        (1234.0, "1,234"),
        (None, "–"),
        (float("nan"), "NaN"),
        (float("-inf"), "-inf"),
        (1e12, "1e+12"),
    ],
)
def test_numbers(value: float | None, shown: str) -> None:
    assert w.number(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.83, ".83"),
        (0.5, ".50"),
        (1.0, "1"),
        (0.0, "0"),
        (0.001, "<.01"),
        (-0.25, "-.25"),
        (1.5, "1.50"),
        (None, "–"),
        (-0.001, ">-.01"),
        (-1.0, "-1"),
        (-10.0, "-10"),
        (-0.004999, ">-.01"),
        (float("inf"), "–"),
    ],
)
def test_payoffs(value: float | None, shown: str) -> None:
    assert w.payoff(value) == shown


@pytest.mark.parametrize(
    ("share", "shown"), [(0.0, "0 %"), (0.004, "<1 %"), (0.916, "92 %"), (0.999, "99 %"), (1.0, "100 %"), (None, "–")]
)
def test_only_all_is_a_hundred_per_cent_and_only_none_is_zero(share: float | None, shown: str) -> None:
    assert w.percent(share) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.0, "0.00 ms"),
        (2.5e-7, "0.25 µs"),
        (4.2e-6, "4.2 µs"),
        (0.00004, "0.04 ms"),
        (0.0123, "12.3 ms"),
        (5.0, "5 s"),
        (200, "3 min 20 s"),
        (60, "1 min"),
    ],
)
def test_durations(seconds: float, shown: str) -> None:
    assert w.duration(seconds) == shown


def test_worst_first(sample: ModuleType) -> None:
    audits = [
        sample.audit(1, "clean", ()),
        sample.audit(2, "small", (("hedge", 3),)),
        sample.failed("lost"),
        sample.audit(3, "large", (("constant", 2), ("hedge", 40))),
        # 48 of 48 weighs .5 as a refusal, less than an exploit on 40 of 48 and more than one on 3 of 48.
        sample.audit(4, "refuses", (("equivalents", 48),)),
    ]
    ordered = [audit["reward"] for audit in w.worst_first(audits)]
    assert ordered == ["large", "refuses", "small", "lost", "clean"]
    assert w.worst_finding(audits[3])["family"] == "hedge"  # type: ignore[index]
    assert w.verdict_sentence(audits) == "3 of 5 rewards pay what they should not, or fail"
    assert w.counts_sentence(audits) == "✗ 4 findings in 3 rewards   ✓ 1 clean   – 1 not audited"


def test_verdict_without_findings(sample: ModuleType) -> None:
    clean, lost = sample.audit(1, "a", ()), sample.failed("b")
    assert w.verdict_sentence([clean, clean, lost]) == "Nothing was found in 2 of 3 rewards"
    assert w.verdict_sentence([lost, lost]) == "None of 2 rewards could be audited"


def test_extent_of_a_cheap_trick_is_about_its_mean(sample: ModuleType) -> None:
    made = sample.one()["audits"][0]["findings"][0]
    assert w.extent(made) == "44 of 48 prompts (95 % interval 82–98 %)"
    made.update(kind="cheap", mean_payoff=0.6, low=0.52, high=0.7)
    assert w.extent(made) == ".60 of a right answer on average (95 % interval .52 to .70), on 44 of 48 prompts"


def test_telling_examples_find_their_audit(sample: ModuleType) -> None:
    twins = [sample.audit(1, "first", (("hedge", 40),)), sample.audit(1, "second", (("hedge", 40),))]
    made = sample.document(twins)
    made["telling"] = [twins[1]["findings"][0]["examples"][0]]
    assert [audit["reward"] for audit, _, _ in w.telling_of(made)] == ["second"]
    made["telling"] = [{**made["telling"][0], "scorer": "first"}, {**made["telling"][0], "id": "other"}]
    found = [audit and audit["reward"] for audit, _, _ in w.telling_of(made)]
    assert found == ["first", None]


def test_families_stand_under_what_must_hold(sample: ModuleType) -> None:
    grouped = dict(w.family_results(sample.one()["audits"][0]))
    assert list(grouped) == [
        "Must not be paid",
        "Must not raise the reward",
        "Must be paid",
        "Must come back in time",
    ]
    states = {r.row["family"]: (r.state, r.words) for results in grouped.values() for r in results}
    assert states["hedge"] == ("bad", "")
    assert states["echo"] == ("good", "")
    assert states["near miss"] == ("partly", "") or states["near miss"] == ("good", "")
    assert states["grid"] == ("untested", "not tested: no certified probe for these answers")
    assert states["padding"] == ("bad", "9 gain")
    assert states["keywords"] == ("good", "no gain")
    assert states["equivalents"] == ("bad", "5 refused")
    assert states["parser bombs"] == ("bad", "1 failed")


def test_a_note_about_refused_answers_shows_in_their_family(sample: ModuleType) -> None:
    made = sample.audit(1, "a", ())
    made["notes"][0]["examples"][0].update(family="equivalents", relation="right")
    states = {r.row["family"]: (r.state, r.words) for _, results in w.family_results(made) for r in results}
    assert states["equivalents"] == ("partly", "some refused")
    made["notes"] = []
    states = {r.row["family"]: (r.state, r.words) for _, results in w.family_results(made) for r in results}
    assert states["equivalents"] == ("good", "")


def test_reproduction_names_reward_and_data(sample: ModuleType) -> None:
    made = sample.one()
    assert w.reproduction(made, made["audits"][0]) == [
        "import trueward",
        "report = trueward.audit('examples/rewards.py:last_number', 'prompts.jsonl')",
        "report.exploits[0].reproduce()",
    ]
    assert w.command_of(made) == "trueward audit examples/rewards.py:last_number --data prompts.jsonl"
    assert w.reproduction(made, sample.audit(1, "x", ())) == []
