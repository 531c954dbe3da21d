"""Ensembles as TRL runs: tiny random models, two steps of a reward model and of a policy."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from trueward.policies.language import LanguagePolicy
from trueward.policies.tiny import tiny_config
from trueward.recipes.real import ensembles
from trueward.rewards.locate import module_at

tiny = module_at(str(Path(__file__).parents[1] / "rewards" / "models" / "tiny.py"))


@pytest.fixture
def base(tmp_path: Path) -> Path:
    from transformers import AutoTokenizer

    # TRL appends the end of text as text, which the tokenizers of procedural tasks do not read.
    tiny.save_tokenizer(tmp_path / "tokenizer")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "tokenizer")
    LanguagePolicy.from_config(tiny_config(tokenizer, 1, 16, 2, 64), tokenizer).save(tmp_path / "base")
    return tmp_path / "base"


def test_members_are_trained_centred_and_paid_together(base: Path, tmp_path: Path) -> None:
    pairs = [{"chosen": "Question a : b c", "rejected": "Question a : d e f"}] * 4
    members = []
    for seed in range(2):
        member = ensembles.reward_trainer(str(base), pairs, directory=tmp_path / f"member {seed}", seed=seed, tiny=True)
        assert member.args.center_rewards_coefficient == 0.01
        member.train()
        assert member.state.global_step == 2
        member.save_model()
        members.append(member.args.output_dir)
    prompts = [f"Question {letter} : " for letter in "abcd"]
    trainer = ensembles.build(str(base), members, prompts, directory=tmp_path / "run", aggregate="min", tiny=True)
    trainer.train()
    assert trainer.state.global_step == 2
    paid = [line["rewards/ensemble/mean"] for line in trainer.state.log_history if "rewards/ensemble/mean" in line]
    assert len(paid) == 2 and all(abs(mean) < 10 for mean in paid)
    json.dumps([dict(ensembles.SETTINGS), dict(ensembles.REWARD_SETTINGS)])
