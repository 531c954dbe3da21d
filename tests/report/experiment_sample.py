"""A made-up experiment with numbers that can be told apart: a method, a hacked baseline, an ablation, a control."""

from __future__ import annotations

import math
from typing import Any

HOSTILE = (
    "</script><script>document.title='pwned'</script>",
    "<img src=x onerror=\"document.title='pwned'\">",
    "{{7*7}} {% raw %} ${7*7}",
    "left\u202eright\u200b\x1b[31m",
    "| pipe ` tick [x](javascript:1) **b**",
)
SEEDS = [0, 1, 2, 3, 4]
STEPS = [0, 50, 100, 150, 200, 250]
# Half the width of the 95 % interval of SPREAD's mean: t(4) = 2.776, s = .0158, n = 5.
SPREAD = (-0.02, -0.01, 0.0, 0.01, 0.02)
HALF = 2.7764451 * math.sqrt(0.001 / 4) / math.sqrt(5)


def statement(text: str, kind: str, mean: float, half: float | None, state: str, **more: Any) -> dict[str, Any]:
    ends = {"low": None if half is None else mean - half, "high": None if half is None else mean + half}
    fields = {"metric": "gold", "a": "par", "b": "vanilla", "by": 0.0, "margin": 0.0, "seeds": 5, **more}
    return {"text": text, "kind": kind, "mean": mean, **ends, "state": state, **fields}


def metric(mean: float) -> dict[str, Any]:
    values = {str(seed): mean + spread for seed, spread in zip(SEEDS, SPREAD, strict=True)}
    return {"mean": mean, "low": mean - HALF, "high": mean + HALF, "values": values}


def curves(proxy_end: float, gold_end: float, gold_peak: float) -> dict[str, dict[str, list[float | None]]]:
    """Proxy climbs; gold climbs to its peak in the middle of the run, then goes where it ends."""
    made = {}
    for seed, spread in zip(SEEDS, SPREAD, strict=True):
        share = [step / STEPS[-1] for step in STEPS]
        gold = [
            0.3 + (gold_peak - 0.3) * 2 * s if s <= 0.5 else gold_peak + (gold_end - gold_peak) * (2 * s - 1)
            for s in share
        ]
        made[str(seed)] = {
            "step": [float(step) for step in STEPS],
            "kl": [4 * s for s in share],
            "proxy": [0.4 + (proxy_end - 0.4) * s + spread for s in share],
            "gold": [value + spread for value in gold],
        }
    return made


def samples(name: str) -> list[dict[str, Any]]:
    texts = (f"Good answer of {name}.", "as an expert " * 40, *HOSTILE)
    picks = ("best proxy", "worst gold", "random")
    return [
        {
            "seed": index % 2,
            "step": 50 * (1 + index % 5),
            "picked": picks[index % 3],
            "prompt": f"Question {index}",
            "completion": text,
            "proxy": 0.5 + 0.1 * index,
            "gold": 0.1 * index,
        }
        for index, text in enumerate(texts)
    ]


def arm(name: str, role: str, about: str, proxy: float, gold: float, peak: float, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "about": about,
        "role": role,
        "settings": {"train.steps": 250, "reward.transform": name, **more.get("chosen", {})},
        "differs": {"reward.transform": name, **more.get("chosen", {})},
        "chosen": more.get("chosen", {}),
        "metrics": {"gold": metric(gold), "proxy": metric(proxy), "kl": metric(4.0)},
        "curves": curves(proxy, gold, peak),
        "samples": samples(name),
    }


def document(**changes: Any) -> dict[str, Any]:
    """The whole experiment; `changes` replace fields."""
    made: dict[str, Any] = {
        "schema": "trueward-experiment",
        "schema_version": 1,
        "recipe": "par",
        "title": "Preference as reward",
        "paper": "A. Author: Reward shaping to mitigate reward hacking. 2025. example.org/par",
        "claim": "A sigmoid of the reward centred on a reference keeps gold up where the raw reward is hacked.",
        "verdict": "contradicted",
        "why": "gold(par) > gold(minmax) + 0.05 fails: the difference is -0.01 [-0.03, 0.01]",
        "scale": "small",
        "seeds": SEEDS,
        "metrics": [
            {
                "name": "gold",
                "about": "share of held-out prompts solved",
                "better": "higher",
                "unit": "share",
            },
            {"name": "proxy", "about": "what was optimised", "better": None, "unit": ""},
            {"name": "kl", "about": "divergence from the first policy", "better": "lower", "unit": "nats"},
        ],
        "claims": [
            statement("gold(par) > gold(vanilla)", "greater", 0.31, 0.08, "holds"),
            statement("gold(par) > gold(minmax) + 0.05", "greater", -0.01, 0.02, "fails", b="minmax", by=0.05),
            statement("|kl(par) − kl(vanilla)| ≤ 0.5", "within", 0.2, 0.6, "open", metric="kl", margin=0.5),
        ],
        "preconditions": [
            statement(
                "proxy(vanilla) > 0.6", "greater", 0.3, 0.05, "holds", metric="proxy", a="vanilla", b=None, by=0.6
            )
        ],
        "falsifiers": [
            {
                "text": "Gold falls under the shaped reward as it does under the raw one.",
                "state": "not met",
                "comparisons": [statement("gold(par) < gold(vanilla)", "less", 0.31, 0.08, "fails")],
            }
        ],
        "arms": [
            arm("par", "method", "sigmoid of the centred reward", 0.72, 0.66, 0.62, chosen={"reward.k": 3.0}),
            arm("vanilla", "baseline", "the reward as it is", 0.95, 0.35, 0.55, chosen={"train.kl": 0.05}),
            arm("minmax", "baseline", "the reward scaled to [0, 1]", 0.8, 0.67, 0.6, chosen={"train.kl": 0.1}),
            arm("uncentred", "ablation", "sigmoid without the reference", 0.78, 0.5, 0.58),
            arm("shuffled", "control", "rewards permuted within the batch", 0.41, 0.3, 0.31),
        ],
        "tuned_on": "gold",
        "tuning": [
            {
                "arm": "par",
                "settings": {"reward.k": k},
                "values": {"1000": mean - 0.01, "1001": mean + 0.01},
                "mean": mean,
                "chosen": k == 3.0,
            }
            for k, mean in ((1.0, 0.6), (3.0, 0.65))
        ],
        "failures": [],
        "parts": ["trueward.rewards.transforms.centred", "trueward.credit.GroupRelative"],
        "notes": "The bed is small: 120 updates.",
        "at_scale": "Use it in TRL:\n\n    GRPOTrainer(reward_funcs=reward)",
        "settings": {"train.steps": 250, "task": "keywords", "layers": [2, 96]},
        "versions": {"python": "3.11.2", "trueward": "0.1.0", "torch": "2.6.0"},
        "commit": "0123abcd",
        "seconds": 754.0,
        "command": "trueward evidence --only par",
        "date": "2025-01-02T03:04:05Z",
    }
    return {**made, **changes}
