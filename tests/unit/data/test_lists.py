"""Lists of numbers per event: elements, reductions and conditions, against Python's own."""

from __future__ import annotations

import math
from collections.abc import Callable

import awkward as ak
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from verisimile.core.errors import InputError
from verisimile.data.formulas import Formula
from verisimile.data.lists import REDUCTIONS, Lists

JETS = [[50.0, 30.0, 20.0], [], [40.0], [10.0, math.nan], [31.0, 29.0]]
TIGHT = [[True, False, True], [], [False], [True, True], [False, True]]
MET = [5.0, 35.0, math.nan, 0.0, 60.0]
NAN = math.nan

COLUMNS: dict[str, Lists] = {
    "pt": ak.Array(JETS),
    "tight": ak.Array(TIGHT),
    "met": np.array(MET),
    "best": np.array([1.0, -1.0, 0.0, 1.0, 7.0]),
    "index": ak.Array([[0, 1, 2], [], [0], [1, 0], [1, 0]]),
    "mu": ak.Array([[1.0], [2.0], [3.0], [4.0], [5.0]]),
    "p4": ak.from_regular(ak.from_numpy(np.arange(20.0).reshape(5, 4))),
    "deep": ak.Array([[[1.0, 2.0], [3.0]], [], [[]], [[4.0], []], [[5.0], [6.0, 7.0]]]),
}


def values(text: str, *, truth: bool = False) -> list[float]:
    formula = Formula(text)
    columns = {key: COLUMNS[name] for key, name in formula.inputs(COLUMNS).items()}
    return list(formula.values(columns, len(JETS), truth=truth))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("pt[0]", [50, NAN, 40, 10, 31]),
        ("pt[1]", [30, NAN, NAN, NAN, 29]),
        ("pt[10000000000]", [NAN] * 5),
        ("pt[best]", [30, NAN, 40, NAN, NAN]),
        ("count(pt)", [3, 0, 1, 2, 2]),
        ("Length$(pt)", [3, 0, 1, 2, 2]),
        ("sum(pt)", [100, 0, 40, NAN, 60]),
        ("mean(pt)", [100 / 3, NAN, 40, NAN, 30]),
        ("max(pt)", [50, NAN, 40, NAN, 31]),
        ("Min$(pt)", [20, NAN, 40, NAN, 29]),
        ("sum(pt[pt >= 30])", [80, 0, 40, NAN, 31]),
        ("count(pt[pt >= 30])", [2, 0, 1, NAN, 1]),
        ("Sum$(pt >= 30)", [2, 0, 1, NAN, 1]),
        ("count(pt[tight])", [2, 0, 0, 2, 1]),
        ("pt[tight][0]", [50, NAN, NAN, 10, 29]),
        ("pt[!tight && pt < 40][0]", [30, NAN, NAN, NAN, 31]),
        ("sum(pt[met > 10])", [0, 0, NAN, 0, 60]),
        ("sum(pt * tight)", [70, 0, 0, NAN, 29]),
        ("sum(pt + met)", [115, 0, NAN, NAN, 180]),
        ("sum(where(pt > 30, pt, 1))", [52, 0, 40, NAN, 32]),
        ("sum(where(met > 10, pt, 1))", [3, 0, NAN, 2, 60]),
        ("max(sqrt(pt ^ 2))", [50, NAN, 40, NAN, 31]),
        ("sum(delta_phi(pt, pt + 1))", [-3, 0, -1, NAN, -2]),
        ("p4[2]", [2, 6, 10, 14, 18]),
        ("hypot(p4[1], p4[2])", np.hypot(np.arange(1, 20, 4), np.arange(2, 20, 4))),
        ("sum(p4 * p4[0])", [0, 88, 304, 648, 1120]),
        ("deep[0][0]", [1, NAN, NAN, 4, 5]),
        ("deep[1][0]", [3, NAN, NAN, NAN, 6]),
        ("sum(deep)", [6, 0, 0, 4, 18]),
        ("count(deep)", [3, 0, 0, 1, 3]),
        ("count(deep[deep > 2])", [1, 0, 0, 1, 3]),
        ("max(deep[0])", [2, NAN, NAN, 4, 5]),
        ("mu[0] - pt[0]", [-49, NAN, -37, -6, -26]),
        ("where(count(pt) > 0, pt[0], -1)", [50, -1, 40, 10, 31]),
        ("Alt$(pt[1], 0)", [30, 0, 0, 0, 29]),
    ],
)
def test_lists_become_numbers(text: str, expected: list[float]) -> None:
    assert values(text) == pytest.approx(list(expected), rel=1e-12, abs=1e-12, nan_ok=True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("any(pt > 30)", [1, 0, 1, NAN, 1]),
        ("any(pt > 5)", [1, 0, 1, 1, 1]),
        ("all(pt > 30)", [0, 1, 1, 0, 0]),
        ("all(pt > 5)", [1, 1, 1, NAN, 1]),
        ("any(tight)", [1, 0, 0, 1, 1]),
        ("all(tight)", [0, 1, 0, 1, 0]),
        ("pt[0] > 35", [1, NAN, 1, 0, 0]),
        ("count(pt) > 0 && pt[0] > 35", [1, 0, 1, 0, 0]),
        ("count(pt) == 0 || pt[0] > 35", [1, 1, 1, 0, 0]),
        ("any(pt > 30) && met > 30", [0, 0, NAN, 0, 1]),
        ("!any(pt[tight] > 30)", [0, 1, 1, NAN, 1]),
        ("(pt > 35)[0]", [1, NAN, 1, 0, 0]),
        ("20 < pt[1] <= 29", [0, NAN, NAN, NAN, 1]),
    ],
)
def test_conditions_on_lists_are_true_false_or_undefined(text: str, expected: list[float]) -> None:
    assert values(text, truth=True) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pt", "got a list in each event, name 'pt'.*expected one number per event"),
        ("pt > 30", r"a list in each event.*(.|\n)*reduce the list"),
        ("met[0]", "got one number per event, name 'met'.*expected a list of numbers"),
        ("sum(met)", "got one number per event"),
        ("pt[1.5]", "got the position 1.5"),
        ("pt[index][0]", "a list of numbers in brackets, name 'index'"),
        ("sum(pt + mu)", r"lists of different lengths in 'pt \+ mu'"),
        ("pt[mu > 1][0]", "lists of different lengths"),
        ("any(pt)", "a list of numbers, name 'pt'.*expected a condition"),
        ("deep[0]", "a list in each event"),
        ("sum(Pt)", r"no column 'Pt'(.|\n)*Did you mean 'pt'"),
    ],
)
def test_lists_that_do_not_fit_are_told_with_a_caret(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        values(text)
    assert str(caught.value).splitlines()[-1].strip() == "^"


@pytest.mark.parametrize(
    ("text", "python"),
    [
        ("sum(x[x > 0.3])", lambda x: sum(v for v in x if v > 0.3)),
        ("max(x * 2)", lambda x: max((2 * v for v in x), default=NAN)),
        ("x[2]", lambda x: x[2] if len(x) > 2 else NAN),
        ("count(x[x < 0])", lambda x: sum(v < 0 for v in x)),
        ("mean(x)", lambda x: sum(x) / len(x) if len(x) else NAN),
    ],
)
def test_lists_of_any_length_are_pythons(
    text: str, python: Callable[[list[float]], float], rng: np.random.Generator
) -> None:
    lengths = rng.integers(0, 6, 300)
    column = ak.unflatten(rng.normal(size=lengths.sum()), lengths)
    found = Formula(text).values({"x": column}, 300)
    expected = [python(x) for x in column.to_list()]
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


WORDS = st.sampled_from(
    [
        *COLUMNS,
        *"+-*/()[]<>,!^0123",
        *("pt[", "sum(", "count(", "max(", "any(", "all(", "mean(", "where(", "pt > 30", "[0]"),
        *("[tight]", "&&", "||", " and ", "==", "**", "deep[", "[pt > 30]", "Alt$(", "hypot(", "%"),
    ]
)
NESTED = st.recursive(
    st.sampled_from([*COLUMNS, "30", "0"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "*", ">", "<=", "&&", "^", "=="]), inner).map(
            lambda t: f"({t[0]} {t[1]} {t[2]})"
        ),
        st.tuples(inner, inner).map(lambda t: f"({t[0]})[{t[1]}]"),
        st.tuples(st.sampled_from(list(REDUCTIONS)), inner).map(lambda t: f"{t[0]}({t[1]})"),
        st.tuples(inner, inner, inner).map(lambda t: f"where({t[0]}, {t[1]}, {t[2]})"),
        inner.map(lambda t: f"!({t})"),
    ),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.lists(WORDS, max_size=12).map("".join), NESTED))
def test_any_text_gives_numbers_or_an_input_error(text: str) -> None:
    for truth in (False, True):
        try:
            found = values(text, truth=truth)
        except InputError:
            continue
        assert len(found) == len(JETS)
        assert not truth or set(np.nan_to_num(found, nan=0.0)) <= {0.0, 1.0}


def test_no_element_in_any_event_is_missing_everywhere() -> None:
    empty = ak.Array([[], [], []])
    assert np.isnan(Formula("x[0]").values({"x": empty}, 3)).all()
    assert Formula("count(x)").values({"x": empty}, 3).tolist() == [0, 0, 0]
    assert np.isnan(Formula("max(x[x > 1])").values({"x": empty}, 3)).all()


def test_a_list_that_is_missing_stays_so() -> None:
    some = ak.Array([[1.0], None, [2.0, None]])
    assert Formula("count(x)").values({"x": some}, 3) == pytest.approx([1, NAN, 2], nan_ok=True)
    assert Formula("sum(x)").values({"x": some}, 3) == pytest.approx([1, NAN, NAN], nan_ok=True)
    assert Formula("x[1]").values({"x": some}, 3) == pytest.approx([NAN, NAN, NAN], nan_ok=True)
    assert Formula("x[0]").values({"x": some}, 3) == pytest.approx([1, NAN, 2], nan_ok=True)
