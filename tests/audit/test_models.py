"""Reward models and HTTP rewards under audit: padding, batches, and servers that fail."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import trueward
from trueward.audit.behaviour import Behaviour, about_company, observe, padding_notes
from trueward.audit.calibration import BARE
from trueward.audit.probes import Surroundings
from trueward.audit.subjects import Subject, subject_of
from trueward.errors import AuditError
from trueward.rewards.foreign import demands_of
from trueward.rewards.locate import module_at
from trueward.rewards.models.sequence_classifier import SequenceClassifier
from trueward.rewards.runner import InProcess
from trueward.rewards.runner.types import Demands, Item
from trueward.status import Status

HERE = Path(__file__).parent
tiny = module_at(str(HERE.parent / "rewards" / "models" / "tiny.py"))
serving = module_at(str(HERE.parent / "rewards" / "serving.py")).serving

DATA: list[dict[str, Any]] = [
    {"prompt": f"Question {letter} : what is the answer ?", "answer": str(11 + 3 * i)}
    for i, letter in enumerate("abcdefghijkl")
]
COMPANY = {"other rows beside it", "the order of the rows"}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    import torch

    torch.set_num_threads(1)  # threads that wait for each other cost more than such small models
    models = tmp_path_factory.mktemp("models")
    return {"decoder": tiny.llama(models / "decoder"), "encoder": tiny.bert(models / "encoder")}


class LastPosition:
    """A reward model whose score is read at the last position of the padded row, whatever stands there."""

    def __init__(self, inner: SequenceClassifier, right: bool = False) -> None:
        self.inner, self.right = inner, right
        self.demands = replace(inner.demands, paddings={})

    def score_rows(self, rows: Sequence[Item]) -> list[float]:
        import torch

        model = self.inner._loaded()
        encoded = [model.encode(row.prompt, row.completion, "\n")["input_ids"] for row in rows]
        longest = max(map(len, encoded))
        ids = torch.tensor([one + [0] * (longest - len(one)) for one in encoded])
        mask = torch.tensor([[1] * len(one) + [0] * (longest - len(one)) for one in encoded])
        with torch.inference_mode():
            hidden = model.model.model(ids, attention_mask=mask).last_hidden_state
            logits = model.model.score(hidden)[..., 0]
        places = [len(one) - 1 if self.right else longest - 1 for one in encoded]
        return [float(logits[row, place]) for row, place in enumerate(places)]


def observed(reward: Any, others: dict[str, Any] | None = None) -> Behaviour:
    subject = subject_of("json:dumps", DATA)  # for its rows alone
    runner = InProcess({"r": reward, **(others or {})})
    scoring = Subject("r", "r", subject.rows, demands=demands_of(reward)).scoring(runner)
    return observe(subject.rows, Surroundings(subject.rows, (), None), scoring, BARE, demands_of(reward))


def paddings(reward: SequenceClassifier) -> dict[str, Any]:
    from trueward.rewards.address import load

    return {address: load(address) for address in reward.demands.paddings.values()}


def classifier(folder: Path) -> SequenceClassifier:
    from trueward.rewards.address import load

    found = load(f"hf:{folder}")
    assert isinstance(found, SequenceClassifier)
    return found


@pytest.mark.parametrize("kind", ["decoder", "encoder"])
def test_a_sound_model_is_the_same_alone_and_in_company(folders: dict[str, Path], kind: str) -> None:
    reward = classifier(folders[kind])
    behaviour = observed(reward, paddings(reward))
    assert behaviour.tested > 20 and not behaviour.broken
    assert 0 < behaviour.spread["other rows beside it"] < 1e-4  # rounding is there, and counts as such
    assert not behaviour.padded["16 tokens more padding"].matters
    assert behaviour.padded["padding on the left"].matters is (kind == "encoder")
    titles = [note["title"] for note in padding_notes(behaviour)]
    assert [title[:46] for title in titles] == ["its scores change with padding on the left, by"] * (kind == "encoder")
    assert "other rows beside it" in about_company(behaviour, reward.demands)[0]


def test_a_score_read_at_the_last_position_of_the_padded_row_is_caught(folders: dict[str, Path]) -> None:
    inner = classifier(folders["decoder"])
    wrong = observed(LastPosition(inner))
    assert {broken.how for broken in wrong.broken} == {"other rows beside it"}
    # All but the longest row are padded; an equal length is not.
    assert len(wrong.broken) == wrong.tested - 1
    assert wrong.spread["other rows beside it"] > 0.01
    right = observed(LastPosition(inner, right=True))
    assert not right.broken and right.tested == wrong.tested


class Rounding:
    """Scores that company moves by a share of their width, which is 1 (from 0 for no text to 1 for any)."""

    def __init__(self, share: float, noise: float) -> None:
        self.share, self.demands = share, Demands(batch=8, noise=noise)

    def score_rows(self, rows: Sequence[Item]) -> list[float]:
        return [bool(row.completion) + self.share * (len(rows) > 1) for row in rows]


@pytest.mark.parametrize(
    ("share", "noise", "expected"),
    [
        (0.9e-4, 1e-4, set()),
        (1.1e-4, 1e-4, {"other rows beside it"}),
        (1e-8, 0.0, {"other rows beside it"}),
        (0, 0, set()),
    ],
)
def test_rounding_is_forgiven_to_those_that_round(share: float, noise: float, expected: set[str]) -> None:
    behaviour = observed(Rounding(share, noise))
    assert {broken.how for broken in behaviour.broken} == expected
    assert behaviour.spread["other rows beside it"] == pytest.approx(share)


def test_a_row_that_loses_its_score_in_company_is_broken() -> None:
    class Alone:
        demands = Demands(batch=8)

        def score_rows(self, rows: Sequence[Item]) -> list[float]:
            if len(rows) > 1:
                raise ValueError("expected one row")
            return [1.0]

    behaviour = observed(Alone())
    assert {broken.how for broken in behaviour.broken} == {"other rows beside it"}
    assert {broken.after.status for broken in behaviour.broken} == {Status.RAISED}


def test_a_model_by_its_path(folders: dict[str, Path]) -> None:
    """From the address to the report, in a worker that loads it once."""
    report = trueward.audit(f"hf:{folders['decoder']}", DATA, prompts=6, families=("nothing",), template="{answer}")
    audit = report.audit
    assert audit["reward"] == f"hf:{folders['decoder']}" and not audit["reads_answer"]
    assert audit["deterministic"] is True
    assert report.clean
    assert sum(audit["statuses"].values()) > 1.5 * audit["calls"]  # batches
    line = next(line for line in audit["header"] if "widths" in line)
    assert "padding on the left" in line and "16 tokens more padding" in line
    assert not [note for note in audit["notes"] if "printed" in note["title"]]


def test_what_a_model_asks_of_its_runner(folders: dict[str, Path]) -> None:
    subject = subject_of(f"hf:{folders['decoder']}", DATA)
    with subject.start(4, 2.0, 500) as pool:  # type: ignore[attr-defined]
        assert pool.workers == 1 and pool.deadline == 2.0
        assert pool.memory_mb == 500 + subject.demands.weights_mb > 500
    assert subject.needs_own_runner
    patient = subject_of("http://127.0.0.1:1/score?key=hunter2(timeout=50)", DATA)
    with patient.start(4, 2.0, 500) as pool:  # type: ignore[attr-defined]
        assert pool.workers == 4 and pool.deadline == 60.0 and pool.memory_mb == 500
    assert patient.name == "http://127.0.0.1:1/score?key=…(timeout=50)" and "hunter2" in patient.address
    score = trueward.as_reward
    both = 0.5 * score(f"hf:{folders['decoder']}") + trueward.gate(score("json:dumps"), score("http://127.0.0.1:1"))
    together = subject_of(both, DATA).demands
    assert together == Demands(1, 1, subject.demands.weights_mb, 30.0, 1e-4)
    plain = subject_of("json:dumps", DATA)
    assert not plain.needs_own_runner and plain.demands == Demands()


def exact(query: str, label: str) -> float:
    return float(query.rpartition("\n")[2].strip() == label)


def test_a_sound_server_is_clean_and_is_asked_in_batches() -> None:
    def answer(served: Any, body: dict[str, Any]) -> tuple[int, dict[str, str], Any]:
        return 200, {}, {"rewards": [exact(q, label) for q, label in zip(body["query"], body["labels"], strict=True)]}

    with serving(answer) as served:
        report = trueward.audit(f"{served.url}?key=hunter2", DATA, prompts=6)
        assert report.clean and report.audit["reads_answer"]
        assert len(served.bodies) >= report.audit["calls"]
        assert sum(len(body["query"]) for body in served.bodies) > 4 * len(served.bodies)
    document = json.dumps(report.document)
    assert "hunter2" not in document and "key=\\u2026" in document


def test_the_command_line_shows_no_secret_of_a_url(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from trueward.cli import main

    data, written = tmp_path / "data.jsonl", tmp_path / "audit.json"
    data.write_text("\n".join(json.dumps(row) for row in DATA))
    with serving(lambda served, body: (200, {}, {"rewards": [0.5] * len(body["query"])})) as served:
        url = f"{served.url}?key=hunter2"
        assert main(["audit", url, "--data", str(data), "--prompts", "5", "--json", str(written)]) == 0
        assert main(["audit", url, "http://me:hunter2@127.0.0.1:1/", "--data", str(data), "--prompts", "5"]) == 2
    told = capfd.readouterr()
    assert "key=…" in told.out
    assert "hunter2" not in told.out + told.err + written.read_text()


def test_a_server_that_pays_for_the_answer_anywhere_is_caught() -> None:
    def answer(served: Any, body: dict[str, Any]) -> tuple[int, dict[str, str], Any]:
        pairs = zip(body["query"], body["labels"], strict=True)
        return 200, {}, {"rewards": [float(label in query.rpartition("?")[2]) for query, label in pairs]}

    with serving(answer) as served:
        report = trueward.audit(served.url, DATA, prompts=6)
        assert {finding["family"] for finding in report.audit["findings"]} >= {"hedge"}
        assert report.exploits[0].reproduce().value == 1.0


def test_a_server_whose_scores_move_to_other_rows_is_caught() -> None:
    def sorted_rows(served: Any, body: dict[str, Any]) -> tuple[int, dict[str, str], Any]:
        ordered = sorted(zip(body["query"], body["labels"], strict=True), key=lambda pair: len(pair[0]))
        return 200, {}, {"rewards": [exact(query, label) for query, label in ordered]}

    with serving(sorted_rows) as served:
        report = trueward.audit(f"{served.url}(batch_size=1)", DATA, prompts=6)
    titles = [finding["title"] for finding in report.audit["findings"] if finding["kind"] == "failure"]
    assert "the score changes with other rows beside it" in titles


def test_a_server_that_fails_on_some_answers_loses_only_those() -> None:
    def answer(served: Any, body: dict[str, Any]) -> tuple[int, dict[str, str], Any]:
        if any("12" in query for query in body["query"]):
            return 422, {}, b"cannot read 12"
        return 200, {}, {"rewards": [exact(q, label) for q, label in zip(body["query"], body["labels"], strict=True)]}

    with serving(answer) as served:
        subject = subject_of(served.url, DATA)
        runner = subject.start(1, 5.0, 500)
        try:
            scoring = subject.scoring(runner)
            pairs = [(subject.rows[0], derivation) for derivation in map(_single, ("11", "12", "13"))]
            outcomes = scoring.score(pairs)
        finally:
            runner.close()
    assert [outcome.value for outcome in outcomes] == [1.0, None, 0.0]
    assert outcomes[1].status is Status.UNAVAILABLE and "cannot read 12" in outcomes[1].detail
    assert scoring.calls == 4 == len(served.bodies)  # one batch, and its three rows alone
    assert scoring.statuses == {"ok": 2, "unavailable": 1}
    assert len(scoring.seconds) == 3


def _single(text: str) -> Any:
    from trueward.audit.derivations import Answer, single

    return single(Answer(text, text))


def test_a_server_that_is_down_gives_no_verdict() -> None:
    with serving(lambda served, body: (404, {}, b"")) as served, pytest.raises(AuditError, match=r"unavailable.*404"):
        trueward.audit(served.url, DATA)


def test_a_reward_in_training_asks_in_batches() -> None:
    def answer(served: Any, body: dict[str, Any]) -> tuple[int, dict[str, str], Any]:
        return 200, {}, {"rewards": [exact(q, label) for q, label in zip(body["query"], body["labels"], strict=True)]}

    with serving(answer) as served:
        reward = trueward.as_reward(f"{served.url}(batch_size=4)", low=0.0, high=1.0)
        prompts, answers = [row["prompt"] for row in DATA], [row["answer"] for row in DATA]
        assert reward(prompts, answers, answer=answers) == [1.0] * 12
        assert reward(prompts, answers, answer=answers[::-1]) == [0.0] * 12
        assert [len(body["query"]) for body in served.bodies] == [4] * 6


def test_a_reward_whose_server_is_down_has_no_score_in_training() -> None:
    with serving(lambda served, body: (404, {}, b"")) as served:
        reward = trueward.as_reward(served.url, low=0.0, high=1.0)
        assert reward(["a", "b"], ["1", "2"], answer=["1", "2"]) == [None, None]
