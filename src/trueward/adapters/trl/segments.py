"""Where completions of public models are cut into steps."""

from __future__ import annotations

from typing import Any

import numpy as np

from trueward.batch import Rollouts, Text
from trueward.tasks.text.procedural.steps import segments_of
from trueward.training.rollouts import Segmenter


def line_breaks(tokenizer: Any) -> Segmenter:
    """A step ends with a token that holds a line break, whatever else is in it; an end of text begins none.

    Args:
        tokenizer: Hugging Face tokenizer of the policy.
    """
    # A model may have more ids than its tokenizer: none of them breaks a line.
    breaks = np.array([*("\n" in tokenizer.decode([number]) for number in range(len(tokenizer))), False])

    def segment(rollouts: Rollouts) -> np.ndarray:
        content, mask = rollouts.content, np.asarray(rollouts.mask, dtype=bool)
        if not isinstance(content, Text) or content.token_ids is None:
            raise ValueError("steps are cut at tokens: the rollouts hold none")
        ids = np.asarray(content.token_ids)[:, -mask.shape[1] :]
        kinds = np.where(breaks[np.minimum(ids, len(breaks) - 1)], 1, np.where(ids == tokenizer.eos_token_id, 2, 0))
        return segments_of(kinds, mask, 1, closing=[2])

    return segment
