"""The public face of amplification: ``verisimile.amplification``."""

from __future__ import annotations

from verisimile.checks.amplification.analytic import analytic, analytic_observables
from verisimile.checks.amplification.averaging import averaging
from verisimile.checks.amplification.calibrated_errors import calibrate_errors
from verisimile.checks.amplification.kolmogorov import kolmogorov, kolmogorov_features
from verisimile.checks.amplification.learning_curve import learning_curve
from verisimile.checks.amplification.member_counts import Draws
from verisimile.checks.amplification.memorisation import memorisation
from verisimile.checks.amplification.quadratic import (
    CramerVonMisesDiscrepancy,
    EnergyDiscrepancy,
    GaussianMMD,
    quadratic,
    quadratic_procedure,
)
from verisimile.checks.amplification.quantile import quantile, quantile_of_trainings
from verisimile.checks.amplification.regions import (
    UserRegions,
    equal_regions,
    product_regions,
    quantile_regions,
)
from verisimile.checks.amplification.study import amplify, entropy_label

__all__ = [
    "CramerVonMisesDiscrepancy",
    "Draws",
    "EnergyDiscrepancy",
    "GaussianMMD",
    "UserRegions",
    "amplify",
    "analytic",
    "analytic_observables",
    "averaging",
    "calibrate_errors",
    "entropy_label",
    "equal_regions",
    "kolmogorov",
    "kolmogorov_features",
    "learning_curve",
    "memorisation",
    "product_regions",
    "quadratic",
    "quadratic_procedure",
    "quantile",
    "quantile_of_trainings",
    "quantile_regions",
]
