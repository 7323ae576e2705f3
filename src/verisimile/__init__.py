"""verisimile: statistical validation of learned densities.

The public names are loaded when first used, so that ``import verisimile``
costs neither torch nor time.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from verisimile.core.errors import (
    IncompleteError,
    InputError,
    NumericsError,
    StoreError,
    SupportError,
    VerisimileError,
    VerisimileWarning,
)

if TYPE_CHECKING:
    from verisimile.checks.coverage.basis import LeaveOneOut, MemberBootstrap
    from verisimile.checks.coverage.conditional import PseudoDraws, coverage
    from verisimile.checks.coverage.members import PooledDraws
    from verisimile.checks.coverage.observables import (
        BinContent,
        DensityAt,
        Expectation,
        Moment,
        Quantile,
    )
    from verisimile.checks.coverage.retrained import coverage_retrained
    from verisimile.checks.coverage.saturation import saturation
    from verisimile.checks.coverage.truth import KnownTruth, SampledTruth
    from verisimile.checks.goodness.calibration import FluctuatedCentre, PlugIn, Predictive
    from verisimile.checks.goodness.kernels import GaussianKernels
    from verisimile.checks.goodness.likelihood_ratio import goodness_of_fit
    from verisimile.core.random import Seeds
    from verisimile.core.result import Estimate
    from verisimile.core.run import Run
    from verisimile.data.events import Events
    from verisimile.data.files import read_events, write_events
    from verisimile.density.adapters import adapt
    from verisimile.density.check import check_estimator
    from verisimile.density.spline_flow import SplineFlowTrainer
    from verisimile.ensemble.fit import fit_ensemble
    from verisimile.ensemble.plan import BootstrapPlan
    from verisimile.mixture.bind import fit_mixture
    from verisimile.mixture.fit import fit_weights
    from verisimile.mixture.minuit_solver import MinuitSolver
    from verisimile.mixture.model import Mixture
    from verisimile.mixture.newton import NewtonSolver
    from verisimile.mixture.torch_solver import TorchSolver
    from verisimile.report.write import write_report
    from verisimile.stats.pvalues import PValue

__all__ = [
    "BinContent",
    "BootstrapPlan",
    "DensityAt",
    "Estimate",
    "Events",
    "Expectation",
    "FluctuatedCentre",
    "GaussianKernels",
    "IncompleteError",
    "InputError",
    "KnownTruth",
    "LeaveOneOut",
    "MemberBootstrap",
    "MinuitSolver",
    "Mixture",
    "Moment",
    "NewtonSolver",
    "NumericsError",
    "PValue",
    "PlugIn",
    "PooledDraws",
    "Predictive",
    "PseudoDraws",
    "Quantile",
    "Run",
    "SampledTruth",
    "Seeds",
    "SplineFlowTrainer",
    "StoreError",
    "SupportError",
    "TorchSolver",
    "VerisimileError",
    "VerisimileWarning",
    "__version__",
    "adapt",
    "check_estimator",
    "coverage",
    "coverage_retrained",
    "fit_ensemble",
    "fit_mixture",
    "fit_weights",
    "goodness_of_fit",
    "read_events",
    "saturation",
    "write_events",
    "write_report",
]

try:
    __version__ = version("verisimile")
except PackageNotFoundError:  # run from a source tree that is not installed
    __version__ = "0+unknown"

_HOME = {
    "BinContent": "verisimile.checks.coverage.observables",
    "BootstrapPlan": "verisimile.ensemble.plan",
    "DensityAt": "verisimile.checks.coverage.observables",
    "Estimate": "verisimile.core.result",
    "Events": "verisimile.data.events",
    "Expectation": "verisimile.checks.coverage.observables",
    "FluctuatedCentre": "verisimile.checks.goodness.calibration",
    "GaussianKernels": "verisimile.checks.goodness.kernels",
    "KnownTruth": "verisimile.checks.coverage.truth",
    "LeaveOneOut": "verisimile.checks.coverage.basis",
    "MemberBootstrap": "verisimile.checks.coverage.basis",
    "MinuitSolver": "verisimile.mixture.minuit_solver",
    "Mixture": "verisimile.mixture.model",
    "Moment": "verisimile.checks.coverage.observables",
    "NewtonSolver": "verisimile.mixture.newton",
    "PValue": "verisimile.stats.pvalues",
    "PlugIn": "verisimile.checks.goodness.calibration",
    "PooledDraws": "verisimile.checks.coverage.members",
    "Predictive": "verisimile.checks.goodness.calibration",
    "PseudoDraws": "verisimile.checks.coverage.conditional",
    "Quantile": "verisimile.checks.coverage.observables",
    "Run": "verisimile.core.run",
    "SampledTruth": "verisimile.checks.coverage.truth",
    "Seeds": "verisimile.core.random",
    "SplineFlowTrainer": "verisimile.density.spline_flow",
    "TorchSolver": "verisimile.mixture.torch_solver",
    "adapt": "verisimile.density.adapters",
    "check_estimator": "verisimile.density.check",
    "coverage": "verisimile.checks.coverage.conditional",
    "coverage_retrained": "verisimile.checks.coverage.retrained",
    "fit_ensemble": "verisimile.ensemble.fit",
    "fit_mixture": "verisimile.mixture.bind",
    "fit_weights": "verisimile.mixture.fit",
    "goodness_of_fit": "verisimile.checks.goodness.likelihood_ratio",
    "read_events": "verisimile.data.files",
    "saturation": "verisimile.checks.coverage.saturation",
    "write_events": "verisimile.data.files",
    "write_report": "verisimile.report.write",
}

# A type checker knows the names from the imports above; a module-level
# __getattr__ would make it accept every misspelt one.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name not in _HOME:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(_HOME[name]), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted(__all__)
