"""Leaf rewards that behave as the completion tells them to."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

from trueward.errors import RewardError


class Obedient:
    """Scores a completion that is a number as that number; does what a word says."""

    def __init__(self) -> None:
        self.calls = 0

    def score_rows(self, rows: list[Any]) -> Any:
        self.calls += 1
        scores = [self.one(row.completion) for row in rows]
        if any(row.completion == "one score too many" for row in rows):
            return [*scores, 1.0]
        if any(row.completion == "a bare number" for row in rows):
            return 1.0
        return scores

    def one(self, text: str) -> Any:
        word, _, argument = text.partition(" ")
        match word:
            case "sleep":
                time.sleep(float(argument))
                return 0.5
            case "exit":
                os._exit(7)
            case "close":
                os.closerange(3, 256)
                time.sleep(60)
            case "sys.exit":
                sys.exit(argument)
            case "raise":
                raise LookupError(argument)
            case "interrupt":
                raise KeyboardInterrupt
            case "nan":
                return float("nan")
            case "none":
                return None
            case "text":
                return "good"
            case "huge":
                return 10**400
            case "bool":
                return True
            case "eat":
                hoard = []
                while True:
                    hoard.append(bytearray(b"x" * (8 << 20)))
            case "print":
                print("\x1b[2J" * 10_000)
                os.write(2, b"noise")
                return 0.25
            case "fork":
                if os.fork() == 0:
                    return 666.0
                return 0.25
            case "leave":
                if os.fork() == 0:
                    time.sleep(60)
                return 0.25
            case "once":
                # Fails in the first worker that sees it, and not again: a fault of the machine, not of the answer.
                if not os.path.exists(argument):
                    with open(argument, "x"):
                        os._exit(9)
                return 0.75
            case "twice":
                # First it hangs, then it crashes.
                if os.path.exists(argument):
                    os._exit(9)
                with open(argument, "x"):
                    time.sleep(60)
            case "calls":
                return float(self.calls)
            case "pid":
                return float(os.getpid())
            case "one" | "a":
                return 1.0
            case "big":
                return float(len(argument))
        return float(text)


def load(address: str) -> Obedient:
    """The only reward there is."""
    if address == "slow to load":
        time.sleep(0.6)
    if address == "broken":
        raise RewardError("broken: cannot be loaded")
    return Obedient()
