"""How often the audit of control is wrong, and how long it takes.

    python benchmarks/bench_control_audit.py [worlds]

Small gridworlds are drawn at random, with walls, with and without slipping, with gold that is sparse or dense. In each
two rewards are audited. One is gold, scaled and shaped by a potential: whatever is found is a false alarm. The other
is drawn at random; where its optimum, which is exact here, loses more than three tenths of the gold that can be won
over a uniform policy, nothing found is a miss.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable

import numpy as np

from trueward.audit.control import audit_control
from trueward.errors import AuditError
from trueward.measures.intervals import wilson
from trueward.measures.tabular import expected_return, optimal, uniform_policy
from trueward.tasks.control.tabular import TabularTask, TabularVectorEnv, gridworld
from trueward.tasks.control.tabular.gridworld import Grid

DISCOUNT, HORIZON = 0.95, 50
LOST = 0.3


def grid(generator: np.random.Generator) -> Grid:
    """A world of 4 × 5 cells, some of them walls."""
    cells = np.where(generator.random((4, 5)) > 0.15, ".", "#")
    cells[3, 4], cells[0, 0], cells[2, 0] = "G", "A", "A"
    slip = float(generator.choice([0.0, 0.1]))
    return gridworld(["".join(row) for row in cells], discount=DISCOUNT, slip=slip, stay=True)


def environment(world: Grid) -> Callable[[int], TabularVectorEnv]:
    """Copies of it."""
    states = world.mdp.states
    task = TabularTask(world.mdp, {"none": np.zeros(states)}, np.eye(states, dtype=np.float32), "grid", HORIZON)
    return lambda count: TabularVectorEnv(task, count, "none")


def on_entering(worth: np.ndarray) -> Callable[..., np.ndarray]:
    """Pays for the state that is entered."""
    return lambda next_state: worth[next_state.astype(int)]


def shaped(worth: np.ndarray, potential: np.ndarray) -> Callable[..., np.ndarray]:
    """The same, with shaping."""

    def reward(state: np.ndarray, next_state: np.ndarray, terminated: np.ndarray) -> np.ndarray:
        after = DISCOUNT * potential[next_state.astype(int)] * ~terminated
        return worth[next_state.astype(int)] + after - potential[state.astype(int)]

    return reward


def share_lost(world: Grid, gold: np.ndarray, reward: np.ndarray) -> float:
    """Of the gold that the best policy has more than a uniform one, what the best policy for the reward lacks."""
    paid, wanted = world.mdp.backup(reward), world.mdp.backup(gold)
    least = expected_return(world.mdp, wanted, uniform_policy(world.mdp))
    most = expected_return(world.mdp, wanted, optimal(world.mdp, wanted).policy)
    got = expected_return(world.mdp, wanted, optimal(world.mdp, paid).policy)
    return (most - got) / (most - least) if most > least else 0.0


def one(generator: np.random.Generator, seed: int) -> list[str]:
    """What became of both rewards in one world."""
    world = grid(generator)
    states = world.mdp.states
    dense = generator.normal(size=states) * (generator.random(states) < 0.4)
    gold = dense if generator.random() < 0.5 else 1.0 * (world.signs == "G")
    potential = generator.normal(size=states) * generator.choice([0.3, 3.0])
    other = generator.normal(size=states)
    settings = {"steps": 0, "horizon": HORIZON, "discount": DISCOUNT, "seed": seed}
    found = []
    try:
        same = shaped(generator.uniform(0.2, 5.0) * gold, potential)
        alike = audit_control(same, environment(world), gold=on_entering(gold), **settings)
        found.append("equivalent: clean" if alike.clean else "equivalent: found")
        if share_lost(world, gold, other) > LOST:
            differs = audit_control(on_entering(other), environment(world), gold=on_entering(gold), **settings)
            found.append("harmful: clean" if differs.clean else "harmful: found")
    except AuditError:
        found.append("no verdict")
    return found


def main() -> None:
    """Print what was counted."""
    worlds = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    generator = np.random.default_rng(0)
    started = time.perf_counter()
    counts = Counter(said for seed in range(worlds) for said in one(generator, seed))
    seconds = time.perf_counter() - started
    audits = sum(counts.values())
    for kind, wrong, word in (("equivalent", "found", "false alarms"), ("harmful", "clean", "misses")):
        of = counts[f"{kind}: clean"] + counts[f"{kind}: found"]
        bad = counts[f"{kind}: {wrong}"]
        low, high = wilson(bad, of)
        verdict = "ok" if low <= (0.01 if kind == "equivalent" else 0.1) else "LOST"
        print(f"{kind + ' rewards: ' + word:<40} {bad:>3} of {of:<4} 95 % interval {low:.1%} to {high:.1%}   {verdict}")
    print(f"{'worlds without a verdict':<40} {counts['no verdict']:>3} of {worlds}")
    print(f"{'an audit in arrays, without training':<40} {seconds / max(1, audits):.2f} s")


if __name__ == "__main__":
    main()
