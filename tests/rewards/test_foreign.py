"""Rewards that nobody here wrote are recognised by their signature and called as their own engine would call them."""

from __future__ import annotations

import asyncio
import functools
import importlib
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from trueward.errors import RewardError
from trueward.rewards.address import load
from trueward.rewards.foreign import alias, wrap
from trueward.rewards.reasoning_gym import ReasoningGym, reasoning_gym_leaf, set_names
from trueward.rewards.references import messages_of, text_of
from trueward.rewards.runner.types import Item
from trueward.rewards.tokens import encode

EXAMPLES = Path(__file__).parents[2] / "examples"


def chat(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]


def items(completions: Sequence[Any], **columns: Sequence[Any]) -> list[Item]:
    rows = [{name: values[i] for name, values in columns.items()} for i in range(len(completions))]
    return [Item(f"prompt {i}", completion, rows[i]) for i, completion in enumerate(completions)]


# --- TRL's own rewards, with the numbers of their docstrings


def test_trl_accuracy() -> None:
    leaf = load("trl.rewards:accuracy_reward")
    assert (leaf.kind, leaf.needs, leaf.takes, leaf.containers) == ("trl", ("solution",), None, ("text", "chat"))
    answers = [chat(r"My answer is \boxed{\frac{1}{3}}"), chat(r"My answer is \boxed{\frac{1}{2}}")]
    assert leaf.score_rows(items(answers, solution=[r"\frac{1}{3}"] * 2)) == [1.0, 0.0]
    # The same with the reference under another name, and a gold answer that cannot be parsed.
    assert leaf.score_rows(items(answers, answer=[r"\frac{1}{3}", "unparsable words"])) == [1.0, None]


def test_trl_reasoning_accuracy() -> None:
    leaf = load("trl.rewards:reasoning_accuracy_reward")
    answers = [
        r"<think> Reasoning content </think> The final answer is \boxed{\frac{1}{3}}",
        r"<think> Reasoning content </think> The final answer is \boxed{\frac{1}{2}}",
        r"<think> Reasoning content with partial answers \boxed{\frac{1}{3}} but no final answer",
    ]
    assert leaf.score_rows(items([chat(a) for a in answers], solution=[r"\frac{1}{3}"] * 3)) == [1.0, 0.0, 0.0]


def test_trl_think_format() -> None:
    answers = ["<think>\nThis is my reasoning.\n</think>\nThis is my answer.", "<think>\nThis is my reasoning."]
    assert load("trl.rewards:think_format_reward").score_rows(items([chat(a) for a in answers])) == [1.0, 0.0]


def test_trl_cosine_counts_stand_in_tokens() -> None:
    leaf = load("trl.rewards:get_cosine_scaled_reward(max_len=28)")
    assert leaf.name == "cosine_scaled_reward"
    assert leaf.stand_ins == ("completion_ids",)
    # \boxed{\frac{1}{3}} is 12 tokens; two more are " " and "x": 14 of 28, where the cosine is 0.
    answers = [chat(r"\boxed{\frac{1}{3}} x"), chat(r"\boxed{\frac{1}{2}} x")]
    assert len(encode(r"\boxed{\frac{1}{3}} x")) == 14
    assert leaf.score_rows(items(answers, solution=[r"\frac{1}{3}"] * 2)) == pytest.approx([0.75, -0.75])


def test_trl_repetition() -> None:
    leaf = load("trl.rewards:get_repetition_penalty_reward(ngram_size=2, max_penalty=-1.0)")
    assert leaf.needs == ()
    # Four different tokens; five equal ones, which are 4 bigrams of which 1 is unique: -(1 - 1/4).
    assert leaf.score_rows(items(["a+b-", "....."])) == [0.0, -0.75]


def test_trl_overlong() -> None:
    leaf = load("trl.rewards:get_soft_overlong_punishment(max_completion_len=100, soft_punish_cache=20)")
    assert leaf.score_rows(items(["." * 80, "." * 90, "." * 100, "." * 101])) == [0.0, -0.5, -1.0, -1.0]


# --- functions in the convention of TRL


def test_all_arguments_of_the_trainer_reach_a_function_with_kwargs() -> None:
    seen: dict[str, Any] = {}

    def reward(prompts: Any, completions: Any, **kwargs: Any) -> list[float]:
        seen.update(kwargs, prompts=prompts, completions=completions)
        kwargs["log_extra"]("column", [1, 2])
        kwargs["log_metric"]("name", 1.0)
        return [0.0, 1.0]

    leaf = wrap(reward, "reward")
    rows = items([chat("a"), chat("b")], answer=["1", "2"], prompt=["hidden", "hidden"], level=[3, 4])
    assert leaf.score_rows(rows) == [0.0, 1.0]
    assert seen["prompts"] == ["prompt 0", "prompt 1"]
    assert seen["completions"] == [chat("a"), chat("b")]
    assert (seen["answer"], seen["level"]) == (["1", "2"], [3, 4])
    assert seen["completion_ids"] == [encode("a"), encode("b")]
    assert (seen["trainer_state"].global_step, seen["trainer_state"].max_steps) == (0, 1)
    # As in the trainer, the prompt column is not repeated, and environments come only where there are some.
    assert not {"prompt", "environments", "prompt_ids"} & set(seen)


def test_only_accepted_arguments_reach_a_function_without_kwargs() -> None:
    def reward(completions: list[str], answer: list[str], environments: Any, bonus: float = 0.5) -> list[float]:
        assert environments is None
        return [bonus if a in c else 0.0 for c, a in zip(completions, answer, strict=True)]

    leaf = wrap(reward, "reward")
    assert leaf.takes == ("completions", "answer", "environments", "bonus")
    assert leaf.needs == ("answer",)
    assert leaf.score_rows(items(["it is 1", "it is 3"], answer=["1", "2"], other=["x", "y"])) == [0.5, 0.0]


@pytest.mark.parametrize("returned", [1.0, [None, 0.5], [1.0], "text", None, [float("nan"), float("inf")]])
def test_what_a_function_returns_is_passed_on_unchanged(returned: Any) -> None:
    assert wrap(lambda completions: returned, "reward").score_rows(items(["a", "b"])) is returned


async def wait_and_count(completions: list[str], **kwargs: Any) -> list[float]:
    await asyncio.sleep(0)
    return [float(len(completion)) for completion in completions]


class Waiting:
    async def __call__(self, completions: list[str], **kwargs: Any) -> list[float]:
        return await wait_and_count(completions)


@pytest.mark.parametrize("reward", [wait_and_count, Waiting(), functools.partial(wait_and_count, level=[1, 2])])
def test_async_functions_outside_and_inside_a_loop_and_in_a_thread(reward: Any) -> None:
    leaf = wrap(reward, "reward")
    rows = items(["a", "bbb"])
    assert leaf.score_rows(rows) == [1.0, 3.0]

    async def inside() -> object:
        return leaf.score_rows(rows)

    assert asyncio.run(inside()) == [1.0, 3.0]
    results: list[object] = []
    thread = threading.Thread(target=lambda: results.append(leaf.score_rows(rows)))
    thread.start()
    thread.join()
    assert results == [[1.0, 3.0]]


def test_async_functions_of_one_row_wait_together() -> None:
    running = 0
    most = 0

    async def reward(completion: str) -> float:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1
        return float(completion)

    assert wrap(reward, "reward").score_rows(items(["1", "2", "3"])) == [1.0, 2.0, 3.0]
    assert most == 3


def test_exceptions_come_through() -> None:
    async def reward(completions: list[str]) -> list[float]:
        raise ZeroDivisionError("in the reward")

    with pytest.raises(ZeroDivisionError, match="in the reward"):
        wrap(reward, "reward").score_rows(items(["a"]))


# --- verl


def compute_score(data_source: str, solution_str: str, ground_truth: str, extra_info: Any = None, **kw: Any) -> Any:
    assert not kw
    return {"score": float(ground_truth in solution_str), "source": data_source, "extra": extra_info}


def test_verl() -> None:
    leaf = wrap(compute_score, "compute_score")
    assert (leaf.kind, leaf.needs, leaf.containers) == ("verl", ("ground_truth",), ("text",))
    nested = [{"ground_truth": "7", "style": "rule"}, {"ground_truth": "9", "style": "rule"}]
    assert leaf.score_rows(items(["7", "8"], reward_model=nested, data_source=["gsm8k", "gsm8k"])) == [1.0, 0.0]
    assert alias(leaf.needs, {"reward_model": nested[0]}) == {}
    assert alias(leaf.needs, {"answer": "7"}) == {"ground_truth": "answer"}


def test_verl_defaults_and_mappings_without_score() -> None:
    seen: list[Any] = []

    def compute(data_source: str, solution_str: str, ground_truth: str, extra_info: Any) -> dict[str, float]:
        seen.append((data_source, extra_info))
        return {"acc": 1.0}

    assert wrap(compute, "compute").score_rows(items(["7"], ground_truth=["7"])) == [{"acc": 1.0}]
    assert seen == [("unknown", {})]
    wrap(compute, "compute").score_rows(items(["7"], answer=["7"], extra_info=[{"k": 1}], data_source=["math"]))
    assert seen[1] == ("math", {"k": 1})


@pytest.mark.parametrize("first", ["solution_str", "predict_str", "model_output"])
def test_short_verl_signatures(first: str) -> None:
    namespace: dict[str, Any] = {}
    body = f"return {{'score': float({first} == ground_truth)}}"
    exec(f"def compute_score({first}, ground_truth):\n    {body}", namespace)
    leaf = wrap(namespace["compute_score"], "compute_score")
    assert leaf.kind == "verl"
    assert leaf.score_rows(items(["4", "5"], answer=["4", "4"])) == [1.0, 0.0]


# --- functions of one completion


SIGNATURES = [
    ("completion, answer", "answer"),
    ("response, solution", "solution"),
    ("pred, gold", "gold"),
    ("prediction, label", "label"),
    ("output, expected", "expected"),
    ("text, target", "target"),
    ("answer, reference", "reference"),
    ("answer, ground_truth", "ground_truth"),
    ("answer, solution", "solution"),
    ("ground_truth, answer", "ground_truth"),
    ("model_answer, answer", "answer"),
    ("question, response, reference", "reference"),
    ("answer, completion, /", "answer"),
    ("*, completion, answer", "answer"),
    ("completion, answer, strict=True", "answer"),
]


@pytest.mark.parametrize(("parameters", "reference"), SIGNATURES)
def test_completion_and_reference_are_told_apart(parameters: str, reference: str) -> None:
    namespace: dict[str, Any] = {}
    exec(f"def reward({parameters}):\n    return dict(locals())", namespace)
    leaf = wrap(namespace["reward"], "reward")
    assert (leaf.kind, leaf.needs) == ("function", (reference,))
    results: Any = leaf.score_rows([Item("asked", "said", {"answer": "meant"})])
    seen: dict[str, Any] = results[0]
    assert seen[reference] == "meant"
    names = [name.strip() for name in parameters.replace("strict=True", "").split(",")]
    said = [name for name in names if name.isidentifier() and name not in (reference, "question")]
    assert [seen[name] for name in said] == ["said"]
    assert seen.get("question", "asked") == "asked"


def test_every_kind_of_callable() -> None:
    class Reward:
        def __init__(self, scale: float) -> None:
            self.scale = scale

        def __call__(self, completion: str, answer: str) -> float:
            return self.scale * (completion == answer)

        def half(self, completion: str, answer: str) -> float:
            return 0.5 * self(completion, answer)

    def scaled(scale: float, completion: str, answer: str) -> float:
        return scale * (completion == answer)

    rows = items(["1", "2"], answer=["1", "1"])
    assert wrap(Reward(3.0), "object").score_rows(rows) == [3.0, 0.0]
    assert wrap(Reward(3.0).half, "method").score_rows(rows) == [1.5, 0.0]
    assert wrap(functools.partial(scaled, 2.0), "partial").score_rows(rows) == [2.0, 0.0]
    assert wrap(functools.partial(scaled, scale=2.0), "partial").score_rows(rows) == [2.0, 0.0]
    assert wrap(len, "len").score_rows(rows) == [1, 1]


def test_optional_columns_and_kwargs() -> None:
    def optional(completion: str, level: int = 1) -> int:
        return level

    def every(completion: str, **columns: Any) -> list[str]:
        return sorted(columns)

    assert wrap(optional, "optional").score_rows(items(["a"])) == [1]
    assert wrap(optional, "optional").score_rows(items(["a"], level=[5])) == [5]
    assert wrap(every, "every").takes is None
    assert wrap(every, "every").score_rows(items(["a"], answer=["1"], level=[5])) == [["answer", "level"]]


def test_chat_becomes_text_for_functions_of_text() -> None:
    def reward(messages: Any, completion: str) -> Any:
        return [messages, completion]

    leaf = wrap(reward, "reward")
    parts = [{"role": "assistant", "content": [{"type": "text", "text": "it is 4"}]}]
    assert leaf.score_rows([Item("2 + 2", parts)]) == [[[{"role": "user", "content": "2 + 2"}], "it is 4"]]
    assert text_of(chat("a") + chat("b")) == "a\nb"
    assert messages_of(chat("a")) == chat("a")


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ("solution, answer", ["solution, answer", "cannot be told", "completion"]),
        ("gold, target", ["gold, target", "cannot be told"]),
        ("question, answer", ["no parameter takes the completion", "(question, answer)"]),
        ("a, b", ["no parameter takes the completion", "Rename one of a, b"]),
        ("*args, **kwargs", ["no parameter takes the completion", "(*args, **kwargs)"]),
        ("k=3", []),
    ],
)
def test_signatures_that_are_refused(parameters: str, words: list[str]) -> None:
    namespace: dict[str, Any] = {}
    exec(f"def reward({parameters}):\n    return 0.0", namespace)
    if not words:
        assert wrap(namespace["reward"], "reward").score_rows(items(["a"])) == [0.0]
        return
    with pytest.raises(RewardError) as error:
        wrap(namespace["reward"], "reward")
    for word in words:
        assert word in str(error.value)


def test_classes_factories_and_numbers_are_refused() -> None:
    def get_reward(ngram: int = 3) -> Any:
        return None

    with pytest.raises(RewardError, match=r"is a class.*Waiting\(k=3\)"):
        wrap(Waiting, "Waiting")
    with pytest.raises(RewardError, match=r"makes a reward.*get_reward\(ngram=3\)"):
        wrap(get_reward, "get_reward")
    with pytest.raises(RewardError, match="pi is of type float"):
        wrap(3.14, "pi")


def test_missing_columns_are_named() -> None:
    def reward(completion: str, difficulty: int, answer: str) -> float:
        return 0.0

    with pytest.raises(RewardError, match=r"'difficulty'; the row has 'answer', 'level'"):
        wrap(reward, "reward").score_rows(items(["a"], answer=["1"], level=[2]))
    with pytest.raises(RewardError, match=r"columns 'difficulty', 'answer'; the row has no columns"):
        wrap(reward, "reward").score_rows(items(["a"]))


def test_aliases() -> None:
    assert alias(("answer",), {"answer": 1, "solution": 2}) == {}
    assert alias(("solution",), {"prompt": 0, "answer": 1}) == {"solution": "answer"}
    assert alias(("solution", "level"), {"answer": 1, "level": 2}) == {"solution": "answer"}
    assert alias((), {}) == {}
    with pytest.raises(RewardError, match=r"Several columns could be meant \(answer, label\)"):
        alias(("solution",), {"answer": 1, "label": 2})
    with pytest.raises(RewardError, match="'solution', 'gold'"):
        alias(("solution", "gold"), {"answer": 1})
    with pytest.raises(RewardError, match="'level'"):
        alias(("level",), {"answer": 1})
    # A reference without a value stands for nothing.
    with pytest.raises(RewardError, match="'solution'"):
        alias(("solution",), {"answer": None})


def test_chosen_aliases_win() -> None:
    def reward(completion: str, answer: str) -> str:
        return answer

    leaf = wrap(reward, "reward", {"answer": "short"})
    assert leaf.needs == ("short",)
    assert leaf.score_rows(items(["a"], answer=["long"], short=["s"])) == ["s"]
    with pytest.raises(RewardError, match="'short'"):
        leaf.score_rows(items(["a"], answer=["long"]))


def test_objects_with_score_rows_are_leaves() -> None:
    class Own:
        needs = ("answer",)

        def score_rows(self, rows: Sequence[Item]) -> object:
            return [1.0 for _ in rows]

    leaf = wrap(Own(), "own")
    assert (leaf.name, leaf.kind, leaf.needs) == ("own", "trueward", ("answer",))
    assert (leaf.takes, leaf.containers) == (None, ("text",))
    assert leaf.score_rows(items(["a", "b"])) == [1.0, 1.0]


# --- tokens


def test_tokens_are_stable_and_bounded() -> None:
    # crc32 of "the" is a constant of the algorithm, not of this process.
    assert encode("the") == [0x3C456DE6]
    assert encode("") == []
    assert encode("the the") == [encode("the")[0], encode(" ")[0], encode("the")[0]]
    assert len(encode("9" * 33)) == 3
    assert len(encode("\ud800 é ∑")) == 5


# --- reasoning-gym

SETS = [
    "basic_arithmetic",
    "chain_sum",
    "complex_arithmetic",
    "countdown",
    "fraction_simplification",
    "knight_swap",
    "leg_counting",
    "letter_jumble",
    "mini_sudoku",
    "polynomial_multiplication",
    "ransom_note",
    "rush_hour",
    "tower_of_hanoi",
    "word_ladder",
]


@pytest.mark.parametrize("name", SETS)
def test_a_set_scores_as_reasoning_gym_does(name: str) -> None:
    reasoning_gym = importlib.import_module("reasoning_gym")
    dataset = reasoning_gym.create_dataset(name, seed=7, size=6)
    leaf = load(f"reasoning_gym:{name}(seed=7, size=6)")
    assert (leaf.kind, leaf.needs) == ("reasoning_gym", ("index",))
    for index in (3, 0):
        entry = dataset[index]
        answers = [entry["answer"] or "U2", "", "0", entry["question"]]
        direct = [dataset.score_answer(answer=answer, entry=dataset[index]) for answer in answers]
        columns = {"index": index, "answer": entry["answer"]}
        rows = [Item(entry["question"], answer, columns) for answer in answers]
        assert leaf.score_rows(rows) == direct
        # Scoring leaves no trace, in whichever order.
        assert leaf.score_rows(rows[::-1]) == direct[::-1]


def test_a_scorer_that_writes_into_its_entry_gets_a_new_one() -> None:
    leaf = reasoning_gym_leaf("leg_counting", {"size": 3})

    class Spoiling:
        def score_answer(self, answer: str, entry: dict[str, Any]) -> int:
            entry["metadata"]["seen"] = entry["metadata"].get("seen", 0) + 1
            return int(entry["metadata"]["seen"])

        def __len__(self) -> int:
            return 3

    leaf.entry(0)
    leaf._made["dataset"] = Spoiling()
    assert leaf.score_rows([Item("", "a", {"index": 0})] * 3) == [1, 1, 1]


def test_a_row_of_another_seed_is_refused_or_scored_by_its_own_answer() -> None:
    reasoning_gym = importlib.import_module("reasoning_gym")
    # ransom_note reads only the answer: the row's own is used. countdown reads the numbers of the entry.
    other = reasoning_gym.create_dataset("ransom_note", seed=1, size=5)[0]
    row = Item(other["question"], other["answer"], {"index": 0, "answer": other["answer"]})
    assert load("reasoning_gym:ransom_note(seed=2, size=5)").score_rows([row]) == [1.0]
    other = reasoning_gym.create_dataset("countdown", seed=1, size=5)[0]
    row = Item(other["question"], other["answer"], {"index": 0, "answer": other["answer"]})
    with pytest.raises(RewardError, match="another question here than in the row"):
        load("reasoning_gym:countdown(seed=2, size=5)").score_rows([row])


@pytest.mark.parametrize("index", [None, "0", True, -1, 5, 1.0])
def test_an_index_that_is_none(index: Any) -> None:
    with pytest.raises(RewardError, match=r"needs the column 'index'.*below 5"):
        load("reasoning_gym:leg_counting(size=5)").score_rows([Item("", "4", {"index": index})])


def test_entries_are_made_before_the_first_answer_and_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    made = reasoning_gym_leaf("leg_counting", {"size": 4})._made
    assert set(made) == {"dataset", 0, 1, 2, 3}
    assert set(reasoning_gym_leaf("leg_counting", {})._made) == {"dataset"}
    monkeypatch.setattr("trueward.rewards.reasoning_gym.PATIENCE", -1.0)
    assert set(reasoning_gym_leaf("leg_counting", {"size": 4})._made) == {"dataset", 0}


def test_making_entries_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    for name in set_names():
        leaf = load(f"reasoning_gym:{name}(size=2)")
        assert isinstance(leaf, ReasoningGym)
        leaf.entry(0)
    assert capsys.readouterr().out == ""


# --- the examples


def score(name: str, completion: Any, answer: str) -> object:
    return load(f"{EXAMPLES}/{name}").score_rows([Item("", completion, {"answer": answer})])


def test_example_rewards() -> None:
    assert score("rewards.py:last_number", "so 3 + 4 = 1,007.", "1007") == [1.0]
    assert score("rewards.py:last_number", "none", "7") == [0.0]
    assert score("rewards.py:boxed_or_contains", r"\boxed{\frac{1}{2}}", r"\frac{1}{2}") == [1.0]
    assert score("rewards.py:boxed_or_contains", r"\boxed{8}, not 7", "7") == [0.0]
    assert score("rewards.py:boxed_or_contains", "it is 7", "7") == [1.0]
    answered = "<think>\n3 + 4\n</think>\n<answer>7.0</answer>"
    assert score("rewards.py:format_and_answer", chat(answered), "7") == [1.2]
    assert score("rewards.py:format_and_answer", answered, "8") == [0.2]
    assert score("rewards.py:format_and_answer", "<answer>Blue</answer>", "blue") == [1.0]


def test_published_example() -> None:
    half = r"\frac{1}{2}"
    assert score("published.py:math_verify_reward", rf"\boxed{{{half}}}", half) == [1.0]
    assert score("published.py:math_verify_reward", "The answer is $0.5$.", half) == [1.0]
    assert score("published.py:math_verify_reward", r"\boxed{3}", "-3") == [0.0]
