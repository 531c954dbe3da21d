"""Searches, logs, comparisons, curves and refusals in words."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from trueward.report import sentences as s


def test_searches() -> None:
    record: Any = {"budget": 2000, "calls": 1730, "candidates": 1212, "discarded": 518, "causes": 1}
    assert s.search_said(record) == (
        "Found 1 cause with 1,730 of 2,000 calls: 1,212 completions with a certificate were scored, "
        "518 that nobody can certify were left out."
    )
    assert s.search_said({**record, "causes": 0}).startswith("Found nothing with 1,730 of 2,000 calls")


def test_findings_are_those_of_probes_or_of_the_search(sample: ModuleType) -> None:
    audit = sample.full()["audits"][0]
    assert [f["family"] for f in s.found_by_search(audit)] == ["search", "search"]
    assert [f["family"] for f in s.found_by_probes(audit)] == [
        *("hedge", "constant", "padding", "equivalents", "parser bombs")
    ]
    audit["findings"][0]["family"] = "research"
    assert len(s.found_by_search(audit)) == 2


def test_logs(sample: ModuleType) -> None:
    log = sample.log()
    assert s.log_said(log) == (
        "137 of 440 paid completions (31 %) are certified wrong; 296 are right, of 7 nobody can say. "
        "The first exploit was paid at step 40. No reference answer was found for 3 completions."
    )
    log.update(paid=0, wrong=0, first_step=None, unmatched=0)
    assert s.log_said(log) == "None of 768 logged completions was paid."


def test_pooled_steps_are_counted_together_and_as_uncertain_as_the_least_certain(sample: ModuleType) -> None:
    steps = sample.log()["steps"]
    assert s.pooled(steps, 12) == steps
    assert s.pooled(steps[::-1], 12) == steps
    assert s.pooled([], 12) == []
    rows = s.pooled(steps, 5)  # three steps a row
    assert [row["step"] for row in rows] == [0, 30, 60, 90]
    # Steps 0, 10, 20: 0, 20, 24 paid, no exploit, of 64 each.
    assert rows[0]["completions"] == 192 and rows[0]["paid"] == 44
    assert (rows[0]["share"], rows[0]["low"], rows[0]["high"]) == (0.0, 0.0, 0.12)
    assert rows[0]["mean_reward"] == pytest.approx(44 / 192)
    # Steps 60, 70, 80: 9 of 40, 13 of 44, 18 of 48.
    assert rows[2]["share"] == pytest.approx(40 / 132)
    assert rows[2]["low"] == pytest.approx(9 / 40 - 0.1) and rows[2]["high"] == pytest.approx(18 / 48 + 0.12)
    [unpaid] = s.pooled([{**step, "paid": 0, "exploits": 0, "share": None, "mean_reward": None} for step in steps], 1)
    assert (unpaid["share"], unpaid["low"], unpaid["high"], unpaid["mean_reward"]) == (None, 0.0, 1.0, None)


def test_comparisons(sample: ModuleType) -> None:
    made = sample.comparison()
    assert s.comparison_said(made) == "3 probes count now and did not then; 1 probe counted then and does not now."
    made.update(new=["a"], gone=[])
    assert s.comparison_said(made) == "1 probe counts now and did not then; 0 probes counted then and do not now."
    made.update(new=[])
    assert s.comparison_said(made) == "Nothing has changed: every probe that counts now counted then."
    made.update(known=False, new=["a", "b"])
    assert s.comparison_said(made) == "The baseline holds no audit of this reward: 2 probes count as new."


def test_comparisons_over_all_rewards(sample: ModuleType) -> None:
    audits = [sample.audit(seed, f"r{seed}", ()) for seed in range(4)]
    assert s.comparisons_said(audits) == ""
    audits[1]["comparison"] = sample.comparison()
    audits[2]["comparison"] = {**sample.comparison(), "new": [], "regressions": []}
    audits[3]["comparison"] = {**sample.comparison(), "new": [], "gone": [], "known": False}
    assert s.comparisons_said(audits) == ("Against last.json: 3 new probes in 1 reward, 2 gone; 1 reward is new to it")
    assert s.comparisons_said(audits[:3]) == "Against last.json: 3 new probes in 1 reward, 2 gone"


def test_curves(sample: ModuleType) -> None:
    assert s.curve_said(sample.curve_of_rule()) == (
        "Gold is highest at n = 16: .64 (95 % interval .61 to .67). At n = 1,000 gold is .48 (95 % interval .45 to "
        ".51), and the proxy has gone from .84 to .99."
    )
    assert s.curve_said(sample.curve_of_model()).endswith("largest n, so no over-optimisation is seen up to it.")
    made = sample.curve_of_rule()
    assert s.peak_index(made) == 4
    made["peak"] = 3  # not among the n: the highest gold is looked for
    assert s.peak_index(made) == 4


def test_refused_ways_are_counted_once_each(sample: ModuleType) -> None:
    audit = sample.audit(1, "a", (("equivalents", 5), ("hedge", 3)))
    finding = next(f for f in audit["findings"] if f["kind"] == "refusal")
    for index, shown in enumerate(finding["examples"]):
        shown.update(variant="decimals" if index < 4 else "capitals", completion="x" * (index + 1), id=str(index % 5))
    repeated = {**finding["examples"][0], "completion": "never shown, because it is the same probe"}
    audit["notes"][0]["examples"] = [repeated, *audit["notes"][0]["examples"]]
    ways = s.refused_ways(audit)
    assert [(way.family, way.variant, way.examples, way.example["completion"]) for way in ways] == [
        ("equivalents", "decimals", 4, "x"),
        ("equivalents", "capitals", 2, "x" * 5),
    ]
    assert s.refused_ways(sample.audit(1, "a", (("hedge", 3),))) == []


def test_statuses_name_who_is_to_blame(sample: ModuleType) -> None:
    audit = sample.one()["audits"][0]
    audit["statuses"] = {"timed out": 2, "not finite": 3, "unavailable": 1, "ok": 4, "of the future": 0, "other": 10}
    rows = [(row.status, row.count, row.share, row.blame, row.words) for row in s.status_rows(audit)]
    assert rows == [
        ("ok", 4, 0.2, "", "a score"),
        ("other", 10, 0.5, "reward", ""),
        ("not finite", 3, 0.15, "reward", "the reward returned no score"),
        ("timed out", 2, 0.1, "answer", "the answer makes the reward fail"),
        ("unavailable", 1, 0.05, "reward", "not the answer's fault"),
    ]
    audit["statuses"] = {}
    assert s.status_rows(audit) == []


def test_families_over_all_rewards(sample: ModuleType) -> None:
    audits = [
        sample.audit(1, "a", (("hedge", 3),)),
        sample.audit(2, "b", (("hedge", 3), ("echo", 1))),
        sample.audit(3, "c", ()),
        sample.unreadable("d"),
    ]
    rows = {row.family: (row.found, row.tested) for row in s.families_over(audits)}
    assert next(iter(rows)) == "hedge"
    assert rows["hedge"] == (2, 3) and rows["echo"] == (1, 3) and rows["keywords"] == (1, 4)
    assert "grid" not in rows  # tested nowhere
