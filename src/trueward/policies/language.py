"""Language policies: any Hugging Face causal language model with its tokenizer."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from trueward.batch import Rollouts, Text
from trueward.errors import TrainingError
from trueward.policies.folders import whole_folder
from trueward.policies.generation import Generated, generate
from trueward.policies.likelihood import Likelihood, check_wanted, likelihood
from trueward.policies.model_files import model_folder
from trueward.policies.prompts import encode, prompt_ids
from trueward.policies.sampling import Sampling
from trueward.policies.stopping import stopping_of
from trueward.policies.tiny import tiny_config
from trueward.policies.tokenizers import tokenizer_of
from trueward.tasks.text.rows import Prompt
from trueward.tasks.text.vocabulary import Vocabulary

Prefix = str | Sequence[int]


@dataclass(eq=False)
class LanguagePolicy:
    """A causal language model that acts by writing.

    Attributes:
        model: Hugging Face causal language model; its parameters are what is trained.
        tokenizer: Hugging Face tokenizer.
    """

    model: Any
    tokenizer: Any

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        revision: str | None = None,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
        attention: str | None = None,
    ) -> LanguagePolicy:
        """The model of a folder, or of the Hugging Face hub; safetensors only, and never code from its files.

        Args:
            path: folder, or name in the hub (`owner/name`).
            revision: branch, tag or commit in the hub.
            device: where it runs.
            dtype: of its weights.
            attention: attention implementation, as transformers names it; None for its default.

        Raises:
            TrainingError: there is no such model, it is no causal language model, or it cannot be loaded.
        """
        from transformers import AutoModelForCausalLM, AutoTokenizer

        causal: Any = AutoModelForCausalLM
        folder = model_folder(str(path), revision, error=TrainingError)
        extra = {} if attention is None else {"attn_implementation": attention}
        try:
            model, report = causal.from_pretrained(
                folder,
                dtype=dtype,
                use_safetensors=True,
                trust_remote_code=False,
                local_files_only=True,
                output_loading_info=True,
                **extra,
            )
            tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
        except Exception as error:  # of many unrelated kinds
            raise TrainingError(
                f"the language model {str(path)!r} cannot be loaded: {type(error).__name__}: {error}"
            ) from error
        if report["missing_keys"]:
            missing = ", ".join(sorted(report["missing_keys"])[:3])
            raise TrainingError(
                f"{str(path)!r} is no causal language model: its files do not hold {missing}, which would be random"
            )
        return cls(model.to(device).eval(), tokenizer)

    @classmethod
    def from_config(cls, config: Any, tokenizer: Any, seed: int = 0) -> LanguagePolicy:
        """A model with random weights, the same for the same seed.

        Args:
            config: Hugging Face configuration of a causal language model.
            tokenizer: with no more tokens than the model has embeddings.
            seed: of the weights.

        Raises:
            TrainingError: the tokenizer has ids that the model has no embedding for.
        """
        from transformers import AutoModelForCausalLM

        causal: Any = AutoModelForCausalLM
        if len(tokenizer) > config.vocab_size:
            raise TrainingError(
                f"the tokenizer has {len(tokenizer)} tokens, the model embeds {config.vocab_size}: set vocab_size"
            )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = causal.from_config(config, trust_remote_code=False)
        return cls(model.eval(), tokenizer)

    @classmethod
    def tiny(
        cls,
        vocabulary: Vocabulary,
        *,
        layers: int = 2,
        width: int = 96,
        heads: int = 4,
        positions: int = 128,
        seed: int = 0,
    ) -> LanguagePolicy:
        """A small model with random weights for the words or characters of a procedural task; see `tiny_config`."""
        tokenizer = tokenizer_of(vocabulary)
        return cls.from_config(tiny_config(tokenizer, layers, width, heads, positions), tokenizer, seed)

    @property
    def device(self) -> torch.device:
        """Where the model runs."""
        device: torch.device = next(self.model.parameters()).device
        return device

    @property
    def positions(self) -> int | None:
        """Most tokens of prompt and completion together; None where the model declares no limit."""
        config = self.model.config.get_text_config(decoder=True)
        return getattr(config, "max_position_embeddings", None)

    @property
    def padding(self) -> int:
        """Id that fills what is no token."""
        for number in (self.tokenizer.pad_token_id, self.tokenizer.eos_token_id):
            if number is not None:
                return int(number)
        return 0

    def parameters(self) -> Iterator[Tensor]:
        """What is trained."""
        parameters: Iterator[Tensor] = self.model.parameters()
        return parameters

    def sample(
        self,
        prompts: Sequence[Prompt],
        sampling: Sampling,
        generator: torch.Generator,
        *,
        prefixes: Sequence[Prefix] | None = None,
        want: Sequence[str] = (),
    ) -> Rollouts:
        """Write a completion for each prompt.

        A row depends on its prompt, its prefix, and row i of the uniform numbers, not on the rows beside it (beyond
        rounding): equal prompts are read once, rows that ended are dropped. The generator moves on by
        N · max_new_tokens numbers, whatever is sampled.

        Args:
            prompts: N prompts; text or chat messages. Put equal ones as often as completions are wanted.
            sampling: how tokens are drawn and when a row stops.
            generator: of the draws.
            prefixes: how each completion begins, as text or as token ids. A prefix stands in the columns of the prompt,
                because the policy did not choose it, and at the front of the completion's text.
            want: "entropy" and "hidden" of each decision, as features [N, T] and [N, T, D].

        Returns:
            Rollouts of text with tokens; `group` numbers the different prompts; `logprobs` under softmax(z / τ) over
            all tokens, whatever top-p and top-k left out; `features["finished"]` [N] is True where a row ended by
            itself (end of text, which is a decision but not part of the text, or a stop text), not by being cut off.

        Raises:
            TrainingError: a prompt that cannot be encoded, or that leaves no room for `max_new_tokens`.
            ValueError: not one prefix per prompt, something unknown is wanted, no prompts.
        """
        check_wanted(want)
        if not prompts:
            raise ValueError("there are no prompts to complete")
        starts = self._prefix_ids(prefixes, len(prompts))
        asked = prompt_ids(self.tokenizer, prompts)
        begun = [prompt + start for prompt, start in zip(asked, starts, strict=True)]
        self._check_room(begun, sampling)
        was_training = self.model.training
        self.model.eval()
        try:
            found = generate(
                self.model,
                begun,
                sampling,
                generator,
                stopping_of(self.model, self.tokenizer, sampling.stop, self.device),
                padding=self.padding,
                entropy="entropy" in want,
                hidden="hidden" in want,
            )
        finally:
            self.model.train(was_training)
        return self._rollouts(prompts, asked, starts, found)

    def likelihood(
        self,
        token_ids: Int[Tensor, "n l"],
        attention: Bool[Tensor, "n l"],
        decisions: int,
        *,
        temperature: float = 1.0,
        want: Sequence[str] = (),
    ) -> Likelihood:
        """How probable the policy finds the last `decisions` columns; see `trueward.policies.likelihood`."""
        device = self.device
        return likelihood(
            self.model, token_ids.to(device), attention.to(device), decisions, temperature=temperature, want=want
        )

    def copy(self) -> LanguagePolicy:
        """The policy as it is now, in weights of its own that are never trained: a reference policy."""
        model = copy.deepcopy(self.model).eval()
        model.requires_grad_(False)
        return LanguagePolicy(model, self.tokenizer)

    def state_dict(self) -> dict[str, Tensor]:
        """Weights."""
        return dict(self.model.state_dict())

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Put weights back."""
        self.model.load_state_dict(state)

    def save(self, folder: str | Path) -> None:
        """Write weights (safetensors), configuration and tokenizer; the folder appears whole or not at all."""
        with whole_folder(folder) as place:
            self.model.save_pretrained(place)
            self.tokenizer.save_pretrained(place)

    def _prefix_ids(self, prefixes: Sequence[Prefix] | None, n: int) -> list[list[int]]:
        if prefixes is None:
            return [[]] * n
        if len(prefixes) != n:
            raise ValueError(f"{len(prefixes)} prefixes for {n} prompts: give one for each, '' for none")
        encoded = iter(encode(self.tokenizer, [prefix for prefix in prefixes if isinstance(prefix, str)]))
        return [next(encoded) if isinstance(prefix, str) else list(prefix) for prefix in prefixes]

    def _check_room(self, rows: Sequence[Sequence[int]], sampling: Sampling) -> None:
        longest = max(map(len, rows))
        if self.positions is not None and longest + sampling.max_new_tokens > self.positions:
            raise TrainingError(
                f"a prompt of {longest} tokens and max_new_tokens={sampling.max_new_tokens} need "
                f"{longest + sampling.max_new_tokens} positions, but the model has {self.positions}: shorten the "
                "prompt, lower max_new_tokens, or take a model with more positions"
            )

    def _rollouts(
        self,
        prompts: Sequence[Prompt],
        asked: Sequence[Sequence[int]],
        starts: Sequence[Sequence[int]],
        found: Generated,
    ) -> Rollouts:
        sampled = (row[: int(count)] for row, count in zip(found.tokens.tolist(), found.mask.sum(dim=1), strict=True))
        texts = [[*start, *tokens] for start, tokens in zip(starts, sampled, strict=True)]
        numbers: dict[tuple[int, ...], int] = {}
        features: dict[str, np.ndarray] = {"finished": found.finished.cpu().numpy()}
        if found.entropy is not None:
            features["entropy"] = found.entropy.cpu().numpy()
        if found.hidden is not None:
            features["hidden"] = found.hidden.cpu().numpy()
        return Rollouts(
            content=Text(
                prompts=list(prompts),
                completions=self.tokenizer.batch_decode(texts, skip_special_tokens=True),
                token_ids=torch.cat([found.prompt, found.tokens], dim=1).cpu().numpy(),
                attention=torch.cat([found.prompt_attention, found.mask], dim=1).cpu().numpy(),
            ),
            group=np.array([numbers.setdefault(tuple(row), len(numbers)) for row in asked]),
            mask=found.mask.cpu().numpy(),
            logprobs=found.logprobs.cpu().numpy(),
            features=features,
        )
