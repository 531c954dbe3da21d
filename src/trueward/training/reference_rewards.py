"""Rewards of reference answers, computed once before training and stored with the prompts.

What rewards against references need: see `trueward.rewards.transforms.references`. They belong to one reward (model,
template, length penalty) and one policy: where either changes, they must be made anew.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from trueward.batch import Context
from trueward.errors import TrainingError
from trueward.policies.language import LanguagePolicy
from trueward.policies.sampling import Sampling
from trueward.rewards.base import Reward
from trueward.rewards.transforms.references import COLUMN
from trueward.tasks.text.rows import Row
from trueward.training.rollouts import gather
from trueward.training.seeds import torch_stream

Table = Mapping[str, Sequence[float | None]]
"""Text of a prompt → rewards of its references; None where the reward had none."""


def reference_rewards(
    policy: LanguagePolicy, rows: Sequence[Row], reward: Reward, *, references: int, sampling: Sampling, seed: int
) -> Table:
    """Rewards of M answers of a policy to every different prompt.

    Args:
        policy: the one before training.
        rows: rows with the same prompt share their references.
        reward: as it is optimised, before it is compared.
        references: M.
        sampling: how answers are drawn.
        seed: of the draws.

    Returns:
        JSON values, to be kept with the reward model.

    Raises:
        TrainingError: the reward scored no reference at all, so that nothing could be compared.
    """
    different = list({row.prompt_text: row for row in rows}.values())
    generator = torch_stream(seed, "references")
    rollouts = gather(policy, different, sampling, generator, group=references)
    scores = reward.score(rollouts, Context())
    totals = scores.total().reshape(len(different), references)
    if np.isnan(totals).all():
        told = sorted({status.value for status in scores.status})
        raise TrainingError(
            f"{reward.name} scored none of {totals.size} references ({', '.join(told)}): there is nothing to compare "
            "with; look at what it says of one completion"
        )
    return {
        row.prompt_text: [float(total) if np.isfinite(total) else None for total in own]
        for row, own in zip(different, totals, strict=True)
    }


def with_references(rows: Sequence[Row], table: Table, *, most: int | None = None, column: str = COLUMN) -> list[Row]:
    """The rows with a column of reference rewards.

    Args:
        rows: their prompts must be in the table.
        table: from `reference_rewards`.
        most: how many of the references are taken, the first ones; None for all.
        column: under which name.
    """
    return [
        dataclasses.replace(row, columns={**row.columns, column: list(table[row.prompt_text])[:most]}) for row in rows
    ]


def exchanged(table: Table, generator: np.random.Generator) -> Table:
    """Every prompt with the references of another one: the control of what references are for.

    The prompts stand in a random circle and each takes those of the next, so none keeps its own where there are two.
    """
    prompts = list(table)
    circle = [prompts[place] for place in generator.permutation(len(prompts)).tolist()]
    return {prompt: table[other] for prompt, other in zip(circle, [*circle[1:], *circle[:1]], strict=True)}
