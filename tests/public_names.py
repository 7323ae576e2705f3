"""What users reach from ``import verisimile``: the names of all stubs, and where they are."""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "src" / "verisimile"


def stubs() -> dict[str, list[str]]:
    """Return the names that each package's ``__init__.pyi`` lists, packages left out."""
    found = {}
    for stub in sorted(PACKAGE.rglob("__init__.pyi")):
        package = ".".join(stub.parent.relative_to(PACKAGE.parent).parts)
        names = [
            alias.name
            for node in ast.walk(ast.parse(stub.read_text(encoding="utf-8")))
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
            if not _is_package(node.module, package, alias.name)
        ]
        found[package] = names
    return found


def public() -> dict[str, object]:
    """Return every public object by its name."""
    return {
        name: getattr(import_module(package), name)
        for package, names in stubs().items()
        for name in names
    }


def _is_package(module: str | None, package: str, name: str) -> bool:
    inside = (*package.split(".")[1:], *(module or "").split("."), name)
    return PACKAGE.joinpath(*(part for part in inside if part)).is_dir()
