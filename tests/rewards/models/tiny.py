"""Reward models small enough for a test, made from a configuration and saved as anybody would save one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

SENTENCE = "I do not know the answer is a b c d e f g h i j k l Question . ? :"
WORDS = ["[PAD]", "[UNK]", "</s>", *"0123456789", *SENTENCE.split()]
TEMPLATE = "{% for m in messages %}{{ m['role'][0] }} : {{ m['content'] }} </s> {% endfor %}"


def save_tokenizer(folder: Path, *, pad: str | None = "[PAD]", eos: str = "</s>", template: str | None = None) -> None:
    """Words and digits, split at spaces, digits and punctuation."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Whitespace(), pre_tokenizers.Digits(individual_digits=True)]
    )
    named = {} if pad is None else {"pad_token": pad}
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]", eos_token=eos, **named)
    fast.model_max_length = 512
    fast.chat_template = template
    fast.save_pretrained(folder)


def _settled(model: Any) -> Any:
    """Weights by a seed, and large enough that different texts have clearly different scores."""
    import torch

    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim > 1:
                weight.copy_(torch.randn(weight.shape, generator=generator) * (1.0 if "embed" in name else 0.3))
    return model.eval()


def save_llama(folder: Path, *, labels: int = 1, pad_id: int | None = 0, positions: int = 512, **config: Any) -> Path:
    """A decoder that reads its score at the last token."""
    from transformers import LlamaConfig, LlamaForSequenceClassification

    shape = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    made = LlamaConfig(
        vocab_size=len(WORDS),
        num_labels=labels,
        pad_token_id=pad_id,
        bos_token_id=None,
        eos_token_id=2,
        max_position_embeddings=positions,
        **shape,
        **config,
    )
    _settled(LlamaForSequenceClassification(made)).save_pretrained(folder)
    return folder


def save_bert(folder: Path, *, labels: int = 1, positions: int = 512) -> Path:
    """An encoder with absolute positions, which reads its score at the first token."""
    from transformers import BertConfig, BertForSequenceClassification

    made = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=positions,
        num_labels=labels,
        pad_token_id=0,
    )
    _settled(BertForSequenceClassification(made)).save_pretrained(folder)
    return folder


def llama(folder: Path, **settings: Any) -> Path:
    """A decoder with its tokenizer."""
    tokens = {key: settings.pop(key) for key in ("pad", "eos", "template") if key in settings}
    save_tokenizer(folder, **tokens)
    return save_llama(folder, **settings)


def bert(folder: Path, **settings: Any) -> Path:
    """An encoder with its tokenizer."""
    save_tokenizer(folder)
    return save_bert(folder, **settings)
