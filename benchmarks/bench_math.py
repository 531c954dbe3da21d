"""Mathematical verification against math-verify, on whole completions, half of them wrong.

    python benchmarks/bench_math.py

Equality first: outside of the classes named in docs/verifiers.md every verdict is the same. Then the time of both in
one run, ours with cache and deduplication switched off: processor time, so that what else runs on the machine counts
for neither. math-verify is used as its documentation says, with its own time limits.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, defaultdict
from importlib.metadata import version

from math_completions import SHARES, Item, items
from math_verify import parse, verify

from trueward.rewards.rules.commitment import committed_answer
from trueward.rewards.rules.math import Math, verdict
from trueward.rewards.runner.types import Item as Row

COUNT = 2_000
TARGET = 20.0


def gold_of(item: Item) -> str:
    """Numbers as GSM8K stores them, everything else in dollars, as MATH does."""
    return item.reference if item.reference.lstrip("-").replace(".", "", 1).isdigit() else f"${item.reference}$"


def reference_verdicts(mix: list[Item]) -> tuple[list[bool], list[float]]:
    """What math-verify says, and how long it took for each."""
    verdicts, seconds = [], []
    for item in mix:
        started = time.process_time()
        verdicts.append(verify(parse(gold_of(item)), parse(item.completion)))
        seconds.append(time.process_time() - started)
    return verdicts, seconds


def our_verdicts(mix: list[Item], reward: Math) -> tuple[list[bool], list[float]]:
    """What the reward pays, and how long it took for each, one call per completion."""
    verdicts, seconds = [], []
    for item in mix:
        row = Row(item.prompt, item.completion, {"answer": item.reference})
        started = time.process_time()
        score = reward.score_rows([row])[0]
        seconds.append(time.process_time() - started)
        verdicts.append(score == 1.0)
    return verdicts, seconds


def check(mix: list[Item], ours: list[bool], theirs: list[bool]) -> None:
    """Print in which named classes verdicts differ.

    Raises:
        SystemExit: they differ outside of these, or a named item is paid.
    """
    differing: Counter[str] = Counter()
    bad = []
    for item, mine, other in zip(mix, ours, theirs, strict=True):
        if mine != other:
            differing[item.named] += 1
        if (mine != other and not item.named) or (item.named and mine):
            bad.append((item, mine, other))
    for item, mine, other in bad[:20]:
        print(
            f"{item.kind}: reference {item.reference!r}, ours {mine}, math-verify {other}: …{item.completion[-120:]!r}"
        )
    if bad:
        raise SystemExit(f"{len(bad)} verdicts differ outside of the named classes")
    named = Counter(item.named for item in mix if item.named)
    print(f"{len(mix) - sum(named.values())} verdicts are identical; of the named classes")
    for name, count in sorted(named.items()):
        print(f"  {name:<20} {count:4d} items, all wrong and none paid; math-verify pays {differing[name]}")
    wrong = sum(mine != item.right for item, mine in zip(mix, ours, strict=True))
    symbolic = sum(_stage(item) == "symbolic" for item in mix)
    print(f"  {symbolic} items need the symbolic comparison, {sum(_stage(i) == 'refused' for i in mix)} are refused")
    print(f"  {wrong} items are judged otherwise than they were built, by both")


def _stage(item: Item) -> str:
    return verdict(item.reference, committed_answer(item.completion).answers[-1]).stage


def report(mix: list[Item], ours: list[float], theirs: list[float], name: str, least: float | None) -> None:
    """Print the ratio of every class and of all."""
    by_kind: dict[str, list[int]] = defaultdict(list)
    for index, item in enumerate(mix):
        by_kind[item.kind].append(index)
    print(f"\n{name:<34} {'math-verify':>14} {'ours':>14} {'ratio':>8}")
    for kind in [*SHARES, "all"]:
        chosen = range(len(mix)) if kind == "all" else by_kind[kind]
        slow, fast = sum(theirs[i] for i in chosen), sum(ours[i] for i in chosen)
        kept = (
            ""
            if least is None or kind != "all"
            else f"   target >= {least:.0f} x   {'ok' if slow >= least * fast else 'LOST'}"
        )
        lost = "   LOST" if slow < fast else ""
        print(
            f"  {kind:<32} {1e3 * slow / len(chosen):11.3f} ms {1e3 * fast / len(chosen):11.3f} ms "
            f"{slow / fast:6.0f} x{kept}{lost}"
        )
    slower = sum(a > b for a, b in zip(ours, theirs, strict=True))
    print(f"  {'items where ours is slower':<32} {slower:5d}{'   LOST' if slower else ''}")
    print(f"  {'slowest item':<32} {1e3 * max(theirs):11.1f} ms {1e3 * max(ours):11.1f} ms")


def main() -> None:
    """Print the tables."""
    logging.disable(logging.WARNING)
    mix = items(COUNT)
    bare = Math(cache=0, deduplicate=False)
    reference_verdicts(mix[:50])
    our_verdicts(mix[:50], bare)
    theirs, their_seconds = reference_verdicts(mix)
    ours, first = our_verdicts(mix, bare)
    _, second = our_verdicts(mix, bare)
    characters = sum(len(item.completion) for item in mix)
    print(f"math-verify {version('math-verify')}, {len(mix)} completions of {characters // len(mix)} characters")
    check(mix, ours, theirs)
    best = [min(pair) for pair in zip(first, second, strict=True)]
    report(mix, best, their_seconds, "without cache and deduplication", TARGET)
    cached = Math()
    our_verdicts(mix, cached)
    _, seconds = our_verdicts(mix, cached)
    report(mix, seconds, their_seconds, "with a warm cache", None)


if __name__ == "__main__":
    main()
