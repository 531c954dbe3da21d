"""What best-of-n makes of groups of reward models: gold and features of what they pick, and how far they agree.

A grid of K trunks × H reward models (`ensemble_bed`) is cut into groups: each model alone, those of one trunk, or one
of each trunk. Every number is a mean over the groups, so that no arm depends on which model happened to be taken.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Float

from trueward.evidence.recipe import Metric
from trueward.measures.best_of_n import best_of_n
from trueward.report.atomic import write_whole
from trueward.rewards.models.ensemble import Aggregate, aggregated

if TYPE_CHECKING:
    from trueward.evidence.run import Run
    from trueward.training.best_of_n import Pool

N = (1, 2, 4, 8, 16, 32, 64)
Grouping = Literal["single", "finetune", "pretrain"]

PICK_METRICS = (
    *(Metric(f"gold_{n}", f"gold of the best of {n}") for n in N),
    Metric("gold_peak", "highest gold over n"),
    Metric("peak_n", "n of the highest gold", None),
    Metric("listed_1", "lists, which annotators like and nobody asked for", None, "share"),
    Metric("listed_64", "the same in the best of 64", "lower", "share"),
    Metric("listed_rise", "the same, 64 minus 1", "lower", "share"),
    Metric("courteous_1", "replies with a courtesy", None, "share"),
    Metric("courteous_64", "the same in the best of 64", None, "share"),
    Metric("unasked_1", "remedies that nobody asked for", "lower"),
    Metric("unasked_64", "the same in the best of 64", "lower"),
    Metric("proxy_rise", "score of the best of 64, minus that of any", None),
    Metric("spread_1", "standard deviation over the members of a group", None),
    Metric("spread_64", "the same in the best of 64", None),
)
"""What `picks` returns."""

AGREEMENT_METRICS = (
    Metric("within_1", "rank correlation of two models of one pretraining", None),
    Metric("within_best", "the same over what a third model likes best", None),
    Metric("between_1", "rank correlation of models of two pretrainings", None),
    Metric("between_best", "the same over what a third model likes best", None),
)
"""What `agreement` returns."""


def grouped(scores: Float[np.ndarray, "k h p s"], how: Grouping) -> Float[np.ndarray, "g m p s"]:
    """Scores of the members of each group, G groups of M members.

    - single: G = K · H groups of one.
    - finetune: G = K, the models of one trunk.
    - pretrain: G = H groups with one model of each trunk; group d has model (k + d) mod H of trunk k, so that no two
      groups share a model.

    Args:
        scores: trunks × heads × prompts × samples.
        how: see above.
    """
    trunks, heads = scores.shape[:2]
    if how == "single":
        return scores.reshape(trunks * heads, 1, *scores.shape[2:])
    if how == "finetune":
        return scores
    every = np.arange(trunks)
    return np.stack([scores[every, (every + draw) % heads] for draw in range(heads)])


def combined(groups: Float[np.ndarray, "g m p s"], how: Aggregate) -> Float[np.ndarray, "g p s"]:
    """The score of each group."""
    return np.stack([aggregated(group, how) for group in groups])


def picks(groups: Float[np.ndarray, "g m p s"], how: Aggregate, pool: Pool) -> dict[str, float]:
    """What the best of n by each group is worth, exactly, for every n: see `PICK_METRICS`."""
    proxy = combined(groups, how)
    gold, listed, courteous, unasked = (
        picked(proxy, np.broadcast_to(pool.measured(name), proxy.shape))
        for name in (None, "listed", "courteous", "unasked")
    )
    liked, spread = picked(proxy, proxy), picked(proxy, groups.std(axis=1))
    found = {f"gold_{n}": gold[place] for place, n in enumerate(N)}
    found |= {"gold_peak": gold.max(), "peak_n": N[int(gold.argmax())], "proxy_rise": liked[-1] - liked[0]}
    both = {"listed": listed, "courteous": courteous, "unasked": unasked, "spread": spread}
    found |= {f"{name}_{n}": values[place] for name, values in both.items() for n, place in ((1, 0), (64, -1))}
    found["listed_rise"] = listed[-1] - listed[0]
    return {name: float(value) for name, value in found.items()}


def picked(proxy: Float[np.ndarray, "g p s"], values: Float[np.ndarray, "g p s"]) -> Float[np.ndarray, " n"]:
    """Expected value of the sample that a group likes best among n, mean over prompts and groups, for each n of `N`."""
    expected = [best_of_n(one, paid, N).mean(axis=0) for one, paid in zip(proxy, values, strict=True)]
    return np.asarray(np.mean(expected, axis=0))


def agreement(scores: Float[np.ndarray, "k h p s"], draws: int = 8) -> dict[str, float]:
    """Rank correlation of two reward models, over samples as drawn and over those that a third one likes best.

    Spearman's ρ over prompts, one sample of each: any sample ("…_1", mean over the first draws), or the best of all S
    by a reward model of another trunk than both ("…_best", mean over such models). Means over pairs of models of one
    trunk ("within_…") and of two ("between_…").

    Args:
        scores: trunks × heads × prompts × samples; at least three trunks with two heads.
        draws: samples per prompt that count for "…_1".
    """
    trunks, heads, prompts, samples = scores.shape
    flat = scores.reshape(trunks * heads, prompts, samples)
    belongs = np.repeat(np.arange(trunks), heads)
    upper = np.triu(np.ones((len(flat), len(flat)), dtype=bool), 1)
    same = belongs[:, None] == belongs
    found: dict[str, list[float]] = {f"{pair}_{n}": [] for pair in ("within", "between") for n in ("1", "best")}

    def add(picked: Float[np.ndarray, "m p"], n: str, counts: np.ndarray) -> None:
        ranks = picked.argsort(axis=1).argsort(axis=1)
        correlation = np.atleast_2d(np.corrcoef(ranks))
        found[f"within_{n}"].append(float(correlation[upper & same & counts].mean()))
        found[f"between_{n}"].append(float(correlation[upper & ~same & counts].mean()))

    for draw in range(min(draws, samples)):
        add(flat[:, :, draw], "1", np.ones_like(upper))
    for third in range(len(flat)):
        other = belongs != belongs[third]
        best = flat[third].argmax(axis=1)
        add(flat[:, np.arange(prompts), best], "best", other[:, None] & other)
    return {name: float(np.mean(values)) for name, values in found.items()}


def write_curve(run: Run, pool: Pool, proxy: Float[np.ndarray, "g p s"]) -> None:
    """Log what best-of-n earns, as training would: a step is an n, its curves the means over G groups of models.

    The rollouts that are kept for reading are those that the first group likes best among the first n of each prompt.
    """
    from trueward.tasks.text.rollout_formats import write_rollouts
    from trueward.tasks.text.rollouts import LoggedCompletion
    from trueward.training.record import texts_of

    gold, length = pool.measured(), pool.measured("length")
    told = {"proxy": proxy, "gold": np.broadcast_to(gold, proxy.shape), "length": np.broadcast_to(length, proxy.shape)}
    curves = {name: picked(proxy, values).tolist() for name, values in told.items()}
    lines = [
        {"step": n, "kl": math.log(n) - (n - 1) / n, **{name: values[place] for name, values in curves.items()}}
        for place, n in enumerate(N)
    ]
    run.directory.mkdir(parents=True, exist_ok=True)
    write_whole(run.directory / "metrics.jsonl", "".join(json.dumps(line) + "\n" for line in lines).encode())
    folder = run.directory / "rollouts"
    folder.mkdir(exist_ok=True)
    texts = np.array(texts_of(pool.rollouts), dtype=object).reshape(gold.shape)
    for size in N:
        best = proxy[0, :, :size].argmax(axis=1)
        chosen = [
            LoggedCompletion(
                step=size,
                prompt=row.prompt,
                completion=texts[place, sample],
                rewards={"reward": float(proxy[0, place, sample])},
                gold=float(gold[place, sample]),
                length=int(length[place, sample]),
                group=str(place),
            )
            for place, (row, sample) in enumerate(zip(pool.rows, best.tolist(), strict=True))
        ]
        write_rollouts(folder / f"best-of-{size:04d}.parquet", chosen)
