"""NPLM: what it computes, what it refuses, and that a wrong normalisation is noticed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import optimize

from verisimile.checks.twosample import logistic
from verisimile.checks.twosample.permutation import permutation_test
from verisimile.checks.twosample.statistics import nplm
from verisimile.checks.twosample.statistics.nplm import NPLM, AggregatedNPLM
from verisimile.checks.twosample.statistics.protocol import Tabulated
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.samples.pool import Labels
from verisimile.stats.aggregate import min_p, smallest_p


def _labels(n: int, m: int, count: int, rng: np.random.Generator) -> Labels:
    """Return the true labels, then `count` permutations of them."""
    first = np.arange(n + m) < n
    return np.stack([first, *(rng.permutation(first) for _ in range(count))])


def _pool(n: int, m: int, shift: float, rng: np.random.Generator) -> Array:
    return np.vstack([rng.normal(size=(n, 2)), rng.normal(size=(m, 2)) + shift])


def _by_hand(x: Array, first: Labels, width: float, spread: float) -> float:
    """Return t of unit weights with every event a centre, by a general minimiser."""
    kernel = np.exp(-0.5 * ((x[:, None] - x[None]) ** 2).sum(axis=2) / width**2)
    w = (~first).sum() / first.sum()

    def loss(c: Array) -> float:
        f = kernel @ c
        fit = np.logaddexp(0, -f)[~first].sum() + w * np.logaddexp(0, f)[first].sum()
        return float(fit + 0.5 * c @ f / spread**2)

    c = optimize.minimize(loss, np.zeros(len(x)), method="BFGS", options={"gtol": 1e-7}).x
    f = kernel @ c
    return float(-2 * (w * np.expm1(f[first]).sum() - f[~first].sum()))


def _case(rng: np.random.Generator) -> tuple[float, float]:
    x, first = _pool(18, 9, 0.5, rng), np.arange(27) < 18
    bound = NPLM(centres=27, spread=1.4).prepare(x, np.ones(27), rng)
    return float(bound.values(first[None])[0]), _by_hand(x, first, float(bound.width), 1.4)


def test_is_what_its_equations_say(rng: np.random.Generator) -> None:
    found, expected = _case(rng)
    assert found == pytest.approx(expected, rel=1e-3)


def test_a_reference_that_is_not_scaled_is_noticed(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The defective twin of the test above.
    def unscaled(labels: Labels, weights: Array) -> Array:
        return np.ones(len(labels))

    monkeypatch.setattr(nplm, "_rates", unscaled)
    found, expected = _case(rng)
    assert found != pytest.approx(expected, rel=0.1)


def test_width_is_the_quantile_of_distances(rng: np.random.Generator) -> None:
    x = _pool(60, 60, 0.0, rng)
    bound = AggregatedNPLM(quantiles=(0.5, 0.9)).prepare(x, np.ones(120), rng)
    apart = np.sqrt(((x[:, None] - x[None]) ** 2).sum(axis=2))[np.triu_indices(120, 1)]
    assert [part.width for part in bound.parts] == pytest.approx(np.quantile(apart, [0.5, 0.9]))


def test_is_not_negative(rng: np.random.Generator) -> None:
    for n, m in ((60, 60), (150, 50), (50, 150)):
        x = _pool(n, m, 0.0, rng)
        bound = AggregatedNPLM(quantiles=(0.2, 0.9)).prepare(x, np.ones(n + m), rng)
        assert (bound.table(_labels(n, m, 100, rng)) >= 0.0).all()


def test_blocks_do_not_change_values(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    bound = NPLM(quantile=0.3).prepare(_pool(40, 40, 0.0, rng), np.ones(80), rng)
    labels = _labels(40, 40, 9, rng)
    whole = bound.values(labels)
    monkeypatch.setattr(logistic, "_ENTRIES", 1)  # 64 events at a time
    assert bound.values(labels) == pytest.approx(whole, rel=1e-6)


def test_scale_of_weights_does_not_matter(rng: np.random.Generator) -> None:
    x, u, labels = _pool(50, 70, 0.3, rng), rng.gamma(3.0, 1.0, 120), _labels(50, 70, 5, rng)
    one, two = (NPLM().prepare(x, s * u, np.random.default_rng(1)) for s in (1.0, 1e6))
    assert one.values(labels) == pytest.approx(two.values(labels), rel=1e-9)


def test_events_of_weight_zero_are_not_there(rng: np.random.Generator) -> None:
    x, labels, weights = _pool(50, 70, 0.3, rng), _labels(50, 70, 5, rng), np.ones(120)
    weights[::3] = 0.0
    bound = NPLM(centres=20).prepare(x, weights, rng)
    before = bound.values(labels)
    labels[:, ::3] = ~labels[:, ::3]
    assert bound.values(labels) == pytest.approx(before, rel=1e-6)


def test_several_widths_are_combined_by_min_p(rng: np.random.Generator) -> None:
    x, labels = _pool(80, 80, 0.8, rng), _labels(80, 80, 99, rng)
    bound = AggregatedNPLM().prepare(x, np.ones(160), rng)
    assert isinstance(bound, Tabulated)
    table = bound.table(labels)
    assert table[:, 2] == pytest.approx(bound.parts[2].values(labels))
    assert bound.values(labels) == pytest.approx(-np.log(smallest_p(table[0], table[1:])))
    # Ranks are shared between the widths, so that it need not be the smallest, 0.01.
    assert min_p(table[0], table[1:]).p_value.value <= 0.03
    assert bound.columns[2] == f"width {bound.parts[2].width:.3g}"


def test_most_is_what_the_engine_thins_to(rng: np.random.Generator) -> None:
    x = _pool(80, 80, 0.8, rng)
    first, second = Events(x[:100]), Events(x[100:])
    statistics: list[NPLM | AggregatedNPLM] = [NPLM(most=90), AggregatedNPLM(most=100)]
    for statistic, used in zip(statistics, [(45, 45), (50, 50)], strict=True):
        (found,) = permutation_test(Run(Seeds(1)), first, second, [statistic], permutations=9)
        assert found.n_used == used


def test_where_events_coincide(rng: np.random.Generator) -> None:
    x = np.repeat(_pool(10, 0, 0.0, rng), 12, axis=0)
    assert NPLM(quantile=0.05).prepare(x, np.ones(120), rng).width > 0.0
    same = NPLM().prepare(np.ones((60, 2)), np.ones(60), rng)
    assert same.values(_labels(30, 30, 3, rng)) == pytest.approx(0.0, abs=1e-6)


IMPOSSIBLE: list[tuple[str, Callable[[], object]]] = [
    ("NPLM.quantile: got \\(\\)", lambda: AggregatedNPLM(quantiles=())),
    ("NPLM.quantile: got \\(1.2", lambda: NPLM(quantile=1.2)),
    ("NPLM.centres", lambda: NPLM(centres=0)),
    ("NPLM.spread", lambda: AggregatedNPLM(spread=0.0)),
    ("NPLM.most", lambda: NPLM(most=1)),
]


@pytest.mark.parametrize(("words", "make"), IMPOSSIBLE, ids=[words for words, _ in IMPOSSIBLE])
def test_refuses_impossible_settings(words: str, make: Callable[[], object]) -> None:
    with pytest.raises(InputError, match=words):
        make()


def test_refuses_signed_weights(rng: np.random.Generator) -> None:
    x = _pool(10, 10, 0.0, rng)
    with pytest.raises(InputError, match="energy distance"):
        NPLM().prepare(x, np.where(np.arange(20) == 3, -1.0, 1.0), rng).values(
            np.arange(20)[None] < 10
        )
