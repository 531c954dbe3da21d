"""Runs in an environment of verl: scores the same answers by hand and through Trueward, and prints both as JSON."""

from __future__ import annotations

import json

from verl.utils.reward_score import default_compute_score, gsm8k, math_dapo, math_reward

from trueward.rewards.address import load
from trueward.rewards.runner.types import Item

ANSWERS = ["#### 12", "\\boxed{12}", "Answer: 12", "#### 13", "", "12"]
GSM8K = {"data_source": "openai/gsm8k", "reward_model": {"ground_truth": "12", "style": "rule"}, "extra_info": {}}

CASES = {
    "verl.utils.reward_score:default_compute_score": lambda text: default_compute_score("openai/gsm8k", text, "12"),
    "verl.utils.reward_score.gsm8k:compute_score": lambda text: gsm8k.compute_score(text, "12"),
    "verl.utils.reward_score.math_reward:compute_score": lambda text: math_reward.compute_score(text, "12"),
    "verl.utils.reward_score.math_dapo:compute_score": lambda text: math_dapo.compute_score(text, "12"),
}


def score(value: object) -> object:
    """verl returns a number, or an object that holds it."""
    return value["score"] if isinstance(value, dict) else value


for address, by_hand in CASES.items():
    columns = GSM8K if "default" in address else {"ground_truth": "12"}
    through = load(address).score_rows([Item("p", text, columns) for text in ANSWERS])
    print(json.dumps([address, [score(by_hand(text)) for text in ANSWERS], [score(value) for value in through]]))
