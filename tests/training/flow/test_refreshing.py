"""A judge that is refreshed: when, with what, and that a run goes on with the judge it had."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from trueward.batch import Context
from trueward.errors import TrainingError
from trueward.policies.flow.network import FlowMLP
from trueward.rewards.images import as_image_reward, images_of, rollouts_of
from trueward.rewards.models.images.artefact import ArtefactJudge, Classified
from trueward.rewards.models.images.classifier import ClassifierSettings
from trueward.training.flow import FlowSettings, OnlineSettings, OnlineUpdate, train_flow
from trueward.training.flow.refreshing import RefreshJudge

torch.set_num_threads(1)


class Noted:
    """A judge that notes what it is shown."""

    def __init__(self):
        self.shown = []

    def refresh(self, images, labels):
        self.shown.append((images, labels))

    def clean(self, images):
        return np.full(len(images), 0.5 if self.shown else np.nan)


def rollouts(count=10):
    return rollouts_of(
        np.arange(count, dtype=np.float32)[:, None, None, None] / 10 * np.ones((1, 1, 2, 2)), [""] * count
    )


def bright(images, generator):
    return (images.mean(axis=(1, 2, 3)) > 0.45).astype(int)


def step(hook, number, generator=0):
    return hook.after_update(rollouts(), None, Context(number, 100, generator=np.random.default_rng(generator)))


def test_it_is_shown_some_samples_now_and_then():
    judge = Noted()
    hook = RefreshJudge(judge, bright, every=20, samples=4)
    assert step(hook, 19) == {} and judge.shown == []
    told = step(hook, 20)
    images, labels = judge.shown[0]
    places = (images[:, 0, 0, 0] * 10).round().astype(int)
    assert len(set(places.tolist())) == 4 and images.min() >= 0 and (labels == (places > 4)).all()
    assert told["artefacts"] == labels.mean() and np.isnan(told["paid_before"]) and told["paid_after"] == 0.5
    step(hook, 40, generator=1)
    assert len(judge.shown) == 2 and (judge.shown[1][0] != images).any()


def test_all_samples_where_there_are_not_more():
    judge = Noted()
    step(RefreshJudge(judge, bright, every=1, samples=60), 1)
    assert len(judge.shown[0][0]) == 10


def test_what_cannot_be_shown_is_refused():
    with pytest.raises(TrainingError, match="every=0"):
        RefreshJudge(Noted(), bright, every=0)
    with pytest.raises(TrainingError, match="this update has none"):
        RefreshJudge(Noted(), bright).after_update(None, None, Context(20))


def test_a_run_that_was_killed_goes_on_with_the_judge_it_had(tmp_path):
    """The weights after four updates are the same to the bit, whether the run was cut after two or not."""

    def ink(prompts, images, **columns):
        return [float(np.asarray(image).mean()) for image in images]

    def train(directory, *steps):
        for count in steps:
            generator = np.random.default_rng(0)
            images = generator.random((40, 1, 8, 8)).astype(np.float32)
            judge = ArtefactJudge(Classified(width=4, settings=ClassifierSettings(steps=20)))
            judge.fit(images, np.repeat([0, 1], 20))
            policy = FlowMLP(width=16, blocks=1)
            update = OnlineUpdate(
                as_image_reward(ink) + 3.0 * judge, ["0", "1"], torch.arange(2), OnlineSettings(group=4, steps=3)
            )
            hook = RefreshJudge(judge, bright, every=1, samples=6)
            settings = FlowSettings(steps=count, checkpoint_every=1, seed=3)
            train_flow(policy, update, settings=settings, directory=directory, hooks=[hook])
        return policy, judge

    whole, judge = train(tmp_path / "whole", 4)
    cut, again = train(tmp_path / "cut", 2, 4)
    assert all((a == b).all() for a, b in zip(whole.parameters(), cut.parameters(), strict=True))
    assert len(judge.labels) == len(again.labels) == 40 + 4 * 6
    seen = images_of(rollouts(3).content).repeat(4, axis=2).repeat(4, axis=3)
    assert judge.clean(seen).tolist() == again.clean(seen).tolist()
