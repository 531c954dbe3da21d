"""What things are called: a prompt and a completion in an audit of text, a start and an episode in one of control, an
image and what was made of it in one of images.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Vocabulary:
    """The nouns of one kind of audit.

    Attributes:
        unit: what is counted, in the singular.
        prompt, reference, completion, reward: labels beside an example.
        full, null: what stands at 1 and at 0 of the payoff, where it earns something.
        full_share, null_share: the same, as a share of which is spoken.
        one, zero: the same, in a word or two.
        call: one question to the reward.
    """

    unit: str
    prompt: str
    reference: str
    completion: str
    reward: str
    full: str
    null: str
    full_share: str
    null_share: str
    one: str
    zero: str
    call: str


TEXT = Vocabulary(
    unit="prompt",
    prompt="prompt",
    reference="right answer",
    completion="completion",
    reward="reward",
    full="the right answer earns",
    null="no answer",
    full_share="a right answer",
    null_share="no answer",
    one="right answer",
    zero="no answer",
    call="reward call",
)
CONTROL = Vocabulary(
    unit="start",
    prompt="where",
    reference="competent",
    completion="episode",
    reward="return",
    full="the competent policy earns",
    null="one that knows nothing",
    full_share="the competent policy's return",
    null_share="a policy that knows nothing",
    one="competent",
    zero="knows nothing",
    call="reward call",
)
IMAGES = Vocabulary(
    unit="image",
    prompt="prompt",
    reference="made from",
    completion="image",
    reward="reward",
    full="the image that it stands for earns",
    null="an empty one",
    full_share="the image as it is",
    null_share="an empty image",
    one="as it is",
    zero="empty",
    call="reward call",
)

_BY_MODALITY = {"text": TEXT, "control": CONTROL, "images": IMAGES}


def vocabulary_of(record: Mapping[str, Any]) -> Vocabulary:
    """The words for an audit, a finding or an example."""
    return _BY_MODALITY.get(record.get("modality", "text"), TEXT)
