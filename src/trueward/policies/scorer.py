"""Networks that give every token a score: reward models, process scorers, critics."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from trueward.errors import TrainingError
from trueward.policies.folders import whole_folder
from trueward.policies.inputs import model_inputs
from trueward.policies.language import LanguagePolicy
from trueward.policies.model_files import model_folder, weights
from trueward.tasks.text.vocabulary import Vocabulary

_ABOUT = "scorer.json"
_HEAD_SCALE = 0.01


class TokenScorer(nn.Module):
    """A Hugging Face model without its output layer, and a linear head: s_tk = w_k · h_t + b_k.

    The score at a token is of the text up to and including it. A reward model reads it at the last token, a process
    scorer at the end of each step, a critic before each decision; several outputs are several heads on one trunk.

    Attributes:
        backbone: gives hidden states [N, L, D].
        head: D to K.
    """

    def __init__(self, backbone: Any, outputs: int = 1, *, seed: int = 0) -> None:
        """Put a small random head on a backbone: scores begin near 0, and members of an ensemble apart.

        Raises:
            ValueError: fewer than one output.
        """
        super().__init__()
        if outputs < 1:
            raise ValueError(f"outputs={outputs}: a scorer has at least one")
        example = next(backbone.parameters())
        width = backbone.config.get_text_config(decoder=True).hidden_size
        self.backbone = backbone
        self.head = nn.Linear(width, outputs, dtype=example.dtype)
        with torch.no_grad():
            drawn = torch.randn(outputs, width, generator=torch.Generator().manual_seed(seed))
            self.head.weight.copy_(drawn * _HEAD_SCALE)
            self.head.bias.zero_()
        self.head.to(example.device)

    @classmethod
    def from_policy(cls, policy: LanguagePolicy, outputs: int = 1, *, seed: int = 0) -> TokenScorer:
        """A scorer that begins with a copy of a policy's trunk."""
        trunk = copy.deepcopy(policy.model.base_model)
        trunk.requires_grad_(True)
        return cls(trunk, outputs, seed=seed)

    @classmethod
    def tiny(
        cls,
        vocabulary: Vocabulary,
        *,
        outputs: int = 1,
        layers: int = 2,
        width: int = 96,
        heads: int = 4,
        positions: int = 128,
        seed: int = 0,
    ) -> TokenScorer:
        """A small scorer with random weights, of the architecture of `LanguagePolicy.tiny`."""
        policy = LanguagePolicy.tiny(
            vocabulary, layers=layers, width=width, heads=heads, positions=positions, seed=seed
        )
        return cls(policy.model.base_model, outputs, seed=seed)

    @classmethod
    def load(cls, folder: str | Path, *, device: str | torch.device = "cpu") -> TokenScorer:
        """What `save` wrote; safetensors only.

        Raises:
            TrainingError: the folder holds no scorer, or weights that do not fit its configuration.
        """
        from safetensors.torch import load_file
        from transformers import AutoConfig, AutoModel

        auto: Any = AutoModel
        place = model_folder(str(folder), error=TrainingError)
        about = place / _ABOUT
        if not about.is_file():
            raise TrainingError(f"{str(folder)!r} is no scorer: it has no {_ABOUT}; save one with TokenScorer.save")
        try:
            told = json.loads(about.read_text(encoding="utf-8"))
            config = AutoConfig.from_pretrained(place, trust_remote_code=False, local_files_only=True)
            state = {name: value for file in weights(place) for name, value in load_file(file).items()}
            dtype = state["head.weight"].dtype
            scorer = cls(auto.from_config(config, trust_remote_code=False, dtype=dtype), int(told["outputs"]))
            scorer.load_state_dict(state)
        except Exception as error:  # of many unrelated kinds
            raise TrainingError(
                f"the scorer in {str(folder)!r} cannot be loaded: {type(error).__name__}: {error}"
            ) from error
        return scorer.to(device).eval()

    @property
    def outputs(self) -> int:
        """K."""
        return self.head.out_features

    def forward(self, token_ids: Int[Tensor, "n l"], attention: Bool[Tensor, "n l"]) -> Float[Tensor, "n l k"]:
        """Scores at every token; at padding they mean nothing.

        Args:
            token_ids: padding may stand on either side.
            attention: True on tokens.

        Returns:
            [N, L, K], single precision.
        """
        device = self.head.weight.device
        inputs = model_inputs(self.backbone, token_ids.to(device), attention.to(device))
        hidden = self.backbone(**inputs).last_hidden_state
        scores: Tensor = self.head(hidden).float()
        return scores

    def at_end(self, token_ids: Int[Tensor, "n l"], attention: Bool[Tensor, "n l"]) -> Float[Tensor, "n k"]:
        """Scores at the last token of each row, [N, K].

        Raises:
            ValueError: a row has no token.
        """
        if not bool(attention.any(dim=1).all()):
            raise ValueError("a row has no token, so that there is nothing to score")
        scores: Tensor = self(token_ids, attention)
        columns = torch.arange(attention.shape[1], device=scores.device)
        last = (attention.to(scores.device) * columns).amax(dim=1)
        return scores[torch.arange(len(scores), device=scores.device), last]

    def save(self, folder: str | Path) -> None:
        """Write weights (safetensors) and configuration; the folder appears whole or not at all."""
        from safetensors.torch import save_file

        with whole_folder(folder) as place:
            state = {name: value.detach().cpu().contiguous().clone() for name, value in self.state_dict().items()}
            save_file(state, place / "model.safetensors", metadata={"format": "pt"})
            self.backbone.config.save_pretrained(place)
            (place / _ABOUT).write_text(json.dumps({"outputs": self.outputs}), encoding="utf-8")
