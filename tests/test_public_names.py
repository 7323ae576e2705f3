"""``import verisimile`` is light, and every public name is where the stubs say it is."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

import verisimile
from public_names import public, stubs

ROOT = Path(__file__).parents[1]
# What code outside relies on: these names are at top level.
CONTRACT = (
    "BootstrapPlan EnergyDistance Estimate Events ExponentialTilt FluctuatedCentre Frechet "
    "GaussianKernels IncompleteError InputError MMD MarginalKS Mixture NPLM NewtonSolver "
    "NumericsError PValue PlugIn Predictive Run Seeds SlicedKS SlicedWasserstein "
    "SplineFlowTrainer StoreError SupportError adapt amplification check_estimator "
    "compare_bands coverage fit_ensemble fit_mixture fit_weights goodness_of_fit "
    "precision_recall precision_recall_band read_events sbc tarp two_sample validate write_report"
)


def test_contract_is_kept() -> None:
    assert set(CONTRACT.split()) <= set(dir(verisimile))
    assert all(getattr(verisimile, name).__doc__ for name in CONTRACT.split())


def test_names_of_stubs_resolve() -> None:
    for package, names in stubs().items():
        home = import_module(package)
        assert set(names) <= set(dir(home))
        for name in names:
            value = getattr(home, name)
            assert value.__name__ == name
            assert value.__doc__


def test_every_name_is_in_one_stub() -> None:
    names = [name for each in stubs().values() for name in each]
    assert len(names) == len(set(names)) == len(public())


def test_a_function_is_not_hidden_by_the_module_that_holds_it() -> None:
    code = (
        "import verisimile.checks.amplification.quantile, verisimile as vs;"
        "assert callable(vs.amplification.quantile)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="attribute fit_wieghts"):
        getattr(verisimile, "fit_wieghts")  # noqa: B009  (mypy knows that it does not exist)


@pytest.mark.parametrize(
    "statement", ["import verisimile", "import verisimile.app.cli"], ids=["package", "cli"]
)
def test_import_does_not_import_torch(statement: str) -> None:
    heavy = "{'torch', 'torchmin', 'iminuit', 'nflows', 'sklearn', 'matplotlib'}"
    code = f"import sys; {statement}; print(sorted({heavy} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_readme_uses_public_names_only() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    used = set(re.findall(r"\bvs\.(\w+)", readme))
    assert used
    assert used <= set(dir(verisimile))


def test_version_is_the_same_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {project['version']}\n" in citation
    if verisimile.__version__ == "0+unknown":
        pytest.skip("not installed: run from the source tree")
    assert verisimile.__version__ == project["version"]
