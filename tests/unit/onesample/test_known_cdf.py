"""One-sample tests: SciPy, size, power, the twin whose law was fitted, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from statistical import assert_rate, assert_uniform
from verisimile.checks.known_truth.cdf import OneSample, one_sample_tests
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.core.result import from_dict, to_dict
from verisimile.data.events import Events

EXPERIMENTS = 600


def _p_values(rng: np.random.Generator, scale: float, *, fitted: bool) -> Array:
    out = []
    for _ in range(EXPERIMENTS):
        x = scale * rng.normal(size=200)
        law = stats.norm(x.mean(), x.std()) if fitted else stats.norm()
        found = one_sample_tests(Events(x[:, None], names=("x",)), {"x": law.cdf})
        out.append([one.p_value.value for one in found])
    return np.array(out)


def test_is_scipys(rng: np.random.Generator) -> None:
    x = rng.normal(size=(80, 2)) * [1.0, 1.3]
    events = Events(x, names=("a", "b"))
    found = one_sample_tests(events, {"b": stats.norm.cdf, "a": stats.norm.cdf})
    assert [one.feature for one in found] == ["b", "b", "a", "a"]
    for one, column in zip(found[::2], x.T[::-1], strict=True):
        theirs = stats.kstest(column, "norm", method="exact")
        assert one.observed == pytest.approx(theirs.statistic, rel=1e-12)
        assert one.p_value.value == pytest.approx(theirs.pvalue, rel=1e-10)
        assert one.at == theirs.statistic_location
        assert np.sign(one.excess) == theirs.statistic_sign
    theirs = stats.cramervonmises(x[:, 1], "norm")
    assert found[1].p_value.value == pytest.approx(theirs.pvalue, rel=1e-12)


def test_smallest_samples_are_exact() -> None:
    # D of two events is at least 1/4, and P(D >= d) = 2 (1 - d)^2 from 1/2 on.
    for values, observed, p in (((0.25, 0.75), 0.25, 1.0), ((0.5, 0.6), 0.5, 0.5)):
        events = Events(np.array(values)[:, None], names=("u",))
        (found,) = one_sample_tests(events, {"u": stats.uniform.cdf}, statistics=["ks"])
        assert found.observed == pytest.approx(observed)
        assert found.p_value.value == pytest.approx(p)


def test_size_and_a_law_fitted_to_the_sample(rng: np.random.Generator) -> None:
    for column in _p_values(rng, 1.0, fitted=False).T:
        assert_uniform(column)
        assert_rate(int((column <= 0.05).sum()), EXPERIMENTS, 0.05)
    for column in _p_values(rng, 1.0, fitted=True).T:
        with pytest.raises(AssertionError, match="not uniform"):
            assert_uniform(column)


@pytest.mark.parametrize("scale", [0.8, 1.25])
def test_widths_are_seen(scale: float, rng: np.random.Generator) -> None:
    # 200 events; a likelihood-ratio test of the scale would have a power of 0.99.
    power = (_p_values(rng, scale, fitted=False) <= 0.05).mean(axis=0)
    assert (power > 0.25).all()


def test_copies_are_a_warning_and_json_keeps_it() -> None:
    events = Events([[0.1], [0.1], [0.4]], names=("u",))
    (found,) = one_sample_tests(events, {"u": stats.uniform.cdf}, statistics=["ks"])
    assert "1 events repeat" in found.warnings[0]
    again = from_dict(to_dict(found))
    assert isinstance(again, OneSample)
    assert again == found


def test_refusals() -> None:
    events = Events([[0.1], [0.2], [0.4]], names=("u",))
    uniform = stats.uniform.cdf
    with pytest.raises(InputError, match="no column 'v'"):
        one_sample_tests(events, {"v": uniform})
    with pytest.raises(InputError, match="statistics"):
        one_sample_tests(events, {"u": uniform}, statistics=["kuiper"])  # type: ignore[list-item]
    with pytest.raises(InputError, match="one feature or more"):
        one_sample_tests(events, {})
    with pytest.raises(InputError, match="3 of 3 values outside"):
        one_sample_tests(events, {"u": lambda x: x + np.nan})
    with pytest.raises(InputError, match="fall where x rises"):
        one_sample_tests(events, {"u": lambda x: 1 - x})
    with pytest.raises(InputError, match="shape"):
        one_sample_tests(events, {"u": lambda x: x[:1]})
    with pytest.raises(InputError, match="two-sample test with weights"):
        one_sample_tests(Events(events.x, [1, 2, 1], names=("u",)), {"u": uniform})
    with pytest.raises(InputError, match="one event"):
        one_sample_tests(events.take([0]), {"u": uniform})


def test_a_law_with_atoms_is_refused(rng: np.random.Generator) -> None:
    # Its true nulls were rejected without exception.
    counts = Events(rng.poisson(4.0, (300, 1)), names=("x",))
    with pytest.raises(InputError, match="jumps by"):
        one_sample_tests(counts, {"x": stats.poisson(4.0).cdf})


def test_steps_far_below_one_event_are_no_atoms(rng: np.random.Generator) -> None:
    truth = np.sort(rng.normal(size=100_000))

    def steps(x: Array) -> Array:
        return np.asarray(np.searchsorted(truth, x, side="right") / truth.size)

    (found,) = one_sample_tests(
        Events(rng.normal(size=(300, 1)), names=("x",)), {"x": steps}, statistics=["ks"]
    )
    assert found.p_value.value > 0.001
