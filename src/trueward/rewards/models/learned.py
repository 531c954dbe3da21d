"""A trained scorer as a reward: one number per rollout, read at its last token.

    r = z_k,  or  σ(z_k)  as a probability,

with z the outputs of the scorer at the last token and k the output that is used (two-headed models keep quality at 0).
The value of a row does not depend on the rows beside it beyond rounding: batches only put rows of similar length
together. σ is taken in double precision: in half precision it is 1 from a logit of 8.3 on, and tells nothing apart.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float

from trueward.batch import Context, Part, Rollouts, Scores
from trueward.errors import RewardError, TrainingError
from trueward.report.atomic import write_whole
from trueward.rewards.base import Reward
from trueward.rewards.models.learned_inputs import Layout, Packed, most_tokens, packed
from trueward.rewards.runner import Runner
from trueward.status import Status

if TYPE_CHECKING:
    from trueward.policies.scorer import TokenScorer

_ABOUT = "reward.json"


class LearnedReward(Reward):
    """A `TokenScorer` as a reward.

    Attributes:
        scorer: outputs [N, K] at the last token.
        tokenizer: of the scorer; where there is no layout, also that of the policy.
        layout: how its text is made; None to read prompt and completion as the policy's own tokens.
        output: k, which output is the reward.
        sigmoid: True for probabilities, whose declared range is [0, 1].
        batch_size: rows of a forward pass.
    """

    def __init__(
        self,
        name: str,
        scorer: TokenScorer,
        tokenizer: Any,
        *,
        layout: Layout | None = None,
        output: int = 0,
        sigmoid: bool = False,
        batch_size: int = 128,
    ) -> None:
        if not name or not 0 <= output < scorer.outputs or batch_size < 1:
            raise RewardError(
                f"reward {name!r} with output={output}, batch_size={batch_size}: expected a name, an output of the "
                f"scorer's {scorer.outputs}, counted from 0, and at least one row"
            )
        self._name = name
        self.scorer = scorer
        self.tokenizer = tokenizer
        self.layout = layout
        self.output = output
        self.sigmoid = sigmoid
        self.batch_size = batch_size

    @property
    def name(self) -> str:
        """Name of its part."""
        return self._name

    def use(self, runner: Runner) -> bool:
        """It has no address: it stays in this process."""
        return False

    def score(self, rollouts: Rollouts, context: Context) -> Scores:
        """One part with one value per rollout.

        A completion that makes its row too long for the scorer is the answer's fault (`UNPARSABLE`); a row without
        tokens, or whose prompt leaves no room, is not (`ABSTAINED`).
        """
        rows = packed(rollouts, self.tokenizer, self.layout, most_tokens(self.scorer))
        values = end_scores(self.scorer, rows, self.batch_size)[:, self.output]
        if self.sigmoid:
            values = probability(values)
        status = finite_status(values, rows.status)
        low, high = (0.0, 1.0) if self.sigmoid else (None, None)
        values = np.where([one.ok for one in status], values, np.nan)
        return Scores({self.name: Part(values, status, low=low, high=high, details=rows.details)})

    def save(self, folder: Path | str) -> None:
        """Write scorer (safetensors), tokenizer, and how rows are read."""
        folder = Path(folder)
        self.scorer.save(folder)
        self.tokenizer.save_pretrained(folder)
        about = {
            "name": self.name,
            "layout": None if self.layout is None else self.layout.as_document(),
            "output": self.output,
            "sigmoid": self.sigmoid,
            "batch_size": self.batch_size,
        }
        write_whole(folder / _ABOUT, json.dumps(about, indent=1).encode())

    @classmethod
    def load(cls, folder: Path | str) -> LearnedReward:
        """What `save` wrote.

        Raises:
            RewardError: the folder holds no such reward, or its weights are a pickle.
        """
        from transformers import AutoTokenizer

        from trueward.policies.scorer import TokenScorer

        folder = Path(folder)
        try:
            about = json.loads((folder / _ABOUT).read_text())
            layout = None if about["layout"] is None else Layout.from_document(about["layout"])
            options = {key: about[key] for key in ("output", "sigmoid", "batch_size")}
            name = about["name"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RewardError(
                f"{str(folder)!r} holds no learned reward: its {_ABOUT} cannot be read "
                f"({type(error).__name__}: {error}). Give a folder that LearnedReward.save wrote"
            ) from error
        try:
            scorer = TokenScorer.load(folder)
        except TrainingError as error:
            raise RewardError(str(error)) from error
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        return cls(name, scorer, tokenizer, layout=layout, **options)


def end_scores(scorer: TokenScorer, rows: Packed, batch_size: int) -> Float[np.ndarray, "n k"]:
    """Outputs of a scorer at the last token of each row; NaN where a row cannot be scored."""
    values = np.full((len(rows.status), scorer.outputs), np.nan)
    with evaluating(scorer) as device:
        for places in rows.batches(batch_size):
            token_ids, attention = (torch.from_numpy(array).to(device) for array in rows.rows(places))
            values[places] = scorer.at_end(token_ids, attention).double().cpu().numpy()
    return values


@contextmanager
def evaluating(scorer: TokenScorer) -> Iterator[torch.device]:
    """A scorer without dropout and gradients; afterwards it trains on if it did before. Gives its device."""
    training = scorer.training
    scorer.eval()
    try:
        with torch.inference_mode():
            yield next(scorer.parameters()).device
    finally:
        scorer.train(training)


def probability(logits: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """σ of each logit, without overflow; NaN stays."""
    with np.errstate(invalid="ignore"):
        return np.asarray(np.exp(-np.logaddexp(0.0, -logits)))


def finite_status(values: Float[np.ndarray, " n"], status: list[Status] | Any) -> list[Status]:
    """Status of each row, with `NOT_FINITE` for a row that was scored and has no finite value."""
    finite = np.isfinite(values)
    return [
        Status.NOT_FINITE if one.ok and not fine else one for one, fine in zip(status, finite.tolist(), strict=True)
    ]
