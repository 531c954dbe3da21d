"""One step of reinforcement learning (sample, score, update) against TRL's GRPOTrainer, on one thread.

    python benchmarks/bench_step.py

The same tiny model, prompts, group size, completion length and reward. Equality first: on one batch of rollouts the
advantages, the loss and the weights after a step of the optimiser must be TRL's. Then both train for some steps, taking
turns, and the medians of their steps are compared.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"

import contextlib
import copy
import io
import json
import logging
import statistics
import tempfile
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from transformers import TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from trueward.batch import Context
from trueward.credit import GroupRelative
from trueward.objectives.policy_loss import PolicyLoss
from trueward.policies.language import LanguagePolicy
from trueward.policies.sampling import Sampling
from trueward.rewards.base import as_reward
from trueward.tasks.gold import Gold
from trueward.tasks.text.procedural import ChainArithmetic
from trueward.tasks.text.rows import Row
from trueward.tasks.text.vocabulary import Vocabulary
from trueward.training import TrainSettings, train, warm_start
from trueward.training.rollouts import gather
from trueward.training.seeds import torch_stream
from trueward.training.update import UpdateSettings, learner, update

WORDS = tuple(f"w{number}" for number in range(90))
PROMPTS, GROUP, TOKENS, RATE = 16, 8, 32, 1e-4
STEPS, ROUNDS = 8, 3
EPSILON = 1e-4  # what TRL adds to the standard deviation
TARGET = 3.0


@dataclass(frozen=True)
class Bed:
    """What is trained, and on what.

    Attributes:
        name: how long its completions are.
        rows: the prompts.
        start: the policy before training.
    """

    name: str
    rows: list[Row]
    start: LanguagePolicy

    def policy(self) -> LanguagePolicy:
        return LanguagePolicy(copy.deepcopy(self.start.model), self.start.tokenizer)


def beds() -> list[Bed]:
    """Random weights, whose completions rarely end, and a policy that has learnt to end its own."""
    rows = [Row(str(n), f"w1 w2 w{n} w3 w4 w{n + 1}", f"w{n}") for n in range(PROMPTS)]
    random = LanguagePolicy.tiny(Vocabulary("words", WORDS), layers=2, width=96, heads=4, positions=64)
    task = ChainArithmetic(modulus=60, operations=(1, 4))
    learnt = LanguagePolicy.tiny(task.vocabulary, layers=2, width=96, heads=4, positions=96)
    warm_start(learnt, task.demonstrations(2000, seed=0), steps=150)
    return [Bed("few rows end early", rows, random), Bed("rows end at many lengths", task.rows(PROMPTS, 0), learnt)]


def says(completion: str, answer: str) -> float:
    return completion.split().count(answer) / TOKENS


def says_in_trl(completions: list[str], answer: list[str], **_: Any) -> list[float]:
    return [says(*one) for one in zip(completions, answer, strict=True)]


def gold(asked: Any, completions: Any) -> Gold:
    return Gold(np.array([says(c, str(row.answer)) for row, c in zip(asked, completions, strict=True)]), {})


class Clock(TrainerCallback):
    """How long each of TRL's steps takes."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self.begun = time.perf_counter()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.seconds.append(time.perf_counter() - self.begun)


def trl_trainer(learns: LanguagePolicy, rows: list[Row], folder: str, clock: Clock | None = None) -> GRPOTrainer:
    data = Dataset.from_list([{"prompt": row.prompt, "answer": row.answer} for row in rows])
    config = GRPOConfig(
        output_dir=folder,
        per_device_train_batch_size=PROMPTS * GROUP,
        num_generations=GROUP,
        max_completion_length=TOKENS,
        learning_rate=RATE,
        lr_scheduler_type="constant",
        weight_decay=0.0,
        max_grad_norm=1.0,
        beta=0.0,
        loss_type="bnpo",
        temperature=1.0,
        top_p=1.0,
        top_k=0,
        max_steps=STEPS,
        report_to=[],
        logging_strategy="no",
        save_strategy="no",
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )
    learns.tokenizer.padding_side = "left"  # as TRL wants it
    return GRPOTrainer(
        model=learns.model,
        reward_funcs=says_in_trl,
        args=config,
        train_dataset=data,
        processing_class=learns.tokenizer,
        callbacks=[] if clock is None else [clock],
    )


@contextlib.contextmanager
def quietly() -> Any:
    """Neither library's remarks."""
    logging.disable(logging.WARNING)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield
    logging.disable(logging.NOTSET)


def check_equality(bed: Bed) -> None:
    """The same rollouts give the same advantages, loss and next weights."""
    mine, theirs = bed.policy(), bed.policy()
    reward = as_reward(says, low=0.0, high=1.0)
    rollouts = gather(mine, bed.rows, Sampling(TOKENS), torch_stream(0, "rollouts"), group=GROUP)
    credited = GroupRelative("z_score", epsilon=EPSILON)(reward.score(rollouts, Context()), rollouts, Context())
    with tempfile.TemporaryDirectory() as folder, quietly():
        trainer = trl_trainer(theirs, bed.rows, folder)
        ids, mask = torch.from_numpy(rollouts.content.token_ids), torch.from_numpy(rollouts.mask)  # type: ignore[union-attr]
        attention = torch.from_numpy(rollouts.content.attention)  # type: ignore[union-attr]
        width = ids.shape[1] - mask.shape[1]
        rewards = torch.tensor(says_in_trl(rollouts.content.completions, [r["answer"] for r in rollouts.reference]))  # type: ignore[union-attr,arg-type]
        grouped = rewards.view(-1, GROUP)
        advantages = ((grouped - grouped.mean(1, keepdim=True)) / (grouped.std(1, keepdim=True) + EPSILON)).flatten()
        differing = float((advantages - torch.from_numpy(credited.advantages)).abs().max())
        assert differing < 1e-5, f"advantages differ by {differing}"
        inputs = {
            "prompt_ids": ids[:, :width],
            "prompt_mask": attention[:, :width].long(),
            "completion_ids": ids[:, width:],
            "completion_mask": mask.long(),
            "advantages": advantages,
            "old_per_token_logps": torch.from_numpy(rollouts.logprobs),
            "num_items_in_batch": mask.sum(),
        }
        trainer.model.train()
        trainer.current_gradient_accumulation_steps = 1
        loss = trainer._compute_loss(trainer.model, inputs)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(theirs.model.parameters(), 1.0)
        torch.optim.AdamW(theirs.model.parameters(), lr=RATE, weight_decay=0.0).step()
    found = update(
        mine,
        learner(mine.model, RATE),
        rollouts,
        credited,
        PolicyLoss(over="token"),
        UpdateSettings(),
        np.random.default_rng(0),
    )
    differing = abs(found["loss"] - float(loss.detach()))
    assert differing < 1e-5, f"the losses differ by {differing}: {found['loss']} and {float(loss.detach())}"
    pairs = zip(mine.model.parameters(), theirs.model.parameters(), strict=True)
    # The first step of AdamW is the sign of the gradient, which rounding decides where it is nearly zero.
    steps = [(a - b).abs().flatten() for a, b in pairs]
    share = float((torch.cat(steps) > RATE / 100).float().mean())  # type: ignore[arg-type]
    assert share < 0.01, f"{share:.1%} of the weights differ after one step"
    lengths = rollouts.mask.sum(axis=1)  # type: ignore[union-attr]
    print(f"== {bed.name}: {lengths.mean():.0f} of {TOKENS} tokens, {lengths.min()} to {lengths.max()}")
    print(f"equal: advantages, loss to {differing:.0e}, {1 - share:.2%} of the weights after one step")


def seconds_of_trl(bed: Bed) -> list[float]:
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder, quietly():
        trl_trainer(bed.policy(), bed.rows, folder, clock).train()
    return clock.seconds[1:]


def stages_of_ours(bed: Bed) -> list[dict[str, float]]:
    settings = TrainSettings(
        steps=STEPS,
        prompts=PROMPTS,
        group=GROUP,
        sampling=Sampling(TOKENS),
        learning_rate=RATE,
        warm_up=0,
        evaluate_every=STEPS + 1,
        checkpoint_every=STEPS + 1,
        tensorboard=False,
    )
    with tempfile.TemporaryDirectory() as folder:
        train(
            bed.policy(),
            bed.rows,
            as_reward(says, low=0.0, high=1.0),
            gold=gold,
            held_out=bed.rows[:1],
            credit=GroupRelative("z_score", epsilon=EPSILON),
            objective=PolicyLoss(over="token"),
            settings=settings,
            directory=folder,
        )
        lines = [json.loads(line) for line in Path(folder, "seconds.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name != "step"} for line in lines[2:-1]]


def compare(bed: Bed) -> None:
    check_equality(bed)
    theirs: list[float] = []
    ours: list[dict[str, float]] = []
    for _ in range(ROUNDS):
        theirs += seconds_of_trl(bed)
        ours += stages_of_ours(bed)
    slow, fast = statistics.median(theirs), statistics.median(sum(stages.values()) for stages in ours)
    ratio = slow / fast
    told = ", ".join(f"{name} {1e3 * statistics.median(s[name] for s in ours):.0f}" for name in ours[0])
    print(
        f"one step, {PROMPTS} prompts x {GROUP} completions: TRL {1e3 * slow:.0f} ms, trueward {1e3 * fast:.0f} ms "
        f"({told}): {ratio:.2f}x (target {TARGET:g}){'' if ratio >= TARGET else '  LOST'}"
    )


def main() -> None:
    torch.set_num_threads(1)
    for bed in beds():
        compare(bed)


if __name__ == "__main__":
    main()
