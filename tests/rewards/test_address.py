"""Rewards are found by address, an address finds the same reward again, and every mistake is told with its remedy."""

from __future__ import annotations

import importlib
import json
import math
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from trueward.errors import MissingExtra, RewardError, TruewardError
from trueward.rewards import locate
from trueward.rewards.address import address_of, expand, load, parse
from trueward.rewards.locate import module_at
from trueward.rewards.runner.types import Item

SOURCE = str(Path(__file__).parents[2] / "src")


def equal(completion: str, answer: str) -> float:
    """A reward that this module defines."""
    return float(completion == answer)


class Rewards:
    @staticmethod
    def fixed(completion: str) -> float:
        return 0.25

    @classmethod
    def named(cls, completion: str) -> float:
        return float(completion == cls.__name__)

    def bound(self, completion: str) -> float:
        return 0.0


@dataclass(frozen=True)
class Scaled:
    scale: float
    words: tuple[str, ...] = ()
    seen: list[str] = field(default_factory=list, init=False)

    def __call__(self, completion: str) -> float:
        return self.scale * (completion in self.words)


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def scores(address: str, *completions: str, **columns: Any) -> object:
    return load(address).score_rows([Item("", completion, columns) for completion in completions])


# --- taking addresses apart


def test_parts() -> None:
    assert parse("a/b.py:f").arguments is None
    parts = parse('dir/my file.py:Class.make(1, -2.5, mode="x:y)", on=[True, None], d={"k": (1,)})')
    assert (parts.place, parts.name, parts.is_file) == ("dir/my file.py", "Class.make", True)
    assert parts.arguments == ((1, -2.5), {"mode": "x:y)", "on": [True, None], "d": {"k": (1,)}})
    assert parse("pkg.mod:f()").arguments == ((), {})
    assert parse(r"C:\rewards.py:f").place == r"C:\rewards.py"
    assert not parse("pkg.mod:f").is_file


# --- finding


def test_a_function_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "from beside import LIMIT\n\ndef short(completion):\n    return len(completion) < LIMIT\n"
    written(tmp_path, "rewards.py", text)
    written(tmp_path, "beside.py", "LIMIT = 3\n")
    assert scores(f"{tmp_path}/rewards.py:short", "ab", "abc") == [True, False]
    monkeypatch.chdir(tmp_path)
    assert scores("rewards.py:short", "ab") == [True]
    monkeypatch.delitem(sys.modules, "beside")


def test_two_files_of_one_name_do_not_clash(tmp_path: Path) -> None:
    one = written(tmp_path / "a", "rewards.py", "def reward(completion):\n    return 1\n")
    two = written(tmp_path / "b", "rewards.py", "def reward(completion):\n    return 2\n")
    assert [scores(f"{path}:reward", "") for path in (one, two, one)] == [[1], [2], [1]]
    assert "rewards" not in sys.modules or sys.modules["rewards"].__file__ not in (str(one), str(two))


def test_a_file_is_imported_once_until_it_changes(tmp_path: Path) -> None:
    text = "calls = []\ndef reward(completion):\n    calls.append(1)\n    return len(calls)\n"
    path = written(tmp_path, "counting.py", text)
    assert [scores(f"{path}:reward", ""), scores(f"{path}:reward", "")] == [[1], [2]]
    written(tmp_path, "counting.py", "def reward(completion):\n    return 'changed'\n")
    assert scores(f"{path}:reward", "") == ["changed"]


def test_classes_of_a_file_can_be_pickled_and_are_dataclasses(tmp_path: Path) -> None:
    text = (
        "from __future__ import annotations\nimport pickle\nfrom dataclasses import dataclass\n"
        "@dataclass\nclass Pair:\n    a: int\n"
        "def reward(completion):\n    return pickle.loads(pickle.dumps(Pair(3))).a\n"
    )
    assert scores(f"{written(tmp_path, 'pickled.py', text)}:reward", "") == [3]


def test_calls_with_literals(tmp_path: Path) -> None:
    text = (
        "class Contains:\n    def __init__(self, word, pay=1.0):\n        self.word, self.pay = word, pay\n"
        "    def __call__(self, completion):\n        return self.pay * (self.word in completion)\n"
        "def make(k=3, mode='x'):\n    return lambda completion: [k, mode]\n"
    )
    path = written(tmp_path, "made.py", text)
    assert scores(f"{path}:Contains('yes', pay=-2.0)", "yes", "no") == [-2.0, 0.0]
    assert scores(f"{path}:make(mode='(:)')", "") == [[3, "(:)"]]


def test_module_and_attribute_of_a_class() -> None:
    assert scores(f"{__name__}:equal", "a", answer="a") == [1.0]
    assert scores(f"{__name__}:Rewards.fixed", "a") == [0.25]
    assert scores(f"{__name__}:Rewards.named", "Rewards") == [1.0]
    assert load("math:fsum").name == "fsum"


def test_modules_in_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, "packaged_rewards/__init__.py", "")
    written(tmp_path, "packaged_rewards/inner.py", "def reward(completion):\n    return 5\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    assert scores("packaged_rewards.inner:reward", "") == [5]


def test_a_file_that_was_imported_by_name_is_not_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, "imported_by_name.py", "def reward(completion):\n    return 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("imported_by_name")
    assert module_at(str(path)) is module
    assert load(str(address_of(module.reward))).function is module.reward  # type: ignore[attr-defined]
    monkeypatch.delitem(sys.modules, "imported_by_name")


def test_two_threads_load_one_file(tmp_path: Path) -> None:
    path = written(tmp_path, "slow_import.py", "import time\ntime.sleep(0.2)\ndef reward(completion):\n    return 1\n")
    results: list[object] = []
    threads = [threading.Thread(target=lambda: results.append(scores(f"{path}:reward", ""))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [[1]] * 4


# --- mistakes

MISTAKES = [
    ("nothing", ["'nothing'", "no colon", "'file.py:name'", "reasoning_gym:NAME"]),
    ("a b:", ["'a b:'", "cannot be read"]),
    ("mod:1x", ["cannot be read"]),
    ("not a module:f", ["'not a module'", "neither"]),
    ("missing_module_x:f", ["'missing_module_x:f'", "no module 'missing_module_x'", "file.py:name"]),
    ("json.missing_part:f", ["no module 'json.missing_part'"]),
    ("json:lods", ["'json:lods'", "no 'lods'", "Did you mean", "loads"]),
    ("json:zzzz", ["no 'zzzz'", "It has", "dumps"]),
    ("math:pi", ["'math:pi'", "float", "cannot be called"]),
    ("math:pi()", ["float", "cannot be called"]),
    ("fractions:Fraction", ["is a class", "Fraction(k=3)"]),
    ("fractions:Fraction(1, 2)", ["of type Fraction", "cannot be called"]),
    ("json:loads(open)", ["open is not a literal", "write a function in a file"]),
    ("json:loads(__import__('os').getcwd())", ["is not a literal"]),
    ("json:loads(2 ** 9)", ["2 ** 9 is not a literal"]),
    ("json:loads(*[1])", ["* and ** are not evaluated"]),
    ("json:loads(**{'s': 1})", ["* and ** are not evaluated"]),
    ("json:loads(1)(2)", ["one call"]),
    ("json:loads(1", ["cannot be read"]),
    ("json:loads(1,,2)", ["cannot be read"]),
    ("json:loads(nonsense='x')", ["making the reward failed", "TypeError"]),
    ("fractions:Fraction(wrong=1)", ["making the reward failed", "TypeError", "Its parameters are"]),
    ("json:JSONDecoder.decode", ["method of JSONDecoder", "needs an object", "json:JSONDecoder()"]),
    ("trl.rewards:accuracy_rewar", ["no 'accuracy_rewar'", "Did you mean accuracy_reward"]),
    ("trl.rewards:get_repetition_penalty_reward", ["makes a reward", "(ngram_size=3, max_penalty=-1.0)"]),
    ("trl.rewards:get_cosine_scaled_reward", ["makes a reward", "(max_len=…, "]),
    ("trl.rewards:get_repetition_penalty_reward(max_penalty=1.0)", ["ValueError", "should not be positive"]),
    ("reasoning_gym:leg_countin", ["no set 'leg_countin'", "Did you mean leg_counting"]),
    ("reasoning_gym:leg_counting(3)", ["by name", "leg_counting(size=20, seed=0)"]),
    ("reasoning_gym:leg_counting(legs=3)", ["no argument legs", "seed", "size"]),
    ("reasoning_gym:leg_counting(min_animals=-3)", ["cannot be made from", "min_animals"]),
    ("reasoning_gym:composite", ["cannot be made from"]),
]


@pytest.mark.parametrize(("address", "words"), MISTAKES, ids=[mistake[0] for mistake in MISTAKES])
def test_mistakes_are_told_with_their_remedy(address: str, words: list[str]) -> None:
    with pytest.raises(RewardError) as error:
        load(address)
    for word in words:
        assert word in str(error.value)
    assert "\n" not in str(error.value)


def test_nothing_but_literals_is_evaluated(tmp_path: Path) -> None:
    target = tmp_path / "made"
    with pytest.raises(RewardError):
        load(f"json:loads(open({str(target)!r}, 'w'))")
    assert not target.exists()


def test_a_missing_file(tmp_path: Path) -> None:
    written(tmp_path, "rewards.py", "")
    with pytest.raises(RewardError, match=r"no file .*reward\.py'\. Did you mean .*rewards\.py"):
        load(f"{tmp_path}/reward.py:f")
    with pytest.raises(RewardError, match=r"no file .*zzzzzzzz\.py': the Python files there are rewards\.py$"):
        load(f"{tmp_path}/zzzzzzzz.py:f")
    with pytest.raises(RewardError, match="no folder"):
        load(f"{tmp_path}/none/rewards.py:f")
    with pytest.raises(RewardError, match="is a folder"):
        load(f"{tmp_path}/:f")


def test_a_file_without_a_name_lists_what_it_defines(tmp_path: Path) -> None:
    text = "raise SystemExit\ndef first(c): ...\nasync def second(c): ...\ndef _third(c): ...\n"
    path = written(tmp_path, "two.py", text)
    with pytest.raises(RewardError, match=r"names a file but no reward.*two\.py:first' \(it defines first, second\)"):
        load(str(path))


def test_a_missing_function_lists_what_there_is(tmp_path: Path) -> None:
    path = written(tmp_path, "listed.py", "from json import dumps\ndef first(c): ...\ndef second(c): ...\n")
    with pytest.raises(RewardError, match=r"no 'other'\. It has first, second\.$"):
        load(f"{path}:other")
    with pytest.raises(RewardError, match=r"no 'firts'\. Did you mean first\?"):
        load(f"{path}:firts")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = 1\ny = 1 / 0\n", ["broken.py:2", "ZeroDivisionError: division by zero"]),
        ("def f(:\n", ["broken.py:1", "SyntaxError"]),
        ("import no_such_library\n", ["broken.py:1", "ModuleNotFoundError", "no_such_library"]),
        ("import json\n\njson.loads('{')\n", ["broken.py:3", "decoder.py", "JSONDecodeError"]),
        ("raise SystemExit(3)\n", ["broken.py:1", "SystemExit: 3"]),
        ("from . import other\n", ["broken.py:1", "relative import", "package.module:name"]),
        ("raise ValueError('one\\ntwo')\n", ["ValueError: one"]),
    ],
)
def test_an_error_inside_the_file_is_placed(tmp_path: Path, text: str, words: list[str]) -> None:
    path = written(tmp_path, "broken.py", text)
    before = set(sys.modules)
    for _ in range(2):
        with pytest.raises(RewardError) as error:
            load(f"{path}:f")
        for word in [str(path), *words]:
            assert word in str(error.value)
        assert "\n" not in str(error.value)
    assert not {name for name in set(sys.modules) - before if "broken" in name}


@pytest.mark.parametrize("library", ["trl", "reasoning_gym", "math_verify"])
def test_missing_libraries_name_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == library]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [_Without(library), *sys.meta_path])
    path = written(tmp_path, "needing.py", f"import {library}\ndef f(completion): ...\n")
    addresses = [f"{library}:f", f"{library}.rewards:f", f"{path}:f"]
    for address in addresses:
        with pytest.raises(MissingExtra, match=r"not installed: pip install 'trueward\[audit\]'"):
            load(address)


class _Without:
    def __init__(self, library: str) -> None:
        self.library = library

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name.partition(".")[0] == self.library:
            raise ModuleNotFoundError(f"No module named {self.library!r}", name=self.library)


def test_a_script_that_audits_itself_at_its_top_level_is_told(tmp_path: Path) -> None:
    text = (
        "from trueward.rewards.address import load\n"
        "def reward(completion):\n    return 1.0\n"
        "leaf = load(__file__ + ':reward')\n"
    )
    path = written(tmp_path, "unguarded.py", text)
    began = time.monotonic()
    with pytest.raises(RewardError, match=r"starts an audit at its top level.*__main__"):
        load(f"{path}:reward")
    assert time.monotonic() - began < 10
    # Also when the audit asks from a thread of its own, which must not wait for ever.
    threaded = (
        "import threading\nfrom trueward.rewards.address import load\nsaid = []\n"
        "def ask():\n    try:\n        load(__file__ + ':reward')\n"
        "    except Exception as error:\n        said.append(str(error))\n"
        "def reward(completion):\n    return 1.0\n"
        "thread = threading.Thread(target=ask)\nthread.start()\nthread.join()\n"
    )
    path = written(tmp_path, "threaded.py", threaded)
    patience, locate._PATIENCE = locate._PATIENCE, 0.1
    try:
        assert "top level" in module_at(str(path)).said[0]
    finally:
        locate._PATIENCE = patience


# --- addresses of objects


@pytest.mark.parametrize("reward", [equal, Rewards.fixed, Rewards.named, json.loads, math.sqrt])
def test_round_trip(reward: Any) -> None:
    address = address_of(reward)
    assert address is not None
    leaf = load(address)
    assert leaf.function == reward  # type: ignore[attr-defined]
    assert address_of(leaf.function) == address  # type: ignore[attr-defined]


def test_round_trip_of_trl() -> None:
    rewards = importlib.import_module("trl.rewards")
    assert address_of(rewards.accuracy_reward) == "trl.rewards.accuracy_rewards:accuracy_reward"


def test_round_trip_of_a_file(tmp_path: Path) -> None:
    text = (
        "class Own:\n    @staticmethod\n    def reward(completion):\n        return 1\n"
        "def reward(completion):\n    return 1\n"
    )
    path = written(tmp_path, "my.own.py", text)
    for name in ("reward", "Own.reward"):
        leaf = load(f"{path}:{name}")
        assert address_of(leaf.function) == f"{path.resolve()}:{name}"  # type: ignore[attr-defined]


def test_a_frozen_dataclass_of_literals_has_an_address() -> None:
    address = address_of(Scaled(-2.0, ("a", "b'c")))
    assert address is not None
    assert address.endswith(":Scaled(scale=-2.0, words=('a', \"b'c\"))")
    assert scores(address, "a", "x") == [-2.0, -0.0]


def test_what_has_no_address() -> None:
    def local(completion: str) -> float:
        return 0.0

    @dataclass
    class Loose:
        scale: float = 1.0

    for reward in (
        local,
        lambda completion: 0.0,
        Rewards().bound,
        Rewards(),
        Loose(),
        Scaled(math.inf),
        Scaled(1.0, (object(),)),  # type: ignore[arg-type]
        "text",
        None,
    ):
        assert address_of(reward) is None
    shadowed = equal
    try:
        globals()["equal"] = None
        assert address_of(shadowed) is None
    finally:
        globals()["equal"] = shadowed


def test_a_worker_finds_what_a_script_imports_and_not_the_script_itself(tmp_path: Path) -> None:
    written(tmp_path, "mine.py", "def reward(completion):\n    return 7\n")
    text = (
        "from trueward.rewards.address import address_of\nimport mine\n"
        "def here(completion):\n    return 1\n"
        "print(address_of(here))\nprint(address_of(mine.reward))\n"
    )
    script = written(tmp_path, "script.py", text)
    command = [sys.executable, str(script)]
    out = subprocess.run(command, env={"PYTHONPATH": SOURCE}, capture_output=True, text=True, check=True).stdout
    assert out.splitlines() == ["None", f"{tmp_path.resolve() / 'mine.py'}:reward"]
    assert scores(out.splitlines()[1], "") == [7]


# --- patterns


def test_patterns_of_sets() -> None:
    sets = expand("reasoning_gym:*")
    assert len(sets) > 90
    assert sets == sorted(sets)
    assert "reasoning_gym:composite" not in sets
    assert expand("reasoning_gym:*sudoku*") == ["reasoning_gym:mini_sudoku", "reasoning_gym:sudoku"]
    for address in ("reasoning_gym:sudoku", "reasoning_gym:sudoku(size=3)", "a*.py:f", "nothing"):
        assert expand(address) == [address]
    with pytest.raises(RewardError, match=r"fits none of the \d+ sets"):
        expand("reasoning_gym:zz*")


def test_every_expanded_set_can_be_created() -> None:
    reasoning_gym = importlib.import_module("reasoning_gym")
    for address in expand("reasoning_gym:*"):
        assert reasoning_gym.create_dataset(address.partition(":")[2]) is not None


# --- weight


def test_importing_addresses_loads_the_standard_library_alone() -> None:
    code = (
        "import sys; import trueward.rewards.address; "
        "heavy = {'numpy', 'torch', 'trl', 'reasoning_gym', 'asyncio', 'rich', 'psutil'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": SOURCE}, check=True)


def test_random_text_is_a_reward_error_or_an_address() -> None:
    from hypothesis import given, settings
    from hypothesis import strategies as st

    @settings(max_examples=300, deadline=None)
    @given(st.text(alphabet="ab:.()='*,1 \\/\n[]{}", max_size=30))
    def check(text: str) -> None:
        try:
            name = parse(text).name
        except TruewardError as error:
            name = str(error).replace(repr(text), "quoted")
        assert name.isidentifier() or "." in name or "quoted" in name

    check()
