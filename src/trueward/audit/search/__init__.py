"""Search for exploits that no fixed probe tries.

In: a calibrated reward and a budget of calls. Out: the smallest completion for every cause by which a wrong answer is
paid. What is changed is always how a completion is made, never its text, so that the certificate is asked again after
every change and every shrink: "12 or 13" cannot become "12".

- `steps`: small changes to a derivation, each with a name.
- `constructions`: a base, steps and an amount; what a search tries, for any row.
- `asking`: certifies, asks the reward within the budget, remembers.
- `sweep`: every step alone, then several at a time, so that pairs are covered with few calls.
- `explore`: Hypothesis: deeper combinations guided by payoff, and shrinking.
- `search`: all of it; finds by cause, tried on other rows.
"""

from trueward.audit.search.search import Find, Searched, search

__all__ = ["Find", "Searched", "search"]
