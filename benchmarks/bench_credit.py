"""Group advantages and generalised advantages against verl, on one thread each.

    python benchmarks/bench_credit.py

verl runs in an environment of its own (.venv-verl, or TRUEWARD_VERL_PYTHON) and gets the same arrays; they take turns.
Equality first: group advantages to verl's single precision and to exactly rounded sums, generalised advantages to a
float64 double loop. Then the best of some runs; what takes less than a millisecond is run ten times in a row.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
from scipy.signal import lfilter

from trueward.credit import gae, group_advantages, spread, spread_written, whiten

HERE = Path(__file__).resolve().parent
PYTHON = os.environ.get("TRUEWARD_VERL_PYTHON", str(HERE.parent / ".venv-verl" / "bin" / "python"))
GROUPS = ((1024, 1024), (4096, 1024), (8192, 2048))
PATHS = ((64, 1024), (512, 1024), (512, 4096))
MEMBERS, DISCOUNT, TRACE = 16, 0.99, 0.95
lost = 0


class Verl:
    """verl's estimators in a process of their own."""

    def __init__(self) -> None:
        if not Path(PYTHON).exists():
            raise SystemExit(
                f"verl is measured in an environment of its own, and {PYTHON} is missing: `make test` builds it"
            )
        self.process = subprocess.Popen(
            [PYTHON, str(HERE / "credit_verl.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def ask(self, **asked: str) -> Any:
        """Answer to one question."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f"verl's process ended; to see why: {PYTHON} {HERE / 'credit_verl.py'} < /dev/null")
        return json.loads(answer)

    def load(self, folder: str, **arrays: np.ndarray) -> None:
        """Hand over arrays."""
        path = str(Path(folder, "given.npz"))
        np.savez(path, **arrays)
        self.ask(load=path)

    def results(self, folder: str, name: str) -> list[np.ndarray]:
        """What an estimator makes of them."""
        path = str(Path(folder, f"{name}.npz"))
        self.ask(save=path, run=name)
        found = np.load(path)
        return [found[key] for key in found.files]

    def seconds(self, name: str) -> float:
        """One timed run."""
        return float(self.ask(run=name)["seconds"])


def measured(tasks: dict[str, Callable[[], Any]], verl: Verl, theirs: dict[str, int], times: int) -> dict[str, float]:
    """Best seconds of each task, all of them in turn; `theirs` says how often verl's are run."""
    best = dict.fromkeys([*tasks, *theirs], math.inf)
    for turn in range(times):
        for name, task in tasks.items():
            often = 10 if best[name] < 0.001 else 1
            started = time.perf_counter()
            for _ in range(often):
                task()
            best[name] = min(best[name], (time.perf_counter() - started) / often)
        for name, often in theirs.items():
            if turn < often:
                best[name] = min(best[name], verl.seconds(name))
    return best


def row(name: str, seconds: float, target: str = "", kept: bool = True) -> None:
    """One line of the table."""
    global lost
    lost += not kept
    verdict = f"{target:<44} {'ok' if kept else 'LOST'}" if target else ""
    print(f"  {name:<50} {1000 * seconds:10.3f} ms   {verdict}".rstrip())


def check(name: str, gap: float, limit: float) -> None:
    """Stop where two implementations differ."""
    if not gap <= limit:
        raise SystemExit(f"{name}: differs by {gap:.1e}, more than {limit:.0e}")
    print(f"  equal to {name} to {gap:.1e}")


def groups(verl: Verl, folder: str, shape: tuple[int, int]) -> None:
    """z-scores of one shape."""
    rng = np.random.default_rng(0)
    rows, width = shape
    group = rng.permutation(np.repeat(np.arange(rows // MEMBERS), MEMBERS))
    lengths = rng.integers(width // 2, width + 1, size=rows)
    mask = np.arange(width) < lengths[:, None]
    totals = rng.normal(size=rows).astype(np.float32)
    rewards = np.zeros(shape, dtype=np.float32)
    rewards[np.arange(rows), lengths - 1] = totals
    verl.load(folder, rewards=rewards, mask=mask, group=group)
    print(f"\ngroup z-scores, {rows:,} rollouts x {width:,} tokens, groups of {MEMBERS}")
    ours = group_advantages(totals, group).values
    exact = np.empty(rows)
    for number in range(rows // MEMBERS):
        members = np.flatnonzero(group == number)
        own = [float(totals[i]) for i in members]
        mean = math.fsum(own) / MEMBERS
        deviation = math.sqrt(math.fsum((x - mean) ** 2 for x in own) / (MEMBERS - 1))
        exact[members] = [(x - mean) / (deviation + 1e-6) for x in own]
    check("exactly rounded sums", float(np.abs(ours - exact).max()), 1e-12)
    written = spread_written(ours, mask)
    for name in ("loop", "vectorised"):
        check(f"verl's {name} form", float(np.abs(written - verl.results(folder, name)[0]).max()), 1e-4)
    narrow = ours.astype(np.float32)
    best = measured(
        {
            "view": lambda: spread(group_advantages(totals, group).values, width),
            "written": lambda: spread_written(group_advantages(totals, group).values, mask),
            "summed": lambda: spread_written(group_advantages(rewards.sum(axis=1), group).values, mask),
            "broadcast": lambda: narrow[:, None] * mask,
        },
        verl,
        {"loop": 3, "vectorised": 40},
        40,
    )
    row("verl, loop", best["loop"])
    row("verl, vectorised", best["vectorised"])
    row("one broadcast to [N, T] under the mask", best["broadcast"])
    ratio = best["loop"] / best["view"]
    row("ours, scalars with a view", best["view"], f"{ratio:,.0f} x the loop's speed, target >= 100", ratio >= 100)
    ratio = best["written"] / best["broadcast"]
    row("ours, written", best["written"], f"{ratio:.2f} of a broadcast, target <= 1.1", ratio <= 1.1)
    ratio = best["written"] / best["vectorised"]
    row("the same", best["written"], f"{ratio:.2f} of verl's vectorised, target <= 1", ratio <= 1)
    ratio = best["summed"] / best["vectorised"]
    row(
        "the same, rewards summed over tokens first",
        best["summed"],
        f"{ratio:.2f} of verl's vectorised, target <= 1",
        ratio <= 1,
    )


def errors_of(rewards: np.ndarray, values: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """δ and V under the mask, float64: what filter and transposed loop start from."""
    before = np.where(mask, values, 0.0).astype(np.float64)
    errors = np.where(mask, rewards, 0.0) - before
    errors[:, :-1] += DISCOUNT * before[:, 1:]
    return errors, before


def by_filter(rewards: np.ndarray, values: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Generalised advantages and returns by SciPy's linear filter."""
    errors, before = errors_of(rewards, values, mask)
    summed = lfilter([1.0], [1.0, -DISCOUNT * TRACE], errors[:, ::-1], axis=1)[:, ::-1] * mask
    return summed.astype(np.float32), (summed + before).astype(np.float32)


def by_transposed_loop(rewards: np.ndarray, values: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same, one token after the other for all rows at once."""
    errors, before = errors_of(rewards, values, mask)
    steps = np.ascontiguousarray(errors.T)
    for t in range(len(steps) - 2, -1, -1):
        steps[t] += DISCOUNT * TRACE * steps[t + 1]
    summed = steps.T * mask
    return summed.astype(np.float32), (summed + before).astype(np.float32)


def by_double_loop(rewards: np.ndarray, values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Plain Python floats, row by row, over the tokens under the mask."""
    advantages = np.zeros(mask.shape)
    for line in range(len(mask)):
        following = after = 0.0
        for t in np.flatnonzero(mask[line])[::-1].tolist():
            now = float(values[line, t])
            following = float(rewards[line, t]) + DISCOUNT * after - now + DISCOUNT * TRACE * following
            after = now
            advantages[line, t] = following
    return advantages


def paths(verl: Verl, folder: str, shape: tuple[int, int], holes: bool) -> None:
    """Generalised advantages of one shape; with holes as tool results make them, or without."""
    rng = np.random.default_rng(0)
    mask = np.arange(shape[1]) < rng.integers(shape[1] // 2, shape[1] + 1, size=shape[0])[:, None]
    if holes:
        mask &= (np.arange(shape[1]) // 64) % 3 != 1
    rewards, values = rng.normal(size=(2, *shape)).astype(np.float32)
    verl.load(folder, rewards=rewards, values=values, mask=mask, group=np.zeros(0))
    print(f"\ngeneralised advantages, {shape[0]:,} x {shape[1]:,} tokens{', a third of them not chosen' * holes}")
    ours = gae(rewards, values, mask, discount=DISCOUNT, trace=TRACE)
    exact = by_double_loop(rewards, values, mask)
    check("a float64 double loop", float(np.abs(ours.advantages - exact).max() / np.abs(exact).max()), 1e-6)
    whitened, returned = verl.results(folder, "gae")
    check("verl's returns", float(np.abs(ours.returns - returned)[mask].max()), 1e-4)
    check("verl's whitened advantages", float(np.abs(whiten(ours.advantages, mask) - whitened)[mask].max()), 1e-4)
    alone: dict[str, Callable[[], Any]] = {
        "ours": lambda: gae(rewards, values, mask, discount=DISCOUNT, trace=TRACE),
        "whitened": lambda: whiten(gae(rewards, values, mask, discount=DISCOUNT, trace=TRACE).advantages, mask),
        "copy": lambda: (rewards.copy(), values.copy()),
    }
    if not holes:
        for name, way in (("filter", by_filter), ("transposed loop", by_transposed_loop)):
            check(f"the {name}", float(np.abs(ours.advantages - way(rewards, values, mask)[0]).max()), 1e-5)
        alone["filter"] = lambda: by_filter(rewards, values, mask)
        alone["transposed loop"] = lambda: by_transposed_loop(rewards, values, mask)
    best = measured(alone, verl, {"gae": 3}, 15)
    row("verl, loop over tokens, whitened", best["gae"])
    for name in ("filter", "transposed loop"):
        if name in best:
            row(name, best[name])
    row("a copy of what is read", best["copy"])
    ratio = best["gae"] / best["whitened"]
    row("ours, whitened", best["whitened"], f"{ratio:.0f} x verl's speed, target >= 30", ratio >= 30)
    if holes:
        row("ours", best["ours"])
        return
    ratio = best["ours"] / min(best["filter"], best["transposed loop"])
    row("ours", best["ours"], f"{ratio:.2f} of the better of the two, target <= 1.1", ratio <= 1.1)


def main() -> None:
    """Print the tables."""
    verl = Verl()
    try:
        with tempfile.TemporaryDirectory() as folder:
            for shape in GROUPS:
                groups(verl, folder, shape)
            for shape in PATHS:
                for holes in (False, True):
                    paths(verl, folder, shape, holes)
    finally:
        verl.process.kill()
        verl.process.wait()
    print(f"\n{lost} rows lost")


if __name__ == "__main__":
    main()
