"""Study files as nested tables: TOML or YAML, within limits, every key once and no tags."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

import yaml

from verisimile.core.documents import MAX_DEPTH, check_limits, read_document
from verisimile.core.errors import InputError, require

SUFFIXES = (".toml", ".yaml", ".yml")

_BYTES = 2**20
_NODES = 100_000  # keys and values, aliases written out


def read_tables(file: Path) -> Mapping[str, object]:
    """Return the tables of a study file.

    Raises
    ------
    InputError
        If it cannot be read, is not valid, repeats a key, has YAML tags, or is larger than any
        study: 1 MiB, 64 levels, 100 000 keys and values.
    """
    suffix = file.suffix.lower()
    require(
        suffix in SUFFIXES,
        str(file),
        got=f"the suffix {file.suffix!r}",
        expected=f"one of {', '.join(SUFFIXES)}",
    )
    try:
        text = read_document(file, limit=_BYTES, kind=InputError).decode()
        found = _toml(text) if suffix == ".toml" else _yaml(text)
    except (tomllib.TOMLDecodeError, yaml.YAMLError, ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise _placed(error, file) from None
        deep = isinstance(error, RecursionError)
        raise InputError(
            str(file),
            got=f"more than {MAX_DEPTH} levels" if deep else " ".join(str(error).split()),
            expected=f"valid {suffix[1:]}",
        ) from error
    if found is None:
        return {}
    if not isinstance(found, Mapping):
        raise InputError(str(file), got=f"a {type(found).__name__}", expected="a table of keys")
    check_limits(found, str(file))
    return found


def _placed(error: InputError, file: Path) -> InputError:
    return error if error.name == str(file) else error.within(file)


def _toml(text: str) -> object:
    # The time of the parser grows with the square of a key's parts.
    for piece in re.split(r"[={,\n]", text):
        require(
            piece.count(".") <= MAX_DEPTH,
            "key",
            got=f"{piece.count('.')} dots in it",
            expected=f"at most {MAX_DEPTH} levels",
        )
    return tomllib.loads(text)


def _yaml(text: str) -> object:
    _check_events(text)
    loader = yaml.SafeLoader(text)
    try:
        root = loader.get_single_node()
        if root is None:
            return None
        _check_nodes(root)
        return loader.construct_document(root)
    finally:
        loader.dispose()


def _check_events(text: str) -> None:
    """Raise for tags, depth and size while the text is parsed: what follows is never looked at."""
    depth = 0
    for count, event in enumerate(yaml.parse(text, Loader=yaml.SafeLoader)):
        place = f"line {event.start_mark.line + 1}"
        require(count <= 2 * _NODES, place, got="more", expected=f"at most {_NODES} values")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        require(depth <= MAX_DEPTH, place, got="more", expected=f"at most {MAX_DEPTH} levels")
        tag = getattr(event, "tag", None)
        require(
            tag is None,
            place,
            got=f"the tag {tag}",
            expected="plain values",
            remedy="Leave it out.",
        )


def _check_nodes(root: yaml.Node) -> None:
    """Raise for keys given twice, and for aliases that stand for themselves or for too much."""
    sizes: dict[int, int] = {}
    open_nodes: set[int] = set()

    def size(node: yaml.Node) -> int:
        if id(node) in sizes:
            return sizes[id(node)]
        place = f"line {node.start_mark.line + 1}"
        require(id(node) not in open_nodes, place, got="an alias of itself", expected="an end")
        open_nodes.add(id(node))
        total = 1 + sum(map(size, _inner(node)))
        require(
            total <= _NODES,
            place,
            got=f"{total} values, its aliases written out",
            expected=f"at most {_NODES}",
        )
        open_nodes.remove(id(node))
        sizes[id(node)] = total
        return total

    size(root)


def _inner(node: yaml.Node) -> list[yaml.Node]:
    """Return the nodes in a list, or the keys and values of a table, in which no key is twice."""
    if isinstance(node, yaml.SequenceNode):
        return list(node.value)
    if not isinstance(node, yaml.MappingNode):
        return []
    lines: dict[tuple[str, object], int] = {}
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            continue
        line, word = key.start_mark.line + 1, (key.tag, key.value)
        if word in lines:
            raise InputError(
                f"line {line}",
                got=f"the key {key.value!r}, which line {lines[word]} has too",
                expected="each key once",
            )
        lines[word] = line
    return [each for pair in node.value for each in pair]
