"""The bed of digits: what arms share, what is measured, and that its proxy can be hacked while gold tells."""

from __future__ import annotations

import ast
import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import trueward
from trueward.evidence.digits_bed import METRICS, SETTINGS, SMOKE, bed
from trueward.evidence.digits_measured import DigitsBed, judgements
from trueward.evidence.run import Run
from trueward.tasks.flow.digits import CLASSES

# A whole proxy, gold that recognises digits, and a generator that knows where there is paper.
CHOSEN = {
    **SETTINGS, **SMOKE, "bed.proxy_steps": 300, "bed.proxy_width": 128, "bed.judge_steps": 120,
    "bed.generator_steps": 150, "bed.generator_rate": 3e-3,
}  # fmt: skip


def run_of(root: Path, arm: str, seed: int = 2000, **changed) -> Run:
    directory = root / "digits" / "smoke" / f"seed-{seed}" / arm
    directory.mkdir(parents=True, exist_ok=True)
    return Run("digits", arm, "smoke", seed, {**CHOSEN, "other": 1, **changed}, directory)


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def made(root) -> DigitsBed:
    return bed(run_of(root, "one"))


def real_by_class(made: DigitsBed, count: int) -> np.ndarray:
    real = made.splits.heldout
    return np.concatenate([real.images[real.labels == one][:count] for one in range(CLASSES)])


def test_arms_of_a_seed_share_everything(made, root):
    before = sorted(path.stat().st_mtime_ns for path in root.rglob("*.safetensors"))
    again = bed(run_of(root, "two", other=2))
    assert sorted(path.stat().st_mtime_ns for path in root.rglob("*.safetensors")) == before and len(before) == 3
    for a, b in ((made.reference, again.reference), (made.classifier, again.classifier)):
        assert all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))
    assert torch.equal(made.noise, again.noise)
    assert made.evaluate(made.reference) == again.evaluate(again.policy())


def test_other_seeds_share_nothing_but_the_splits(made, root):
    other = bed(run_of(root, "one", seed=2001))
    assert not torch.equal(made.noise, other.noise)
    assert not torch.equal(made.reference.enter.weight, other.reference.enter.weight)
    assert not torch.equal(made.classifier.layers[0].weight, other.classifier.layers[0].weight)
    assert (made.splits.proxy.images == other.splits.proxy.images).all()


def test_policies_are_fresh_and_the_reference_stays(made):
    first, second = made.policy(), made.policy()
    with torch.no_grad():
        first.enter.weight.add_(1.0)
    assert torch.equal(second.enter.weight, made.reference.enter.weight)
    assert all(values.requires_grad for values in first.parameters())
    frozen = [*made.reference.parameters(), *made.classifier.parameters(), *made.gold.networks.parameters()]
    assert not any(values.requires_grad for values in frozen)


def test_the_generator_learnt_something(made):
    from trueward.policies.flow.network import FlowMLP

    blank = FlowMLP((1, 8, 8), CLASSES, CHOSEN["bed.width"], CHOSEN["bed.blocks"])
    assert made.evaluate(made.reference)["copying"] < made.evaluate(blank)["copying"] - 1.0


def test_every_metric_is_measured_in_order(made):
    found = made.evaluate(made.reference, 7)
    assert list(found) == [metric.name for metric in METRICS]
    assert all(np.isfinite(value) for value in found.values())


def test_conditions_and_prompts_go_class_by_class(made):
    labels = made.conditions(2)
    assert labels.tolist() == [one for one in range(10) for _ in range(2)]
    assert made.prompts(labels)[:4] == ["0", "0", "1", "1"]


def test_real_digits_are_what_is_wanted(made):
    found = made.measured(real_by_class(made, 25))
    assert found["gold"] > 0.8 and found["second_opinion"] > 0.9 and found["proxy"] > 0.8
    assert found["realism"] == pytest.approx(0.5, abs=0.05)
    assert found["diversity"] == pytest.approx(1.0, abs=0.1)
    assert found["high_frequency"] == pytest.approx(1.0, abs=0.1)
    assert found["outside"] == 0.0
    expected = 0.2 + found["proxy"] * (
        np.mean(judgements(found["gold"], found["realism"], found["high_frequency"])) - 3
    )
    assert found["corrected"] == pytest.approx(expected) and found["corrected"] > 1.2


def test_judgements_by_hand():
    assert judgements(0.5, 0.25, 2.0) == pytest.approx([3.0, 3.0, 3.0])
    assert judgements(1.0, 0.9, 1.0) == [5.0, 5.0, 5.0]
    assert judgements(0.0, 0.0, 0.0) == [1.0, 1.0, 1.0]
    assert judgements(0.0, 0.0, 0.5) == judgements(0.0, 0.0, 2.0)


def test_each_measure_sees_what_it_is_for(made):
    real = real_by_class(made, 12)
    plain, sharp = made.measured(real), made.measured(3 * real)
    assert sharp["outside"] > 0.1 and sharp["high_frequency"] > 1.5 and sharp["realism"] < 0.25
    assert sharp["corrected"] < plain["corrected"] - 0.3
    one_each = real.reshape(10, 12, 1, 8, 8)[:, :1].repeat(12, axis=1).reshape(real.shape)
    assert made.measured(one_each)["diversity"] == pytest.approx(0.0, abs=1e-6)
    copies = made.splits.generator.images[: 12 * 10]
    assert made.measured(copies)["copying"] == 0.0 < plain["copying"]
    wrong = np.roll(real, 12, axis=0)
    assert made.measured(wrong)["gold"] < 0.1 and made.measured(wrong)["realism"] == pytest.approx(plain["realism"])


@pytest.mark.parametrize("kind", ["prob", "margin"])
def test_pixels_optimised_against_the_proxy_are_paid_more_than_real_digits_and_look_like_nothing(made, kind):
    """The phenomenon, without a policy: gradient steps on noise."""
    labels, reward = made.conditions(6), made.readability(kind)
    start = 0.3 * torch.randn(60, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    images = start.clone().requires_grad_()
    optimizer = torch.optim.Adam([images], lr=0.05)
    for _ in range(60):
        optimizer.zero_grad()
        (-reward.value(images, labels).sum()).backward()
        optimizer.step()
    hacked, real = made.measured(images.detach().numpy()), made.measured(real_by_class(made, 25))
    paid = "proxy" if kind == "prob" else "margin"
    assert hacked[paid] > real[paid] + 0.05
    assert hacked["realism"] < 0.1 and hacked["corrected"] < real["corrected"] - 0.8


def test_the_end_of_a_run_leaves_a_sheet(made, root):
    import PIL.Image

    run = run_of(root, "three")
    found = made.finish(run, made.reference)
    assert found == made.evaluate(made.reference)
    written = (run.directory / "samples.png").read_bytes()
    made.finish(run, made.reference)
    assert (run.directory / "samples.png").read_bytes() == written
    sheet = np.asarray(PIL.Image.open(io.BytesIO(written)))
    # Ten rows of eight pixels, each four times as large, with gaps of four.
    assert sheet.shape[0] == 4 + 10 * 36
    first = (np.clip(made.samples(made.reference)[0, 0], -1, 1) + 1) / 2
    left = sheet.shape[1] - CHOSEN["bed.shown"] * 36
    assert (sheet[4:36:4, left : left + 32 : 4, 0] == np.rint(first * 255)).all()


def test_smoke_changes_only_what_there_is():
    assert set(SMOKE) <= set(SETTINGS)


def test_settings_and_metrics_load_without_torch():
    """Recipes are listed by whoever has no torch."""
    code = "import sys, trueward.evidence.digits_bed; print('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.strip() == "False"


def test_nothing_that_trains_knows_gold():
    """No reward, credit, objective, policy or trainer imports the judge."""
    source, checked = Path(trueward.__file__).parent, 0
    for stage in ("rewards", "credit", "objectives", "policies", "training", "adapters"):
        for path in (source / stage).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
                module = (node.module or "") if isinstance(node, ast.ImportFrom) else ""
                assert "trueward.tasks.flow.judge" not in {module, *names, *(f"{module}.{one}" for one in names)}, path
                checked += bool(names)
    assert checked > 500
