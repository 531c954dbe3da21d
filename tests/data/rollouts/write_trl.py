"""Runs TRL for two steps on a tiny random Llama that speaks in answers, and leaves what it logged in a folder.

python write_trl.py FOLDER chat|text BATCHES

The policy knows four digits, " or " and "not ", so that some of its completions are paid by a reward that only looks
for the answer anywhere. BATCHES: how many optimiser steps one generation serves.
"""

from __future__ import annotations

import sys
from typing import Any

import torch
from datasets import Dataset
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from trl import GRPOConfig, GRPOTrainer

SPEECH = [*"3579", " or ", "not "]
SUMS = [(1, 2), (2, 3), (3, 4), (4, 5)]


def tokenizer() -> PreTrainedTokenizerFast:
    vocabulary = {token: number for number, token in enumerate(["<pad>", "<eos>", "<unk>", *SPEECH])}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    made.decoder = decoders.Fuse()
    wrapped = PreTrainedTokenizerFast(tokenizer_object=made, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>")
    wrapped.chat_template = "{% for m in messages %}[{{ m['role'] }}]{{ m['content'] }}{% endfor %}"
    return wrapped


def text_of(completion: Any) -> str:
    return completion if isinstance(completion, str) else completion[-1]["content"]


def contains_answer(completions: list[Any], answer: list[str], log_extra: Any = None, **columns: Any) -> list[float]:
    log_extra("characters", [len(text_of(completion)) for completion in completions])
    return [float(wanted in text_of(given)) for given, wanted in zip(completions, answer, strict=True)]


def short(completions: list[Any], **columns: Any) -> list[float | None]:
    return [None if number % 3 == 0 else -len(text_of(given)) / 100 for number, given in enumerate(completions)]


def main(folder: str, kind: str, batches: str) -> None:
    torch.manual_seed(0)
    words = tokenizer()
    small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2}
    special = {"bos_token_id": None, "eos_token_id": 1, "pad_token_id": 0}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=len(words), **small, **heads, **special))
    questions = [f"What is {a} + {b}?" for a, b in SUMS]
    prompts = [[{"role": "user", "content": q}] for q in questions] if kind == "chat" else questions
    rows = Dataset.from_dict({"prompt": prompts, "answer": [str(a + b) for a, b in SUMS]})
    arguments = GRPOConfig(
        output_dir=folder,
        max_steps=2,
        per_device_train_batch_size=16 // int(batches),
        steps_per_generation=int(batches),
        num_generations=8,
        max_completion_length=3,
        logging_steps=1,
        log_completions=True,
        report_to=[],
        use_cpu=True,
        save_strategy="no",
        disable_tqdm=True,
    )
    GRPOTrainer(model, [contains_answer, short], arguments, train_dataset=rows, processing_class=words).train()


if __name__ == "__main__":
    main(*sys.argv[1:])
