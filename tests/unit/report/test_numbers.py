"""Numbers are shown short and honest."""

from __future__ import annotations

import math

import pytest

from verisimile.report.numbers import (
    count,
    duration,
    fixed,
    p_interval,
    p_value,
    percent,
    plain_number,
    value_and_error,
    z_interval,
)
from verisimile.stats.pvalues import PValue, add_one


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (math.nan, "NaN"),
        (math.inf, "∞"),
        (-math.inf, "\N{MINUS SIGN}∞"),
        (-0.5, "\N{MINUS SIGN}0.5"),
        (123456.0, "1.235e+05"),
        (0.0, "0"),
    ],
)
def test_plain_number(value: float, text: str) -> None:
    assert plain_number(value) == text


def test_count_groups_digits() -> None:
    assert count(1234567).split("\N{NARROW NO-BREAK SPACE}") == ["1", "234", "567"]
    assert count(12) == "12"


def test_percent_never_shows_a_small_share_as_zero() -> None:
    assert percent(0.432).startswith("43")
    assert percent(0.00512).startswith("0.51")
    assert percent(0.0001).startswith("0.01")


def test_duration() -> None:
    assert duration(59.6) == "60 s"
    assert duration(3599.0) == "59 min 59 s"
    assert duration(math.nan) == "NaN"


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0.51234, 0.0071, "0.5123 ± 0.0071"),
        (12.3456, 1.2, "12.3 ± 1.2"),
        (1234.4, 56.0, "1234 ± 56"),
        (-0.02, 0.3, "\N{MINUS SIGN}0.02 ± 0.30"),
        (1.0, 0.0, "1 ± 0"),
        (math.nan, math.nan, "NaN ± NaN"),
        (1.5e-9, 2.0e-10, "1.5e\N{MINUS SIGN}09 ± 2e\N{MINUS SIGN}10"),
    ],
)
def test_value_and_error(value: float, error: float, text: str) -> None:
    assert value_and_error(value, error) == text


@pytest.mark.parametrize("exceeding", range(4))
@pytest.mark.parametrize("toys", [1, 7, 1000])
def test_a_p_value_of_toys_never_reads_zero(exceeding: int, toys: int) -> None:
    p = add_one(min(exceeding, toys), toys, null="predictive")
    assert float(p_value(p)) > 0
    assert not p_interval(p).startswith("0 ")


def test_a_zero_from_elsewhere_becomes_a_limit() -> None:
    p = PValue(0.0, 0.0, 1e-12, "asymptotic", 0, 0)
    assert p_value(p) == "< 1e\N{MINUS SIGN}12"
    assert p_interval(p).startswith("below")


def test_one_sided_intervals() -> None:
    none = add_one(0, 200, null="predictive").significance
    assert z_interval(none).startswith("above 2.")
    every = add_one(200, 200, null="predictive").significance
    assert z_interval(every).startswith("below \N{MINUS SIGN}2.")
    some = add_one(50, 200, null="predictive").significance
    assert " to " in z_interval(some)
    assert fixed(math.inf) == "∞"
