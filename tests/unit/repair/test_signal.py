from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import optimize

from template_values import EDGES, SIGNAL, falling, observed
from verisimile.core.errors import InputError
from verisimile.repair.signal import fit_signal


def test_intervals_end_where_the_way_from_the_optimum_has_a_negative_expectation() -> None:
    """A loose bin follows the signal down; what the optimum has for it would be negative there."""
    templates = falling()
    nominal, rows = templates.nominal.copy(), templates.variations.copy()
    nominal[-1], rows[0, -1] = 1.0, 2.5
    loose = replace(templates, nominal=nominal, variations=rows)
    signal = np.zeros(12)
    signal[-2:] = 4.0, 3.0
    counts = np.round(nominal)
    counts[-2:] = 1.0, 0.0
    found = fit_signal(loose, signal, counts)
    low95, high95 = found.interval95
    low, high = found.interval68
    assert -np.inf < low95 < low < found.mu < high < high95 < np.inf
    assert nominal[-1] + low95 * signal[-1] < 0.0


def test_the_estimate_is_the_minimum_that_a_general_minimiser_finds() -> None:
    templates = falling()
    counts = observed(templates, 1.0, np.random.default_rng(3))
    k = len(templates.variations)
    relative = templates.statistical / templates.nominal

    def value(theta: np.ndarray) -> float:
        shape = templates.nominal + theta[1 : 1 + k] @ templates.variations
        expected = theta[0] * SIGNAL + theta[1 + k :] * shape
        pulls = (theta[1 + k :] - 1.0) / relative
        terms = expected - counts * np.log(expected)
        return float(terms.sum() + 0.5 * (theta[1 : 1 + k] ** 2).sum() + 0.5 * (pulls**2).sum())

    start = np.concatenate([[0.0], np.zeros(k), np.ones(12)])
    best = optimize.minimize(value, start, method="BFGS", options={"gtol": 1e-7})
    found = fit_signal(templates, SIGNAL, counts)
    assert found.mu == pytest.approx(best.x[0], abs=1e-4)
    assert found.interval68[0] < found.mu < found.interval68[1] < found.interval95[1]
    assert found.error == pytest.approx(0.5 * np.diff(found.interval68)[0], rel=0.05)


def test_without_an_excess_there_is_no_significance() -> None:
    found = fit_signal(falling(), SIGNAL, falling().nominal - 0.3 * SIGNAL)
    assert found.mu < 0.0
    assert found.q0 == 0.0


def test_templates_that_are_known_have_no_errors_of_their_own() -> None:
    """One bin, no errors: the answer is (n - b) / s."""
    one = falling(statistical=0.0)
    bare = type(one)(one.axes, one.nominal, np.empty((0, 12)), one.statistical)
    counts = one.nominal + SIGNAL
    assert fit_signal(bare, SIGNAL, counts).mu == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("signal", "counts", "name"),
    [
        (SIGNAL[:-1], np.ones(12), "signal"),
        (SIGNAL, -np.ones(12), "observed"),
        (np.zeros(12), np.ones(12), "signal"),
    ],
)
def test_other_bins_and_negative_counts_are_refused(
    signal: np.ndarray, counts: np.ndarray, name: str
) -> None:
    with pytest.raises(InputError, match=name):
        fit_signal(falling(), signal, counts)


@pytest.mark.filterwarnings("ignore:jsonschema.RefResolver:DeprecationWarning")
def test_pyhf_reads_the_workspace_and_agrees() -> None:
    templates = falling()
    counts = observed(templates, 0.7, np.random.default_rng(5))
    with warnings.catch_warnings():  # pyhf adds filters of its own
        pyhf = pytest.importorskip("pyhf", reason="an extra of the analysis, not of this package")
        workspace = pyhf.Workspace(templates.to_pyhf(SIGNAL, counts))
        model = workspace.model()
        pyhf.set_backend("numpy", pyhf.optimize.minuit_optimizer(tolerance=1e-6))
        bounds = model.config.suggested_bounds()
        bounds[model.config.poi_index] = (-20.0, 20.0)
        best = pyhf.infer.mle.fit(workspace.data(model), model, par_bounds=bounds)
    found = fit_signal(templates, SIGNAL, counts)
    assert best[model.config.poi_index] == pytest.approx(found.mu, abs=1e-3 * found.error)


def test_workspaces_name_each_variation_and_keep_the_statistical_part_apart() -> None:
    templates = falling()
    made: Any = templates.to_pyhf(SIGNAL, templates.nominal)
    background = made["channels"][0]["samples"][1]
    kinds = [each["type"] for each in background["modifiers"]]
    assert kinds == ["histosys"] * len(templates.variations) + ["staterror"]
    names = [each["name"] for each in background["modifiers"]]
    assert len(set(names)) == len(names)


def test_hists_are_nominal_and_each_variation_up_and_down() -> None:
    templates = falling()
    hists = templates.to_hists("zmumu")
    assert set(hists) == {"zmumu"} | {
        f"zmumu_var{k}{way}" for k in range(len(templates.variations)) for way in ("Up", "Down")
    }
    assert hists["zmumu"].axes[0].edges == pytest.approx(EDGES)
    both = hists["zmumu_var0Up"].values() + hists["zmumu_var0Down"].values()
    assert both == pytest.approx(2.0 * templates.nominal)
