"""Each fault of a column has one right behaviour, in every form of events that can express it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from reader_forms import FORMS, Columns, Form, holding
from verisimile.core.errors import InputError
from verisimile.data.events import Events

N = 40
EVERY = pytest.mark.parametrize("form", FORMS, ids=str)


def columns(**more: npt.NDArray[Any]) -> dict[str, npt.NDArray[Any]]:
    row = np.arange(N)
    return {"m": 91.2 + 0.1 * row, "pt": np.sqrt(row + 1.0), **more}


def given(form: Form, folder: Path, content: Columns) -> Any:  # noqa: ANN401
    return form.make(folder, content)


def with_gap() -> npt.NDArray[Any]:
    values = np.arange(1.0, N + 1.0)
    values[[3, 7]] = np.nan
    return values


@EVERY
def test_without_a_fault_every_column_is_kept(form: Form, tmp_path: Path) -> None:
    content = columns()
    events = Events(given(form, tmp_path, content))
    assert events.names == ("m", "pt")
    assert events.account is not None
    assert events.account.kept == ("m", "pt")
    assert events.account.left_out == ()
    np.testing.assert_array_equal(events.x, np.column_stack(list(content.values())))


@EVERY
def test_rows_with_nan_are_refused_with_counts_and_dropped_on_request(
    form: Form, tmp_path: Path
) -> None:
    content = columns(z=with_gap())
    sample = given(form, tmp_path, content)
    with pytest.raises(InputError, match=r"column 'z': .*missing values .*'z': 2.*in row 3.*drop"):
        Events(sample)
    check_dropped(Events(sample, missing="drop"), content)


@pytest.mark.parametrize("form", holding("null"), ids=str)
@pytest.mark.parametrize("kind", [np.float64, np.int64])
def test_null_cells_are_missing_and_what_is_under_them_is_never_used(
    form: Form, kind: type, tmp_path: Path
) -> None:
    gaps = np.isnan(with_gap())
    hidden: npt.NDArray[Any] = np.where(gaps, -999, with_gap()).astype(kind)
    masked = np.ma.MaskedArray(hidden, gaps)
    sample = given(form, tmp_path, columns(z=masked))
    with pytest.raises(InputError, match=r"column 'z': .*missing values .*'z': 2.*in row 3"):
        Events(sample)
    check_dropped(Events(sample, missing="drop"), columns(z=with_gap()))


def check_dropped(events: Events, content: Columns) -> None:
    kept = ~np.isnan(content["z"])
    np.testing.assert_array_equal(events.x, np.column_stack(list(content.values()))[kept])
    assert events.account is not None
    assert (events.account.rows, events.account.dropped) == (N, 2)
    assert events.account.missing == {"z": 2}


@EVERY
def test_infinite_values_are_refused(form: Form, tmp_path: Path) -> None:
    values = np.arange(float(N))
    values[9] = np.inf
    with pytest.raises(InputError, match=r"column 'z': .*infinite values .*in row 9"):
        Events(given(form, tmp_path, columns(z=values)), missing="drop")


@EVERY
def test_truths_are_ones_and_zeros(form: Form, tmp_path: Path) -> None:
    passed = np.arange(N) % 3 == 0
    events = Events(given(form, tmp_path, columns(z=passed)))
    np.testing.assert_array_equal(events.column("z"), passed.astype(np.float64))


@EVERY
def test_integers_that_no_double_holds_are_refused(form: Form, tmp_path: Path) -> None:
    numbers = np.arange(N) + 2**53 + 1
    sample = given(form, tmp_path, columns(z=numbers))
    with pytest.raises(InputError, match=r"'z': got integers such as 90.*beyond 2\*\*53"):
        Events(sample)
    assert Events(sample, ignore=["z"]).names == ("m", "pt")
    assert Events(sample, names=("pt",)).names == ("pt",)
    # As labels of groups they are fine.
    assert Events(sample, group="z").n_groups == N


@pytest.mark.parametrize("form", holding("text"), ids=str)
def test_numbers_kept_as_text_are_read_or_told(form: Form, tmp_path: Path) -> None:
    words = np.array([f"{number}.25" for number in range(N)])
    events = Events(given(form, tmp_path, columns(z=words)))
    assert events.account is not None
    if form.name == "csv":  # where cells have no types
        np.testing.assert_array_equal(events.column("z"), np.arange(N) + 0.25)
    else:
        (left,) = events.account.left_out
        assert (left.name, left.numbers, left.doubtful) == ("z", 1.0, True)


@pytest.mark.parametrize("form", holding("text"), ids=str)
def test_words_are_left_out_without_a_doubt(form: Form, tmp_path: Path) -> None:
    words = np.array([f"tag{number}" for number in range(N)])
    check_left_out(Events(given(form, tmp_path, columns(z=words))), doubtful=False)


@pytest.mark.parametrize("form", holding("date"), ids=str)
def test_dates_are_left_out_with_the_reason(form: Form, tmp_path: Path) -> None:
    days = np.datetime64("2026-01-01", "s") + np.arange(N) * np.timedelta64(1, "D")
    sample = given(form, tmp_path, columns(z=days))
    check_left_out(Events(sample), doubtful=False)
    with pytest.raises(InputError, match="column 'z'"):
        Events(sample, names=("m", "z"))


@pytest.mark.parametrize("form", holding("complex"), ids=str)
def test_complex_numbers_are_left_out_with_a_doubt(form: Form, tmp_path: Path) -> None:
    sample = given(form, tmp_path, columns(z=np.arange(N) * 1j))
    check_left_out(Events(sample), doubtful=True)
    with pytest.raises(InputError, match="column 'z'"):
        Events(sample, names=("m", "z"))


@pytest.mark.parametrize("form", holding("list"), ids=str)
def test_lists_in_cells_are_left_out(form: Form, tmp_path: Path) -> None:
    events = Events(given(form, tmp_path, columns(z=np.ones((N, 2)))))
    assert events.names == ("m", "pt")
    assert events.account is not None
    assert [left.name for left in events.account.left_out] == ["z"]


@pytest.mark.parametrize("form", holding("upright"), ids=str)
def test_a_column_that_stands_upright_is_a_column(form: Form, tmp_path: Path) -> None:
    upright = np.arange(float(N))[:, None]
    events = Events(given(form, tmp_path, columns(z=upright)))
    np.testing.assert_array_equal(events.column("z"), np.arange(float(N)))


@pytest.mark.parametrize("form", holding("unequal"), ids=str)
def test_columns_of_unequal_lengths_are_refused(form: Form, tmp_path: Path) -> None:
    sample = given(form, tmp_path, columns(z=np.arange(N - 1.0)))
    with pytest.raises(InputError, match=r"lengths \{'m': 40, 'z': 39\}"):
        Events(sample)


@EVERY
@pytest.mark.parametrize("name", ["genWeight", "Weight", "mcEventWeight", "event_weight"])
def test_what_is_named_like_weights_asks_to_be_claimed(
    form: Form, name: str, tmp_path: Path
) -> None:
    masses = np.where(np.arange(N) % 4, 1.0, -1.0)
    sample = given(form, tmp_path, columns(**{name: masses}))
    with pytest.raises(InputError, match=f"a column '{name}' whose role is not stated"):
        Events(sample)
    weighted = Events(sample, name)
    assert weighted.names == ("m", "pt")
    np.testing.assert_array_equal(weighted.weights, masses)
    assert Events(sample, ignore=[name]).names == ("m", "pt")


@EVERY
def test_events_without_rows_are_refused(form: Form, tmp_path: Path) -> None:
    empty = {name: values[:0] for name, values in columns().items()}
    with pytest.raises(InputError, match="no events"):
        Events(given(form, tmp_path, empty), names=("m", "pt"))


@EVERY
def test_a_column_that_is_not_there_is_told_with_the_nearest(form: Form, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no column 'PT'.*Did you mean 'pt'"):
        Events(given(form, tmp_path, columns()), names=("m", "PT"))


def check_left_out(events: Events, *, doubtful: bool) -> None:
    assert events.names == ("m", "pt")
    assert events.account is not None
    (left,) = events.account.left_out
    assert left.name == "z"
    assert left.reason
    assert left.doubtful == doubtful
