"""Prompts and completions as token ids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trueward.errors import TrainingError
from trueward.tasks.text.rows import Prompt


def prompt_ids(tokenizer: Any, prompts: Sequence[Prompt]) -> list[list[int]]:
    """Token ids of each prompt, with the special tokens that the tokenizer puts before a text.

    Chat messages go through the tokenizer's chat template, up to where the assistant's turn begins.

    Raises:
        TrainingError: messages without a chat template, a prompt of no tokens, a word that the tokenizer lacks.
    """
    texts = [prompt for prompt in prompts if isinstance(prompt, str)]
    encoded = iter(encode(tokenizer, texts, special=True))
    found = [next(encoded) if isinstance(prompt, str) else _chat_ids(tokenizer, prompt) for prompt in prompts]
    begin = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    for number, ids in enumerate(found):
        if not ids and begin is None:
            raise TrainingError(
                f"prompt {number} is {prompts[number]!r}, which is no token, and the tokenizer has no special token to "
                "begin a text with: give every prompt some text"
            )
    return [ids or [begin] for ids in found]


def encode(tokenizer: Any, texts: Sequence[str], *, special: bool = False) -> list[list[int]]:
    """Token ids of each text, by default without special tokens: as it stands inside a longer text.

    Raises:
        TrainingError: a text holds what the tokenizer has no token for.
    """
    if not texts:
        return []
    try:
        return [list(ids) for ids in tokenizer(list(texts), add_special_tokens=special)["input_ids"]]
    except Exception as error:
        # The tokenizers library raises bare exceptions, and does not say on which text.
        for text in texts:
            try:
                tokenizer(text, add_special_tokens=special)
            except Exception:
                raise TrainingError(
                    f"{text!r} holds what the tokenizer has no token for ({error}); the text must be written in the "
                    "vocabulary that the tokenizer was made from"
                ) from error
        raise


def _chat_ids(tokenizer: Any, messages: Prompt) -> list[int]:
    if not tokenizer.chat_template:
        raise TrainingError(
            "the prompts are chat messages, but the tokenizer has no chat template: give text, or set "
            "tokenizer.chat_template"
        )
    text = tokenizer.apply_chat_template(list(messages), add_generation_prompt=True, tokenize=False)
    return encode(tokenizer, [text])[0]
