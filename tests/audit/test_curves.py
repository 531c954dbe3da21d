"""Curves of logged samples: which samples belong together, what is left out, and what may be said of the result."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

from trueward.audit.curves import curve_of
from trueward.errors import AuditError, DataError
from trueward.measures.best_of_n import curve
from trueward.report.curve_terminal import curve_lines
from trueward.tasks.text.rollout_formats import write_rollouts
from trueward.tasks.text.rollouts import LoggedCompletion

DATA = Path(__file__).resolve().parents[1] / "data" / "rollouts"


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    if path.suffix == ".parquet":
        parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def hacked(prompts: int, samples: int, seed: int = 0, kept: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """A proxy, and a gold that rises with it first and then falls; `kept` is how much of that is there."""
    draw = np.random.default_rng(seed)
    proxy = draw.normal(size=(prompts, samples))
    gold = kept * (proxy - np.maximum(proxy - 0.5, 0.0) * 3) + 0.3 * draw.normal(size=proxy.shape)
    return proxy, gold


def rows_of(proxy: np.ndarray, gold: np.ndarray, **more: Any) -> list[dict[str, Any]]:
    return [
        {"prompt": f"question {i}", "completion": "x", "reward": p, "correct": g, **more}
        for i, (ps, gs) in enumerate(zip(proxy.tolist(), gold.tolist(), strict=True))
        for p, g in zip(ps, gs, strict=True)
    ]


@pytest.mark.parametrize("name", ["samples.parquet", "samples.jsonl"])
def test_a_file_gives_the_curve_of_its_matrix(name: str, tmp_path: Path) -> None:
    proxy, gold = hacked(20, 24)
    rows = rows_of(proxy, gold)
    np.random.default_rng(1).shuffle(rows)  # type: ignore[arg-type]
    made = curve_of(write(tmp_path / name, rows), "reward", "correct")
    wanted = curve(proxy, gold, [1, 2, 4, 8, 16, 24])
    assert made["n"] == [1, 2, 4, 8, 16, 24]
    assert (made["prompts"], made["samples"], made["peak"]) == (20, 24, wanted.n[wanted.peak])
    np.testing.assert_allclose(made["kl"], wanted.kl)
    np.testing.assert_allclose(made["proxy_mean"], wanted.proxy, atol=1e-12)
    np.testing.assert_allclose(made["gold_mean"], wanted.gold, atol=1e-12)
    assert made["pass_at_k"] is None
    assert (np.array(made["gold_low"]) <= made["gold_mean"]).all()
    assert (np.array(made["gold_mean"]) <= made["gold_high"]).all()


def test_by_hand_with_a_failed_sample(tmp_path: Path) -> None:
    rows = rows_of(np.array([[1.0, 2.0, 3.0], [0.0, 1.0, 2.0]]), np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]))
    rows += [{"prompt": "question 0", "completion": "x", "reward": None, "correct": 1.0}]
    rows += [{"prompt": "question 1", "completion": "x", "reward": 9.0, "correct": float("nan")}]
    made = curve_of(write(tmp_path / "s.parquet", rows), "reward", "correct", [1, 2, 3])
    # Best of 2 of three takes rank 2 with 1/3 and rank 3 with 2/3.
    np.testing.assert_allclose(made["proxy_mean"], [1.5, (8 / 3 + 5 / 3) / 2, 2.5])
    np.testing.assert_allclose(made["gold_mean"], [1 / 2, (1 / 3 + 2 / 3) / 2, 1 / 2])
    # pass@k: question 0 has two right of three, question 1 has one.
    np.testing.assert_allclose(made["pass_at_k"], [1 / 2, (1 + 2 / 3) / 2, 1.0])
    assert made["notices"][0] == "2 samples without a proxy or gold score were left out"
    assert "too few for intervals" in made["notices"][-1]


def test_unequal_numbers_of_samples_are_all_used(tmp_path: Path) -> None:
    proxy, gold = hacked(12, 20)
    rows = rows_of(proxy, gold)
    short = [row for row in rows if row["prompt"] != "question 3"] + rows_of(proxy[3:4, :19], gold[3:4, :19])
    short[-19:] = [{**row, "prompt": "question 3"} for row in short[-19:]]
    lost = [row for row in short if row["prompt"] != "question 5"] + [
        row for row in short if row["prompt"] == "question 5"
    ][:4]
    made = curve_of(write(tmp_path / "s.parquet", lost), "reward", "correct")
    assert (made["prompts"], made["samples"], made["n"][-1]) == (11, 19, 19)
    others = [i for i in range(12) if i not in (3, 5)]
    wanted = np.concatenate(
        [curve(proxy[i : i + 1], gold[i : i + 1], made["n"]).gold[None] for i in others]
        + [curve(proxy[3:4, :19], gold[3:4, :19], made["n"]).gold[None]]
    ).mean(axis=0)
    np.testing.assert_allclose(made["gold_mean"], wanted, atol=1e-12)
    assert "1 of 12 prompts have fewer than 19 samples, left out" in made["notices"]
    assert "prompts have 19 to 20 samples; all are used, and n ends at 19" in made["notices"]


def test_samples_belong_together_by_group_or_prompt_and_step(tmp_path: Path) -> None:
    proxy, gold = hacked(12, 4)
    two_steps = rows_of(proxy[:6], gold[:6], step=1) + rows_of(proxy[6:], gold[6:], step=2)
    made = curve_of(write(tmp_path / "steps.jsonl", two_steps), "reward", "correct")
    assert (made["prompts"], made["samples"]) == (12, 4)
    assert "samples belong together by prompt and step" in made["notices"]
    one_step = [{**row, "step": 1} for row in two_steps]
    assert curve_of(write(tmp_path / "step.jsonl", one_step), "reward", "correct")["samples"] == 8
    grouped = [{**row, "group": i // 4} for i, row in enumerate(one_step)]
    assert curve_of(write(tmp_path / "group.jsonl", grouped), "reward", "correct")["samples"] == 4
    unknown = [{**row, "group": ""} for row in one_step]
    assert curve_of(write(tmp_path / "unknown.parquet", unknown), "reward", "correct")["prompts"] == 6
    chat = [{**row, "prompt": [{"role": "user", "content": row["prompt"]}]} for row in one_step]
    assert curve_of(write(tmp_path / "chat.parquet", chat), "reward", "correct")["prompts"] == 6


def test_files_of_a_folder_are_joined(tmp_path: Path) -> None:
    proxy, gold = hacked(12, 4)
    for step, part in ((9, slice(0, 6)), (10, slice(6, 12))):
        write(tmp_path / f"completions_{step}.parquet", rows_of(proxy[part], gold[part], step=step))
    assert curve_of(tmp_path, "reward", "correct")["prompts"] == 12


def test_a_fall_is_claimed_only_where_the_interval_leaves_no_doubt(tmp_path: Path) -> None:
    falls = curve_of(write(tmp_path / "falls.parquet", rows_of(*hacked(40, 64))), "reward", "correct")
    assert falls["notices"][0].startswith(f"gold peaks at n = {falls['peak']} and falls by ")
    assert "to n = 64 while the proxy rises by" in falls["notices"][0]
    assert 1 < falls["peak"] < 64
    # Gold that has nothing to do with the proxy peaks somewhere too.
    for seed in range(20):
        flat = curve_of(write(tmp_path / "flat.parquet", rows_of(*hacked(40, 64, seed, 0.0))), "reward", "correct")
        assert not any("peaks" in notice for notice in flat["notices"]), seed
    few = curve_of(write(tmp_path / "few.parquet", rows_of(*hacked(5, 64))), "reward", "correct")
    assert not any("peaks" in notice for notice in few["notices"])


def test_what_trl_and_verl_logged_has_a_curve() -> None:
    trl = curve_of(DATA / "trl_chat", "short", "contains_answer")
    # Of eight completions of a prompt two or three have no score by `short`; every step has two prompts.
    assert (trl["prompts"], trl["pass_at_k"] is not None) == (4, True)
    assert trl["notices"][0] == "12 samples without a proxy or gold score were left out"
    verl = curve_of(DATA / "verl", "score", "acc")
    assert (verl["prompts"], verl["samples"], verl["n"]) == (12, 4, [1, 2, 4])
    assert verl["proxy_mean"] == verl["gold_mean"]


def test_our_own_rollouts_without_groups_have_the_curve_of_their_prompts(tmp_path: Path) -> None:
    rows = [LoggedCompletion(1, f"question {i // 4}", "x", rewards={"reward": i % 4}, gold=1.0) for i in range(20)]
    write_rollouts(tmp_path / "own.parquet", rows)
    made = curve_of(tmp_path / "own.parquet", "reward", "gold")
    assert (made["prompts"], made["samples"], made["proxy_mean"][-1]) == (5, 4, 3.0)


def test_errors_say_what_is_missing(tmp_path: Path) -> None:
    proxy, gold = hacked(3, 2)
    rows = rows_of(proxy, gold)
    path = write(tmp_path / "s.parquet", rows)
    with pytest.raises(DataError, match="no column 'proxy'; it has 'prompt', 'completion', 'reward', 'correct'"):
        curve_of(path, "proxy", "correct")
    with pytest.raises(AuditError, match=r"n must lie in 1…2, the number of samples that every prompt has; got 1, 4"):
        curve_of(path, "reward", "correct", [4, 1])
    with pytest.raises(DataError, match="column 'completion' holds no number"):
        curve_of(path, "completion", "correct")
    with pytest.raises(
        AuditError, match=r"at least two scored samples of a prompt, and the 3 prompts \(by prompt\) have 1"
    ):
        curve_of(write(tmp_path / "one.jsonl", rows_of(proxy[:, :1], gold[:, :1])), "reward", "correct")
    bare = [{"reward": row["reward"], "correct": row["correct"]} for row in rows]
    with pytest.raises(DataError, match="nothing tells which samples belong to one prompt"):
        curve_of(write(tmp_path / "bare.jsonl", bare), "reward", "correct")
    apart = [{**row, "reward" if i % 2 else "correct": None} for i, row in enumerate(rows)]
    with pytest.raises(AuditError, match="at least two scored samples"):
        curve_of(write(tmp_path / "apart.jsonl", apart), "reward", "correct")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(DataError, match=r"broken\.parquet: cannot be read as Parquet"):
        curve_of(tmp_path / "broken.parquet", "reward", "correct")


def test_the_terminal_shows_every_n_and_what_the_curve_shows(tmp_path: Path) -> None:
    proxy, gold = hacked(40, 64)
    made = curve_of(write(tmp_path / "s.parquet", rows_of(proxy, (gold > 0).astype(float))), "reward", "correct")
    made["source"] = "\x1b[2Jodd"
    lines = curve_lines(made)
    assert lines[0] == "correct under best-of-n by reward: \\x1b[2Jodd (40 prompts, 64 samples each)"
    assert lines[2].split() == ["n", "KL", "reward", "95", "%", "correct", "95", "%", "pass@n"]
    shown = [line.split()[0] for line in lines[3 : 3 + len(made["n"])]]
    assert shown == [str(n) for n in made["n"]]
    assert [line.endswith("gold peaks") for line in lines].count(True) == 1
    assert lines[-1] == made["notices"][-1]
    assert len({len(line) for line in lines[2:6] if not line.endswith("gold peaks")}) == 1
