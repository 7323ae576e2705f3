"""ROOT files: branches of a TTree and its friends, fields of an RNTuple."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from verisimile.core.errors import InputError, require
from verisimile.data.feature import Feature, suggestion
from verisimile.data.formats.file import Columns, EventFile, Labels, check_part, optional
from verisimile.data.formats.root_columns import (
    RootColumn,
    described,
    ntuple_columns,
    tree_columns,
)
from verisimile.data.source import Source, Values

_NTUPLES = ("ROOT::RNTuple", "ROOT::Experimental::RNTuple")
_TREES = ("TTree", "TNtuple", "TNtupleD", *_NTUPLES)
_FRIEND = re.compile(r"(.+\.root):(.+)", re.I | re.S)


@contextmanager
def open_root(file: EventFile, _: Labels) -> Iterator[Source]:
    """Open the branches of a TTree, or the fields of an RNTuple, and those of its friends.

    ``Events,friend.root:Weights`` names a tree and a friend, of as many entries, in another
    file, ``Events,Weights`` one in the same.  A friend's column is called ``Weights.x`` where
    there is an ``x`` already.
    """
    with ExitStack() as stack:
        store = _opened(file.path, stack)
        name, friends = _named(file.part, _trees(store))
        tree = _tree(store, name)
        columns = dict(_columns(tree))
        for friend in friends:
            match = _FRIEND.fullmatch(friend)
            path, part = match.groups() if match else (file.path, friend)
            other = _tree(_opened(Path(path), stack) if match else store, part)
            _check_entries(other, f"{path}:{part}", tree)
            short = part.rpartition("/")[2].partition(";")[0]
            for key, column in _columns(other).items():
                columns[key if key not in columns else f"{short}.{key}"] = column

        def load(names: Sequence[str]) -> Iterator[Values]:
            return (columns[name].load() for name in names)

        kinds = {name: column.column for name, column in columns.items()}
        yield Source(kinds, load, described(columns), file.path.stat().st_size)


def _opened(path: Path, stack: ExitStack) -> Any:  # noqa: ANN401  (uproot is untyped and optional)
    uproot = optional("uproot")
    require(path.is_file(), str(path), got="no such file", expected="a file with a friend tree")
    # The dict form keeps uproot from looking for a tree name in the path.
    return stack.enter_context(uproot.open({str(path): None}))


def _trees(store: Any) -> list[str]:  # noqa: ANN401
    kinds = store.classnames(recursive=True, cycle=False)
    return [name for name, kind in kinds.items() if kind in _TREES]


def _named(part: str | None, trees: Sequence[str]) -> tuple[str | None, list[str]]:
    """Return the name of the tree, and those of its friends."""
    if part is None or part in trees:
        return part, []
    name, *friends = [name.strip() for name in part.split(",")]
    return name, friends


def _tree(store: Any, name: str | None) -> Any:  # noqa: ANN401
    """Return a tree of a file, of several cycles the latest unless one is named."""
    check_part(name, _trees(store), "tree", ".root:Tree")
    plain, _, cycle = (name or "").partition(";")
    cycles = [key.partition(";")[2] for key in store.keys() if key.partition(";")[0] == plain]  # noqa: SIM118
    if cycle and cycle not in cycles:
        raise InputError(
            "tree",
            got=f"no cycle {cycle} of {plain!r}",
            expected=f"one of {', '.join(sorted(cycles))}",
            remedy=suggestion(cycle, cycles),
        )
    return store[name]


def _columns(tree: Any) -> dict[str, RootColumn]:  # noqa: ANN401
    return ntuple_columns(tree) if tree.classname in _NTUPLES else tree_columns(tree)


def _check_entries(friend: Any, name: str, tree: Any) -> None:  # noqa: ANN401
    require(
        friend.num_entries == tree.num_entries,
        f"friend {name}",
        got=f"{friend.num_entries} entries",
        expected=f"the {tree.num_entries} of {tree.name}",
        remedy="A friend has one entry for each event, in the same order.",
    )


def write_root(columns: Columns, _: Sequence[Feature], file: EventFile) -> None:
    """Write one branch per column into a TTree, ``events`` by default."""
    with optional("uproot").recreate(file.path) as store:
        kinds = {name: values.dtype for name, values in columns.items()}
        store.mktree(file.part or "events", kinds).extend(dict(columns))
