"""The probability of "yes" out of top log-probabilities, by hand, and what other readers of them get wrong."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueward.rewards.models.yes_no import YesNo, first_tokens, folded


def logs(**probabilities):
    return {token: math.log(value) for token, value in probabilities.items()}


def test_two_words_by_hand():
    assert YesNo().probability({"yes": math.log(0.6), "no": math.log(0.2)}) == pytest.approx(0.75)


def test_every_spelling_counts():
    tokens = {" Yes": 0.3, "YES": 0.1, "\u0120yes": 0.1, "\u2581yes.": 0.1, "No": 0.15, "\nno": 0.05}
    found = YesNo().probability({token: math.log(value) for token, value in tokens.items()})
    assert found == pytest.approx(0.6 / 0.8)


@pytest.mark.parametrize("token", ["not", "none", "yesterday", "nope", "ye", "", "  ", "\u0120"])
def test_other_words_do_not_count(token):
    tokens = {token: math.log(0.4), "yes": math.log(0.3), "no": math.log(0.3)}
    assert YesNo(least_mass=0.1).probability(tokens) == pytest.approx(0.5)


def test_another_answer_is_no_answer():
    """Read as p = 0 it would be the best reward of "1 − p", for any image that makes the judge say something else."""
    tokens = {"Sure": math.log(0.9), "The": math.log(0.08), "no": math.log(0.01)}
    assert math.isnan(YesNo().probability(tokens))
    assert math.isnan(YesNo().probability({})) and math.isnan(YesNo(least_mass=0.0).probability({"Sure": -0.1}))


def test_a_missing_word_is_bounded():
    # "no" has at most min(.02, 1 − .93) = .02 of .92: p lies in [.9/.92, 1], whose middle is 1 − .01/.92.
    sure = {"yes": math.log(0.9), "Maybe": math.log(0.02)}
    assert YesNo().probability(sure) == pytest.approx(1 - 0.01 / 0.92)
    swapped = {"no": math.log(0.9), "Maybe": math.log(0.02)}
    assert YesNo().probability(swapped) == pytest.approx(0.01 / 0.92)
    # Here it may have .2: p in [.75, 1] says too little.
    doubtful = {"yes": math.log(0.6), "Maybe": math.log(0.2)}
    assert math.isnan(YesNo().probability(doubtful))
    assert YesNo(doubt=0.3).probability(doubtful) == pytest.approx(1 - 0.2 / 0.8 / 2)


def test_what_is_left_over_bounds_too():
    # The least probable listed token has .3, but only .05 is left for a token that is not listed.
    tokens = {"yes": math.log(0.65), "Maybe": math.log(0.3)}
    assert YesNo(doubt=0.1).probability(tokens) == pytest.approx(1 - 0.05 / 0.7 / 2)


def test_numbers_that_are_none_are_absent():
    assert math.isnan(YesNo().probability({"yes": math.nan, "no": -math.inf}))
    assert YesNo().probability({"yes": math.log(0.5), "no": math.log(0.5), "x": math.nan}) == pytest.approx(0.5)


@given(st.floats(0.51, 0.99), st.floats(0.001, 0.999))
def test_swapping_the_words_turns_the_answer_round(mass, share):
    tokens = {"yes": math.log(mass * share), "no": math.log(mass * (1 - share))}
    turned = {"no": tokens["yes"], "yes": tokens["no"]}
    assert YesNo().probability(tokens) + YesNo().probability(turned) == pytest.approx(1.0)


def test_other_languages():
    assert YesNo(yes=("ja",), no=("nein",)).probability(logs(Ja=0.4, Nein=0.4)) == pytest.approx(0.5)
    with pytest.raises(ValueError, match="none of them on both"):
        YesNo(yes=("yes",), no=("Yes.",))
    with pytest.raises(ValueError, match=r"in \[0, 1\]"):
        YesNo(doubt=2.0)


def test_folded_is_idempotent():
    for token in ("**Yes!**", "\u2581No\n", "don't", "ＹＥＳ"):
        assert folded(folded(token)) == folded(token)
    assert folded("ＹＥＳ") == "yes" and folded("don't") == "don't"


def test_chat_and_completions():
    listed = [{"token": "Yes", "logprob": -0.2}, {"token": "No", "logprob": -1.8}]
    chat = {"choices": [{"logprobs": {"content": [{"token": "Hm", "logprob": -9.0, "top_logprobs": listed}]}}]}
    assert first_tokens(chat) == {"Yes": -0.2, "No": -1.8, "Hm": -9.0}
    old = {"choices": [{"logprobs": {"tokens": [" yes"], "token_logprobs": [-0.1], "top_logprobs": [{" no": -2.5}]}}]}
    assert first_tokens(old) == {" yes": -0.1, " no": -2.5}


@pytest.mark.parametrize(
    "response", [None, {}, {"choices": []}, {"choices": [{"logprobs": None}]},
                 {"choices": [{"logprobs": {"content": []}}]},
                 {"choices": [{"message": {"content": "yes"}}]}, "text", {"choices": [{"logprobs": {"content": [7]}}]}],
)  # fmt: skip
def test_answers_without_log_probabilities_say_what_to_ask_for(response):
    with pytest.raises(ValueError, match="logprobs=true, top_logprobs=10"):
        first_tokens(response)
