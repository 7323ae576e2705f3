"""The source tree keeps its own rules, and the checker notices when it does not."""

from __future__ import annotations

import ast
from pathlib import Path

from architecture import LAYERS, MAX_LINES, faults

PACKAGE = Path(__file__).parents[1] / "src" / "verisimile"
FILES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))


def test_files_keep_the_rules() -> None:
    found = {path: faults(path, (PACKAGE / path).read_text(encoding="utf-8")) for path in FILES}
    assert len(found) > 100
    assert {path: each for path, each in found.items() if each} == {}


def test_no_two_classes_have_one_name() -> None:
    homes: dict[str, list[str]] = {}
    for path in FILES:
        for node in ast.walk(ast.parse((PACKAGE / path).read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                homes.setdefault(node.name, []).append(path)
    assert len(homes) > 300
    assert {name: paths for name, paths in homes.items() if len(paths) > 1} == {}


def test_every_folder_is_a_layer() -> None:
    found = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
    assert found
    assert found <= set(LAYERS)


CLEAN = '''"""A module."""

import numpy as np

from verisimile.core.arrays import Array
from verisimile.stats.linalg import solve


def draw(n: int, rng: np.random.Generator) -> Array:
    return np.random.default_rng(np.random.SeedSequence(1)).normal(size=n)
'''


ACCEPTED = [
    ("stats/nulls.py", CLEAN),
    ("density/flow.py", "import torch\ntorch.randn(2, generator=g)"),
    ("mixture/solvers/device.py", "from torchmin import minimize"),
    ("core/random.py", "def f():\n    import torch"),
    ("core/random.py", "if TYPE_CHECKING:\n    import torch"),
    ("density/torch_scope.py", "torch.manual_seed(seed)"),
    ("core/random.py", "generator.manual_seed(seed)"),
    ("checks/goodness/toys.py", "from verisimile.checks.goodness import kernels"),
    ("__init__.py", "from verisimile.app.cli import main"),
    ("__main__.py", "from verisimile.app.cli import main"),
    ("core/store.py", "np.load(path, allow_pickle=False)"),
    ("core/parcels.py", "import pickle"),
    ("density/adapters/__init__.py", "model.rvs(3, random_state=rng)"),
]


def test_checker_accepts() -> None:
    for path, source in ACCEPTED:
        text = source if source.startswith('"""') else f'"""A module."""\n{source}\n'
        assert faults(path, text) == [], (path, source)


REJECTED = [
    ("stats/nulls.py", "from verisimile.mixture.fit import WeightFit", "higher layer mixture"),
    ("stats/nulls.py", "from verisimile import mixture", "higher layer mixture"),
    ("stats/nulls.py", "import verisimile.report.html", "higher layer report"),
    ("stats/nulls.py", "if TYPE_CHECKING:\n    import verisimile.app", "higher layer app"),
    ("stats/nulls.py", "def f():\n    import verisimile.app", "higher layer app"),
    ("report/page.py", "from verisimile import __version__", "above every layer"),
    ("report/page.py", "import verisimile", "above every layer"),
    ("stats/nulls.py", "from . import intervals", "relative import"),
    ("extra/thing.py", "from verisimile.core import errors", "outside the layers"),
    ("checks/a/x.py", "from verisimile.checks.b import y", "imports its sibling checks.b"),
    ("checks/a/x.py", "from verisimile.checks import b", "imports its sibling checks.b"),
    ("checks/a.py", "from verisimile.checks.b.c import d", "imports its sibling checks.b"),
    ("mixture/fit.py", "import torch", "outside density"),
    ("mixture/fit.py", "def f():\n    import torch", "outside density"),
    ("stats/nulls.py", "from nflows.flows import Flow", "outside density"),
    ("core/store.py", "from safetensors.torch import save", "outside density"),
    ("core/random.py", "import torch", "when it is itself imported"),
    ("core/store.py", "import pickle", "runs code when it reads"),
    ("core/store.py", "from cloudpickle import dumps", "runs code when it reads"),
    ("density/flow.py", "torch.load(path, weights_only=True)", "torch.load"),
    ("core/store.py", "np.load(path, allow_pickle=True)", "allow_pickle"),
    ("stats/nulls.py", "import random", "global stream"),
    ("stats/nulls.py", "from numpy.random import normal", "global stream"),
    ("stats/nulls.py", "np.random.seed(1)", "global stream"),
    ("stats/nulls.py", "numpy.random.normal()", "global stream"),
    ("stats/nulls.py", "rng = np.random.default_rng()", "cannot be repeated"),
    ("stats/nulls.py", "stats.norm.rvs(size=3)", "without random_state"),
    ("density/flow.py", "torch.randn(3)", "without generator"),
    ("density/flow.py", "torch.manual_seed(1)", "outside density/torch_scope.py"),
    ("density/flow.py", "torch.cuda.manual_seed_all(1)", "outside density/torch_scope.py"),
    ("density/flow.py", "torch.random.manual_seed(1)", "outside density/torch_scope.py"),
    ("stats/nulls.py", "def test_null(): ...", "breaks test collection"),
    ("stats/nulls.py", "class TestResult: ...", "breaks test collection"),
    ("stats/nulls.py", "\n" * MAX_LINES, "lines, more than"),
]


def test_checker_rejects() -> None:
    for path, source, fault in REJECTED:
        found = faults(path, f'"""A module."""\n{source}\n')
        assert len(found) == 1, (path, source, found)
        assert fault in found[0]


def test_checker_wants_a_docstring() -> None:
    assert faults("stats/nulls.py", "x = 1\n") == ["no module docstring"]
