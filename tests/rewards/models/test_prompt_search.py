"""The search for instructions, offline: a judge by rule that reads descriptors, and a scripted critic."""

from __future__ import annotations

import math

import numpy as np
import pytest

from trueward.errors import TrainingError
from trueward.rewards.models.prompt_search import (
    INSTRUCTION,
    Mistake,
    SearchSettings,
    WrittenCritic,
    asks_for_yes_or_no,
    assessed,
    prompt_search,
    validated,
)

PLANTED = {"oversaturated", "doubled", "torn", "speckled"}
# What deliberate style looks like: clean images show it too, so that asking for it does harm.
STYLE = {"vivid", "grainy", "tilted"}
SEED = f"Is there anything unrealistic in the image? {INSTRUCTION}"


def described(instruction):
    words = {word.strip(".,:;?").casefold() for word in instruction.split()}
    return words & (PLANTED | STYLE)


def judge(instruction, items):
    """YES where the item shows something that the instruction names."""
    if not asks_for_yes_or_no(instruction):
        return np.full(len(items), np.nan)
    return np.array([0.9 if described(instruction) & item else 0.1 for item in items])


class Scripted:
    """A critic by rule: it names what it sees in images that were missed, planted or not, and drops what misled."""

    def __init__(self, seed=0, forgetful=False):
        self.generator, self.forgetful = np.random.default_rng(seed), forgetful

    def reason(self, instruction, mistakes):
        missed = [word for one in mistakes if one.label == 1 for word in sorted(one.item - described(instruction))]
        misled = [word for one in mistakes if one.label == 0 for word in sorted(one.item & described(instruction))]
        words = [f"-{word}" for word in misled] or [f"+{word}" for word in missed]
        return words[self.generator.integers(len(words))] if words else ""

    def rewrite(self, instruction, mistakes, reason):
        words = described(instruction)
        words = words - {reason[1:]} if reason.startswith("-") else words | {reason[1:]}
        return self.told(sorted(words))

    def paraphrase(self, instruction):
        words = sorted(described(instruction), reverse=True)
        return self.told(words)

    def told(self, words):
        return f"Look for {', '.join(words)}." + ("" if self.forgetful else f" {INSTRUCTION}")


def data(count, seed):
    generator = np.random.default_rng(seed)
    items, labels = [], []
    for place in range(count):
        shown = {word for word in sorted(STYLE) if generator.random() < 0.3}
        if place % 2:
            shown |= {sorted(PLANTED)[generator.integers(len(PLANTED))]}
        items.append(frozenset(shown))
        labels.append(place % 2)
    return items, np.array(labels)


@pytest.mark.parametrize("seed", range(4))
def test_the_planted_descriptors_are_found_and_nothing_else(seed):
    items, labels = data(200, seed)
    found = prompt_search(
        judge, Scripted(seed), items, labels, SEED, settings=SearchSettings(seed=seed), held_out=data(100, 100 + seed)
    )
    assert described(found.best.instruction) == PLANTED
    assert found.best.likelihood == pytest.approx(math.log(0.9)) and found.best.accuracy == 1.0
    assert found.held_out.accuracy == 1.0 and found.held_out.abstained == 0
    likelihoods = [one.likelihood for one in found.history]
    assert likelihoods == sorted(likelihoods) and len(likelihoods) == 7
    assert likelihoods[0] == pytest.approx((math.log(0.1) + math.log(0.9)) / 2)
    assert [one.likelihood for one in found.beam] == sorted((one.likelihood for one in found.beam), reverse=True)


def test_labels_that_mean_nothing_find_nothing():
    """The control: what is found on shuffled labels does not hold on others."""
    items, labels = data(200, 0)
    shuffled = np.random.default_rng(5).permutation(labels)
    found = prompt_search(judge, Scripted(0), items, shuffled, SEED, held_out=data(200, 7))
    assert found.best.accuracy < 0.7
    assert described(found.best.instruction) != PLANTED


def test_a_critic_that_drops_the_answer_format_is_mended():
    items, labels = data(200, 1)
    found = prompt_search(judge, Scripted(1, forgetful=True), items, labels, SEED)
    assert described(found.best.instruction) == PLANTED and found.best.abstained == 0
    assert found.mended > 0 and all(INSTRUCTION in one.instruction for one in found.beam)


def test_a_critic_that_writes_nothing_leaves_the_first_instruction():
    class Silent(Scripted):
        def rewrite(self, instruction, mistakes, reason):
            return "   "

    items, labels = data(40, 2)
    found = prompt_search(judge, Silent(), items, labels, SEED, settings=SearchSettings(rounds=2, gradients=3))
    assert found.best.instruction == SEED and found.refused == 6 and found.judged == 40


def test_each_instruction_is_asked_about_each_item_once():
    asked = []

    def counted(instruction, items):
        asked.append(instruction)
        return judge(instruction, items)

    items, labels = data(50, 3)
    settings = SearchSettings(rounds=3, expansions=2, beam=2)
    found = prompt_search(counted, Scripted(3), items, labels, SEED, settings=settings)
    assert len(asked) == len(set(asked)) and found.judged == 50 * len(asked)
    # The first instruction, then at most two new ones out of each of at most two.
    assert len(asked) <= 1 + 2 + 4 + 4 and len(found.beam) <= 2


def test_likelihood_by_hand():
    # ln .8, ln(1 − .3), and no answer, which is ln .001; right, right, wrong.
    found = assessed("?", np.array([0.8, 0.3, np.nan]), np.array([1, 0, 1]))
    assert found.likelihood == pytest.approx((math.log(0.8) + math.log(0.7) + math.log(0.001)) / 3)
    assert found.accuracy == pytest.approx(2 / 3) and found.abstained == 1


def test_no_answer_is_never_better_than_a_wrong_one():
    labels = np.array([1, 0])
    silent, wrong = (assessed("?", np.array(p), labels) for p in ([np.nan, np.nan], [0.0, 1.0]))
    assert silent.likelihood <= wrong.likelihood and silent.accuracy <= wrong.accuracy


def test_candidates_are_validated():
    assert validated("Look. YES or NO?") == "Look. YES or NO?"
    assert validated("Look for tears.") == f"Look for tears.\n{INSTRUCTION}"
    assert validated('```text\n"Look: yes, no?"\n```') == "Look: yes, no?"
    assert validated("Do you know yesterday?") == f"Do you know yesterday?\n{INSTRUCTION}"
    assert [validated(text) for text in ("", " \n", None, 7, "a" * 7000)] == [None] * 5


def test_a_written_critic_is_told_of_mistakes_and_shown_their_items():
    asked = []

    def ask(message, items):
        asked.append((message, items))
        return f"answer {len(asked)}"

    critic, mistakes = WrittenCritic(ask), [Mistake("image a", 1, 0.25), Mistake("image b", 0, math.nan)]
    reason = critic.reason("Look {here}.", mistakes)
    rewritten = critic.rewrite("Look {here}.", mistakes, reason)
    assert critic.paraphrase(rewritten) == "answer 3"
    assert [items for _, items in asked] == [["image a", "image b"]] * 2 + [[]]
    assert "Look {here}." in asked[0][0] and "Image 1: right is YES; the judge said YES with p = 0.25." in asked[0][0]
    assert "Image 2: right is NO; the judge gave no readable answer." in asked[1][0] and "answer 1" in asked[1][0]
    assert "answer 2" in asked[2][0] and all("YES or NO" in message for message, _ in asked[1:])


def test_what_cannot_be_searched_is_refused():
    items, labels = data(10, 0)
    with pytest.raises(TrainingError, match="10 items with labels of shape"):
        prompt_search(judge, Scripted(), items, labels[:9], SEED)
    with pytest.raises(TrainingError, match="a label of 0 or 1"):
        prompt_search(judge, Scripted(), items, labels * 2, SEED)
    with pytest.raises(TrainingError, match="first instruction ''"):
        prompt_search(judge, Scripted(), items, labels, "")
    with pytest.raises(TrainingError, match="numbers of shape"):
        prompt_search(lambda instruction, items: np.zeros(3), Scripted(), items, labels, SEED)
    with pytest.raises(TrainingError, match="beam=0"):
        SearchSettings(beam=0)
