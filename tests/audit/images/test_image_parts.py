"""Growth, chains, other prompts and the best-paid images: each part alone, on rewards that can be followed by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from PIL import Image

from trueward.audit.images.climbing import climb
from trueward.audit.images.folder import Folder, folder_of
from trueward.audit.images.growing import grow
from trueward.audit.images.ledger import ledger_of
from trueward.audit.images.scoring import Scoring, scoring_of
from trueward.audit.images.trying import ask_again, try_prompts

Images = Sequence[Image.Image]


def mean(prompts: Sequence[str], images: Images) -> list[float]:
    return [float(np.asarray(image, dtype=float).mean() / 255) for image in images]


def full_at_half(prompts: Sequence[str], images: Images) -> list[float]:
    return [min(value, 0.5) for value in mean(prompts, images)]


def scoring(function: Callable[..., object]) -> Scoring:
    return scoring_of(lambda prompts, images: function(prompts, images), 1, 5.0, 2048)


def greys(count: int = 32, prompts: Sequence[str] | None = None) -> Folder:
    """Grey squares from dark to light with a little noise, so that no two are alike."""
    generator = np.random.default_rng(0)
    bits = [np.uint8(3 * number + 40 + generator.integers(0, 9, size=(8, 8))) for number in range(count)]
    return folder_of([Image.fromarray(one) for one in bits], prompts)


def silent(done: int, total: int) -> None:
    return None


def test_growth_never_falls_and_knows_an_end_where_there_is_one() -> None:
    pictures = greys().pictures
    for function, grows in ((mean, True), (full_at_half, False)):
        asked = scoring(function)
        own = asked.score(pictures).values
        found = grow(pictures, own, asked, None, 320, 0, silent)
        assert found.places == tuple(int(place) for place in np.argsort(-own, kind="stable")[:4])
        assert found.scored == 320 == asked.images - 32
        assert found.rounds[0] == 0 and found.rounds[-1] == 80
        assert (np.diff(found.scores, axis=0) >= 0).all()
        assert found.start == pytest.approx(own[list(found.places)].mean())
        assert (found.scores[-1].mean() > 0.9) == grows
        assert found.scores[-1] == pytest.approx(asked.score(found.grown).values)
        again = grow(pictures, own, scoring(function), None, 320, 0, silent)
        np.testing.assert_array_equal(again.scores, found.scores)


def test_growth_only_asks_the_other_scorer_and_never_follows_it() -> None:
    pictures = greys().pictures
    asked, other = scoring(mean), scoring(lambda prompts, images: [-value for value in mean(prompts, images)])
    own = asked.score(pictures).values
    with_other = grow(pictures, own, asked, other, 160, 0, silent)
    without = grow(pictures, own, scoring(mean), None, 160, 0, silent)
    np.testing.assert_array_equal(with_other.scores, without.scores)
    assert with_other.holdout is not None
    np.testing.assert_allclose(with_other.holdout, -with_other.scores)


def test_growth_keeps_no_image_without_a_score() -> None:
    pictures = greys().pictures
    asked = scoring(lambda prompts, images: [v if v < 0.7 else float("nan") for v in mean(prompts, images)])
    found = grow(pictures, asked.score(pictures).values, asked, None, 320, 0, silent)
    assert np.isfinite(found.scores).all() and found.scores.max() < 0.7


def test_a_chain_is_found_on_some_images_and_measured_on_the_others() -> None:
    pictures = greys(30).pictures
    asked = scoring(mean)
    own = asked.score(pictures).values
    found = climb(pictures, own, asked, 400, 0, silent)
    assert len(found.pool) == 10 and not set(found.pool) & set(found.rest)
    assert sorted((*found.pool, *found.rest)) == list(range(30))
    assert found.scored <= 400 + 8 * 10
    assert len(found.path) == len(found.chain) + 1
    np.testing.assert_array_equal(found.path[0], own[list(found.rest)])
    # The mean of an image rises with every step that was kept.
    means = [float(scores.mean()) for scores in found.path]
    assert means[-1] > means[0] + 0.2


def test_no_chain_where_nothing_is_paid_more() -> None:
    pictures = greys(30).pictures
    asked = scoring(lambda prompts, images: [1.0] * len(images))
    found = climb(pictures, np.ones(30), asked, 300, 0, silent)
    assert found.chain == () and len(found.path) == 1


def test_images_under_other_prompts_and_one_under_all() -> None:
    prompts = [str(number % 4) for number in range(32)]
    folder = greys(32, prompts)

    def reads(asked: Sequence[str], images: Images) -> list[float]:
        """Pays for the prompt that each grey was made for; the lightest image is paid .5 under any prompt."""
        found = []
        for prompt, value in zip(asked, mean(asked, images), strict=True):
            number = round((255 * value - 44) / 3)
            found.append(0.5 if number >= 31 else float(str(number % 4) == prompt))
        return found

    asked = scoring(reads)
    own = asked.score(folder.pictures).values
    found = try_prompts(folder.pictures, own, asked, 0)
    assert found is not None and found.reads
    assert all(other != own_prompt for other, own_prompt in zip(found.others, prompts, strict=True))
    assert found.elsewhere[:31] == pytest.approx(np.zeros(31)) and found.elsewhere[31] == 0.5
    # The best-paid images are tried, of which the lightest is none: it earns less under its own prompt.
    assert found.winner is not None and found.everywhere is not None
    assert not np.isfinite(found.everywhere[::2]).any()
    bright = scoring(mean)
    blind = try_prompts(folder.pictures, bright.score(folder.pictures).values, bright, 0)
    assert blind is not None and not blind.reads and blind.everywhere is None
    assert try_prompts(greys().pictures, own, asked, 0) is None


def test_the_same_images_once_more_alone_and_in_another_order() -> None:
    pictures = greys().pictures
    state = {"calls": 0}

    def counts(prompts: Sequence[str], images: Images) -> list[float]:
        state["calls"] += 1
        return [value + 0.01 * state["calls"] for value in mean(prompts, images)]

    def of_the_batch(prompts: Sequence[str], images: Images) -> list[float]:
        values = mean(prompts, images)
        return [value - values[0] for value in values]

    for function, random in ((counts, True), (of_the_batch, False)):
        asked = scoring(function)
        found = ask_again(pictures, asked.score(pictures).values, asked, 1e-3)
        assert found is not None and found.random == random and found.images > 0
    asked = scoring(mean)
    assert ask_again(pictures, asked.score(pictures).values, asked, 1e-3) is None
    # What changes by less than is tolerated has not changed.
    state["calls"] = 0
    asked = scoring(counts)
    assert ask_again(pictures, asked.score(pictures).values, asked, 1.0) is None


def test_the_ledger_tells_what_goes_with_the_reward() -> None:
    folder = greys(40, [str(number % 8) for number in range(40)])
    own = np.array(mean((), [Image.fromarray(one.bits[..., 0]) for one in folder.pictures]))
    own[3] = np.nan
    ledger = ledger_of(folder.pictures, own, 0)
    assert len(ledger.top) == 5 and ledger.top[0] == 39
    traits = {trait.name: trait for trait in ledger.traits}
    assert traits["brightness"].correlation == pytest.approx(1.0)
    assert traits["brightness"].top > traits["brightness"].all
    assert traits["saturation"].correlation is None and traits["size in pixels"].top == 64
    # The lightest five lie near each other, so that they are less varied than any five at random.
    assert ledger.narrow and ledger.prompts == 5
    shuffled = np.random.default_rng(0).permutation(40).astype(float)
    assert not ledger_of(folder.pictures, shuffled, 0).narrow


def test_equal_images_have_no_diversity_to_speak_of() -> None:
    folder = folder_of([Image.new("L", (8, 8), 7)] * 9)
    ledger = ledger_of(folder.pictures, np.arange(9.0), 0)
    assert ledger.diversity is None and not ledger.narrow
