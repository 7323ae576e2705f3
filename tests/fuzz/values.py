"""Odd values in memory: dicts of arrays, frames, tables, tensors, matrices, weights and groups."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from fuzz.odd import NAMES, arrow_table, pick
from fuzz.words import odd_request

Exact = dict[str, npt.NDArray[np.float64]]
"""Columns whose values are known: whoever reads them has to give these."""


def _plain(rng: np.random.Generator, n: int) -> npt.NDArray[np.float64]:
    return rng.integers(-40, 40, n) / 4.0  # exact in half precision too


_CARRIERS: tuple[Callable[[npt.NDArray[np.float64]], Any], ...] = (
    lambda v: v,
    lambda v: v.astype("f4"),
    lambda v: v.astype(">f8"),
    lambda v: v.astype("f2"),
    lambda v: v.astype(np.longdouble),
    lambda v: v.tolist(),
    lambda v: tuple(v.tolist()),
    lambda v: np.ma.MaskedArray(v),
    lambda v: np.repeat(v, 2)[::2],
    lambda v: v[::-1].copy()[::-1],
    lambda v: v[:, None],
    lambda v: [str(one) for one in v],
    lambda v: np.array([str(one) for one in v]),
    lambda v: np.array(v.tolist(), dtype=object),
    lambda v: [Fraction(one) for one in v.tolist()],
)
"""Ways to hold numbers that do not change them."""


def _odd_column(rng: np.random.Generator, n: int) -> object:
    v = _plain(rng, n)
    whole = v.astype(np.int64)
    makers: tuple[Callable[[], Any], ...] = (
        lambda: v + 1j,
        lambda: v > 0,
        lambda: whole + 2**60,
        lambda: whole.astype(np.uint64) + np.uint64(2**63),
        lambda: whole.view("M8[D]"),
        lambda: np.array(["NaT"] * n, "m8[s]"),
        lambda: np.where(v > 5, np.nan, v),
        lambda: np.where(v > 5, np.inf, v),
        lambda: np.ma.masked_where(v > 5, v),
        lambda: np.ma.masked_where(v > -99, v),
        lambda: np.array([None] * n, dtype=object),
        lambda: np.array([None, "x", 1.5, b"y", object()] * n, dtype=object)[:n],
        lambda: [[1.0], [1.0, 2.0]] * (n // 2),
        lambda: np.zeros((n, 3)),
        lambda: np.zeros((n, 2, 2)),
        lambda: np.zeros((n, 0)),
        lambda: np.float64(3.0),
        lambda: 7,
        lambda: "text",
        lambda: b"bytes",
        lambda: None,
        lambda: [],
        lambda: np.zeros(0),
        lambda: v[: n // 2],
        lambda: {"a": v},
        lambda: range(n),
        lambda: (one for one in v),
        lambda: set(v.tolist()),
        lambda: np.zeros(n, [("a", "f8"), ("b", "i4")]),
        lambda: np.zeros(n, "V8"),
        lambda: np.array([b"1", b"\xff"] * n)[:n],
        lambda: np.array(["1", "é", "\0"] * n)[:n],
        lambda: [2**2000] * n,
        lambda: [datetime.datetime(2026, 11, 29, tzinfo=datetime.UTC)] * n,
        lambda: np.full(n, 1e308) * np.longdouble(1e10),
        lambda: object(),
        lambda: memoryview(v.tobytes()),
        lambda: np.matrix(v),
        lambda: np.array([v, v], dtype=object),
        lambda: np.array([np.zeros(2)] * n + [None], dtype=object)[:n],
        lambda: np.broadcast_to(np.float64(1.0), n),
        lambda: np.lib.stride_tricks.as_strided(v[:1], (n,), (0,)),
        lambda: np.zeros(n, np.dtypes.StringDType()),
    )
    return pick(rng, makers)()


def _columns(rng: np.random.Generator) -> tuple[dict[Any, Any], Exact]:
    n = int(rng.choice([1, 2, 60, 60, 60]))
    names: list[Any] = ["mass", "pt", "jets", "w", "event"]
    if rng.random() < 0.3:
        names = [pick(rng, (*NAMES, 1, None, ("a", "b"), 1.5, b"x")) for _ in range(3)]
    clean = rng.random() < 0.3
    held: dict[Any, Any] = {}
    exact: Exact = {}
    for name in names:
        exact.pop(str(name), None)  # the last of a name counts
        if clean or rng.random() < 0.75:
            v = _plain(rng, n)
            held[name], exact[str(name)] = pick(rng, _CARRIERS)(v), v
        else:
            held[name] = _odd_column(rng, n)
    return held, exact if len({str(name) for name in held}) == len(held) else {}


def _or_else(make: Callable[[], Any], instead: object) -> object:
    """Return a value that another library makes, or the other one where it refuses or panics."""
    try:
        return make()
    except KeyboardInterrupt:
        raise
    except BaseException:  # a panic of polars is no Exception
        return instead


def _dict(rng: np.random.Generator) -> tuple[Any, Exact]:
    return _columns(rng)


def _structured(rng: np.random.Generator) -> tuple[Any, Exact]:
    kinds = ("f8", ">f4", "i8", "?", "S3", "U2", "c16", "M8[s]", "(2,)f8", "V4", "O", "f2")
    fields = [(name, pick(rng, kinds)) for name in ("mass", "pt", "jets", "w", "event")]
    shape: Any = pick(rng, (60, 1, 0, (60, 2), ()))
    table = np.zeros(shape, fields)
    return (table.view(np.recarray) if rng.random() < 0.2 else table), {}


def _pandas(rng: np.random.Generator) -> tuple[Any, Exact]:
    import pandas as pd  # slow

    held, exact = _columns(rng)
    flat = {
        name: list(each)
        for name, each in held.items()
        if isinstance(each, list | tuple) or (isinstance(each, np.ndarray) and each.ndim == 1)
    }
    n = max(map(len, flat.values()), default=0)
    flat = {name: each for name, each in flat.items() if len(each) == n > 0}
    plain = pd.DataFrame({"mass": [1.0]})
    frame: Any = _or_else(lambda: pd.DataFrame(flat), plain)
    exact = {name: values for name, values in exact.items() if name in frame}
    changes: tuple[Callable[[], Any], ...] = (
        lambda: frame,
        lambda: frame.convert_dtypes(),
        lambda: frame.astype("category"),
        lambda: frame.astype(object),
        lambda: frame.set_index(frame.columns[0]),
        lambda: pd.concat([frame, frame], axis=1),
        lambda: frame.iloc[::-1],
        lambda: frame.iloc[:0],
        lambda: frame.iloc[:, :0],
        lambda: pd.concat({"a": frame, "b": frame}, axis=1),
        lambda: frame.iloc[:, 0],
        lambda: frame.T,
        lambda: frame.assign(day=pd.Timestamp("2026-11-29"), part=pd.Period("2026-11")),
        lambda: frame.assign(cut=pd.cut(np.linspace(0.0, 1.0, len(frame)), 3)),
        lambda: frame.astype(str),
        lambda: frame.assign(thin=pd.arrays.SparseArray(np.zeros(len(frame)))),
        lambda: frame.groupby(lambda row: row % 2),
    )
    j = int(rng.integers(len(changes)))
    return _or_else(changes[j], frame), exact if j < 2 else {}


def _polars(rng: np.random.Generator) -> tuple[Any, Exact]:
    import polars as pl

    table = arrow_table(rng)
    plain = pl.DataFrame({"mass": [1.0, None], "pt": ["a", "b"]})
    frame: Any = _or_else(lambda: pl.DataFrame(table), plain)
    changes: tuple[Callable[[], Any], ...] = (
        lambda: frame, lambda: frame.lazy(), lambda: frame[:0], lambda: frame.to_series(0),
        lambda: frame.select(pl.all().cast(pl.String, strict=False)), lambda: frame.to_dict(),
        lambda: frame.with_columns(pl.lit(None).alias("void"), pl.lit(object(), pl.Object)),
    )  # fmt: skip
    return _or_else(pick(rng, changes), plain), {}


def _arrow(rng: np.random.Generator) -> tuple[Any, Exact]:
    table = arrow_table(rng)
    changes: tuple[Callable[[], Any], ...] = (
        lambda: table,
        lambda: table.slice(1),
        lambda: table.to_batches(max_chunksize=7),
        lambda: table.column(0),
        lambda: table.append_column("mass", table.column(0)),
        lambda: table.to_pydict(),
        lambda: table.to_pylist(),
        lambda: table.select([]),
        lambda: table.combine_chunks(),
    )
    return _or_else(pick(rng, changes), table), {}


def _awkward(rng: np.random.Generator) -> tuple[Any, Exact]:
    import awkward as ak

    records: tuple[Callable[[], Any], ...] = (
        lambda: ak.Array([{"mass": 1.0, "pt": 2}, {"mass": 3.0, "pt": 4}]),
        lambda: ak.Array([{"mass": 1.0, "jets": [1.0, 2.0]}, {"mass": 2.0, "jets": []}]),
        lambda: ak.Array([{"mass": None}, {"mass": 2.0}]),
        lambda: ak.Array([{"mass": "a"}, {"mass": 2.0}]),
        lambda: ak.Array([{"mass": {"x": 1.0}}, {"mass": {"x": 2.0}}]),
        lambda: ak.Array([[{"mass": 1.0}], []]),
        lambda: ak.Array([{"mass": 1.0}, None]),
        lambda: ak.Array([1.0, 2.0]),
        lambda: ak.Array([[1.0], [2.0, 3.0]]),
        lambda: ak.Array([]),
        lambda: ak.Array([(1.0, 2.0), (3.0, 4.0)]),
        lambda: ak.Record({"mass": 1.0}),
        lambda: ak.Array({"mass": np.arange(4), "w": ["a", "b", "c", "d"]}),
        lambda: ak.Array({"mass": np.arange(4) + 1j}),
        lambda: ak.Array({"mass": np.zeros((4, 2)), "pt": np.arange(4)}),
        lambda: ak.Array({"mass": np.array(["2026-11-29"] * 4, "M8[s]")}),
    )
    return _or_else(pick(rng, records), {}), {}


def _torch(rng: np.random.Generator) -> tuple[Any, Exact]:
    import torch

    x = torch.tensor(np.column_stack([_plain(rng, 60), _plain(rng, 60)]))
    tensors: tuple[Callable[[], Any], ...] = (
        lambda: x,
        lambda: x.clone().requires_grad_(),
        lambda: x.bfloat16(),
        lambda: x.half(),
        lambda: x.to_sparse(),
        lambda: x.bool(),
        lambda: x + 1j,
        lambda: x.to(torch.complex64).conj(),
        lambda: x[:, 0],
        lambda: x[0, 0],
        lambda: x[:0],
        lambda: x.to("meta"),
        lambda: torch.quantize_per_tensor(x.float(), 0.1, 0, torch.qint8),
        lambda: x.to(torch.float8_e5m2),
        lambda: {"mass": x[:, 0], "pt": x[:, 1].requires_grad_()},
        lambda: [x, x],
        lambda: torch.nested.nested_tensor([x[0], x[1, :1]]),
        lambda: x.to(torch.int64) + 2**60,
    )
    return _or_else(pick(rng, tensors), x), {}


def _matrix(rng: np.random.Generator) -> tuple[Any, Exact]:
    x = np.column_stack([_plain(rng, 60), _plain(rng, 60)])
    matrices: tuple[Callable[[], Any], ...] = (
        lambda: pick(rng, _CARRIERS)(x[:, 0]),
        lambda: _odd_column(rng, 60),
        lambda: x.astype(pick(rng, ("f2", "f4", ">f8", "i8", "c16", "O", "U8", "?", "g"))),
        lambda: x.tolist(),
        lambda: x.T,
        lambda: np.ma.masked_where(x > 5, x),
        lambda: np.ma.MaskedArray(x),
        lambda: np.where(x > 5, np.nan, x),
        lambda: np.asfortranarray(x),
        lambda: [1.0, 2.0],
        lambda: 5.0,
        lambda: [],
        lambda: [[]],
        lambda: [x, x],
        lambda: ["absent.csv"],
        lambda: "absent.csv",
        lambda: "",
        lambda: iter(x),
        lambda: type,
    )
    return pick(rng, matrices)(), {}


_MAKERS = (_dict, _dict, _dict, _structured, _pandas, _polars, _arrow, _awkward, _torch, _matrix)


def odd_value(rng: np.random.Generator) -> tuple[Any, dict[str, Any], Exact]:
    """Return a value, keywords of `Events`, and the columns whose numbers are known."""
    value, exact = pick(rng, _MAKERS)(rng)
    asked: dict[str, Any] = {}
    if rng.random() < 0.5:
        asked = dict(pick(rng, _ASKED))
    if rng.random() < 0.1:
        asked = odd_request(asked, rng)
        asked.pop("specs", None)  # `features` says it all here
    if rng.random() < 0.1:
        asked[pick(rng, ("weights", "group"))] = _odd_column(rng, 60)
    if rng.random() < 0.1:
        asked["names"] = pick(
            rng, (["a", "b"], ["a"], ["a", "a"], "ab", [""], [1, 2], [], ("é", "b"))
        )
    return value, asked, exact


_ASKED: tuple[dict[str, Any], ...] = (
    {"missing": "drop"},
    {"features": ["mass", "pt"]},
    {"features": ["mass", "pt"], "weights": "w"},
    {"weights": "w", "group": "event"},
    {"weights": "w", "ignore": ["event"], "missing": "drop"},
    {"ignore": ["jets"]},
)
