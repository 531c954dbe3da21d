"""Group advantages and generalised advantages against verl's own functions, in the environment that verl needs."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from trueward.batch import Part, Scores
from trueward.credit import gae, greedy_advantages, group_advantages, score_advantages, spread, spread_written, whiten
from trueward.status import Status

PYTHON = os.environ.get("TRUEWARD_VERL_PYTHON")


@pytest.mark.skipif(not PYTHON, reason="verl cannot share this environment; `make test` makes one for it")
def test_estimators_of_verl_give_the_same(tmp_path: Path) -> None:
    assert PYTHON
    rng = np.random.default_rng(0)
    rows, width = 48, 40
    group = rng.permutation(np.repeat(np.arange(8), 6))
    lengths = rng.integers(1, width + 1, size=rows)
    mask = np.arange(width) < lengths[:, None]
    holes = mask & ((rng.random(mask.shape) < 0.8) | (np.arange(width) == lengths[:, None] - 1))
    dense, values = rng.normal(size=(2, rows, width)) * holes
    first, second = rng.integers(0, 2, size=rows).astype(float), rng.normal(size=rows)
    given = {"rewards": dense, "values": values, "mask": holes, "group": group, "greedy": rng.normal(size=rows)}
    np.savez(tmp_path / "given.npz", **given, first=first, second=second)
    script = str(Path(__file__).with_name("verl_advantages.py"))
    done = subprocess.run(
        [PYTHON, script, str(tmp_path / "given.npz"), str(tmp_path / "results.npz")],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    theirs = np.load(tmp_path / "results.npz")
    totals = dense.sum(axis=1)
    for name in ("z_score", "z_score_vectorized", "centre", "leave_one_out", "leave_one_out_vectorized"):
        ours = group_advantages(totals, group, statistic=name.removesuffix("_vectorized"))
        np.testing.assert_allclose(spread_written(ours.values, holes), theirs[name], rtol=2e-4, atol=2e-5, err_msg=name)
    ended = gae(dense, values, holes, discount=0.97, trace=0.9)
    np.testing.assert_allclose(ended.returns[holes], theirs["gae_returns"][holes], rtol=1e-4, atol=1e-5)
    whitened = whiten(ended.advantages, holes)
    np.testing.assert_allclose(whitened[holes], theirs["gae"][holes], rtol=1e-4, atol=1e-5)
    against_greedy = greedy_advantages(totals, given["greedy"]).values
    begins = holes.argmax(axis=1)
    np.testing.assert_allclose(theirs["greedy"][np.arange(rows), begins], against_greedy, rtol=1e-4, atol=1e-5)
    ok = [Status.OK] * rows
    scores = Scores({"first": Part(first, ok), "second": Part(second, ok, weight=0.5)})
    apart = score_advantages(scores, group, separately=True).values
    np.testing.assert_allclose(whiten(spread(apart, width), holes), theirs["gdpo"], rtol=1e-4, atol=1e-5)
