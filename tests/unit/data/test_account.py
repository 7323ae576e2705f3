"""The account of columns and rows, in sentences and on disk."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from verisimile.core.result import from_dict, to_dict
from verisimile.data.account import Account, LeftOut, doubts_of, losses_of
from verisimile.data.events import Events
from verisimile.data.losses import lost_rows

MAG = LeftOut("mag", "values of type string", 0.9)
NAME = LeftOut("name", "text such as 'NGC 1'", 0.1)


def test_one_line_says_what_became_of_everything() -> None:
    account = Account(("a", "b", "c", "d"), (MAG, NAME), rows=10, dropped=2, missing={"a": 2})
    assert account.sentence == (
        "4 columns kept: a, b, c and 1 more; "
        "2 left out: mag (values of type string), name (text such as 'NGC 1'); "
        "2 of 10 rows dropped for missing values (a 2)"
    )
    assert Account(("a",)).sentence == "1 column kept: a"


def test_samples_with_the_same_doubts_are_told_of_together() -> None:
    doubtful = Account(("a",), (MAG, NAME))
    other = Account(("a",), (MAG, LeftOut("z", "dates", 0.5)))
    (both,) = doubts_of({"reference": doubtful, "generated": doubtful, "train": Account(("a",))})
    assert both.startswith("column 'mag' was left out of the reference and generated samples")
    first, second = doubts_of({"reference": doubtful, "generated": other, "array": None})
    assert "of the reference sample (values of type string)" in first
    assert second.startswith("columns 'mag', 'z' were left out of the generated sample")
    assert "--ignore mag,z" in second
    assert doubts_of({"reference": doubtful}, ignored=["mag"]) == ()


def test_losses_of_samples() -> None:
    lossy = Account(("a",), rows=9, dropped=1, missing={"a": 1})
    assert losses_of({"reference": lossy, "generated": lossy, "train": None}) == (
        "reference and generated samples: 1 of 9 rows dropped for missing values (a 1) each",
    )
    assert losses_of({"reference": Account(("a",), rows=9)}) == ()


def test_rows_are_known_while_the_program_runs_and_not_on_disk() -> None:
    events = Events({"a": [1.0, np.nan, 3.0]}, missing="drop")
    account = events.account
    assert account is not None
    assert account.lost is not None
    np.testing.assert_array_equal(account.lost.lost, [False, True, False])
    assert "lost" not in to_dict(account)
    assert from_dict(to_dict(account)) == account
    again = pickle.loads(pickle.dumps(events))
    assert again.account.lost.lost.tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("labels", "codes"),
    [
        ([7, 7, 9, 9], [0, 0, 1, 1]),
        ([7.0, np.nan, 7.0, np.nan], [0, 1, 0, 2]),
        (np.array(["b", None, "b", "a"], dtype=object), [0, 1, 0, 2]),
        (np.ma.masked_array([1, 1, 1, 2], mask=[False, True, False, False]), [0, 1, 0, 2]),
    ],
)
def test_a_dropped_row_without_a_label_stands_alone(labels: object, codes: list[int]) -> None:
    lost = np.array([False, True, False, True])
    found = lost_rows(lost, None, np.ma.asarray(labels) if np.ma.isMA(labels) else np.array(labels))
    assert found.group is not None
    assert found.group.tolist() == codes
