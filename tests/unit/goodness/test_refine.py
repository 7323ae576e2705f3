"""Refinement: it stops at the first model that passes, on parts that are disjoint."""

from __future__ import annotations

import numpy as np
import pytest

from analytic import Blend, draw, family, log_densities
from verisimile.checks.goodness.alternatives.kernels import GaussianKernels
from verisimile.checks.goodness.refine import Look, Refinement, refine
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.core.result import from_dict, to_dict
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.mixture.fit import fit_weights
from verisimile.mixture.model import Mixture

TRUTH = np.array([0.2, 0.3, 0.5])
LOOK = Look(alternative=GaussianKernels(count=8, width=0.7, reference=200), toys=39)


@pytest.fixture(scope="module")
def members() -> list[Blend]:
    return family(TRUTH.size, spread=0.6)


@pytest.fixture(scope="module")
def events(members: list[Blend]) -> Events:
    # A true model at look 3 needs p > 0.37, which 63 % of samples give, and this one.
    return Events(draw(members, TRUTH, 3000, np.random.default_rng(1002)))


def _grow(members: list[Blend], look: int) -> Mixture:
    """Return a mixture of `look` members, with weights from data of its own."""
    data = draw(members, TRUTH, 2000, np.random.default_rng(100 + look))
    some = members[:look]
    return Mixture(some, fit_weights(log_densities(some, data)))


def test_it_ends_at_the_first_model_that_passes(members: list[Blend], events: Events) -> None:
    seen: list[int] = []

    def grow(look: int) -> Mixture:
        seen.append(look)
        return _grow(members, look)

    found = refine(Run(Seeds(2)), grow, events, looks=4, look=LOOK)
    assert found.passed
    assert seen == [1, 2, 3]
    assert [tested.n_members for tested in found.looks] == [1, 2, 3]
    assert [tested.n_events for tested in found.looks] == [750] * 3
    assert len({tested.events_digest for tested in found.looks}) == 3
    best = max(tested.p_value.value for tested in found.looks)
    assert found.p_value.value == pytest.approx(best**3)
    assert "passed at look 3 of 4" in repr(found)
    again = from_dict(to_dict(found))
    assert isinstance(again, Refinement)
    assert repr(again) == repr(found)


def test_wrong_models_to_the_end_do_not_pass(members: list[Blend], events: Events) -> None:
    found = refine(Run(Seeds(1)), lambda _: _grow(members, 1), events, looks=2, look=LOOK)
    assert not found.passed
    assert len(found.looks) == 2
    assert found.p_value.value == pytest.approx(1 / 40**2)


def test_looks_have_streams_of_their_own(members: list[Blend], events: Events) -> None:
    model = _grow(members, 3)
    found = refine(Run(Seeds(3)), lambda _: model, events, looks=2, level=0.999, look=LOOK)
    first, second = (set(look.leading.toys) for look in found.looks)
    assert not first & second


@pytest.mark.parametrize(("looks", "level"), [(0, 0.05), (4000, 0.05), (2, 0.0), (2, 1.0)])
def test_searches_without_meaning_are_refused(
    members: list[Blend], events: Events, looks: int, level: float
) -> None:
    with pytest.raises(InputError, match="refine"):
        refine(Run(Seeds(1)), lambda _: _grow(members, 1), events, looks=looks, level=level)


def test_an_event_in_two_looks_is_refused(members: list[Blend], events: Events) -> None:
    twice = Events(np.concatenate([events.x, events.x]))
    with pytest.raises(InputError, match="several looks"):
        refine(Run(Seeds(1)), lambda _: _grow(members, 1), twice, looks=3, look=LOOK)


def test_coincidences_of_a_lattice_are_not_refused(members: list[Blend], events: Events) -> None:
    rounded = Events(events.x.round(1))
    assert len(np.unique(rounded.x, axis=0)) < rounded.n
    found = refine(Run(Seeds(1)), lambda _: _grow(members, 1), rounded, looks=2, look=LOOK)
    assert found.looks
