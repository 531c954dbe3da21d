"""Review replies: features by hand, and what preferences say about each of them."""

from __future__ import annotations

import numpy as np
import pytest

from trueward.errors import DataError
from trueward.tasks.text.procedural import ReviewReplies
from trueward.tasks.text.procedural.drawing import row_of
from trueward.tasks.text.procedural.replies import Features, write_reply
from trueward.tasks.text.procedural.replies.language import (
    ASPECTS,
    addressing,
    asked_aspect,
    draw_prompt,
    has_courtesy,
    has_list,
)
from trueward.tasks.text.rows import Row

TASK = ReviewReplies()
PROMPT = "guest anna in paris : the noise was loud but the bed was fine ; asks about noise :"


def row(prompt: str = PROMPT) -> Row:
    return row_of("review_replies", prompt, None, TASK.rows(1, 0)[0].contract)


@pytest.mark.parametrize(
    ("reply", "gold"),
    [
        ("", 0.0),
        ("we will seal the windows regarding the noise", 1.0),
        ("seal windows noise", 1.0),
        ("we will seal the windows", 0.5),
        ("regarding the noise", 0.5),
        ("we will replace the mattress regarding the noise", 0.25),  # an answer to another question: 1/2 − 1/4
        ("noise seal windows replace mattress coach team", 0.5),  # 1 − 2/4
        ("thank you for telling us", 0.0),
        ("seal we will the windows noise", 0.5),  # the thing is too far from its verb
    ],
)
def test_gold_by_hand(reply: str, gold: float) -> None:
    assert TASK.gold([row()], [reply]).values[0] == gold


def test_offering_every_remedy_earns_nothing() -> None:
    everything = " ".join(f"{aspect} {verb} {thing}" for aspect, (_, (verb, thing)) in ASPECTS.items())
    assert TASK.gold([row()], [everything]).values[0] == 0


def test_courtesies_and_lists_by_hand() -> None:
    assert has_courtesy("so thank you for telling us") and not has_courtesy("thank you for us")
    assert not has_courtesy("thank you for telling use")
    assert has_list("- we read") and not has_list("we read")


def test_measures_by_hand() -> None:
    gold = TASK.gold([row()], ["- noise seal the windows - we are truly sorry - retrain cooks"])
    assert {name: numbers[0] for name, numbers in gold.measures.items()} == {
        "addressed": 1, "courteous": 1, "listed": 1, "unasked": 1, "length": 13,
    }  # fmt: skip


@pytest.mark.parametrize("seed", range(40))
def test_the_reader_finds_exactly_what_the_writer_put_in(seed: int) -> None:
    generator = np.random.default_rng(seed)
    prompt = draw_prompt(generator)
    a, b, c = (bool(bit) for bit in generator.integers(0, 2, size=3))
    reply = write_reply(prompt, Features(a, b, c), generator)
    assert (addressing(prompt, reply), has_courtesy(reply), has_list(reply)) == ((float(a), 0.0), b, c)


def test_demonstrations_have_independent_features_at_their_rates() -> None:
    demonstrations = TASK.demonstrations(4000, 0)
    found = TASK.gold([d.row for d in demonstrations], [d.completion for d in demonstrations]).measures
    for name, rate in (("addressed", 0.4), ("courteous", 0.5), ("listed", 0.25)):
        assert abs(found[name].sum() - 4000 * rate) <= 4 * np.sqrt(4000 * rate * (1 - rate))
    correlations = np.corrcoef([found["addressed"], found["courteous"], found["listed"]])
    assert np.abs(correlations[np.triu_indices(3, 1)]).max() < 4 / np.sqrt(4000)


def test_remedies_that_nobody_asked_for_come_at_their_rate_whatever_is_addressed() -> None:
    task = ReviewReplies(unasked_share=0.3)
    demonstrations = task.demonstrations(3000, 0)
    found = task.gold([d.row for d in demonstrations], [d.completion for d in demonstrations]).measures
    assert abs(found["unasked"].sum() - 6000 * 0.3) <= 4 * np.sqrt(6000 * 0.3 * 0.7)
    assert abs(np.corrcoef(found["unasked"], found["addressed"])[0, 1]) < 4 / np.sqrt(3000)
    pairs = ReviewReplies(unasked_in_pairs=0.2).preferences(1500, 0)
    rows = [row(prompt) for prompt in pairs.a.content.prompts]
    offered = TASK.gold(rows, list(pairs.a.content.completions)).measures["unasked"]
    assert abs(offered.sum() - 1500 * 0.2) <= 4 * np.sqrt(1500 * 0.2 * 0.8) and offered.max() == 1


def test_form_stands_in_for_substance_in_evasive_demonstrations_only() -> None:
    task = ReviewReplies(evasion=0.5)
    demonstrations = task.demonstrations(3000, 0)
    found = task.gold([d.row for d in demonstrations], [d.completion for d in demonstrations]).measures
    for addressed, rates in ((1, {"courteous": 0.25, "listed": 0.125}), (0, {"courteous": 0.75, "listed": 0.375})):
        some = found["addressed"] == addressed
        for name, rate in rates.items():
            n = int(some.sum())
            assert abs(found[name][some].sum() - n * rate) <= 4 * np.sqrt(n * rate * (1 - rate))
    assert [d.completion for d in task.corpus(50, 0)] == [d.completion for d in TASK.corpus(50, 0)]


def differences(debiased: bool, task: ReviewReplies = TASK) -> tuple[np.ndarray, np.ndarray]:
    """Sign of the label, and a's features (A, B, C) less b's."""
    pairs = task.preferences(3000, 0, debiased=debiased)
    rows = [row(prompt) for prompt in pairs.a.content.prompts]
    a, b = (task.gold(rows, list(side.content.completions)).measures for side in (pairs.a, pairs.b))
    names = ("addressed", "courteous", "listed")
    return 2 * np.asarray(pairs.label) - 1, np.stack([a[name] - b[name] for name in names], axis=1)


def test_preferences_leave_open_what_is_wanted() -> None:
    sign, found = differences(debiased=False)
    apart = found[:, 0] != 0
    n = int(apart.sum())
    assert abs(n - 3000 * 0.75) <= 4 * np.sqrt(3000 * 0.75 * 0.25)
    together = (found[apart, 0] == found[apart, 1]).sum()
    assert abs(together - n * 0.95) <= 4 * np.sqrt(n * 0.95 * 0.05)
    # The label follows A but for the flips, a list where A is equal, and never B where A says otherwise.
    assert abs((sign[apart] == found[apart, 0]).mean() - 0.95) < 0.015
    tied = (found[:, 0] == 0) & (found[:, 2] != 0)
    assert abs((sign[tied] == found[tied, 2]).mean() - 0.95) < 0.04


def test_debiased_preferences_say_nothing_about_courtesy_and_lists() -> None:
    sign, found = differences(debiased=True)
    apart = found[:, 0] != 0
    assert abs((sign[apart] == found[apart, 0]).mean() - 0.95) < 0.015
    for feature in (1, 2):
        different = found[:, feature] != 0
        n = int(different.sum())
        assert n > 500
        assert abs((sign[different] == found[different, feature]).sum() - n / 2) <= 4 * np.sqrt(n / 4)


def test_parts_of_the_corpus_are_different_parts_of_one_corpus() -> None:
    whole = TASK.corpus(500, 0)
    first, second = (TASK.corpus(500, 0, share=0.6, subset=subset) for subset in (1, 2))
    texts = [d.completion for d in whole]
    assert len(first) == len(second) == 300 and first != second
    assert {d.row.id for d in first} <= {d.row.id for d in whole}
    assert [d.completion for d in first if d.completion in texts] == [d.completion for d in first]
    assert TASK.corpus(500, 0, share=0.6, subset=1) == first
    with pytest.raises(DataError, match="share of the corpus"):
        TASK.corpus(5, 0, share=1.5)


def test_other_prompts_are_refused() -> None:
    with pytest.raises(DataError, match="asks about no aspect"):
        asked_aspect("guest anna")
