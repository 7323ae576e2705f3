from __future__ import annotations

import pickle

import numpy as np
import numpy.typing as npt
import pytest

from verisimile.core.errors import InputError, SupportError
from verisimile.core.random import Seeds
from verisimile.data.events import Events, match_features
from verisimile.data.feature import Feature

FEATURES = (Feature("m", unit="GeV", low=0.0), Feature("eta", low=-3.0, high=3.0), Feature("q"))


@pytest.fixture
def events(rng: np.random.Generator) -> Events:
    x = np.column_stack([rng.exponential(size=50), rng.uniform(-3, 3, 50), rng.normal(size=50)])
    return Events(x, rng.normal(size=50), features=FEATURES)


def test_values_are_a_read_only_float64_copy() -> None:
    x = np.arange(6, dtype=np.float32).reshape(3, 2)
    events = Events(x)
    x[:] = 0
    assert events.x.dtype == np.float64
    assert events.x.tolist() == [[0, 1], [2, 3], [4, 5]]
    assert events.names == ("x0", "x1")
    assert (events.n, events.d, len(events), events.weights) == (3, 2, 3, None)
    with pytest.raises(ValueError, match="read-only"):
        events.x[0, 0] = 1.0


def test_events_cannot_be_changed(events: Events) -> None:
    with pytest.raises(AttributeError):
        events.x = np.zeros((1, 1))  # type: ignore[misc]


def test_every_derived_sample_is_read_only(events: Events) -> None:
    for derived in (events.take([1, 2]), events.select(["q"]), *events.split([0.5], Seeds(1))):
        assert derived.weights is not None
        assert not derived.x.flags.writeable
        assert not derived.weights.flags.writeable


def test_pickling_keeps_content_and_protection(events: Events) -> None:
    copy = pickle.loads(pickle.dumps(events))
    assert copy.digest == events.digest
    assert copy.features == events.features
    assert not copy.x.flags.writeable


def test_repr_is_one_line() -> None:
    assert repr(Events([[1.0]], [2.0])) == "Events(n=1, d=1, names=('x0',), weighted)"


@pytest.mark.parametrize(
    "changed",
    [
        Events([[1.0, 2.0], [3.0, 4.5]]),
        Events([[1.0, 2.0, 3.0, 4.0]]),
        Events([[1.0, 2.0], [3.0, 4.0]], [1.0, 1.0]),
        Events([[1.0, 2.0], [3.0, 4.0]], names=("a", "b")),
        Events([[3.0, 4.0], [1.0, 2.0]]),
    ],
)
def test_digest_depends_on_values_weights_names_and_order(changed: Events) -> None:
    assert changed.digest != Events([[1.0, 2.0], [3.0, 4.0]]).digest


def test_digest_ignores_where_the_numbers_came_from() -> None:
    x = np.array([[1, 2], [3, 4]], dtype=np.int16, order="F")
    assert Events(x).digest == Events([[1.0, 2.0], [3.0, 4.0]]).digest


@pytest.mark.parametrize(
    ("x", "weights", "names", "message"),
    [
        ([1.0, 2.0], None, None, r"events.x: got an array of shape \(2,\)"),
        ([["a"]], None, None, "got values of type <U1, which are no real numbers"),
        (np.empty((0, 2)), None, None, "0 events with 2 features"),
        (np.empty((2, 0)), None, None, "2 events with 0 features"),
        ([[1.0]], [1.0, 2.0], None, "events.weights: got 2 values; expected 1"),
        ([[1.0], [2.0]], [1.0, np.nan], None, "events.weights: got 1 non-finite values.*row 1"),
        ([[1.0]], [0.0], None, "only zeros"),
        ([[1.0, 2.0]], None, ("a",), "events.x: got 2 columns; expected 1 columns"),
        ([[1.0, 2.0]], None, ("a", "a"), "repeated columns 'a'"),
        ([[1.0, 2.0]], None, "ab", "events.names: got 'ab'"),
    ],
)
def test_unusable_arrays_are_told(
    x: npt.ArrayLike, weights: npt.ArrayLike | None, names: tuple[str, ...] | None, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        Events(x, weights, names=names)


def test_non_finite_values_are_told_with_column_count_and_first_row() -> None:
    x = np.ones((5, 3))
    x[1, 0] = 7.0
    x[3:, 1] = np.nan
    x[2, 2] = -np.inf
    with pytest.raises(InputError, match=r"column 'eta': .*\{'eta': 2, 'q': 1\}.*row 3"):
        Events(x, features=FEATURES)


def test_values_outside_the_support_are_told() -> None:
    x = np.array([[1, 0, 0], [1, 3.5, 0], [1, -4, 0]])
    with pytest.raises(SupportError, match=r"'eta': got 2 values outside, the first 3.5 in row 1"):
        Events(x, features=FEATURES)


def test_values_on_a_bound_are_inside() -> None:
    assert Events([[0, -3, 0], [0, 3, 0]], features=FEATURES).n == 2


def test_names_and_features_must_agree() -> None:
    with pytest.raises(InputError, match="names of the features, 'm', 'eta', 'q'"):
        Events([[1, 0, 0]], names=("m", "eta", "p"), features=FEATURES)


def test_select_reorders_and_keeps_weights(events: Events) -> None:
    part = events.select(["q", "m"])
    assert part.names == ("q", "m")
    assert part.features == (FEATURES[2], FEATURES[0])
    np.testing.assert_array_equal(part.x, events.x[:, [2, 0]])
    np.testing.assert_array_equal(part.weights, events.weights)
    np.testing.assert_array_equal(events.column("eta"), events.x[:, 1])


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["etaa"], "no column 'etaa'; expected columns among 'm', 'eta', 'q'. Did you mean 'eta'"),
        (["M"], "Did you mean 'm'"),
        (["m", "m"], "repeated columns 'm'"),
        ([], "expected a sequence of column names"),
    ],
)
def test_select_tells_bad_names(events: Events, names: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        events.select(names)


def test_take_accepts_rows_and_masks(events: Events) -> None:
    mask = events.x[:, 2] > 0
    np.testing.assert_array_equal(events.take(mask).x, events.x[mask])
    assert events.weights is not None
    np.testing.assert_array_equal(events.take([3, 3]).weights, events.weights[[3, 3]])


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ([], "no rows"),
        (np.zeros(50, dtype=bool), "no rows"),
        ([50], "rows from 50 to 50; expected rows from 0 to 49"),
        ([-1], "rows from -1"),
        ([0.5], "type float64"),
        ([True, False], r"type bool and shape \(2,\)"),
    ],
)
def test_take_tells_bad_rows(events: Events, index: npt.ArrayLike, message: str) -> None:
    with pytest.raises(InputError, match=message):
        events.take(index)


def test_split_is_a_random_partition(events: Events) -> None:
    parts = events.split((0.6, 0.2, 0.2), Seeds(7))
    assert [part.n for part in parts] == [30, 10, 10]
    together = np.concatenate([part.x for part in parts])
    np.testing.assert_array_equal(np.sort(together, axis=0), np.sort(events.x, axis=0))
    assert not np.array_equal(together, events.x)
    weights = np.concatenate([part.weights for part in parts if part.weights is not None])
    rows = [int(np.flatnonzero(events.x[:, 0] == value)[0]) for value in together[:, 0]]
    assert events.weights is not None
    np.testing.assert_array_equal(weights, events.weights[rows])


def test_split_depends_on_the_seeds_alone(events: Events) -> None:
    first, again, other = (events.split((0.5,), Seeds(k))[0].digest for k in (1, 1, 2))
    assert first == again
    assert first != other


@pytest.mark.parametrize("fractions", [(), (0.5, 0.6), (0.5, -0.1), (0.0, 1.0), (np.nan,)])
def test_split_tells_bad_fractions(events: Events, fractions: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="positive fractions"):
        events.split(fractions, Seeds(1))


def test_split_tells_empty_parts() -> None:
    with pytest.raises(InputError, match="at least one event in every part"):
        Events([[1.0], [2.0]]).split((0.9, 0.1), Seeds(1))


def test_overlap_counts_shared_rows_by_name(events: Events, rng: np.random.Generator) -> None:
    shared = np.concatenate([events.x[10:17], events.x[10:12], rng.uniform(0, 1, (20, 3))])
    other = Events(shared[:, ::-1], names=("q", "eta", "m"))
    assert events.overlap(other) == 9
    assert other.overlap(events) == 7


def test_overlap_needs_the_same_columns(events: Events) -> None:
    with pytest.raises(InputError, match="missing: 'q'"):
        events.overlap(events.select(["m", "eta"]))


def test_match_features_reorders_by_name(events: Events) -> None:
    shuffled = events.select(["q", "m", "eta"])
    assert match_features(shuffled, FEATURES).digest == events.digest
    assert match_features(shuffled, ["m", "eta", "q"]).digest == events.digest
    assert match_features(events, FEATURES) is events


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["m", "eta"], r"too many: 'q'\).*Use events.select\(\['m', 'eta'\]\)"),
        (["m", "eta", "q", "phi"], r"missing: 'phi'; too many: \(nothing\)"),
        (["m", "eta_", "q"], "Did you mean 'eta'"),
    ],
)
def test_match_features_tells_differences(events: Events, names: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        match_features(events, names)


def test_match_features_guards_units(events: Events) -> None:
    with pytest.raises(InputError, match="'m': got the unit 'GeV'; expected the unit 'MeV'"):
        match_features(events, (Feature("m", unit="MeV"), *FEATURES[1:]))


@pytest.mark.parametrize(
    ("weights", "signed", "effective"),
    [
        (None, False, 4.0),
        ([1, 1, 1, 1], False, 4.0),
        ([1, 1, 1, -1], True, 1.0),
        ([1e300, 1e300, 0, 0], False, 2.0),
    ],
)
def test_effective_number_of_events(
    weights: list[float] | None, signed: bool, effective: float
) -> None:
    events = Events(np.arange(4.0)[:, None], weights)
    assert events.signed is signed
    assert events.n_effective == pytest.approx(effective, rel=1e-12)


def test_features_may_be_names() -> None:
    assert Events(np.ones((2, 2)), features=["m", "pt"]).names == ("m", "pt")
    with pytest.raises(InputError, match="expected a sequence of Feature, or of names"):
        Events(np.ones((2, 1)), features=[1])  # type: ignore[list-item]
