"""The pair builder: which pairs it makes, what it refuses, what it counts and remembers."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from trueward.batch import Denoising, Preferences, Rollouts, Text
from trueward.errors import TrainingError
from trueward.training.pairs import PairBuilder
from trueward.training.pairs_labelled import labelled_pairs, taken
from trueward.training.pairs_parts import (
    Candidates,
    best,
    differs,
    first_valid,
    judged_wrong,
    lowest,
    random_invalid,
    random_valid,
    rewritten,
)


def rollouts(prompts: str = "pppqqq", completions: str = "abcdef", **more: Any) -> Rollouts:
    numbers = {prompt: number for number, prompt in enumerate(dict.fromkeys(prompts))}
    return Rollouts(
        Text(list(prompts), list(completions)),
        group=np.array([numbers[prompt] for prompt in prompts]),
        reference=[{"answer": prompt.upper()} for prompt in prompts],
        **more,
    )


def texts(preferences: Preferences | None) -> list[tuple[str, str, str]]:
    assert preferences is not None
    a, b = preferences.a.content, preferences.b.content
    assert isinstance(a, Text) and isinstance(b, Text) and list(a.prompts) == list(b.prompts)
    return list(zip(a.prompts, a.completions, b.completions, strict=True))


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


SCORES = np.array([0.3, 0.9, 0.1, 0.5, 0.2, 0.4])
VALID = np.array([False, True, True, False, False, True])


@pytest.mark.parametrize(
    ("select", "negatives", "wanted"),
    [
        (first_valid, lowest, [("p", "b", "c"), ("q", "f", "e")]),
        (best, lowest, [("p", "b", "c"), ("q", "f", "e")]),
        (first_valid, random_invalid, [("p", "b", "a")]),
        (first_valid, rewritten(lambda text, found, generator: text + "!"), [("p", "b", "b!"), ("q", "f", "f!")]),
    ],
)
def test_pairs_by_hand(select: Any, negatives: Any, wanted: list[tuple[str, str, str]]) -> None:
    pairs, counts = PairBuilder(select, negatives).build(rollouts(), SCORES, VALID, rng())
    assert texts(pairs)[: len(wanted)] == wanted
    assert pairs is not None and pairs.label.tolist() == [1.0, 1.0]
    assert (counts.prompts, counts.valid, counts.valid_rate) == (2, 2, 1.0)
    assert pairs.a.reference[0] == {"answer": "P"} and pairs.a.group is not None and pairs.a.group.tolist() == [0, 1]


def test_without_a_rule_whatever_has_a_score_may_be_the_positive() -> None:
    scores = np.array([np.nan, 0.9, 0.1, 0.5, np.nan, np.nan])
    pairs, counts = PairBuilder(best, lowest).build(rollouts(), scores)
    assert texts(pairs) == [("p", "b", "c")]
    assert (counts.valid, counts.no_negative) == (1, 1)  # q has one score only


def test_random_choices_are_seeded_and_allowed() -> None:
    builds = [
        PairBuilder(random_valid, random_invalid).build(rollouts(), SCORES, VALID, rng(seed))[0] for seed in (1, 1)
    ]
    assert texts(builds[0]) == texts(builds[1])
    seen = {
        pair[1]
        for seed in range(20)
        for pair in texts(PairBuilder(random_valid, lowest).build(rollouts(), SCORES, VALID, rng(seed))[0])
    }
    assert seen == {"b", "c", "f"}


def test_a_prompt_without_a_positive_gives_no_pair() -> None:
    valid = np.array([False] * 3 + [True] * 3)
    pairs, counts = PairBuilder(first_valid, lowest).build(rollouts(), SCORES, valid, rng())
    assert texts(pairs) == [("q", "d", "e")]
    assert (counts.no_positive, counts.valid, counts.valid_rate) == (1, 1, 0.5)
    nothing, counts = PairBuilder(first_valid, lowest).build(rollouts(), SCORES, np.zeros(6, dtype=bool), rng())
    assert nothing is None and counts.no_positive == 2


def test_a_refused_negative_is_tried_again_up_to_three_times() -> None:
    said = iter(["right", "right", "wrong", "right", "right", "right", "wrong"])
    builder = PairBuilder(
        first_valid,
        rewritten(lambda text, found, generator: next(said)),
        judged_wrong(lambda completion, reference: completion == "right"),
    )
    pairs, counts = builder.build(rollouts(), SCORES, VALID, rng())
    assert texts(pairs) == [("p", "b", "wrong")]
    assert (counts.attempts, counts.valid, counts.refused) == (6, 1, 1)


def test_a_judge_sees_the_reference() -> None:
    """A negative that is right by the reference is refused although it differs from the positive."""
    right = judged_wrong(lambda completion, reference: completion == reference["answer"])
    found = Candidates("p", ["b"], np.ones(1), np.ones(1, dtype=bool), np.ones(1, dtype=bool), {"answer": "P"})
    assert not right(found, 0, "P") and not right(found, 0, "b") and right(found, 0, "c")
    assert differs(found, 0, "P")


def test_a_margin_is_kept() -> None:
    """p has .9 against .1, q .4 against .2."""
    pairs, counts = PairBuilder(first_valid, lowest, least_margin=0.5).build(rollouts(), SCORES, VALID, rng())
    assert texts(pairs) == [("p", "b", "c")] and counts.refused == 1


def test_no_pair_comes_twice() -> None:
    """Two prompts that are spelt alike, and the same rollouts again while they are remembered."""
    builder = PairBuilder(first_valid, lowest, capacity=8)
    twice = Rollouts(Text(["p"] * 4, ["a", "b", "a", "b"]), group=np.array([0, 0, 1, 1]))
    scores = np.array([1.0, 0.0, 1.0, 0.0])
    pairs, counts = builder.build(twice, scores)
    assert len(texts(pairs)) == 1 and (counts.valid, counts.duplicates, counts.valid_rate) == (1, 1, 1.0)
    again, counts = builder.build(twice, scores)
    assert again is None and counts.duplicates == 2


def test_too_few_new_pairs_are_filled_up_from_the_buffer() -> None:
    """When the policy is hacked there is no positive left: learning goes on with what was valid before."""
    builder = PairBuilder(first_valid, lowest, capacity=8, least=2)
    first, counts = builder.build(rollouts(), SCORES, VALID, rng())
    assert counts.replayed == 0
    filled, counts = builder.build(rollouts("rrr", "xyz"), SCORES[:3], np.zeros(3, dtype=bool), rng())
    assert sorted(texts(filled)) == sorted(texts(first)) and (counts.valid, counts.replayed) == (0, 2)
    half, counts = builder.build(rollouts("rrr", "xyz"), SCORES[:3], VALID[:3], rng())
    assert texts(half)[0] == ("r", "y", "z") and (counts.valid, counts.replayed) == (1, 1)


def test_the_buffer_keeps_the_most_recent() -> None:
    builder = PairBuilder(first_valid, lowest, capacity=1, least=5)
    builder.build(rollouts(), SCORES, VALID, rng())
    filled, counts = builder.build(rollouts("r", "x"), SCORES[:1], np.zeros(1, dtype=bool), rng())
    assert texts(filled) == [("q", "f", "e")] and counts.replayed == 1


def test_the_buffer_is_saved_and_restored() -> None:
    builder = PairBuilder(first_valid, lowest, capacity=8, least=2)
    builder.build(rollouts(), SCORES, VALID, rng())
    other = PairBuilder(first_valid, lowest, capacity=8, least=2)
    other.load_state_dict(json.loads(json.dumps(builder.state_dict())))
    none = np.zeros(3, dtype=bool)
    built = [one.build(rollouts("rrr", "xyz"), SCORES[:3], none, rng(4))[0] for one in (builder, other)]
    assert texts(built[0]) == texts(built[1])
    assert built[0] is not None and built[1] is not None
    np.testing.assert_array_equal(built[0].id, built[1].id)


def test_numbers_of_pairs_are_stable() -> None:
    """The same pair has the same number in any build; another pair has another."""
    ids = [PairBuilder(first_valid, lowest).build(rollouts(), SCORES, VALID)[0] for _ in range(2)]
    assert ids[0] is not None and ids[1] is not None and ids[0].id is not None
    np.testing.assert_array_equal(ids[0].id, ids[1].id)
    assert len(set(ids[0].id.tolist())) == 2 and (ids[0].id >= 0).all()


def test_what_was_cut_off_stays_known() -> None:
    """A rewritten text ends as its positive did; another rollout as it did itself."""
    finished = np.array([True, False, True, True, True, False])
    given = rollouts(features={"finished": finished})
    pairs, _ = PairBuilder(first_valid, lowest).build(given, SCORES, VALID)
    assert pairs is not None
    assert pairs.a.features["finished"].tolist() == [False, False]
    assert pairs.b.features["finished"].tolist() == [True, True]
    written, _ = PairBuilder(first_valid, rewritten(lambda text, found, generator: "z")).build(given, SCORES, VALID)
    assert written is not None and written.b.features["finished"].tolist() == [False, False]


def test_labels_follow_scores() -> None:
    found = labelled_pairs(rollouts(), SCORES, 200, rng())
    by_text = dict(zip("abcdef", SCORES, strict=True))
    for (_, a, b), label in zip(texts(found), found.label, strict=True):
        assert by_text[a] != by_text[b] and label == float(by_text[a] > by_text[b])
    assert {prompt for prompt, _, _ in texts(found)} == {"p", "q"}
    assert 60 < found.label.sum() < 140  # either side may be the better one


def test_a_share_of_labels_is_turned_exactly() -> None:
    straight, turned = (labelled_pairs(rollouts(), SCORES, 200, rng(), flip=flip) for flip in (0.0, 0.15))
    assert texts(straight) == texts(turned)
    assert int((straight.label != turned.label).sum()) == 30


def test_ties_and_failures_are_no_pairs() -> None:
    scores = np.array([0.5, 0.5, np.nan, 0.1, 0.2, np.nan])
    assert {prompt for prompt, _, _ in texts(labelled_pairs(rollouts(), scores, 50, rng()))} == {"q"}
    with pytest.raises(TrainingError, match="none of 2 prompts"):
        labelled_pairs(rollouts(), np.full(6, 0.5), 5, rng())


def test_rows_are_taken_with_everything_that_belongs_to_them() -> None:
    given = Rollouts(
        Text(["p", "q"], ["a", "b"], np.array([[1, 2], [3, 4]]), np.array([[True, True], [False, True]])),
        mask=np.array([[True], [True]]),
        features={"finished": np.array([True, False])},
        reference=[{"answer": 1}, {"answer": 2}],
    )
    found = taken(given, np.array([1, 1, 0]))
    content = found.content
    assert isinstance(content, Text) and content.token_ids is not None and content.attention is not None
    assert content.completions == ["b", "b", "a"] and content.token_ids.tolist() == [[3, 4], [3, 4], [1, 2]]
    assert content.attention[0].tolist() == [False, True]
    assert found.features["finished"].tolist() == [False, False, True]
    assert [row["answer"] for row in found.reference] == [2, 2, 1]
    assert found.group is not None and found.group.tolist() == [1, 1, 0]


def test_other_content_and_wrong_numbers_are_refused() -> None:
    with pytest.raises(TrainingError, match="Denoising"):
        PairBuilder(best, lowest).build(Rollouts(Denoising(["p"], np.zeros((1, 1, 1)))), np.ones(1))
    with pytest.raises(TrainingError, match="attempts=0"):
        PairBuilder(best, lowest, attempts=0)
    with pytest.raises(TrainingError, match="flip"):
        labelled_pairs(rollouts(), SCORES, 1, rng(), flip=2.0)
