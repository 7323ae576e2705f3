"""What people hold in Python: read exactly, or refused with a word on what to do."""

from __future__ import annotations

import array
import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import awkward as ak
import h5py
import numpy as np
import numpy.typing as npt
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset
import pytest
import torch
from astropy import units
from astropy.table import MaskedColumn, QTable, Table
from astropy.utils.masked import Masked
from scipy import sparse

from verisimile.core.errors import InputError
from verisimile.data.events import Events
from verisimile.data.feature import Feature
from verisimile.data.files import read_events
from verisimile.data.held import Held
from verisimile.data.inputs import as_events, as_samples, matched_values

X = np.array([[1.5, -2.0], [1.0 / 3.0, 4.0], [5.0, 2.0**52 + 1.0]])
A, B = X.T
BARE: dict[str, Any] = {
    "list": X.tolist(),
    "list of rows": list(X),
    "objects": X.astype(object),
    "fortran": np.asfortranarray(X),
    "strides": np.repeat(X[::-1, ::-1], 2, axis=1)[::-1, ::-2],
    "big endian": X.astype(">f8"),
    "matrix": np.matrix(X),
    "memory": np.ascontiguousarray(X).data,
    "mask without gaps": np.ma.masked_array(X),
    "quantity": X * units.GeV,
    "tensor": torch.tensor(X),
    "gradient": torch.tensor(X, requires_grad=True),
    "result": torch.nn.Parameter(torch.tensor(X)) * 1.0,
    "list of tensors": list(torch.tensor(X, requires_grad=True)),
    "awkward": ak.Array(X),
    "awkward lists": ak.Array(X.tolist()),
}
NAMED: dict[str, Any] = {
    "dict": {"a": A, "b": B},
    "lists": {"a": A.tolist(), "b": tuple(B.tolist())},
    "tensors": {"a": torch.tensor(A, requires_grad=True), "b": torch.tensor(B)},
    "series": {"a": pd.Series(A, index=[7, 1, 3]), "b": pl.Series(B)},
    "arrow arrays": {"a": pa.array(A), "b": pa.chunked_array([B[:1], B[1:]])},
    "objects": {"a": A.astype(object), "b": [Decimal(value) for value in B.tolist()]},
    "upright": {"a": A[:, None], "b": B},
    "pandas": pd.DataFrame(X, columns=["a", "b"]),
    "pandas, rows by number": pd.DataFrame(X, columns=["a", "b"], index=[5, 9, 7]),
    "pandas, rows by name": pd.DataFrame(X, columns=["a", "b"], index=list("xyz")),
    "pandas nullable": pd.DataFrame(X, columns=["a", "b"]).astype("Float64"),
    "pandas of Arrow": pd.DataFrame(X, columns=["a", "b"]).astype("double[pyarrow]"),
    "pandas sparse": pd.DataFrame({"a": pd.arrays.SparseArray(A), "b": B}),
    "pandas long": pd.DataFrame(X.astype(np.longdouble), columns=["a", "b"]),
    "pandas objects": pd.DataFrame(X.astype(object), columns=["a", "b"]),
    "polars": pl.DataFrame({"a": A, "b": B}),
    "Arrow table": pa.table({"a": A, "b": B}),
    "Arrow batch": pa.record_batch({"a": pa.array(A), "b": pa.array(B)}),
    "Arrow reader": pa.table({"a": A, "b": B}).to_reader,
    "records": np.rec.fromarrays([A, B], dtype=[("a", "f8"), ("b", "f8")]),
    "structured": np.array(list(zip(A, B, strict=True)), dtype=[("a", "f8"), ("b", ">f8")]),
    "awkward": ak.Array({"a": A, "b": B}),
    "awkward tuples": ak.zip({"a": A, "b": B}),
    "astropy": Table({"a": A, "b": B}),
    "astropy with units": QTable({"a": A * units.GeV, "b": B}),
}


def held(value: Any) -> Any:  # noqa: ANN401  (whatever users hold)
    """Return a value, made anew where it can be read only once."""
    return value() if callable(value) else value


@pytest.mark.parametrize("name", BARE)
def test_arrays_are_read_bit_for_bit(name: str) -> None:
    found = Events(BARE[name], names=["a", "b"])
    assert found.digest == Events(X, names=["a", "b"]).digest
    assert Events(BARE[name]).nameless


@pytest.mark.parametrize("name", NAMED)
def test_tables_are_read_bit_for_bit_with_their_names(name: str) -> None:
    found = Events(held(NAMED[name]))
    assert found.digest == Events(X, names=["a", "b"]).digest
    assert not found.nameless
    assert Events(held(NAMED[name]), names=["b"]).digest == Events(B[:, None], names=["b"]).digest


SMALL = np.array([[0.5, 3.0], [-2.0, 64.0]])


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16, torch.float32, torch.int8])
def test_tensors_of_other_types_are_read_exactly(kind: torch.dtype) -> None:
    whole = SMALL.round() if kind is torch.int8 else SMALL
    np.testing.assert_array_equal(Events(torch.tensor(whole).to(kind)).x, whole)


def test_a_tensor_is_fetched_from_its_device() -> None:
    class OnDevice:
        """A tensor elsewhere: only `detach` and then `cpu` lead to numbers."""

        def __init__(self, steps: tuple[str, ...] = ()) -> None:
            self.steps = steps

        def detach(self) -> OnDevice:
            return OnDevice((*self.steps, "detach"))

        def cpu(self) -> OnDevice:
            return OnDevice((*self.steps, "cpu"))

        def numpy(self) -> npt.NDArray[np.float64]:
            assert self.steps == ("detach", "cpu")
            return SMALL

    np.testing.assert_array_equal(Events(OnDevice()).x, SMALL)  # type: ignore[arg-type]


def test_units_of_astropy_are_kept() -> None:
    found = Events(NAMED["astropy with units"])
    assert [feature.unit for feature in found.features] == ["GeV", ""]


def test_an_index_is_no_column() -> None:
    found = Events(NAMED["pandas, rows by number"])
    assert found.account is not None
    assert [column.reason for column in found.account.left_out] == ["the index of the frame"]


MATRIX = np.array([[1.0, 2.0], [-999.0, 3.0], [3.0, 4.0]])
RECORDS = np.ma.masked_array(
    np.array([(1.0, 2), (-999.0, 3), (3.0, 4)], dtype=[("a", "f8"), ("b", "i8")])
)
RECORDS["a"][1] = np.ma.masked

GAPS: dict[str, Any] = {
    "masked": {"a": np.ma.array([1.0, -999.0, 3.0], mask=[False, True, False]), "b": B},
    "masked matrix": np.ma.masked_array(MATRIX, MATRIX < 0.0),
    "masked records": RECORDS,
    "None": {"a": [1.0, None, 3.0], "b": B},
    "None in rows": [[1.0, 2.0], [None, 3.0], [3.0, 4.0]],
    "NA": pd.DataFrame({"a": pd.array([1, None, 3], dtype="Int64"), "b": B}),
    "NA of a series": {"a": pd.Series([1, None, 3], dtype="Int64"), "b": B},
    "NaN": pd.DataFrame({"a": [1.0, np.nan, 3.0], "b": B}),
    "NA of Arrow": pd.DataFrame({"a": pd.array([1, None, 3], dtype="int64[pyarrow]"), "b": B}),
    "NA of a truth": pd.DataFrame({"a": pd.array([True, None, True], dtype="boolean"), "b": B}),
    "null of polars": pl.DataFrame({"a": [1, None, 3], "b": B}),
    "null of Arrow": pa.table({"a": [1, None, 3], "b": B}),
    "null of an array": {"a": pa.array([1, None, 3]), "b": B},
    "option of awkward": ak.Array({"a": ak.Array([1.0, None, 3.0]), "b": B}),
    "option of rows": ak.Array([[1.0, 2.0], [None, 3.0], [3.0, 4.0]]),
    "masked quantity": QTable({"a": Masked(A * units.GeV, [False, True, False]), "b": B}),
    "mask of astropy": Table(
        {"a": MaskedColumn([1.0, -999.0, 3.0], mask=[False, True, False]), "b": B}
    ),
}


KEPT = {"NA of a truth": [1.0, 1.0], "masked quantity": [1.5, 5.0]}


@pytest.mark.parametrize("name", GAPS)
def test_gaps_are_refused_or_dropped_and_never_filled(name: str) -> None:
    with pytest.raises(InputError, match=r"missing values .*: 1\}\), the first in row 1.*'drop'"):
        Events(GAPS[name])
    found = Events(GAPS[name], np.array([1.0, 2.0, 3.0]), group=["u", "v", "w"], missing="drop")
    assert found.x[:, 0].tolist() == KEPT.get(name, [1.0, 3.0])
    assert found.weights is not None
    assert found.weights.tolist() == [1.0, 3.0]
    assert found.n_groups == 2
    assert found.account is not None
    assert found.account.dropped == 1


LEFT_OUT: dict[str, tuple[Any, str, bool]] = {
    "text": ({"a": ["x", "y", "z"], "b": B}, "type", False),
    "numbers as text": ({"a": ["1", "2", "3"], "b": B}, "type", True),
    "strings": (pd.DataFrame({"a": pd.array(["x", "y", "z"], dtype="string"), "b": B}), "", False),
    "categories": (pd.DataFrame({"a": pd.Categorical(["x", "y", "x"]), "b": B}), "", False),
    "polars categories": (
        pl.DataFrame({"a": pl.Series(["x", "y", "x"], dtype=pl.Categorical), "b": B}),
        "dictionary",
        False,
    ),
    "polars enumeration": (
        pl.DataFrame({"a": pl.Series(["x", "y", "x"], dtype=pl.Enum(["x", "y"])), "b": B}),
        "dictionary",
        False,
    ),
    "mixed": (pd.DataFrame({"a": np.array([1.5, "x", "y"], object), "b": B}), "object", False),
    "dates": (pd.DataFrame({"a": pd.to_datetime(["2020-01-01", None, None]), "b": B}), "", False),
    "NaT": ({"a": np.array(["2020", "NaT", "NaT"], "M8[D]"), "b": B}, "datetime64", False),
    "Python dates": ({"a": [dt.date(2020, 1, 1)] * 3, "b": B}, "", False),
    "complex": ({"a": A + 1j, "b": B}, "complex128", True),
    "pandas complex": (pd.DataFrame({"a": A + 1j, "b": B}), "complex128", True),
    "jagged": (ak.Array({"a": ak.Array([[1.0], [], [2.0, 3.0]]), "b": B}), "unequal", False),
    "ragged": ({"a": [[1], [1, 2], [3]], "b": B}, "unequal lengths", False),
    "records": (ak.Array({"a": ak.Array({"c": A}), "b": B}), "", False),
    "matrix": ({"a": X, "b": B}, "shape (3, 2)", True),
    "no array": ({"a": object(), "b": B}, "an object", False),
    "128 bits": (pl.DataFrame({"a": pl.Series([1, 2, 3], dtype=pl.Int128), "b": B}), "", True),
}


@pytest.mark.parametrize("name", LEFT_OUT)
def test_what_is_no_number_is_left_out_and_accounted_for(name: str) -> None:
    value, reason, doubtful = LEFT_OUT[name]
    found = Events(value)
    assert found.names == ("b",)
    assert found.account is not None
    (column,) = found.account.left_out
    assert column.name == "a"
    assert reason in column.reason
    assert column.doubtful is doubtful
    with pytest.raises(InputError, match="column 'a'"):
        Events(value, names=["a", "b"])


BIG = 2**53 + 1
REFUSED: dict[str, tuple[Any, str]] = {
    "None": (None, "events: got None; expected a path, a frame"),
    "number": (3, "got an int"),
    "function": (len, "got a builtin"),
    "bytes": (b"events.npz", "got a bytes"),
    "set": ({1.0, 2.0}, "got a set"),
    "generator": ((row for row in X), r"got a generator.*list\(x\)"),
    "no path": ("events", "unknown file format"),
    "no file": ("missing.npz", "no such file"),
    "no files": (["missing.npz", "missing too.npz"], "missing.npz: got no such file"),
    "vector": (A, r"got an array of shape \(3,\).*np.reshape"),
    "list of numbers": ([1.0, 2.0], r"shape \(2,\)"),
    "array of Python": (array.array("d", [1.0, 2.0]), r"shape \(2,\)"),
    "series": (pd.Series(A), r"shape \(3,\)"),
    "polars series": (pl.Series(A), r"shape \(3,\)"),
    "Arrow array": (pa.array(A), r"shape \(3,\)"),
    "cube": (X[None], r"shape \(1, 3, 2\)"),
    "frames": ([NAMED["pandas"]] * 2, r"shape \(2, 3, 2\)"),
    "ragged": ([[1.0, 2.0], [3.0]], "a list with rows of unequal lengths"),
    "jagged": (ak.Array([[1.0], [1.0, 2.0]]), "rows of unequal lengths"),
    "awkward record": (ak.Record({"a": 1.0}), "got a Record"),
    "sparse": (sparse.csr_matrix(X), r"got a csr_matrix.*x.toarray\(\)"),
    "sparse array": (sparse.coo_array(X), r"x.toarray\(\)"),
    "sparse tensor": (torch.tensor(X).to_sparse(), "Tensor.to_dense"),
    "meta tensor": (torch.ones((2, 2), device="meta"), "meta tensor"),
    "complex": (X + 1j, "type complex128"),
    "complex tensor": (torch.tensor(X + 1j), "type complex128"),
    "NaT": (np.array([["2020", "NaT"]], "M8[D]"), "type datetime64"),
    "text": (np.array([["1.0", "2.0"]]), "type <U3"),
    "mixed": (np.array([[1.0, "x"]], dtype=object), "objects of the types float, str"),
    "rows as dicts": ([{"a": 1.0}, {"a": 2.0}], "objects of the types dict.*DataFrame"),
    "integers": (np.array([[BIG, 1]]), r"beyond 2\*\*53"),
    "unsigned": (np.array([[2**64 - 1, 1]], np.uint64), r"beyond 2\*\*53"),
    "integers as objects": (np.array([[BIG, 1]], object), rf"such as {BIG}, beyond"),
    "integers beside decimals": ([[BIG, 1.5]], rf"such as {BIG}, beyond"),
    "column of integers": ({"a": [BIG, 1]}, rf"column 'a': got integers such as {BIG}"),
    "integers beside NA": ({"a": pd.Series([BIG, None], dtype="Int64")}, "beyond"),
    "integers beside null": ({"a": pl.Series([BIG, None])}, "column 'a'.*beyond"),
    "integers of a dict": ({"a": [BIG, 1.5], "b": [1, 2]}, f"column 'a': got .*{BIG}"),
    "names twice": (pd.DataFrame(X, columns=["a", "a"]), "repeated columns 'a'"),
    "names twice as text": ({0: A, "0": B}, "repeated columns '0'"),
    "Arrow names twice": (pa.Table.from_arrays([pa.array(A)] * 2, names=["a", "a"]), "repeated"),
    "levels": (pd.DataFrame(X, columns=pd.MultiIndex.from_product([["a"], ["b", "c"]])), "_'.join"),
    "no name": (pd.DataFrame(X, columns=["a", None]), "the column name nan"),
    "number as name": ({1.5: A}, "the column name 1.5"),
    "lazy": (pl.LazyFrame({"a": A}), r"got a LazyFrame.*frame.collect\(\)"),
    "data set": (pyarrow.dataset.dataset(NAMED["Arrow table"]), r"x.to_table\(\)"),
    "no columns": (pd.DataFrame(), "no numeric feature"),
    "no rows": (pd.DataFrame({"a": []}), "no events"),
    "empty dict": ({}, "no numeric feature"),
    "lengths": ({"a": [1.0, 2.0], "b": [1.0]}, r"lengths \{'a': 2, 'b': 1\}"),
    "records in a matrix": (np.zeros((2, 2), [("a", "f8")]), r"records of shape \(2, 2\)"),
    "weights by name": ({"a": A, "genWeight": B}, "'genWeight' whose role is not stated"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_refused_by_name(name: str) -> None:
    value, message = REFUSED[name]
    with pytest.raises(InputError, match=message):
        Events(value)
    with pytest.raises(InputError, match=f"^reference: .*{message.removeprefix('events: ')}"):
        as_events(value, "reference")


def test_remedies_say_whose_arguments_they_mean() -> None:
    with pytest.raises(
        InputError, match=r"^truth: .*weights='weight'.* \(arguments of vs.Events\)\.$"
    ):
        as_events({"a": A, "weight": B}, "truth")


def test_open_files_are_refused_because_nothing_checks_them(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["a"] = A
        with pytest.raises(InputError, match="an open File of h5py; expected the path"):
            Events(file)
        with pytest.raises(InputError, match="an open Dataset of h5py"):
            Events({"a": file["a"]}, names=["a"])


@pytest.mark.parametrize("value", [None, 3, [], b"x.npz", [X, X], X])
def test_reading_what_is_no_file_is_an_input_error(value: Any) -> None:  # noqa: ANN401
    with pytest.raises(InputError):
        read_events(value)


def test_names_may_come_in_any_sequence() -> None:
    several: list[Any] = [["a", "b"], ("a", "b"), np.array(["a", "b"]), pd.Index(["a", "b"])]
    for names in (*several, iter("ab")):
        assert Events(X, names=names).names == ("a", "b")
    found = Events(X, features=several[2]).names
    assert found == ("a", "b")
    assert {type(name) for name in found} == {str}
    for wrong in ("ab", 3, [1, 2], ["a", None], []):
        with pytest.raises(InputError, match="expected a sequence of"):
            Events(X, names=wrong)  # type: ignore[arg-type]
        with pytest.raises(InputError, match="expected a sequence of"):
            Events(X, features=wrong)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="ignore: got 'ab'"):
        Events(NAMED["dict"], ignore="ab")


WEIGHTS: dict[str, Callable[[list[float]], Any]] = {
    "list": list,
    "tensor": lambda w: torch.tensor(w, requires_grad=True),
    "series": pd.Series,
    "polars": pl.Series,
    "Arrow": pa.array,
    "awkward": ak.Array,
    "objects": lambda w: np.array(w, dtype=object),
    "unmasked": np.ma.array,
}


@pytest.mark.parametrize("form", WEIGHTS)
def test_weights_come_in_any_form(form: str) -> None:
    for x in (X, NAMED["pandas"]):
        found = Events(x, WEIGHTS[form]([1.0, -2.0, 3.0]))
        assert found.weights is not None
        assert found.weights.tolist() == [1.0, -2.0, 3.0]


@pytest.mark.parametrize(
    "weights",
    [
        np.ma.array([1.0, -999.0, 2.0], mask=[False, True, False]),
        pd.Series([1, None, 2], dtype="Int64"),
        pl.Series([1, None, 2]),
        pa.array([1, None, 2]),
        ak.Array([1.0, None, 2.0]),
        [1.0, None, 2.0],
        [1.0, np.nan, 2.0],
        np.ones(3) + 1j,
        np.array(["NaT"] * 3, "M8[D]"),
        [BIG, 1.5, 2.0],
        list("abc"),
        1.0,
        pytest.param((1.0 for _ in range(3)), id="generator"),
        np.ones(2),
    ],
    ids=str,
)
def test_unusable_weights_are_refused(weights: Any) -> None:  # noqa: ANN401  (whatever users hold)
    with pytest.raises(InputError, match=r"^events\.weights: "):
        Events(X, weights)
    with pytest.raises(InputError, match="weights"):
        Events(NAMED["pandas"], weights)


@pytest.mark.parametrize(
    "labels",
    [
        pd.Series(["u", "u", "v"]),
        pd.Categorical(["u", "u", "v"]),
        pl.Series(["u", "u", "v"]),
        torch.tensor([4, 4, 2]),
        ak.Array([4, 4, 2]),
        pd.Series([2**60, 2**60, 2**60 + 1]),
        [2**70, 2**70, 1],
    ],
    ids=str,
)
def test_groups_come_in_any_form(labels: Any) -> None:  # noqa: ANN401  (whatever users hold)
    for x in (X, NAMED["pandas"]):
        found = Events(x, group=labels).group
        assert found is not None
        assert found.tolist() == [0, 0, 1]


def test_masked_labels_are_refused() -> None:
    for labels in (
        np.ma.array([1, 1, 2], mask=[False, False, True]),
        pd.Series([1, 1, None], dtype="Int64"),
    ):
        with pytest.raises(InputError, match="events.group: got masked labels"):
            Events(X, group=labels)


def test_events_do_not_change_with_what_they_were_made_of_nor_change_it() -> None:
    x, w, g = X.copy(), np.array([1.0, 2.0, 3.0]), np.array([1, 1, 2])
    tensor, frame = torch.tensor(X), pd.DataFrame(X, columns=["a", "b"])
    column = A.copy()
    made = [
        Events(x, w, group=g),
        Events(tensor),
        Events(frame),
        Events({"a": column, "b": B}, w, group=g),
    ]
    before = [events.digest for events in made]
    assert all(array.flags.writeable for array in (x, w, g, column))
    x[:], w[:], g[:], column[:] = 0.0, 0.0, 0, 0.0
    tensor[:] = 0.0
    frame.iloc[:] = 0.0
    again = [
        Events(events.x, events.weights, features=events.features, group=events.group)
        for events in made
    ]
    assert [events.digest for events in again] == before
    assert not made[0].x.flags.writeable


def test_events_of_events_keep_what_is_not_given_anew() -> None:
    events = Events(X, [1.0, 2.0, 3.0], names=["a", "weight"], group=[5, 5, 6])
    assert Events(events).digest == events.digest
    assert Events(events, np.ones(3)).weights is not None
    assert Events(events, names=["weight"]).digest == events.select(["weight"]).digest
    assert Events(events, ignore=["a"]).names == ("weight",)
    read = Events(NAMED["pandas, rows by number"])
    assert Events(read).account == read.account


def test_a_list_of_samples_is_told_from_one() -> None:
    frame = NAMED["pandas"]
    assert [found.names for found in as_samples([frame, X], "members")] == [
        ("a", "b"),
        ("x0", "x1"),
    ]
    whatever: list[Any] = [frame, X, Events(X), "sample.npz", {"a": A}, None]
    for alone in whatever:
        with pytest.raises(InputError, match=r"^members: .*a sequence of samples.*members=\["):
            as_samples(alone, "members")
    with pytest.raises(InputError, match=r"^members\[1\]: missing.npz: got no such file"):
        as_samples([frame, "missing.npz"], "members")


def test_columns_with_names_are_matched_and_others_taken_in_order() -> None:
    features = Events(X, names=["b", "a"]).features
    np.testing.assert_array_equal(matched_values(NAMED["pandas"], features, "x"), X[:, ::-1])
    np.testing.assert_array_equal(matched_values(X, features, "x"), X)


def test_a_nameless_sample_beside_a_named_one_is_told_how_to_name_it() -> None:
    named, bare = Events(X, names=["m", "pt"]), Events(X)
    for first, second in ((named, bare), (bare, named)):
        with pytest.raises(InputError, match=r"vs.Events\(x, names=\['m', 'pt'\]\)"):
            first.overlap(second)
    assert Events(pd.DataFrame(X)).nameless


def test_what_is_held_is_typed() -> None:
    held_by_users: list[Held] = ["x.npz", ["x.npz"], {"a": A}, X, X.tolist(), NAMED["pandas"]]
    assert len(held_by_users) == 6


def test_fractions_are_rounded_as_their_decimals_are() -> None:
    found = Events({"a": [Fraction(1, 3), Decimal("0.1"), 2]})
    assert found.x[:, 0].tolist() == [1.0 / 3.0, 0.1, 2.0]


def test_what_polars_cannot_hand_on_is_told_and_ends_nothing() -> None:
    named = pl.Series("a\0b", [1.0, 2.0])
    assert Events({"x": named}).column("x").tolist() == [1.0, 2.0]
    assert Events(pl.DataFrame([named])).names == ("a\0b",)


def test_words_of_odd_types_are_told() -> None:
    with pytest.raises(InputError, match="missing"):
        Events(X, missing=np.zeros((2, 2)))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="specs: got"):
        read_events("z.csv", specs={3: Feature("m")})  # type: ignore[dict-item]
