"""Reward models learn what they are shown, repeat themselves exactly, and average."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from trueward.batch import Context, Preferences, Rollouts, Text
from trueward.errors import TrainingError
from trueward.policies.scorer import TokenScorer
from trueward.policies.tokenizers import tokenizer_of
from trueward.rewards.models.learned import LearnedReward
from trueward.rewards.models.learned_inputs import Field, Layout
from trueward.rewards.models.process import StepScorer
from trueward.tasks.text.vocabulary import Vocabulary
from trueward.training.reward_model import (
    train_on_labels,
    train_on_preferences,
    train_two_heads,
    update_on_preferences,
    weight_average,
)
from trueward.training.reward_model_loop import FitSettings, _rate, _split, optimizer_of, step

WORDS = Vocabulary("words", (*"abcdefgh", "|", "\n"))
TOKENIZER = tokenizer_of(WORDS)
FAST = FitSettings(epochs=6, batch_size=32, learning_rate=3e-3)


def scorer(seed: int = 0, outputs: int = 1, width: int = 32) -> TokenScorer:
    return TokenScorer.tiny(WORDS, outputs=outputs, width=width, heads=2, positions=32, seed=seed)


def words(rng: np.random.Generator, low: int = 4, high: int = 9) -> str:
    return " ".join(rng.choice(list("abcdefgh"), size=rng.integers(low, high)))


def pairs(n: int = 300, **more: Any) -> Preferences:
    """The better one has more a; a tie is no pair."""
    rng = np.random.default_rng(0)
    prompts, a, b = [], [], []
    while len(a) < n:
        one, other = words(rng), words(rng)
        if one.count("a") != other.count("a"):
            prompts.append(words(rng))
            a.append(one)
            b.append(other)
    label = np.array([float(one.count("a") > other.count("a")) for one, other in zip(a, b, strict=True)])
    return Preferences(Rollouts(Text(prompts, a)), Rollouts(Text(prompts, b)), label, **more)


def weights_of(made: TokenScorer) -> torch.Tensor:
    return torch.cat([weight.detach().flatten() for weight in made.parameters()])


def test_preferences_are_learnt_and_generalise() -> None:
    made = scorer()
    result = train_on_preferences(made, TOKENIZER, pairs(), FAST)
    assert (result.trained, result.tested, result.dropped, result.skipped) == (270, 30, 0, 0)
    assert np.mean(result.losses[-5:]) < 0.5 * np.mean(result.losses[:5])
    assert result.held_out["accuracy"] > 0.85
    # The reward that uses it reads the same rows.
    total = (
        LearnedReward("rm", made, TOKENIZER).score(Rollouts(Text(["b"] * 2, ["a b a c", "b c d e"])), Context()).total()
    )
    assert total[0] > total[1]


def test_labels_by_lot_teach_nothing() -> None:
    """The negative control: held-out accuracy of flipped coins stays at chance."""
    given = pairs()
    coins = np.random.default_rng(3).integers(0, 2, size=len(given.label)).astype(float)
    result = train_on_preferences(
        scorer(), TOKENIZER, replace(given, label=coins), replace(FAST, epochs=2, held_out=0.4)
    )
    assert abs(result.held_out["accuracy"] - 0.5) < 0.2


def test_training_is_deterministic_and_leaves_other_random_numbers_alone() -> None:
    made = [scorer(), scorer(), scorer()]
    settings = replace(FAST, epochs=1)
    torch.manual_seed(5)
    wanted = torch.rand(2)
    for number, one in enumerate(made):
        torch.manual_seed(5)
        train_on_preferences(one, TOKENIZER, pairs(64), settings if number < 2 else replace(settings, seed=1))
        assert torch.equal(torch.rand(2), wanted)
    assert torch.equal(weights_of(made[0]), weights_of(made[1]))
    assert not torch.equal(weights_of(made[0]), weights_of(made[2]))
    assert not made[0].training


def test_swapping_the_sides_changes_nothing() -> None:
    given = pairs(64)
    made = [scorer(), scorer()]
    settings = replace(FAST, epochs=1)
    one = train_on_preferences(made[0], TOKENIZER, given, settings)
    other = train_on_preferences(made[1], TOKENIZER, Preferences(given.b, given.a, 1 - given.label), settings)
    np.testing.assert_allclose(one.losses, other.losses, rtol=1e-3)
    # Not the bias: pairs say nothing about it, so that its gradient is rounding.
    torch.testing.assert_close(made[0].head.weight, made[1].head.weight, atol=1e-3, rtol=1e-2)


def test_centring_keeps_the_level_at_zero() -> None:
    """Pairs only tell differences: pushed up by a bias, the level stays without centring and comes back with it."""
    levels = []
    for centring in (0.0, 0.1):
        made = scorer()
        with torch.no_grad():
            made.head.bias.fill_(2.0)
        result = train_on_preferences(made, TOKENIZER, pairs(128), FAST, centring=centring)
        levels.append(abs(result.held_out["score_mean"]))
    assert levels[0] > 1.5 and levels[1] < levels[0] / 2


def test_pairs_without_weight_do_not_count() -> None:
    """A wrong half of weight 0 leaves what is learnt from the other half."""
    given = pairs(200)
    weight = np.array([1.0, 0.0] * 100)
    label = np.where(weight > 0, given.label, 1 - given.label)
    made = scorer()
    train_on_preferences(made, TOKENIZER, replace(given, label=label, weight=weight), replace(FAST, epochs=8))
    evaluated = train_on_preferences(
        copy.deepcopy(made), TOKENIZER, given, replace(FAST, learning_rate=1e-12, epochs=1)
    )
    assert evaluated.epochs[0]["accuracy"] > 0.8


def test_prompts_are_held_out_whole() -> None:
    train, test = _split(np.repeat(np.arange(10), 3), np.arange(30) != 0, 0.3, np.random.default_rng(0))
    assert len(test) in (8, 9) and not {*(train // 3)} & {*(test // 3)}
    assert 0 not in {*train, *test} and len(train) + len(test) == 29


def test_the_rate_rises_and_falls() -> None:
    """Ten steps, a fifth of them rising: ½, 1, then 1, 7/8 … 1/8."""
    rates = [_rate(done, 10, 0.2) for done in range(10)]
    np.testing.assert_allclose(rates, [0.5, 1.0, *(np.arange(8, 0, -1) / 8)])
    assert _rate(0, 3, 0.0) == 1.0


def test_a_gradient_that_is_not_finite_is_skipped() -> None:
    made = scorer()
    before = weights_of(made)
    optimizer = optimizer_of(made, 1e-2)
    assert not step(made, optimizer, made.head.weight.sum() * float("nan"), 1.0)
    assert torch.equal(weights_of(made), before)
    assert step(made, optimizer, made.head.weight.sum(), 1.0)
    assert not torch.equal(weights_of(made), before)


def test_pairs_that_cannot_be_encoded_are_dropped_and_counted() -> None:
    given = pairs(40)
    content = given.b.content
    assert isinstance(content, Text)
    broken = Rollouts(Text(content.prompts, ["unheard of", *content.completions[1:]]))
    result = train_on_preferences(scorer(), TOKENIZER, replace(given, b=broken), replace(FAST, epochs=1))
    assert result.dropped == 1 and result.trained + result.tested == 39


def test_nothing_to_train_on_is_told() -> None:
    given = Preferences(*(Rollouts(Text(["a"], ["unheard"])) for _ in range(2)), np.ones(1))  # type: ignore[misc]
    with pytest.raises(TrainingError, match="nothing to train on"):
        train_on_preferences(scorer(), TOKENIZER, given)


def test_an_optimiser_goes_on_from_update_to_update() -> None:
    """Two updates of one optimiser are one pass over both halves, as long as the batches are the same."""
    given = pairs(64)

    def half(side: Rollouts, some: slice) -> Rollouts:
        content = side.content
        assert isinstance(content, Text)
        return Rollouts(Text(content.prompts[some], content.completions[some]))

    whole, parts = scorer(), scorer()
    found = update_on_preferences(whole, TOKENIZER, optimizer_of(whole, 1e-3), given, batch_size=32)
    assert found["skipped"] == found["dropped"] == 0 and found["loss"] == pytest.approx(np.log(2), abs=0.1)
    optimizer = optimizer_of(parts, 1e-3)
    for some in (slice(0, 32), slice(32, 64)):
        piece = Preferences(half(given.a, some), half(given.b, some), given.label[some])
        update_on_preferences(parts, TOKENIZER, optimizer, piece, batch_size=32)
    torch.testing.assert_close(weights_of(parts), weights_of(whole), atol=1e-5, rtol=1e-4)


def test_a_verifier_learns_to_compare_with_the_reference() -> None:
    """The label is whether the completion is the reference: nothing in the completion alone tells."""
    rng = np.random.default_rng(0)
    layout = Layout((Field("prompt"), Field("answer", " | ", " | "), Field("completion")))
    n = 900
    answers, completions = rng.choice(list("abcd"), size=n), rng.choice(list("abcd"), size=n)
    completions = np.where(rng.uniform(size=n) < 0.4, answers, completions)
    rollouts = Rollouts(
        Text([words(rng, 1, 3) for _ in range(n)], completions.tolist()),
        group=np.arange(n),
        reference=[{"answer": str(answer)} for answer in answers],
    )
    labels = (answers == completions).astype(float)
    made = scorer(width=48)
    result = train_on_labels(made, TOKENIZER, rollouts, labels, replace(FAST, epochs=8), layout=layout)
    assert result.held_out["accuracy"] > 0.9
    verifier = LearnedReward("verifier", made, TOKENIZER, layout=layout, sigmoid=True)
    found = verifier.score(
        Rollouts(Text(["a"] * 2, ["b", "b"]), reference=[{"answer": "b"}, {"answer": "c"}]), Context()
    ).total()
    assert found[0] > 0.5 > found[1]


def steps(n: int = 300) -> tuple[Rollouts, np.ndarray]:
    """Two steps of two tokens each; a step is right if it begins with token 3. Every third row has one step only."""
    rng = np.random.default_rng(0)
    ids = rng.integers(3, 8, size=(n, 6))
    attention = np.ones((n, 6), dtype=bool)
    segments = np.tile([0, 0, 1, 1], (n, 1))
    attention[::3, 4:] = False
    segments[::3, 2:] = -1
    labels = (ids[:, [2, 4]] == 3).astype(float)
    labels[::3, 1] = np.nan
    texts = Text([str(i) for i in range(n)], [""] * n, ids, attention)
    return Rollouts(texts, mask=attention[:, 2:], segments=segments), labels


def test_a_process_scorer_learns_each_step() -> None:
    rollouts, labels = steps()
    made = scorer()
    result = train_on_labels(made, TOKENIZER, rollouts, labels, replace(FAST, epochs=10))
    assert result.held_out["accuracy"] > 0.9
    part = StepScorer("prm", made, TOKENIZER).score(rollouts, Context()).parts["prm"]
    known = np.isfinite(labels)
    assert ((part.values > 0.5) == (labels > 0.5))[known].mean() > 0.9


def test_step_labels_need_one_column_per_segment() -> None:
    rollouts, labels = steps(8)
    with pytest.raises(TrainingError, match=r"\(8, 1\).*2 segments"):
        train_on_labels(scorer(), TOKENIZER, rollouts, labels[:, :1])


def test_two_heads_keep_length_out_of_quality() -> None:
    """The longer one wins in these pairs, whatever it says: one head learns that, and the other is left without it."""
    rng = np.random.default_rng(0)
    a, b = [words(rng, 2, 12) for _ in range(300)], [words(rng, 2, 12) for _ in range(300)]
    label = np.array([0.5 if len(x) == len(y) else float(len(x) > len(y)) for x, y in zip(a, b, strict=True)])
    given = Preferences(Rollouts(Text(["a"] * 300, a)), Rollouts(Text(["a"] * 300, b)), label)
    given = replace(given, a=replace(given.a, group=np.arange(300)), b=replace(given.b, group=np.arange(300)))
    longer = replace(FAST, epochs=12)
    found = train_two_heads(scorer(outputs=2), TOKENIZER, given, longer).held_out
    assert found["accuracy"] > 0.9 and found["length_correlation"] > 0.8
    assert abs(found["quality_length_correlation"]) < 0.5
    leaking = train_two_heads(scorer(outputs=2), TOKENIZER, given, longer, correlation=0.0, orthogonality=0.0).held_out
    assert abs(leaking["quality_length_correlation"]) > abs(found["quality_length_correlation"]) + 0.2


def test_two_heads_need_two_outputs() -> None:
    with pytest.raises(TrainingError, match="2 outputs"):
        train_two_heads(scorer(), TOKENIZER, pairs(4))


def test_the_average_of_equals_is_the_same() -> None:
    made = scorer()
    averaged = weight_average([made, copy.deepcopy(made), copy.deepcopy(made)])
    assert torch.equal(weights_of(averaged), weights_of(made))


def test_the_average_is_of_the_weights_and_leaves_them_alone() -> None:
    first, second = scorer(0), scorer(1)
    before = weights_of(first)
    averaged = weight_average([first, second])
    torch.testing.assert_close(weights_of(averaged), (before + weights_of(second)) / 2)
    assert torch.equal(weights_of(first), before)


def test_other_architectures_are_refused() -> None:
    with pytest.raises(TrainingError, match=r"scorer 1 has another architecture.*Ensemble"):
        weight_average([scorer(), scorer(width=48)])
    with pytest.raises(TrainingError, match="at least one"):
        weight_average([])


@pytest.mark.parametrize("wrong", [{"epochs": 0}, {"held_out": 1.0}, {"warmup": -0.1}, {"learning_rate": 0.0}])
def test_settings_are_checked(wrong: dict[str, Any]) -> None:
    with pytest.raises(TrainingError, match="must be positive"):
        FitSettings(**wrong)
