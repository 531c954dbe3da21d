"""`hf:PATH`: tiny models with random weights, saved as anybody saves a model, against their own forward pass."""

from __future__ import annotations

import json
import math
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from trueward.errors import MissingExtra, RewardError
from trueward.policies import model_files
from trueward.policies.model_files import memory_mb
from trueward.rewards import locate
from trueward.rewards.address import load
from trueward.rewards.locate import module_at
from trueward.rewards.runner import InProcess
from trueward.rewards.runner.types import Item
from trueward.status import Status

tiny = module_at(str(Path(__file__).with_name("tiny.py")))
torch = pytest.importorskip("torch", reason="reward models need trueward[train]")

PROMPT = "Question a : what is the answer ?"
COMPLETIONS = ["1 2", "I do not know .", "", "1 " * 60, "a b c", "the answer is 7", "7", "d e f g h i"]
ROWS = [Item(PROMPT, completion) for completion in COMPLETIONS]
CLOSE = pytest.approx


@pytest.fixture(scope="module")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.llama(tmp_path_factory.mktemp("models") / "decoder")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.bert(tmp_path_factory.mktemp("models") / "encoder")


def leaf(folder: Path, **options: Any) -> Any:
    told = ", ".join(f"{name}={value!r}" for name, value in options.items())
    return load(f"hf:{folder}({told})" if told else f"hf:{folder}")


def forward(folder: Path, texts: list[str], pad: int | None = None) -> list[list[float]]:
    """Logits as transformers gives them, one row at a time and nothing padded."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    if pad is not None:
        model.config.pad_token_id = pad
    with torch.inference_mode():
        return [model(**tokenizer(text, return_tensors="pt")).logits[0].double().tolist() for text in texts]


def joined(completions: list[str]) -> list[str]:
    return [f"{PROMPT}\n{completion}" for completion in completions]


@pytest.mark.parametrize("kind", ["decoder", "encoder"])
def test_a_score_is_what_the_model_itself_says_about_the_row_alone(kind: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(kind)
    expected = [logits[0] for logits in forward(folder, joined(COMPLETIONS))]
    assert leaf(folder).score_rows(ROWS) == CLOSE(expected, abs=2e-5)
    assert max(expected) - min(expected) > 0.5  # the agreement above is not that of a constant


@pytest.mark.parametrize("kind", ["decoder", "encoder"])
def test_company_order_and_batch_size_do_not_matter(kind: str, request: pytest.FixtureRequest) -> None:
    reward = leaf(request.getfixturevalue(kind))
    together = reward.score_rows(ROWS)
    assert [reward.score_rows([row])[0] for row in ROWS] == CLOSE(together, abs=2e-5)
    assert reward.score_rows(ROWS[::-1])[::-1] == CLOSE(together, abs=2e-5)
    assert leaf(request.getfixturevalue(kind), batch_size=3).score_rows(ROWS) == CLOSE(together, abs=2e-5)


def test_padding_does_not_matter_to_a_decoder_and_its_side_does_to_an_encoder(decoder: Path, encoder: Path) -> None:
    for folder in (decoder, encoder):
        more, turned = leaf(folder).demands.paddings.values()
        plain = leaf(folder).score_rows(ROWS)
        assert load(more).score_rows(ROWS) == CLOSE(plain, abs=2e-5)
        moved = load(turned).score_rows(ROWS)
        if folder == decoder:
            assert moved == CLOSE(plain, abs=2e-5)
        else:  # absolute positions move with the padding; the longest row of a batch has none
            assert max(abs(a - b) for a, b in zip(moved, plain, strict=True)) > 0.1


def test_every_set_up_of_one_model_shares_its_weights(decoder: Path) -> None:
    first, second = leaf(decoder), leaf(decoder, padding_side="left")
    first.score_rows(ROWS[:1])
    second.score_rows(ROWS[:1])
    assert first._model is second._model
    assert leaf(decoder, dtype="bfloat16")._loaded() is not first._model


def test_a_padding_token_that_ends_the_text_does_not_move_the_score(tmp_path: Path) -> None:
    # The model names no padding token and the tokenizer offers </s>, with which every turn ends.
    folder = tiny.llama(tmp_path / "m", pad_id=None, pad="</s>", template=tiny.TEMPLATE)
    texts = [f"u : {PROMPT} </s> a : {completion} </s>" for completion in COMPLETIONS]
    expected = [logits[0] for logits in forward(folder, texts)]
    reward = leaf(folder)
    assert reward.score_rows(ROWS) == CLOSE(expected, abs=2e-5)
    assert reward._model.pad is None
    moved = [logits[0] for logits in forward(folder, texts, pad=2)]  # what declaring </s> would have done
    assert max(abs(a - b) for a, b in zip(moved, expected, strict=True)) > 0.1


def test_a_model_that_declares_its_end_of_text_as_padding_is_taken_at_its_word(tmp_path: Path) -> None:
    folder = tiny.llama(tmp_path / "m", pad_id=2, pad="</s>", template=tiny.TEMPLATE)
    texts = [f"u : {PROMPT} </s> a : {completion} </s>" for completion in COMPLETIONS]
    expected = [logits[0] for logits in forward(folder, texts)]
    reward = leaf(folder)
    assert reward.score_rows(ROWS) == CLOSE(expected, abs=2e-5)
    assert reward._model.pad == 2
    assert len({round(value, 4) for value in expected}) == len(COMPLETIONS)  # not all read at the first </s>


def test_the_padding_token_of_the_tokenizer_is_declared_where_the_model_names_none(tmp_path: Path) -> None:
    folder = tiny.llama(tmp_path / "m", pad_id=None)
    reward = leaf(folder)
    assert reward.score_rows(ROWS) == CLOSE([logits[0] for logits in forward(folder, joined(COMPLETIONS))], abs=2e-5)
    assert reward._model.pad == 0


@pytest.mark.parametrize("pad_id", [-1, None])
def test_without_any_padding_token_rows_are_scored_one_by_one(tmp_path: Path, pad_id: int | None) -> None:
    folder = tiny.llama(tmp_path / "m", pad_id=None, pad=None)
    config = json.loads((folder / "config.json").read_text()) | {"pad_token_id": pad_id}
    (folder / "config.json").write_text(json.dumps(config))
    reward = leaf(folder)
    assert reward.score_rows(ROWS) == CLOSE([logits[0] for logits in forward(folder, joined(COMPLETIONS))], abs=2e-5)
    assert reward._model.pad is None


def test_the_chat_template_is_used_where_there_is_one(tmp_path: Path) -> None:
    folder = tiny.llama(tmp_path / "m", template=tiny.TEMPLATE)
    expected = [logits[0] for logits in forward(folder, [f"u : {PROMPT} </s> a : {c} </s>" for c in COMPLETIONS])]
    as_messages = [Item([{"role": "user", "content": PROMPT}], completion) for completion in COMPLETIONS]
    assert leaf(folder).score_rows(ROWS) == CLOSE(expected, abs=2e-5)
    assert leaf(folder).score_rows(as_messages) == CLOSE(expected, abs=2e-5)


def test_the_separator_joins_prompt_and_completion(encoder: Path, decoder: Path) -> None:
    texts = [f"{PROMPT} answer : {completion}" for completion in COMPLETIONS]
    expected = [logits[0] for logits in forward(decoder, texts)]
    assert leaf(decoder, separator=" answer : ").score_rows(ROWS) == CLOSE(expected, abs=2e-5)
    assert leaf(encoder, separator=None).score_rows(ROWS[:2]) == CLOSE(
        [logits[0] for logits in forward(encoder, [f"{PROMPT} {c}" for c in COMPLETIONS[:2]])], abs=2e-5
    )  # this tokenizer puts nothing between the two segments of a pair


def test_of_two_outputs_the_reward_is_the_log_odds_of_the_second(tmp_path: Path) -> None:
    folder = tiny.llama(tmp_path / "m", labels=2)
    logits = forward(folder, joined(COMPLETIONS))
    assert leaf(folder).score_rows(ROWS) == CLOSE([z[1] - z[0] for z in logits], abs=2e-5)
    assert leaf(folder, positive=0).score_rows(ROWS) == CLOSE([z[0] - z[1] for z in logits], abs=2e-5)


def test_of_more_outputs_one_must_be_named(tmp_path: Path) -> None:
    folder = tiny.llama(tmp_path / "m", labels=3)
    with pytest.raises(RewardError, match=r"3 outputs \(0: LABEL_0, 1: LABEL_1, 2: LABEL_2\).*positive=0"):
        leaf(folder).score_rows(ROWS)
    with pytest.raises(RewardError, match="positive=3"):
        leaf(folder, positive=3).score_rows(ROWS)
    shares = [torch.tensor(z).softmax(-1)[2].item() for z in forward(folder, joined(COMPLETIONS))]
    expected = [math.log(share / (1 - share)) for share in shares]
    assert leaf(folder, positive=2).score_rows(ROWS) == CLOSE(expected, abs=1e-4)


def test_outputs_of_a_regression_are_taken_as_they_are(tmp_path: Path) -> None:
    folder = tiny.llama(tmp_path / "m", labels=3, problem_type="regression")
    expected = [z[2] for z in forward(folder, joined(COMPLETIONS))]
    assert leaf(folder, positive=2).score_rows(ROWS) == CLOSE(expected, abs=2e-5)


def test_nothing_is_cut_off(decoder: Path) -> None:
    longest = len((PROMPT + " 1 2").split())
    statuses = leaf(decoder, max_length=longest).score_rows(ROWS)
    assert statuses[0] == CLOSE(leaf(decoder).score_rows(ROWS[:1])[0], abs=2e-5)  # exactly as long as allowed
    assert statuses[3] == (
        Status.UNPARSABLE,
        f"prompt and completion have {longest - 2 + 60} tokens, and the model takes {longest}",
    )
    assert leaf(decoder, max_length=3).score_rows(ROWS[:1]) == [
        (Status.ABSTAINED, f"the prompt has {longest - 2} tokens, and the model takes 3")
    ]
    assert leaf(decoder).score_rows([Item("", "")]) == [(Status.ABSTAINED, "there is not one token in it")]


def test_the_limit_is_that_of_tokenizer_and_model(tmp_path: Path) -> None:
    folder = tiny.bert(tmp_path / "m", positions=40)
    outcomes = InProcess({"m": leaf(folder)}).run("m", [ROWS])[0]
    assert [outcome.status for outcome in outcomes] == [Status.UNPARSABLE if i == 3 else Status.OK for i in range(8)]
    with pytest.raises(RewardError, match="max_length=41, but the model has 40 positions"):
        leaf(folder, max_length=41).score_rows(ROWS)


def test_a_model_that_computes_nothing_is_not_finite(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = tiny.llama(tmp_path / "m")
    tensors = load_file(folder / "model.safetensors")
    tensors["score.weight"][:] = math.nan
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    outcomes = InProcess({"m": leaf(folder)}).run("m", [ROWS])[0]
    assert {outcome.status for outcome in outcomes} == {Status.NOT_FINITE}


def test_a_pickle_is_never_loaded(tmp_path: Path) -> None:
    folder = tiny.llama(tmp_path / "m")
    (folder / "model.safetensors").unlink()
    with pytest.raises(RewardError, match=r"no \*\.safetensors"):
        load(f"hf:{folder}")
    (folder / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(RewardError, match=r"pickle \(pytorch_model.bin\).*save_pretrained"):
        load(f"hf:{folder}")


def test_a_language_model_without_a_head_is_no_reward(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = tiny.llama(tmp_path / "m")
    tensors = load_file(folder / "model.safetensors")
    del tensors["score.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(RewardError, match=r"no sequence classifier: its files do not hold score\.weight"):
        leaf(folder).score_rows(ROWS)


def test_code_of_a_model_is_never_run(tmp_path: Path) -> None:
    folder = tiny.llama(tmp_path / "m")
    ran = tmp_path / "ran"
    (folder / "own.py").write_text(f"open({str(ran)!r}, 'w').close()\nclass Own: ...\n")
    config = json.loads((folder / "config.json").read_text())
    config |= {
        "model_type": "own",
        "auto_map": {"AutoModelForSequenceClassification": "own.Own", "AutoConfig": "own.Own"},
    }
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(RewardError, match="cannot be loaded"):
        leaf(folder).score_rows(ROWS)
    assert not ran.exists()


@pytest.mark.parametrize(
    ("write", "words"),
    [
        ({}, "no config.json"),
        ({"adapter_config.json": b"{}"}, "adapter"),
        ({"config.json": b"{}"}, r"no \*\.safetensors"),
    ],
)
def test_folders_that_hold_no_model(tmp_path: Path, write: dict[str, bytes], words: str) -> None:
    for name, content in write.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(RewardError, match=words):
        load(f"hf:{tmp_path}")


@pytest.mark.parametrize(
    "content",
    [b"", b"1234567", struct.pack("<Q", 1 << 60), struct.pack("<Q", 2) + b"[]", struct.pack("<Q", 9) + b'{"a": 1}'],
)
def test_files_that_are_no_safetensors(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(RewardError, match="is no safetensors file"):
        _ = load(f"hf:{tmp_path}").demands  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("batchsize=3", "no argument 'batchsize'; expected max_length, batch_size"),
        ("batch_size=0", "at least 1"),
        ("batch_size=True", "expected int"),
        ("dtype='int8'", "float32, bfloat16, float16"),
        ("padding_side='up'", "'left' or 'right'"),
        ("max_length='many'", "expected int"),
    ],
)
def test_wrong_arguments(decoder: Path, arguments: str, words: str) -> None:
    with pytest.raises(RewardError, match=words):
        load(f"hf:{decoder}({arguments})")


def test_memory_of_a_model(tmp_path: Path) -> None:
    folder = tiny.llama(tmp_path / "m")
    size = (folder / "model.safetensors").stat().st_size
    words, width, inner = len(tiny.WORDS), 32, 48
    # Two layers of four square projections, three of the feed-forward, two norms; embedding, last norm, score.
    numbers = words * width + 2 * (4 * width**2 + 3 * width * inner + 2 * width) + width + width
    assert memory_mb(folder, 4, error=RewardError) == (size + 4 * numbers) / 2**20
    assert memory_mb(folder, 2, error=RewardError) == (size + 2 * numbers) / 2**20
    assert leaf(folder).demands.weights_mb == memory_mb(folder, 4, error=RewardError)


def test_a_name_of_the_hub_is_looked_up_in_the_cache_and_only_then_downloaded(
    decoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    asked: list[bool] = []
    cached = False

    def model_folder() -> Path:
        return model_files.model_folder("owner/model", error=RewardError, shown="hf:owner/model")

    def snapshot(name: str, *, local_files_only: bool = False, **_: Any) -> str:
        asked.append(local_files_only)
        if local_files_only and not cached:
            raise FileNotFoundError(name)
        return str(decoder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.delenv("TRANSFORMERS_OFFLINE", raising=False)
    assert model_folder() == decoder
    assert asked == [True, False]
    cached = True
    assert model_folder() == decoder
    assert asked == [True, False, True]
    cached = False
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(RewardError, match=r"'hf:owner/model': there is no such folder.*HF_HUB_OFFLINE"):
        model_folder()
    assert asked == [True, False, True, True]


def test_a_path_that_is_no_name_of_the_hub() -> None:
    with pytest.raises(RewardError, match="there is no folder 'no/such/folder'"):
        load("hf:no/such/folder")


def test_the_address_makes_the_same_reward_again(decoder: Path) -> None:
    reward = leaf(decoder, max_length=30, batch_size=2, separator=None)
    assert load(reward.address).options == reward.options  # type: ignore[attr-defined]
    assert load(reward.demands.paddings["padding on the left"]).options.max_length == 30  # type: ignore[attr-defined]


def test_a_folder_with_brackets_in_its_name(decoder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(decoder, tmp_path / "model (1)")
    assert leaf(folder).score_rows(ROWS[:1]) == leaf(decoder).score_rows(ROWS[:1])


def test_finding_a_model_imports_no_torch(decoder: Path) -> None:
    code = (
        "import sys\nfrom trueward.rewards.address import load\n"
        f"load('hf:{decoder}').demands\nprint('torch' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.split() == ["False"]


def test_without_torch_the_extra_is_named(decoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locate.importlib.util, "find_spec", lambda name: None)
    monkeypatch.delitem(sys.modules, "safetensors", raising=False)
    with pytest.raises(MissingExtra, match=r"safetensors.*trueward\[train\]"):
        load(f"hf:{decoder}")
