"""Tokenizers of procedural tasks: one token per word, or one per character."""

from __future__ import annotations

from typing import Any

from trueward.tasks.text.vocabulary import BEGIN, END, PADDING, SPECIAL, Vocabulary


def tokenizer_of(vocabulary: Vocabulary) -> Any:
    """A Hugging Face tokenizer with exactly the tokens of a vocabulary.

    Ids: 0 padding, 1 beginning of text, 2 end of text, then the vocabulary in its order. A text encoded with special
    tokens begins with the beginning of text, so that no prompt is empty; decoding gives back what was encoded. There is
    no token for unknown words: encoding one raises.

    Returns:
        A `PreTrainedTokenizerFast` that pads on the left.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    ids = {token: number for number, token in enumerate((*SPECIAL, *vocabulary.tokens))}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token=""))
    if vocabulary.kind == "words":
        tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "removed")
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
        tokenizer.decoder = decoders.Fuse()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BEGIN} $A", pair=f"{BEGIN} $A $B", special_tokens=[(BEGIN, ids[BEGIN])]
    )
    fast: Any = PreTrainedTokenizerFast
    return fast(
        tokenizer_object=tokenizer,
        pad_token=PADDING,
        bos_token=BEGIN,
        eos_token=END,
        padding_side="left",
        clean_up_tokenization_spaces=False,
        # What merely spells a special token is text.
        split_special_tokens=True,
    )
