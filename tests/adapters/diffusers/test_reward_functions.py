"""A reward as flow_grpo calls it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from trueward.adapters.diffusers import reward_function
from trueward.errors import RewardError
from trueward.rewards.images import as_image_reward

PROMPTS = ["one", "two", "three"]


def brightness(prompts: list[str], images: list[Any]) -> list[float]:
    return [float(np.asarray(image).mean()) for image in images]


def wanted_word(image: Any, prompt: str, word: str) -> float:
    return float(word == prompt)


def away(prompts: list[str], images: list[Any]) -> list[float | None]:
    return [1.0, None, 3.0]


def pixels() -> np.ndarray:
    return np.stack([np.full((6, 8, 3), value, dtype=np.uint8) for value in (10, 200, 30)])


@pytest.mark.parametrize("form", ["numbers", "tensor", "half", "pillow"])
def test_images_in_every_form(form: str) -> None:
    numbers = pixels()
    tensor = torch.from_numpy(numbers).permute(0, 3, 1, 2) / 255
    images: Any = {
        "numbers": numbers,
        "tensor": tensor,
        "half": tensor.to(torch.bfloat16),
        "pillow": [Image.fromarray(one) for one in numbers],
    }[form]
    scores, details = reward_function(brightness)(images, PROMPTS, [{}, {}, {}])
    assert isinstance(scores, np.ndarray)
    assert np.allclose(scores, [10, 200, 30], atol=1.0) and np.array_equal(details["brightness"], scores)


def test_parts_are_details_and_metadata_are_columns() -> None:
    reward = as_image_reward(brightness) + 100.0 * as_image_reward(wanted_word)
    rows = [{"word": "one"}, {"word": "one"}, {"word": "three"}]
    scores, details = reward_function(reward)(pixels(), PROMPTS, rows, only_strict=True)
    assert details["wanted_word"].tolist() == [1.0, 0.0, 1.0] and scores.tolist() == [110.0, 200.0, 130.0]


def test_a_missing_score_is_refused_unless_it_is_named() -> None:
    with pytest.raises(RewardError, match="1 of 3 images have no score"):
        reward_function(away)(pixels(), PROMPTS)
    scores, _ = reward_function(away, missing=-1.0)(pixels(), PROMPTS)
    assert scores.tolist() == [1.0, -1.0, 3.0]


def test_images_of_another_form_are_refused() -> None:
    score = reward_function(brightness)
    with pytest.raises(RewardError, match="expected"):
        score(np.zeros((3, 6, 8)), PROMPTS)
    with pytest.raises(RewardError, match="of one size"):
        score([Image.new("RGB", (4, 4)), Image.new("RGB", (5, 4)), Image.new("RGB", (4, 4))], PROMPTS)
    with pytest.raises(RewardError, match="scores text"):
        reward_function(lambda completions, **columns: [0.0])
