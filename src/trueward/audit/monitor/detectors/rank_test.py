"""Has a number changed since a run began? A test of exchangeability that may be looked at after every step."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from typing import Any, Literal

Side = Literal["up", "down"]
BETS = (0.05, 0.1, 0.2, 0.5)
"""Each bet wins where the value is among that share of the most extreme so far: the first ones suit a number that moves
on and on, the last one a number that jumps once and stays."""
KEPT = 0.1
"""What of its wealth a bet holds back."""
BLOCK = 1024
"""After so many values ranks start anew, so that what is kept stays small however long a run is."""
_FACTORS = tuple(
    tuple(KEPT + (1.0 - KEPT) / share if place >= lost else KEPT for place, share in enumerate(BETS))
    for lost in range(len(BETS) + 1)
)
"""f_c(p) of every bet, by the number of bets that p loses."""


class RankTest:
    """An e-process against "the values come in no particular order", in one direction.

    The value x_t is ranked among all values so far of its block: p_t = #{i <= t : x_i >= x_t} / t for `up`. Under
    exchangeability p_t is at least as large as a uniform number that is independent of the earlier ones, whatever the
    law of the values (Vovk, Gammerman & Shafer 2005, "Algorithmic learning in a random world", ch. 2). A bet on the
    share c multiplies what is put on it by

        f_c(p) = 0.1 + 0.9/c  where p <= c,   0.1  otherwise,

    which falls in p and has mean 1 for uniform p. One part w_s = 1/(s(s+1)) of the wealth enters at step s after the
    window, in equal shares on every c:

        R_t,c = (R_t−1,c + w_t) · f_c(p_t),    wealth_t = mean_c R_t,c + Σ_{s>t} w_s

    so a change after a long quiet time is met with wealth that has not been lost. With ties broken at random it would
    be a non-negative martingale that starts at 1, and it is never above that one; by Ville's inequality the chance that
    it ever reaches 1/α is at most α, over a run of any length. Only ranks enter: the result is the same for any
    increasing function of the values.

    Args:
        side: "up" bets on values that grow, "down" on values that fall.
        alpha: the chance of a false alarm over the whole run.
        window: no bets on the first so many values.

    References: Vovk, Nouretdinov & Gammerman 2003, "Testing exchangeability on-line"; Shin, Ramdas & Rinaldo 2024,
    "E-detectors", section 2 (entering at every step).
    """

    def __init__(self, side: Side, alpha: float, window: int) -> None:
        self._side, self._window = side, window
        self._needed = 1.0 / alpha
        self._sorted: list[float] = []
        self._seen = 0
        self._staked = (0.0, 0.0, 0.0, 0.0)
        self._changed = False

    @property
    def changed(self) -> bool:
        """True once the wealth has reached 1/α."""
        return self._changed

    @property
    def wealth(self) -> float:
        """Wealth now; where it has reached 1/α, as it was then."""
        bets = max(0, self._seen - self._window)
        return sum(self._staked) / len(BETS) + 1.0 / (bets + 1)

    def see(self, value: float) -> bool:
        """The next value; it must be finite. Returns whether the test has rejected."""
        if self._changed:
            return True
        ranked = self._sorted
        if len(ranked) >= BLOCK:
            ranked.clear()
        insort(ranked, value)
        self._seen += 1
        bets = self._seen - self._window
        if bets < 1:
            return False
        count = len(ranked)
        as_extreme = count - bisect_left(ranked, value) if self._side == "up" else bisect_right(ranked, value)
        enters = 1.0 / (bets * (bets + 1))
        # Written out, because it runs some twenty times a step.
        first, second, third, last = self._staked
        by = _FACTORS[bisect_left(BETS, as_extreme / count)]
        first, second = (first + enters) * by[0], (second + enters) * by[1]
        third, last = (third + enters) * by[2], (last + enters) * by[3]
        self._staked = (first, second, third, last)
        if (first + second + third + last) / len(BETS) + 1.0 / (bets + 1) < self._needed:
            return False
        self._changed = True
        ranked.clear()
        return True

    def state_dict(self) -> dict[str, Any]:
        """All that it keeps, as JSON values."""
        return {
            "sorted": self._sorted.copy(),
            "seen": self._seen,
            "staked": list(self._staked),
            "changed": self._changed,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take that back."""
        self._sorted = [float(value) for value in state["sorted"]]
        self._seen, self._changed = int(state["seen"]), bool(state["changed"])
        first, second, third, last = (float(value) for value in state["staked"])
        self._staked = (first, second, third, last)
