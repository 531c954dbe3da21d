"""A judge behind an OpenAI-compatible server, against a real server on loopback."""

from __future__ import annotations

import base64
import io
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trueward.batch import Context
from trueward.errors import RewardError, Unavailable
from trueward.rewards import remote
from trueward.rewards.images import pil_images, rollouts_of
from trueward.rewards.locate import module_at
from trueward.rewards.models.images.artefact import FIRST_INSTRUCTION, ArtefactJudge, Prompted
from trueward.rewards.models.images.served_judge import ServedModel
from trueward.rewards.models.prompt_search import SearchSettings, WrittenCritic
from trueward.status import Status

serving = module_at(str(Path(__file__).parents[2] / "serving.py")).serving


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "_PAUSE", 0.001)


def brightness(body):
    """Mean of the image in a request, in [0, 1]."""
    url = body["messages"][0]["content"][0]["image_url"]["url"]
    image = Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2])))
    return float(np.asarray(image.convert("L")).mean()) / 255


def logprobs(**probabilities):
    listed = [{"token": token, "logprob": math.log(value)} for token, value in probabilities.items()]
    return {"choices": [{"logprobs": {"content": [{**listed[0], "top_logprobs": listed}]}}]}


def model_of(served, **more):
    return ServedModel(served.url.removesuffix("/score") + "/v1/", "judge", **more)


def grey(*levels):
    return np.array(levels, dtype=np.float32)[:, None, None, None] * np.ones((1, 1, 8, 8), dtype=np.float32)


def by_brightness(served, body):
    """A judge that finds bright images artificial once it is told to look for glare, and a critic that tells it so."""
    text = body["messages"][0]["content"][-1]["text"]
    if body["max_tokens"] > 1:
        return 200, {}, {"choices": [{"message": {"content": "Is there glare? Answer YES or NO."}}]}
    p = brightness(body) if "glare" in text else 0.5
    return 200, {}, logprobs(Yes=min(max(p, 0.02), 0.98), No=1 - min(max(p, 0.02), 0.98))


def test_the_request_asks_for_one_token_with_log_probabilities() -> None:
    with serving(by_brightness) as served:
        found = model_of(served, top=10).judge("Is there glare?", pil_images(grey(0.0, 0.8)))
        headers = served.headers[0]
    assert found == pytest.approx([0.02, 0.8], abs=0.01)
    body = served.bodies[0]
    assert {key: value for key, value in body.items() if key != "messages"} == {
        "model": "judge", "temperature": 0.0, "max_tokens": 1, "logprobs": True, "top_logprobs": 10,
    }  # fmt: skip
    assert body["messages"][0]["content"][1] == {"type": "text", "text": "Is there glare?"}
    assert "authorization" not in headers


def test_what_a_judge_does_not_say_is_no_score_and_counted() -> None:
    def evasive(served, body):
        level = brightness(body)
        if level > 0.8:
            return 200, {}, logprobs(Sure=0.97, yes=0.01, no=0.01)
        if level > 0.5:
            return 200, {}, {"choices": [{"message": {"content": "yes"}}]}
        return 200, {}, logprobs(**{" NO": 0.9, " YES": 0.1})

    with serving(evasive) as served:
        model = model_of(served)
        judge = ArtefactJudge(Prompted(model.judge, WrittenCritic(model.written)))
        part = judge.score(rollouts_of(grey(0.9, 0.6, 0.2), [""] * 3), Context()).parts["artefact"]
    assert part.status == [Status.ABSTAINED, Status.ABSTAINED, Status.OK]
    assert np.isnan(part.values[:2]).all() and part.values[2] == pytest.approx(0.9)
    assert np.isnan(part.filled()[:2]).all()
    assert (judge.asked, judge.abstained) == (3, 2)
    assert model.untold == {"another answer than yes or no": 1, "Unavailable": 1}


def test_a_server_that_is_down_is_not_the_images_fault() -> None:
    model = ServedModel("http://127.0.0.1:9/v1", "judge", timeout=0.3)
    judge = ArtefactJudge(Prompted(model.judge, WrittenCritic(model.written)))
    part = judge.score(rollouts_of(grey(0.1, 0.9), [""] * 2), Context()).parts["artefact"]
    assert part.status == [Status.UNAVAILABLE] * 2 and judge.abstained == 0
    with pytest.raises(Unavailable, match="no connection"):
        model.judge("?", pil_images(grey(0.1)))
    assert model.judge("?", []).shape == (0,)


def test_some_failures_are_no_failure_of_all() -> None:
    def shaky(served, body):
        return (404, {}, {}) if brightness(body) > 0.5 else (200, {}, logprobs(no=0.9, yes=0.1))

    with serving(shaky) as served:
        found = model_of(served).judge("?", pil_images(grey(0.9, 0.1)))
    assert np.isnan(found[0]) and found[1] == pytest.approx(0.1)


def test_a_served_judge_learns_its_instruction_from_labelled_images() -> None:
    generator = np.random.default_rng(0)
    levels = np.concatenate([generator.uniform(0.0, 0.4, 10), generator.uniform(0.6, 1.0, 10)])
    labels = (levels > 0.5).astype(int)
    with serving(by_brightness) as served:
        model = model_of(served)
        settings = SearchSettings(rounds=1, gradients=1, minibatch=20)
        judge = ArtefactJudge(Prompted(model.judge, WrittenCritic(model.written), settings=settings))
        judge.fit(grey(*levels), labels)
        found = judge.clean(grey(0.1, 0.9))
        shown = [body for body in served.bodies if body["max_tokens"] > 1]
    assert judge.scorer.instruction == "Is there glare? Answer YES or NO."
    assert judge.scorer.result.best.accuracy == 1.0
    assert judge.scorer.result.history[0].instruction == FIRST_INSTRUCTION
    assert found == pytest.approx([0.9, 0.1], abs=0.01)
    # The critic sees the images that were judged wrongly: for reason and rewrite four each, for the paraphrase none.
    assert [len(body["messages"][0]["content"]) - 1 for body in shown] == [4, 4, 0]
    assert shown[0]["temperature"] == 0.7
    again = Prompted(model.judge, WrittenCritic(model.written))
    again.load_state_dict(judge.scorer.state_dict())
    assert again.instruction == judge.scorer.instruction


def test_what_cannot_be_asked_is_refused() -> None:
    with pytest.raises(RewardError, match="is no URL"):
        ServedModel("127.0.0.1:8000", "judge")
    with pytest.raises(RewardError, match="model=''"):
        ServedModel("http://127.0.0.1:8000/v1", "")
    with serving(lambda served, body: (200, {}, b"no JSON")) as served, pytest.raises(Unavailable, match="no JSON"):
        model_of(served).written("Say.", [])
    with (
        serving(lambda served, body: (200, {}, {"choices": []})) as served,
        pytest.raises(Unavailable, match="no text"),
    ):
        model_of(served).written("Say.", [])
