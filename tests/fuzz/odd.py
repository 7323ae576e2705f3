"""Odd words, names, types and columns, of which files and values in memory are put together."""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa

T = TypeVar("T")

NAMES = (
    "", " ", "mass", "Mass", "mass ", "\0", "a\0b", "é", "e\u0301", "😀", "\u202e", "\ud800",
    "a,b", 'a"b', "a/b", "..", ".", "/", "weight", "genWeight", "group", "index",
    "__index_level_0__", "x0", "unnamed0", "a:b", "a=b", "[0]", "Muon_pt[0]", "*", "?", "%s",
    "{0}", "\n", "\t", "x" * 300, "x" * 5000, "nan", "None", "0", "-1", "1e5", "True",
    "__class__", "self", "'; --", "\\", "$x$", "count(x)", "max(", "((((",
    "a" * 40 + "-" * 40, "\x7f", "\ufeffmass",
)  # fmt: skip

JSON_TEXTS = (
    b"", b"{}", b"[]", b"null", b"1", b'"x"', b"[1]", b"[null]", b"[[]]", b"[{}]", b"{", b"\xff",
    b'[{"name": "mass"}]', b'[{"name": "mass", "low": 2.0, "high": 1.0}]', b'[{"name": 7}]',
    b'[{"name": ""}]', b'[{"name": "mass", "kind": "odd"}]', b'[{"name": "mass", "low": "x"}]',
    b'[{"name": "mass", "unit": []}]', b'[{"name": "mass", "label": {"a": 1}}]',
    b'[{"name": "absent"}]', b'[{"name": "mass"}, {"name": "mass", "low": 0}]',
    b'[{"name": "mass", "transform": "log"}]', b'[{"name": "mass", "low": 1e400}]',
    b'[{"name": "mass", "high": NaN}]', b"[" * 3000, b'{"index_columns": ["mass"]}',
    b'{"index_columns": [{"kind": "range"}]}', b'{"index_columns": null}',
    b'{"index_columns": "mass"}', b'{"index_columns": 5}',
    b'[{"name": "mass", "low": ' + b"9" * 5000 + b"}]", b'[{"name": "mass", "kind": ["x"]}]',
    b'[{"name": "mass", "unit": 5}]',
)  # fmt: skip


def pick(rng: np.random.Generator, options: Sequence[T]) -> T:
    """Return one of the options, as it is (a choice of NumPy would make an array of them)."""
    return options[int(rng.integers(len(options)))]


def pick_some(rng: np.random.Generator, options: Sequence[T]) -> list[T]:
    """Return some of the options, none of them twice."""
    return [option for option in options if rng.random() < 0.4]


_DAY = datetime.date(2026, 11, 29)
_TIME = datetime.datetime(2026, 11, 29, 12, 30, tzinfo=datetime.UTC)


def arrow_column(rng: np.random.Generator, n: int) -> pa.Array:
    """Return a column of one of Arrow's types, some of its values null."""
    kind, values = pick(rng, _ARROW)
    gaps = rng.random() < 0.2
    cells = [None if gaps and rng.random() < 0.1 else pick(rng, values) for _ in range(n)]
    made = pa.array(cells, kind)
    return made.dictionary_encode() if rng.random() < 0.1 and _can_encode(kind) else made


def _can_encode(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_string(kind))


_ARROW: tuple[tuple[pa.DataType, tuple[Any, ...]], ...] = (
    (pa.float64(), (1.0, -0.0, 1e308, 5e-324)),
    (pa.float64(), (1.0, float("nan"), 2.0)),
    (pa.float64(), (1.0, float("inf"))),
    (pa.float32(), (1.5, 3e38)),
    (pa.float16(), (np.float16(1.5), np.float16(6e4))),
    (pa.int8(), (1, -128)),
    (pa.int64(), (1, 2**53, 5)),
    (pa.int64(), (1, 2**53 + 1, -(2**63))),
    (pa.uint64(), (1, 2**64 - 1)),
    (pa.uint32(), (1, 2**32 - 1)),
    (pa.bool_(), (True, False)),
    (pa.null(), (None,)),
    (pa.string(), ("a", "1.5", "", "é", "--")),
    (pa.string(), ("1", "2.5")),
    (pa.large_string(), ("a", "2")),
    (pa.string_view(), ("a", "2", "a much longer text than twelve")),
    (pa.binary(), (b"1", b"\xff\x00")),
    (pa.binary(3), (b"abc", b"\0\0\0")),
    (pa.decimal128(5, 2), (decimal.Decimal("1.25"), decimal.Decimal("-999.99"))),
    (pa.decimal128(38, 0), (decimal.Decimal(10) ** 37, decimal.Decimal(1))),
    (pa.decimal256(60, 2), (decimal.Decimal("1.25"),)),
    (pa.decimal128(38, 37), (decimal.Decimal("1.1234567890123456789"),)),
    (pa.date32(), (_DAY,)),
    (pa.timestamp("ns", "UTC"), (_TIME,)),
    (pa.time64("us"), (_TIME.time(),)),
    (pa.duration("s"), (datetime.timedelta(3),)),
    (pa.list_(pa.float64()), ([1.0], [], [1.0, 2.0], None)),
    (pa.list_(pa.float64(), 2), ([1.0, 2.0],)),
    (pa.struct([("a", pa.int32()), ("b", pa.string())]), ({"a": 1, "b": "x"},)),
    (pa.map_(pa.string(), pa.int32()), ([("a", 1)], [])),
)


def arrow_table(rng: np.random.Generator) -> pa.Table:
    """Return a table of odd columns, one in three with the names that are usually asked for."""
    n = int(rng.choice([0, 1, 2, 60]))
    usual = ["mass", "pt", "jets", "w", "event"]
    count = int(rng.integers(1, 6))
    if rng.random() < 0.6:
        names = usual
    else:
        names = [pick(rng, NAMES).encode(errors="replace").decode() for _ in range(count)]
    plain = rng.random() < 0.5  # so that something is read now and then
    made = [
        pa.array(rng.normal(size=n)) if plain and rng.random() < 0.8 else arrow_column(rng, n)
        for _ in names
    ]
    return pa.table(made, names=names)
