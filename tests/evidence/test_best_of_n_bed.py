"""Groups of reward models: which models they hold, and what diversity is worth where the truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from trueward.evidence.best_of_n_bed import N, agreement, combined, grouped, picked


def test_groups_by_hand() -> None:
    scores = np.arange(6.0).reshape(3, 2, 1, 1)  # trunk k has the models 2k and 2k + 1
    assert grouped(scores, "single")[..., 0, 0].tolist() == [[0], [1], [2], [3], [4], [5]]
    assert grouped(scores, "finetune")[..., 0, 0].tolist() == [[0, 1], [2, 3], [4, 5]]
    assert grouped(scores, "pretrain")[..., 0, 0].tolist() == [[0, 3, 4], [1, 2, 5]]


def test_every_model_stands_in_one_group_of_each_kind() -> None:
    scores = np.arange(20.0).reshape(5, 4, 1, 1)
    for how in ("single", "finetune", "pretrain"):
        assert sorted(grouped(scores, how).ravel().tolist()) == list(range(20))


def test_picks_by_hand() -> None:
    proxy = np.stack([np.arange(64.0)[None], -np.arange(64.0)[None]])  # two groups that disagree on everything
    gold = np.broadcast_to(np.where(np.arange(64) == 63, 1.0, 0.0)[None], proxy.shape)
    # The first group finds the good sample whenever it is drawn, with probability n/64; the second only at n = 1.
    assert picked(proxy, gold) == pytest.approx([(n + (n == 1)) / 128 for n in N])


def heavy(generator: np.random.Generator, *shape: int) -> np.ndarray:
    return generator.standard_t(3, size=shape) / np.sqrt(3)  # unit variance


def grid(trunk_share: float, seed: int = 2, prompts: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """Scores of 4 × 4 models whose errors have this share in common within a trunk, and gold."""
    generator = np.random.default_rng(seed)
    gold = generator.normal(size=(prompts, 64))
    of_trunk, own = heavy(generator, 4, 1, prompts, 64), heavy(generator, 4, 4, prompts, 64)
    return gold + 1.5 * (np.sqrt(trunk_share) * of_trunk + np.sqrt(1 - trunk_share) * own), gold


def best(scores: np.ndarray, gold: np.ndarray, how: str) -> float:
    proxy = combined(grouped(scores, how), "mean")
    return float(picked(proxy, np.broadcast_to(gold, proxy.shape))[-1])


def test_errors_shared_by_a_trunk_are_averaged_away_over_trunks_only() -> None:
    scores, gold = grid(0.7)
    single, finetune, pretrain = (best(scores, gold, how) for how in ("single", "finetune", "pretrain"))
    assert single + 0.05 < finetune < pretrain - 0.3
    found = agreement(scores)
    assert found["between_1"] < found["within_1"] - 0.2 and found["between_best"] < found["within_best"] - 0.2


def test_without_errors_of_trunks_it_does_not_matter_whose_models_are_averaged() -> None:
    scores, gold = grid(0.0)
    finetune, pretrain = best(scores, gold, "finetune"), best(scores, gold, "pretrain")
    assert finetune == pytest.approx(pretrain, abs=0.05)
    found = agreement(scores)
    assert found["between_1"] == pytest.approx(found["within_1"], abs=0.03)
    assert found["between_best"] == pytest.approx(found["within_best"], abs=0.05)
