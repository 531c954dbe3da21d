"""A pool from a file: what is read, and what is said of every kind of broken line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from trueward.errors import DataError
from trueward.training.flow.pool_file import read_pool


def condition(prompts: list[str]) -> Tensor:
    return torch.arange(len(prompts))


def written(folder: Path, *rows: Any) -> Path:
    (folder / "images").mkdir(exist_ok=True)
    for name, level, size in (("black", 0, (4, 2)), ("white", 255, (4, 2)), ("large", 255, (8, 6))):
        Image.fromarray(np.full((size[1], size[0]), level, dtype=np.uint8)).save(folder / "images" / f"{name}.png")
    path = folder / "pool.jsonl"
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows) + "\n")
    return path


def row(prompt: str = "a sign", image: str = "images/white.png", score: Any = 0.5) -> dict[str, Any]:
    return {"prompt": prompt, "image": image, "score": score}


def test_lines_of_a_prompt_make_a_group(tmp_path: Path) -> None:
    path = written(tmp_path, row(score=0.25), row("a cat", "images/black.png", 1), "", row(score=None), row(score=0.75))
    pool = read_pool(path, condition=condition, batch=2)
    assert pool.prompts == ["a sign", "a cat"] and pool.prompt.tolist() == [0, 1, 0]
    assert pool.rewards.tolist() == [0.25, 1.0, 0.75] and pool.condition.tolist() == [0, 1]
    assert pool.samples.shape == (3, 3, 2, 4) and pool.samples[:, 0, 0, 0].tolist() == [1.0, -1.0, 1.0]
    assert read_pool(path, condition=condition, low=0.0, high=2.0).scaled.tolist() == [0.125, 0.5, 0.375]


def test_images_are_encoded_and_resized(tmp_path: Path) -> None:
    path = written(tmp_path, row(), row(image="images/large.png"))
    pool = read_pool(path, condition=condition, size=(2, 4), encode=lambda images: images.mean(dim=1, keepdim=True))
    assert pool.samples.shape == (2, 1, 2, 4)
    with pytest.raises(DataError, match=r"pool.jsonl:2: the image has another size .* give size="):
        read_pool(path, condition=condition, batch=1)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "pool.jsonl:2: not a JSON object"),
        ({"prompt": "a", "path": "b"}, "pool.jsonl:2: image, score missing; expected .*, found prompt, path"),
        ("[1]", "pool.jsonl:2: prompt, image, score missing; .* found list"),
        (row(score="high"), "pool.jsonl:2: the score is 'high'; expected a finite number"),
        (row(score=True), "pool.jsonl:2: the score is True"),
        ('{"prompt": "a", "image": "images/white.png", "score": NaN}', "pool.jsonl:2: the score is nan"),
        (row(prompt=["a"]), "pool.jsonl:2: prompt is .* expected a string"),
        (row(image="images/none.png"), "pool.jsonl:2: .*none.png is no image that can be read"),
        (row(image="pool.jsonl"), "pool.jsonl:2: .*pool.jsonl is no image that can be read"),
    ],
)  # fmt: skip
def test_broken_lines_are_named(line: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        read_pool(written(tmp_path, row(), line), condition=condition)


def test_a_file_without_scores_or_none_at_all(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no line has a score"):
        read_pool(written(tmp_path, row(score=None)), condition=condition)
    with pytest.raises(DataError, match=r"absent.jsonl: cannot be read"):
        read_pool(tmp_path / "absent.jsonl", condition=condition)
