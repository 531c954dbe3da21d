"""The sets of reasoning-gym as rows, with an answer contract for each set.

The contracts were read off each set's question and scorer. Where it is not certain that every question has exactly one
right answer, `unique` is False: then only completions that answer nothing are called wrong, unless a checker can tell.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from trueward.tasks.text.contract import Contract
from trueward.tasks.text.expressions import calculated
from trueward.tasks.text.rows import Row

FULL = 1.0  # what a full answer earns in every set

_BOOLEAN = ("True", "False")
_YES_NO = ("Yes", "No")


def _one(kind: str, **fields: Any) -> Contract:
    return Contract(type=kind, unique=True, declared=True, **fields)  # type: ignore[arg-type]


INT = _one("int")
NUMBER = _one("number")
GRID = _one("grid")
LIST = _one("list")
WORD = _one("word")
EXPRESSION = _one("expression")
VERBATIM = _one("word", form="verbatim", case_sensitive=True)
# One question, one answer, but of a kind that differs by row, or rounded in a way that the question leaves open.
OPEN_TYPE = Contract(unique=True, declared=True)
# Text that has one meaning and many ways to say it.
TEXT = _one("free")
# Several right answers, or none that is known to be the only one.
MANY = Contract(type="free", unique=False, declared=True)

CONTRACTS: dict[str, Contract] = {
    "ab": VERBATIM,
    "acre": _one("choice", choices=("on", "off", "undetermined")),
    "advanced_geometry": OPEN_TYPE,
    "aiw": INT,
    "arc_1d": GRID,
    "arc_agi": GRID,
    "base_conversion": VERBATIM,
    "basic_arithmetic": INT,
    "bf": VERBATIM,
    "binary_alternation": INT,
    "binary_matrix": GRID,
    "bitwise_arithmetic": VERBATIM,
    "boxnet": MANY,
    "caesar_cipher": VERBATIM,
    "calendar_arithmetic": OPEN_TYPE,
    "chain_sum": INT,
    "circuit_logic": INT,
    "codeio": TEXT,
    "coin_flip": OPEN_TYPE,
    "color_cube_rotation": WORD,
    "complex_arithmetic": OPEN_TYPE,
    "count_bits": INT,
    "count_primes": INT,
    "countdown": MANY,
    "course_schedule": _one("choice", choices=_BOOLEAN),
    "cryptarithm": MANY,
    "decimal_arithmetic": NUMBER,
    "decimal_chain_sum": NUMBER,
    "dice": NUMBER,
    "emoji_mystery": VERBATIM,
    "family_relationships": WORD,
    "figlet_font": WORD,
    "fraction_simplification": OPEN_TYPE,
    "futoshiki": MANY,
    "game_of_life": GRID,
    "game_of_life_halting": _one("choice", choices=_BOOLEAN),
    "gcd": INT,
    "graph_color": MANY,
    "group_anagrams": MANY,
    "gsm_symbolic": OPEN_TYPE,
    "intermediate_integration": MANY,
    "isomorphic_strings": _one("choice", choices=_BOOLEAN),
    "jugs": MANY,
    "kakurasu": MANY,
    "knight_swap": MANY,
    "knights_knaves": TEXT,
    "largest_island": INT,
    "lcm": INT,
    "leg_counting": INT,
    "letter_counting": INT,
    "letter_jumble": MANY,
    "list_functions": MANY,  # a rule guessed from examples: another rule may fit them too
    "mahjong_puzzle": WORD,
    "manipulate_matrix": GRID,
    "maze": OPEN_TYPE,
    "mini_sudoku": MANY,
    "modulo_grid": MANY,  # a pattern completed by a rule that has to be guessed
    "n_queens": MANY,
    "needle_haystack": WORD,
    "number_filtering": LIST,
    "number_format": NUMBER,
    "number_sequence": MANY,  # a rule that has to be guessed
    "number_sorting": LIST,
    "palindrome_generation": MANY,
    "palindrome_partitioning": MANY,
    "path_star": VERBATIM,
    "polynomial_equations": MANY,
    "polynomial_multiplication": EXPRESSION,
    "pool_matrix": GRID,
    "power_function": NUMBER,
    "prime_factorization": MANY,
    "products": INT,
    "propositional_logic": MANY,
    "puzzle24": MANY,
    "quantum_lock": MANY,
    "ransom_note": _one("choice", choices=_BOOLEAN),
    "rearc": GRID,
    "rectangle_count": INT,
    "rotate_matrix": GRID,
    "rotten_oranges": INT,
    "rubiks_cube": MANY,
    "rush_hour": MANY,
    "self_reference": INT,
    "sentence_reordering": MANY,
    "shortest_path": MANY,
    "simple_equations": INT,
    "simple_geometry": NUMBER,
    "simple_integration": MANY,
    "sokoban": MANY,
    "spell_backward": VERBATIM,
    "spiral_matrix": VERBATIM,
    "string_insertion": VERBATIM,
    "string_manipulation": VERBATIM,
    "string_splitting": VERBATIM,
    "string_synthesis": VERBATIM,
    "sudoku": MANY,
    "survo": MANY,
    "syllogism": _one("choice", choices=_YES_NO),
    "time_intervals": OPEN_TYPE,
    "tower_of_hanoi": MANY,
    "tsumego": MANY,
    "word_ladder": MANY,
    "word_sequence_reversal": LIST,
    "word_sorting": LIST,
    "zebra_puzzles": WORD,
}

# Sets whose checker needs what the generator knows about the question.
_CHECKED = ("countdown", "puzzle24", "prime_factorization", "n_queens")


def rows_of(name: str, entries: Mapping[int, Mapping[str, Any]], prefix: str) -> tuple[Row, ...]:
    """Rows from entries of a set.

    Args:
        name: of the set.
        entries: index → entry, as `dataset[index]` gives it.
        prefix: beginning of the rows' ids.
    """
    rows = []
    for index, entry in entries.items():
        answer = entry["answer"] if isinstance(entry["answer"], str) else None
        columns: dict[str, Any] = {"index": index, "answer": entry["answer"]}
        if name in _CHECKED:
            columns["metadata"] = _as_json(entry["metadata"])
        contract = CONTRACTS.get(name, MANY)
        rows.append(Row(f"{prefix}-{index}", entry["question"], answer, columns, contract, f"{prefix}, entry {index}"))
    return tuple(rows)


def _as_json(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [_as_json(item) for item in value]
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)


def checker(name: str) -> Callable[[str, Mapping[str, Any]], bool | None] | None:
    """An independent check of answers to a set with many right ones: True, False, or None when it cannot say."""
    return {
        "countdown": _check_countdown,
        "puzzle24": _check_countdown,
        "prime_factorization": _check_factors,
        "n_queens": _check_queens,
    }.get(name)


def _check_countdown(candidate: str, columns: Mapping[str, Any]) -> bool | None:
    """Every number once, only + − * / and brackets, the target as value."""
    metadata = columns["metadata"]
    target = metadata.get("target", 24)
    try:
        tree = ast.parse(candidate.strip(), mode="eval") if len(candidate) <= 200 else None
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    if tree is None:
        return None
    used: list[int] = []
    try:
        value = _arithmetic(tree.body, used)
    except ZeroDivisionError:
        return False
    except (ValueError, RecursionError):
        return None
    return value == target and Counter(used) == Counter(metadata["numbers"])


def _arithmetic(node: ast.expr, used: list[int]) -> Fraction:
    if isinstance(node, ast.Constant) and type(node.value) is int:
        used.append(node.value)
        return Fraction(node.value)
    if isinstance(node, ast.BinOp):
        return calculated(node.op, _arithmetic(node.left, used), _arithmetic(node.right, used))
    raise ValueError(ast.dump(node))


def _check_factors(candidate: str, columns: Mapping[str, Any]) -> bool | None:
    """Prime factors in any order, joined by ×."""
    parts = [part.strip() for part in candidate.replace("*", "×").replace("x", "×").split("×")]
    if not all(part.isdecimal() and len(part) <= 12 for part in parts):
        return None
    return sorted(int(part) for part in parts) == sorted(columns["metadata"]["factors"])


def _check_queens(candidate: str, columns: Mapping[str, Any]) -> bool | None:
    """One queen in each row and column, none on a shared diagonal, the given ones kept."""
    board = [line.split() for line in candidate.strip().splitlines()]
    puzzle = columns["metadata"]["puzzle"]
    size = len(puzzle)
    if len(board) != size or any(len(line) != size or not set(line) <= {"Q", "_"} for line in board):
        return None
    queens = [(r, c) for r, line in enumerate(board) for c, cell in enumerate(line) if cell == "Q"]
    given = {(r, c) for r, line in enumerate(puzzle) for c, cell in enumerate(line) if cell == "Q"}
    lines = [[q[0] for q in queens], [q[1] for q in queens], [r + c for r, c in queens], [r - c for r, c in queens]]
    return len(queens) == size and given <= set(queens) and all(len(set(line)) == size for line in lines)
