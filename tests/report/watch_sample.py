"""A made-up run with numbers that can be told apart: reward rises, checked gold falls below its line."""

from __future__ import annotations

from typing import Any

HOSTILE = (
    "</script><script>document.title='pwned'</script>",
    "<img src=x onerror=\"document.title='pwned'\">",
    "{{7*7}} {% raw %} ${7*7}",
    "left\u202eright\u200b\x1b[31m",
    "[red]markup[/red]",
)
STEPS = list(range(1, 41))


def notice(kind: str, step: int, message: str, *examples: dict[str, Any]) -> dict[str, Any]:
    return {"kind": kind, "source": "gold probe" if kind != "hint" else "length", "step": step, "message": message} | {
        "examples": list(examples)
    }


def example(completion: str, reward: float | None = 0.9, gold: float | None = None, why: str = "") -> dict[str, Any]:
    return {"prompt": "What is 1 + 2?", "completion": completion, "reward": reward, "gold": gold, "why": why}


def document(**changed: Any) -> Any:
    """Forty steps with gold of the log, two hints and an alarm."""
    series = {
        "reward": [0.2 + 0.015 * step for step in STEPS],  # .215 to .8
        "part/correct": [0.1] * 40,
        "part/format": [0.1 + 0.015 * step for step in STEPS],
        "length": [10.0 + step for step in STEPS],
        "status/timed out": [None] * 39 + [0.25],
        "probe/gold": [0.6 if step < 20 else 0.3 for step in STEPS],
        "probe/line": [None] * 9 + [0.55] * 31,
        "gold": [0.5] * 40,
        "detector/length": [float(step) for step in STEPS],
    }
    made = {
        "schema": "trueward-watch",
        "schema_version": 1,
        "source": "runs/sums/seed-0",
        "format": "trueward rollouts",
        "reward": "reward",
        "probe": "logged",
        "gold": "",
        "budget": 8,
        "state": "alarm",
        "steps": STEPS,
        "steps_planned": 100,
        "completions": 2560,
        "series": series,
        "notices": [
            notice("hint", 15, "completions are twice as long as in the first steps", example("so so so", 0.7)),
            notice(
                "alarm",
                24,
                "gold is .30, the line .55",
                example("It is 3. It is 4.", 0.95, 0.0, "pays twice"),
                example("4", 0.9, 0.0),
                example("5", None, 0.0),
            ),
            notice("hint", 30, "one part makes the reward"),
        ],
        "remarks": ["16 completions were logged again at a later step; each counts once"],
        "fail_on": "alarm",
        "exit_code": 1,
        "versions": {"python": "3.11.2", "trueward": "0.1.0"},
        "command": "trueward watch runs/sums/seed-0",
        "date": "2025-01-02T03:04:05+00:00",
    }
    return made | changed


def empty(**changed: Any) -> Any:
    """A run that has logged nothing."""
    without = {"format": "", "reward": "", "probe": "none", "budget": None, "state": "quiet", "exit_code": 0}
    return document(**without, steps=[], completions=0, series={}, notices=[], remarks=[], **changed)


def hostile() -> Any:
    """Hostile text wherever a document has text that others wrote."""
    bad = " ".join(HOSTILE)
    made = document(source=bad, format=bad, reward=bad, gold=bad, probe="asked", command=bad, remarks=[bad])
    made["versions"] = {bad: bad}
    made["series"] = {**made["series"], f"part/{bad}": [1.0] * 40, f"status/{bad}": [0.5] * 40}
    made["notices"] = [notice(kind, 5, bad, example(bad, 1.0, 0.0, bad)) for kind in ("hint", "notice", "alarm")]
    for one in made["notices"]:
        one["source"] = bad
        one["examples"][0]["prompt"] = bad
    return made
