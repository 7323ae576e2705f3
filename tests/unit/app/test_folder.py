"""What a folder holds can be had from Python, and what is no such folder is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import verisimile as vs
from analytic import draw, family
from report_values import make_content, make_goodness
from verisimile.density.mixtures.kernel import KernelDensityTrainer
from verisimile.mixture.bind import PseudoEvents
from verisimile.mixture.io import save_mixture

RUN = vs.Run(vs.Seeds(5))


def _events(n: int, seed: int) -> vs.Events:
    return vs.Events(draw(family(2), np.array([0.6, 0.4]), n, np.random.default_rng(seed)))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    run = vs.Run(vs.Seeds(5), store=folder)
    ensemble = vs.fit_ensemble(
        run, _events(200, 1), vs.BootstrapPlan(members=2), KernelDensityTrainer()
    )
    mixture = vs.fit_mixture(
        run, ensemble, _events(200, 2), discrepancy=None, pseudo=PseudoEvents(strength=1.0)
    )
    save_mixture(run, mixture)
    vs.write_report(RUN, make_content(), folder / "report")
    return folder


def test_a_run_folder_holds_members_mixture_and_reports(home: Path) -> None:
    held = vs.load_run(home)
    assert held.ensemble is not None
    assert len(held.ensemble.records) == len(held.training) == 2
    assert isinstance(held.mixture, vs.Mixture)
    assert held.fit is held.mixture.fit
    x = np.zeros((3, 2))
    assert held.mixture.log_prob(x).shape == (3,)
    assert held.settings is None  # made from Python
    assert list(held.reports) == ["report"]
    kinds = [type(one).__name__ for one in held.results]
    assert kinds == ["Goodness", "Goodness", "MarginalComparison", "Hotspots"]
    assert "reports['report']: A < B & C" in repr(held)
    assert "A &lt; B &amp; C" in held._repr_html_()


def test_a_report_alone_has_results_and_nothing_else(tmp_path: Path) -> None:
    vs.write_report(RUN, make_goodness(), tmp_path)
    held = vs.load_run(tmp_path)
    assert held.mixture is None
    assert held.fit is None
    assert held.ensemble is None
    assert held.training == ()
    (result,) = held.results
    assert repr(result) == repr(make_goodness())
    assert vs.read_report(tmp_path).line == vs.read_report(tmp_path / "result.json").line


def test_what_is_no_folder_of_ours_is_told(tmp_path: Path) -> None:
    with pytest.raises(vs.StoreError, match="got no folder"):
        vs.load_run(tmp_path / "nowhere")
    with pytest.raises(vs.StoreError, match="neither records nor a report"):
        vs.load_run(tmp_path)
    (tmp_path / "result.json").write_text("{}")
    with pytest.raises(vs.StoreError, match="schema"):
        vs.load_run(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]
