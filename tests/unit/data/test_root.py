"""ROOT as it is: lists of objects, friends, cycles, titles, trees and ntuples of real layouts."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import awkward as ak
import numpy as np
import pyarrow as pa
import pytest
import uproot
import uproot.writing._cascadentuple
import uproot.writing._cascadetree
import xxhash

from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.data.events import Events
from verisimile.data.feature import Feature
from verisimile.data.files import column_names, read_events, write_events
from verisimile.data.formats.root_columns import branch_names

Ragged = Any
"""An array of Awkward, which has no types."""

N = 200


def jagged(word: str, lengths: Ragged) -> Ragged:
    rng = Seeds(3).at(word).numpy()
    return ak.unflatten(rng.exponential(30.0, int(np.sum(lengths))).astype(np.float32), lengths)


def collections(n: int = N) -> dict[str, Any]:
    """Return events as NanoAOD has them: counters, lists of objects, triggers, weights."""
    rng = Seeds(2).at("nano", n).numpy()
    muons, jets = rng.integers(0, 3, n), rng.integers(0, 5, n)
    return {
        "run": np.full(n, 1, np.uint32),
        "Muon": ak.zip({"pt": jagged("muon", muons), "tight": jagged("tight", muons) > 20}),
        "Jet": ak.zip({"pt": jagged("jet", jets), "eta": jagged("eta", jets)}),
        "MET_pt": rng.exponential(40.0, n).astype(np.float32),
        "HLT_IsoMu24": rng.random(n) > 0.3,
        "genWeight": rng.choice([-1.0, 1.0], n),
        "p4": rng.normal(size=(n, 4)),
    }


EVENTS = collections()
MUON, JET, MET = EVENTS["Muon"].pt, EVENTS["Jet"].pt, EVENTS["MET_pt"].astype(float)
KINDS = {
    "run": "uint32", "Muon": 'var * {"pt": float32, "tight": bool}',
    "Jet": 'var * {"pt": float32, "eta": float32}', "MET_pt": "float32", "HLT_IsoMu24": "bool",
    "genWeight": "float64", "p4": np.dtype(("f8", (4,))),
}  # fmt: skip


def write_tree(path: Path, events: dict[str, Any], tree: str = "Events") -> str:
    with uproot.recreate(path) as file:
        file.mktree(tree, {name: KINDS[name] for name in events}).extend(events)
    return f"{path}:{tree}"


def write_ntuple(path: Path, events: dict[str, Any]) -> str:
    flat = {name: values for name, values in events.items() if name not in ("Muon", "Jet")}
    lists = {f"{n}_{f}": events[n][f] for n in ("Muon", "Jet") for f in events[n].fields}
    with uproot.recreate(path) as file:
        file.mkrntuple("Events", flat | lists)
    return f"{path}:Events"


@pytest.fixture(params=[write_tree, write_ntuple], ids=["TTree", "RNTuple"])
def nano(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(request.param(tmp_path / "nano.root", EVENTS))


FEATURES = {
    "count(Jet_pt)": ak.num(JET),
    "max(Jet_pt)": ak.max(JET, axis=1),
    "sum(Jet_pt[Jet_pt > 30])": ak.sum(JET[JET > 30], axis=1),
    "Sum$(Jet_pt) / 1000": ak.sum(ak.values_astype(JET, float), axis=1) / 1000,
    "Muon_pt[0]": ak.firsts(MUON),
    "Max$(Muon_pt[Muon_tight])": ak.max(MUON[MUON > -1][EVENTS["Muon"].tight], axis=1),
    "p4[2]": EVENTS["p4"][:, 2],
    "TMath::Sqrt(p4[0]^2 + p4[1]^2)": np.hypot(EVENTS["p4"][:, 0], EVENTS["p4"][:, 1]),
    "MET_pt": MET,
}


def test_lists_are_read_through_expressions(nano: str) -> None:
    events = read_events(nano, features=list(FEATURES), missing="drop")
    expected = {
        name: np.ma.filled(ak.to_numpy(v).astype(float), np.nan) for name, v in FEATURES.items()
    }
    x = np.column_stack(list(expected.values()))
    kept = ~np.isnan(x).any(axis=1)
    assert events.names == tuple(FEATURES)
    np.testing.assert_allclose(events.x, x[kept], rtol=1e-6)
    assert events.account is not None
    assert events.account.dropped == int((~kept).sum()) > 0
    missing = {name: int(np.isnan(v).sum()) for name, v in expected.items() if np.isnan(v).any()}
    assert events.account.missing == missing


def test_what_an_event_lacks_is_refused_and_never_invented(nano: str) -> None:
    none = int(ak.sum(ak.num(MUON) == 0))
    with pytest.raises(InputError, match=rf"'Muon_pt\[0\]': got missing values.*: {none}\}}"):
        read_events(nano, features=["Muon_pt[0]", "MET_pt"])
    assert read_events(nano, features=["count(Muon_pt)", "sum(Muon_pt)"]).n == N


@pytest.mark.parametrize(
    ("cut", "passed"),
    [
        ("count(Jet_pt) >= 2 && MET_pt > 30", (ak.num(JET) >= 2) & (MET > 30)),
        ("HLT_IsoMu24", EVENTS["HLT_IsoMu24"]),
        ("HLT_IsoMu24 && !(any(Jet_pt > 50))", EVENTS["HLT_IsoMu24"] & ~ak.any(JET > 50, axis=1)),
        ("count(Muon_pt) > 0 && Muon_pt[0] > 20", ak.fill_none(ak.firsts(MUON) > 20, value=False)),
        ("Sum$(Jet_pt > 30) >= 1", ak.sum(JET > 30, axis=1) >= 1),
        ("abs(p4[0]) < 1 and MET_pt > 3", (np.abs(EVENTS["p4"][:, 0]) < 1) & (MET > 3)),
    ],
)
def test_cuts_are_applied_when_reading(nano: str, cut: str, passed: Ragged) -> None:
    rows = np.asarray(passed)
    events = read_events(nano, features=["MET_pt"], weights="genWeight", cut=cut)
    np.testing.assert_array_equal(events.x[:, 0], MET[rows])
    assert events.weights is not None
    np.testing.assert_array_equal(events.weights, EVENTS["genWeight"][rows])
    account = events.account
    assert account is not None
    assert (account.rows, account.cut, account.dropped) == (N, N - rows.sum(), 0)
    assert f"{N - rows.sum()} of {N} rows cut by {cut}" in account.sentence


def test_a_cut_goes_before_missing_values(nano: str) -> None:
    events = read_events(nano, features=["Muon_pt[0]"], cut="count(Muon_pt) > 0")
    np.testing.assert_array_equal(events.x[:, 0], np.asarray(ak.firsts(MUON[ak.num(MUON) > 0])))


def test_an_undefined_cut_is_refused_or_counted(nano: str) -> None:
    none = int(ak.sum(ak.num(MUON) == 0))
    cut = "Muon_pt[0] > 20"
    message = rf"cut 'Muon_pt\[0\] > 20': got missing values.*{none}\}}.*guard it"
    with pytest.raises(InputError, match=message):
        read_events(nano, features=["MET_pt"], cut=cut)
    account = read_events(nano, features=["MET_pt"], cut=cut, missing="drop").account
    assert account is not None
    assert account.dropped == none
    assert account.cut == int(ak.sum(ak.firsts(MUON) <= 20))


@pytest.mark.parametrize(
    ("cut", "message"),
    [
        ("MET_pt > 1e9", "cut: got none of 200 events that fulfils 'MET_pt > 1e9'"),
        ("Jet_pt > 30", r"a list in each event(.|\n)*any"),
        ("count(Jets_pt) > 1", r"no column 'Jets_pt'(.|\n)*Did you mean 'Jet_pt'"),
    ],
)
def test_unusable_cuts_are_told_with_the_file(nano: str, cut: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read_events(nano, features=["MET_pt"], cut=cut)
    assert str(caught.value).startswith(nano)


@pytest.mark.parametrize(
    ("cut", "message"),
    [("MET_pt +", r"expression 'MET_pt \+'"), ("MET_pt + 1", "got a number at position 1")],
)
def test_a_cut_is_read_before_any_file(cut: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_events("nowhere.root:Events", cut=cut)


@pytest.mark.parametrize("name", ["z.parquet", "z.csv", "z.npz", "z.h5", "z.feather"])
def test_cuts_and_expressions_are_of_every_format(name: str, tmp_path: Path) -> None:
    x = Seeds(4).at("flat").numpy().normal(size=(50, 3))
    write_events(Events(x, names=("px", "py", "m")), tmp_path / name)
    events = read_events(tmp_path / name, features=["hypot(px, py)", "m"], cut="m > 0 && px < 1")
    rows = (x[:, 2] > 0) & (x[:, 0] < 1)
    np.testing.assert_allclose(events.x, np.c_[np.hypot(x[:, 0], x[:, 1]), x[:, 2]][rows])
    everything = read_events(tmp_path / name, cut="m > 0")
    assert set(everything.names) == {"px", "py", "m"}
    assert everything.n == int((x[:, 2] > 0).sum())


def test_expressions_are_of_tables_in_memory_too() -> None:
    x = Seeds(4).at("memory").numpy().normal(size=(30, 4))
    columns = {"p4": x, "px": x[:, 1], "py": x[:, 2]}
    events = Events(columns, features=["hypot(px, py)", "p4[3]", "max(p4)"], weights="abs(px)")
    np.testing.assert_allclose(
        events.x, np.c_[np.hypot(x[:, 1], x[:, 2]), x[:, 3], x.max(axis=1)], rtol=1e-12
    )
    np.testing.assert_allclose(np.asarray(events.weights), np.abs(x[:, 1]))
    frame = pa.table({"px": x[:, 1], "a-b": x[:, 2]})
    assert Events(frame, features=["px ** 2", "a-b"]).names == ("px ** 2", "a-b")
    with pytest.raises(InputError, match=r"no column 'a-c'.*Did you mean 'a-b'"):
        Events(frame, features=["a-c"])
    with pytest.raises(InputError, match=r"no column 'pz'(.|\n)*\^"):
        Events(frame, features=["abs(pz)"])
    with pytest.raises(InputError, match="an expression without a column"):
        Events(frame, features=["1 + 1"])
    with pytest.raises(InputError, match="no column 'px [*] 2'"):
        Events(frame, features=["px"], group="px * 2")
    words = pa.table({"px": x[:, 1], "tag": ["a"] * 30})
    with pytest.raises(InputError, match=r"tag with values of type .*string; expected numbers"):
        Events(words, features=["abs(tag)"])


def test_lists_are_left_out_and_said_to_be(nano: str) -> None:
    events = read_events(nano, weights="genWeight", ignore=["run"])
    reasons = {column.name: column.reason for column in events.account.left_out}  # type: ignore[union-attr]
    assert reasons["Jet_pt"] == "jagged, a list of float32 in each event"
    assert reasons["p4"] == "an array, 4 * float64 in each event"
    assert {"MET_pt", "HLT_IsoMu24"} <= set(events.names)
    doubts = {column.name for column in events.account.doubts}  # type: ignore[union-attr]
    assert doubts == {"p4"}
    with pytest.raises(InputError, match=r"'Jet_pt': got jagged.*Jet_pt\[0\], count\(Jet_pt\)"):
        read_events(nano, features=["Jet_pt"])


def test_columns_of_a_file_are_joined_with_their_expressions(tmp_path: Path) -> None:
    parts = [collections(n) for n in (30, 50)]
    for number, part in enumerate(parts):
        write_tree(tmp_path / f"run_{number}.root", part)
    uri = f"{tmp_path}/run_*.root:Events"
    events = read_events(uri, features=["count(Jet_pt)", "MET_pt"], cut="count(Jet_pt) > 0")
    counts = np.concatenate([ak.num(part["Jet"].pt) for part in parts])
    np.testing.assert_array_equal(events.x[:, 0], counts[counts > 0])
    assert events.account is not None
    assert events.account.rows == 80
    assert (
        "count(Jet_pt)" not in read_events(uri, weights="genWeight", cut="count(Jet_pt) > 0").names
    )


class Told:
    """Progress that is written down."""

    def __init__(self) -> None:
        self.words: list[str] = []

    def begin(self, label: str, total: int, done: int) -> Told:
        self.words.append(f"{label}: {done} of {total}")
        return self

    def advance(self) -> None:
        self.words.append("one more")

    def close(self) -> None:
        self.words.append("end")


def test_several_files_tell_their_progress(tmp_path: Path) -> None:
    for number in range(3):
        write_tree(tmp_path / f"run_{number}.root", collections(10))
    uri, told = f"{tmp_path}/run_*.root:Events", Told()
    read_events(uri, features=["MET_pt"], progress=told)
    assert told.words == ["reading files: 0 of 3", *["one more"] * 3, "end"]
    told.words.clear()
    with pytest.raises(InputError, match=r"run_1.root.*no column 'Muon_pt\[0\]'|missing"):
        read_events(uri, features=["Muon_pt[0]"], progress=told)
    assert told.words[-1] == "end"
    (tmp_path / "run_1.root").write_bytes((tmp_path / "run_1.root").read_bytes()[:3000])
    told.words.clear()
    with pytest.raises(InputError, match=r"run_1.root:Events: got a file that cannot be read"):
        read_events(uri, features=["MET_pt"], progress=told)


def test_weights_may_be_products(nano: str) -> None:
    events = read_events(nano, features=["MET_pt"], weights="genWeight * MET_pt")
    assert events.weights is not None
    np.testing.assert_allclose(events.weights, EVENTS["genWeight"] * MET)


def test_dollars_are_no_mathematics_in_a_title(nano: str) -> None:
    events = read_events(nano, features=["Sum$(Jet_pt)", "count(Jet_pt)"])
    assert [spec.title for spec in events.features] == ["sum(Jet_pt)", "count(Jet_pt)"]


FRIENDS = {"w": np.arange(N) + 0.5, "MET_pt": np.full(N, -1.0)}


def test_friends_have_further_columns(tmp_path: Path) -> None:
    nano = write_tree(tmp_path / "nano.root", EVENTS)
    with uproot.recreate(tmp_path / "friend.root") as file:
        file.mktree("more/Weights", dict.fromkeys(FRIENDS, "float64")).extend(FRIENDS)
        file.mktree("Short", {"w": "float64"}).extend({"w": np.ones(3)})
    friend = f"{nano},{tmp_path}/friend.root"
    events = read_events(
        f"{friend}:more/Weights", features=["MET_pt", "Weights.MET_pt"], weights="w"
    )
    np.testing.assert_array_equal(events.x, np.c_[MET, FRIENDS["MET_pt"]])
    assert events.weights is not None
    np.testing.assert_array_equal(events.weights, FRIENDS["w"])
    shifted = read_events(f"{friend}:more/Weights", features=["MET_pt - Weights.MET_pt"])
    np.testing.assert_allclose(shifted.x[:, 0], MET + 1)
    with pytest.raises(InputError, match=r"friend .*Short: got 3 entries; expected the 200 of"):
        read_events(f"{friend}:Short")
    with pytest.raises(InputError, match=r"no tree 'Weigths'"):
        read_events(f"{friend}:Weigths")
    with pytest.raises(InputError, match=r"gone.root: got no such file"):
        read_events(f"{nano},gone.root:Weights")


def test_friends_may_be_in_the_same_file(tmp_path: Path) -> None:
    with uproot.recreate(tmp_path / "z.root") as file:
        file.mktree("Events", {"m": "float64"}).extend({"m": np.arange(3.0)})
        file.mkrntuple("Scores", {"s": np.arange(3.0) * 2})
    assert column_names(f"{tmp_path}/z.root:Events,Scores") == ("m", "s")


def test_the_latest_cycle_is_read_unless_another_is_named(tmp_path: Path) -> None:
    with uproot.recreate(tmp_path / "z.root") as file:
        for n in (3, 5):
            file.mktree("dir/Events", {"m": "float64"}).extend({"m": np.arange(float(n))})
    uri = f"{tmp_path}/z.root:dir/Events"
    assert (read_events(uri).n, read_events(f"{uri};1").n, read_events(f"{uri};2").n) == (5, 3, 5)
    with pytest.raises(InputError, match="no cycle 7 of 'dir/Events'; expected one of 1, 2"):
        read_events(f"{uri};7")


@contextmanager
def titles(words: dict[str, str]) -> Iterator[None]:
    """Write branches with titles, as ROOT does and uproot cannot be told to."""
    tree = uproot.writing._cascadetree.Tree
    plain = tree._branch_np

    def titled(self: Ragged, name: str, *args: object, **kwargs: object) -> dict[str, object]:
        branch: dict[str, object] = plain(self, name, *args, **kwargs)
        return branch | {"fTitle": words.get(name, branch["fTitle"])}

    with mock.patch.object(tree, "_branch_np", titled):
        yield


def test_titles_describe_features(tmp_path: Path) -> None:
    words = {
        "pt": "transverse momentum [GeV]",
        "eta": "pseudorapidity of the muon",
        "phi": "phi",
        "a": "pt",
        "b": "same words",
        "c": "same words [mm]",
        "d": "#it{p}_{T} [GeV]",
        "e": "from a table [0]",
        "g": "e/p/F",
    }
    names = [*words, "plain"]
    with titles(words), uproot.recreate(tmp_path / "z.root") as file:
        tree = file.mktree("t", dict.fromkeys(names, "float32"))
        tree.extend({name: np.ones(3, np.float32) for name in names})
    specs = {spec.name: spec for spec in read_events(f"{tmp_path}/z.root:t").features}
    assert specs == {
        "pt": Feature("pt", label="transverse momentum", unit="GeV"),
        "eta": Feature("eta", label="pseudorapidity of the muon"),
        "phi": Feature("phi"),
        "a": Feature("a"),
        "b": Feature("b"),
        "c": Feature("c", unit="mm"),
        "d": Feature("d", unit="GeV"),
        "e": Feature("e", label="from a table [0]"),
        "g": Feature("g"),
        "plain": Feature("plain"),
    }


def test_fields_of_records_and_of_collections_have_paths(tmp_path: Path) -> None:
    events = collections(40)
    with uproot.recreate(tmp_path / "z.root") as file:
        vertex = ak.zip({"x": np.arange(40.0), "fit": ak.zip({"n": np.arange(40)})}, depth_limit=1)
        content = {"Jet": events["Jet"], "vertex": vertex, "tag": ["ab"] * 40, "m": np.ones(40)}
        pairs = {"maybe": ak.Array([None, *np.arange(39.0)]), "deep": ak.Array([[[1.0], []]] * 40)}
        file.mkrntuple("Events", content | pairs)
    uri = f"{tmp_path}/z.root:Events"
    read = read_events(uri, missing="drop")
    assert set(read.names) == {"vertex.x", "vertex.fit.n", "m", "maybe"}
    assert read.n == 39
    reasons = {column.name: column.reason for column in read.account.left_out}  # type: ignore[union-attr]
    assert reasons == {
        "Jet.pt": "jagged, a list of float32 in each event",
        "Jet.eta": "jagged, a list of float32 in each event",
        "deep": "jagged, a list of var * float64 in each event",
        "tag": "values of type string",
    }
    found = read_events(uri, features=["sum(Jet.pt)", "vertex.fit.n * 2", "sum(deep)"])
    np.testing.assert_allclose(found.x[:, 0], ak.sum(events["Jet"].pt, axis=1), rtol=1e-6)
    np.testing.assert_array_equal(found.x[:, 1:], np.c_[2.0 * np.arange(40), np.ones(40)])


@contextmanager
def checksums() -> Iterator[None]:
    """Write pages with checksums, as ROOT does and uproot does not."""
    writing = uproot.writing._cascadentuple
    plain = writing.NTuple.add_rblob

    def with_sum(self: Ragged, sink: Ragged, data: Ragged, size: int) -> Ragged:
        total = xxhash.xxh3_64_intdigest(bytes(data)).to_bytes(8, "little")
        return plain(self, sink, bytes(data) + total, size)

    def described(self: Ragged) -> bytes:
        return struct.pack("<i", -self.num_entries) + bytes(self.locator.serialize())

    with (
        mock.patch.object(writing.NTuple, "add_rblob", with_sum),
        mock.patch.object(writing.NTuple_PageDescription, "serialize", described),
    ):
        yield


def test_no_value_of_an_ntuple_changes_in_silence(tmp_path: Path) -> None:
    content = {"m": np.arange(50.0) * 3, "Jet": collections(50)["Jet"]}
    features = ["m", "sum(Jet.pt)"]
    with checksums(), uproot.recreate(tmp_path / "z.root", compression=None) as file:
        file.mkrntuple("t", content)
    uri, whole = f"{tmp_path}/z.root:t", (tmp_path / "z.root").read_bytes()
    expected = read_events(uri, features=features)
    place = whole.index(np.float64(75.0).tobytes())
    (tmp_path / "z.root").write_bytes(whole[:place] + b"1" + whole[place + 1 :])
    with pytest.raises(InputError, match=r"z.root:t: column 'm': got a page whose checksum"):
        read_events(uri, features=features)
    assert read_events(uri, features=features[1:]).n == 50  # which is not of that page
    told = 0
    for place in Seeds(6).at("flips").numpy().integers(0, len(whole), 300):
        flipped = bytes([whole[place] ^ 255])
        (tmp_path / "z.root").write_bytes(whole[:place] + flipped + whole[place + 1 :])
        try:
            found = read_events(uri, features=features)
        except InputError:
            told += 1
        else:
            assert found.digest == expected.digest
    assert told > 100


def test_split_branches_have_the_names_that_users_know(tmp_path: Path) -> None:
    lengths = Seeds(5).at("delphes").numpy().integers(0, 4, 30)
    jets = ak.zip({"PT": jagged("delphes", lengths), "Eta": jagged("other", lengths)})
    with uproot.recreate(tmp_path / "z.root") as file:
        tree = file.mktree(
            "Delphes",
            {"Jet": 'var * {"PT": float32, "Eta": float32}', "Event.Weight": "float32"},
            field_name=lambda outer, inner: inner if outer == "" else f"{outer}.{inner}",
            counter_name=lambda counted: f"{counted}_size",
        )
        tree.extend({"Jet": jets, "Event.Weight": np.ones(30, np.float32)})
    events = read_events(
        f"{tmp_path}/z.root:Delphes",
        features=["Jet_size", "Sum$(Jet.PT*(abs(Jet.Eta)<2.5))", "Length$(Jet.PT)"],
        weights="Event.Weight",
        cut="Jet_size > 0 && Jet.PT[0] > 10",
    )
    passed = np.asarray(ak.fill_none(ak.firsts(jets.PT) > 10, value=False))
    sums = ak.sum(jets.PT * (np.abs(jets.Eta) < 2.5), axis=1)
    np.testing.assert_allclose(events.x, np.c_[lengths, sums, lengths][passed], rtol=1e-6)
    assert branch_names(["Jet/Jet.PT", "Jet_size", "a/fBits", "b/fBits"]) == {
        "Jet.PT": "Jet/Jet.PT",
        "Jet_size": "Jet_size",
        "a/fBits": "a/fBits",
        "b/fBits": "b/fBits",
    }


@pytest.mark.parametrize(
    "kind",
    ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "bool", "f4", "f8"],
)
@pytest.mark.parametrize("make", ["mktree", "mkrntuple"])
def test_numbers_of_every_type_are_read(tmp_path: Path, kind: str, make: str) -> None:
    values = np.arange(5).astype(kind)
    with uproot.recreate(tmp_path / "z.root") as file:
        if make == "mktree":
            file.mktree("t", {"x": values.dtype}).extend({"x": values})
        else:
            file.mkrntuple("t", {"x": values})
    events = read_events(f"{tmp_path}/z.root:t", features=["x", "x + 1"])
    np.testing.assert_array_equal(events.x[:, 0], values.astype(float))
    np.testing.assert_array_equal(events.x[:, 1], values.astype(float) + 1)


def test_large_integers_in_lists_are_told(tmp_path: Path) -> None:
    with uproot.recreate(tmp_path / "z.root") as file:
        content = {"ids": ak.Array([[1, 2**60 + 1], [], [3]]), "m": np.ones(3)}
        file.mktree("t", {"ids": "var * int64", "m": "float64"}).extend(content)
    assert read_events(f"{tmp_path}/z.root:t", features=["m"]).n == 3
    with pytest.raises(InputError, match=r"'ids': got integers such as 11529.*beyond 2\*\*53"):
        read_events(f"{tmp_path}/z.root:t", features=["sum(ids)"])
