"""The rules of the source tree that a machine can see, as a function of one file's text."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

LAYERS = (
    "core", "stats", "data", "samples", "density", "ensemble", "mixture", "checks", "validation",
    "ranking", "repair", "report", "app",
)  # fmt: skip
MAX_LINES = 500

_PACKAGE = "verisimile"
_TORCH_FAMILY = {"torch", "nflows", "torchmin"}
_TORCH_AT_TOP = re.compile(r"density/|ensemble/|mixture/solvers/(torch_minimize|device)\.py$")
_TORCH_LAZILY = {"core/random.py", "core/executor.py"}
_TORCH_SEED_SCOPE = "density/torch_scope.py"
# Messages between a driver and its own workers, named by their hash; nothing else is pickled.
_MESSAGES = "core/parcels.py"
_UNSAFE_MODULES = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "shelve", "marshal"}
_SEEDED = {
    "default_rng", "Generator", "BitGenerator", "SeedSequence",
    "PCG64", "PCG64DXSM", "Philox", "SFC64", "MT19937",
}  # fmt: skip
_TORCH_DRAWS = {
    "bernoulli", "multinomial", "normal", "poisson", "rand", "randint", "randn", "randperm",
}  # fmt: skip
_TORCH_GLOBAL_STREAM = re.compile(
    r"torch\.(cuda\.)?(manual_seed(_all)?|seed(_all)?|set_rng_state(_all)?)"
    r"|torch\.random\.(?!fork_rng$|get_rng_state$)\w+"
)


def faults(path: str, source: str) -> list[str]:
    """Return what breaks a rule in the file at `path`, relative to the package folder."""
    tree = ast.parse(source)
    found = [*_shape_faults(tree, source)]
    for node, lazy in _walk(tree):
        found += [f"line {node.lineno}: {text}" for text in _node_faults(path, node, lazy=lazy)]
    return found


def _walk(tree: ast.Module) -> Iterator[tuple[ast.stmt | ast.expr, bool]]:
    """Yield statements and expressions, and whether importing the module skips them."""
    pending: list[tuple[ast.AST, bool]] = [(tree, False)]
    while pending:
        node, lazy = pending.pop()
        if isinstance(node, ast.stmt | ast.expr):
            yield node, lazy
        inside = lazy or _defers(node)
        pending += [(child, inside) for child in ast.iter_child_nodes(node)]


def _defers(node: ast.AST) -> bool:
    if isinstance(node, ast.If):
        return ast.unparse(node.test) == "TYPE_CHECKING"
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)


def _shape_faults(tree: ast.Module, source: str) -> Iterator[str]:
    if not ast.get_docstring(tree):
        yield "no module docstring"
    lines = len(source.splitlines())
    if lines > MAX_LINES:
        yield f"{lines} lines, more than {MAX_LINES}"


def _node_faults(path: str, node: ast.stmt | ast.expr, *, lazy: bool) -> Iterator[str]:
    match node:
        case ast.Import() | ast.ImportFrom():
            for name in _imported(node):
                yield from _import_faults(path, name, lazy=lazy)
        case ast.Call():
            yield from _call_faults(path, node)
        case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
            if node.name.lower().startswith("test"):
                yield f"the name {node.name} breaks test collection in users' modules"


def _imported(node: ast.Import | ast.ImportFrom) -> list[str]:
    """Return dotted names; ``from a import b`` counts as a.b, whether module or object."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if node.level:
        return ["." * node.level + (node.module or "")]
    return [f"{node.module}.{alias.name}" for alias in node.names]


def _import_faults(path: str, name: str, *, lazy: bool) -> Iterator[str]:
    parts = name.split(".")
    if name.startswith("."):
        yield "relative import"
    elif parts[0] == _PACKAGE:
        yield from _layer_faults(path, parts)
    elif parts[0] in _TORCH_FAMILY or name.startswith("safetensors.torch"):
        yield from _torch_faults(path, name, lazy=lazy)
    elif parts[0] in _UNSAFE_MODULES and path != _MESSAGES:
        yield f"{parts[0]} runs code when it reads"
    elif parts[0] == "random":
        yield "the random module is one global stream"
    elif name.startswith("numpy.random.") and parts[2] not in _SEEDED:
        yield f"{name} draws from the global stream"


def _layer_faults(path: str, parts: list[str]) -> Iterator[str]:
    own = PurePosixPath(path).with_suffix("").parts
    if own in (("__init__",), ("__main__",)):
        return  # the package's faces, which may name every layer
    if len(parts) < 2 or parts[1] not in LAYERS:
        yield f"imports {'.'.join(parts)}, which is above every layer"
    elif own[0] not in LAYERS:
        yield f"lies outside the layers {', '.join(LAYERS)}"
    elif LAYERS.index(parts[1]) > LAYERS.index(own[0]):
        yield f"layer {own[0]} imports the higher layer {parts[1]}"
    elif own[0] == parts[1] == "checks" and parts[2:3] != [own[1]]:
        yield f"checks.{own[1]} imports its sibling {'.'.join(parts[1:])}"


def _torch_faults(path: str, name: str, *, lazy: bool) -> Iterator[str]:
    if _TORCH_AT_TOP.match(path):
        return
    if path not in _TORCH_LAZILY:
        yield f"imports {name} outside density, ensemble and torch solvers"
    elif not lazy:
        yield f"imports {name} when it is itself imported"


def _call_faults(path: str, node: ast.Call) -> Iterator[str]:
    name = re.sub(r"^numpy\.", "np.", ast.unparse(node.func))
    keywords = {keyword.arg: keyword.value for keyword in node.keywords}
    last = name.rpartition(".")[2]
    if name == f"np.random.{last}" and last not in _SEEDED:
        yield f"{name} uses the global stream"
    if last == "default_rng" and not node.args and not node.keywords:
        yield f"{name}() without a seed cannot be repeated"
    if last == "rvs" and "random_state" not in keywords:
        yield f"{name} without random_state uses the global stream"
    if name == f"torch.{last}" and last in _TORCH_DRAWS and "generator" not in keywords:
        yield f"{name} without generator uses the global stream"
    if _TORCH_GLOBAL_STREAM.fullmatch(name) and path != _TORCH_SEED_SCOPE:
        yield f"{name} outside {_TORCH_SEED_SCOPE}"
    if name == "torch.load":
        yield "torch.load reads pickles"
    if last == "load" and _is_true(keywords.get("allow_pickle")):
        yield f"{name} with allow_pickle"


def _is_true(node: ast.expr | None) -> bool:
    return node is not None and not (isinstance(node, ast.Constant) and node.value is False)
