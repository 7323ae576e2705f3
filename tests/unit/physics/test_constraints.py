"""Violated constraints: how many, by how much, and undefined ones are not lost."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from statistical import assert_rate
from verisimile.checks.physics.constraints import Vanishes, violations, violations_of
from verisimile.core.errors import InputError
from verisimile.core.result import from_dict, to_dict
from verisimile.data.events import Events
from verisimile.data.expressions import Condition, Expression

# Energy and momentum of five massless particles, two of them off the shell.
EVENTS = Events(
    [[5.0, 3.0, 4.0], [1.0, 1.0, 0.0], [2.0, 0.0, 2.5], [13.0, 5.0, 12.0], [9.0, 0.0, 10.0]],
    names=("e", "px", "py"),
)
SHELL = Vanishes(Expression("e - hypot(px, py)"), 1e-9)


def test_what_must_vanish_is_counted_and_measured() -> None:
    found = violations_of(EVENTS, SHELL)
    assert (found.n, found.violated, found.undefined) == (5, 2, 0)
    assert found.fraction == found.weighted == pytest.approx(0.4)
    assert (found.median, found.largest) == pytest.approx((0.75, 1.0))
    exact = stats.binomtest(2, 5).proportion_ci(0.6826894921370859, method="exact")
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high))


def test_inequalities_have_sizes_and_logic_has_none() -> None:
    found = violations_of(EVENTS, Condition("2 <= e <= 6"))
    assert (found.violated, found.median, found.largest) == (3, 3.0, 7.0)
    logic = violations_of(EVENTS, Condition("e > 2 or px > 0"))
    assert logic.violated == 1
    assert np.isnan(logic.median)
    assert np.isnan(logic.largest)


@pytest.mark.parametrize(
    "constraint",
    [
        Vanishes(Expression("sqrt(e*e - px*px - py*py)"), 1e-9),
        Condition("sqrt(e - hypot(px, py)) >= 0"),
    ],
)
def test_undefined_is_violated_and_counted(constraint: Condition | Vanishes) -> None:
    found = violations_of(EVENTS, constraint)
    assert (found.violated, found.undefined) == (2, 2)
    assert np.isnan(found.largest)


def test_infinite_violations_are_infinite() -> None:
    found = violations_of(EVENTS, Vanishes(Expression("where(px > 0, 0, e/px)"), 0.1))
    assert (found.violated, found.undefined, found.largest) == (2, 0, np.inf)


def test_no_violation_has_no_size_but_a_limit() -> None:
    found = violations_of(EVENTS, Condition("e > 0"))
    assert (found.violated, found.low) == (0, 0.0)
    assert 0.0 < found.high < 0.35
    assert np.isnan(found.median)


def test_weights_count_in_the_weighted_fraction_only() -> None:
    weighted = Events(EVENTS.x, [1.0, 1.0, -1.0, 1.0, 2.0], names=EVENTS.names)
    found = violations_of(weighted, SHELL)
    assert (found.violated, found.fraction) == (2, 0.4)
    assert found.weighted == pytest.approx(0.25)


def test_both_samples_are_named_and_kept(rng: np.random.Generator) -> None:
    good = EVENTS.take([0, 1, 3])
    shell, hard = violations(good, EVENTS, {"shell": SHELL, "hard": Condition("e > 1.5")})
    assert (shell.reference.violated, shell.generated.violated) == (0, 2)
    assert (hard.reference.violated, hard.generated.violated) == (1, 1)
    assert shell.constraint == "abs(e - hypot(px, py)) <= 1e-09"
    assert "shell: violated by 0 of the reference, 0.4 of the generated" in repr(shell)
    assert repr(from_dict(to_dict(shell))) == repr(shell)


def test_interval_covers(rng: np.random.Generator) -> None:
    covered = 0
    for _ in range(500):
        found = violations_of(Events(rng.random((200, 1))), Condition("x0 > 0.03"))
        covered += found.low <= 0.03 <= found.high
    # Exact coverage of Clopper and Pearson at this rate, which is above the level.
    counts = np.arange(40)
    spans = [stats.binomtest(int(k), 200).proportion_ci(0.6826894921370859) for k in counts]
    inside = np.array([span.low <= 0.03 <= span.high for span in spans])
    assert_rate(covered, 500, float(stats.binom.pmf(counts, 200, 0.03) @ inside))


def test_impossible_tolerances_and_columns_are_refused() -> None:
    with pytest.raises(InputError, match="tolerance: got -1"):
        Vanishes(Expression("e"), -1.0)
    with pytest.raises(InputError, match="no column 'mass'"):
        violations_of(EVENTS, Condition("mass > 0"))


def test_rates_of_violations_are_weighted(rng: np.random.Generator) -> None:
    """Reweighted events violate a cut as often as their weights say, not as often as they are."""
    law, rejected, counted = {"low": Condition("x < 1")}, 0, 0
    for _ in range(60):
        reference = Events(rng.normal(size=(300, 1)), names=("x",))
        x = rng.normal(size=3000)
        x = x[rng.random(3000) < 0.1 + 0.9 / (1.0 + np.exp(-2.0 * x))][:300]
        weighted = Events(x[:, None], 1.0 / (0.1 + 0.9 / (1.0 + np.exp(-2.0 * x))), names=("x",))
        (found,) = violations(reference, weighted, law)
        rejected += found.p_value <= 0.05
        table = [[s.violated, s.n - s.violated] for s in (found.reference, found.generated)]
        counted += stats.fisher_exact(table).pvalue <= 0.05
    # More than ten of sixty at 5 % happen once in 2000; the twin counts events.
    assert rejected <= 10
    assert counted > 10


def test_few_violations_of_weighted_events_are_counted_by_their_worth() -> None:
    reference = Events(np.zeros((200, 1)), names=("x",))
    x = np.where(np.arange(200) < 40, 2.0, 0.0)[:, None]
    (found,) = violations(
        reference, Events(x, np.full(200, 2.0), names=("x",)), {"low": Condition("x < 1")}
    )
    assert found.method == "Fisher's exact test of effective numbers"
    expected = stats.fisher_exact([[0, 200], [40, 160]]).pvalue
    assert found.p_value == pytest.approx(expected)
