"""References for the benchmark of mathematics, each with the same answer written otherwise and a wrong one."""

from __future__ import annotations

import random
from collections.abc import Callable

Pair = tuple[str, str, str]  # reference, the same written another way, something else


def _integer(rng: random.Random) -> Pair:
    value = rng.choice([rng.randint(-99, 999), rng.randint(0, 99), rng.randint(1000, 999_999)])
    wrong = value + rng.choice([-10, -2, -1, 1, 2, 10, 100]) if rng.random() < 0.7 else -value - 1
    others = [str(value), str(value), f"{value}.0", f"x = {value}"]
    if abs(value) >= 1000:
        others += [f"{value:,}"] * 2
    return str(value), rng.choice(others), rng.choice([str(wrong), f"{wrong:,}", f"x = {wrong}"])


def _decimal(rng: random.Random) -> Pair:
    top, bottom = rng.randint(1, 60), rng.choice([2, 4, 5, 8, 10, 16, 20, 25])
    value = top / bottom
    decimal, plain, latex = f"{value:g}", f"{top}/{bottom}", rf"\frac{{{top}}}{{{bottom}}}"
    double = rf"\dfrac{{{2 * top}}}{{{2 * bottom}}}"
    near = rng.choice(
        [f"{value + 0.5:g}", f"{top + 1}/{bottom}", rf"\frac{{{top}}}{{{bottom + 1}}}", f"{value * 10:g}"]
    )
    if rng.random() < 0.2:
        third = rng.choice([3, 6, 7, 9, 11])
        top = rng.choice([1, 2, 4, 5])
        rounded = f"{top / third:.2f}"
        return rf"\frac{{{top}}}{{{third}}}", f"{top / third:.6f}", rounded
    return (
        rng.choice([decimal, latex]),
        rng.choice([decimal, plain, latex, double, decimal + "0" * ("." in decimal)]),
        near,
    )


def _surd(rng: random.Random) -> Pair:
    a, b = rng.randint(2, 9), rng.choice([2, 3, 5, 6, 7, 10])
    return rf"{a}\sqrt{{{b}}}", rf"\sqrt{{{a * a * b}}}", rng.choice([rf"{a + 1}\sqrt{{{b}}}", rf"{a}\sqrt{{{b + 1}}}"])


def _surd_sum(rng: random.Random) -> Pair:
    a, b, c = rng.randint(1, 9), rng.choice([2, 3, 5, 7, 13]), rng.randint(2, 6)
    first = rf"\frac{{{a}+\sqrt{{{b}}}}}{{{c}}}"
    return first, rf"\frac{{{a}}}{{{c}}}+\frac{{\sqrt{{{b}}}}}{{{c}}}", rf"\frac{{{a}-\sqrt{{{b}}}}}{{{c}}}"


def _rationalised(rng: random.Random) -> Pair:
    a, b = rng.randint(1, 9), rng.choice([2, 3, 5, 7])
    return (
        rf"\frac{{{a}}}{{\sqrt{{{b}}}}}",
        rf"\frac{{{a}\sqrt{{{b}}}}}{{{b}}}",
        rf"\frac{{{a}\sqrt{{{b}}}}}{{{b + 1}}}",
    )


def _pi(rng: random.Random) -> Pair:
    a, b = rng.randint(1, 11), rng.randint(2, 12)
    return (
        rf"\frac{{{a}\pi}}{{{b}}}",
        rf"\frac{{{a}}}{{{b}}}\pi",
        rng.choice([rf"\frac{{{a + 1}\pi}}{{{b}}}", rf"{a}\pi"]),
    )


def _polynomial(rng: random.Random) -> Pair:
    a, b = rng.sample(range(1, 10), 2)
    return f"x^2+{a + b}x+{a * b}", rng.choice([f"(x+{a})(x+{b})", f"{a * b}+{a + b}x+x^2"]), f"x^2+{a + b}x-{a * b}"


def _two_variables(rng: random.Random) -> Pair:
    a, b = rng.randint(2, 9), rng.randint(2, 9)
    return f"{a}x^2y-{b}xy", rng.choice([f"-{b}xy+{a}x^2y", f"xy({a}x-{b})"]), f"{a}x^2y+{b}xy"


def _rational(rng: random.Random) -> Pair:
    a, b = rng.sample(range(1, 9), 2)
    top = f"+\\frac{{{a - b}}}{{x+{b}}}" if a > b else f"-\\frac{{{b - a}}}{{x+{b}}}"
    return rf"\frac{{x+{a}}}{{x+{b}}}", f"1{top}", rf"\frac{{x+{b}}}{{x+{a}}}"


def _power(rng: random.Random) -> Pair:
    base, exponent = rng.randint(2, 5), rng.randint(3, 12)
    return (
        f"{base}^{{{exponent}}}",
        str(base**exponent),
        rng.choice([f"{base}^{{{exponent + 1}}}", str(base * exponent)]),
    )


def _exponential(rng: random.Random) -> Pair:
    a, k = rng.randint(2, 9), rng.randint(2, 5)
    return f"{a}e^{{{k}x}}", rf"{a} \cdot e^{{{k}x}}", f"{a}e^{{-{k}x}}"


def _line(rng: random.Random) -> Pair:
    m, b = rng.randint(2, 9), rng.randint(1, 9)
    return f"y={m}x+{b}", rng.choice([f"y={b}+{m}x", f"{m}x+{b}"]), f"y={m}x-{b}"


def _logarithm(rng: random.Random) -> Pair:
    base, exponent = rng.choice([2, 3, 5]), rng.randint(2, 6)
    return rf"\log_{{{base}}} {base**exponent}", str(exponent), str(exponent + 1)


def _trigonometric(rng: random.Random) -> Pair:
    a = rng.randint(2, 9)
    return rf"{a}\sin^2 x", rf"{a}-{a}\cos^2 x", rf"{a}+{a}\cos^2 x"


def _complex(rng: random.Random) -> Pair:
    a, b = rng.randint(1, 9), rng.randint(2, 9)
    return f"{a}+{b}i", f"{b}i+{a}", f"{a}-{b}i"


def _matrix(rng: random.Random) -> Pair:
    a, b, c, d = (rng.randint(0, 9) for _ in range(4))
    return (
        rf"\begin{{pmatrix}} {a} & {b} \\ {c} & {d} \end{{pmatrix}}",
        rf"\begin{{pmatrix}}{a}&{b}\\{c}&{d}\end{{pmatrix}}",
        rf"\begin{{pmatrix}} {a} & {c} \\ {b} & {d + 1} \end{{pmatrix}}",
    )


def _binomial(rng: random.Random) -> Pair:
    n, k = rng.randint(5, 10), rng.randint(2, 4)
    value = 1
    for i in range(k):
        value = value * (n - i) // (i + 1)
    return rf"\binom{{{n}}}{{{k}}}", str(value), str(value + n)


def _with_unit(rng: random.Random) -> Pair:
    a = rng.choice([30, 45, 60, 72, 90, 108, 120])
    if rng.random() < 0.5:
        return rf"{a}^\circ", str(a), rf"{a + 15}^\circ"
    return str(a), rf"{a}\text{{ cm}}", rf"{a + 1}\text{{ cm}}"


def _word(rng: random.Random) -> Pair:
    first, second = rng.choice([("even", "odd"), ("Monday", "Friday"), ("rational", "irrational"), ("Evelyn", "Carla")])
    return rf"\text{{{first}}}", rf"\text{{{first}}}", rf"\text{{{second}}}"


def _latex_fraction(rng: random.Random) -> Pair:
    a, b = rng.randint(1, 20), rng.randint(2, 20)
    return (
        rf"\frac{{{a}}}{{{b}}}",
        rng.choice([rf"\dfrac{{{2 * a}}}{{{2 * b}}}", f"{a}/{b}"]),
        rf"\frac{{{a + 1}}}{{{b}}}",
    )


def _factorials(rng: random.Random) -> Pair:
    n = rng.randint(5, 9)
    return rf"\frac{{{n}!}}{{{n - 2}!}}", str(n * (n - 1)), str(n * (n - 2))


def _absolute(rng: random.Random) -> Pair:
    a = rng.randint(2, 9)
    return f"|x-{a}|", f"|{a}-x|", f"|x+{a}|"


def _cotangent(rng: random.Random) -> Pair:
    a = rng.randint(2, 9)
    return rf"{a}\cot x", rf"\frac{{{a}\cos x}}{{\sin x}}", rf"\frac{{{a}\sin x}}{{\cos x}}"


def _common_logarithm(rng: random.Random) -> Pair:
    a, b = rng.choice([2, 3, 5]), rng.randint(2, 4)
    return rf"\log {a**b}", rf"{b}\log {a}", rf"{b + 1}\log {a}"


def _implicit(rng: random.Random) -> Pair:
    a, b = rng.randint(2, 9), rng.randint(1, 9)
    return f"{a}x+y={b}", f"y={b}-{a}x", f"y={b}+{a}x"


def _subscripts(rng: random.Random) -> Pair:
    a, b = rng.randint(2, 9), rng.randint(2, 9)
    return f"{a}x_1+{b}x_2", f"{b}x_2+{a}x_1", f"{a}x_1-{b}x_2"


def _inverse_or_floor(rng: random.Random) -> Pair:
    a = rng.randint(2, 9)
    if rng.random() < 0.5:
        return rf"\tan^{{-1}} {a}", rf"\arctan {a}", rf"\arctan {a + 1}"
    return rf"\lfloor {a}\pi \rfloor", str(int(a * 3.14159)), str(int(a * 3.14159) + 1)


# As often as people meet them: fractions, roots and polynomials make most of MATH's answers that are no numbers.
LATEX = (
    [_latex_fraction] * 6
    + [_surd] * 4
    + [_surd_sum] * 2
    + [_rationalised] * 2
    + [_pi] * 3
    + [_polynomial] * 4
    + [_two_variables, _rational, _rational, _power, _power, _exponential, _line, _line, _logarithm, _trigonometric]
    + [_complex, _matrix, _binomial, _with_unit, _with_unit, _word]
    + [
        _factorials,
        _absolute,
        _cotangent,
        _common_logarithm,
        _implicit,
        _subscripts,
        _inverse_or_floor,
        _inverse_or_floor,
    ]
)


def _set(rng: random.Random) -> Pair:
    elements = rng.sample(range(-20, 60), rng.randint(2, 4))
    mixed = rng.sample(elements, len(elements))
    other = rng.choice([r"\{{{}\}}", "{}"]).format(", ".join(map(str, mixed)))
    wrong = rng.choice([[*elements[:-1], 99], elements[:-1], [*elements, 99]])
    return rf"\{{{', '.join(map(str, elements))}\}}", other, rf"\{{{', '.join(map(str, wrong))}\}}"


def _interval(rng: random.Random) -> Pair:
    a = rng.randint(-9, 9)
    b = a + rng.randint(1, 9)
    left, right = rng.choice("(["), rng.choice(")]")
    same = rf"\left{left}{a}, {b}\right{right}"
    return (
        f"{left}{a},{b}{right}",
        same,
        rng.choice([f"{left}{a},{b + 1}{right}", f"{'[' if left == '(' else '('}{a},{b}{right}"]),
    )


def _ray(rng: random.Random) -> Pair:
    a = rng.randint(-9, 9)
    return rf"(-\infty,{a}]", rf"(-\infty, {a}]", rng.choice([rf"(-\infty,{a})", rf"[{a},\infty)"])


def _two_rays(rng: random.Random) -> Pair:
    a = rng.randint(-9, 3)
    b = a + rng.randint(1, 6)
    return rf"(-\infty,{a})\cup({b},\infty)", rf"(-\infty, {a}) \cup ({b}, \infty)", rf"(-\infty,{a}]\cup[{b},\infty)"


def _pair(rng: random.Random) -> Pair:
    b = rng.randint(2, 9)
    a = rng.choice([value for value in range(-9, 10) if value != b * b])
    return rf"(\frac{{{a}}}{{{b}}}, {b})", rf"\left(\frac{{{a}}}{{{b}}}, {b}\right)", rf"({b}, \frac{{{a}}}{{{b}}})"


def _solutions(rng: random.Random) -> Pair:
    a, b = rng.sample(range(1, 20), 2)
    return (
        f"{a}, {b}",
        rng.choice([rf"{b} \text{{ and }} {a}", f"{b}, {a}"]),
        rng.choice([f"{a}, {b + 1}", f"{a}, -{b}"]),
    )


def _sets(rng: random.Random) -> Pair:
    return rng.choice([_set, _interval, _ray, _two_rays, _pair, _solutions])(rng)


MAKERS: dict[str, Callable[[random.Random], Pair]] = {
    "integers": _integer,
    "decimals, fractions": _decimal,
    "LaTeX": lambda rng: rng.choice(LATEX)(rng),
    "sets, intervals": _sets,
}
