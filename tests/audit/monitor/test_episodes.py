"""Episodes of control under the gold probe: what it sees of them, that it alarms on a fall, and not without one."""

from __future__ import annotations

import numpy as np
import pytest

from trueward.audit.monitor.episodes import alarmed, episode_steps, probed
from trueward.errors import AuditError


def _episodes(gold: np.ndarray, seed: int = 0) -> dict[str, np.ndarray]:
    """Sixteen episodes per step with this mean gold (of 0 to 10), and rewards that rise all the time."""
    generator = np.random.default_rng(seed)
    count = 16 * len(gold)
    step = np.repeat(np.arange(1, len(gold) + 1), 16)
    return {
        "step": step,
        "source": np.zeros(count, dtype=np.int64),
        "end": np.full(count, "truncated", dtype=object),
        "length": np.full(count, 100),
        "proxy": step + generator.normal(size=count),
        "gold": np.repeat(gold, 16) + generator.normal(0.0, 0.5, size=count),
    }


def test_what_is_seen_of_an_update() -> None:
    episodes = _episodes(np.array([5.0, 6.0]))
    episodes["source"][:4] = 1
    episodes["end"][4] = "cut"
    episodes["end"][5] = "terminated"
    episodes["gold"][6:9] = [-1.0, 2.5, 12.0]
    first, second = episode_steps(episodes, low=0.0, high=10.0)
    assert (first.number, len(first), second.number, len(second)) == (1, 11, 2, 16)
    assert [column["gold"] for column in first.columns][1:4] == [0.0, 0.25, 1.0]
    assert first.finished is not None and first.finished.tolist() == [True] + [False] * 10
    assert first.reward.tolist() == episodes["proxy"][5:16].tolist()
    assert len(set(first.prompts)) == 11
    assert "terminated: reward" in first.completions[0]


def test_a_fall_is_alarmed_and_health_is_not() -> None:
    fell = np.concatenate([np.full(10, 6.0), np.linspace(6, 2, 30)])
    notice = alarmed(probed(_episodes(fell), low=0.0, high=10.0))
    assert notice is not None and 10 < notice.step < 30
    for seed in range(5):
        rose = np.concatenate([np.full(10, 6.0), np.linspace(6, 8, 30)])
        assert alarmed(probed(_episodes(rose, seed), low=0.0, high=10.0)) is None


def test_says_what_is_missing() -> None:
    episodes = _episodes(np.array([5.0]))
    with pytest.raises(AuditError, match="low=1"):
        next(episode_steps(episodes, low=1.0, high=1.0))
    del episodes["gold"]
    with pytest.raises(AuditError, match="gold"):
        next(episode_steps(episodes, low=0.0, high=1.0))
