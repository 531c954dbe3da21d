"""The rollouts that every engine is given, and what the built-in loop makes of them.

`fixture(folder)` saves a small policy in `folder/policy` and writes `folder/same.npz`. It holds plain arrays only, so
that a process of another environment can read it: N rows, P prompt columns, T decisions, S segments.

    prompt_ids, prompt_mask          [N, P]   padded on the left
    completion_ids, mask             [N, T]   padded on the right; mask is True on decisions
    group, finished                  [N]
    segments                         [N, T]   the step of each decision; −1 outside
    old_logprobs                     [N, T]   of the policy that sampled
    correct, correct_ok              [N]      a part of weight 1: its values, and where it has one
    style, style_ok                  [N]      a part of weight ½
    process, process_exists          [N, S]   a part of weight 0.3, one value per step
    advantages/<case>                [N] or [N, T]
    weight/<case>                    [N]      of each decision of a row in the loss
    loss/<case>                      []       `PolicyLoss` of the case over all rows
    temperature                      []

A row without a part's value has no reward and the advantage 0; one is cut off; one answer could not be read and earns
the lowest reward.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from trueward.batch import Context, Part, Rollouts, Scores, Text
from trueward.credit import GroupRelative, SegmentReturns
from trueward.credit.token_estimators import token_hidden_reward
from trueward.objectives.policy_loss import PolicyLoss
from trueward.policies.language import LanguagePolicy
from trueward.policies.prediction_errors import hidden_and_errors
from trueward.rewards.base import Reward
from trueward.rewards.runner import Runner
from trueward.rewards.transforms.group_switch import grpo_lambda
from trueward.status import Status
from trueward.tasks.text.vocabulary import Vocabulary
from trueward.training.update import UpdateSettings, learner, update

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "plus", "equals")
GROUPS, SIZE, DECISIONS, SEGMENTS = 4, 4, 9, 3
ROWS = GROUPS * SIZE
TEMPERATURE = 0.8
UNSCORED, UNREADABLE, CUT_OFF = 5, 10, 14


class Column(Reward):
    """A part that stands in the data: the column `name`, None where it has no value, negative where unreadable."""

    def __init__(self, name: str, *, fine: bool = False) -> None:
        self._name, self.fine = name, fine

    @property
    def name(self) -> str:
        return self._name

    def use(self, runner: Runner) -> bool:
        return False

    def score(self, rollouts: Rollouts, context: Context) -> Scores:
        given = [row[self.name] for row in rollouts.reference]
        status = [
            Status.ABSTAINED if one is None else Status.UNPARSABLE if not self.fine and one < 0 else Status.OK
            for one in given
        ]
        if not self.fine:
            values = np.array([one if state.ok else np.nan for one, state in zip(given, status, strict=True)], float)
            return Scores({self.name: Part(values, status, low=0.0, high=1.0)})
        width = 1 + int(np.max(rollouts.segments, initial=0))
        exists = np.zeros((len(given), width), dtype=bool)
        for row, numbers in enumerate(np.asarray(rollouts.segments)):
            exists[row, np.unique(numbers[numbers >= 0])] = True
        values = np.array([[*one, *[0.0] * width][:width] for one in given])
        return Scores({self.name: Part(np.where(exists, values, 0.0), status, "segment", exists=exists)})


@dataclass(frozen=True)
class Case:
    """An estimator with the reward and the objective that it is used with."""

    reward: Reward
    credit: Any
    objective: PolicyLoss = field(default_factory=PolicyLoss)


def cases() -> dict[str, Case]:
    """Case by name; made anew, because rewards may keep statistics."""
    both = Column("correct") + 0.5 * Column("style")
    return {
        "z_score": Case(both, GroupRelative(), PolicyLoss(over="sequence", low=0.1, high=0.3)),
        "leave_one_out": Case(both, GroupRelative("leave_one_out"), PolicyLoss(over="fixed_length", length=DECISIONS)),
        "segment_returns": Case(Column("correct") + 0.3 * Column("process", fine=True), SegmentReturns(discount=0.9)),
        "grpo_lambda": Case(Column("correct").transform(grpo_lambda(0.5, 0.6)), GroupRelative(), PolicyLoss("group")),
        "thr": Case(Column("correct"), token_hidden_reward(p=-0.1)),
    }


@dataclass(frozen=True)
class Same:
    """The fixture: the rollouts, their policy, and what the built-in loop made of them."""

    policy: LanguagePolicy
    folder: Path
    rollouts: Rollouts
    arrays: Mapping[str, np.ndarray]

    def rows(self) -> list[dict[str, Any]]:
        """Prompt and columns of each row."""
        content = self.rollouts.content
        assert isinstance(content, Text)
        return [
            {"prompt": prompt, **columns}
            for prompt, columns in zip(content.prompts, self.rollouts.reference, strict=True)
        ]


def fixture(folder: Path) -> Same:
    """The rollouts, with `folder/policy` and `folder/same.npz`."""
    policy = LanguagePolicy.tiny(Vocabulary("words", WORDS), layers=2, width=32, heads=2, positions=32, seed=3)
    policy.save(folder / "policy")
    rollouts = _rollouts(policy)
    arrays = _described(rollouts)
    for name, case in cases().items():
        arrays |= {f"{what}/{name}": value for what, value in _built_in(policy, folder, rollouts, case).items()}
    np.savez(folder / "same.npz", **arrays)  # type: ignore[arg-type]
    return Same(policy, folder, rollouts, arrays)


def _rollouts(policy: LanguagePolicy) -> Rollouts:
    """Made by hand: the policy's own would all be alike."""
    random = np.random.default_rng(11)
    tokenizer = policy.tokenizer
    ids = [tokenizer(word, add_special_tokens=False)["input_ids"][0] for word in WORDS]
    prompts = [" ".join(random.choice(WORDS, size=2 + group)) for group in range(GROUPS) for _ in [0]]
    lengths = random.integers(2, DECISIONS + 1, size=ROWS)
    lengths[[0, CUT_OFF]] = DECISIONS
    tokens = np.full((ROWS, DECISIONS), tokenizer.pad_token_id)
    mask = np.arange(DECISIONS) < lengths[:, None]
    for row, length in enumerate(lengths):
        tokens[row, :length] = random.choice(ids, size=length)
        if row != CUT_OFF:
            tokens[row, length - 1] = tokenizer.eos_token_id
    asked = [tokenizer(prompts[row // SIZE], add_special_tokens=False)["input_ids"] for row in range(ROWS)]
    before = max(map(len, asked))
    left = np.array([[tokenizer.pad_token_id] * (before - len(one)) + one for one in asked])
    there = np.array([[False] * (before - len(one)) + [True] * len(one) for one in asked])
    segments = np.where(mask, np.minimum(np.arange(DECISIONS) * SEGMENTS // lengths[:, None], SEGMENTS - 1), -1)
    content = Text(
        [prompts[row // SIZE] for row in range(ROWS)],
        tokenizer.batch_decode(tokens, skip_special_tokens=True),
        np.concatenate([left, tokens], axis=1),
        np.concatenate([there, mask], axis=1),
    )
    logprobs = _logprobs(policy, content) + np.where(mask, random.normal(0.0, 0.3, mask.shape), 0.0)
    return Rollouts(
        content,
        group=np.repeat(np.arange(GROUPS), SIZE),
        mask=mask,
        logprobs=logprobs.astype(np.float32),
        segments=segments,
        features={"finished": np.arange(ROWS) != CUT_OFF},
        reference=_columns(random, segments),
    )


def _columns(random: np.random.Generator, segments: np.ndarray) -> list[dict[str, Any]]:
    correct: list[Any] = [float(value) for value in random.integers(0, 2, size=ROWS)]
    # All of the last group are right: nothing can be learnt from comparing them, and a switch by ratio takes it first.
    correct[-SIZE:] = [1.0] * SIZE
    correct[UNSCORED], correct[UNREADABLE] = None, -1.0
    style = [float(value) for value in random.random(ROWS).round(3)]
    process = random.random((ROWS, SEGMENTS)).round(3).tolist()
    return [{"correct": correct[row], "style": style[row], "process": process[row], "row": row} for row in range(ROWS)]


def _logprobs(policy: LanguagePolicy, content: Text) -> np.ndarray:
    with torch.no_grad():
        under = policy.likelihood(
            torch.from_numpy(np.asarray(content.token_ids)),
            torch.from_numpy(np.asarray(content.attention)),
            DECISIONS,
            temperature=TEMPERATURE,
        )
    return under.logprobs.double().numpy()


def _described(rollouts: Rollouts) -> dict[str, np.ndarray]:
    content, mask = rollouts.content, np.asarray(rollouts.mask)
    assert isinstance(content, Text)
    ids, attention = np.asarray(content.token_ids), np.asarray(content.attention)
    arrays = {
        "prompt_ids": ids[:, :-DECISIONS],
        "prompt_mask": attention[:, :-DECISIONS],
        "completion_ids": ids[:, -DECISIONS:],
        "mask": mask,
        "group": np.asarray(rollouts.group),
        "segments": np.asarray(rollouts.segments),
        "finished": np.asarray(rollouts.features["finished"]),
        "old_logprobs": np.asarray(rollouts.logprobs),
        "temperature": np.asarray(TEMPERATURE),
    }
    for column in (Column("correct"), Column("style"), Column("process", fine=True)):
        part = column.score(rollouts, Context()).parts[column.name]
        arrays[column.name] = np.where(part.present, part.values, 0.0)
        arrays[f"{column.name}_exists" if column.fine else f"{column.name}_ok"] = part.present
    return arrays


def _built_in(policy: LanguagePolicy, folder: Path, rollouts: Rollouts, case: Case) -> dict[str, np.ndarray]:
    """Advantages, weights and loss by the functions that the built-in loop calls."""
    scores = case.reward.score(rollouts, Context(1))
    credited = case.credit(scores, with_features(policy, rollouts, case.credit.needs), Context(1))
    learns = LanguagePolicy.load(folder / "policy")
    told = update(
        learns,
        learner(learns.model, 1e-3),
        rollouts,
        credited,
        case.objective,
        UpdateSettings(temperature=TEMPERATURE),
        np.random.default_rng(0),
    )
    weight = case.objective.weight(torch.from_numpy(np.asarray(rollouts.mask)), torch.from_numpy(rollouts.group))
    return {"advantages": credited.advantages, "weight": weight.numpy(), "loss": np.asarray(told["loss"])}


def with_features(policy: LanguagePolicy, rollouts: Rollouts, needs: Sequence[str] | frozenset[str]) -> Rollouts:
    """The rollouts with what credit reads of the policy."""
    import dataclasses

    content = rollouts.content
    if not {"hidden", "errors"} & set(needs) or not isinstance(content, Text):
        return rollouts
    hidden, errors = hidden_and_errors(
        policy.model,
        *(torch.from_numpy(np.asarray(one)) for one in (content.token_ids, content.attention, rollouts.mask)),
        torch.from_numpy(np.asarray(rollouts.group)),
        temperature=TEMPERATURE,
    )
    return dataclasses.replace(
        rollouts, features={**rollouts.features, "hidden": hidden.numpy(), "errors": errors.numpy()}
    )
