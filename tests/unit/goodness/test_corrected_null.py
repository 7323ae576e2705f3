"""A corrected mixture as the null of toys: its events and what is kept of them."""

from __future__ import annotations

import numpy as np
import pytest

from biased_ensemble import corrected, fitted, members, truth
from verisimile.checks.goodness.null import CorrectedNull
from verisimile.core.arrays import Array
from verisimile.data.events import Events
from verisimile.mixture.discrepancy.corrected import CorrectedMixture
from verisimile.mixture.discrepancy.fit import Discrepancy
from verisimile.mixture.sampling import sample_signed

N = 20_000


@pytest.fixture(scope="module")
def mixture() -> CorrectedMixture:
    rng = np.random.default_rng(31)
    parts = members(4, 2000, rng)
    events = Events(truth(4000, rng))
    settings = Discrepancy(reference=20_000, draws=60)
    return corrected(fitted(parts, events), events, 32, settings)


def pulls(mixture: CorrectedMixture, x: Array, logf: Array, null: CorrectedNull) -> Array:
    """Return how far means along the null's directions are from the density's own."""
    rows = mixture.discrepancy.functions.at(x, logf)
    along = (rows - mixture.discrepancy.means) @ null.directions
    return np.asarray(along.mean(axis=0) / along.std(axis=0) * np.sqrt(len(x)))


def test_log_densities_come_with_the_events(mixture: CorrectedMixture) -> None:
    null = CorrectedNull.of(mixture, 3000)
    rng = np.random.default_rng(33)
    drawn = null.sample(rng.standard_normal(null.directions.shape[1:]), 5000, rng)
    np.testing.assert_allclose(drawn.log_densities, null.log_densities(drawn.x), rtol=1e-9)
    np.testing.assert_allclose(drawn.log_densities[:, 0], null.log_prob(drawn.x), rtol=1e-9)
    assert drawn.audit.evaluated <= drawn.audit.proposed


def test_toys_of_the_fitted_law_have_its_means(mixture: CorrectedMixture) -> None:
    null = CorrectedNull.of(mixture, N)
    rng = np.random.default_rng(34)
    x = null.sample(np.zeros(null.directions.shape[1]), N, rng).x
    logf = mixture.log_densities(x)
    # The means are those of 20 000 draws too.
    assert np.abs(pulls(mixture, x, logf, null)).max() < 5.0 * np.sqrt(2.0)
    # Defective twin: events of the mixture without its correction.
    plain = sample_signed(mixture.members, mixture.weights, N, rng)
    assert np.abs(pulls(mixture, plain.x, plain.log_densities, null)).max() > 5.0 * np.sqrt(2.0)


def test_toys_along_a_direction_move_there(mixture: CorrectedMixture) -> None:
    null = CorrectedNull.of(mixture, N)
    far = np.zeros(null.directions.shape[1])
    far[0] = 3.0
    drawn = [null.sample(each, N, np.random.default_rng(35)).x for each in (far, -far)]
    up, down = (pulls(mixture, x, mixture.log_densities(x), null)[0] for x in drawn)
    assert up - down > 10.0
