"""Hugging Face sequence classifiers as rewards: `hf:PATH`.

The score of a row is what the model's own forward pass gives for that row alone, without padding:

    one output, a regression, or independent labels    z_k
    one of several labels                              z_k − log Σ_{j≠k} exp z_j     (the log-odds of label k)

with z the logits in float64 and k the `positive` label. Log-odds keep telling completions apart where a probability has
rounded to 1. Batches only make it faster: rows are sorted by length, padded on the right with the id that the model's
head looks for, and the scores are put back in order.

Weights are safetensors, code is never taken from the model's folder, and what would be scored by weights that the files
do not hold (a language model without a head) is refused. torch and transformers are imported with the first row.

Reference: Hugging Face Transformers, `modeling_layers.py`, `GenericForSequenceClassification.forward` (the score is
read at the last token that is not `config.pad_token_id`).
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from trueward.errors import RewardError
from trueward.policies.model_files import memory_mb, model_folder
from trueward.rewards.locate import require
from trueward.rewards.references import messages_of, text_of
from trueward.rewards.runner.types import Demands, Item
from trueward.status import Status

_DTYPES = {"float32": 4, "bfloat16": 2, "float16": 2}
# Share of the width of rewards that the order of additions may move a score by.
_NOISE = {"float32": 1e-4, "bfloat16": 2e-2, "float16": 2e-3}
_BATCHES_A_CALL = 4  # so that sorting by length saves padding
_MOST_TOKENS = 8192  # for models that declare no limit
_MORE = 16  # tokens of padding added to see whether padding matters

_models: weakref.WeakValueDictionary[tuple[str, str, str], _Model] = weakref.WeakValueDictionary()
_loading = threading.Lock()


@dataclass(frozen=True)
class Options:
    """How rows are turned into the model's input.

    Attributes:
        max_length: most tokens of prompt and completion together; None for what the model can take. A longer row has no
            score: nothing is cut off.
        batch_size: rows of a forward pass.
        dtype: "float32", "bfloat16" or "float16".
        device: as torch names it.
        positive: the label whose log-odds are the reward; None for the only output, or label 1 of two.
        separator: text between prompt and completion where the tokenizer has no chat template; None to give them as the
            two segments of a pair.
        padding_side: "right" or "left".
        extra_padding: tokens of padding beyond the longest row of a batch.
        revision: branch, tag or commit of a model in the hub.
    """

    max_length: int | None = None
    batch_size: int = 8
    dtype: str = "float32"
    device: str = "cpu"
    positive: int | None = None
    separator: str | None = "\n"
    padding_side: str = "right"
    extra_padding: int = 0
    revision: str | None = None


@dataclass
class SequenceClassifier:
    """A reward model that gives one number for prompt and completion.

    Attributes:
        path: folder of the model, or its name in the Hugging Face hub.
        folder: where its files lie.
        options: how rows are given to it.
    """

    path: str
    folder: Path
    options: Options
    kind: str = field(default="model", init=False)
    needs: tuple[str, ...] = field(default=(), init=False)
    takes: tuple[str, ...] | None = field(default=(), init=False)
    containers: tuple[str, ...] = field(default=("text",), init=False)
    stand_ins: tuple[str, ...] = field(default=(), init=False)
    _model: _Model | None = field(default=None, init=False, repr=False)

    @property
    def name(self) -> str:
        """Last part of the path."""
        return Path(self.path).name or self.path

    @property
    def address(self) -> str:
        """The address that makes this reward again."""
        changed = [(f.name, getattr(self.options, f.name)) for f in fields(Options)]
        told = ", ".join(f"{name}={given!r}" for name, given in changed if given != getattr(Options(), name))
        return f"hf:{self.path}({told})" if told else f"hf:{self.path}"

    @property
    def demands(self) -> Demands:
        """Batches, one worker, memory for the weights, and the same model on rows padded otherwise."""
        other = "left" if self.options.padding_side == "right" else "right"
        longer, turned = (
            replace(self, options=replace(self.options, **changes)).address
            for changes in ({"extra_padding": self.options.extra_padding + _MORE}, {"padding_side": other})
        )
        return Demands(
            batch=_BATCHES_A_CALL * self.options.batch_size,
            most_workers=1,
            weights_mb=self._weights_mb,
            noise=_NOISE[self.options.dtype],
            paddings={f"{_MORE} tokens more padding": longer, f"padding on the {other}": turned},
        )

    @cached_property
    def _weights_mb(self) -> float:
        return memory_mb(self.folder, _DTYPES[self.options.dtype], error=RewardError)

    def prepare(self) -> None:
        """Load the model in a process of its own, where it may use every core.

        Raises:
            RewardError: it cannot be loaded, or is no reward model.
        """
        import torch

        torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1))
        self._loaded()

    def _loaded(self) -> _Model:
        if self._model is None:
            key = (str(self.folder), self.options.dtype, self.options.device)
            with _loading:
                self._model = _models.get(key)
                if self._model is None:
                    self._model = _Model(self.path, self.folder, self.options.dtype, self.options.device)
                    _models[key] = self._model
            self._model.check(self.options)
        return self._model

    def score_rows(self, rows: Sequence[Item]) -> list[object]:
        """The score of each row, whatever rows are beside it.

        Returns:
            N numbers; `UNPARSABLE` for a completion that makes its row too long, `ABSTAINED` for a prompt that leaves
            no room for any, and for a row without a token.

        Raises:
            RewardError: the model cannot be loaded, or is no reward model.
        """
        model = self._loaded()
        most = model.most_tokens(self.options)
        scores: list[object] = [None] * len(rows)
        encoded: dict[int, dict[str, list[int]]] = {}
        for place, row in enumerate(rows):
            one = model.encode(row.prompt, text_of(row.completion), self.options.separator)
            if not one["input_ids"]:
                scores[place] = (Status.ABSTAINED, "there is not one token in it")
            elif len(one["input_ids"]) <= most:
                encoded[place] = one
            else:
                scores[place] = self._too_long(model, row, len(one["input_ids"]), most)
        for places in self._batches({place: len(one["input_ids"]) for place, one in encoded.items()}, model):
            scored = model.score([encoded[place] for place in places], self.options, most)
            for place, value in zip(places, scored, strict=True):
                scores[place] = value
        return scores

    def _too_long(self, model: _Model, row: Item, length: int, most: int) -> tuple[Status, str]:
        bare = len(model.encode(row.prompt, "", self.options.separator)["input_ids"])
        if bare > most:
            return Status.ABSTAINED, f"the prompt has {bare:,} tokens, and the model takes {most:,}"
        return Status.UNPARSABLE, f"prompt and completion have {length:,} tokens, and the model takes {most:,}"

    def _batches(self, lengths: Mapping[int, int], model: _Model) -> Iterator[list[int]]:
        """Rows of similar length together, the longest first: what does not fit into memory is seen at once."""
        ordered = sorted(lengths, key=lambda place: (-lengths[place], place))
        size = self.options.batch_size if model.pad is not None else 1
        for begin in range(0, len(ordered), size):
            yield ordered[begin : begin + size]


class _Model:
    """A model and its tokenizer, loaded.

    Attributes:
        pad: token id that fills up a batch; None when there is none, and rows are scored one by one.
    """

    def __init__(self, path: str, folder: Path, dtype: str, device: str) -> None:
        import torch
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        self.path = path
        known: dict[str, Any] = {"trust_remote_code": False, "local_files_only": True}
        try:
            self.tokenizer: Any = AutoTokenizer.from_pretrained(folder, **known)
            loaded: Any = AutoModelForSequenceClassification.from_pretrained(
                folder, dtype=getattr(torch, dtype), use_safetensors=True, output_loading_info=True, **known
            )
            self.model, about = loaded
            self.model = self.model.to(device).eval()
        except (OSError, ValueError, RuntimeError, KeyError, ImportError, AssertionError) as error:
            said = " ".join(str(error).split())[:300]
            raise RewardError(f"'hf:{path}' cannot be loaded: {type(error).__name__}: {said}") from error
        absent = sorted({*about["missing_keys"], *(str(key) for key in about["mismatched_keys"])})
        if absent:
            raise RewardError(
                f"'hf:{path}' is no sequence classifier: its files do not hold {', '.join(absent[:4])}, which would be "
                "random numbers. Give a model that was saved with its classification head"
            )
        self.pad = self._padding_id()

    def _padding_id(self) -> int | None:
        """The id that the model's head looks for; the tokenizer's where the model names none and it ends no text.

        A pad token that is also the end of text cannot be told from one: declaring it would move the place at which the
        model reads its score.
        """
        config = self.model.config.get_text_config()
        declared, offered = config.pad_token_id, self.tokenizer.pad_token_id
        if declared is None and offered is not None and offered != self.tokenizer.eos_token_id:
            config.pad_token_id = self.model.config.pad_token_id = declared = offered
        rows = self.model.get_input_embeddings().weight.shape[0]
        return declared if declared is not None and 0 <= declared < rows else None

    def check(self, options: Options) -> None:
        """Refuse options that this model cannot follow.

        Raises:
            RewardError: no such label, several outputs and none named, or more tokens than it has positions for.
        """
        outputs = self.model.config.num_labels
        labels = {index: str(name) for index, name in (self.model.config.id2label or {}).items()}
        if options.positive is None and outputs > 2:
            raise RewardError(
                f"'hf:{self.path}' has {outputs} outputs ({_listed(labels)}) and a reward is one number: name the one "
                f"that is, as in 'hf:{self.path}(positive=0)'"
            )
        if options.positive is not None and not 0 <= options.positive < outputs:
            raise RewardError(f"'hf:{self.path}': positive={options.positive}, but its outputs are {_listed(labels)}")
        limit = self._positions()
        if options.max_length is not None and limit is not None and options.max_length > limit:
            raise RewardError(f"'hf:{self.path}': max_length={options.max_length}, but the model has {limit} positions")

    def _positions(self) -> int | None:
        config = self.model.config.get_text_config()
        positions = getattr(config, "max_position_embeddings", None)
        if not isinstance(positions, int) or positions < 1:
            return None
        # RoBERTa and its kin count positions from the pad id onwards.
        embeddings = getattr(getattr(self.model, self.model.base_model_prefix, None), "embeddings", None)
        offset = getattr(getattr(embeddings, "position_embeddings", None), "padding_idx", None)
        return positions if offset is None else positions - int(offset) - 1

    def most_tokens(self, options: Options) -> int:
        """Tokens that a row may have: as asked for, or what tokenizer and model can take."""
        if options.max_length is not None:
            return options.max_length
        return min(self._positions() or _MOST_TOKENS, int(min(self.tokenizer.model_max_length, 1 << 30)))

    def encode(self, prompt: Any, completion: str, separator: str | None) -> dict[str, list[int]]:
        """Token ids of a row, and whatever else the model takes per token."""
        if self.tokenizer.chat_template:
            messages = [*messages_of(prompt), {"role": "assistant", "content": completion}]
            text = self.tokenizer.apply_chat_template(messages, tokenize=False)
            encoded = self.tokenizer(text, add_special_tokens=False, verbose=False)
        elif separator is None:
            encoded = self.tokenizer(text_of(prompt), completion, verbose=False)
        else:
            encoded = self.tokenizer(text_of(prompt) + separator + completion, verbose=False)
        return {name: list(encoded[name]) for name in ("input_ids", "token_type_ids") if name in encoded}

    def score(self, rows: Sequence[Mapping[str, list[int]]], options: Options, most: int) -> list[float]:
        """Scores of one batch of rows.

        Args:
            rows: B rows of token ids, of any length.
            options: how they are padded, and which output is the score.
            most: tokens that the model takes; extra padding never goes beyond.
        """
        import torch

        longest = max(1, *(len(row["input_ids"]) for row in rows))
        if self.pad is not None:
            longest = min(longest + options.extra_padding, max(longest, most))
        fills = {"input_ids": self.pad or 0}
        whole = [{**row, "attention_mask": [1] * len(row["input_ids"])} for row in rows]
        with torch.inference_mode():
            tensors = {}
            for name in whole[0]:
                padded = [_padded(row[name], longest, fills.get(name, 0), options.padding_side) for row in whole]
                tensors[name] = torch.tensor(padded, device=self.model.device)
            logits = self.model(**tensors).logits.double().cpu()
            return [float(value) for value in self._reward(logits, options)]

    def _reward(self, logits: Any, options: Options) -> Any:
        """Logits [B, labels] to scores [B]; see the module's equation."""
        import torch

        outputs = logits.shape[-1]
        if outputs == 1:
            return logits[:, 0]
        chosen = 1 if options.positive is None else options.positive
        if self.model.config.problem_type in ("regression", "multi_label_classification"):
            return logits[:, chosen]
        others = [index for index in range(outputs) if index != chosen]
        return logits[:, chosen] - torch.logsumexp(logits[:, others], dim=-1)


def _padded(numbers: list[int], length: int, fill: int, side: str) -> list[int]:
    filling = [fill] * (length - len(numbers))
    return filling + numbers if side == "left" else numbers + filling


def _listed(labels: Mapping[int, str]) -> str:
    return ", ".join(f"{index}: {name}" for index, name in list(labels.items())[:8])


def sequence_classifier(path: str, arguments: Mapping[str, Any]) -> SequenceClassifier:
    """The reward model at a path. Its files are looked at, and nothing is loaded yet.

    Args:
        path: folder, or name in the Hugging Face hub.
        arguments: fields of `Options`.

    Raises:
        RewardError: there is no such model, it holds no safetensors, or an argument is wrong.
        MissingExtra: torch or transformers is not installed.
    """
    require(("torch", "transformers", "safetensors"), f"hf:{path}")
    kinds: dict[str, tuple[type, ...]] = {
        "max_length": (int, type(None)),
        "batch_size": (int,),
        "dtype": (str,),
        "device": (str,),
        "positive": (int, type(None)),
        "separator": (str, type(None)),
        "padding_side": (str,),
        "extra_padding": (int,),
        "revision": (str, type(None)),
    }
    for name, given in arguments.items():
        if name not in kinds:
            raise RewardError(f"'hf:{path}': there is no argument {name!r}; expected {', '.join(kinds)}")
        if not isinstance(given, kinds[name]) or isinstance(given, bool):
            raise RewardError(f"'hf:{path}': {name}={given!r}, expected {kinds[name][0].__name__}")
    options = Options(**arguments)
    if options.dtype not in _DTYPES or options.padding_side not in ("left", "right"):
        raise RewardError(
            f"'hf:{path}': dtype={options.dtype!r}, padding_side={options.padding_side!r}; expected a dtype of "
            f"{', '.join(_DTYPES)} and 'left' or 'right'"
        )
    if options.batch_size < 1 or options.extra_padding < 0 or (options.max_length or 1) < 1:
        raise RewardError(f"'hf:{path}': batch_size and max_length must be at least 1, extra_padding at least 0")
    folder = model_folder(path, options.revision, error=RewardError, shown=f"hf:{path}")
    return SequenceClassifier(path, folder, options)
