"""What test beds of shorter answers share: accuracy and length of a run, tier by tier, and what one cost in the other.

The task's gold must measure `right_length`, and for tiers 1 … 3 `tier_t`, `tier_t_right` and `tier_t_length`, as
`TieredChains` does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from trueward.errors import EvidenceError
from trueward.evidence.recipe import Metric
from trueward.measures.efficiency import accuracy_efficiency, best_within, frontier_area, viable_updates

if TYPE_CHECKING:
    from jaxtyping import Float

TIERS = (1, 2, 3)
SHORT = 0.7  # of the length before training: where runs of different courses are compared at equal length
_AT_THE_END = 3  # evaluations whose mean is "the end"

LENGTH_METRICS = (
    Metric("efficiency", "saved share of tokens, plus 3 times the relative gain in accuracy or minus 5 times its loss"),
    Metric("tier_3_end", "accuracy on the hardest tier, mean of the last three evaluations", unit="share"),
    Metric("tier_3_start", "the same before training", unit="share"),
    Metric("tier_3_peak", "the same at its best evaluation", unit="share"),
    Metric("tier_3_short", "the same, best evaluation within 70 % of the length before training", unit="share"),
    Metric("tier_1_end", "accuracy on the easiest tier at the end", unit="share"),
    Metric("tier_1_start", "the same before training", unit="share"),
    Metric("tier_2_end", "accuracy on the middle tier at the end", unit="share"),
    Metric("tier_2_start", "the same before training", unit="share"),
    Metric("accuracy_end", "over all tiers, at the end", unit="share"),
    Metric("accuracy_start", "the same before training", unit="share"),
    Metric("log_length_end", "logarithm of the tokens per answer at the end: differences are ratios", "lower", "nats"),
    Metric("length_end", "tokens per answer at the end", "lower", "tokens"),
    Metric("length_start", "the same before training", None, "tokens"),
    Metric("right_length_end", "tokens of right answers at the end", "lower", "tokens"),
    Metric("tier_1_length_end", "tokens on the easiest tier at the end", "lower", "tokens"),
    Metric("tier_3_length_end", "tokens on the hardest tier at the end", "lower", "tokens"),
    Metric("viable", "updates before accuracy fell 5 points below its best average", unit="updates"),
    Metric("log_viable", "its logarithm: differences are ratios", unit="nats"),
    Metric("frontier", "area under accuracy against length, up to the length before training", unit="share"),
    Metric("kl", "divergence from the warm start at the end", None, "nats"),
)
"""What `length_metrics` returns."""


def length_metrics(metrics: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """What became of accuracy and length in a run.

    Args:
        metrics: lines of `metrics.jsonl`.

    Raises:
        EvidenceError: the run has no evaluations.
    """
    lines = [line for line in metrics if line.get("gold") is not None]
    if not lines:
        raise EvidenceError("this run has no evaluations")

    def series(name: str) -> Float[np.ndarray, " e"]:
        return np.array([line[name] for line in lines], dtype=np.float64)

    steps, accuracy, length = [int(line["step"]) for line in lines], series("gold"), series("measure/length")
    tiers = {tier: series(f"measure/tier_{tier}_right") / series(f"measure/tier_{tier}") for tier in TIERS}
    tokens = {tier: series(f"measure/tier_{tier}_length") / series(f"measure/tier_{tier}") for tier in TIERS}
    with_end = {"accuracy": accuracy, "length": length} | {f"tier_{tier}": found for tier, found in tiers.items()}
    found = {f"{name}_start": float(values[0]) for name, values in with_end.items()}
    found |= {f"{name}_end": _end(values) for name, values in with_end.items()}
    viable = viable_updates(steps, accuracy.tolist())
    return found | {
        "tier_3_peak": float(tiers[3].max()),
        "tier_3_short": best_within(length.tolist(), tiers[3].tolist(), SHORT * found["length_start"]),
        "log_length_end": float(np.log(found["length_end"])),
        "right_length_end": _end(series("measure/right_length")) / max(found["accuracy_end"], 1e-9),
        "tier_1_length_end": _end(tokens[1]),
        "tier_3_length_end": _end(tokens[3]),
        "viable": float(viable),
        "log_viable": float(np.log(max(1, viable))),
        "frontier": frontier_area(length.tolist(), accuracy.tolist(), found["length_start"]),
        "efficiency": accuracy_efficiency(
            found["accuracy_end"], found["length_end"], max(found["accuracy_start"], 1e-9), found["length_start"]
        ),
        "kl": _end(series("kl")),
    }


def _end(values: Float[np.ndarray, " e"]) -> float:
    return float(values[-_AT_THE_END:].mean())
