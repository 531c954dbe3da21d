"""Writes the measured table of docs/transforms.md: what each transform is worth under the same pressure.

    python examples/transforms_table.py [--write docs/transforms.md] [--seeds 12]

No training and no noise of training: among 1,024 answers to each of 30 prompts the policy that is best for a reward R
is known in closed form, π ∝ π₀ · exp(R / β). What it is really worth is read at the β at which its mean KL divergence
from π₀ is 2, and 5. Gold is g ~ N(0, 1); the reward model sees r = g + 0.7 · t₂ + C with heavy-tailed errors, and an
offset of each prompt, C ~ N(0, 3²), that says nothing about answers. π₀ ∝ exp(N(0, 1)); references are drawn from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

from trueward.batch import Context, Part, Rollouts, Scores, Text
from trueward.report.atomic import write_whole
from trueward.rewards.transforms import (
    Transform,
    centred,
    log_sigmoid_centred,
    running_clip,
    running_range,
    sigmoid,
    slow_start,
    standardise,
    win_probability,
)
from trueward.status import Status

PROMPTS, ANSWERS, REFERENCES = 30, 1024, 10
FIRST, LAST = "<!-- table: made by examples/transforms_table.py -->", "<!-- end of table -->"
BISECTIONS = 36


@dataclass(frozen=True)
class Setting:
    """One column of the table: divergence, and deviation of the offsets of the prompts."""

    divergence: float
    offsets: float


SETTINGS = {
    "KL 2": Setting(2.0, 3.0),
    "KL 2, no offsets": Setting(2.0, 0.0),
    "KL 5": Setting(5.0, 3.0),
}


@dataclass(frozen=True)
class World:
    """Answers to prompts: log π₀, gold and reward [X, Y], and rewards of references [X, M]."""

    log_base: np.ndarray
    gold: np.ndarray
    reward: np.ndarray
    references: np.ndarray


def world(seed: int, offsets: float) -> World:
    """Draw the answers; the same seed has the same answers with and without offsets."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(PROMPTS, ANSWERS))
    log_base = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    gold = rng.normal(size=(PROMPTS, ANSWERS))
    reward = gold + 0.7 * rng.standard_t(2, size=(PROMPTS, ANSWERS)) + offsets * rng.normal(size=(PROMPTS, 1))
    drawn = [rng.choice(row, REFERENCES, p=np.exp(log)) for row, log in zip(reward, log_base, strict=True)]
    return World(log_base, gold, reward, np.array(drawn))


def arms() -> dict[str, tuple[list[Transform], int]]:
    """Transforms to compare, each with the number of references that it reads."""
    return {
        "none": ([], 1),
        "`centred()`": ([centred()], REFERENCES),
        "`standardise()`": ([standardise()], 1),
        "`running_range()`": ([running_range()], 1),
        "`slow_start()`": ([slow_start()], REFERENCES),
        "`running_clip()`": ([running_clip()], 1),
        "`sigmoid()`": ([sigmoid()], 1),
        '`centred("tanh")`': ([centred("tanh")], REFERENCES),
        '`centred("atan")`': ([centred("atan")], REFERENCES),
        "`win_probability()`, 1 reference": ([win_probability()], 1),
        "`win_probability()`, 10 references": ([win_probability()], REFERENCES),
        "`log_sigmoid_centred()`": ([log_sigmoid_centred()], REFERENCES),
    }


def transformed(given: World, transforms: list[Transform], references: int) -> np.ndarray:
    """Rewards [X, Y] after the transforms."""
    n = PROMPTS * ANSWERS
    columns = [{"reference_rewards": row[:references].tolist()} for row in given.references]
    rollouts = Rollouts(
        Text([""] * n, [""] * n),
        group=np.repeat(np.arange(PROMPTS), ANSWERS),
        reference=[column for column in columns for _ in range(ANSWERS)],
    )
    scores = Scores({"reward": Part(given.reward.ravel(), [Status.OK] * n)})
    for transform in transforms:
        scores = transform(scores, rollouts, Context(training=True))
    return scores.total().reshape(given.reward.shape)


def worth(given: World, reward: np.ndarray, divergence: float) -> float:
    """Mean gold under π₀ · exp(reward / β), with the β at which the mean divergence from π₀ is as given."""
    above = reward - reward.max(axis=1, keepdims=True)
    low, high = -12.0, 12.0
    for _ in range(BISECTIONS):
        middle = (low + high) / 2.0
        logits = given.log_base + np.exp(middle) * above
        log_policy = logits - logits.max(axis=1, keepdims=True)
        log_policy -= np.log(np.exp(log_policy).sum(axis=1, keepdims=True))
        policy = np.exp(log_policy)
        if (policy * (log_policy - given.log_base)).sum(axis=1).mean() < divergence:
            low = middle
        else:
            high = middle
    return float((policy * given.gold).sum(axis=1).mean())


def measure(seeds: int, names: Sequence[str] = ()) -> dict[str, dict[str, np.ndarray]]:
    """Worth of each arm in each setting, one number per seed; of all arms where none are named."""
    found: dict[str, dict[str, np.ndarray]] = {name: {} for name in names or arms()}
    for offsets in dict.fromkeys(setting.offsets for setting in SETTINGS.values()):
        worlds = [world(seed, offsets) for seed in range(seeds)]
        for arm, columns in found.items():
            # Statistics start anew for every seed.
            rewards = [transformed(drawn, *arms()[arm]) for drawn in worlds]
            for name, setting in SETTINGS.items():
                if setting.offsets == offsets:
                    pairs = zip(worlds, rewards, strict=True)
                    columns[name] = np.array([worth(drawn, reward, setting.divergence) for drawn, reward in pairs])
    return found


def table(found: Mapping[str, Mapping[str, np.ndarray]]) -> str:
    """The lines of the table: mean and standard error over seeds."""
    lines = ["| transform | " + " | ".join(SETTINGS) + " |", "|---" * (len(SETTINGS) + 1) + "|"]
    for arm, columns in found.items():
        cells = [
            f"{v.mean():.2f} ± {v.std(ddof=1) / np.sqrt(len(v)):.2f}" for v in (columns[name] for name in SETTINGS)
        ]
        lines.append(f"| {arm} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


@dataclass(frozen=True)
class Options:
    """What to measure, and where to write it."""

    write: Path | None = None
    """The page whose table is replaced; printed when left out."""
    seeds: int = 12
    """Draws of the world."""


def main(options: Options) -> None:
    """Measure, and print or write the table."""
    lines = table(measure(options.seeds))
    if options.write is None:
        print(lines)
        return
    page = options.write.read_text(encoding="utf-8")
    before, rest = page.split(FIRST)
    after = rest.split(LAST)[1]
    write_whole(options.write.resolve(), f"{before}{FIRST}\n{lines}\n{LAST}{after}".encode())


if __name__ == "__main__":
    main(tyro.cli(Options))
