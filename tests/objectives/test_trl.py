"""The losses that TRL's trainers compute, on the same random tensors: value, gradient, and what both log."""

from __future__ import annotations

from collections import defaultdict
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from trl import GRPOTrainer, RewardTrainer

from trueward.objectives.aggregation import Aggregation, decision_weight
from trueward.objectives.divergence import kl_penalty
from trueward.objectives.policy_gradient import RatioLevel, clipped_surrogate
from trueward.objectives.preference import bradley_terry

N, T = 24, 9


def drawn() -> dict[str, Tensor]:
    seed = torch.Generator().manual_seed(11)
    old = -torch.rand(N, T, generator=seed) * 2
    drift = 0.4 * torch.randn(N, 1, generator=seed)  # or no whole sequence would be far enough to be clipped
    lengths = torch.randint(1, T + 1, (N, 1), generator=seed)
    return {
        "logprobs": (old + torch.randn(N, T, generator=seed) / 4 + drift).requires_grad_(),
        "old": old,
        "ref": old + 0.3 * torch.randn(N, T, generator=seed),
        "advantages": torch.randn(N, generator=seed),
        "mask": torch.arange(T) < lengths,
    }


ACCELERATOR = SimpleNamespace(
    num_processes=1,
    gather=lambda tensor: tensor,
    gather_for_metrics=lambda tensor: tensor,
    reduce=lambda tensor, reduction: tensor,
)


def of_trl(given: dict[str, Tensor], **settings: Any) -> tuple[Tensor, dict[str, list[float]]]:
    """`GRPOTrainer._compute_loss` on log-probabilities that are given instead of computed by a model."""
    arguments = {"delta": None, "use_bias_correction_kl": False, "steps_per_generation": 1}
    trainer = SimpleNamespace(
        _get_per_token_logps_and_entropies=lambda *_, **__: (given["logprobs"], torch.zeros(N, T), None),
        _entropy_bonus_enabled=False,
        _metrics={"train": defaultdict(list)},
        accelerator=ACCELERATOR,
        args=SimpleNamespace(**arguments | {name: settings.pop(name) for name in arguments if name in settings}),
        aux_loss_enabled=False,
        current_gradient_accumulation_steps=1,
        max_completion_length=20,
        model=SimpleNamespace(training=True),
        off_policy_mask_threshold=None,
        top_entropy_quantile=1.0,
        use_vllm=False,
        **{"beta": 0.0, "epsilon_low": 0.2, "epsilon_high": 0.28, "importance_sampling_level": "token"} | settings,
    )
    ids = torch.zeros(N, T, dtype=torch.long)
    inputs = {
        "prompt_ids": ids,
        "prompt_mask": ids,
        "completion_ids": ids,
        "completion_mask": given["mask"].long(),
        "advantages": given["advantages"],
        "old_per_token_logps": given["old"],
        "ref_per_token_logps": given["ref"],
        "num_items_in_batch": given["mask"].sum(),
    }
    return GRPOTrainer._compute_loss(trainer, None, inputs), trainer._metrics["train"]


def agree(mine: Tensor, theirs: Tensor, given: dict[str, Tensor]) -> None:
    assert torch.allclose(mine, theirs, rtol=1e-5)
    gradients = [torch.autograd.grad(loss, given["logprobs"])[0] for loss in (mine, theirs)]
    assert torch.allclose(*gradients, rtol=1e-4, atol=1e-8)
    assert gradients[0].abs().sum() > 0


@pytest.mark.parametrize("ratio", ["token", "sequence"])
@pytest.mark.parametrize(
    ("name", "over"),
    [("grpo", "sequence"), ("bnpo", "token"), ("dapo", "token"), ("dr_grpo", "fixed_length")],
)
def test_surrogates(name: str, over: Aggregation, ratio: RatioLevel) -> None:
    given = drawn()
    theirs, logged = of_trl(given, loss_type=name, importance_sampling_level=ratio)
    weight = decision_weight(given["mask"], over, length=20)
    mine, metrics = clipped_surrogate(
        given["logprobs"], given["old"], given["advantages"], given["mask"], weight, high=0.28, ratio=ratio
    )
    agree(mine, theirs, given)
    assert metrics["clip_share_low"] + metrics["clip_share_high"] > 0
    if ratio == "token":  # TRL counts sequences at the other level, this library decisions
        assert logged["clip_ratio/low_mean"] == [pytest.approx(metrics["clip_share_low"].item())]
        assert logged["clip_ratio/high_mean"] == [pytest.approx(metrics["clip_share_high"].item())]


def test_dual_clip() -> None:
    given = drawn()
    theirs, _ = of_trl(given, loss_type="bnpo", delta=1.5)
    mine, metrics = clipped_surrogate(
        given["logprobs"], given["old"], given["advantages"], given["mask"], high=0.28, dual=1.5
    )
    agree(mine, theirs, given)
    assert metrics["clip_share_dual"] > 0


@pytest.mark.parametrize("corrected", [False, True])
def test_the_divergence_as_a_loss_term(corrected: bool) -> None:
    given = drawn()
    theirs, logged = of_trl(given, loss_type="grpo", beta=0.3, use_bias_correction_kl=corrected)
    weight = decision_weight(given["mask"], "sequence")
    surrogate, _ = clipped_surrogate(
        given["logprobs"], given["old"], given["advantages"], given["mask"], weight, high=0.28
    )
    old = given["old"] if corrected else None
    penalty, metrics = kl_penalty(given["logprobs"], given["ref"], given["mask"], weight, old_logprobs=old)
    agree(surrogate + 0.3 * penalty, theirs, given)
    if not corrected:  # TRL logs the estimate times the ratio then
        assert logged["kl"] == [pytest.approx(metrics["kl"].item(), rel=1e-5)]


@pytest.mark.parametrize("centring", [None, 0.01])
@pytest.mark.parametrize("margin", [False, True])
def test_reward_models(centring: float | None, margin: bool) -> None:
    scores = torch.randn(2 * N, generator=torch.Generator().manual_seed(12)).requires_grad_()
    trainer = SimpleNamespace(
        _metrics={"train": defaultdict(list)},
        _total_train_tokens=0,
        _tp_size=1,
        accelerator=ACCELERATOR,
        args=SimpleNamespace(center_rewards_coefficient=centring),
        model=SimpleNamespace(training=True),
    )
    margins = torch.rand(N, generator=torch.Generator().manual_seed(13))
    inputs = {"attention_mask": torch.ones(2 * N, 3)} | ({"margin": margins} if margin else {})
    theirs = RewardTrainer.compute_loss(trainer, lambda **_: SimpleNamespace(logits=scores[:, None]), inputs)
    a, b = scores.chunk(2)
    mine, metrics = bradley_terry(a, b, margin=margins if margin else 0.0, centring=centring or 0.0)
    agree(mine, theirs, {"logprobs": scores})
    logged = trainer._metrics["train"]
    assert logged["accuracy"] == [pytest.approx(metrics["accuracy"].item())]
    assert logged["margin"] == [pytest.approx(metrics["gap_mean"].item(), rel=1e-5)]
