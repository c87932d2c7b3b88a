"""Guards formulas: what they compute (numpy is the oracle), what they refuse, and that no text does anything else."""

import contextlib
import dataclasses
import math
import time
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from kancl.errors import InputError
from scenarios.tools.formula import FUNCTIONS, SEVERAL, parse

POINTS = torch.tensor([[0.3, -1.7], [2.0, 0.5], [-0.25, 4.0]], dtype=torch.float64)


def at(text: str, x: float = 0.0, y: float = 0.0) -> float:
    return float(parse(text, ["x", "y"])(torch.tensor([[x, y]], dtype=torch.float64))[0])


def refused(text: str, variables: tuple[str, ...] = ("x", "y")) -> str:
    with pytest.raises(InputError) as refusal:
        parse(text, variables)(POINTS[:, : len(variables)])
    return str(refusal.value)


@pytest.mark.parametrize(
    ("text", "x", "expected"),
    [
        ("1 + 2*3 - 4/8", 0, 6.5),
        ("2^3^2", 0, 512),
        ("2**-1", 0, 0.5),
        ("-x^2", 3, -9),
        ("(-x)^2", 3, 9),
        ("-x^-2", 2, -0.25),
        ("+x - -x", 5, 10),
        ("x - 1 - 1", 5, 3),
        ("8/2/2", 0, 2),
        (".5e1 + 1. + 1E-1", 0, 6.1),
        ("7/2", 0, 3.5),
        ("sin(pi/6) + cos(pi/3) + tan(pi/4)", 0, 2),
        ("asin(1) + acos(0) - 4*atan(1)", 0, 0),
        ("log(e^3)", 0, 3),
        ("exp(0) + sqrt(16) + abs(-2)", 0, 7),
        ("cosh(x)^2 - sinh(x)^2", 1.3, 1),
        ("tanh(x) - sinh(x)/cosh(x)", 0.7, 0),
        ("sign(-3) + sign(0) + 10*sign(2)", 0, 9),
        ("floor(-1.5)", 0, -2),
        ("min(3, x, 7) + max(x, -1)", 2, 4),
        ("  x\t", 4, 4),
    ],
)
def test_it_computes(text: str, x: float, expected: float) -> None:
    assert at(text, x) == pytest.approx(expected, abs=1e-12)


def test_columns_go_by_the_order_of_the_variables() -> None:
    assert parse("a - 10*b", ["b", "a"])(torch.tensor([[1.0, 2.0]])).tolist() == [-8.0]


def test_a_constant_is_given_for_every_row_and_nothing_for_none() -> None:
    values = parse("2", ["x"])(torch.zeros(3, 1))
    assert values.dtype == torch.float64
    values[0] = 5.0  # of its own memory
    assert values.tolist() == [5.0, 2.0, 2.0]
    assert parse("1/x", ["x"])(torch.zeros(0, 1)).shape == (0,)
    assert parse("pi", [])(torch.zeros(2, 0)).tolist() == [math.pi] * 2


def test_a_formula_does_not_change() -> None:
    formula = parse("x", ["x"])
    assert formula == parse("x", ["x"]) != parse("x", ["x", "y"])
    assert (formula.text, formula.variables) == ("x", ("x",))
    with pytest.raises(dataclasses.FrozenInstanceError):
        formula.text = "y"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "what", "marked"),
    [
        ("sin(6*z)", "unknown name z", "z"),
        ("sine(x)", "unknown function sine; did you mean sin?", "sine"),
        ("x + arcsin(x)", "did you mean asin?", "arcsin"),
        ("x + spam(x)", "there are: sin, cos", "spam"),
        ("2x", "written 2*x", "x"),
        ("1 + x(2)", "x is no function; a product is written x*(...)", "x"),
        ("x + 2(x)", "written with *", "2"),
        ("1 + sin", "write sin(...)", "sin"),
        ("1 + sin(x, y)", "sin takes one argument, got 2", "sin"),
        ("1 + min(x)", "min takes two arguments or more, got 1", "min"),
        ("1 + sin()", "sin takes one argument, got 0", "sin"),
        ("x.real", "'.' is no part of a formula", "."),
        ("x[0]", "'[' is no part", "["),
        ("x + 'a'", '"\'" is no part', "'"),
        ("x == y", "'=' is no part", "="),
        ("x; y", "';' is no part", ";"),
        ("x\ny", "'\\n' is no part", " "),
        ("y + ξ", "'ξ' is no part", "ξ"),
        ("1 + (x", "never closed", "("),
        ("x + y)", "never opened", ")"),
        ("1 + x, y", "a comma stands between", "1"),
        ("1 + ()", "nothing between these brackets", "("),
        ("x + 1e999", "too large", "1e999"),
        ("x if x else y", "only numbers, variables", "x"),
        ("1 + (not x)", "only numbers, variables", "not"),
        ("1 + max(*x)", "two arguments", "max"),
        ("1 + max(x, *y)", "only numbers, variables", "*y"),
        ("x + y // 2", "only numbers, variables", "y"),
        ("x^2 + / y", "expected a number", "/"),
        ("1 + lambda", "expected a number", "lambda"),
    ],
)
def test_a_refusal_points_at_the_place(text: str, what: str, marked: str) -> None:
    message, line, mark = refused(text).split("\n")
    assert what in message
    assert mark.strip() == "^"
    assert line[2:] == text.replace("\n", " ")
    place = mark.index("^")
    at_the_end = place == len(line) and line.endswith(marked)  # where Python only finds out that something is missing
    assert line[place:].startswith(marked) or at_the_end


def test_the_mark_is_right_behind_a_power() -> None:
    _, line, mark = refused("x^2 + y^3 + z").split("\n")
    assert line[mark.index("^")] == "z"
    _, line, mark = refused("   x^2 +").split("\n")
    assert mark.index("^") == len(line)


def test_the_mark_is_right_in_a_long_formula() -> None:
    message, line, mark = refused("+".join(["x"] * 80) + "+q+" + "y").split("\n")
    assert line[mark.index("^")] == "q"
    assert max(map(len, (message, line))) < 300


@pytest.mark.parametrize(("text", "what"), [("", "missing"), (" \t", "missing"), ("x" * 1001, "1000 characters, got 1001")])
def test_nothing_and_too_much_are_refused(text: str, what: str) -> None:
    assert what in refused(text)


@pytest.mark.parametrize(
    "text",
    [
        "9^9^9^9^9",
        "2**" * 200 + "2",
        "-" * 999 + "x",
        "x+" * 499 + "x",
        "(" * 400 + "x" + ")" * 400,
        "sin(" * 49 + "x" + ")" * 49,
        "(" * 50 + "+" + ")" * 50,
        "9" * 1000,
        "*" * 1000,
        "max(" * 30 + "x" + ",1)" * 30,
    ],
    ids=lambda text: text[:8],
)
def test_nothing_takes_long(text: str) -> None:
    start = time.perf_counter()
    with contextlib.suppress(InputError):
        parse(text, ["x"])(torch.ones(1000, 1))
    assert time.perf_counter() - start < 1


@pytest.mark.parametrize("variables", [["e"], ["sin"], ["max"], ["2x"], ["x", "x"], [""], ["a.b"]])
def test_variables_that_cannot_be_told_apart_are_refused(variables: list[str]) -> None:
    with pytest.raises(InputError, match="variable"):
        parse("1", variables)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("log(x)", "is nan at x = -0.25, y = 4 (1 of 3 points)"),
        ("1/(x - 2)", "is inf at x = 2, y = 0.5 (1 of 3 points)"),
        ("sqrt(-abs(y))", "is nan at x = 0.3, y = -1.7 (3 of 3 points)"),
        ("-exp(1e4*x)", "is -inf at x = 0.3"),
    ],
)
def test_a_value_that_is_not_finite_is_told_with_its_input(text: str, what: str) -> None:
    assert what in refused(text)


@pytest.mark.parametrize("shape", [(3,), (3, 1), (3, 3), (2, 3, 2)])
def test_columns_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"needs columns of shape \(N, 2\)"):
        parse("x + y", ["x", "y"])(torch.zeros(shape))


# Any text


ALPHABET = "xyesin().,+-*/^ 0123456789_abcdefpotl[]{}'\"=<>:;@#!%&|~`\\\n\r\t\0éλ１"
PIECES = (
    "x",
    "y",
    "sin",
    "max",
    "(",
    ")",
    ",",
    "^",
    "**",
    "-",
    "+",
    "/",
    "1e9",
    " ",
    "2",
    ".5",
    "if",
    "lambda",
    "not",
    "in",
    "e",
)
texts = (
    st.text(max_size=40) | st.text(alphabet=ALPHABET, max_size=60) | st.lists(st.sampled_from(PIECES), max_size=40).map("".join)
)


@settings(max_examples=800, deadline=None)
@given(texts)
def test_any_text_is_a_formula_or_an_input_error(text: str) -> None:
    with contextlib.suppress(InputError):
        values = parse(text, ["x", "y"])(POINTS)
        assert values.shape == (3,)
        assert values.dtype == torch.float64
        assert bool(values.isfinite().all())


# Random formulas, against numpy

ORACLE: dict[str, Any] = {
    **{name: getattr(np, {"asin": "arcsin", "acos": "arccos", "atan": "arctan"}.get(name, name)) for name in FUNCTIONS},
    "min": lambda *args: np.minimum.reduce(np.broadcast_arrays(*args)),
    "max": lambda *args: np.maximum.reduce(np.broadcast_arrays(*args)),
}
leaves = st.sampled_from(["x", "y", "pi", "e"]) | st.floats(0, 1e3).map(lambda value: f"number({value!r})")


def grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.tuples(inner, st.sampled_from("+-*/^"), inner).map(lambda part: f"{part[0]} {part[1]} {part[2]}"),
        inner.map(lambda text: f"({text})"),
        inner.map(lambda text: f"-{text}"),
        st.tuples(st.sampled_from(sorted(FUNCTIONS)), inner).map(lambda part: f"{part[0]}({part[1]})"),
        st.tuples(st.sampled_from(sorted(SEVERAL)), st.lists(inner, min_size=2, max_size=3)).map(
            lambda part: f"{part[0]}({', '.join(part[1])})"
        ),
    )


def by_numpy(text: str, nudge: float) -> np.ndarray:
    """The same text, with numpy's functions, evaluated by Python itself, every number and input off by a share ``nudge``."""
    numbers = {"number": lambda value: np.float64(value) * (1 + nudge), "pi": np.pi * (1 + nudge), "e": np.e * (1 + nudge)}
    x, y = POINTS.numpy().T * (1 + nudge)
    with np.errstate(all="ignore"):
        return np.broadcast_to(eval(text.replace("^", "**"), {}, {**ORACLE, **numbers, "x": x, "y": y}), (3,))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(st.recursive(leaves, grown, max_leaves=12))
def test_random_formulas_agree_with_numpy(text: str) -> None:
    """Brackets are left out at random, so precedence counts. Formulas that an error of rounding changes much, such as
    sin(exp(99)), prove nothing and are left out."""
    expected, nudged = by_numpy(text, 0.0), [by_numpy(text, nudge) for nudge in (-1e-13, 1e-13)]
    assume(all(np.allclose(expected, other, rtol=1e-9, atol=1e-12, equal_nan=True) for other in nudged))
    plain = text.replace("number(", "(")
    if np.isfinite(expected).all():
        np.testing.assert_allclose(parse(plain, ["x", "y"])(POINTS).numpy(), expected, rtol=1e-8, atol=1e-11)
    else:
        message = refused(plain)
        assert "is nan at x" in message or "inf at x" in message
