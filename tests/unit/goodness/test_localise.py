"""Where the deviation is: excess and deficit, closed forms, contributions, refusals."""

from __future__ import annotations

import numpy as np
import pytest

from analytic import Blend, draw, family, log_densities
from verisimile.checks.goodness.alternatives.kernels import GaussianKernels
from verisimile.checks.goodness.alternatives.tilt import ExponentialTilt
from verisimile.checks.goodness.likelihood_ratio import goodness_of_fit, single
from verisimile.checks.goodness.localise import NullMoments, information, localise
from verisimile.checks.goodness.result import Goodness
from verisimile.checks.goodness.search import Alternative
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.core.result import from_dict, to_dict
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.mixture.fit import fit_weights
from verisimile.mixture.model import Mixture

TRUTH = np.array([0.5, 0.3, 0.2])
# So many that some kernel is near the bump.
KERNELS = GaussianKernels(count=80, width=0.4, reference=400)
TILT = ExponentialTilt(count=80, width=0.4)
BUMP = np.array([1.2, -0.9])


@pytest.fixture(scope="module")
def members() -> list[Blend]:
    return family(TRUTH.size)


@pytest.fixture(scope="module")
def mixture(members: list[Blend]) -> Mixture:
    data = draw(members, TRUTH, 2000, np.random.default_rng(51))
    return Mixture(members, fit_weights(log_densities(members, data)))


def _tested(
    mixture: Mixture, events: Events, hypothesis: str, alternative: Alternative = KERNELS
) -> Goodness:
    return goodness_of_fit(
        Run(Seeds(5)), mixture, events, alternative=alternative, hypothesis=hypothesis, toys=1
    )


@pytest.mark.parametrize("hypothesis", ["single", "ensemble", "ensemble+uncertainty"])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("alternative", [KERNELS, TILT], ids=["kernels", "tilt"])
def test_a_bump_and_a_hole_are_named_with_their_sign(
    mixture: Mixture, members: list[Blend], alternative: Alternative, hypothesis: str, sign: int
) -> None:
    rng = np.random.default_rng(52)
    model = single(mixture) if hypothesis == "single" else mixture
    weights = np.array([1.0, 0.0, 0.0]) if hypothesis == "single" else TRUTH
    x = draw(members, weights, 2000, rng)
    if sign > 0:
        x = np.concatenate([x, rng.normal(BUMP, 0.15, (120, 2))])
    else:
        x = x[np.linalg.norm(x - BUMP, axis=1) > 0.45]
    events = Events(x)
    tested = _tested(model, events, hypothesis, alternative)
    found = localise(Run(Seeds(5)), tested, events, draws=10_000)
    k = int(found.ordered[0])
    assert sign * found.z[k] > 3.0
    assert np.linalg.norm(found.centres[k] - BUMP) < 2 * 0.4  # two widths
    assert sign * (found.observed[k] - found.expected[k]) > 0.0
    if sign > 0:
        top = events.x[found.leading_events[:30]]
        assert (np.linalg.norm(top - BUMP, axis=1) < 0.9).mean() > 0.8


def test_contributions_add_up_to_the_statistic(mixture: Mixture, members: list[Blend]) -> None:
    events = Events(draw(members, TRUTH, 2000, np.random.default_rng(53)))
    tested = _tested(mixture, events, "ensemble")
    found = localise(Run(Seeds(5)), tested, events, draws=2000)
    # Only the barrier is missing, of 400 + 800 events of weight 0.01.
    assert found.contributions.sum() == pytest.approx(
        tested.leading.placement_statistics[0], abs=2.0
    )
    assert found.observed.sum() == pytest.approx(found.expected.sum(), rel=0.1)


def test_the_moments_of_a_gaussian_are_its_closed_form() -> None:
    # One standard normal member in two dimensions, and a kernel of width h at c:
    # E[h_k^p] = q / (1 + q) exp(-|c|^2 / (2 (1 + q))) with q = h^2 / p.
    member = Blend(np.zeros((1, 2)), np.ones((1, 2)), np.ones(1))
    rng = np.random.default_rng(54)
    x = rng.standard_normal((500, 2))
    model = single(Mixture([member], fit_weights(log_densities([member], x))))
    tested = goodness_of_fit(
        Run(Seeds(5)),
        model,
        Events(x),
        alternative=GaussianKernels(count=6, width=0.7, reference=100_000),
        hypothesis="single",
        toys=1,
    )
    assert tested.fitted is not None
    kernels = tested.fitted.setup.kernels
    known = information(Run(Seeds(6)), tested.fitted, kernels, 60_000)
    square = (kernels.centres**2).sum(axis=1)

    def moment(power: float) -> Array:
        q = kernels.widths**2 / power
        return np.asarray(q / (1.0 + q) * np.exp(-0.5 * square / (1.0 + q)))

    # The normal scores of 100 000 events are standard normal to a few per cent.
    assert known.expected == pytest.approx(moment(1.0), rel=0.1)
    assert known.kernels == pytest.approx(moment(2.0) - moment(1.0) ** 2, rel=0.15)
    assert (known.error < 0.05 * known.expected).all()
    assert (known.error > 1e-3 * known.expected).all()


def test_profiling_absorbs_what_the_weights_can_do() -> None:
    # One kernel that is one variation of the weights, K = r = 1 and a second that is none.
    known = NullMoments(
        kernels=np.array([4.0, 4.0]),
        cross=np.array([[2.0], [0.0]]),
        weights=np.array([[1.0]]),
        error=np.zeros(2),
        expected=np.ones(2),
    )
    n = 100
    assert known.variance(n, profiled="weights") == pytest.approx([400 - 200**2 / 101, 400])
    assert known.variance(n, profiled="nothing") == pytest.approx([400 + 200**2, 400])
    moved = known.efficient(np.array([202.0, 5.0]), np.array([101.0]), n)
    assert moved == pytest.approx([2.0, 5.0])


def test_a_result_survives_its_file_and_says_where(mixture: Mixture, members: list[Blend]) -> None:
    events = Events(draw(members, TRUTH, 300, np.random.default_rng(55)))
    found = localise(Run(Seeds(5)), _tested(mixture, events, "ensemble"), events, draws=1600)
    again = from_dict(to_dict(found))
    assert repr(again) == repr(found)
    assert "strongest of 80 kernels" in repr(found)


def test_too_few_draws_are_refused(mixture: Mixture, members: list[Blend]) -> None:
    events = Events(draw(members, TRUTH, 500, np.random.default_rng(57)))
    tested = _tested(mixture, events, "ensemble")
    with pytest.raises(InputError, match="at least 20 for each of 80 kernels"):
        localise(Run(Seeds(5)), tested, events, draws=0)


def test_other_events_and_loaded_results_are_refused(
    mixture: Mixture, members: list[Blend]
) -> None:
    events = Events(draw(members, TRUTH, 300, np.random.default_rng(56)))
    tested = _tested(mixture, events, "ensemble")
    with pytest.raises(InputError, match="another sample"):
        localise(Run(Seeds(5)), tested, Events(events.x[::-1]))
    loaded = from_dict(to_dict(tested))
    assert isinstance(loaded, Goodness)
    with pytest.raises(InputError, match="read back from a file"):
        localise(Run(Seeds(5)), loaded, events)
