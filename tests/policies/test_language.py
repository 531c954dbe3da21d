"""Sampling against a model asked row by row, without cache, padding or company."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from trueward.batch import Rollouts
from trueward.errors import TrainingError
from trueward.policies import generation
from trueward.policies.language import LanguagePolicy
from trueward.policies.sampling import Sampling, uniforms
from trueward.policies.tokenizers import tokenizer_of
from trueward.tasks.text.vocabulary import Vocabulary

torch.set_num_threads(1)
WORDS = Vocabulary("words", (*"abcdefgh", "\n"))
PROMPTS = ["a b c", "a b c", "h", "", "d e f g h a b", "a b c", "h"]
SAMPLING = Sampling(max_new_tokens=12)


@pytest.fixture(scope="module")
def policy() -> LanguagePolicy:
    return LanguagePolicy.tiny(WORDS, width=32, heads=2, positions=32, seed=3)


def sampled(policy: LanguagePolicy, prompts: list[Any] = PROMPTS, seed: int = 0, **options: Any) -> Rollouts:
    sampling = options.pop("sampling", SAMPLING)
    return policy.sample(prompts, sampling, torch.Generator().manual_seed(seed), **options)


def tokens(rollouts: Rollouts) -> list[list[int]]:
    """Sampled tokens of each row."""
    decisions = rollouts.mask.shape[1]
    return [ids[-decisions:][m].tolist() for ids, m in zip(rollouts.content.token_ids, rollouts.mask, strict=True)]


def prompt_of(rollouts: Rollouts, row: int) -> list[int]:
    width = rollouts.content.token_ids.shape[1] - rollouts.mask.shape[1]
    return rollouts.content.token_ids[row, :width][rollouts.content.attention[row, :width]].tolist()


@torch.inference_mode()
def alone(policy: LanguagePolicy, prompt: list[int], numbers: torch.Tensor, end: int, τ: float = 1.0) -> Any:
    """A row by itself: the whole text anew for each token, probabilities in double precision."""
    ids, found, logprobs, entropies = list(prompt), [], [], []
    for number in numbers.tolist():
        logits = policy.model(torch.tensor([ids])).logits[0, -1].double() / τ
        p = (logits - logits.logsumexp(0)).exp()
        token = int((p.cumsum(0) <= number * p.sum()).sum())
        found.append(token)
        logprobs.append(float(p[token].log()))
        entropies.append(float(-(p * p.log()).sum()))
        ids.append(token)
        if token == end:
            break
    return found, logprobs, entropies


@pytest.mark.parametrize("τ", [1.0, 0.7])
def test_each_row_is_what_the_model_says_about_it_alone(policy: LanguagePolicy, τ: float) -> None:
    rollouts = sampled(policy, sampling=dataclasses.replace(SAMPLING, temperature=τ), want=["entropy"])
    numbers = uniforms(len(PROMPTS), 12, torch.Generator().manual_seed(0))
    lengths = set()
    for row, got in enumerate(tokens(rollouts)):
        found, logprobs, entropies = alone(policy, prompt_of(rollouts, row), numbers[row], 2, τ)
        n = len(found)
        lengths.add(n)
        assert got == found
        assert rollouts.logprobs[row, :n] == pytest.approx(logprobs, abs=1e-5)
        assert rollouts.features["entropy"][row, :n] == pytest.approx(entropies, abs=1e-5)
        assert not rollouts.mask[row, n:].any() and not rollouts.logprobs[row, n:].any()
        assert rollouts.features["finished"][row] == (found[-1] == 2)
    assert len(lengths) > 2  # rows do end at different times
    assert rollouts.mask.shape[1] == max(lengths)


def test_prompts_stand_on_the_left_and_groups_are_prompts(policy: LanguagePolicy) -> None:
    rollouts = sampled(policy)
    assert rollouts.group.tolist() == [0, 0, 1, 2, 3, 0, 1]
    assert prompt_of(rollouts, 0) == [1, 3, 4, 5]
    assert prompt_of(rollouts, 3) == [1]
    attention = rollouts.content.attention
    for row in range(len(PROMPTS)):
        (where,) = np.nonzero(attention[row])
        assert (np.diff(where) == 1).all()
    assert (rollouts.mask == attention[:, -rollouts.mask.shape[1] :]).all()
    assert rollouts.content.prompts == PROMPTS


def test_completions_are_the_text_without_the_end(policy: LanguagePolicy) -> None:
    rollouts = sampled(policy)
    names = ("", "", "", *WORDS.tokens)  # special tokens have no text
    for text, ids in zip(rollouts.content.completions, tokens(rollouts), strict=True):
        assert text == " ".join(names[number] for number in ids if names[number])


@pytest.mark.parametrize("share", [0.0, 0.5, 2.0])
def test_when_rows_are_dropped_does_not_matter(
    policy: LanguagePolicy, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = sampled(policy, want=["entropy", "hidden"])
    monkeypatch.setattr(generation, "_DROP_AT", share)
    found = sampled(policy, want=["entropy", "hidden"])
    assert tokens(found) == tokens(expected)
    assert found.logprobs == pytest.approx(expected.logprobs, abs=1e-5)
    assert found.features["hidden"] == pytest.approx(expected.features["hidden"], abs=1e-4)


def test_company_does_not_matter(policy: LanguagePolicy) -> None:
    together = sampled(policy)
    for n in (1, 3, 5):
        some = sampled(policy, PROMPTS[:n])
        assert tokens(some) == tokens(together)[:n]
        columns = some.mask.shape[1]
        assert some.logprobs == pytest.approx(together.logprobs[:n, :columns], abs=1e-5)


def test_seeds(policy: LanguagePolicy) -> None:
    assert tokens(sampled(policy, seed=1)) == tokens(sampled(policy, seed=1)) != tokens(sampled(policy, seed=2))
    # However long the completions, the generator has moved on by the same.
    generator = torch.Generator().manual_seed(1)
    policy.sample(PROMPTS, SAMPLING, generator)
    other = torch.Generator().manual_seed(1)
    uniforms(len(PROMPTS), 12, other)
    assert torch.equal(generator.get_state(), other.get_state())


def test_rows_of_one_prompt_differ(policy: LanguagePolicy) -> None:
    assert len({tuple(row) for row in tokens(sampled(policy, ["a b c"] * 20))}) > 15


def test_greedy_takes_the_likeliest_token_and_needs_no_numbers(policy: LanguagePolicy) -> None:
    greedy = dataclasses.replace(SAMPLING, greedy=True)
    first, second = sampled(policy, sampling=greedy, seed=0), sampled(policy, sampling=greedy, seed=1)
    assert tokens(first) == tokens(second)
    with torch.inference_mode():
        for row, ids in enumerate(tokens(first)):
            prompt = prompt_of(first, row)
            logits = policy.model(torch.tensor([prompt + ids])).logits[0, len(prompt) - 1 : -1]
            assert logits.argmax(-1).tolist() == ids


def test_greedy_is_what_generate_of_transformers_gives(policy: LanguagePolicy) -> None:
    prompts = ["a b c", "h", "d e f g h a b"]
    ours = tokens(sampled(policy, prompts, sampling=dataclasses.replace(SAMPLING, greedy=True)))
    encoded = policy.tokenizer(prompts, padding=True, return_tensors="pt")
    theirs = policy.model.generate(
        input_ids=encoded.input_ids, attention_mask=encoded.attention_mask, max_new_tokens=12, do_sample=False
    )[:, encoded.input_ids.shape[1] :]
    assert [row + [0] * (theirs.shape[1] - len(row)) for row in ours] == theirs.tolist()


def test_a_prefix_is_continued_and_is_no_decision(policy: LanguagePolicy) -> None:
    rollouts = sampled(policy, ["a b", "a b", "a b c"], prefixes=["c d", [5, 6], ""])
    assert [prompt_of(rollouts, row) for row in range(3)] == [[1, 3, 4, 5, 6], [1, 3, 4, 5, 6], [1, 3, 4, 5]]
    assert rollouts.group.tolist() == [0, 0, 1]
    assert all(text.startswith("c d") for text in rollouts.content.completions[:2])
    plain = sampled(policy, ["a b c d", "a b c d", "a b c"])
    assert tokens(rollouts) == tokens(plain)
    assert rollouts.content.completions[0] == f"c d {plain.content.completions[0]}".strip()
    with pytest.raises(ValueError, match="2 prefixes for 1 prompts"):
        sampled(policy, ["a"], prefixes=["", ""])


@pytest.mark.parametrize("stop", ["\n", "c", "c d"])
def test_a_row_ends_after_a_stop_text(policy: LanguagePolicy, stop: str) -> None:
    prompts = ["a b c d"] * 60  # stop texts in a prompt do not count
    free = sampled(policy, prompts)
    stopped = sampled(policy, prompts, sampling=dataclasses.replace(SAMPLING, stop=(stop,)))
    wanted = [3 + WORDS.tokens.index(word) for word in stop.split(" ")]
    early = 0
    for before, after, finished in zip(tokens(free), tokens(stopped), stopped.features["finished"], strict=True):
        windows = [before[start : start + len(wanted)] for start in range(len(before))]
        end = windows.index(wanted) + len(wanted) if wanted in windows else len(before)
        early += end < len(before)
        assert after == before[:end]
        assert finished == (wanted in windows or before[-1] == 2)
    assert early > 0
    assert not stopped.features["finished"].all()


def test_a_stop_text_across_characters() -> None:
    policy = LanguagePolicy.tiny(Vocabulary("characters", tuple("ab\n")), layers=1, width=16, heads=2)
    rollouts = sampled(policy, ["a"] * 40, sampling=Sampling(12, stop=("ab", "\n\n")))
    texts = rollouts.content.completions
    for text, finished in zip(texts, rollouts.features["finished"], strict=True):
        ends = min((text.find(stop) + 2 for stop in ("ab", "\n\n") if stop in text), default=None)
        assert ends in (None, len(text))
        assert finished or ends is None
    assert any(text.endswith("ab") for text in texts) and any(text.endswith("\n\n") for text in texts)


def test_one_token(policy: LanguagePolicy) -> None:
    rollouts = sampled(policy, sampling=Sampling(1))
    assert rollouts.mask.shape == (len(PROMPTS), 1)
    assert rollouts.mask.all()


def test_what_does_not_fit_is_refused(policy: LanguagePolicy) -> None:
    with pytest.raises(TrainingError, match="a prompt of 21 tokens and max_new_tokens=12 need 33 positions"):
        sampled(policy, ["a", "a " * 19 + "a"])
    assert sampled(policy, ["a " * 18 + "a"]).content.token_ids.shape[1] <= 32
    with pytest.raises(ValueError, match="no prompts"):
        sampled(policy, [])
    with pytest.raises(ValueError, match=r"\['values'\] is unknown"):
        sampled(policy, want=["values"])


def test_sampling_leaves_no_trace_on_the_model(policy: LanguagePolicy) -> None:
    policy.model.train()
    try:
        rollouts = sampled(policy, want=["hidden"])
        assert policy.model.training
        assert not policy.model.get_output_embeddings()._forward_pre_hooks
        assert all(parameter.grad is None for parameter in policy.parameters())
        assert rollouts.logprobs.flags.writeable
    finally:
        policy.model.eval()


def test_a_dropped_out_model_samples_without_dropping() -> None:
    from transformers import GPT2Config

    tokenizer = tokenizer_of(WORDS)
    config = GPT2Config(vocab_size=12, n_embd=16, n_layer=1, n_head=2, n_positions=32, bos_token_id=1, eos_token_id=2)
    policy = LanguagePolicy.from_config(config, tokenizer)
    policy.model.train()
    assert (sampled(policy).logprobs == sampled(policy).logprobs).all()


ARCHITECTURES = ["gpt2", "gpt_neox", "opt", "mistral", "bloom", "qwen3"]


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_other_architectures(kind: str) -> None:
    from transformers import AutoConfig

    sizes = {
        "gpt2": {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 40},
        "gpt_neox": {"intermediate_size": 32},
        "opt": {"ffn_dim": 32, "word_embed_proj_dim": 16},
        "mistral": {"intermediate_size": 32, "num_key_value_heads": 1, "sliding_window": 6},
        "bloom": {"n_layer": 2, "n_head": 2},
        "qwen3": {"intermediate_size": 32, "num_key_value_heads": 1, "head_dim": 8},
    }[kind]
    shared = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "max_position_embeddings": 40}
    config = AutoConfig.for_model(
        kind,
        **({} if kind == "gpt2" else {"hidden_size": 16} if kind == "bloom" else shared),
        **sizes,
        vocab_size=12,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        initializer_range=0.3,
        init_std=0.3,
    )
    policy = LanguagePolicy.from_config(config, tokenizer_of(WORDS))
    rollouts = sampled(policy, want=["hidden", "entropy"])
    numbers = uniforms(len(PROMPTS), 12, torch.Generator().manual_seed(0))
    for row, got in enumerate(tokens(rollouts)):
        found, logprobs, _ = alone(policy, prompt_of(rollouts, row), numbers[row], 2)
        assert got == found
        assert rollouts.logprobs[row, : len(found)] == pytest.approx(logprobs, abs=2e-5)
    under = policy.likelihood(
        torch.from_numpy(rollouts.content.token_ids),
        torch.from_numpy(rollouts.content.attention),
        rollouts.mask.shape[1],
        want=["hidden"],
    )
    assert under.logprobs.detach().numpy()[rollouts.mask] == pytest.approx(rollouts.logprobs[rollouts.mask], abs=2e-5)
    hidden = rollouts.features["hidden"][rollouts.mask]
    assert hidden.shape[1] == 16
    assert under.hidden.detach().numpy()[rollouts.mask] == pytest.approx(hidden, abs=1e-4)


def test_weights_depend_on_the_seed_alone() -> None:
    torch.manual_seed(5)
    first = LanguagePolicy.tiny(WORDS, width=16, heads=2, seed=1).state_dict()
    torch.manual_seed(6)
    before = torch.get_rng_state()
    again = LanguagePolicy.tiny(WORDS, width=16, heads=2, seed=1).state_dict()
    assert torch.equal(before, torch.get_rng_state())
    other = LanguagePolicy.tiny(WORDS, width=16, heads=2, seed=2).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["model.embed_tokens.weight"], other["model.embed_tokens.weight"])


def test_a_saved_policy_is_the_same(policy: LanguagePolicy, tmp_path: Path) -> None:
    policy.save(tmp_path / "policy")
    again = LanguagePolicy.load(tmp_path / "policy")
    assert (sampled(again).content.token_ids == sampled(policy).content.token_ids).all()
    assert not again.model.training
    policy.save(tmp_path / "policy")  # over itself
    assert [file.name for file in tmp_path.iterdir()] == ["policy"]
    assert (tmp_path / "policy" / "model.safetensors").is_file()
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("keep")
    with pytest.raises(FileExistsError, match="is no saved model"):
        policy.save(tmp_path / "notes")


def test_what_cannot_be_loaded(policy: LanguagePolicy, tmp_path: Path) -> None:
    from transformers import AutoModel

    with pytest.raises(TrainingError, match="there is no folder 'no/such/folder'"):
        LanguagePolicy.load("no/such/folder")
    torch.save(policy.model.state_dict(), tmp_path / "pytorch_model.bin")
    policy.model.config.save_pretrained(tmp_path)
    with pytest.raises(TrainingError, match=r"pickle \(pytorch_model\.bin\)"):
        LanguagePolicy.load(tmp_path)
    untied = copy.deepcopy(policy.model.config)
    untied.tie_word_embeddings = False
    AutoModel.from_config(untied).save_pretrained(tmp_path / "trunk")
    policy.tokenizer.save_pretrained(tmp_path / "trunk")
    with pytest.raises(TrainingError, match=r"no causal language model: its files do not hold lm_head\.weight"):
        LanguagePolicy.load(tmp_path / "trunk")


def test_a_tokenizer_with_more_tokens_than_embeddings(policy: LanguagePolicy) -> None:
    with pytest.raises(TrainingError, match="17 tokens, the model embeds 12"):
        LanguagePolicy.from_config(policy.model.config, tokenizer_of(Vocabulary("characters", tuple("abcdefghijklmn"))))


def test_a_copy_stays_as_it_was(policy: LanguagePolicy) -> None:
    learner = LanguagePolicy.tiny(WORDS, width=16, heads=2)
    reference = learner.copy()
    before = sampled(reference).logprobs
    with torch.no_grad():
        for parameter in learner.parameters():
            parameter.add_(1.0)
    assert (sampled(reference).logprobs == before).all()
    assert not any(parameter.requires_grad for parameter in reference.parameters())
    assert all(parameter.requires_grad for parameter in learner.parameters())
    assert not np.allclose(sampled(learner).logprobs, before, atol=1e-3)
    learner.load_state_dict(reference.state_dict())
    # Kernels of weights that take gradients round differently.
    assert sampled(learner).logprobs == pytest.approx(before, abs=1e-5)


def test_a_width_that_heads_cannot_share() -> None:
    with pytest.raises(ValueError, match=r"width=20 must be a multiple of 2 · heads = 8"):
        LanguagePolicy.tiny(WORDS, width=20, heads=4)
