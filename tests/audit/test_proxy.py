"""Is it a proxy, how far may it be optimised, what became of it: planted cases with known answers, and controls."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from trueward.audit.proxy import hacking_report
from trueward.errors import AuditError
from trueward.measures.proxies import Sampled


def _steps(seed: int, true_mean: float, error_mean: float, episodes: int = 60) -> tuple[Sampled, np.ndarray]:
    """Reward = .8 f + .6 e with f ~ N(true_mean, 1), e ~ N(error_mean, 1), 20 steps an episode."""
    generator = np.random.default_rng(seed)
    true = true_mean + generator.normal(size=episodes * 20)
    error = error_mean + generator.normal(size=episodes * 20)
    return Sampled(0.8 * true + 0.6 * error, np.repeat(np.arange(episodes), 20)), true


def test_a_proxy_that_is_hacked() -> None:
    base, gold = _steps(7, 0.0, 0.0)
    policy, policy_gold = _steps(1, -0.5, 3.0)
    report = hacking_report(base, gold, policy, policy_gold)
    assert report.verdict == "proxy"
    # r = .8: 1 / (1 − r²) = 2.78, somewhat less at the lower end of the interval.
    assert 2.2 < report.budget_per_deviation < 2.78
    assert report.base.value.penalty_weight == pytest.approx(0.6, abs=0.03)
    assert report.optimised is not None and report.optimised.verdict == "hacks"
    assert report.optimised.gold.value == pytest.approx(-0.5, abs=0.1)
    assert "hacks it" in report.sentences[-1]


def test_a_proxy_that_is_optimised_well() -> None:
    base, gold = _steps(7, 0.0, 0.0)
    policy, policy_gold = _steps(1, 0.5, 0.0)
    report = hacking_report(base, gold, policy, policy_gold)
    assert report.optimised is not None and report.optimised.verdict == "improves"
    assert "better" in report.sentences[-1]


def test_the_base_policy_itself_is_neither() -> None:
    base, gold = _steps(7, 0.0, 0.0)
    policy, policy_gold = _steps(1, 0.0, 0.0)
    report = hacking_report(base, gold, policy, policy_gold)
    assert report.optimised is not None and report.optimised.verdict == "not decided"


def test_less_of_both_is_a_bad_policy_and_no_hack() -> None:
    base, gold = _steps(7, 0.0, 0.0)
    policy, policy_gold = _steps(1, -0.5, -1.0)
    report = hacking_report(base, gold, policy, policy_gold)
    assert report.optimised is not None and report.optimised.verdict == "not decided"


@pytest.mark.parametrize(("sign", "verdict"), [(1.0, "proxy"), (-1.0, "no proxy"), (0.0, "not decided")])
def test_verdicts_on_the_correlation(sign: float, verdict: str) -> None:
    generator = np.random.default_rng(4)
    gold = generator.normal(size=1000)
    reward = sign * gold + generator.normal(size=1000)
    report = hacking_report(Sampled(reward, np.repeat(np.arange(100), 10)), gold)
    assert report.verdict == verdict
    assert (report.budget_per_deviation > 0) == (verdict == "proxy")
    assert len(report.sentences) == (2 if verdict == "proxy" else 1)


def test_a_constant_reward_is_no_evidence() -> None:
    report = hacking_report(Sampled(np.ones(100), np.arange(100)), np.arange(100.0))
    assert (report.verdict, report.budget_per_deviation) == ("no spread", 0.0)
    assert "the reward is the same" in report.sentences[0]
    assert json.loads(json.dumps(report.to_json(), allow_nan=False))["correlation"] == [None, None, None]


def test_with_a_ratio_there_is_a_certificate_and_it_holds() -> None:
    generator = np.random.default_rng(2)
    # Under the base policy gold and error are N(0, 1); the policy moves gold by .3: ratio = exp(.3 f − .045).
    gold, error = generator.normal(size=(2, 4000))
    moved = 0.3 + generator.normal(size=4000)
    policy = Sampled(0.8 * moved + 0.6 * generator.normal(size=4000), np.arange(4000))
    ratio = np.exp(0.3 * moved - 0.045)
    report = hacking_report(Sampled(0.8 * gold + 0.6 * error, np.arange(4000)), gold, policy, moved, ratio=ratio)
    found = report.optimised
    assert found is not None and found.certificate is not None
    assert found.certificate.chi_squared == pytest.approx(math.expm1(0.09), abs=0.03)
    # (1/.8)(.24 − .6 · √.0942) = .07
    assert found.certificate.promised == pytest.approx(0.07, abs=0.04)
    assert found.certificate.promised < found.gold.value
    assert "within" in report.sentences[-1]
    assert json.dumps(report.to_json(), allow_nan=False)


def test_says_what_is_missing() -> None:
    base, gold = _steps(7, 0.0, 0.0)
    with pytest.raises(AuditError, match="gold of the optimised policy is missing"):
        hacking_report(base, gold, base)
    with pytest.raises(AuditError, match="3 episodes"):
        hacking_report(Sampled(np.zeros(3), np.arange(3)), np.zeros(3))
    with pytest.raises(AuditError, match="one reward, gold and episode"):
        hacking_report(base, gold[1:])
    with pytest.raises(AuditError, match="not finite"):
        hacking_report(base, np.full_like(gold, math.nan))
