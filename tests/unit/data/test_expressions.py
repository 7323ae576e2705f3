"""Expressions compute what NumPy does, and refuse everything else by name and place."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from verisimile.core.errors import InputError
from verisimile.data.events import Events
from verisimile.data.expressions import Condition, Expression

EVENTS = Events(
    np.random.default_rng(5).normal(size=(50, 3)) * [1.0, 2.0, 3.0], names=("a", "b", "phi")
)
A, B, PHI = EVENTS.x.T


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", A),
        ("2", np.full(50, 2.0)),
        ("-a + 2*b - 3/4", -A + 2 * B - 0.75),
        ("a ** 2 % 1.5", A**2 % 1.5),
        ("2**-3**2 * a", 2.0**-9 * A),
        ("hypot(a, b)", np.hypot(A, B)),
        ("sqrt(abs(a)) + exp(b) + log(a*a) + log10(b*b)",
         np.sqrt(np.abs(A)) + np.exp(B) + np.log(A * A) + np.log10(B * B)),
        ("sin(a)+cos(a)+tan(a)+sinh(a)+cosh(a)+tanh(a)",
         np.sin(A) + np.cos(A) + np.tan(A) + np.sinh(A) + np.cosh(A) + np.tanh(A)),
        ("arctan2(a, b) + floor(b)", np.arctan2(A, B) + np.floor(B)),
        ("minimum(a, b) * maximum(a, 0)", np.minimum(A, B) * np.maximum(A, 0)),
        ("where(a > 0, sqrt(a), -1)", np.where(A > 0, np.sqrt(np.abs(A)), -1.0)),
        ("delta_phi(phi, -pi)", (PHI + np.pi + np.pi) % (2 * np.pi) - np.pi),
        ("(a > 0) + (b > 0)", (A > 0) * 1.0 + (B > 0)),
        ("a\n  +\tb", A + B),
    ],
)  # fmt: skip
def test_expression_is_numpys(text: str, expected: object) -> None:
    assert Expression(text).of(EVENTS) == pytest.approx(np.asarray(expected), rel=1e-12)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a > 0", A > 0),
        ("-1 < a <= b", (A > -1) & (A <= B)),
        ("a > 0 and b < 1 or not phi > 0", ((A > 0) & (B < 1)) | ~(PHI > 0)),
        ("(a > 0) & (b < 1) | ~(phi > 0)", ((A > 0) & (B < 1)) | ~(PHI > 0)),
        ("a == a", np.ones(50, bool)),
        ("a != a or False", np.zeros(50, bool)),
        ("a > 0 and sqrt(a) > 0.5", np.sqrt(np.maximum(A, 0)) > 0.5),
        ("where(a > 0, b > 0, b < 0)", np.where(A > 0, B > 0, B < 0)),
    ],
)
def test_condition_is_numpys(text: str, expected: object) -> None:
    found = Condition(text).of(EVENTS)
    assert found.dtype == np.bool_
    assert np.array_equal(found, np.asarray(expected))


def test_names_come_in_order_and_once() -> None:
    assert Expression("hypot(phi, a) + a*pi + b").names == ("phi", "a", "b")


@pytest.mark.parametrize(
    ("angle", "other"), [(0.0, np.pi), (np.pi, 0.0), (-1e-17, np.pi), (7.0, -20.0), (3.0, -3.0)]
)
def test_angles_wrap_into_a_half_open_turn(angle: float, other: float) -> None:
    events = Events([[angle, other]], names=("x", "y"))
    found = Expression("delta_phi(x, y)").of(events)[0]
    assert -np.pi <= found < np.pi
    assert np.cos(found) == pytest.approx(np.cos(angle - other))
    assert np.sin(found) == pytest.approx(np.sin(angle - other), abs=1e-12)


REFUSED = [
    "", "   ", "a +", "a b", "'text'", "f'{a}'", "__import__('os')",
    "(lambda: 1)()", "[a for a in b]", "{1: 2}", "a if b else phi", "a := 3", "a = 3", "a // b",
    "a @ b", "a << 2", "a in b", "a is b", "print(a)", "sqrt", "sqrt(a, b)",
    "sqrt(x=a)", "sqrt(*a)", "(a).b()", "a().b", "a[0:1]",
    "a[b, phi]", "sum(a, b)", "count(a > 0)", "sum(3)", "3[0]", "any(a + 1)", "a.sqrt(b)",
    "TMath::Beta(a)", "TMath::Foo()", "Entry$", "a ? b : phi", "!", "a[", "~(a + 1)",
    "hypot(a)", "1j * a", "None",
    "...", "a & b", "9**9**9", "10**400", "1e999", "1/0", "log(-1)", "(" * 500 + "a" + ")" * 500,
    "-" * 1500 + "a", "+".join("a" * 300), "a" * 2001, "a\x00b", "\ud800", "eval('1')", "await a",
    "yield", "a; b", "9" * 400,
]  # fmt: skip


@pytest.mark.parametrize("text", REFUSED)
def test_everything_else_is_refused_when_written(text: str) -> None:
    with pytest.raises(InputError, match="expression"):
        Expression(text)


def test_caret_stands_under_the_fault() -> None:
    with pytest.raises(InputError) as caught:
        Expression("abs(a) + foo(b)")
    message = str(caught.value)
    assert "'foo'" in message
    assert "position 10" in message
    line, caret = message.splitlines()[-2:]
    assert line.index("foo") == caret.index("^")


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("sqtr(a)", "Did you mean 'sqrt'?"),
        ("a > 0 & b < 1", "bind more tightly"),
        ("a > 0 ? b : phi", r"Write where\(condition, a, b\)"),
        ("count(a > 0)", r"sum\(…\) of a condition counts where it holds"),
    ],
)
def test_common_slips_get_their_remedy(text: str, remedy: str) -> None:
    with pytest.raises(InputError, match=remedy):
        Expression(text)


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("a.real", "no column 'a.real'"),
        ("a[0]", "got one number per event, name 'a' at position 1"),
        ("sum(a)", "expected a list of numbers in each event"),
        ("count(jets)", r"no column 'jets'(.|\n)*Read 'count\(jets\)' as a feature"),
        ("a and b", "the value .* of a where true or false belongs"),
        ("!a", "the value .* of a where true or false belongs"),
        ("where(a, b, b)", "the value .* of a where true or false belongs"),
    ],
)
def test_what_no_number_per_event_can_be_is_told(text: str, remedy: str) -> None:
    with pytest.raises(InputError, match=remedy):
        Expression(text).of(EVENTS)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("a^2 + b^2", "a**2 + b**2"),
        ("-a^2", "-(a**2)"),
        ("pow(a, 2) + fabs(b)", "a**2 + abs(b)"),
        ("TMath::Sqrt(TMath::Abs(a)) + std::abs(b)", "sqrt(abs(a)) + abs(b)"),
        ("TMath::Pi() * M_PI * TMath::TwoPi()", "pi * pi * (2*pi)"),
        ("phi * TMath::RadToDeg()", "phi * 180 / pi"),
        ("log(TMath::E())", "1"),
        ("TMath::ATan2(a, b) + atan2(b, a)", "arctan2(a, b) + arctan2(b, a)"),
        ("TMath::Max(a, b) - min(a, TMath::Power(b, 2))", "maximum(a, b) - minimum(a, b**2)"),
        ("a > 0 && b > 0 || !(phi > 0)", "(a > 0 and b > 0) or not phi > 0"),
        ("!(a > 0) && b != 0", "(not a > 0) and b != 0"),
        ("Alt$(sqrt(a), -1)", "where(a >= 0, sqrt(a), -1)"),
        ("asin(tanh(a)) + acos(tanh(a))", "pi / 2"),
        ("tan(atan(a)) + ceil(b) - floor(b)", "a + 1"),
    ],
)
def test_spellings_of_root_are_understood(text: str, same: str) -> None:
    found = Expression(text).of(EVENTS)
    assert found == pytest.approx(Expression(same).of(EVENTS), rel=1e-9, abs=1e-12)


def test_caret_stands_where_the_text_as_written_is_wrong() -> None:
    with pytest.raises(InputError, match=r"position 26") as caught:
        Expression("TMath::Abs(a) > 1 && b > foo(a)")
    line, caret = str(caught.value).splitlines()[-2:]
    assert line.index("foo") == caret.index("^")


def test_triggers_are_conditions_and_names_may_have_dots() -> None:
    events = Events([[1.0, 3.0], [0.0, 9.0], [1.0, 0.5]], names=("HLT_Mu", "Jet.PT"))
    assert Condition("HLT_Mu && Jet.PT > 1").of(events).tolist() == [True, False, False]
    assert Condition("!HLT_Mu").of(events).tolist() == [False, True, False]
    assert Condition("HLT_Mu").of(events).tolist() == [True, False, True]
    assert Expression("Jet.PT * 2").of(events).tolist() == [6.0, 18.0, 1.0]
    with pytest.raises(InputError, match=r"the value 3 of Jet.PT where true or false belongs"):
        Condition("HLT_Mu || Jet.PT").of(events)


def test_elements_and_reductions_that_were_read_are_columns() -> None:
    events = Events([[3.0, 50.0], [0.0, 20.0]], names=("Length$(Jet_pt)", "max(Jet_pt[0:1])"))
    assert Condition("count(Jet_pt) >= 2").of(events).tolist() == [True, False]
    assert Condition("count( Jet_pt )>=2").names == ("count( Jet_pt )",)
    assert Expression("count(Jet_pt) + hypot(Jet_pt[0], x)").names == (
        "count(Jet_pt)",
        "Jet_pt[0]",
        "x",
    )


def test_unknown_column_gets_a_suggestion() -> None:
    with pytest.raises(InputError, match=r"no column 'phii' at position 5(.|\n)*Did you mean 'phi"):
        Expression("a + phii").of(EVENTS)


def test_a_number_is_no_condition() -> None:
    with pytest.raises(InputError, match="got a number"):
        Condition("a + 1")


def test_values_that_are_not_finite_are_counted() -> None:
    negative = int((A < 0).sum())
    with pytest.raises(InputError, match=f"no finite value for {negative} of 50 events") as caught:
        Expression("sqrt(a)").of(EVENTS)
    assert "selection" in caught.value.remedy
    assert np.isnan(Expression("sqrt(a)").of(EVENTS, finite=False)).sum() == negative


def test_undefined_conditions_are_counted_and_never_silently_false() -> None:
    negative = int((A < 0).sum())
    with pytest.raises(InputError, match=f"for {negative} of 50"):
        Condition("sqrt(a) > 1").of(EVENTS)
    with pytest.raises(InputError, match=f"for {negative} of 50"):
        Condition("not sqrt(a) > 1").of(EVENTS)
    loose = Condition("sqrt(a) > 0").of(EVENTS, defined=False)
    assert np.array_equal(loose, A > 0)
    assert Condition("sqrt(a) > 0").undefined(EVENTS).sum() == negative


def test_excess_is_the_distance_to_an_inequality() -> None:
    excess = Condition("-1 <= a < b").excess(EVENTS)
    assert excess == pytest.approx(np.maximum(np.maximum(-1 - A, A - B), 0.0))
    assert Condition("a == b").excess(EVENTS) == pytest.approx(np.abs(A - B))
    assert Condition("a > 0 and b > 0").excess(EVENTS) is None


def test_expressions_are_values() -> None:
    assert Expression("a  + b") == Expression("a + b")
    assert hash(Expression("a+b")) == hash(Expression("a+b"))
    copy = pickle.loads(pickle.dumps(Expression("a + b")))
    assert copy.of(EVENTS) == pytest.approx(A + B)


def test_a_micro_sign_is_no_fault() -> None:
    events = Events([[1.0]], names=("pt_\N{MICRO SIGN}",))
    assert Expression("2*pt_\N{MICRO SIGN}").of(events) == pytest.approx([2.0])


WORDS = st.sampled_from(
    [
        *"+-*/%()<>,~&|=!^.[]:'\"\\ 0123456789ab",
        *("**", "and ", "or ", "not ", "where(", "sqrt(", "pi", "hypot(a,b)", "1e308", "lambda "),
        *(
            "__",
            "phi",
            " if ",
            "else",
            "a>0",
            "b",
            "a",
            "2",
            "==",
            "9**9",
            "sum(",
            "&&",
            "TMath::Abs(",
            "count(",
            "a.b",
        ),
    ]
)


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.text(max_size=40), st.lists(WORDS, max_size=15).map("".join)))
def test_any_text_is_values_or_an_input_error(text: str) -> None:
    for kind in (Expression, Condition):
        try:
            values = kind(text).of(EVENTS)
        except InputError:
            continue
        assert values.shape == (50,)
        assert np.isfinite(values).all()


NUMBERS = st.recursive(
    st.sampled_from(["a", "b", "phi", "1.5", "0", "pi"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "**", "%"]), inner).map(
            lambda t: f"({t[0]} {t[1]} {t[2]})"
        ),
        inner.map(lambda t: f"sqrt({t})"),
        st.tuples(inner, inner, inner).map(lambda t: f"where({t[0]} < {t[1]}, {t[2]}, 0)"),
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(NUMBERS)
def test_well_formed_expressions_agree_with_python(text: str) -> None:
    try:
        expression = Expression(text)
    except InputError:  # a constant part without finite value
        return
    with np.errstate(all="ignore"):
        scope = {"a": A, "b": B, "phi": PHI, "pi": np.float64(np.pi), "sqrt": np.sqrt}
        literal = text.replace("1.5", "F(1.5)").replace("0", "F(0)")
        value = eval(literal, {**scope, "where": np.where, "F": np.float64})
    found = expression.of(EVENTS, finite=False)
    good = np.isfinite(found)
    assert np.array_equal(found[good], np.broadcast_to(value, (50,))[good])
