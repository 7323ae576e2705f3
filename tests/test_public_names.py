"""``import verisimile`` is light, and every public name is where it says it is."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import verisimile
from verisimile.core.public_names import HOME

ROOT = Path(__file__).parents[1]
ERRORS = {
    "IncompleteError",
    "InputError",
    "NumericsError",
    "StoreError",
    "SupportError",
    "VerisimileError",
    "VerisimileWarning",
}
NAMES = {
    "AdversarialTrainer",
    "AggregatedMMD",
    "AggregatedNPLM",
    "AutoencoderTrainer",
    "BallsOfCentres",
    "Battery",
    "BayesianFlowTrainer",
    "BestScore",
    "BinContent",
    "BoostedTrees",
    "BootstrapPlan",
    "ClassifierScore",
    "Condition",
    "ConditionalMixture",
    "ContextBins",
    "CoverageScore",
    "CramerVonMises",
    "DensityAt",
    "DeviceNewton",
    "DiffusionTrainer",
    "DropoutFlowTrainer",
    "EnergyDistance",
    "Estimate",
    "Events",
    "Expectation",
    "ExponentialTilt",
    "Exchangeable",
    "Expression",
    "FlowMatchingTrainer",
    "FluctuatedCentre",
    "Frechet",
    "GaussianKernels",
    "GaussianMixtureTrainer",
    "InitialisationPlan",
    "IntervalScan",
    "KernelDensityTrainer",
    "KernelDistance",
    "KnownTruth",
    "LeaveOneOut",
    "LinearScore",
    "LogDensities",
    "Look",
    "MMD",
    "MappedScore",
    "MarginalKS",
    "MemberBootstrap",
    "MinosInterval",
    "MinuitSolver",
    "Mixture",
    "MixtureNetworkTrainer",
    "MixtureRatio",
    "Moment",
    "NPLM",
    "NewtonSolver",
    "NormalScores",
    "PValue",
    "Parzen",
    "Placement",
    "PlugIn",
    "PooledDraws",
    "PooledNeighbours",
    "PosteriorPoints",
    "Predictive",
    "PseudoDraws",
    "Quantile",
    "Run",
    "SampledTruth",
    "Search",
    "Seeds",
    "Sequential",
    "SlicedKS",
    "SlicedWasserstein",
    "SmallestP",
    "SplineFlowTrainer",
    "Standardised",
    "Study",
    "SumOfBins",
    "Surprise",
    "Threshold",
    "TorchSolver",
    "ZukoSplineTrainer",
    "adapt",
    "agreement",
    "amplification",
    "amplify",
    "check_conditional",
    "check_estimator",
    "compare_bands",
    "compare_curves",
    "coverage",
    "coverage_retrained",
    "derived",
    "deviating_windows",
    "diagnose_conditional",
    "diagnose_with_classifier",
    "fit_conditional_mixture",
    "fit_ensemble",
    "fit_mixture",
    "fit_tail",
    "fit_weights",
    "forced_choice",
    "frechet_distance",
    "gather_ensemble",
    "goodness_in_context",
    "goodness_of_fit",
    "holm",
    "inception_score",
    "kernel_distance",
    "learning_curve",
    "likelihood",
    "likelihood_test",
    "local_posterior_test",
    "localise",
    "marginal_pair",
    "memorisation",
    "min_p",
    "minos_interval",
    "minos_observable",
    "one_sample_tests",
    "permutation_test",
    "posterior_draws",
    "precision_recall",
    "precision_recall_band",
    "precision_recall_bands",
    "preference",
    "read_events",
    "read_ratings",
    "read_showers",
    "read_study",
    "refine",
    "saturation",
    "sbc",
    "scale_ratings",
    "smallest_effects",
    "support_metrics",
    "tarp",
    "validate",
    "variance_parts",
    "write_events",
    "write_report",
}


@pytest.mark.parametrize("name", sorted(ERRORS | NAMES))
def test_name_resolves(name: str) -> None:
    value = getattr(verisimile, name)
    assert value.__name__.rpartition(".")[2] == name  # a module has its package before it
    assert value.__doc__


def test_public_names_are_exactly_these() -> None:
    assert set(verisimile.__all__) == ERRORS | NAMES | {"__version__"}
    assert dir(verisimile) == sorted(verisimile.__all__)


def test_type_checker_and_runtime_agree() -> None:
    # The names are written twice: once for type checkers, once for __getattr__.
    tree = ast.parse(Path(verisimile.__file__).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.name: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == HOME
    assert set(seen) == NAMES


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'fit_wieghts'"):
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
    assert used <= set(verisimile.__all__)


def test_version_is_the_same_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {project['version']}\n" in citation
    if verisimile.__version__ == "0+unknown":
        pytest.skip("not installed: run from the source tree")
    assert verisimile.__version__ == project["version"]
