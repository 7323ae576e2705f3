"""Statistical validation of learned densities; public names are loaded when first used."""

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
from verisimile.core.public_names import HOME as _HOME

if TYPE_CHECKING:
    from verisimile.checks.amplification import amplification
    from verisimile.checks.amplification.learning_curve import learning_curve
    from verisimile.checks.amplification.memorisation import memorisation
    from verisimile.checks.amplification.study import amplify
    from verisimile.checks.classifier.conditional import diagnose_conditional
    from verisimile.checks.classifier.diagnosis import diagnose_with_classifier
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
    from verisimile.checks.coverage.retrained import coverage_retrained, saturation
    from verisimile.checks.coverage.truth import KnownTruth, SampledTruth
    from verisimile.checks.goodness.alternatives.kernels import GaussianKernels
    from verisimile.checks.goodness.alternatives.tilt import ExponentialTilt
    from verisimile.checks.goodness.in_context import (
        ContextBins,
        SmallestP,
        SumOfBins,
        goodness_in_context,
    )
    from verisimile.checks.goodness.likelihood_ratio import goodness_of_fit
    from verisimile.checks.goodness.localise import localise
    from verisimile.checks.goodness.null import FluctuatedCentre, PlugIn, Predictive
    from verisimile.checks.goodness.refine import Look, refine
    from verisimile.checks.goodness.search import Search
    from verisimile.checks.goodness.surprise import Surprise
    from verisimile.checks.goodness.toys import Sequential
    from verisimile.checks.human.agreement import agreement
    from verisimile.checks.human.forced_choice import forced_choice
    from verisimile.checks.human.preference import preference
    from verisimile.checks.human.scale import scale_ratings
    from verisimile.checks.human.table import read_ratings
    from verisimile.checks.known_truth.cdf import one_sample_tests
    from verisimile.checks.known_truth.likelihood import likelihood, likelihood_test
    from verisimile.checks.physics.histograms import marginal_pair
    from verisimile.checks.posterior.local import PosteriorPoints, local_posterior_test
    from verisimile.checks.posterior.sbc import sbc
    from verisimile.checks.posterior.simulations import posterior_draws
    from verisimile.checks.posterior.tarp import tarp
    from verisimile.checks.precision_recall.band import (
        precision_recall_band,
        precision_recall_bands,
    )
    from verisimile.checks.precision_recall.best import BestScore
    from verisimile.checks.precision_recall.comparison import compare_bands, compare_curves
    from verisimile.checks.precision_recall.curve import precision_recall
    from verisimile.checks.precision_recall.learned_scores import (
        BoostedTrees,
        LinearScore,
        MixtureRatio,
    )
    from verisimile.checks.precision_recall.scores import (
        BallsOfCentres,
        ClassifierScore,
        CoverageScore,
        LogDensities,
        MappedScore,
        Parzen,
        PooledNeighbours,
    )
    from verisimile.checks.precision_recall.variance import variance_parts
    from verisimile.checks.support.inception import inception_score
    from verisimile.checks.support.study import support_metrics
    from verisimile.checks.twosample.permutation import Exchangeable, permutation_test
    from verisimile.checks.twosample.sensitivity import smallest_effects
    from verisimile.checks.twosample.statistics.distribution_functions import (
        CramerVonMises,
        MarginalKS,
        SlicedKS,
        SlicedWasserstein,
    )
    from verisimile.checks.twosample.statistics.energy import EnergyDistance
    from verisimile.checks.twosample.statistics.frechet import Frechet, frechet_distance
    from verisimile.checks.twosample.statistics.interval_scan import IntervalScan
    from verisimile.checks.twosample.statistics.kernel_distance import (
        KernelDistance,
        kernel_distance,
    )
    from verisimile.checks.twosample.statistics.mmd import MMD, AggregatedMMD
    from verisimile.checks.twosample.statistics.nplm import NPLM, AggregatedNPLM
    from verisimile.checks.twosample.windows import deviating_windows
    from verisimile.core.random import Seeds
    from verisimile.core.result import Estimate
    from verisimile.core.run import Run
    from verisimile.data.calo.files import read_showers
    from verisimile.data.derived import derived
    from verisimile.data.events import Events
    from verisimile.data.expressions import Condition, Expression
    from verisimile.data.files import read_events, write_events
    from verisimile.density.adapters import adapt
    from verisimile.density.check import check_conditional, check_estimator
    from verisimile.density.flows.random_weights import BayesianFlowTrainer, DropoutFlowTrainer
    from verisimile.density.flows.trainer import SplineFlowTrainer
    from verisimile.density.flows.zuko import ZukoSplineTrainer
    from verisimile.density.mixtures.autoregressive import MixtureNetworkTrainer
    from verisimile.density.mixtures.gaussian import GaussianMixtureTrainer
    from verisimile.density.mixtures.kernel import KernelDensityTrainer
    from verisimile.density.paths.diffusion import DiffusionTrainer
    from verisimile.density.paths.flow_matching import FlowMatchingTrainer
    from verisimile.density.samplers import AdversarialTrainer, AutoencoderTrainer
    from verisimile.density.torch_scope import Placement
    from verisimile.ensemble.fit import fit_ensemble
    from verisimile.ensemble.gather import gather_ensemble
    from verisimile.ensemble.plan import BootstrapPlan, InitialisationPlan
    from verisimile.mixture.bind import fit_conditional_mixture, fit_mixture
    from verisimile.mixture.conditional import ConditionalMixture
    from verisimile.mixture.fit import fit_weights
    from verisimile.mixture.minos import MinosInterval, minos_interval, minos_observable
    from verisimile.mixture.model import Mixture
    from verisimile.mixture.solvers.device import DeviceNewton
    from verisimile.mixture.solvers.minuit import MinuitSolver
    from verisimile.mixture.solvers.newton import NewtonSolver
    from verisimile.mixture.solvers.torch_minimize import TorchSolver
    from verisimile.report.write import write_report
    from verisimile.samples.coordinates import NormalScores, Standardised
    from verisimile.stats.aggregate import min_p
    from verisimile.stats.multiple import holm
    from verisimile.stats.pvalues import PValue
    from verisimile.stats.tails import fit_tail
    from verisimile.validation.study import Battery, Study, Threshold, read_study
    from verisimile.validation.validate import validate

__all__ = [
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
    "IncompleteError",
    "InitialisationPlan",
    "InputError",
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
    "NumericsError",
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
    "StoreError",
    "Study",
    "SumOfBins",
    "Surprise",
    "SupportError",
    "Threshold",
    "TorchSolver",
    "VerisimileError",
    "VerisimileWarning",
    "ZukoSplineTrainer",
    "__version__",
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
]

try:
    __version__ = version("verisimile")
except PackageNotFoundError:  # run from a source tree that is not installed
    __version__ = "0+unknown"

# A type checker knows the names from the imports above; a module-level
# __getattr__ would make it accept every misspelt one.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name not in _HOME:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        home = import_module(_HOME[name])
        # A public name may be a module, such as ``amplification``, which nobody has imported yet.
        value = getattr(home, name, None) or import_module(f"{_HOME[name]}.{name}")
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted(__all__)
