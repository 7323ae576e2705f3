"""All measures of one generator together: each sees what it may see, and says so."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from analytic import draw, family, log_densities
from camel_fits import EXACT_GAIN, camel_draws, fit_camels
from statistical import assert_within
from verisimile.checks.amplification.study import LEVELS, AmplificationStudy, amplify
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.core.result import from_dict, to_dict
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.mixture.fit import fit_weights
from verisimile.mixture.model import Mixture

N_TRAIN, N_GENERATED, N_HOLDOUT = 1000, 20_000, 5000
REGIONS = (10, 20)
RUN = Run(Seeds(20261122))


def fitted_camel(x: Array, n: int, rng: np.random.Generator) -> Events:
    """Return n draws of the five-parameter fit to the events ``(n_train,)``."""
    fit = fit_camels(x[None])
    left = (rng.random(n) >= fit.share[0]).astype(np.int64)
    return Events(rng.normal(fit.centre[0, left], fit.width[0, left])[:, None])


def repeated(train: Events, seed: int) -> Events:
    """Return draws with replacement from the training events."""
    return train.take(np.random.default_rng(seed).integers(train.n, size=N_GENERATED))


@pytest.fixture(scope="module")
def camel() -> tuple[list[Events], list[Events], Events]:
    """Return three training samples, a generator fitted to each, and a holdout."""
    rng = np.random.default_rng(5)
    trains = camel_draws((3, N_TRAIN), rng)
    generated = [fitted_camel(x, N_GENERATED, rng) for x in trains]
    return (
        [Events(x[:, None]) for x in trains],
        generated,
        Events(camel_draws((N_HOLDOUT, 1), rng)),
    )


def test_one_generator_is_measured_against_the_holdout(
    camel: tuple[list[Events], list[Events], Events],
) -> None:
    _, generated, holdout = camel
    found = amplify(RUN, generated[:1], holdout, n_train=N_TRAIN, regions=REGIONS)
    assert found.quantile.measure == "quantile"
    assert [point.resolution for point in found.quantile.points] == list(REGIONS)
    assert [i.level for i in found.quantile.points[0].intervals] == list(LEVELS)
    assert (found.n_train, found.n_generated, found.n_holdout) == (N_TRAIN, N_GENERATED, N_HOLDOUT)
    assert found.averaging == ()
    assert found.analytic == ()
    assert found.memorisation is None
    assert list(found.kolmogorov) == ["x0"]
    assert found.entropy.sentence
    assert repr(found).startswith("AmplificationStudy(20000 generated from 1000 training events")


def test_several_trainings_are_one_procedure(
    camel: tuple[list[Events], list[Events], Events],
) -> None:
    trains, generated, holdout = camel
    found = amplify(RUN, generated, holdout, n_train=N_TRAIN, regions=REGIONS)
    assert found.quantile.measure == "quantile-of-trainings"
    assert [each.amplification.resolution for each in found.averaging] == list(REGIONS)
    for point in found.quantile.points:
        inverse = point.interval(0.95)
        assert inverse.low <= 1.0 / EXACT_GAIN[point.resolution] <= inverse.high
    # Copies of the training samples are worth one.
    copies = [repeated(train, seed) for seed, train in enumerate(trains)]
    memorising = amplify(RUN, copies, holdout, n_train=N_TRAIN, regions=REGIONS)
    finest = memorising.quantile.points[-1].interval(0.95)
    assert 1.0 / EXACT_GAIN[REGIONS[-1]] < finest.low <= 1.0 <= finest.high
    # Two generators have no scatter to speak of.
    two = amplify(RUN, generated[:2], holdout, n_train=N_TRAIN, regions=REGIONS)
    assert two.averaging == ()
    assert two.quantile.measure == "quantile-of-trainings"


def test_members_scatter_in_the_place_of_generators(
    camel: tuple[list[Events], list[Events], Events],
) -> None:
    _, generated, holdout = camel
    found = amplify(
        RUN, generated[:1], holdout, n_train=N_TRAIN, members=generated, regions=REGIONS
    )
    assert found.quantile.measure == "quantile"
    assert [each.amplification.resolution for each in found.averaging] == list(REGIONS)


def test_a_memoriser_is_told_by_its_training_events(
    camel: tuple[list[Events], list[Events], Events],
) -> None:
    trains, generated, holdout = camel
    copies = repeated(trains[0], 2)
    given = {"n_train": N_TRAIN, "regions": REGIONS}
    found = amplify(RUN, [copies], holdout, train=trains[0], **given)  # type: ignore[arg-type]
    assert found.memorisation is not None
    assert found.memorisation.alarm
    for point in found.quantile.points:
        # One training sample is off by a chi-square, and so is what repeats it.
        scatter = math.sqrt(2.0 / (point.resolution - 1))
        error = math.hypot(point.inverse_gain.error, scatter)
        assert_within(point.inverse_gain.value, 1.0, error)
        assert point.details["1/G against train"] < -0.5
    assert any("copies of training events" in note for note in found.warnings)
    # A holdout smaller than the training sample hides no copies: measures aside are heard as well.
    few = holdout.take(np.arange(100))
    small = amplify(RUN, [copies], few, train=trains[0], **given)  # type: ignore[arg-type]
    assert small.memorisation is not None
    assert small.memorisation.alarm
    assert any(n.startswith("memorisation: 20000 of 20000") for n in small.warnings)
    honest = amplify(RUN, generated[:1], holdout, train=trains[0], **given)  # type: ignore[arg-type]
    assert honest.memorisation is not None
    assert not honest.memorisation.alarm


@pytest.fixture(scope="module")
def blend() -> tuple[Mixture, Events, Events, list[Events]]:
    """Return a mixture of two features, its events, a holdout and its members' events."""
    rng = np.random.default_rng(3)
    members = family(4)
    shares = np.full(4, 0.25)
    x = draw(members, shares, N_TRAIN, rng)
    mixture = Mixture(members, fit_weights(log_densities(members, x)))
    holdout = Events(draw(members, shares, N_HOLDOUT, rng))
    generated = Events(mixture.draw(N_GENERATED, RUN.at("draw")).x)
    each = [Events(member.sample(5000, rng)) for member in members]
    return mixture, generated, holdout, each


def test_a_mixture_adds_its_own_errors(
    blend: tuple[Mixture, Events, Events, list[Events]],
) -> None:
    mixture, generated, holdout, members = blend
    found = amplify(
        RUN, [generated], holdout, n_train=N_TRAIN, members=members, mixture=mixture, regions=(8,)
    )
    (own,) = found.analytic
    # Three free weights.
    assert 0.0 < own.effective_parameters.value < 4.0
    assert [each.amplification.resolution for each in found.averaging] == [8]
    named = [note.partition(" measure")[0] for note in found.warnings]
    assert own.measure in named
    known = {"quantile", "averaging", own.measure, found.quadratic.measure, "kolmogorov"}
    assert set(named) <= known
    assert "averaging measure: 4 members only" in " ".join(found.warnings)
    assert len(found.warnings) == len(set(found.warnings))


def test_features_are_matched_by_name(
    blend: tuple[Mixture, Events, Events, list[Events]],
) -> None:
    mixture, generated, holdout, members = blend
    swapped = generated.select(["x1", "x0"])
    kwargs = {"n_train": N_TRAIN, "mixture": mixture, "regions": (8,), "train": None}
    straight = amplify(RUN, [generated], holdout, members=members, **kwargs)  # type: ignore[arg-type]
    found = amplify(RUN, [swapped], holdout, members=members, **kwargs)  # type: ignore[arg-type]
    # Regions of swapped columns would ask the members about other regions than the events.
    assert to_dict(found) == to_dict(straight)
    # Without a mixture the true events say the order.
    other = amplify(RUN, [swapped], holdout, n_train=N_TRAIN, regions=(8,))
    assert other.quantile.at(8).inverse_gain == straight.quantile.at(8).inverse_gain
    with pytest.raises(InputError, match="missing: 'x1'"):
        amplify(RUN, [generated.select(["x0"])], holdout, n_train=N_TRAIN)


def test_a_holdout_is_required(camel: tuple[list[Events], list[Events], Events]) -> None:
    trains, generated, holdout = camel
    with pytest.raises(InputError, match="Set some aside before training"):
        amplify(RUN, generated[:1], None, n_train=N_TRAIN, train=trains[0])
    with pytest.raises(InputError, match="generated: got no sample"):
        amplify(RUN, [], holdout, n_train=N_TRAIN)
    with pytest.raises(InputError, match="all in the training sample"):
        amplify(RUN, generated[:1], trains[0], n_train=N_TRAIN, train=trains[0])


def test_a_study_survives_json(camel: tuple[list[Events], list[Events], Events]) -> None:
    trains, generated, holdout = camel
    found = amplify(RUN, generated, holdout, n_train=N_TRAIN, train=trains[0], regions=REGIONS)
    stored = to_dict(found)
    again = from_dict(json.loads(json.dumps(stored, allow_nan=False)))
    assert isinstance(again, AmplificationStudy)
    assert to_dict(again) == stored
    # The same seeds give the same numbers.
    repeated = amplify(RUN, generated, holdout, n_train=N_TRAIN, train=trains[0], regions=REGIONS)
    assert to_dict(repeated) == stored
