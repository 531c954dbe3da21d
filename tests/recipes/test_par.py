"""PAR: the mechanism in closed form, and every arm of the recipe at smoke scale."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trueward.batch import Context, Part, Rollouts, Scores, Text
from trueward.errors import EvidenceError
from trueward.evidence.plan import Experiment
from trueward.recipes.beds.par import shape_of
from trueward.recipes.par import RECIPE
from trueward.status import Status

CONTEXTS, ANSWERS = 30, 1024


@dataclasses.dataclass(frozen=True)
class World:
    """Contexts whose answers have a gold value, and a proxy with heavy-tailed errors and an offset per context."""

    base: np.ndarray
    gold: np.ndarray
    proxy: np.ndarray
    references: np.ndarray

    @classmethod
    def drawn(cls, seed: int, offsets: float) -> World:
        generator = np.random.default_rng(seed)
        base = np.exp(generator.normal(size=(CONTEXTS, ANSWERS)))
        base /= base.sum(axis=1, keepdims=True)
        gold = generator.normal(size=base.shape)
        offset = offsets * generator.normal(size=(CONTEXTS, 1))
        proxy = gold + 0.7 * generator.standard_t(2, size=base.shape) + offset
        chosen = np.stack([generator.choice(ANSWERS, size=10, p=row) for row in base])
        return cls(base, gold, proxy, np.take_along_axis(proxy, chosen, axis=1))

    def gold_at(self, divergence: float, shape: str, references: int = 10) -> float:
        """Mean gold of the optimal policy π ∝ π0 exp(R/β), with β such that its mean KL is as asked."""
        rows = self.base.size
        kept = np.repeat(self.references[:, :references], ANSWERS, axis=0)
        rollouts = Rollouts(Text(["x"] * rows, ["y"] * rows), reference=[{"reference_rewards": row} for row in kept])
        scores = Scores({"proxy": Part(self.proxy.ravel(), [Status.OK] * rows)})
        for transform in shape_of({"reward.shape": shape, "reward.k": 1.0, "reward.ceiling": 4.0}):
            scores = transform(scores, rollouts, Context(training=True))
        reward = scores.total().reshape(self.base.shape)
        low, high = -20.0, 20.0
        for _ in range(60):
            policy = self.best(reward, math.exp((low + high) / 2))
            kl = (policy * np.log(np.maximum(policy, 1e-300) / self.base)).sum(axis=1).mean()
            low, high = (low, (low + high) / 2) if kl > divergence else ((low + high) / 2, high)
        return float((policy * self.gold).sum(axis=1).mean())

    def best(self, reward: np.ndarray, inverse: float) -> np.ndarray:
        weight = self.base * np.exp(inverse * (reward - reward.max(axis=1, keepdims=True)))
        policy: np.ndarray = weight / weight.sum(axis=1, keepdims=True)
        return policy


def means(shapes: Mapping[str, tuple[str, int]], offsets: float) -> dict[str, float]:
    worlds = [World.drawn(seed, offsets) for seed in range(3)]
    return {
        name: float(np.mean([world.gold_at(2.0, shape, references) for world in worlds]))
        for name, (shape, references) in shapes.items()
    }


def test_at_equal_divergence_each_principle_adds_gold() -> None:
    """The numbers of an independent computation: vanilla .28, SgFc .55, σ .60, one reference .74, ten .82."""
    found = means(
        {
            "vanilla": ("raw", 10),
            "centred": ("centred", 10),
            "slow": ("slow_start", 10),
            "sigmoid": ("sigmoid", 10),
            "par 1": ("win_probability", 1),
            "par": ("win_probability", 10),
        },
        offsets=3.0,
    )
    expected = {"vanilla": 0.28, "centred": 0.28, "slow": 0.55, "sigmoid": 0.60, "par 1": 0.74, "par": 0.82}
    assert found == pytest.approx(expected, abs=0.12)
    assert found["vanilla"] == pytest.approx(found["centred"], abs=1e-6)
    assert found["vanilla"] + 0.1 < found["slow"] < found["par"] - 0.1
    assert found["sigmoid"] + 0.1 < found["par"] and found["par 1"] < found["par"]


def test_without_offsets_there_is_nothing_to_centre() -> None:
    found = means({"sigmoid": ("sigmoid", 10), "par": ("win_probability", 10)}, offsets=0.0)
    assert found == pytest.approx({"sigmoid": 0.89, "par": 0.82}, abs=0.12)
    assert found["sigmoid"] > found["par"]


def test_an_unknown_shape_is_refused_by_name() -> None:
    with pytest.raises(EvidenceError, match=r"reward\.shape='square'; expected one of raw"):
        shape_of({"reward.shape": "square", "reward.k": 1.0, "reward.ceiling": 4.0})


def experiment(root: Path, **overrides: Any) -> Experiment:
    return Experiment(RECIPE, "smoke", root, seeds=(3000,), overrides=overrides)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


def metrics_of(one: Experiment, name: str) -> tuple[dict[str, float], Path]:
    arm = RECIPE.arm(name)
    chosen = one.run(arm, 3000, one.candidates(arm)[0])
    return dict(RECIPE.run(chosen)), chosen.directory


def test_the_score_as_it_is_is_climbed(root: Path) -> None:
    found, directory = metrics_of(experiment(root), "vanilla")
    assert found["proxy_end"] > found["proxy_start"] + 0.3
    assert found["kl_end"] > 0.2
    lines = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if line.get("gold") is not None] == [0, 4, 8, 12, 16]
    assert set(found) == {metric.name for metric in RECIPE.metrics}


def test_par_pays_probabilities_and_reports_the_raw_reward(root: Path) -> None:
    raw, _ = metrics_of(experiment(root), "vanilla_kl")
    found, directory = metrics_of(experiment(root), "par")
    # Same seed: same policy, prompts, reward model and draws before the first update.
    assert (found["proxy_start"], found["gold_start"]) == (raw["proxy_start"], raw["gold_start"])
    paid = [json.loads(line).get("train/reward") for line in (directory / "metrics.jsonl").read_text().splitlines()]
    means = [value for value in paid if value is not None]
    assert len(means) == 16 and all(0 < mean < 1 for mean in means)
    # The policy before training beats its own references about every other time.
    assert means[0] == pytest.approx(0.5, abs=0.12)


@pytest.mark.parametrize("name", [arm.name for arm in RECIPE.arms])
def test_every_arm_runs(name: str, root: Path) -> None:
    found, _ = metrics_of(experiment(root, **{"train.steps": 2, "train.evaluate_every": 2}), name)
    assert all(math.isfinite(value) for metric, value in found.items() if metric != "critic_loss")
    group = RECIPE.arm(name).settings.get("credit.kind", "critic") != "critic"
    assert math.isnan(found["critic_loss"]) == group
