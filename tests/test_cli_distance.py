"""`trueward distance` as a user meets it: numbers, words, files, exit codes, errors without a traceback."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from trueward.cli import main
from trueward.measures.distances import dard_distance, epic_distance, starc_distance
from trueward.measures.tabular import TabularMDP, redistributed, save_mdp, shaped

Trueward = Callable[..., tuple[int, str, str]]

# Action 0 stays, action 1 goes to the other state.
TWO_STATES = TabularMDP(np.array([[[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]]), np.array([0.5, 0.5]), 0.5)
STAY = np.array([[1.0, 0.0], [0.0, 0.0]])
LEAVE = np.array([[0.0, 0.0], [0.0, 1.0]])


@pytest.fixture
def trueward(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Trueward:
    """The command line in this process, in a folder with a world and rewards: exit code, output, errors."""
    monkeypatch.chdir(tmp_path)
    save_mdp(TWO_STATES, "mdp.npz")
    for name, reward in {"stay": STAY, "leave": LEAVE, "nothing": np.ones(2)}.items():
        np.save(f"{name}.npy", reward)

    def typed(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        try:
            code = main(["distance", *arguments])
        except SystemExit as stopped:
            code = int(stopped.code or 0)
        said = capsys.readouterr()
        return code, said.out, said.err

    return typed


def test_two_rewards(trueward: Trueward) -> None:
    code, out, _ = trueward("stay.npy", "leave.npy", "--mdp", "mdp.npz", "--metric", "starc,epic,dard", "--worst-case")
    assert code == 0
    for name, distance in (
        ("starc", starc_distance(STAY, LEAVE, TWO_STATES)),
        ("epic ", epic_distance(STAY, LEAVE, TWO_STATES)),
        ("dard ", dard_distance(STAY, LEAVE, TWO_STATES)),
    ):
        assert f"{name}  {distance:.4f}" in out
    assert "little to do with each other" in out
    assert "lost under stay.npy by optimising leave.npy: 100.0 %" in out
    assert "lost under leave.npy by optimising stay.npy: 50.0 %" in out
    assert "at worst, by a change that stay.npy approves of: 100.0 %" in out
    assert "2 states, 2 actions, discount 0.5" in out
    assert "approves" not in trueward("stay.npy", "leave.npy", "--mdp", "mdp.npz")[1]


def test_rewards_that_order_policies_alike(trueward: Trueward) -> None:
    generator = np.random.default_rng(0)
    transitions = generator.dirichlet(np.ones(4), (4, 2))
    mdp = TabularMDP(transitions, np.full(4, 0.25), 0.9)
    save_mdp(mdp, "random.npz")
    reward = generator.normal(size=(4, 2, 4))
    again = redistributed(shaped(reward, np.arange(4.0), mdp), mdp, generator)
    np.save("a.npy", reward)
    np.save("b.npy", 3 * again)
    np.save("c.npy", -again)
    _, out, _ = trueward("a.npy", "b.npy", "--mdp", "random.npz", "--metric", "starc,epic")
    assert "starc  0.0000  no difference" in out
    assert "epic   0.0000" not in out
    assert "optimising b.npy: 0.0 %" in out
    _, out, _ = trueward("a.npy", "c.npy", "--mdp", "random.npz")
    assert "starc  2.0000  exactly opposite" in out


def test_many_rewards_are_a_table(trueward: Trueward) -> None:
    code, out, _ = trueward("stay.npy", "leave.npy", "nothing.npy", "--mdp", "mdp.npz", "--json", "out.json")
    assert code == 0
    apart = f"{starc_distance(STAY, LEAVE, TWO_STATES):.4f}"
    assert f"1  0.0000  {apart}  1.0000" in out
    assert f"2  {apart}  0.0000  1.0000" in out
    assert ["3", "-", "-", "-"] in [line.split() for line in out.splitlines()]
    assert "nothing.npy: all policies earn the same under it" in out
    document = json.loads(Path("out.json").read_text())
    assert document["schema"] == "trueward-distance"
    distance = starc_distance(STAY, LEAVE, TWO_STATES)
    assert np.allclose(document["distances"]["starc"], [[0, distance, 1], [distance, 0, 1], [1, 1, 0]])
    assert document["regret"][0] == pytest.approx([0, 1, 1])
    assert document["regret"][2] == [None, None, None]
    assert document["worst_case"] is None
    assert [reward["trivial"] for reward in document["rewards"]] == [False, False, True]
    assert document["command"] == "trueward distance stay.npy leave.npy nothing.npy --mdp mdp.npz --json out.json"


def test_canonical_form_norm_and_policy(trueward: Trueward) -> None:
    policy = np.array([[0.25, 0.75], [0.5, 0.5]])
    np.save("policy.npy", policy)
    typed = ("--canonical", "value_potential", "--norm", "weighted_1", "--difference-norm", "inf")
    _, out, _ = trueward("stay.npy", "leave.npy", "--mdp", "mdp.npz", *typed, "--policy", "policy.npy")
    distance = starc_distance(
        STAY, LEAVE, TWO_STATES, canonical="value_potential", norm="weighted_1", metric=math.inf, policy=policy
    )
    assert f"starc  {distance:.4f}\n" in out
    assert "value_potential, norm weighted_1, metric inf" in out


def test_sparse_rewards_and_worlds(trueward: Trueward) -> None:
    save_mdp(TabularMDP(sparse.csr_matrix(TWO_STATES.flat), TWO_STATES.start, 0.5), "thin.npz")
    full = np.broadcast_to(STAY[:, :, None], (2, 2, 2)).reshape(4, 2)
    sparse.save_npz("thin_stay.npz", sparse.csr_matrix(full))
    code, out, _ = trueward("thin_stay.npz", "leave.npy", "--mdp", "thin.npz")
    assert code == 0
    assert f"{starc_distance(STAY, LEAVE, TWO_STATES):.4f}" in out


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (("stay.npy", "--mdp", "mdp.npz"), "two or more rewards"),
        (("stay.npy", "gone.npy", "--mdp", "mdp.npz"), "gone.npy: cannot be read"),
        (("stay.npy", "text.npy", "--mdp", "mdp.npz"), "text.npy: cannot be read"),
        (("stay.npy", "objects.npy", "--mdp", "mdp.npz"), "objects.npy: cannot be read"),
        (("stay.npy", "mdp.npz", "--mdp", "mdp.npz"), "mdp.npz: is no sparse matrix"),
        (("stay.npy", "three.npy", "--mdp", "mdp.npz"), "three.npy: the reward has shape (3,); for 2 states"),
        (("stay.npy", "nan.npy", "--mdp", "mdp.npz"), "nan.npy: the reward has a number that is not finite"),
        (("stay.npy", "leave.npy", "--mdp", "stay.npy"), "stay.npy"),
        (("stay.npy", "leave.npy", "--mdp", "mdp.npz", "--metric", "starc,erc"), "'erc' is not known"),
        (("stay.npy", "leave.npy", "--mdp", "mdp.npz", "--norm", "3x"), "'3x' is no norm"),
        (("stay.npy", "leave.npy", "--mdp", "mdp.npz", "--difference-norm", "0"), "metric needs a norm"),
        (("stay.npy", "leave.npy", "--mdp", "mdp.npz", "--canonical", "minimal", "--norm", "1"), "not unique"),
        (("stay.npy", "leave.npy", "--mdp", "mdp.npz", "--policy", "three.npy"), "three.npy: expected a policy"),
        (("stay.npy", "leave.npy", "--mdp", "mdp.npz", "--policy", "leave.npy"), "leave.npy: the policy"),
        (("stay.npy", "leave.npy", "--mdp", "mdp.npz", "--json", "no/where.json"), "does not exist"),
    ],
)
def test_what_cannot_be_done_is_said(trueward: Trueward, typed: tuple[str, ...], said: str) -> None:
    Path("text.npy").write_text("1.0 2.0")
    np.save("objects.npy", np.array([{}, {}], dtype=object))
    np.save("three.npy", np.zeros(3))
    np.save("nan.npy", np.array([0.0, np.nan]))
    code, out, err = trueward(*typed)
    assert code == 2
    assert said in " ".join(err.split())
    assert "Traceback" not in err
    assert out == ""


def test_names_are_shown_escaped(trueward: Trueward) -> None:
    np.save("a\x1b[31m.npy", STAY)
    _, out, _ = trueward("a\x1b[31m.npy", "leave.npy", "--mdp", "mdp.npz")
    assert "\x1b" not in out


def test_what_the_documentation_shows_runs(trueward: Trueward, capsys: pytest.CaptureFixture[str]) -> None:
    text = (Path(__file__).parents[1] / "docs" / "distances.md").read_text(encoding="utf-8")
    scripts = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(scripts) == 3
    printed = []
    for script in scripts:
        capsys.readouterr()
        exec(compile(script, "distances.md", "exec"), {"__name__": "shown"})
        printed.append(capsys.readouterr().out)
    assert printed[0].startswith("0.84")
    assert "distance=0.32" in printed[1]
    assert "SampledDistance(distance=" in printed[2]
    [command] = re.findall(r"^trueward distance (.*)$", text, re.MULTILINE)
    code, out, _ = trueward(*command.split())
    assert code == 0
    assert "starc  0.84" in out
