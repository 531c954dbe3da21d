"""Warm start: it learns, it repeats itself, and its first loss is worked out by another route."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from trueward.errors import TrainingError
from trueward.objectives.supervised import cross_entropy
from trueward.policies.language import LanguagePolicy
from trueward.policies.sampling import Sampling
from trueward.tasks.text.procedural.task import Demonstration
from trueward.tasks.text.rows import Row
from trueward.tasks.text.vocabulary import Vocabulary
from trueward.training.warm_start import _batches, warm_start

torch.set_num_threads(1)
WORDS = Vocabulary("words", tuple("abcdefgh"))


def going_on(word: str) -> str:
    """The letters after the last one, up to h."""
    return " ".join("abcdefgh"["abcdefgh".index(word[-1]) + 1 :])


def demonstration(word: str) -> Demonstration:
    return Demonstration(Row(id=word, prompt=" ".join(word), answer=None), going_on(word))


def words(n: int, seed: int) -> list[str]:
    generator = np.random.default_rng(seed)
    return ["".join(generator.choice(list("abcdefgh"), size=generator.integers(1, 4))) for _ in range(n)]


DEMONSTRATIONS = [demonstration(word) for word in words(300, seed=0)]


def policy() -> LanguagePolicy:
    return LanguagePolicy.tiny(WORDS, width=32, heads=2, positions=16)


def share_right(policy: LanguagePolicy) -> float:
    asked = words(100, seed=1)
    prompts = [" ".join(word) for word in asked]
    rollouts = policy.sample(prompts, Sampling(8, greedy=True), torch.Generator())
    wanted = [going_on(word) for word in asked]
    return float(np.mean([a == b for a, b in zip(rollouts.content.completions, wanted, strict=True)]))


def test_it_learns_to_write_like_the_demonstrations_and_to_end() -> None:
    learner = policy()
    assert share_right(learner) < 0.1
    losses = warm_start(learner, DEMONSTRATIONS, steps=60, batch_size=32)
    assert len(losses) == 60
    assert np.mean(losses[-10:]) < 0.2 < losses[0]
    assert share_right(learner) > 0.8
    assert not learner.model.training


def test_it_repeats_itself_and_seeds_differ() -> None:
    def run(seed: int) -> tuple[list[float], torch.Tensor]:
        learner = policy()
        losses = warm_start(learner, DEMONSTRATIONS, steps=6, batch_size=16, seed=seed)
        return losses, learner.state_dict()["model.embed_tokens.weight"]

    first, weights = run(1)
    again, same = run(1)
    assert first == again and torch.equal(weights, same)
    assert run(2)[0] != first


def test_the_first_loss_is_the_cross_entropy_of_completions_and_their_end() -> None:
    learner = policy()
    some = DEMONSTRATIONS[:5]
    logits, targets, masks = [], [], []
    for demonstration in some:
        prompt = learner.tokenizer(demonstration.row.prompt)["input_ids"]
        completion = learner.tokenizer(demonstration.completion, add_special_tokens=False)["input_ids"] + [2]
        ids = torch.tensor([prompt + completion])
        with torch.no_grad():
            logits.append(learner.model(ids).logits[0, :-1])
        targets.append(ids[0, 1:])
        masks.append(torch.arange(len(ids[0]) - 1) >= len(prompt) - 1)
    expected, metrics = cross_entropy(torch.cat(logits)[None], torch.cat(targets)[None], torch.cat(masks)[None])
    assert int(metrics["tokens"]) == sum(len(d.completion.split()) + 1 for d in some)
    (loss,) = warm_start(learner, some, steps=1, batch_size=5)
    assert loss == pytest.approx(float(expected), abs=1e-5)


def test_an_epoch_shows_everything_once_in_batches_of_similar_length() -> None:
    examples = [([0] * (1 + row % 5), [0]) for row in range(80)]
    batches = _batches(examples, 4, seed=0)
    epoch = [next(batches) for _ in range(20)]
    assert sorted(row for batch in epoch for row in batch) == list(range(80))
    apart = [len({row % 5 for row in batch}) for batch in epoch]
    assert np.mean(apart) < 2.2  # of four rows drawn at random, some three lengths differ
    assert [next(batches) for _ in range(20)] != epoch


def test_no_steps_change_nothing() -> None:
    learner = policy()
    before = {name: value.clone() for name, value in learner.state_dict().items()}
    assert warm_start(learner, DEMONSTRATIONS, steps=0) == []
    assert all(torch.equal(before[name], value) for name, value in learner.state_dict().items())


def test_what_is_refused() -> None:
    with pytest.raises(TrainingError, match="no demonstrations"):
        warm_start(policy(), [], steps=1)
    with pytest.raises(TrainingError, match="19 tokens with its prompt and the end of text, but the model has 16"):
        warm_start(policy(), [demonstration("bbbbbbbbba")], steps=1)
    with pytest.raises(ValueError, match="learning_rate=0"):
        warm_start(policy(), DEMONSTRATIONS, steps=1, learning_rate=0.0)
    broken = policy()
    with torch.no_grad():
        next(broken.parameters()).fill_(float("nan"))
    with pytest.raises(TrainingError, match="the loss of step 0 is nan"):
        warm_start(broken, DEMONSTRATIONS, steps=1)
