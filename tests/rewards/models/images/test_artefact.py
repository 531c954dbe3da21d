"""A judge of artefacts: what it pays, what it forgets, and that it learns from what it is shown."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from trueward.batch import Context, Denoising, Rollouts, Text
from trueward.errors import RewardError, Unavailable
from trueward.measures.separation import paired_auc
from trueward.rewards.images import as_image_reward, rollouts_of
from trueward.rewards.models.ensemble import Ensemble
from trueward.rewards.models.images.artefact import ArtefactJudge, Classified, Prompted
from trueward.rewards.models.images.classifier import ClassifierSettings
from trueward.rewards.models.prompt_search import INSTRUCTION, SearchSettings
from trueward.status import Status
from trueward.tasks.flow.artefacts import KINDS, spoilt
from trueward.tasks.flow.digits import digits

torch.set_num_threads(1)
SPLITS = digits()


def shown(images):
    return (images + 1) / 2


def labelled(start, count, kinds=tuple(KINDS), seed=0):
    """Clean images and others spoilt, out of the generator's split, in [0, 1]."""
    clean = SPLITS.generator.images[start : start + count]
    other, _ = spoilt(SPLITS.generator.images[start + count : start + 2 * count], np.random.default_rng(seed), kinds)
    return shown(np.concatenate([clean, other])), np.repeat([0, 1], count)


def auc(judge, kinds):
    clean = SPLITS.heldout.images[:120]
    other, _ = spoilt(clean, np.random.default_rng(9), kinds)
    return paired_auc(list(zip(judge.clean(shown(clean)), judge.clean(shown(other)), strict=True)))


def brief():
    return Classified(settings=ClassifierSettings(steps=30))


class Fixed:
    """A scorer that says what it is told."""

    def __init__(self, probability):
        self.given = probability

    def fit(self, images, labels):
        self.fitted = len(images)

    def probability(self, images):
        if isinstance(self.given, Exception):
            raise self.given
        return np.asarray(self.given)[: len(images)]

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        pass


def test_it_pays_what_is_clean():
    rollouts = rollouts_of(np.zeros((3, 1, 4, 4)), [""] * 3)
    judge = ArtefactJudge(Fixed([0.25, 1.0, np.nan]))
    part = judge.score(rollouts, Context()).parts["artefact"]
    assert part.values[:2].tolist() == [0.75, 0.0] and (part.low, part.high) == (0.0, 1.0)
    assert part.status == [Status.OK, Status.OK, Status.ABSTAINED] and np.isnan(part.filled()[2])
    assert (judge.asked, judge.abstained) == (3, 1)


def test_images_that_are_not_finite_have_no_score():
    samples = np.zeros((3, 1, 1, 4, 4), dtype=np.float32)
    samples[0, 0, 0, 0, 0], samples[1, 0, 0, 0, 0] = np.nan, np.inf
    judge = ArtefactJudge(Fixed([0.5] * 3))
    part = judge.score(Rollouts(Denoising([""] * 3, samples)), Context()).parts["artefact"]
    assert part.status == [Status.NOT_FINITE, Status.NOT_FINITE, Status.OK] and judge.abstained == 0


def test_what_cannot_be_asked_is_unavailable():
    judge = ArtefactJudge(Fixed(Unavailable("down")))
    rollouts = rollouts_of(np.zeros((2, 1, 4, 4)), [""] * 2)
    assert judge.score(rollouts, Context()).status == [Status.UNAVAILABLE] * 2


def test_it_combines_like_any_reward():
    def ink(prompts, images, **columns):
        return [float(np.asarray(image).mean()) / 255 for image in images]

    rollouts = rollouts_of(np.full((2, 1, 4, 4), 1.0), [""] * 2)
    judge = ArtefactJudge(Fixed([0.25, 0.5]))
    scores = (as_image_reward(ink) + 3.0 * judge).score(rollouts, Context())
    assert scores.total().tolist() == [1 + 3 * 0.75, 1 + 3 * 0.5] and list(scores.parts) == ["ink", "artefact"]
    joined = Ensemble([as_image_reward(ink, low=0.0, high=1.0), judge]).score(rollouts, Context())
    assert joined.total() == pytest.approx([0.875, 0.75])


def test_a_classifier_tells_spoilt_digits_that_it_has_not_seen():
    judge = ArtefactJudge(Classified()).fit(*labelled(0, 240))
    found = {kind: auc(judge, [kind]) for kind in KINDS}
    assert min(found.values()) > 0.85, found


def test_on_shuffled_labels_it_learns_nothing():
    images, labels = labelled(0, 240)
    judge = ArtefactJudge(Classified()).fit(images, np.random.default_rng(0).permutation(labels))
    assert auc(judge, tuple(KINDS)) < 0.7


def test_it_learns_a_new_kind_when_refreshed_and_keeps_the_old():
    judge = ArtefactJudge(Classified()).fit(*labelled(0, 120, ["cut strokes"]))
    blind = auc(judge, ["contrast"])
    judge.refresh(*labelled(240, 120, ["contrast"], seed=1))
    assert blind < 0.75 and auc(judge, ["contrast"]) > 0.9 and auc(judge, ["cut strokes"]) > 0.8
    assert len(judge.images) == len(judge.labels) == 480


def test_refreshing_is_fitting_on_everything():
    first, more = labelled(0, 60), labelled(120, 30)
    one = ArtefactJudge(brief()).fit(*first).refresh(*more)
    other = ArtefactJudge(brief()).fit(np.concatenate([first[0], more[0]]), np.concatenate([first[1], more[1]]))
    seen = shown(SPLITS.heldout.images[:20])
    assert one.clean(seen).tolist() == other.clean(seen).tolist()
    fresh = ArtefactJudge(brief()).refresh(*first)
    assert fresh.clean(seen).tolist() == ArtefactJudge(brief()).fit(*first).clean(seen).tolist()


def test_features_stand_in_for_pixels():
    images, labels = labelled(0, 200, ["contrast"])

    def greys(seen):
        return np.stack([(np.abs(seen - 0.5) < 0.4).mean(axis=(1, 2, 3)), seen.mean(axis=(1, 2, 3))], axis=1)

    judge = ArtefactJudge(Classified(features=greys, width=1)).fit(images, labels)
    assert auc(judge, ["contrast"]) > 0.9


def test_it_goes_on_after_a_kill():
    first, more = labelled(0, 60), labelled(200, 20)
    judge = ArtefactJudge(brief()).fit(*first).refresh(*more)
    judge.score(rollouts_of(shown(SPLITS.heldout.images[:5]), [""] * 5), Context())
    again = ArtefactJudge(brief()).fit(*first)
    again.load_state_dict(json.loads(json.dumps(judge.state_dict())))
    seen = shown(SPLITS.heldout.images[:20])
    assert again.clean(seen).tolist() == judge.clean(seen).tolist() and again.asked == 5
    assert (again.images == judge.images).all() and (again.labels == judge.labels).all()
    for one in (judge, again):
        one.refresh(*labelled(300, 20))
    assert again.clean(seen).tolist() == judge.clean(seen).tolist()
    with pytest.raises(RewardError, match="fitted to 120 images at first; this one was to 0"):
        ArtefactJudge(brief()).load_state_dict(judge.state_dict())
    empty = ArtefactJudge(brief())
    empty.load_state_dict(json.loads(json.dumps(ArtefactJudge(brief()).state_dict())))
    assert empty.images is None


def test_what_fit_was_given_is_not_saved_again():
    """A hundred images of 512 × 512 pixels would make every checkpoint hundreds of megabytes."""
    images, labels = labelled(0, 200)
    judge = ArtefactJudge(Fixed([0.5] * 400)).fit(images, labels)
    before = len(json.dumps(judge.state_dict()))
    assert before < 1000
    judge.refresh(images[:40], labels[:40])
    assert before < len(json.dumps(judge.state_dict())) < 8 * images[:40].size


def test_a_prompted_judge_searches_from_the_instruction_in_use():
    """A judge by rule: asked for contrast it looks at the share of greys, asked for anything else it says no."""
    asked = []

    def judge(instruction, images):
        asked.append(instruction)
        greys = [float((np.abs(np.asarray(image).astype(float) / 255 - 0.5) < 0.45).mean()) for image in images]
        return np.array([0.95 if "contrast" in instruction and grey < 0.12 else 0.05 for grey in greys])

    class Critic:
        def reason(self, instruction, mistakes):
            return "it does not ask for contrast"

        def rewrite(self, instruction, mistakes, reason):
            return f"Too much contrast? {INSTRUCTION}"

        def paraphrase(self, instruction):
            return f"Is the contrast too strong? {INSTRUCTION}"

    settings = SearchSettings(rounds=1, gradients=1)
    reward = ArtefactJudge(Prompted(judge, Critic(), settings=settings)).fit(*labelled(0, 80, ["contrast"]))
    assert "contrast" in reward.scorer.instruction and reward.scorer.result.best.accuracy > 0.7
    asked.clear()
    reward.refresh(*labelled(200, 20, ["contrast"]))
    assert "contrast" in asked[0]
    again = ArtefactJudge(Prompted(judge, Critic(), settings=settings)).fit(*labelled(0, 80, ["contrast"]))
    again.scorer.instruction = "?"
    again.load_state_dict(json.loads(json.dumps(reward.state_dict())))
    assert again.scorer.instruction == reward.scorer.instruction and len(again.labels) == 200


def test_what_cannot_be_judged_is_refused():
    images, labels = labelled(0, 4)
    judge = ArtefactJudge(Classified())
    with pytest.raises(RewardError, match="never fitted"):
        judge.score(rollouts_of(images, [""] * 8), Context())
    with pytest.raises(RewardError, match="scores images; the rollouts hold Text"):
        judge.score(Rollouts(Text(["?"], ["!"])), Context())
    for wrong in (np.zeros(8), np.zeros(7), labels * 2):
        with pytest.raises(RewardError, match="some of both"):
            judge.fit(images, wrong)
    judge.fit(images, labels)
    with pytest.raises(RewardError, match="bring them to one size"):
        judge.refresh(np.zeros((2, 1, 9, 9)), np.array([0, 1]))
