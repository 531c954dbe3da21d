"""PAR with public models: GRPO of TRL on the probability of beating reference answers.

    trainer = build("Qwen/Qwen2.5-0.5B-Instruct", "Skywork/Skywork-Reward-V2-Qwen3-0.6B", prompts, directory="run")
    trainer.train()

References are written by the model before training and scored once; one per prompt is nearly as good as ten. The loop
then costs what it costs without PAR. Watch the share of rewards above .95: they tell the policy nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trueward.tasks.text.rows import Prompt, Row

SETTINGS: Mapping[str, Any] = {"learning_rate": 1e-6, "beta": 0.01, "num_generations": 8, "max_completion_length": 512}
_HARDWARE: Mapping[str, Any] = {"per_device_train_batch_size": 8, "gradient_accumulation_steps": 4, "bf16": True}
_TINY: Mapping[str, Any] = {"max_steps": 2, "max_completion_length": 8, "num_generations": 2, "use_cpu": True}


def build(
    model: str = "Qwen/Qwen2.5-0.5B-Instruct",
    reward_model: str = "Skywork/Skywork-Reward-V2-Qwen3-0.6B",
    prompts: Sequence[Prompt] = (),
    *,
    directory: str | Path,
    references: int = 1,
    steepness: float = 1.0,
    seed: int = 0,
    tiny: bool = False,
    settings: Mapping[str, Any] | None = None,
) -> Any:
    """A `TruewardGRPOTrainer` on prompts with cached reference rewards; the raw rewards are logged beside.

    Args:
        model: folder or name of a causal language model; also the author of the references.
        reward_model: folder or name of a sequence classifier, with its options if any: what follows `hf:`.
        prompts: text or chat messages.
        directory: of checkpoints.
        references: M, answers per prompt that are to be beaten.
        steepness: k of the win probability.
        seed: of references and training.
        tiny: two steps on a CPU.
        settings: of `GRPOConfig`, over `SETTINGS`.

    Reference: Fu et al. 2025, "Reward shaping to mitigate reward hacking in RLHF", arXiv 2502.18770.
    """
    import datasets  # type: ignore[import-untyped]
    from trl import GRPOConfig  # type: ignore[attr-defined]

    from trueward.adapters.trl import TruewardGRPOTrainer
    from trueward.policies.language import LanguagePolicy
    from trueward.policies.sampling import Sampling
    from trueward.rewards.base import as_reward
    from trueward.rewards.transforms import win_probability
    from trueward.rewards.transforms.references import COLUMN
    from trueward.training.reference_rewards import reference_rewards

    chosen = {**SETTINGS, **(_TINY if tiny else _HARDWARE), "report_to": "none", "logging_steps": 1, **(settings or {})}
    raw = as_reward(f"hf:{reward_model}")
    policy = LanguagePolicy.load(model)
    rows = [Row(str(number), prompt, None) for number, prompt in enumerate(prompts)]
    sampling = Sampling(chosen["max_completion_length"], chosen.get("temperature", 1.0))
    table = reference_rewards(policy, rows, raw, references=references, sampling=sampling, seed=seed)
    data = [{"prompt": row.prompt, COLUMN: table[row.prompt_text]} for row in rows]
    return TruewardGRPOTrainer(
        model=policy.model.train(),
        processing_class=policy.tokenizer,
        reward_funcs=raw.transform(win_probability(steepness)),
        args=GRPOConfig(output_dir=str(directory), seed=seed, **chosen),
        train_dataset=datasets.Dataset.from_list(data),
    )
