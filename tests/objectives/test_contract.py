"""What holds for every objective: each is run on random tensors, and none can be left out."""

from __future__ import annotations

import inspect
import math
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import pytest
import torch
from torch import Tensor

import trueward.objectives
from trueward.objectives import (
    covariance,
    density_ratio,
    divergence,
    policy_gradient,
    preference,
    supervised,
    two_heads,
    value,
)
from trueward.objectives.aggregation import decision_weight

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "objectives.md").read_text()

Make = Callable[[torch.Generator, int, int, torch.dtype], dict[str, Tensor]]


@dataclass(frozen=True)
class Case:
    """One objective.

    Attributes:
        function: the objective.
        make: draws its tensors for n rows of t decisions.
        trained: arguments that receive a gradient.
        counts: the argument that says what counts, a mask or a weight.
        settings: further keyword arguments.
        shared: arguments without rows.
    """

    function: Callable[..., tuple[Tensor, dict[str, Tensor]]]
    make: Make
    trained: tuple[str, ...]
    counts: str = "mask"
    settings: Mapping[str, Any] = field(default_factory=dict)
    shared: tuple[str, ...] = ()

    def __call__(self, arguments: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        return self.function(**arguments, **self.settings)


def drawn(seed: torch.Generator, *shape: int, dtype: torch.dtype) -> Tensor:
    return torch.randn(*shape, generator=seed, dtype=dtype)


def mask_of(seed: torch.Generator, n: int, t: int) -> Tensor:
    """Right-padded rows with a hole, as a tool result makes one; the last row has no decision."""
    lengths = torch.randint(1, t + 1, (n, 1), generator=seed)
    mask = (torch.arange(t) < lengths) & (torch.rand(n, t, generator=seed) < 0.8)
    mask[0, 0], mask[-1] = True, False
    return mask


def policy(seed: torch.Generator, n: int, t: int, dtype: torch.dtype, per_row: bool = True) -> dict[str, Tensor]:
    old = -drawn(seed, n, t, dtype=dtype).abs()
    return {
        "logprobs": old + 0.3 * drawn(seed, n, t, dtype=dtype),
        "old_logprobs": old,
        "advantages": drawn(seed, n, *(() if per_row else (t,)), dtype=dtype),
        "mask": mask_of(seed, n, t),
    }


def likelihoods(seed: torch.Generator, n: int, t: int, dtype: torch.dtype) -> dict[str, Tensor]:
    return {"logprobs": -drawn(seed, n, t, dtype=dtype).abs(), "mask": mask_of(seed, n, t)}


def referenced(seed: torch.Generator, n: int, t: int, dtype: torch.dtype) -> dict[str, Tensor]:
    return {**likelihoods(seed, n, t, dtype), "ref_logprobs": -drawn(seed, n, t, dtype=dtype).abs()}


def corrected(seed: torch.Generator, n: int, t: int, dtype: torch.dtype) -> dict[str, Tensor]:
    return {**referenced(seed, n, t, dtype), "old_logprobs": -drawn(seed, n, t, dtype=dtype).abs()}


def scored(seed: torch.Generator, n: int, t: int, dtype: torch.dtype) -> dict[str, Tensor]:
    return {
        "logprobs": -drawn(seed, n, t, dtype=dtype).abs(),
        "advantages": drawn(seed, n, dtype=dtype),
        "mask": mask_of(seed, n, t),
    }


def choices(seed: torch.Generator, n: int, t: int, dtype: torch.dtype) -> dict[str, Tensor]:
    return {"logits": drawn(seed, n, t, 5, dtype=dtype), "mask": mask_of(seed, n, t)}


def targets(seed: torch.Generator, n: int, t: int, dtype: torch.dtype) -> dict[str, Tensor]:
    return {**choices(seed, n, t, dtype), "target": torch.randint(5, (n, t), generator=seed)}


def critic(seed: torch.Generator, n: int, t: int, dtype: torch.dtype) -> dict[str, Tensor]:
    return {
        "values": drawn(seed, n, t, dtype=dtype),
        "old_values": drawn(seed, n, t, dtype=dtype),
        "returns": drawn(seed, n, t, dtype=dtype),
        "mask": mask_of(seed, n, t),
    }


def weighed(seed: torch.Generator, n: int, dtype: torch.dtype) -> dict[str, Tensor]:
    weight = torch.rand(n, generator=seed).to(dtype) + 0.1
    weight[-1] = 0
    return {"label": torch.rand(n, generator=seed).to(dtype), "weight": weight}


def gaps(seed: torch.Generator, n: int, t: int, dtype: torch.dtype) -> dict[str, Tensor]:
    margin = torch.rand(n, generator=seed).to(dtype)
    return {"gap": drawn(seed, n, dtype=dtype), "margin": margin, **weighed(seed, n, dtype)}


def pairs(seed: torch.Generator, n: int, t: int, dtype: torch.dtype) -> dict[str, Tensor]:
    scores = {"score_a": drawn(seed, n, dtype=dtype), "score_b": drawn(seed, n, dtype=dtype)}
    return {**scores, **weighed(seed, n, dtype)}


def headed(seed: torch.Generator, n: int, t: int, dtype: torch.dtype) -> dict[str, Tensor]:
    names = ("quality_a", "quality_b", "length_score_a", "length_score_b")
    return {
        **{name: drawn(seed, n, dtype=dtype) for name in names},
        "length_a": torch.randint(1, 90, (n,), generator=seed).to(dtype),
        "length_b": torch.randint(1, 90, (n,), generator=seed).to(dtype),
        "quality_head": drawn(seed, 1, 6, dtype=dtype),
        "length_head": drawn(seed, 1, 6, dtype=dtype),
        **weighed(seed, n, dtype),
    }


def labelled(seed: torch.Generator, n: int, t: int, dtype: torch.dtype) -> dict[str, Tensor]:
    given = weighed(seed, n, dtype)
    return {"logits": drawn(seed, n, dtype=dtype), "target": given["label"], "weight": given["weight"]}


def measured(seed: torch.Generator, n: int, t: int, dtype: torch.dtype) -> dict[str, Tensor]:
    return {
        "prediction": drawn(seed, n, dtype=dtype),
        "target": drawn(seed, n, dtype=dtype),
        "weight": weighed(seed, n, dtype)["weight"],
    }


def told_apart(seed: torch.Generator, n: int, t: int, dtype: torch.dtype) -> dict[str, Tensor]:
    weight = weighed(seed, n, dtype)["weight"]
    return {"d": drawn(seed, n, dtype=dtype), "of_policy": torch.arange(n) % 2 == 0, "weight": weight}


def per_decision(seed: torch.Generator, n: int, t: int, dtype: torch.dtype) -> dict[str, Tensor]:
    return policy(seed, n, t, dtype, per_row=False)


SCORES = ("score_a", "score_b")
HEADS = ("quality_head", "length_head")
TRAINED_HEADS = ("quality_a", "quality_b", "length_score_a", "length_score_b", *HEADS)
CASES = {
    "surrogate": Case(policy_gradient.clipped_surrogate, policy, ("logprobs",)),
    "surrogate of tokens": Case(
        policy_gradient.clipped_surrogate, per_decision, ("logprobs",), settings={"high": 0.28, "dual": 3.0}
    ),
    "surrogate of sequences": Case(
        policy_gradient.clipped_surrogate, policy, ("logprobs",), settings={"ratio": "sequence"}
    ),
    "reinforce": Case(policy_gradient.reinforce, scored, ("logprobs",)),
    "k2": Case(divergence.kl_penalty, referenced, ("logprobs",), settings={"estimator": "k2"}),
    "k3": Case(divergence.kl_penalty, referenced, ("logprobs",)),
    "k1 corrected": Case(divergence.kl_penalty, corrected, ("logprobs",), settings={"estimator": "k1"}),
    "k3 corrected": Case(divergence.kl_penalty, corrected, ("logprobs",)),
    "covariance": Case(covariance.covariance_penalty, policy, ("logprobs",), settings={"share": 0.3}),
    "covariance of tokens": Case(covariance.covariance_penalty, per_decision, ("logprobs",), settings={"share": 0.3}),
    "entropy": Case(divergence.entropy_bonus, choices, ("logits",)),
    "value": Case(value.clipped_value_loss, critic, ("values",)),
    "value without bound": Case(value.clipped_value_loss, critic, ("values",), settings={"clip": float("inf")}),
    "logistic": Case(preference.logistic_preference, gaps, ("gap",), "weight", {"smoothing": 0.1}),
    "bradley-terry": Case(preference.bradley_terry, pairs, SCORES, "weight", {"centring": 0.01}),
    "bradley-terry, each": Case(
        preference.bradley_terry, pairs, SCORES, "weight", {"centring": 0.005, "centre": "each", "margin": 0.5}
    ),
    "two heads": Case(two_heads.two_heads, headed, TRAINED_HEADS, "weight", shared=HEADS),
    "binary": Case(supervised.binary_cross_entropy, labelled, ("logits",), "weight", {"positive_weight": 2.0}),
    "density ratio": Case(density_ratio.logistic_ratio, told_apart, ("d",), "weight", {"smoothing": 0.1}),
    "total variation": Case(density_ratio.variation_ratio, told_apart, ("d",), "weight"),
    "wasserstein": Case(density_ratio.wasserstein_critic, told_apart, ("d",), "weight"),
    "squared": Case(supervised.squared_error, measured, ("prediction",), "weight"),
    "likelihood": Case(supervised.negative_log_likelihood, likelihoods, ("logprobs",)),
    "tokens": Case(supervised.cross_entropy, targets, ("logits",)),
}

LOGISTIC = {"accuracy", "gap_mean", "active_pairs"}

every = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
N, T = 6, 7


def arguments(case: Case, dtype: torch.dtype = torch.float64, n: int = N, t: int = T) -> dict[str, Tensor]:
    given = case.make(torch.Generator().manual_seed(7), n, t, dtype)
    return {name: value.requires_grad_() if name in case.trained else value for name, value in given.items()}


def gradients(case: Case, given: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
    loss, _ = case(given)
    found = torch.autograd.grad(loss, [given[name] for name in case.trained])
    return loss.detach(), dict(zip(case.trained, found, strict=True))


def fresh(case: Case, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().clone().requires_grad_(name in case.trained) for name, value in given.items()}


def grown(case: Case, given: dict[str, Tensor], rows: int, columns: int) -> dict[str, Tensor]:
    """The same with rows and columns that do not count and hold NaN."""

    def one(name: str, value: Tensor) -> Tensor:
        if name in case.shared:
            return value.clone()
        shape = [value.shape[0] + rows, *value.shape[1:]]
        if value.ndim > 1:
            shape[1] += columns
        junk = 0 if name == case.counts else math.nan if value.is_floating_point() else -100
        wider = torch.full(shape, junk, dtype=value.dtype)
        if value.ndim > 1:
            wider[: value.shape[0], : value.shape[1]] = value
        else:
            wider[: value.shape[0]] = value
        return wider

    return fresh(case, {name: one(name, value.detach()) for name, value in given.items()})


def public_objectives() -> set[str]:
    modules = [
        import_module(f"trueward.objectives.{found.name}") for found in iter_modules(trueward.objectives.__path__)
    ]
    return {
        f"{module.__name__}.{name}"
        for module in modules
        for name, part in inspect.getmembers(module, inspect.isfunction)
        if part.__module__ == module.__name__
        and not name.startswith("_")
        and inspect.signature(part).return_annotation == "Loss"
    }


def test_every_objective_is_in_this_suite() -> None:
    covered = {f"{case.function.__module__}.{case.function.__name__}" for case in CASES.values()}
    assert covered == public_objectives()
    assert len(covered) >= 12


@every
def test_what_does_not_count_changes_nothing_even_where_it_is_nan(case: Case) -> None:
    given = arguments(case)
    loss, found = gradients(case, given)
    assert loss.isfinite() and any(gradient.abs().sum() > 0 for gradient in found.values())
    wider = grown(case, given, rows=2, columns=3)
    padded_loss, padded = gradients(case, wider)
    assert torch.allclose(padded_loss, loss, rtol=1e-6)
    for name, gradient in found.items():
        within = padded[name] if name in case.shared else padded[name][:N]
        if within.ndim > 1 and name not in case.shared:
            within = within[:, :T]
        assert torch.allclose(within, gradient, rtol=1e-6, atol=1e-12)
        assert padded[name].abs().sum() == pytest.approx(gradient.abs().sum().item(), rel=1e-6)
    for number, padded_number in zip(case(given)[1].values(), case(wider)[1].values(), strict=True):
        assert torch.allclose(number.double(), padded_number.double(), rtol=1e-6)


@every
@pytest.mark.parametrize("rows", [N, 1])
def test_where_nothing_counts_loss_and_gradients_are_zero(case: Case, rows: int) -> None:
    given = arguments(case, n=rows)
    given[case.counts] = torch.zeros_like(given[case.counts])
    loss, found = gradients(case, given)
    assert loss == 0
    assert all((gradient == 0).all() for gradient in found.values())
    assert all(number.isfinite() for number in case(given)[1].values())


@every
def test_the_order_of_rows_is_nothing(case: Case) -> None:
    given = arguments(case)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    turned = {name: value if name in case.shared else value.detach()[order] for name, value in given.items()}
    loss, found = gradients(case, given)
    turned_loss, turned_found = gradients(case, fresh(case, turned))
    assert torch.allclose(turned_loss, loss)
    for name, gradient in found.items():
        assert torch.allclose(turned_found[name], gradient if name in case.shared else gradient[order])


@every
def test_a_row_left_out_is_a_row_removed(case: Case) -> None:
    given = arguments(case)
    without = {name: value if name in case.shared else value.detach()[1:] for name, value in given.items()}
    given[case.counts] = given[case.counts].clone()
    given[case.counts][0] = 0
    loss, found = gradients(case, given)
    removed_loss, removed = gradients(case, fresh(case, without))
    assert torch.allclose(removed_loss, loss, rtol=1e-6)
    for name, gradient in found.items():
        assert torch.allclose(removed[name], gradient if name in case.shared else gradient[1:], rtol=1e-6)


@every
def test_the_scale_of_weights(case: Case) -> None:
    given = arguments(case)
    loss, _ = case(given)
    if case.counts == "weight":  # of pairs and labels only the proportions matter
        assert torch.allclose(case({**given, "weight": 7 * given["weight"]})[0], loss)
    else:  # those of decisions are coefficients
        weight = decision_weight(given["mask"])
        assert torch.allclose(case({**given, "weight": weight})[0], loss)
        assert torch.allclose(case({**given, "weight": 7 * weight})[0], 7 * loss)


# The ratio of sequences passes its gradient by another way than its value (equal to TRL's gradient by another test).
SLOPES = {name: case for name, case in CASES.items() if case.settings.get("ratio") != "sequence"}


@pytest.mark.parametrize("case", SLOPES.values(), ids=SLOPES.keys())
def test_the_gradient_is_the_slope(case: Case) -> None:
    given = arguments(case)
    held = {name: value for name, value in given.items() if name not in case.trained}

    def loss(*trained: Tensor) -> Tensor:
        return case({**held, **dict(zip(case.trained, trained, strict=True))})[0]

    assert torch.autograd.gradcheck(loss, [given[name] for name in case.trained], eps=1e-7, atol=1e-6)


@every
@pytest.mark.parametrize("size", [1e2, 1e4, 1e8])
def test_extreme_inputs_stay_finite(case: Case, size: float) -> None:
    given = arguments(case, torch.float32)
    for name in case.trained:
        given[name] = (size * given[name].detach()).requires_grad_()
    loss, found = gradients(case, given)
    assert loss.isfinite()
    assert all(gradient.isfinite().all() for gradient in found.values())
    assert all(number.isfinite() for number in case(given)[1].values())


@every
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_single(case: Case, dtype: torch.dtype) -> None:
    given = arguments(case, dtype)
    loss, found = gradients(case, given)
    single = fresh(case, {name: v.float() if v.is_floating_point() else v for name, v in given.items()})
    assert loss.dtype == torch.float32
    assert torch.allclose(loss, gradients(case, single)[0], rtol=1e-5)
    assert all(gradient.isfinite().all() for gradient in found.values())


@every
def test_metrics_are_detached_numbers_with_documented_names(case: Case) -> None:
    loss, metrics = case(arguments(case))
    assert loss.shape == () and loss.requires_grad
    for name, number in metrics.items():
        assert number.shape == () and not number.requires_grad, name
    described = (inspect.getdoc(case.function) or "").partition("Returns:")[2]
    if "the metrics of `logistic_preference`" in described:
        described += (inspect.getdoc(preference.logistic_preference) or "").partition("Returns:")[2]
    documented = set(re.findall(r"`(\w+)`", described))
    assert set(metrics) <= documented
    (row,) = [line for line in PAGE.splitlines() if line.startswith(f"| `{case.function.__name__}` |")]
    own = set(metrics) - (LOGISTIC if "those of `logistic_preference`" in row else set())
    assert own <= set(re.findall(r"`(\w+)`", row))


@every
@pytest.mark.parametrize("shape", [(0, T), (2, 0)])
def test_an_empty_batch_has_no_loss(case: Case, shape: tuple[int, int]) -> None:
    given = arguments(case)
    rows, columns = shape
    cut = {
        name: value
        if name in case.shared
        else value.detach()[:rows]
        if value.ndim == 1
        else value.detach()[:rows, :columns]
        for name, value in given.items()
    }
    loss, metrics = case(fresh(case, cut))
    assert loss == 0 or (columns == 0 and case.counts == "weight")  # what has no decisions keeps its rows
    assert loss.isfinite() and all(number.isfinite() for number in metrics.values())


def test_the_package_alone_does_not_load_torch() -> None:
    program = "import sys, trueward.objectives; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
    assert subprocess.run([sys.executable, "-c", f"import torch; {program}"], check=False).returncode == 1


def test_the_example_of_the_page_runs() -> None:
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    names: dict[str, Any] = policy(torch.Generator().manual_seed(1), N, T, torch.float32)
    names["ref_logprobs"] = names["old_logprobs"]
    names["logprobs"].requires_grad_()
    exec(example, names)
    assert names["logprobs"].grad.abs().sum() > 0
