"""A system that takes milliseconds: the method is better than its baseline by .3, whatever the seed."""

from __future__ import annotations

import json

from trueward.evidence.recipe import Arm, Falsifier, Metric, Recipe, above, greater, within
from trueward.evidence.run import Run


def run(run: Run) -> dict[str, float]:
    """gold = skill of the arm, which falls off away from k = 2, and noise that the arms of a seed share."""
    with run.directory.joinpath("attempts.txt").open("a") as file:
        file.write("x\n")
    if run.settings["breaks"] == f"{run.arm} {run.seed}":
        raise ArithmeticError("it broke")
    noise = 0.01 * run.generator("noise").normal()
    own = 0.001 * run.generator(f"own {run.arm}").normal()
    gold = run.settings["skill"] - 0.1 * abs(run.settings["reward.k"] - 2) + noise + own
    steps = range(run.settings["train.steps"] + 1)
    lines = [{"step": step, "kl": 0.1 * step, "proxy": 0.2 * step, "gold": gold * step / steps[-1]} for step in steps]
    run.directory.joinpath("metrics.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return {"gold": gold, "proxy": 0.9}


RECIPE = Recipe(
    name="sturdy",
    title="Sturdy reward",
    paper="Nobody: Nothing. 2026.",
    claim="The method is better by more than .2.",
    arms=(
        Arm("method", "with the idea", "method", {"skill": 0.8}, {"reward.k": (1.0, 2.0)}),
        Arm("plain", "without it", "baseline", {"skill": 0.5}, {"reward.k": (2.0, 3.0)}),
        Arm("shuffled", "must not work", "control", {"skill": 0.5}),
    ),
    metrics=(Metric("gold", "what is wanted", unit="share"), Metric("proxy", "what is paid", None)),
    claims=(greater("method", "plain", "gold", 0.2), within("shuffled", "plain", "gold", 0.05)),
    preconditions=(above("plain", "proxy", 0.6),),
    falsifiers=(Falsifier("The method is no better.", (within("method", "plain", "gold", 0.1),)),),
    tuned_on="gold",
    settings={"skill": 0.0, "reward.k": 2.0, "train.steps": 4, "breaks": "", "layers": (2, 8)},
    scales={"smoke": {"train.steps": 2}, "small": {}, "full": {"train.steps": 8}},
    run=run,
    parts=("trueward.rewards.transforms.sturdy", "trueward.credit.group"),
    notes="Nothing is trained here.",
    at_scale="Use it with a larger model.",
)
