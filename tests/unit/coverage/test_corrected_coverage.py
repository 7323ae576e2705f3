"""Coverage of a mixture with its discrepancy: joint refits, honest errors, nothing twice."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest

from biased_ensemble import corrected, fitted, members, truth
from verisimile.checks.coverage.basis import BasisTerm, LeaveOneOut, MemberBootstrap
from verisimile.checks.coverage.conditional import PseudoDraws, coverage, usual_datasets
from verisimile.checks.coverage.corrected import CorrectedLaw
from verisimile.checks.coverage.members import PooledDraws, pilot_columns
from verisimile.checks.coverage.observables import (
    BinContent,
    DensityAt,
    Expectation,
    Moment,
    Observable,
    Quantile,
    bind_all,
)
from verisimile.checks.coverage.result import Coverage
from verisimile.checks.coverage.retrained import MakeMixture, coverage_retrained
from verisimile.checks.coverage.truth import KnownTruth, MixtureTruth, closure_notes
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError, NumericsError
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.mixture.discrepancy.corrected import CorrectedMixture, correct_mixture
from verisimile.mixture.discrepancy.fit import Discrepancy
from verisimile.mixture.model import Mixture

EVENTS = 1000
SETTINGS = Discrepancy(reference=10_000, draws=60)
RUN = Run(Seeds(1))
PROBABILITIES = (0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98)


@dataclass(frozen=True)
class _Truth:
    n_features: int = 2

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        return truth(n, rng)


def _in_a_box(x: Array) -> Array:
    return np.asarray(((x[:, 0] < 1.5) & (x[:, 1] > 0.5)).astype(np.float64))


def _observables() -> tuple[dict[str, Observable], dict[str, float]]:
    """Return observables and their values in many events of the truth."""
    x = truth(400_000, np.random.default_rng(9))
    observables: dict[str, Observable] = {"box": Expectation("box", _in_a_box)}
    values = {"box": float(_in_a_box(x).mean())}
    for name, column in zip("ab", x.T, strict=True):
        observables[f"mean {name}"] = Moment(name)
        values[f"mean {name}"] = float(column.mean())
        edges = np.quantile(column, PROBABILITIES)
        for p, low, high in zip(PROBABILITIES, edges, edges[1:], strict=False):
            observables[f"bin {name} {p}"] = BinContent(name, float(low), float(high))
            values[f"bin {name} {p}"] = float(((column >= low) & (column < high)).mean())
        for p, edge in zip(PROBABILITIES, edges, strict=True):
            observables[f"quantile {name} {p}"] = Quantile(name, p)
            values[f"quantile {name} {p}"] = float(edge)
    return observables, values


@pytest.fixture(scope="module")
def mixture() -> CorrectedMixture:
    rng = np.random.default_rng(3)
    events = Events(truth(EVENTS, rng), names=("a", "b"))
    return corrected(fitted(members(4, 3000, rng), events), events, 1, SETTINGS)


def _assert_covers(found: Coverage) -> None:
    assert not any(item.failed for item in found.observables)
    assert 0.55 < float(np.mean([item.rate for item in found.observables])) < 0.85
    assert float((np.abs(found.pulls) < 1.96).mean()) > 0.88


@pytest.mark.calibration
def test_intervals_hold_what_the_members_miss(mixture: CorrectedMixture) -> None:
    observables, values = _observables()
    known = KnownTruth(_Truth(), values)
    found = coverage(RUN, mixture, known, observables=observables, datasets=12)
    assert found.mode == "conditional"
    assert found.n_events == EVENTS
    _assert_covers(found)
    # Estimates scatter as they claim, or less: what the scales say pulls them to the mixture.
    widths = [item.pull_width for item in found.observables]
    assert 0.6 < math.sqrt(float(np.mean(np.square(widths)))) < 1.15
    # Defective twin: the errors of the weights for given members.
    few = PooledDraws(most=100_000)
    plain = coverage(
        RUN, mixture.uncorrected, known, observables=observables, datasets=12, draws=few
    )
    with pytest.raises(AssertionError):
        _assert_covers(plain)
    assert float(np.mean([item.rate for item in plain.observables])) < 0.35


def test_estimates_are_those_of_the_mixture(mixture: CorrectedMixture) -> None:
    point = (1.5, 0.2)
    observables: dict[str, Observable] = {
        "mean": Moment("a"),
        "box": Expectation("box", _in_a_box),
        "median": Quantile("b", 0.5),
        "density": DensityAt(point),
        "bin": BinContent("b", -1.0, 1.0),
    }
    bound = bind_all(observables, pilot_columns(mixture, Seeds(2)))
    law = CorrectedLaw.of(mixture, *mixture.weighted_draws(RUN))
    found = dict(zip(bound, law.estimates([*bound.values()]), strict=True))
    for name, h in (("mean", lambda x: x[:, 0]), ("box", _in_a_box)):
        expected = mixture.expectation(h, RUN)
        assert found[name].value == pytest.approx(expected.value, rel=1e-9)
        assert found[name].error == pytest.approx(expected.error, rel=1e-9)
        assert 0.0 < found[name].sampling < 0.2 * expected.error**2
    edges = np.array([-1e3, -1.0, 1.0, 1e3])
    contents = mixture.histogram(edges, feature="b", run=RUN)
    assert found["bin"].value == pytest.approx(contents.values[1], rel=1e-9)
    assert found["bin"].error == pytest.approx(contents.errors[1], rel=1e-9)
    x = np.array([point])
    assert found["density"].value == pytest.approx(float(np.exp(mixture.log_prob(x)[0])))
    assert found["density"].error == pytest.approx(float(mixture.std(x)[0]))
    # Half of the law lies below the median; its error is that of the content over the density.
    middle = found["median"]
    below = mixture.histogram(np.array([-1e3, middle.value, 1e3]), feature="b", run=RUN)
    assert below.values[0] == pytest.approx(0.5, abs=2e-4)
    near = middle.value + np.array([-0.2, 0.2])
    inside = mixture.histogram(near, feature="b", run=RUN).values[0]
    density = float(inside) / 0.4
    assert middle.error == pytest.approx(below.errors[0] / density, rel=0.1)


def test_closure_draws_from_the_corrected_law(mixture: CorrectedMixture) -> None:
    law = MixtureTruth(mixture)
    x = law.sample(40_500, np.random.default_rng(4))
    assert x.shape == (40_500, 2)

    def wrong(x: Array) -> Array:
        """Return what the correction has moved most: its own log ratio."""
        fit = mixture.discrepancy
        return fit.log_ratio(fit.functions.at(x, mixture.log_densities(x)))

    noise = float(wrong(x).std()) / math.sqrt(len(x))
    expected = mixture.expectation(wrong, RUN).value
    plain = float(wrong(MixtureTruth(mixture.uncorrected).sample(40_500, RUN.seeds.numpy())).mean())
    # The draws of the fit are four times fewer.
    assert abs(float(wrong(x).mean()) - expected) < 4.0 * noise * math.sqrt(5.0)
    assert abs(plain - expected) > 20.0 * noise
    assert law.log_prob(x[:5]) == pytest.approx(mixture.log_prob(x[:5]))
    assert closure_notes(mixture, 10**9) == ()


def test_closure_covers(mixture: CorrectedMixture) -> None:
    observables: dict[str, Observable] = {
        "mean a": Moment("a"), "mean b": Moment("b"), "box": Expectation("box", _in_a_box),
        "median": Quantile("a", 0.5), "density": DensityAt((1.5, 0.2)),
    }  # fmt: skip
    found = coverage(RUN, mixture, observables=observables, datasets=6, events=100)
    pulls = found.pulls
    assert np.isfinite(pulls).all()
    # Means of six pulls whose width is at most one.
    assert (np.abs(pulls.mean(axis=0)) < 4.0 / math.sqrt(6)).all()


def test_more_data_sets_keep_the_first(mixture: CorrectedMixture) -> None:
    def study(datasets: int) -> Array:
        chosen: dict[str, Observable] = {"mean": Moment("a")}
        known = KnownTruth(_Truth(), {"mean": 2.0})
        return coverage(
            Run(Seeds(3)), mixture, known, observables=chosen, datasets=datasets, events=300
        ).pulls

    np.testing.assert_array_equal(study(3)[:2], study(2))


def test_what_would_count_twice_is_refused(mixture: CorrectedMixture) -> None:
    chosen: dict[str, Observable] = {"mean": Moment("a")}
    for basis in (LeaveOneOut(), MemberBootstrap(2)):
        with pytest.raises(InputError, match="would count twice"):
            coverage(RUN, mixture, observables=chosen, basis=basis)
    with pytest.raises(InputError, match="pseudo: got"):
        coverage(RUN, mixture, observables=chosen, pseudo=PseudoDraws(10))
    assert usual_datasets(mixture) < usual_datasets(mixture.uncorrected)


def _made(seeds: Seeds, events: Events) -> CorrectedMixture:
    return correct_mixture(Run(seeds), _made_without(seeds, events), events, SETTINGS)


def _made_without(seeds: Seeds, events: Events) -> Mixture:
    return fitted(members(3, 1000, seeds.at("members").numpy()), events)


def _made_with_events(seeds: Seeds, events: Events) -> tuple[Mixture, Events]:
    return _made(seeds, events), events


@pytest.mark.calibration
def test_retrained_mixtures_have_their_own_errors() -> None:
    chosen: dict[str, Observable] = {"mean": Moment("x0"), "box": Expectation("box", _in_a_box)}
    known = KnownTruth(_Truth(), {"mean": 2.0, "box": 0.19})

    def study(make: MakeMixture, basis: BasisTerm | None = None) -> Coverage:
        return coverage_retrained(
            Run(Seeds(7)), make, known, observables=chosen, datasets=2, events=800, basis=basis,
            draws=PooledDraws(most=50_000),
        )  # fmt: skip

    found, plain = study(_made), study(_made_without)
    for item, other in zip(found.observables, plain.observables, strict=True):
        assert item.failed == 0
        assert item.mean_error > 2.0 * other.mean_error
    # The draws of the fit: what its functions explain, of a box nearly all, has no noise.
    assert found.named("box").sampling_share < 0.1
    seeds = Run(Seeds(7)).seeds.at("coverage", "retrained")
    x = [Events(truth(800, seeds.at(k, "events").numpy())) for k in range(2)]
    made = [_made(seeds.at(k, "mixture"), each) for k, each in enumerate(x)]
    errors = [each.expectation(_in_a_box, Run(seeds.at(k, "mixture"))).error
              for k, each in enumerate(made)]  # fmt: skip
    assert found.named("box").mean_error == pytest.approx(np.mean(errors), rel=1e-9)
    with pytest.raises(NumericsError, match="would count twice"):
        study(_made_with_events, LeaveOneOut())
