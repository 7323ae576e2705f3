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
    from verisimile.checks.goodness.combination import SmallestP, SumOfBins
    from verisimile.checks.goodness.context_bins import ContextBins
    from verisimile.checks.goodness.gaussian import GaussianKernels
    from verisimile.checks.goodness.in_context import goodness_in_context
    from verisimile.checks.goodness.likelihood_ratio import goodness_of_fit
    from verisimile.checks.goodness.localise import localise
    from verisimile.checks.goodness.refine import Look, refine
    from verisimile.checks.goodness.stopping import Sequential
    from verisimile.checks.goodness.tilt import ExponentialTilt
    from verisimile.core.random import Seeds
    from verisimile.core.result import Estimate
    from verisimile.core.run import Run
    from verisimile.data.events import Events
    from verisimile.data.files import read_events, write_events
    from verisimile.density.adapters import adapt
    from verisimile.density.check import check_estimator
    from verisimile.density.conditional_check import check_conditional
    from verisimile.density.spline_flow import SplineFlowTrainer
    from verisimile.ensemble.fit import fit_ensemble
    from verisimile.ensemble.plan import BootstrapPlan
    from verisimile.mixture.bind import fit_mixture
    from verisimile.mixture.conditional import ConditionalMixture
    from verisimile.mixture.conditional_bind import fit_conditional_mixture
    from verisimile.mixture.fit import fit_weights
    from verisimile.mixture.minos import MinosInterval, minos_interval, minos_observable
    from verisimile.mixture.minuit_solver import MinuitSolver
    from verisimile.mixture.model import Mixture
    from verisimile.mixture.newton import NewtonSolver
    from verisimile.mixture.torch_device import DeviceNewton
    from verisimile.mixture.torch_solver import TorchSolver
    from verisimile.report.write import write_report
    from verisimile.stats.pvalues import PValue
    from verisimile.stats.tails import fit_tail

__all__ = [
    "BinContent",
    "BootstrapPlan",
    "ConditionalMixture",
    "ContextBins",
    "DensityAt",
    "DeviceNewton",
    "Estimate",
    "Events",
    "Expectation",
    "ExponentialTilt",
    "FluctuatedCentre",
    "GaussianKernels",
    "IncompleteError",
    "InputError",
    "KnownTruth",
    "Look",
    "MinosInterval",
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
    "Sequential",
    "SmallestP",
    "SplineFlowTrainer",
    "StoreError",
    "SumOfBins",
    "SupportError",
    "TorchSolver",
    "VerisimileError",
    "VerisimileWarning",
    "__version__",
    "adapt",
    "check_conditional",
    "check_estimator",
    "coverage",
    "coverage_retrained",
    "fit_conditional_mixture",
    "fit_ensemble",
    "fit_mixture",
    "fit_tail",
    "fit_weights",
    "goodness_in_context",
    "goodness_of_fit",
    "localise",
    "minos_interval",
    "minos_observable",
    "read_events",
    "refine",
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
    "ConditionalMixture": "verisimile.mixture.conditional",
    "ContextBins": "verisimile.checks.goodness.context_bins",
    "DensityAt": "verisimile.checks.coverage.observables",
    "DeviceNewton": "verisimile.mixture.torch_device",
    "Estimate": "verisimile.core.result",
    "Events": "verisimile.data.events",
    "Expectation": "verisimile.checks.coverage.observables",
    "ExponentialTilt": "verisimile.checks.goodness.tilt",
    "FluctuatedCentre": "verisimile.checks.goodness.calibration",
    "GaussianKernels": "verisimile.checks.goodness.gaussian",
    "KnownTruth": "verisimile.checks.coverage.truth",
    "Look": "verisimile.checks.goodness.refine",
    "MinosInterval": "verisimile.mixture.minos",
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
    "Sequential": "verisimile.checks.goodness.stopping",
    "SmallestP": "verisimile.checks.goodness.combination",
    "SplineFlowTrainer": "verisimile.density.spline_flow",
    "SumOfBins": "verisimile.checks.goodness.combination",
    "TorchSolver": "verisimile.mixture.torch_solver",
    "adapt": "verisimile.density.adapters",
    "check_conditional": "verisimile.density.conditional_check",
    "check_estimator": "verisimile.density.check",
    "coverage": "verisimile.checks.coverage.conditional",
    "coverage_retrained": "verisimile.checks.coverage.retrained",
    "fit_conditional_mixture": "verisimile.mixture.conditional_bind",
    "fit_ensemble": "verisimile.ensemble.fit",
    "fit_mixture": "verisimile.mixture.bind",
    "fit_tail": "verisimile.stats.tails",
    "fit_weights": "verisimile.mixture.fit",
    "goodness_in_context": "verisimile.checks.goodness.in_context",
    "goodness_of_fit": "verisimile.checks.goodness.likelihood_ratio",
    "localise": "verisimile.checks.goodness.localise",
    "minos_interval": "verisimile.mixture.minos",
    "minos_observable": "verisimile.mixture.minos",
    "read_events": "verisimile.data.files",
    "refine": "verisimile.checks.goodness.refine",
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
