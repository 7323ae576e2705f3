from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest

from verisimile.core.errors import InputError
from verisimile.data.events import Events

CASES = Path(__file__).parents[2] / "cases"


@pytest.fixture(params=["table", "parquet", "feather", "stream"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> object:
    """Return a way to keep a table: in memory or in a file."""

    def keep(table: pa.Table) -> object:
        path = tmp_path / {"stream": "z.arrow"}.get(request.param, f"z.{request.param}")
        if request.param == "parquet":
            pa.parquet.write_table(table, path)
        elif request.param == "feather":
            pa.feather.write_feather(table, path, compression="lz4")
        elif request.param == "stream":
            with pa.ipc.new_stream(path, table.schema) as stream:
                stream.write_table(table, max_chunksize=2)
        return table if request.param == "table" else path

    return keep


def events(kept: object, column: pa.Array, **asked: object) -> Events:
    table = pa.table({"m": pa.array(np.arange(float(len(column)))), "z": column})
    return Events(kept(table), **asked)  # type: ignore[arg-type,operator]


DIGITS = ["1.5", "-0.1", "123456789.123456789", "0.30000000000000004"]
DOUBLES = [float(digits) for digits in DIGITS]
NUMBERS = {
    "decimal128": (pa.array(map(Decimal, DIGITS), pa.decimal128(30, 17)), DOUBLES),
    "decimal256": (pa.array(map(Decimal, DIGITS), pa.decimal256(60, 20)), DOUBLES),
    "whole decimals": (pa.array([Decimal(2**53), Decimal(-3)], pa.decimal128(38, 0)), [2**53, -3]),
    "half floats": (pa.array(np.array([0.5, 1e-3], np.float16)), np.array([0.5, 1e-3], np.float16)),
    "unsigned": (pa.array([0, 2**53], pa.uint64()), [0, 2**53]),
    "truths": (pa.array([True, False]), [1, 0]),
    "dictionary": (pa.array([2.5, -1.0, 2.5]).dictionary_encode(), [2.5, -1.0, 2.5]),
    "lists of one": (pa.array([[1.0], [2.0]], pa.list_(pa.float64(), 1)), [1, 2]),
    "no rows in a chunk": (pa.chunked_array([[1.0], [], [2.0]], pa.float64()), [1, 2]),
}


@pytest.mark.parametrize(("column", "values"), NUMBERS.values(), ids=NUMBERS)
def test_numbers_of_every_type(kept: object, column: pa.Array, values: object) -> None:
    expected = np.array(list(values), np.float64)  # type: ignore[call-overload]
    np.testing.assert_array_equal(events(kept, column).column("z"), expected)


@pytest.mark.parametrize(
    "kind",
    [pa.float16(), pa.uint64(), pa.bool_(), pa.decimal128(20, 3), pa.decimal128(38, 0)],
    ids=str,
)
def test_a_null_is_missing_in_every_type(kept: object, kind: pa.DataType) -> None:
    one = Decimal(1) if pa.types.is_decimal(kind) else pa.types.is_boolean(kind) or 1
    column = pa.array([one, None, None], kind)
    with pytest.raises(InputError, match=r"column 'z': .*'z': 2\}.*in row 1"):
        events(kept, column)
    assert events(kept, column, missing="drop").column("z").tolist() == [1.0]


@pytest.mark.parametrize(
    "column",
    [
        pa.array([2**53 + 1], pa.uint64()),
        pa.array([2**64 - 1], pa.uint64()),
        pa.array([-(2**53) - 1]),
        pa.array([Decimal(2**53 + 1)], pa.decimal128(38, 0)),
        pa.array([2**60]).dictionary_encode(),
    ],
    ids=["uint64", "largest", "int64", "decimal", "dictionary"],
)
def test_integers_that_no_double_holds_are_refused(kept: object, column: pa.Array) -> None:
    with pytest.raises(InputError, match=r"'z': got integers such as -?\d+, beyond"):
        events(kept, column)


DAY = datetime(2026, 1, 1, tzinfo=UTC)
OTHERS = {
    "date": (pa.array([date(2026, 1, 1)] * 2), False),
    "instant": (pa.array([DAY] * 2), False),
    "time": (pa.array([time(12, 30)] * 2), False),
    "duration": (pa.array([timedelta(1)] * 2), False),
    "null": (pa.array([None, None]), False),
    "no word": (pa.array([None, None], pa.string()), False),
    "words": (pa.array(["a", None]), False),
    "categories": (pa.array(["a", "b"]).dictionary_encode(), False),
    "digits": (pa.array(["1.5", "2.5"]), True),
    "categories of digits": (pa.array(["1.5", None]).dictionary_encode(), True),
    "bytes": (pa.array([b"ab", b"cd"]), False),
    "lists": (pa.array([[1.0], [2.0, 3.0]]), False),
    "pairs": (pa.array([[1.0, 2.0]] * 2, pa.list_(pa.float64(), 2)), True),
    "records": (pa.array([{"x": 1.0}] * 2), False),
    "own type": (pa.ExtensionArray.from_storage(pa.bool8(), pa.array([1, 0], pa.int8())), True),
}


@pytest.mark.parametrize(("column", "doubtful"), OTHERS.values(), ids=OTHERS)
def test_what_is_no_number_is_left_out_with_the_reason(
    kept: object, column: pa.Array, doubtful: bool
) -> None:
    found = events(kept, column)
    assert found.names == ("m",)
    assert found.account is not None
    (left,) = found.account.left_out
    assert left.name == "z"
    assert left.reason
    assert left.doubtful == doubtful
    with pytest.raises(InputError, match="column 'z': got"):
        events(kept, column, names=("m", "z"))


def test_names_that_repeat_are_refused(kept: object) -> None:
    table = pa.table([[1.0], [2.0]], names=["m", "m"])
    with pytest.raises(InputError, match="repeated columns 'm'"):
        Events(kept(table))  # type: ignore[operator]


def test_the_index_that_pandas_declares_is_left_out() -> None:
    found = Events(CASES / "row_index.parquet")
    assert found.account is not None
    assert [left.name for left in found.account.left_out] == ["__index_level_0__"]
    assert found.names == ("m",)


def test_weights_by_another_name_ask_to_be_claimed() -> None:
    with pytest.raises(InputError, match="a column 'genWeight' whose role is not stated"):
        Events(CASES / "gen_weight.npz")
    weights = Events(CASES / "gen_weight.npz", "genWeight").weights
    assert weights is not None
    assert weights.tolist() == [1.0, -1.0, 1.0]


def test_columns_of_a_packed_file_are_unpacked_one_by_one(tmp_path: Path) -> None:
    columns = {f"c{j}": np.arange(3.0) + j for j in range(5)}
    pa.feather.write_feather(pa.table(columns), tmp_path / "z.feather", chunksize=2)
    found = Events(tmp_path / "z.feather", names=("c4", "c1"))
    np.testing.assert_array_equal(found.x, np.column_stack([columns["c4"], columns["c1"]]))
