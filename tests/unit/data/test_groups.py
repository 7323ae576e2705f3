from __future__ import annotations

import pickle
from collections.abc import Sequence

import numpy as np
import pytest

from verisimile.core.arrays import digest
from verisimile.core.errors import InputError, VerisimileWarning
from verisimile.core.random import Seeds
from verisimile.data.derived import derived
from verisimile.data.events import Events, match_features
from verisimile.data.expressions import Expression
from verisimile.data.groups import stacked_groups
from verisimile.data.provenance import warn_overlap


@pytest.fixture
def grouped(rng: np.random.Generator) -> Events:
    """Return 60 events of 20 groups, three rows each, scattered over the file."""
    labels = rng.permutation(np.repeat(np.arange(20), 3))
    x = np.column_stack([labels, rng.normal(size=60)])
    return Events(x, rng.normal(size=60), names=("label", "q"), group=labels)


def same_partition(events: Events) -> bool:
    assert events.group is not None
    labels = events.x[:, 0]
    return bool(
        ((events.group[:, None] == events.group[None]) == (labels[:, None] == labels[None])).all()
    )


def rows_of(events: Events) -> list[tuple[float, ...]]:
    assert events.weights is not None
    return list(map(tuple, np.column_stack([events.x, events.weights])))


@pytest.mark.parametrize(
    "labels",
    [
        [7, 7, 9, 7],
        [7.0, 7.0, -9.0, 7.0],
        ["b", "b", "a", "b"],
        np.array(["b", "b", "a", "b"], dtype=object),
        np.array([2**70, 2**70, 2**71, 2**70], dtype=object),
        np.array([3, 3, 1, 3], dtype=np.uint64) + np.uint64(2**63),
    ],
)
def test_labels_become_codes_by_first_appearance(labels: Sequence[int]) -> None:
    events = Events(np.arange(4.0)[:, None], group=labels)
    assert events.group is not None
    assert events.group.tolist() == [0, 0, 1, 0]
    assert events.group.dtype == np.int64
    assert not events.group.flags.writeable
    assert events.n_groups == 2
    assert repr(events) == "Events(n=4, d=1, names=('x0',), unweighted, 2 groups)"


def test_without_labels_every_row_is_its_own_group() -> None:
    assert Events([[1.0], [2.0]]).n_groups == 2
    assert Events([[1.0], [2.0]]).group is None


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([1, 2, 3], r"labels of shape \(3,\); expected one label for each of the 2 events"),
        ([[1, 2]], r"labels of shape \(1, 2\)"),
        ([1.0, np.nan], r"1 missing labels \(NaN\), the first in row 1"),
        ([1.0, 2.5], "the label 2.5 in row 1, which is not whole"),
        ([1.0, np.inf], "the label inf in row 1, which is not whole"),
        ([True, False], "labels of type bool"),
        ([1 + 2j, 3], "labels of type complex128"),
        (np.array(["a", None], dtype=object), "labels of the types NoneType, str"),
        (np.ma.masked_array([1, 2], [False, True]), "masked labels"),
        ([[1], [1, 2]], "unequal lengths"),
    ],
)
def test_unusable_labels_are_refused(labels: object, message: str) -> None:
    with pytest.raises(InputError, match=rf"events.group: got .*{message}"):
        Events([[1.0], [2.0]], group=labels)  # type: ignore[arg-type]


def test_digest_of_ungrouped_events_is_what_it_was() -> None:
    events = Events([[1.0, 2.0], [3.0, 4.0]], [1.0, 2.0], names=("a", "b"))
    names = np.frombuffer(b"a\x1fb", np.uint8)
    assert events.digest == digest(names, events.x, events.weights)


def test_digest_depends_on_the_partition_alone() -> None:
    x = [[1.0], [2.0], [3.0]]
    assert Events(x, group=[5, 5, 1]).digest == Events(x, group=["a", "a", "b"]).digest
    assert Events(x, group=[5, 1, 1]).digest != Events(x, group=[5, 5, 1]).digest
    assert Events(x, group=[0, 1, 2]).digest != Events(x).digest


def test_groups_follow_rows_and_columns(grouped: Events) -> None:
    rows = np.array([5, 3, 3, 59, 17])
    assert same_partition(grouped.take(rows))
    assert same_partition(grouped.take(grouped.x[:, 0] < 11))
    assert grouped.take(grouped.x[:, 0] < 11).n_groups == 11
    assert same_partition(match_features(grouped, ("q", "label")).select(["label"]))
    assert same_partition(derived(grouped, {"square": Expression("q * q")}))
    assert same_partition(pickle.loads(pickle.dumps(grouped)))


def test_split_keeps_groups_whole(grouped: Events) -> None:
    parts = grouped.split((0.5, 0.3, 0.2), Seeds(3))
    assert [part.n for part in parts] == [30, 18, 12]
    assert all(same_partition(part) for part in parts)
    labels = [set(part.x[:, 0]) for part in parts]
    assert sum(map(len, labels)) == len(set().union(*labels)) == 20
    # The weights went with their rows.
    both = [row for part in parts for row in rows_of(part)]
    assert sorted(both) == sorted(rows_of(grouped))


def test_split_of_unequal_groups_is_as_near_as_whole_groups_allow() -> None:
    sizes = np.array([50, 1, 1, 1, 1, 46])
    events = Events(np.arange(100.0)[:, None], group=np.repeat(np.arange(6), sizes))
    for seed in range(10):
        first, second = events.split((0.5, 0.5), Seeds(seed))
        assert first.n + second.n == 100
        assert min(first.n, second.n) >= 46
    with pytest.raises(InputError, match="at least one whole group for every part"):
        events.split((0.01, 0.98, 0.01), Seeds(1))


def test_groups_of_stacked_samples_are_apart() -> None:
    first, second = np.array([0, 0, 1]), np.array([0, 1, 0])
    stacked = stacked_groups((first, second), (3, 3))
    assert stacked is not None
    assert stacked.tolist() == [0, 0, 1, 2, 3, 2]
    alone = stacked_groups((first, None), (3, 2))
    assert alone is not None
    assert alone.tolist() == [0, 0, 1, 2, 3]
    assert stacked_groups((None, None), (3, 2)) is None


def test_methods_that_count_rows_warn_of_groups(grouped: Events) -> None:
    said = r"the 60 test events come in 20 groups, and are counted as independent"
    with pytest.warns(VerisimileWarning, match=said):
        assert len(warn_overlap((), grouped, "test")) == 1
    assert warn_overlap((), Events(grouped.x, group=np.arange(60)), "test") == ()
