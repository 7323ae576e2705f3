"""Events by row, mask and name, side by side, one below the other, and as what others hold."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch

from verisimile.core.arrays import as_matrix
from verisimile.core.errors import InputError, SupportError
from verisimile.data.account import Account, LeftOut
from verisimile.data.events import Events
from verisimile.data.feature import Feature

FEATURES = (Feature("m", unit="GeV", low=0.0), Feature("pt"), Feature("n", kind="discrete"))
X = np.array([[91.0, 3.0, 1.0], [90.0, 40.0, 2.0], [92.5, 31.0, 1.0], [88.0, 7.0, 4.0]])
W = np.array([1.0, -0.5, 2.0, 1.5])
G = [7, 7, 9, 8]
EVENTS = Events(X, W, features=FEATURES, group=G)


def made(rows: slice | list[int], columns: tuple[int, ...] = (0, 1, 2)) -> Events:
    """Return the same by a direct construction."""
    kept = np.arange(4)[rows]
    return Events(
        X[kept][:, columns],
        W[kept],
        features=[FEATURES[j] for j in columns],
        group=np.asarray(G)[kept],
    )


@pytest.mark.parametrize(
    ("key", "rows"),
    [
        (slice(1, 3), [1, 2]),
        (slice(None, None, -1), [3, 2, 1, 0]),
        (slice(-2, None), [2, 3]),
        (2, [2]),
        (-1, [3]),
        (np.int8(1), [1]),
        ([3, 1], [3, 1]),
        ([0, 0, -2], [0, 0, 2]),
        (np.array([2, 0], dtype=np.uint64), [2, 0]),
        ([True, False, False, True], [0, 3]),
        (EVENTS["pt"] > 30.0, [1, 2]),
        (pd.Series([False, True, True, False]), [1, 2]),
        (pl.Series([False, True, True, False]), [1, 2]),
        (torch.tensor([3, 0]), [3, 0]),
    ],
    ids=str,
)
def test_rows_keep_weights_and_groups(key: Any, rows: list[int]) -> None:  # noqa: ANN401
    found = EVENTS[key]
    assert found.digest == made(rows).digest
    assert found.features == FEATURES
    assert not found.x.flags.writeable


def test_names_give_a_column_or_events() -> None:
    np.testing.assert_array_equal(EVENTS["pt"], X[:, 1])
    assert EVENTS[["n", "m"]].digest == made(slice(None), (2, 0)).digest
    assert EVENTS["n", "m"].digest == EVENTS[["n", "m"]].digest
    assert EVENTS[1:3][["pt"]].digest == made([1, 2], (1,)).digest


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("p", "no column 'p'.*Did you mean 'pt'"),
        (["m", "q"], "no column 'q'"),
        ([], "no rows"),
        (slice(4, None), "no rows"),
        (4, "rows from 4 to 4; expected rows from 0 to 3"),
        ([-5], "rows from -1"),
        ([True, False], r"type bool and shape \(2,\)"),
        (0.5, "type float64"),
        (None, "got a list|type object"),
        (np.array([1, 2])[:, None], r"shape \(2, 1\)"),
        ((slice(None), 0), r"rows and columns at once.*events.x\[rows, j\]"),
        ((), "rows and columns at once"),
    ],
    ids=str,
)
def test_other_keys_are_refused(key: Any, message: str) -> None:  # noqa: ANN401
    with pytest.raises(InputError, match=message):
        EVENTS[key]


def test_a_loop_is_refused_because_nobody_knows_over_what() -> None:
    with pytest.raises(InputError, match=r"a loop over events.x, row by row, or over events.names"):
        list(EVENTS)
    with pytest.raises(InputError, match="a loop"):
        _ = "pt" in EVENTS  # type: ignore[operator]


def test_as_an_array_events_are_their_values() -> None:
    assert np.asarray(EVENTS) is EVENTS.x
    copy = np.array(EVENTS)
    copy[0, 0] = 0.0
    assert EVENTS.x[0, 0] == 91.0
    single = np.asarray(EVENTS, dtype=np.float32)
    assert single.dtype.name == "float32"
    assert single.shape == (4, 3)
    with pytest.raises(ValueError, match="copy"):
        np.asarray(EVENTS, dtype=np.float32, copy=False)
    np.testing.assert_array_equal(np.hypot(EVENTS, 0.0), X)
    assert len(EVENTS) == 4


def test_a_frame_and_back() -> None:
    frame = EVENTS.to_frame()
    assert list(frame.columns) == ["m", "pt", "n", "weight", "group"]
    back = Events(frame, "weight", group="group")
    assert back.digest == EVENTS.digest
    assert (
        Events(Events(X, features=FEATURES).to_dict()).digest == Events(X, features=FEATURES).digest
    )
    frame.loc[0, "m"] = 0.0
    assert EVENTS.x[0, 0] == 91.0
    with pytest.raises(InputError, match="a feature named 'weight' beside event weights"):
        Events([[1.0]], [2.0], names=["weight"]).to_frame()


def test_without_pandas_a_frame_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(InputError, match=r"no installation of pandas.*events.to_dict\(\)"):
        EVENTS.to_frame()


def test_samples_one_below_the_other() -> None:
    first, second = EVENTS[:2], EVENTS[2:].select(["n", "pt", "m"])
    both = Events.concatenate([first, second])
    assert both.digest == EVENTS.digest
    assert both.features == FEATURES
    # Groups of different samples are different, whatever they are called.
    again = Events.concatenate([EVENTS, EVENTS])
    assert again.n_groups == 2 * EVENTS.n_groups
    bare = Events(X, names=["m", "pt", "n"])
    assert (
        Events.concatenate([bare, bare.to_frame()]).digest
        == Events(np.vstack([X, X]), names=["m", "pt", "n"]).digest
    )
    assert Events.concatenate([EVENTS]).digest == EVENTS.digest


def test_rows_without_groups_stand_alone_below_those_with() -> None:
    bare = Events(X, W, features=FEATURES)
    found = Events.concatenate([EVENTS, bare]).group
    assert found is not None
    assert found.tolist() == [0, 0, 1, 2, 3, 4, 5, 6]


def test_what_does_not_fit_below_is_refused() -> None:
    with pytest.raises(InputError, match="1 samples with weights, 1 without.*np.ones"):
        Events.concatenate([EVENTS, Events(X, features=FEATURES)])
    with pytest.raises(InputError, match="missing: 'n'"):
        Events.concatenate([EVENTS, EVENTS.select(["m", "pt"])])
    with pytest.raises(InputError, match="no sample"):
        Events.concatenate([])
    with pytest.raises(SupportError, match="'m': got 1 values outside"):
        Events.concatenate([EVENTS, Events(-X[:1], W[:1], names=["m", "pt", "n"])])


def test_further_columns_of_the_same_rows() -> None:
    left, right = EVENTS.select(["m", "pt"]), Events(X[:, 2:], features=FEATURES[2:])
    for other in (right, EVENTS.select(["n"])):
        found = left.join(other)
        assert found.digest == EVENTS.digest
        assert found.features == FEATURES
    assert left.join({"n": X[:, 2]}).digest == EVENTS.digest
    assert left.join(pd.DataFrame({"n": X[:, 2]}, index=[3, 2, 1, 0])).digest == EVENTS.digest


def test_what_does_not_fit_beside_is_refused() -> None:
    with pytest.raises(InputError, match=r"3 rows; expected further columns for the same 4 rows"):
        EVENTS.join({"q": [1.0, 2.0, 3.0]})
    with pytest.raises(InputError, match="columns 'pt' twice"):
        EVENTS.join({"pt": X[:, 1]})
    with pytest.raises(InputError, match="events.join, weights: got others"):
        EVENTS.join(Events(X[:, :1], np.ones(4), names=["q"]))
    with pytest.raises(InputError, match="events.join, group: got others"):
        EVENTS.join(Events(X[:, :1], names=["q"], group=[1, 2, 3, 4]))


def test_what_was_left_out_is_not_forgotten() -> None:
    first = Events({"a": X[:, 0], "t": ["1", "2", "3", "x"]})
    second = Events({"a": X[:, 1], "u": ["x"] * 4})
    below = Events.concatenate([first, second])
    assert below.account is not None
    assert [column.name for column in below.account.left_out] == ["t", "u"]
    assert [column.name for column in below.account.doubts] == ["t"]
    assert below.account.rows == 8
    beside = first.join(Events({"b": X[:, 1]}))
    assert beside.account == Account(
        ("a", "b"), (LeftOut("t", "values of type <U1", 0.75),), rows=4
    )
    assert Events.concatenate([EVENTS, EVENTS]).account is None


def test_what_wants_numbers_refuses_events_because_it_would_lose_their_names() -> None:
    with pytest.raises(InputError, match=r"x: got events, whose names .* events\['name'\]"):
        as_matrix(EVENTS, "x")
