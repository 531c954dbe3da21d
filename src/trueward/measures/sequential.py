r"""Has a mean fallen below where it was? A test by betting that may be looked at after every step, for ever.

Observations lie in [0, 1] and come in steps, several at a time. The mean of an observation given everything before its
step is $\mu_t$. A *reference window* of steps comes first; $\nu$ is the average of $\mu_t$ over its observations. The
null hypothesis is that afterwards the mean stays above a line:

$$H_0:\quad \mu_t \ge \nu - \delta \quad\text{at every step } t \text{ after the window.}$$

Neither ν nor any $\mu_t$ is known, and $\mu_t$ may depend on the past in any way: rise, fall, swing. Under $H_0$ the
probability that `FallTest.log_e_value` *ever* reaches log(1/α) is at most α.

**The bet after the window.** Take a number $\nu' \le \nu$ with the line $L = \nu' - \delta$. One minus a bet λ on
whatever lies above the line, $1 + \lambda (L - x)$ with $0 \le \lambda \le 1/(1-L)$, is never negative, and has an
expectation of at most 1 while $\mu_t \ge L$. The n observations of a step give $\prod_i (1 + \lambda (L - x_i))$:
expectation at most 1 where they are independent given the past, and also where they are drawn without replacement from
values with mean $\mu_t$, because of Maclaurin's inequality $\mathbb E \prod_i a_i \le (\mathbb E a)^n$ for $a \ge 0$.
So with weights $q_k \ge 0$, $\sum q_k = 1$, chosen before the step,

$$F_t = \sum_k q_k \prod_i \bigl(1 + \lambda_k (L - x_i)\bigr), \qquad
  M_t = \rho_t + \sum_{s \le t} w_s F_s F_{s+1} \cdots F_t, \qquad \rho_t = 1 - \sum_{s \le t} w_s$$

is a nonnegative supermartingale that starts at 1. Bettors start at every step with a share $w_s$ of the stake, so that
what a long healthy time costs is bounded by $\log 1/w_s$, and never more than was staked.

The weights $q$ are what a filter believes: the level of the mean is one of a few between 0 and 1, it stays, drifts to
the next one, or drops at a rate of $h_t \propto 1/(t + t_0)$. Levels above the line bet nothing. A wrong belief costs
power and nothing else.

**The bet on the window.** With $\hat x_i$, the mean of all earlier steps, and $\psi(\lambda) = -\log(1-\lambda) -
\lambda$,

$$E(\nu') = 1 - v + v \exp\Bigl(\lambda \sum_i (x_i - \nu') - \psi(\lambda) \sum_i (x_i - \hat x_i)^2\Bigr)$$

has an expectation of at most 1 at $\nu' = \nu$, also for a ν that depends on what happens (Fan et al.: $\exp(\lambda y
- \psi(\lambda) y^2) \le 1 + \lambda y$ for $y \ge -1$). It is large where ν' lies far below what was seen.

**Both together.** At the true ν the product $E(\nu) \cdot M_t(\nu - \delta)$ is one supermartingale, so the least
product over all ν' is an e-process for $H_0$. The candidates are cut into cells [a, b), with E at b and M at $a -
\delta$, which keeps the bound for every ν in the cell. Candidates that the window alone refutes, given that M never
falls below the stake's reserve, are left out. Compared with a confidence bound on ν at α/2 and a test at α/2 the
least product needs no splitting of α and lets the two kinds of evidence add up.

References: Ville 1939, *Étude critique de la notion de collectif*; Shafer and Vovk 2019, *Game-Theoretic Foundations
for Probability and Finance*; Waudby-Smith and Ramdas 2024, "Estimating means of bounded random variables by betting",
JRSS B 86 (the bets after the window); Fan, Grama and Liu 2015, "Exponential inequalities for martingales with
applications", and Howard, Ramdas, McAuliffe and Sekhon 2021, "Time-uniform, nonparametric, nonasymptotic confidence
sequences", Theorem 4 (the bet on the window); Shin, Ramdas and Rinaldo 2023, "E-detectors" (bettors that start at every
step; there with a bound on how often, here on whether); Herbster and Warmuth 1998, "Tracking the best expert" (the
filter).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

# Stakes: for the bettor who starts at once, and what is never bet; the rest goes to those who start later.
_FIRST, _RESERVE = 0.65, 0.1
# The filter: shares of each level under and above the line, the rate at which the level drops, drift to neighbours.
_UNDER, _ABOVE = np.array([0.15, 0.35, 0.55, 0.75, 0.9]), np.array([0.1, 0.37, 0.63, 0.9])
_IS_UNDER = np.repeat([1.0, 0.0], [len(_UNDER), len(_ABOVE)])
_IS_ABOVE = 1 - _IS_UNDER
_STARTS_UNDER, _DROPS_UNDER = 0.2, 0.7
_RATE, _DELAY, _DRIFT = 0.3, 50.0, 0.005
# The bet on the window: λ = c / √(planned observations), about the best for candidates two standard errors away.
_WINDOW_BET, _WINDOW_SHARE = 4.5, 0.75
_LARGEST_WINDOW_BET = 0.9
_CELLS = 20
_LOWEST_LINE = 0.01  # under which belief in a level above the line would bet without bound
_MULTIPLIED = 64  # factors that a float holds the product of


@dataclass(frozen=True)
class Reference:
    """What was seen in the window, of any number of runs at once.

    Attributes:
        planned: observations that the window was meant to hold, fixed before the first of them.
        count: observations so far, of each run.
        total: their sum.
        squares: sum of their squared distances to the mean of all earlier steps.
    """

    planned: int
    count: int = 0
    total: Float[np.ndarray, "*runs"] = dataclasses.field(default_factory=lambda: np.zeros(()))
    squares: Float[np.ndarray, "*runs"] = dataclasses.field(default_factory=lambda: np.zeros(()))

    def seen(self, values: Float[np.ndarray, "*runs n"]) -> Reference:
        """With the observations of another step, n ≥ 0."""
        expected = (0.5 + self.total) / (1 + self.count)
        return dataclasses.replace(
            self,
            count=self.count + values.shape[-1],
            total=np.asarray(self.total + values.sum(axis=-1)),
            squares=np.asarray(self.squares + ((values - np.expand_dims(expected, -1)) ** 2).sum(axis=-1)),
        )

    @property
    def mean(self) -> Float[np.ndarray, "*runs"]:
        """What was seen on average; NaN for nothing."""
        return np.asarray(self.total / self.count if self.count else np.full_like(self.total, np.nan))

    def log_evidence(self, candidates: Float[np.ndarray, "*runs c"]) -> Float[np.ndarray, "*runs c"]:
        """log E(ν') that the mean is larger than each candidate: falls as the candidate rises."""
        bet = min(_WINDOW_BET / math.sqrt(max(1, self.planned)), _LARGEST_WINDOW_BET)
        price = -math.log1p(-bet) - bet
        won = bet * (self.total[..., None] - self.count * candidates) - price * self.squares[..., None]
        found: np.ndarray = np.logaddexp(math.log(1 - _WINDOW_SHARE), math.log(_WINDOW_SHARE) + won)
        return found

    def state_dict(self) -> dict[str, Any]:
        """Itself as JSON values."""
        return {
            "planned": self.planned,
            "count": self.count,
            "total": self.total.tolist(),
            "squares": self.squares.tolist(),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Reference:
        """What `state_dict` gave."""
        total, squares = (np.array(state[name], dtype=np.float64) for name in ("total", "squares"))
        return cls(int(state["planned"]), int(state["count"]), total, squares)


@dataclass(frozen=True)
class FallTest:
    """The test after the window: J cells of candidates, K levels that the filter knows; see the module.

    Attributes:
        level: α, the largest probability of ever reaching log(1/α) under the null hypothesis.
        lines: a − δ of each cell.
        window: log E at the upper end of each cell.
        bets: λ of each level; below 0 for levels above the line, which steer the belief and bet nothing.
        belief: q, before the next step.
        invested: log of the sum over bettors that have started.
        steps: seen after the window.
    """

    level: float
    lines: Float[np.ndarray, "*runs j"]
    window: Float[np.ndarray, "*runs j"]
    bets: Float[np.ndarray, "*runs j k"]
    belief: Float[np.ndarray, "*runs j k"]
    invested: Float[np.ndarray, "*runs j"]
    steps: int = 0

    @property
    def alarm(self) -> Bool[np.ndarray, "*runs"]:
        """Whether the evidence suffices now; a run that was stopped by it keeps the guarantee."""
        return np.asarray(self.log_e_value >= -math.log(self.level))

    def seen(self, values: Float[np.ndarray, "*runs n"]) -> FallTest:
        """After the observations of another step; none change nothing."""
        if not values.shape[-1]:
            return self
        belief = _moved(self.belief, self.steps) if self.steps else self.belief
        products, scale = _products(self.bets, self.lines, values)
        weighed = belief * products
        kept = belief @ _IS_ABOVE if scale is None else (belief @ _IS_ABOVE) * np.exp(-scale)
        factor = np.log(weighed @ _IS_UNDER + kept)
        staked = self.invested if not self.steps else np.logaddexp(self.invested, math.log(_stake(self.steps)))
        invested = staked + factor if scale is None else staked + factor + scale
        believed = weighed / np.add.reduce(weighed, axis=-1, keepdims=True)
        return FallTest(self.level, self.lines, self.window, self.bets, believed, invested, self.steps + 1)

    @property
    def log_e_value(self) -> Float[np.ndarray, "*runs"]:
        """Natural logarithm of the evidence against the null hypothesis."""
        wealth = np.logaddexp(self.invested, math.log(_uninvested(self.steps))) if self.steps else 0.0
        return np.asarray(np.minimum.reduce(self.window + wealth, axis=-1))

    def state_dict(self) -> dict[str, Any]:
        """Itself as JSON values."""
        arrays = {name: getattr(self, name).tolist() for name in _ARRAYS}
        return {"level": self.level, "steps": self.steps, **arrays}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> FallTest:
        """What `state_dict` gave."""
        arrays = {name: np.array(state[name], dtype=np.float64) for name in _ARRAYS}
        return cls(level=float(state["level"]), steps=int(state["steps"]), **arrays)


_ARRAYS = ("lines", "window", "bets", "belief", "invested")


def fall_below(reference: Reference, *, margin: float = 0.05, level: float = 0.05) -> FallTest:
    """The test of what comes after a window.

    Args:
        reference: the window, with at least one observation.
        margin: δ, by how much the mean may fall; above 0.
        level: α, in (0, 1).

    Raises:
        ValueError: an empty window, or a margin or level outside its range.
    """
    if not reference.count or not 0 < margin < 1 or not 0 < level < 1:
        raise ValueError(
            f"fall_below({reference.count} observations, margin={margin!r}, level={level!r}): need at least one "
            "observation and margin and level between 0 and 1"
        )
    edges = _edges(reference, level)
    upper = np.concatenate([edges[..., 1:], np.ones_like(edges[..., :1])], axis=-1)
    return against_lines(edges - margin, reference.log_evidence(upper), level=level)


def against_lines(
    lines: Float[np.ndarray, "*runs j"], window: Float[np.ndarray, "*runs j"], *, level: float = 0.05
) -> FallTest:
    """The test of given lines: of one line that is known, where J is 1 and `window` is 0.

    Args:
        lines: L of each cell; the null hypothesis is refuted where all of them are.
        window: log of what is known against each cell beforehand.
        level: α.
    """
    safe = np.clip(lines, _LOWEST_LINE, None)[..., None]
    # No mean lies under a line below 0: there is nothing to bet on.
    under = np.where(lines[..., None] > 0, (1 - _UNDER) / (1 - safe), 0.0)
    bets = np.concatenate([under, -_ABOVE / safe], axis=-1)
    belief = np.broadcast_to(_shares(_STARTS_UNDER), bets.shape).copy()
    invested = np.full(lines.shape, math.log(_FIRST))
    return FallTest(level, lines, window, bets, belief, invested)


def steps_needed(means: Float[np.ndarray, " t"], line: float, observations: int, *, level: float = 0.05) -> int | None:
    """Steps after which there is enough information for any test of this level, if it knew line and means beforehand.

    The information of {0, 1} observations is n · Σ KL(μ_t ‖ L), over the steps below the line. A test that is certain
    to alarm, and does so on the line with a probability of at most α, has collected log(1/α) of it on average when it
    alarms, because information about "alarm or not" cannot be more than what the observations hold.

    Args:
        means: from the first step below the line on.
        line: L.
        observations: n of each step.
        level: α.

    Returns:
        d; None where the means do not hold enough information.
    """
    p, q = np.clip(means, 1e-12, 1 - 1e-12), min(max(line, 1e-12), 1 - 1e-12)
    divergences = np.where(means < line, p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q)), 0.0)
    enough = np.flatnonzero(observations * np.cumsum(divergences) >= -math.log(level))
    return int(enough[0]) + 1 if len(enough) else None


def _edges(reference: Reference, level: float) -> np.ndarray:
    """Lower ends of the cells, from the lowest candidate that the window does not refute to what was seen."""
    candidates = np.linspace(0.0, 1.0, 1001)
    refuted = reference.log_evidence(np.broadcast_to(candidates, (*reference.total.shape, len(candidates))))
    count = (refuted + math.log(_RESERVE) >= -math.log(level)).sum(axis=-1)
    lowest = np.minimum(candidates[np.maximum(count - 1, 0)], reference.mean)[..., None]
    edges: np.ndarray = lowest + (reference.mean[..., None] - lowest) * np.linspace(0.0, 1.0, _CELLS)
    return edges


def _shares(under: float) -> np.ndarray:
    return np.concatenate([np.full(len(_UNDER), under / len(_UNDER)), np.full(len(_ABOVE), (1 - under) / len(_ABOVE))])


_DROPPED = _shares(_DROPS_UNDER)


def _moved(belief: np.ndarray, step: int) -> np.ndarray:
    """The filter's prediction: levels drift to their neighbours, and may jump."""
    rate = _RATE / (step + _DELAY)
    moved: np.ndarray = belief @ ((1 - rate) * _NEIGHBOURS)
    moved += rate * _DROPPED
    return moved


def _neighbours(levels: int) -> np.ndarray:
    drift = np.eye(levels) * (1 - _DRIFT)
    for level in range(levels):
        for other in (max(0, level - 1), min(levels - 1, level + 1)):
            drift[level, other] += _DRIFT / 2
    return drift


_NEIGHBOURS = _neighbours(len(_UNDER) + len(_ABOVE))


def _products(bets: np.ndarray, lines: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """∏_i (1 + λ (L − x_i)), [*runs, J, K], divided by exp of the second, [*runs, J], if there is one.

    No factor is below a tenth or so, because no level of the filter is 0 or 1.
    """
    below = lines[..., None, :] - values[..., :, None]
    factors = bets[..., None, :, :] * below[..., None]
    factors += 1
    if values.shape[-1] <= _MULTIPLIED:
        product: np.ndarray = np.multiply.reduce(factors, axis=-3)
        return product, None
    summed = np.log(factors).sum(axis=-3)
    most = summed.max(axis=-1)
    return np.exp(summed - most[..., None]), most


def _kept_back(step: int) -> float:
    """Share of the later bettors' stake that is left after a step: falls so slowly that little is spent early."""
    return 1 / math.log(step + math.e)


def _stake(step: int) -> float:
    """w of the bettor who starts after so many steps, at least 1."""
    return (1 - _FIRST - _RESERVE) * (_kept_back(step - 1) - _kept_back(step))


def _uninvested(steps: int) -> float:
    """ρ after so many steps, at least 1."""
    return _RESERVE + (1 - _FIRST - _RESERVE) * _kept_back(steps - 1)
