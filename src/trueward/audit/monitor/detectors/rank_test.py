"""Has a number changed since a run began? A test of exchangeability that may be looked at after every step."""

from __future__ import annotations

import bisect
from typing import Any, Literal

Side = Literal["up", "down"]
BETS = (0.05, 0.1, 0.2, 0.5)
"""Each bet wins where the value is among that share of the most extreme so far: the first ones suit a number that moves
on and on, the last one a number that jumps once and stays."""
KEPT = 0.1
"""What of its wealth a bet holds back."""
_WON = tuple(KEPT + (1.0 - KEPT) / share for share in BETS)
BLOCK = 1024
"""After so many values ranks start anew, so that what is kept stays small however long a run is."""


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
        self._staked = [0.0] * len(BETS)
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

    def see(self, value: float) -> None:
        """The next value; it must be finite."""
        if self._changed:
            return
        if len(self._sorted) >= BLOCK:
            self._sorted.clear()
        bisect.insort(self._sorted, value)
        self._seen += 1
        bets = self._seen - self._window
        if bets < 1:
            return
        count = len(self._sorted)
        as_extreme = (
            count - bisect.bisect_left(self._sorted, value)
            if self._side == "up"
            else bisect.bisect_right(self._sorted, value)
        )
        p = as_extreme / count
        enters = 1.0 / (bets * (bets + 1))
        if p > BETS[-1]:
            # All bets lose: no wealth can reach the bound that it did not reach before.
            self._staked = [(staked + enters) * KEPT for staked in self._staked]
            return
        total = 0.0
        for place, share in enumerate(BETS):
            staked = (self._staked[place] + enters) * (_WON[place] if p <= share else KEPT)
            self._staked[place] = staked
            total += staked
        if total / len(BETS) + 1.0 / (bets + 1) >= self._needed:
            self._changed = True
            self._sorted.clear()

    def state_dict(self) -> dict[str, Any]:
        """All that it keeps, as JSON values."""
        return {
            "sorted": self._sorted.copy(),
            "seen": self._seen,
            "staked": self._staked.copy(),
            "changed": self._changed,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take that back."""
        self._sorted = [float(value) for value in state["sorted"]]
        self._seen, self._changed = int(state["seen"]), bool(state["changed"])
        self._staked = [float(value) for value in state["staked"]]
