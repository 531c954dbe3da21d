"""Hypothesis: shrinks what pays to the steps that it needs, and looks for deeper combinations guided by payoff.

Both are derandomised: the same reward and data give the same finds in every run.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from trueward.audit.search.asking import Asked, Asking
from trueward.audit.search.constructions import HEDGES, NOTHING, REFERENCE, Construction, arranged
from trueward.audit.search.steps import LARGEST_AMOUNT, STEPS
from trueward.errors import MissingExtra
from trueward.tasks.text.rows import Row

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

_MOST_STEPS = 4
_SHRINKS = 300
Known = Callable[[Construction], bool]


def require_hypothesis() -> None:
    """Raises `MissingExtra` where Hypothesis is not installed."""
    try:
        import hypothesis  # noqa: F401
    except ImportError as error:
        raise MissingExtra(
            "searching needs hypothesis, which is not installed: pip install 'trueward[search]'"
        ) from error


def shrink(asked: Asked, asking: Asking, known: Known) -> Asked:
    """The smallest construction inside this one that is still certified wrong and still paid.

    Steps are left out, what is repeated is repeated less often; then the first steps of the same kinds are looked for
    that do as well, and the base that knows least. The certificate is asked again every time.

    Args:
        asked: what was paid.
        asking: asks the reward.
        known: whether a construction shows a cause that is known already: those are not shrunk to.
    """
    from hypothesis import strategies as st

    construction, row = asked.construction, asked.row
    steps = construction.steps
    amounts = st.integers(1, construction.amount)
    smaller = st.tuples(st.tuples(*(st.booleans() for _ in steps)), amounts).map(
        lambda kept: arranged(
            construction.base, tuple(step for step, keep in zip(steps, kept[0], strict=True) if keep), kept[1]
        )
    )

    def still_paid(other: Construction) -> bool:
        return not known(other) and _paid(other, row, asking) is not None

    fewest = _find(smaller, still_paid, _SHRINKS) or construction
    plainer = st.tuples(*(st.sampled_from(_no_later(step)) for step in fewest.steps)).map(
        lambda chosen: arranged(fewest.base, chosen, fewest.amount)
    )
    plainest = _find(plainer, still_paid, _SHRINKS) or fewest
    simpler = st.sampled_from(simplest_first(asking.builder.bases(row))).map(lambda base: replace(plainest, base=base))
    best = _find(simpler, still_paid, _SHRINKS) or plainest
    return _paid(best, row, asking) or asked


def _no_later(step: int) -> list[int]:
    """Steps of the same slot and kind that stand no later in the vocabulary, the first one first."""
    wanted = STEPS[step]
    return [i for i in range(step + 1) if (STEPS[i].slot, STEPS[i].kind) == (wanted.slot, wanted.kind)]


def simplest_first(bases: Iterable[str]) -> list[str]:
    """Bases in the order in which a reader wants to see them: what knows least first."""
    return sorted(bases, key=lambda base: (base in HEDGES, base == REFERENCE, base != NOTHING))


def explore(bases: Sequence[str], rows: Sequence[Row], asking: Asking, known: Known) -> Asked | None:
    """A certified and paid construction of up to four steps, guided by payoff; None when the budget ends first.

    Args:
        bases: names of the bases to start from, the one that shows most first.
        rows: rows to try, the first one first.
        asking: asks the reward.
        known: whether a construction shows a cause that is known already.
    """
    from hypothesis import strategies as st
    from hypothesis import target

    steps = st.lists(st.integers(0, len(STEPS) - 1), min_size=1, max_size=_MOST_STEPS, unique=True)
    tries = st.tuples(
        st.builds(arranged, st.sampled_from(list(bases)), steps.map(tuple), st.integers(1, LARGEST_AMOUNT)),
        st.sampled_from(list(rows)),
    )

    def paid(tried: tuple[Construction, Row]) -> bool:
        construction, row = tried
        if known(construction):
            return False
        found = asking.ask([(construction, row)])
        if not found:
            return False
        payoff = found[0].payoff
        if payoff is not None and math.isfinite(payoff):
            target(payoff, label="payoff")
        return found[0].paid

    found = _find(tries, paid, asking.left)
    return None if found is None else _paid(found[0], found[1], asking)


def _paid(construction: Construction, row: Row, asking: Asking) -> Asked | None:
    found = asking.ask([(construction, row)])
    return found[0] if found and found[0].paid else None


def _find(strategy: SearchStrategy[Any], condition: Callable[[Any], bool], examples: int) -> Any | None:
    """The minimal example of the strategy for which the condition holds, or None."""
    from hypothesis import HealthCheck, Phase, find, settings
    from hypothesis.errors import NoSuchExample

    if examples < 1:
        return None
    chosen = settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.target, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    try:
        return find(strategy, condition, settings=chosen)
    except NoSuchExample:
        return None
