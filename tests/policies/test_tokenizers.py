"""Tokenizers made from a vocabulary: what is encoded comes back."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueward.errors import TrainingError
from trueward.policies.prompts import encode, prompt_ids
from trueward.policies.tokenizers import tokenizer_of
from trueward.tasks.text.vocabulary import Vocabulary

WORDS = Vocabulary("words", ("1", "12", "=", "\n", "ok", "é"))
CHARACTERS = Vocabulary("characters", tuple("ab 1\n<>eos/é"))
OF_WORDS = tokenizer_of(WORDS)
OF_CHARACTERS = tokenizer_of(CHARACTERS)


def test_ids_are_the_order_of_the_vocabulary_after_the_special_ones() -> None:
    assert encode(OF_WORDS, ["12 = \n", ""]) == [[4, 5, 6], []]
    assert prompt_ids(OF_WORDS, ["12 =", ""]) == [[1, 4, 5], [1]]
    assert (OF_WORDS.pad_token_id, OF_WORDS.bos_token_id, OF_WORDS.eos_token_id) == (0, 1, 2)
    assert len(OF_WORDS) == len(WORDS) + 3


@given(st.lists(st.sampled_from(WORDS.tokens)))
def test_words_come_back(tokens: list[str]) -> None:
    text = " ".join(tokens)
    (ids,) = encode(OF_WORDS, [text])
    assert len(ids) == len(tokens)
    assert OF_WORDS.decode(ids) == text


@given(st.text(st.sampled_from(CHARACTERS.tokens)))
def test_characters_come_back_even_where_they_spell_a_special_token(text: str) -> None:
    for written in (text, f"{text}<eos>"):
        (ids,) = encode(OF_CHARACTERS, [written])
        assert len(ids) == len(written)
        assert OF_CHARACTERS.decode(ids) == written
        assert OF_CHARACTERS.decode([1, *ids, 2, 0], skip_special_tokens=True) == written


def test_a_saved_tokenizer_is_the_same(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    OF_CHARACTERS.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    text = "a<eos> b\n1é"
    assert prompt_ids(again, [text]) == prompt_ids(OF_CHARACTERS, [text])
    assert again.decode(encode(again, [text])[0]) == text
    assert again.padding_side == "left"


def test_an_unknown_word_is_named() -> None:
    with pytest.raises(TrainingError, match="'12 = 3' holds what the tokenizer has no token for"):
        encode(OF_WORDS, ["12 =", "12 = 3"])


def test_messages_go_through_the_chat_template() -> None:
    tokenizer = tokenizer_of(WORDS)
    messages = [{"role": "user", "content": "1 ="}]
    with pytest.raises(TrainingError, match="no chat template"):
        prompt_ids(tokenizer, [messages])
    tokenizer.chat_template = (
        "{% for message in messages %}ok {{ message.content }}{% endfor %}{% if add_generation_prompt %} \n{% endif %}"
    )
    assert prompt_ids(tokenizer, ["1", messages, "12"]) == [[1, 3], [7, 3, 5, 6], [1, 4]]
