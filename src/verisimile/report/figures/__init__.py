"""Figures of results: one function per kind, with `ax`, units on the axes, and the axes returned.

``result.plot()`` and `draw` find the function for a result; the figures of a report are made by
the same functions.  Without `ax` they open a figure of matplotlib's pyplot, which a notebook shows.
"""

from verisimile.report.drawing import draw as draw
from verisimile.report.figures.bins import plot_areas as plot_areas
from verisimile.report.figures.bins import plot_histogram as plot_histogram
from verisimile.report.figures.bins import plot_regions as plot_regions
from verisimile.report.figures.numbers import Point as Point
from verisimile.report.figures.numbers import plot_numbers as plot_numbers
from verisimile.report.figures.numbers import plot_points as plot_points
from verisimile.report.figures.significance import plot_tests as plot_tests
from verisimile.report.figures.significance import plot_two_sample as plot_two_sample
from verisimile.report.figures.studies import plot_families as plot_families
from verisimile.report.figures.studies import plot_named as plot_named
from verisimile.report.sections.amplification import plot_amplification as plot_amplification
from verisimile.report.sections.amplification import plot_averaging as plot_averaging
from verisimile.report.sections.amplification import plot_gains as plot_gains
from verisimile.report.sections.amplification_condition import (
    plot_conditional_gain as plot_conditional_gain,
)
from verisimile.report.sections.amplification_measures import (
    plot_learning_curve as plot_learning_curve,
)
from verisimile.report.sections.arena import plot_arena as plot_arena
from verisimile.report.sections.classifier import plot_calibration as plot_calibration
from verisimile.report.sections.classifier import plot_classifier as plot_classifier
from verisimile.report.sections.classifier import plot_log_weights as plot_log_weights
from verisimile.report.sections.classifier import plot_roc as plot_roc
from verisimile.report.sections.coverage import plot_coverage as plot_coverage
from verisimile.report.sections.coverage import plot_saturation as plot_saturation
from verisimile.report.sections.discrepancy_figure import plot_discrepancy as plot_discrepancy
from verisimile.report.sections.family_figures import plot_band as plot_band
from verisimile.report.sections.family_figures import plot_band_comparison as plot_band_comparison
from verisimile.report.sections.family_figures import plot_bands as plot_bands
from verisimile.report.sections.family_figures import plot_precision_recall as plot_precision_recall
from verisimile.report.sections.family_figures import plot_radial_bands as plot_radial_bands
from verisimile.report.sections.family_figures import plot_recall_bands as plot_recall_bands
from verisimile.report.sections.goodness_figures import plot_alternative as plot_alternative
from verisimile.report.sections.goodness_figures import plot_goodness as plot_goodness
from verisimile.report.sections.goodness_figures import plot_marginal as plot_marginal
from verisimile.report.sections.monitor import plot_nights as plot_nights
from verisimile.report.sections.origin import plot_training as plot_training
from verisimile.report.sections.origin import plot_weights as plot_weights
from verisimile.report.sections.posterior import plot_ranks as plot_ranks
from verisimile.report.sections.posterior import plot_sbc as plot_sbc
from verisimile.report.sections.posterior import plot_tarp as plot_tarp
from verisimile.report.sections.repair import plot_reweighting as plot_reweighting
from verisimile.report.sections.repair import plot_templates as plot_templates
from verisimile.report.sections.twosample import plot_power as plot_power
from verisimile.report.sections.validation_figures import plot_correlations as plot_correlations
from verisimile.report.sections.validation_figures import plot_marginal_pair as plot_marginal_pair
from verisimile.report.sections.validation_figures import plot_p_values as plot_p_values
from verisimile.report.sections.validation_figures import plot_pair_map as plot_pair_map
from verisimile.report.sections.validation_figures import plot_validation as plot_validation
