"""A recipe that takes milliseconds: a number with noise that all arms of a seed share."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

from trueward.evidence.recipe import Arm, Falsifier, Metric, Recipe, greater, within
from trueward.evidence.run import Run


def run(run: Run) -> dict[str, float]:
    """gold = skill − (rate − .2)² + noise of the seed + a little of the arm's own."""
    run.directory.joinpath("attempts.txt").open("a").write(f"{os.getpid()}\n")
    base = run.shared("warm start", {"size": 3}, lambda folder: _warm_start(run, folder))
    print("hello from a run")
    _misbehave(run)
    noise = run.generator("noise").normal() + json.loads((base / "weights.json").read_text())
    own = 0.01 * run.generator(f"own {run.arm}").normal()
    gold = run.settings["skill"] - (run.settings["rate"] - 0.2) ** 2 + noise + own
    with (run.directory / "metrics.jsonl").open("w") as file:
        for step in range(run.settings["steps"]):
            print(json.dumps({"step": step, "proxy": step / 10, "gold": gold, "kl": 0.1 * step}), file=file)
    return {"gold": gold, "proxy": gold + 1, "length": 7}


def _warm_start(run: Run, folder: Path) -> None:
    folder.parent.joinpath(f"built-{run.seed}.txt").open("a").write(f"{os.getpid()}\n")
    (folder / "weights.json").write_text(json.dumps(run.generator("warm start").normal()))


def _misbehave(run: Run) -> None:
    how = run.settings.get("misbehave", {}).get(f"{run.arm} {run.seed}")
    first = len(run.directory.joinpath("attempts.txt").read_text().splitlines()) == 1
    if how == "raise" or (how == "raise once" and first):
        raise ArithmeticError("the toy broke")
    if how == "die always" or (how == "die once" and first):
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "wait once" and first:
        time.sleep(60)


RECIPE = Recipe(
    name="toy",
    title="Toy",
    paper="Nobody, Nothing, 2026",
    claim="The method is better by 1.",
    arms=(
        Arm("method", "the method", "method", {"skill": 2.0}, {"rate": (0.1, 0.2, 0.4)}),
        Arm("baseline", "the baseline", "baseline", {"skill": 1.0}, {"rate": (0.3, 0.2, 0.5)}),
        Arm("control", "must not work", "control", {"skill": 1.0}),
        Arm("extra", "only for those with time", "reference", {"skill": 0.0}, full=True),
    ),
    metrics=(Metric("gold", "what is wanted"), Metric("proxy", "what is paid"), Metric("length", "tokens", None)),
    claims=(greater("method", "baseline", "gold", 0.5), within("control", "baseline", "gold", 0.2)),
    preconditions=(greater("baseline", "baseline", "proxy", 0.5, metric_b="gold"),),
    falsifiers=(Falsifier("the method is no better", (within("method", "baseline", "gold", 0.1),)),),
    tuned_on="gold",
    settings={"skill": 0.0, "rate": 0.2, "steps": 100, "shape": (1, 2)},
    scales={"smoke": {"steps": 3}, "small": {}, "full": {"steps": 200}},
    run=run,
    parts=("trueward.measures.paired.mean_interval",),
)
