"""Pages of the reference: every public name, by the room that it comes from, and what it returns.

The lists are those of the ``__init__.pyi`` stubs, so that a new public name has its entry with
nothing to be done.  Results (registered dataclasses) are on the page of the room that makes them.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections import defaultdict
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import get_args, get_origin, get_type_hints

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

from public_names import stubs  # noqa: E402
from verisimile.core.result import schema_of  # noqa: E402

_INITIAL = re.compile(r"^(\s*)([A-Z]\. )")

# Rooms in the order in which a user meets them, and what their pages are called.
ROOMS = {
    "verisimile.core": "Runs, seeds, errors, results",
    "verisimile.data": "Events and files",
    "verisimile.validation": "Validating a sample",
    "verisimile.checks.twosample": "Two samples",
    "verisimile.checks.classifier": "Classifier",
    "verisimile.checks.physics": "Physics",
    "verisimile.checks.support": "Support",
    "verisimile.checks.amplification": "Amplification",
    "verisimile.checks.precision_recall": "Precision and recall",
    "verisimile.density": "Densities and generators",
    "verisimile.ensemble": "Ensembles",
    "verisimile.mixture": "Mixtures",
    "verisimile.checks.goodness": "Goodness of fit",
    "verisimile.checks.coverage": "Coverage",
    "verisimile.checks.posterior": "Posteriors",
    "verisimile.checks.known_truth": "Known truth",
    "verisimile.checks.ratings": "Human ratings",
    "verisimile.samples": "Coordinates of samples",
    "verisimile.stats": "Statistics",
    "verisimile.report": "Reports and figures",
}


def entries() -> dict[str, list[tuple[str, object]]]:
    """Return per room its public names as users write them, and the objects."""
    found: dict[str, list[tuple[str, object]]] = defaultdict(list)
    for package, names in stubs().items():
        home = import_module(package)
        for name in names:
            value = getattr(home, name)
            if not inspect.ismodule(value):
                found[_room(value.__module__)].append((f"{_short(package)}.{name}", value))
    return {room: sorted(found[room], key=lambda entry: entry[0].lower()) for room in ROOMS}


def results(room: str, listed: set[object]) -> list[type]:
    """Return the registered dataclasses of a room that have no public name of their own."""
    home = import_module(room)
    modules = [
        import_module(".".join((room, *path.relative_to(folder).with_suffix("").parts)))
        for folder in map(Path, home.__path__)
        for path in sorted(folder.rglob("*.py"))
        if path.name != "__init__.py" and _room(_module(room, path, folder)) == room
    ]
    return sorted(
        {
            value
            for module in modules
            for value in vars(module).values()
            if inspect.isclass(value)
            and value.__module__ == module.__name__
            and not value.__name__.startswith("_")
            and schema_of(value) is not None
            and value not in listed
        },
        key=lambda each: each.__name__.lower(),
    )


def _module(room: str, path: Path, folder: Path) -> str:
    return ".".join((room, *path.relative_to(folder).with_suffix("").parts))


def _room(module: str) -> str:
    return max(
        (room for room in ROOMS if f"{module}.".startswith(f"{room}.")),
        key=len,
        default="verisimile.core",
    )


def _short(package: str) -> str:
    """Return where users find a package: checks at top level, but for those named by a function."""
    short = package.replace("verisimile.checks.", "verisimile.")
    return short if inspect.ismodule(_walk(short)) else package


def _walk(path: str) -> object:
    value: object = import_module("verisimile")
    for name in path.split(".")[1:]:
        value = getattr(value, name)
    return value


def write(folder: Path) -> dict[str, str]:
    """Write the pages into `folder`; return the public path of each object's own path."""
    folder.mkdir(parents=True, exist_ok=True)
    public = entries()
    listed = {value for each in public.values() for _, value in each}
    kinds = {room: results(room, listed) for room in ROOMS}
    listed |= {kind for each in kinds.values() for kind in each}
    met = _met({value for each in public.values() for _, value in each}) - listed
    known = {}
    for room, names in public.items():
        types = sorted((t for t in met if _room(t.__module__) == room), key=_own)
        known |= {_own(value): path for path, value in names}
        known |= {_own(kind): _own(kind) for kind in (*kinds[room], *types)}
        _write(folder / f"{_page(room)}.rst", _text(room, names, kinds[room], types))
    _write(folder / "index.rst", _index(public))
    return known


def _own(value: object) -> str:
    return f"{value.__module__}.{value.__qualname__}"  # type: ignore[attr-defined]


def _page(room: str) -> str:
    return room.rsplit(".", 1)[-1].replace("_", "-")


def _met(values: set[object]) -> set[type]:
    """Return the package's classes that the signatures of `values` and their methods name."""
    found: set[type] = set()
    for value in values:
        members = vars(value).items() if inspect.isclass(value) else ()
        public = [member for name, member in members if not name.startswith("_")]
        for each in (value, *(getattr(member, "fget", member) for member in public)):
            if callable(each):
                for hint in _hints(each).values():
                    found |= _classes(hint)
    return {each for each in found if not each.__name__.startswith("_")}


def _hints(value: object) -> dict[str, object]:
    try:
        return get_type_hints(value)
    except NameError:  # a name that is imported for type checkers alone
        return {}


def _classes(hint: object) -> set[type]:
    inside = {each for arm in get_args(hint) for each in _classes(arm)}
    home = get_origin(hint) or hint
    own = inspect.isclass(home) and home.__module__.startswith("verisimile.")
    return inside | ({home} if own else set())


def aliases() -> dict[str, str]:
    """Return the names of unions and arrays in annotations, for signatures that stay short."""
    return {
        node.target.id: node.target.id
        for tree in _trees()
        for node in tree.body
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and ast.unparse(node.annotation) == "TypeAlias"
    }


def defined() -> frozenset[str]:
    """Return the names of all functions, methods, classes and constants of the package."""
    found = set()
    for node in (node for tree in _trees() for node in ast.walk(tree)):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.AnnAssign | ast.Assign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {each.id for each in targets if isinstance(each, ast.Name)}
    return frozenset(found)


@cache
def _trees() -> tuple[ast.Module, ...]:
    files = sorted((ROOT / "src" / "verisimile").rglob("*.py"))
    return tuple(ast.parse(path.read_text(encoding="utf-8")) for path in files)


def _text(room: str, names: list[tuple[str, object]], kinds: list[type], types: list[type]) -> str:
    parts = [_heading(ROOMS[room], "="), (inspect.getdoc(import_module(room)) or "").split("\n")[0]]
    parts += [_entry(path, value) for path, value in names]
    if kinds:
        parts += [
            _heading("Results", "-"),
            "What the functions above return and a report keeps; nobody has to make them.",
        ]
        parts += [_entry(_own(kind), kind) for kind in kinds]
    if types:
        parts += [_heading("Types", "-"), "What signatures name."]
        parts += [_entry(_own(kind), kind) for kind in types]
    return "\n\n".join(parts) + "\n"


def _entry(path: str, value: object) -> str:
    if inspect.isclass(value) and issubclass(value, BaseException):
        return f".. autoexception:: {path}\n   :show-inheritance:"
    if inspect.isclass(value):
        return f".. autoclass:: {path}\n   :members:"
    return f".. autofunction:: {path}"


def _index(public: dict[str, list[tuple[str, object]]]) -> str:
    rows = "\n".join(
        f"   * - :py:obj:`{path.replace('verisimile.', 'vs.')} <{path}>`\n     - {_first(value)}"
        for room in public
        for path, value in public[room]
    )
    pages = "\n".join(f"   {_page(room)}" for room in public)
    return (
        f"{_heading('Reference', '=')}\n\n"
        "Every public name, with ``import verisimile as vs``.  Shapes: ``n`` events, ``d`` "
        "features, ``M`` members, ``K`` kernels, ``B`` toys, ``G`` bins; densities are natural "
        "logarithms in the features' own units; x has the units that its feature says.\n\n"
        f".. toctree::\n   :hidden:\n\n{pages}\n\n"
        f".. list-table::\n   :header-rows: 1\n   :class: names\n\n   * - Name\n     - \n{rows}\n"
    )


def _first(value: object) -> str:
    paragraph = (inspect.getdoc(value) or "").split("\n\n")[0]
    return " ".join(paragraph.split())


def _heading(text: str, line: str) -> str:
    return f"{text}\n{line * len(text)}"


def _write(path: Path, text: str) -> None:
    """Write a page only if it is another one: an unchanged page is not read again."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def resolve(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, text: nodes.TextElement
) -> nodes.Element | None:
    """Find what a docstring refers to by the path of its module, or by its name alone."""
    if node.get("refdomain") != "py":
        return None
    target = node["reftarget"]
    domain = env.get_domain("py")
    known: dict[str, str] = app.config.public_paths
    tail = target.rsplit(".", 1)
    # A class by its own path, a member by the path of its class, anything by a name without a twin.
    wanted = known.get(target) or (f"{known[tail[0]]}.{tail[1]}" if tail[0] in known else None)
    if wanted is None:
        name = _last(target) if "." not in target.strip(".") else None
        same = {path for own, path in known.items() if own.rsplit(".", 1)[-1] == name}
        wanted = same.pop() if len(same) == 1 else None
    if wanted is None or wanted == target:
        # What has no page is not linked, but it must be there.
        return text if _last(target) in app.config.defined_names else None
    return domain.resolve_xref(
        env, node["refdoc"], app.builder, node["reftype"], wanted, node, text
    )


def _last(path: str) -> str:
    return path.rsplit(".", 1)[-1]


def as_meant(
    _: Sphinx,
    what: str,
    name: str,  # noqa: ARG001
    obj: object,  # noqa: ARG001
    options: object,  # noqa: ARG001
    lines: list[str],
) -> None:
    """Keep a colon in a property's sentence, and an author's initial, from being read as markup."""
    lines[:] = [_INITIAL.sub(r"\1\\\2", line) for line in lines]
    if what in ("attribute", "property", "data"):
        lines[:0] = ["..", ""]


def setup(app: Sphinx) -> dict[str, bool]:
    """Write the pages before any is read, and resolve what they refer to."""
    app.add_config_value("public_paths", {}, "", dict)
    app.add_config_value("defined_names", defined(), "", frozenset)
    app.connect("builder-inited", _write_all)
    app.connect("missing-reference", resolve)
    app.connect("env-check-consistency", check)
    app.connect("autodoc-process-docstring", as_meant, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def check(app: Sphinx, env: BuildEnvironment) -> None:
    """Warn of a public name that has no entry."""
    there = {name for name, *_ in env.get_domain("py").get_objects()}
    for path in sorted(set(app.config.public_paths.values()) - there):
        logging.getLogger(__name__).warning("%s has no entry in the reference", path)


def _write_all(app: Sphinx) -> None:
    app.config.public_paths = write(Path(app.srcdir) / "reference")
