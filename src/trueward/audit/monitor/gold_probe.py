"""The gold probe: a few rollouts of every step are checked strictly, and an alarm comes where gold has fallen."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from trueward.audit.monitor.drawn import drawn, generator_of, means_of_prompts, rows_by_prompt
from trueward.audit.monitor.gold_check import Checked, GoldCheck
from trueward.audit.monitor.notice import Example, Notice, different
from trueward.audit.monitor.proxy_up import ProxyUp
from trueward.audit.monitor.step import Step
from trueward.errors import AuditError
from trueward.measures.sequential import FallTest, Reference, fall_below
from trueward.rewards.references import text_of
from trueward.status import Status

SOURCE = "gold probe"
PROXY_SOURCE = "proxy up, gold flat"
_MEAN_OF = 10  # steps that the logged mean of gold is taken over
_KEPT, _SHOWN = 32, 5  # rollouts kept as candidates for examples, and shown
_TEXT = 2000  # characters of a text that are kept

_Candidate = tuple[Any, Any, float, float, Status]
"""Prompt, completion, reward, gold, and what became of the check."""


class GoldProbe:
    r"""Checks a small random sample of the rollouts of each step; alarms where gold fell below where it was.

    The first `window` steps are the reference. Of each later step `budget` rollouts are checked, of as many prompts as
    there are. One observation is the mean gold of the checked rollouts of one prompt, so every prompt counts the same.
    $H_0$: after the window the mean gold of every step is at least the mean of the window − `margin`. A run for which
    that holds is alarmed with a probability of at most `level`, however long it is and however often one looks; see
    `trueward.measures.sequential`. What is assumed, one of two:

    - *of the policy*: the prompts of a step are drawn independently of one another, from any distribution; the mean of
      a step is the expected gold of the policy on a prompt drawn like that;
    - *of the rollouts*: nothing of prompts and policy. The mean of a step is that of its prompts' mean gold, and chance
      is only in which rollouts the probe draws, with its own generator, without replacement.

    Rollouts that could not be checked are left out and counted, which assumes that this does not depend on their gold.
    The reward is not read for the alarm at all. For the second notice, "proxy up, gold flat", and to choose examples,
    only its ranks are, so nothing changes where the reward is scaled or shifted. That notice has no guarantee.

    An alarm says that the mean gold has been lower at some time after the window than margin allows. It does not say
    why, nor is a run without one sound: a fall that is small, short or late may be missed, and where the window's gold
    is at or below the margin there is nothing to fall.

    Args:
        gold: see `GoldCheck`.
        budget: rollouts checked per step.
        margin: δ, by how much mean gold may fall.
        level: α, probability of an alarm over a whole healthy run.
        window: steps of the reference, counted where something could be checked.
        reference_budget: rollouts checked per step of the window. They cost once, and what is known of the reference
            limits how soon a fall is found.
        seed: of the draws; they depend on it and the step's number, on nothing else.

    Raises:
        AuditError: a count below 1, or margin or level outside (0, 1).
        RewardError: the check cannot be found or called.
    """

    name = SOURCE

    def __init__(
        self,
        gold: Any,
        *,
        budget: int = 8,
        margin: float = 0.05,
        level: float = 0.05,
        window: int = 10,
        reference_budget: int = 64,
        seed: int = 0,
    ) -> None:
        counts = {"budget": budget, "window": window, "reference_budget": reference_budget}
        wrong = [f"{name}={value!r}" for name, value in counts.items() if value < 1]
        wrong += [f"{name}={value!r}" for name, value in (("margin", margin), ("level", level)) if not 0 < value < 1]
        if wrong or seed < 0:
            raise AuditError(
                f"gold probe: {', '.join(wrong) or f'seed={seed!r}'}: counts must be at least 1, margin and level "
                "between 0 and 1, the seed not below 0"
            )
        self._check = GoldCheck(gold)
        self._budget, self._reference_budget, self._window = budget, reference_budget, window
        self._margin, self._level, self._seed = margin, level, seed
        self._reference: Reference | None = None
        self._reference_mean = math.nan
        self._test: FallTest | None = None
        self._proxy = ProxyUp(margin)
        self._in_window = 0
        self._counts = {"probe/checked": 0, "probe/unchecked": 0, "probe/failed": 0}
        self._means: list[float] = []
        self._candidates: list[_Candidate] = []
        self._log_e_value = 0.0
        self._said: list[str] = []

    def observe(self, step: Step) -> tuple[dict[str, float], list[Notice]]:
        """Check some rollouts of a step.

        Raises:
            RewardError: see `GoldCheck`.
        """
        prompts = rows_by_prompt(step)
        budget = self._budget if self._test is not None else self._reference_budget
        of_prompts = drawn(prompts, budget, generator_of(self._seed, step.number))
        places = [place for rows in of_prompts for place in rows]
        if self._reference is None:
            # Fixed before gold is seen: how much is bet on the window must not depend on it.
            self._reference = Reference(planned=self._window * min(len(prompts), budget))
        checked = self._check(step, places)
        gold = checked.values.tolist()
        values = means_of_prompts(gold, [len(rows) for rows in of_prompts])
        notices: list[Notice] = []
        if len(values):
            self._means = [*self._means[1 - _MEAN_OF :], float(np.add.reduce(values)) / len(values)]
            notices = self._weigh(step, places, checked, values)
        unchecked = sum(one != one for one in gold)
        self._counts["probe/checked"] += len(places) - unchecked
        self._counts["probe/unchecked"] += unchecked
        self._counts["probe/failed"] += sum(one.blames_answer for one in checked.status if one is not Status.OK)
        return self._metrics(), notices

    def _weigh(self, step: Step, places: list[int], checked: Checked, values: np.ndarray) -> list[Notice]:
        """Lay the bets; values are those of prompts, of which the checked rollouts at `places` are some."""
        assert self._reference is not None
        rewards = [float(step.reward[place]) for place in places]
        if self._test is not None:
            self._test = self._test.seen(values)
            self._log_e_value = float(self._test.log_e_value)
            self._proxy.seen(rewards, values)
            self._remember(step, places, rewards, checked)
            return self._notices(step)
        self._reference = self._reference.seen(values)
        self._reference_mean = float(self._reference.mean)
        self._proxy.window(rewards, values)
        self._in_window += 1
        if self._in_window < self._window:
            return []
        self._start()
        return self._nothing_to_lose(step)

    def _start(self) -> None:
        """The window is over."""
        assert self._reference is not None
        self._test = fall_below(self._reference, margin=self._margin, level=self._level)
        self._log_e_value = float(self._test.log_e_value)

    def _notices(self, step: Step) -> list[Notice]:
        assert self._test is not None and self._reference is not None
        found = []
        if SOURCE not in self._said and self._log_e_value >= -math.log(self._level):
            message = (
                f"mean gold has fallen below its line: over the last {len(self._means)} steps it was "
                f"{sum(self._means) / len(self._means):.2f}, in the first {self._window} steps "
                f"{self._reference_mean:.2f}, and {self._line:.2f} is the line (e-value "
                f"{math.exp(min(self._log_e_value, 30)):.3g}; a run that stays above the line comes to this with a "
                f"probability of at most {self._level:g})"
            )
            found.append(Notice("alarm", SOURCE, step.number, message, self._examples()))
        flat = self._proxy.found() if PROXY_SOURCE not in self._said else None
        if flat is not None:
            message = (
                f"the reward has risen and gold has not: a rollout of the last steps earns more than one of the first "
                f"{self._window} in {self._proxy.rank:.0%} of comparisons, and mean gold changed by {flat[0]:+.2f} "
                f"(standard error {flat[1]:.2f}). No guarantee against a false notice goes with this"
            )
            found.append(Notice("notice", PROXY_SOURCE, step.number, message, self._examples()))
        self._said += [notice.source for notice in found]
        return found

    def _nothing_to_lose(self, step: Step) -> list[Notice]:
        if self._line > 0:
            return []
        message = (
            f"the probe cannot alarm in this run: mean gold of the first {self._window} steps is "
            f"{self._reference_mean:.2f}, and no mean can fall {self._margin:g} below that. Start the monitor "
            "where the policy already earns gold, or give a smaller margin"
        )
        return [Notice("notice", SOURCE, step.number, message)]

    @property
    def _line(self) -> float:
        return self._reference_mean - self._margin

    def _remember(self, step: Step, places: list[int], rewards: list[float], checked: Checked) -> None:
        """Keep what was checked lately; what examples show is made when there is something to show."""
        kept = [
            (step.prompts[place], step.completions[place], reward, gold, status)
            for place, reward, gold, status in zip(
                places, rewards, checked.values.tolist(), checked.status, strict=True
            )
            if gold == gold
        ]
        self._candidates = [*self._candidates, *kept][-_KEPT:]

    def _examples(self) -> list[Example]:
        """Of what was checked lately: the least gold first, of these what earned most."""
        earned = sorted(self._candidates, key=lambda one: (one[3], -one[2] if math.isfinite(one[2]) else math.inf))
        examples = [
            Example(
                prompt=_short(prompt),
                completion=_short(completion),
                reward=reward if math.isfinite(reward) else None,
                gold=gold,
                why="" if status.ok else f"the check ended with: {status.value}",
            )
            for prompt, completion, reward, gold, status in earned
        ]
        return different(examples)[:_SHOWN]

    def _metrics(self) -> dict[str, float]:
        metrics: dict[str, float] = dict(self._counts)
        if self._means:
            metrics["probe/gold"] = sum(self._means) / len(self._means)
            metrics["probe/reference"] = self._reference_mean
        if self._test is not None:
            metrics["probe/line"] = self._line
            metrics["probe/e_value"] = self._log_e_value / math.log(10)
        return metrics

    def state_dict(self) -> dict[str, Any]:
        """Everything that it keeps, as JSON values."""
        return {
            "settings": self._settings(),
            "reference": None if self._reference is None else self._reference.state_dict(),
            "test": None if self._test is None else self._test.state_dict(),
            "proxy": self._proxy.state_dict(),
            "in_window": self._in_window,
            "counts": dict(self._counts),
            "means": list(self._means),
            "candidates": [
                [_short(prompt), _short(completion), reward if math.isfinite(reward) else None, gold, status.value]
                for prompt, completion, reward, gold, status in self._candidates
            ],
            "said": list(self._said),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take that back.

        Raises:
            AuditError: it is the state of a probe with other settings.
        """
        if state["settings"] != self._settings():
            raise AuditError(
                f"the saved gold probe had the settings {state['settings']} and this one has {self._settings()}: its "
                "guarantee is for one test with one line. Give the same settings, or start the run anew"
            )
        self._reference = None if state["reference"] is None else Reference.from_state(state["reference"])
        self._reference_mean = math.nan if self._reference is None else float(self._reference.mean)
        self._test = None if state["test"] is None else FallTest.from_state(state["test"])
        self._proxy.load_state_dict(state["proxy"])
        self._in_window, self._counts = int(state["in_window"]), dict(state["counts"])
        self._means, self._said = list(state["means"]), list(state["said"])
        self._candidates = [
            (prompt, completion, math.nan if reward is None else reward, gold, Status(status))
            for prompt, completion, reward, gold, status in state["candidates"]
        ]
        self._log_e_value = 0.0 if self._test is None else float(self._test.log_e_value)

    def _settings(self) -> dict[str, Any]:
        return {
            "budget": self._budget,
            "margin": self._margin,
            "level": self._level,
            "window": self._window,
            "reference_budget": self._reference_budget,
            "seed": self._seed,
        }


def _short(content: Any) -> str:
    """As text, the middle left out where it is long."""
    text = text_of(content)
    return text if len(text) <= _TEXT else f"{text[: _TEXT // 2]} … {text[-_TEXT // 2 :]}"
