"""What was found out about a reward of images, as findings in the words of a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trueward.audit.control.told import id_of
from trueward.audit.images.climbing import SEARCH, Climb
from trueward.audit.images.comparing import GAIN, LOSS, Gain, Scores
from trueward.audit.images.folder import Picture
from trueward.audit.images.growing import GROWTH, Growth
from trueward.audit.images.judging import Judged, Row
from trueward.audit.images.perturbations import FAMILIES
from trueward.audit.images.trying import Prompted
from trueward.measures.intervals import wilson
from trueward.report.document import Example, Finding
from trueward.report.wording import number
from trueward.status import Status

OTHER_PROMPT = "other prompt"
EVERYWHERE = "one for all"

# Families that are no change of pixels, with what they try.
PROMPT_FAMILIES = {
    OTHER_PROMPT: "the image under a prompt that it was not made for",
    EVERYWHERE: "one image under the prompts of all others",
}

MOST_EXAMPLES = 6


@dataclass(frozen=True)
class Telling:
    """What every example of an audit has in common.

    Attributes:
        reward: its name.
        pictures: the images.
        own: their scores.
        judged: what was found out.
    """

    reward: str
    pictures: Sequence[Picture]
    own: Scores
    judged: Judged


def spreads(value: float) -> str:
    """A gain: `+1.8 spreads`."""
    return f"{'+' if value > 0 else ''}{number(float(f'{value:.3g}'))} spreads"


def change_findings(told: Telling) -> list[Finding]:
    """One finding for each family of changes that speaks against the reward, the largest gain first."""
    found = [_change_finding(rows, told) for rows in told.judged.found.values()]
    order = [rows[0].gain.interval.mean for rows in told.judged.found.values()]
    return [finding for _, finding in sorted(zip(order, found, strict=True), key=lambda pair: -pair[0])]


def _change_finding(rows: Sequence[Row], told: Telling) -> Finding:
    worst = rows[0]
    family, relation = worst.perturbation.family, worst.perturbation.relation
    return _finding(
        told,
        "gain" if relation == "no_gain" else "exploit",
        family,
        ", ".join(row.perturbation.variant for row in rows),
        _title(worst),
        worst.gain,
        [_change_example(worst, place, told) for place in most_gained(worst.gain)],
        [id_of(family, row.perturbation.variant) for row in rows],
    )


def _title(row: Row) -> str:
    family, variant = row.perturbation.family, row.perturbation.variant
    by = row.gain.interval.mean
    if row.perturbation.relation == "no_gain":
        above = ""
        if 2 * row.gain.beyond >= row.gain.tested:
            above = f"; {row.gain.beyond} of {row.gain.tested} earn more than the best image as it is"
        return f"{family} ({variant}) raises the reward by {spreads(by).removeprefix('+')}{above}"
    what = {
        "constant": f"one even colour ({variant})",
        "pure noise": "pure noise",
        "shuffled": f"an image with its {variant} shuffled",
    }[family]
    if by > GAIN:
        return f"pays {what} more than the image that it stands for: {spreads(by)}"
    return f"pays {what} as much as the image that it stands for"


def most_gained(gain: Gain, most: int = MOST_EXAMPLES) -> list[int]:
    """Places of the images that gained most."""
    known = np.flatnonzero(np.isfinite(gain.by_image))
    return [int(place) for place in known[np.argsort(-gain.by_image[known], kind="stable")][:most]]


def _change_example(row: Row, place: int, told: Telling) -> Example:
    perturbation = row.perturbation
    by = row.gain.by_image[place]
    held = ""
    if row.holdout is not None and np.isfinite(row.holdout.by_image[place]):
        held = f" The other scorer: {spreads(float(row.holdout.by_image[place]))}."
    mean = row.gain.interval
    about = FAMILIES[perturbation.family]
    why = (
        f"{about[0].upper()}{about[1:]}. This image: {spreads(float(by))}; over {row.gain.tested} images "
        f"{spreads(mean.mean)} ({_signed(mean.low)} to {_signed(mean.high)}, all intervals of the audit together at "
        f"95 %).{held}"
    )
    return example_of(
        told,
        place,
        perturbation.family,
        perturbation.variant,
        perturbation.relation,
        f"{perturbation.family}, {perturbation.variant}",
        float(row.trial.scores[place]),
        why,
    )


def prompt_findings(prompted: Prompted, told: Telling) -> list[Finding]:
    """Images that are paid as much under prompts that they were not made for."""
    found = []
    elsewhere, everywhere = told.judged.elsewhere, told.judged.everywhere
    if elsewhere is not None and elsewhere.surely_as_much:
        title = "pays an image under another prompt as much as under its own"
        examples = [
            _prompt_example(told, place, prompted.others[place], prompted.elsewhere, OTHER_PROMPT)
            for place in most_gained(elsewhere)
        ]
        found.append(_finding(told, "exploit", OTHER_PROMPT, "", title, elsewhere, examples, [id_of(OTHER_PROMPT)]))
    if everywhere is not None and everywhere.surely_as_much and prompted.winner is not None:
        scores, name = prompted.everywhere, told.pictures[prompted.winner].name
        assert scores is not None
        more = everywhere.interval.mean > GAIN
        title = f"one image earns {'more than' if more else 'as much as'} those that were made for the prompt"
        title += f": {spreads(everywhere.interval.mean)}" if more else ""
        examples = [
            _prompt_example(told, place, told.pictures[place].prompt, scores, EVERYWHERE, shown=name)
            for place in most_gained(everywhere)
        ]
        found.append(_finding(told, "exploit", EVERYWHERE, name, title, everywhere, examples, [id_of(EVERYWHERE)]))
    return found


def _prompt_example(
    told: Telling, place: int, prompt: str, scores: Scores, family: str, shown: str | None = None
) -> Example:
    why = (
        "It was made for another prompt, and earns here what the image that was made for this one does, to within "
        f"{number(LOSS)} spreads."
        if shown is not None
        else f"It was made for {told.pictures[place].prompt!r}."
    )
    variant = "" if shown is None else shown
    example = example_of(
        told, place, family, variant, "wrong", shown or "the image as it is", float(scores[place]), why
    )
    return Example(**{**example, "prompt": prompt})


def growth_finding(growth: Growth, told: Telling) -> Finding | None:
    """Images that were spoiled step by step and earn far more than the best-paid ones did; None where few do."""
    gain = told.judged.growth
    if gain is None or not told.judged.grew:
        return None
    by = gain.interval.mean
    title = f"goes on rising past the best-paid images: {spreads(by)} after {growth.rounds[-1]} small changes"
    examples = []
    for at in most_gained(gain):
        held = ""
        if growth.holdout is not None:
            first, last = growth.holdout[0, at], growth.holdout[-1, at]
            held = f" The other scorer: {number(float(first))} before, {number(float(last))} after."
        why = (
            f"Patterns, contrast and light, a little at a time, whatever was paid: {spreads(float(gain.by_image[at]))} "
            f"against the mean of the {len(growth.places)} best-paid images as they are.{held}"
        )
        reward = float(growth.scores[-1, at])
        shown = f"after {growth.rounds[-1]} small changes"
        examples.append(example_of(told, growth.places[at], GROWTH, "", "no_gain", shown, reward, why))
    return _finding(told, "gain", GROWTH, "", title, gain, examples, [id_of(GROWTH)])


def climb_finding(climbed: Climb, told: Telling) -> Finding | None:
    """A chain of changes that surely raises the reward of images it was not found on; None where none does."""
    gain = told.judged.climb
    if gain is None or not gain.surely_raised:
        return None
    steps = [step.variant for step in climbed.chain]
    above = f"; {gain.beyond} of {gain.tested} earn more than the best image" if 2 * gain.beyond >= gain.tested else ""
    count = "one change" if len(steps) == 1 else f"a chain of {len(steps)} changes"
    title = f"{count} raises the reward by {spreads(gain.interval.mean).removeprefix('+')}{above}"
    examples = []
    for at in most_gained(gain):
        example = example_of(
            told,
            climbed.rest[at],
            SEARCH,
            " → ".join(steps),
            "no_gain",
            " → ".join(steps),
            float(climbed.path[-1][at]),
            f"This image: {spreads(float(gain.by_image[at]))}. The chain was found on {len(climbed.pool)} others.",
        )
        examples.append(Example(**{**example, "derivation": steps}))
    return _finding(told, "gain", SEARCH, " → ".join(steps), title, gain, examples, [id_of(SEARCH, *steps)])


def _finding(
    told: Telling,
    kind: str,
    family: str,
    variant: str,
    title: str,
    gain: Gain,
    examples: list[Example],
    hits: list[str],
) -> Finding:
    count = gain.as_much if kind == "exploit" else told.judged.far if family == GROWTH else gain.raised
    low, high = wilson(count, gain.tested)
    return Finding(
        modality="images",
        kind=kind,  # type: ignore[typeddict-item]
        family=family,
        variant=variant,
        title=title,
        prompts=count,
        tested=gain.tested,
        share=count / max(1, gain.tested),
        low=low,
        high=high,
        mean_payoff=None,
        examples=examples,
        hits=hits,
    )


def example_of(
    told: Telling,
    place: int,
    family: str,
    variant: str,
    relation: str,
    shown: str,
    reward: float | None,
    why: str,
    base: float | None = None,
) -> Example:
    """One image with what the reward did with it.

    Args:
        told: what all examples share.
        place: of the image that it was made from.
        family, variant, relation: of the change.
        shown: what is said to have been made of it.
        reward: what it earned; None for no score.
        why: one sentence or two.
        base: what it is held against; by default the score of the image as it is, where it must not earn more.
    """
    picture, own = told.pictures[place], float(told.own[place])
    known = own if np.isfinite(own) else None
    before = base if base is not None else known if relation == "no_gain" else None
    return Example(
        modality="images",
        id=id_of(picture.name, family, variant),
        scorer=told.reward,
        row=picture.name,
        family=family,
        variant=variant,
        relation=relation,
        prompt=picture.prompt,
        reference=picture.name,
        completion=shown,
        reward=reward,
        status=Status.OK.value,
        detail="",
        payoff=None,
        right_reward=known if relation == "wrong" else None,
        null_reward=None,
        base_reward=before,
        why=why,
        derivation=[],
    )


def _signed(value: float) -> str:
    return f"+{number(value)}" if value > 0 else number(value)
