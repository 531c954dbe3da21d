"""A vision-language model behind an OpenAI-compatible server, as a judge of images and as its critic.

A judge is asked for one token at temperature 0 and read by its log-probabilities (`yes_no`), so that one call per image
gives a number and no text is parsed. vLLM serves such models (`vllm serve MODEL`).

    model = ServedModel("http://127.0.0.1:8000/v1", "Qwen/Qwen2.5-VL-7B-Instruct")
    reward = ArtefactJudge(Prompted(model.judge, WrittenCritic(model.written)))
    reward.fit(images, labels)

A token goes where that of any reward behind HTTP goes: into the environment variable TRUEWARD_REWARD_TOKEN.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from trueward.errors import RewardError, Unavailable
from trueward.rewards.image_functions import encoded
from trueward.rewards.models.yes_no import YesNo, first_tokens
from trueward.rewards.remote import RemoteReward, remote_reward

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass
class ServedModel:
    """A model on a server.

    Attributes:
        url: of the API, as in http://127.0.0.1:8000/v1, without credentials.
        model: its name there.
        yes_no: how a judgement is read.
        top: log-probabilities that are asked for; servers allow 20 at most.
        temperature: of the critic; the judge has 0.
        longest: tokens of a critic's answer.
        timeout: seconds for one call, repeats included.
        parallel: calls at a time.
        asked: images judged so far.
        untold: those of them without a judgement, by reason.
    """

    url: str
    model: str
    yes_no: YesNo = field(default_factory=YesNo)
    top: int = 20
    temperature: float = 0.7
    longest: int = 512
    timeout: float = 60.0
    parallel: int = 8
    asked: int = field(default=0, init=False)
    untold: dict[str, int] = field(default_factory=dict, init=False)
    _server: RemoteReward = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Raises `RewardError` for no usable URL, no name, or numbers below 1."""
        if not self.model or min(self.top, self.longest, self.parallel) < 1:
            raise RewardError(
                f"model={self.model!r}, top={self.top}, longest={self.longest}, parallel={self.parallel}: expected the "
                "model's name on the server and numbers of at least 1"
            )
        self._server = remote_reward(f"{self.url.rstrip('/')}/chat/completions", {"timeout": self.timeout})

    def judge(self, instruction: str, images: Sequence[Image]) -> Float[np.ndarray, " n"]:
        """Probability of "yes" to an instruction about each image; NaN where it cannot be told, which is counted.

        Raises:
            Unavailable: there are images, and the server answered about none of them.
        """
        with ThreadPoolExecutor(self.parallel) as pool:
            told = list(pool.map(lambda image: self._judged(instruction, image), images))
        failed = [one for one in told if isinstance(one, Unavailable)]
        if failed and len(failed) == len(told):
            raise failed[0]
        self.asked += len(told)
        for one in told:
            if not isinstance(one, float) or math.isnan(one):
                why = "another answer than yes or no" if isinstance(one, float) else type(one).__name__
                self.untold[why] = self.untold.get(why, 0) + 1
        return np.array([one if isinstance(one, float) else math.nan for one in told])

    def written(self, message: str, images: Sequence[Image]) -> str:
        """What the model writes to a message with images: a critic, for `WrittenCritic`.

        Raises:
            Unavailable: no answer, or one without text.
        """
        answer = self._answer(message, images, {"temperature": self.temperature, "max_tokens": self.longest})
        try:
            return str(answer["choices"][0]["message"]["content"])
        except (KeyError, IndexError, TypeError):
            raise Unavailable(f"{self._server.name}: the answer holds no text: {str(answer)[:120]}") from None

    def _judged(self, instruction: str, image: Image) -> float | Unavailable:
        asked = {"temperature": 0.0, "max_tokens": 1, "logprobs": True, "top_logprobs": self.top}
        try:
            return self.yes_no.probability(first_tokens(self._answer(instruction, [image], asked)))
        except Unavailable as error:
            return error
        except ValueError as error:
            return Unavailable(f"{self._server.name}: {error}")

    def _answer(self, message: str, images: Sequence[Image], options: Mapping[str, Any]) -> Any:
        content: list[dict[str, Any]] = [
            {"type": "image_url", "image_url": {"url": encoded(image)}} for image in images
        ]
        content.append({"type": "text", "text": message})
        request = {"model": self.model, "messages": [{"role": "user", "content": content}], **options}
        text = self._server.asked(json.dumps(request).encode("ascii"))
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            raise Unavailable(f"{self._server.name}: the answer is no JSON: {text[:120]!r}") from None
