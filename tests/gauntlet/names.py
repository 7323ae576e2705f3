"""What does not run the gauntlet, and why; all other public names are covered by a bench."""

from __future__ import annotations

from collections.abc import Mapping

FIELDS = ("p_value", "p_values", "adjusted", "interval", "intervals", "low")
"""Fields by which a result class is known to state p-values or intervals."""

_REASONS: Mapping[str, str] = {
    "a setting, a value, an error or an input: states nothing": """
        AdversarialTrainer AutoencoderTrainer BallsOfCentres Defect Law Material Metric Suite
        events_law other_generator own_metrics Battery BayesianFlowTrainer
        BestScore BinContent BoostedTrees BootstrapPlan CallableDensity ClassifierScore
        Condition ContextBins
        Compiled CoverageScore DensityAt DeviceNewton DiffusionTrainer DropoutFlowTrainer Events
        Exchangeable Expectation Expression FlowMatchingTrainer GaussianMixtureTrainer
        IncompleteError InitialisationPlan InputError KernelDensityTrainer KnownTruth
        LastLayerTrainer
        LeaveOneOut LinearScore LogDensities Look Loop MappedScore MemberBootstrap MinuitSolver
        MixtureNetworkTrainer MixtureRatio Moment NewtonSolver NormalScores NumericsError Parzen
        Placement PooledDraws PooledNeighbours PosteriorPoints PseudoDraws Quantile Run
        SampledTruth Seeds SplineFlowTrainer Stacked Standardised StoreError Study SupportError
        Threshold TorchSolver VerisimileError VerisimileWarning ZukoSplineTrainer Feature
        Description Identity Log Logit Probit Interval FeatureWindows TailRange Draws GaussianMMD
        UserRegions
        CramerVonMisesDiscrepancy EnergyDiscrepancy entropy_label equal_regions product_regions
        quantile_regions""",
    "reads, writes, trains, adapts or gathers: states nothing": """
        adapt adapt_sampler check_conditional check_estimator check_passport derived
        fit_cross_ensemble fit_ensemble gather_ensemble load_run log_report make_passport
        MLflowLogger WandbLogger posterior_draws probability_flow read_events read_passport
        read_ratings read_report read_showers read_study write_events write_passport
        write_report""",
    "a statistic of the battery, under the name that the catalogue gives it": """
        AggregatedMMD AggregatedNPLM CramerVonMises EnergyDistance Frechet IntervalScan
        KernelDistance MMD MarginalKS NPLM SlicedKS SlicedWasserstein""",
    "a null, alternative or rule of the goodness-of-fit benches, which name them": """
        ExponentialTilt FluctuatedCentre GaussianKernels PlugIn Predictive Search Sequential
        SmallestP SumOfBins Surprise AlternativeFit""",
    "a part of a result whose whole runs the gauntlet": """
        BatteryOutcome Joined NullCurves RadialBand Rate SurpriseFit Yardstick""",
    "counts how often the intervals of the weight fit cover; its own are Clopper and Pearson's": """
        coverage Coverage ObservableCoverage coverage_retrained saturation""",
    "the conditional weight fit is that of the weight fit, with densities at given contexts": """
        ConditionalMixture fit_conditional_mixture""",
    "scores without a p-value: tests/calibration/test_localise_pulls.py": "localise",
    "the looks of a sequence are corrected as in 'toys: two looks'": "refine Refinement",
    "runs the measures of the benches on amplification together": "amplify AmplificationStudy",
    "extrapolates beyond the toys: tests/calibration/test_tail_accuracy.py": "fit_tail Tail",
    "power, not size: tests/calibration/test_sensitivity_power.py": "smallest_effects",
    "an estimate with a standard error and no law of it: unit tests compare the spread": """
        estimated_log_prob frechet_distance inception_score kernel_distance likelihood
        support_metrics variance_parts""",
    "bands that hold together: tests/calibration/test_conditional_bands.py":
        "conditional ConditionalAmplification",
    "covers at least: tests/calibration/test_conditional_bands.py":
        "kolmogorov_classifier",
    "members scatter normally by assumption: tests/calibration/test_amplification_averaging.py":
        "RegionMap",
    "one factor for given errors: tests/unit/amplification/test_calibrated_errors.py":
        "ErrorScale calibrate_errors",
    "of one ensemble with its discrepancy: tests/calibration/test_minos_expectation.py":
        "minos_expectation",
    "of trained flows: tests/calibration/test_honest_bands.py":
        "CorrectedMixture Discrepancy correct_mixture",
    "from the errors of a mixture, which the benches of the weight fit count":
        "analytic analytic_observables",
    "spread of members, which covers nothing by itself: tests/unit/coverage":
        "BinIntervals density_intervals spread_intervals summarise_bins",
    "pointwise bands over generators, for the eye": "RecallBand",
    "Wilson intervals, right on average over rates only, for the eye": "CalibrationCurve",
    "pointwise band of a curve, for the eye": "RocCurve",
    "its errors are counted by tests/calibration/test_cross_coverage.py": "fit_cross_mixture",
    "errors of ratios are counted by tests/calibration/test_ratio_coverage.py":
        "fit_ratio fit_ratio_weights RatioMixture",
    "a p-value in other units": "Significance",
    "at any time: tests/calibration/test_monitor_alarms.py": "monitor Monitored",
    "errors and retests: tests/calibration/test_reweighting.py": "reweight Reweighting",
    "no more gaps than stated: tests/unit/repair/test_gaps.py": "Gap",
    "shares of pairs with Clopper and Pearson's interval: tests/unit/ranking":
        "Arena ArenaCosts Found Standing arena",
}  # fmt: skip

EXCUSED: Mapping[str, str] = {
    name: reason for reason, names in _REASONS.items() for name in names.split()
}
"""Reason by name."""
