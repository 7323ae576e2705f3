"""What all members miss alike: density, errors, observables and samples of the corrected law."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats

from biased_ensemble import fitted, members, truth
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.core.result import from_dict, to_dict
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.data.feature import Feature
from verisimile.mixture.discrepancy.basis import Axis, DiscrepancyBasis
from verisimile.mixture.discrepancy.corrected import CorrectedMixture, correct_mixture
from verisimile.mixture.discrepancy.fit import Discrepancy
from verisimile.mixture.discrepancy.shrinkage import ExcessMoments, shrunken

SETTINGS = Discrepancy(reference=20_000, draws=60)


@pytest.fixture(scope="module")
def corrected() -> CorrectedMixture:
    rng = np.random.default_rng(3)
    events = Events(truth(2000, rng), names=("a", "b"))
    mixture = fitted(members(4, 3000, rng), events)
    return correct_mixture(Run(Seeds(1)), mixture, events, SETTINGS)


def test_the_density_is_normalised(corrected: CorrectedMixture) -> None:
    a, b = np.linspace(-4.0, 20.0, 400), np.linspace(-14.0, 60.0, 900)
    x = np.stack(np.meshgrid(a, b, indexing="ij"), axis=-1).reshape(-1, 2)
    density = np.exp(corrected.log_prob(x)).reshape(len(a), len(b))
    whole = integrate.trapezoid(integrate.trapezoid(density, b, axis=1), a)
    # The norm is a mean over 20 000 events.
    assert whole == pytest.approx(1.0, abs=0.02)


@pytest.mark.calibration
def test_events_are_drawn_from_the_density(corrected: CorrectedMixture) -> None:
    drawn = corrected.draw(20_000, Run(Seeds(5)))
    x, audit = drawn.x, drawn.audit
    assert audit.overweight <= 1e-3
    # Proposals of the signed mixture are kept with 1 / W+.
    expected = 1.0 / (audit.bound * audit.positive_weight)
    assert 0.95 * expected < audit.accepted / audit.proposed < 1.05 * expected
    a, b = np.linspace(-4.0, 20.0, 500), np.linspace(-14.0, 60.0, 700)
    grid = np.stack(np.meshgrid(a, b, indexing="ij"), axis=-1).reshape(-1, 2)
    density = np.exp(corrected.log_prob(grid)).reshape(len(a), len(b))
    marginal = np.cumsum(density.sum(axis=1))

    def cdf(values: Array) -> Array:
        return np.asarray(np.interp(values, a + 0.5 * (a[1] - a[0]), marginal / marginal[-1]))

    assert stats.kstest(x[:, 0], cdf).pvalue > 1e-3
    # The uncorrected mixture is another law.
    plain = corrected.uncorrected.draw(20_000, Run(Seeds(5))).x
    assert stats.kstest(plain[:, 0], cdf).pvalue < 1e-3


def test_observables_are_those_of_the_density(corrected: CorrectedMixture) -> None:
    run = Run(Seeds(6))
    drawn = corrected.draw(40_000, Run(Seeds(7))).x
    found = corrected.expectation(lambda x: x[:, 0], run)
    noise = drawn[:, 0].std() / np.sqrt(len(drawn))
    assert abs(found.value - drawn[:, 0].mean()) < 5.0 * noise
    content = corrected.histogram(np.array([-10.0, 1.0, 2.0, 50.0]), feature="a", run=run)
    assert content.values.sum() == pytest.approx(1.0, abs=1e-9)
    assert content.covariance @ np.ones(3) == pytest.approx(np.zeros(3), abs=1e-9)
    # Far more than the weights alone can say, and about what the events themselves do.
    plain = corrected.uncorrected.expectation(lambda x: x[:, 0], run)
    counted = truth(100_000, np.random.default_rng(1))[:, 0].std() / np.sqrt(2000)
    assert 2.0 * plain.error < found.error < 1.5 * counted


def test_the_pointwise_error_is_that_of_the_logarithm(corrected: CorrectedMixture) -> None:
    x = truth(50, np.random.default_rng(8))
    fit = corrected.discrepancy
    rows = fit.functions.at(x, corrected.log_densities(x))
    varied = rows - fit.means
    expected = np.sqrt(np.einsum("np,pq,nq->n", varied, fit.covariance, varied))
    found = corrected.std(x) / np.exp(corrected.log_prob(x))
    assert found == pytest.approx(expected, rel=1e-6)


def test_functions_in_blocks_are_those_of_single_events(corrected: CorrectedMixture) -> None:
    functions = corrected.discrepancy.functions
    x = truth(1203, np.random.default_rng(11))
    logf = corrected.log_densities(x)
    rows = functions.at(x, logf)
    for number in (0, 499, 500, 1202):
        one = slice(number, number + 1)
        assert functions.at(x[one], logf[one])[0] == pytest.approx(rows[number], abs=1e-14)
    directions = np.random.default_rng(12).normal(size=(rows.shape[1], 3))
    assert functions.along(directions, x, logf) == pytest.approx(rows @ directions, abs=1e-10)
    weights = np.linspace(0.5, 2.0, len(x))
    assert functions.total(x, logf, weights) == pytest.approx(weights @ rows, abs=1e-9)
    assert functions.at(x[:0], logf[:0]).shape == (0, rows.shape[1])


def test_marginals_of_several_features_are_those_of_each(corrected: CorrectedMixture) -> None:
    run = Run(Seeds(6))
    edges = {"a": np.array([-10.0, 1.0, 2.0, 50.0]), "b": np.array([-5.0, 0.0, 5.0])}
    for mixture in (corrected, corrected.uncorrected):
        found = mixture.histograms(edges, run)
        for feature, bins in edges.items():
            alone = mixture.histogram(bins, feature=feature, run=run)
            assert found[feature].values == pytest.approx(alone.values, abs=1e-12)
            assert found[feature].covariance == pytest.approx(alone.covariance, abs=1e-12)


def test_the_fit_is_repeatable_and_survives_a_file(corrected: CorrectedMixture) -> None:
    rng = np.random.default_rng(3)
    events = Events(truth(2000, rng), names=("a", "b"))
    again = correct_mixture(Run(Seeds(1)), corrected.uncorrected, events, SETTINGS)
    assert again.discrepancy.digest == corrected.discrepancy.digest
    read = from_dict(to_dict(corrected.discrepancy))
    assert read.digest == corrected.discrepancy.digest  # type: ignore[attr-defined]


def test_the_exact_fit_is_certified(corrected: CorrectedMixture) -> None:
    record = corrected.discrepancy.record
    assert record.gap < 1e-3
    assert 1.0 < record.effective < record.n_functions
    assert record.smallest_log_ratio < 0.0 < record.largest_log_ratio


def test_other_events_than_those_of_the_weights_are_refused(corrected: CorrectedMixture) -> None:
    other = Events(truth(2000, np.random.default_rng(9)), names=("a", "b"))
    with pytest.raises(InputError, match="the weights were not fitted to"):
        correct_mixture(Run(Seeds(1)), corrected.uncorrected, other, SETTINGS)


def test_a_correction_belongs_to_its_mixture(corrected: CorrectedMixture) -> None:
    rng = np.random.default_rng(10)
    events = Events(truth(500, rng), names=("a", "b"))
    other = fitted(members(4, 1000, rng), events)
    with pytest.raises(InputError, match="the correction of another mixture"):
        CorrectedMixture(other, corrected.discrepancy)


@pytest.mark.parametrize("settings", [{"scale": 0.0}, {"draws": 10}, {"reference": 10}])
def test_settings_are_checked(settings: dict[str, float]) -> None:
    with pytest.raises(InputError, match="Discrepancy: got"):
        Discrepancy(**settings)  # type: ignore[arg-type]


@pytest.mark.calibration
def test_features_are_seen_by_their_kind() -> None:
    rng = np.random.default_rng(4)
    spiky = np.where(rng.random(5000) < 0.3, 0.0, rng.exponential(1.0, 5000))
    x = np.column_stack([rng.uniform(-np.pi, np.pi, 5000), rng.poisson(1.0, 5000), spiky])
    features = [Feature("phi", kind="periodic"), Feature("n", kind="discrete"), Feature("ht")]
    level = rng.normal(size=5000)
    basis = DiscrepancyBasis.of(features, x, level)

    def at(values: Array) -> Array:
        out = np.empty((basis.groups.size, len(values)))
        basis.fill(values, level[: len(values)], out)
        return out

    assert [axis.scale for axis in basis.axes] == ["circle", "values", "scores"]
    assert basis.axes[2].spikes.tolist() == [0.0]
    turned = x.copy()
    turned[:, 0] = np.mod(x[:, 0] + 2.0 * np.pi, 4.0 * np.pi) - 2.0 * np.pi
    assert at(turned) == pytest.approx(at(x))
    assert np.isfinite(at(x[:3])).all()
    assert len(basis.names) == basis.groups.max() + 1
    # No bump sees a spike.
    only = Axis.of(features[2], spiky)
    bumps = [part for name, part in only.groups(only.places(np.zeros(2))) if "sigma" in name]
    assert all((part == 0.0).all() for part in bumps)


def test_scales_are_drawn_from_their_posterior() -> None:
    """One group, one coefficient: mean and variance by quadrature over tau."""
    n, m, scale = 100.0, 0.15, 0.1
    found = shrunken(
        ExcessMoments(np.array([m]), np.eye(1), n),
        np.zeros(1, np.int64),
        np.array([scale]),
        draws=20_000,
        rng=np.random.default_rng(2),
    )
    tau = np.linspace(1e-5, 20.0, 400_000)
    total = tau**2 + 1.0 / n
    weight = np.exp(-0.5 * m**2 / total) / np.sqrt(total) / (1.0 + (tau / scale) ** 2)
    shrink = tau**2 / total
    mean = float((weight * shrink).sum() / weight.sum()) * m
    second = float((weight * (shrink / n + (shrink * m) ** 2)).sum() / weight.sum())
    assert found.mean[0] == pytest.approx(mean, rel=0.02)
    assert found.covariance[0, 0] == pytest.approx(second - mean**2, rel=0.04)


@pytest.mark.parametrize("wrong", [True, "yes", 0.05, None])
def test_what_are_no_settings_is_refused(corrected: CorrectedMixture, wrong: object) -> None:
    events = Events(truth(100, np.random.default_rng(1)), names=("a", "b"))
    with pytest.raises(InputError, match=r"discrepancy: got .* expected vs\.Discrepancy"):
        correct_mixture(Run(Seeds(1)), corrected.uncorrected, events, wrong)  # type: ignore[arg-type]
