"""The table of features of a study: all faults at once, and what the tests see of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from verisimile.core.errors import InputError, SupportError
from verisimile.data.description import Description
from verisimile.data.events import Events
from verisimile.data.feature import Feature
from verisimile.validation.samples import gathered_inputs
from verisimile.validation.study import Study, read_study

FILE = """\
[samples]
periodic = ["phi"]
[features.pt_ll]
unit = "GeV"
label = "$p_T^{ll}$"
low = 0
[features.phi]
unit = "rad"
"""
FAULTY = """\
[features.pt]
unti = "GeV"
low = "zero"
[features.m]
kind = "angle"
[features.q]
low = 3
high = 1
[features.e]
transform = "sqrt"
unit = 5
"""


def test_a_table_describes_features(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(FILE)
    study = read_study(tmp_path / "study.toml")
    assert study.features == {
        "pt_ll": Description("GeV", "$p_T^{ll}$", low=0.0),
        "phi": Description("rad"),
    }


def test_all_faults_of_the_table_come_in_one_message(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(FAULTY)
    with pytest.raises(InputError) as error:
        read_study(tmp_path / "study.toml")
    for words in (
        "6 faults",
        "features.pt.unti: unknown key. Did you mean 'unit'?",
        "features.pt.low",
        "features.m.kind",
        "features.q: low, high",
        "features.e.transform",
        "features.e.unit",
    ):
        assert words in str(error.value)


def test_periodic_and_another_kind_contradict_each_other(tmp_path: Path) -> None:
    text = FILE.replace('unit = "rad"', 'kind = "continuous"')
    (tmp_path / "study.toml").write_text(text)
    with pytest.raises(InputError, match="feature phi: got kind = continuous, and periodic"):
        read_study(tmp_path / "study.toml")


def _samples(*features: Feature | str) -> tuple[Events, Events]:
    rng = np.random.default_rng(3)
    first, second = rng.uniform(0.5, 3.0, (2, 300, 2))
    names = ("pt", "phi")
    reference = Events(first, features=features or names)
    return reference, Events(second[:, ::-1], names=names[::-1])


def _shown(study: Study, reference: Events, generated: Events) -> dict[str, tuple[Feature, ...]]:
    found = gathered_inputs(reference, generated, None, study)
    return {"reference": found.reference.features, "generated": found.generated.features}


def test_both_samples_and_computed_columns_are_described() -> None:
    study = Study.model_validate(
        {
            "observables": {"log_pt": "log(pt)"},
            "samples": {"periodic": ["phi"]},
            "features": {"pt": {"unit": "GeV"}, "log_pt": {"label": "$\\log p_T$"}},
        }
    )
    wanted = (
        Feature("pt", unit="GeV", label="$p_T$"),
        Feature("phi", kind="periodic"),
        Feature("log_pt", label="$\\log p_T$"),
    )
    found = _shown(study, *_samples(Feature("pt", label="$p_T$"), "phi"))
    assert found == {"reference": wanted, "generated": wanted}


def test_what_one_sample_says_is_used_for_both() -> None:
    spec = Feature("pt", unit="GeV", label="$p_T$", low=0.0)
    generated, reference = _samples(spec, "phi")
    found = _shown(Study(), reference, generated)
    assert found["reference"][1] == Feature("pt", unit="GeV", label="$p_T$")
    assert found["generated"][1] == spec


def test_two_units_are_refused_unless_the_study_says_which() -> None:
    reference, generated = _samples(Feature("pt", unit="GeV"), "phi")
    other = generated.with_features([Feature("phi"), Feature("pt", unit="gev")])
    with pytest.raises(InputError, match="unit 'gev'"):
        _shown(Study(), reference, other)
    study = Study.model_validate({"features": {"pt": {"unit": "GeV"}}})
    assert _shown(study, reference, other)["generated"][0].unit == "GeV"


def test_kinds_that_differ_are_told() -> None:
    reference, generated = _samples("pt", Feature("phi", kind="periodic"))
    (note,) = gathered_inputs(reference, generated, None, Study()).warnings
    assert "feature 'phi' is periodic in the reference sample, continuous in the gen" in note


def test_names_that_are_no_column_and_values_outside_are_refused() -> None:
    samples = _samples()
    with pytest.raises(InputError, match=r"no column 'pt_l'.*Did you mean 'pt'"):
        _shown(Study.model_validate({"features": {"pt_l": {"unit": "GeV"}}}), *samples)
    with pytest.raises(SupportError, match=r"reference sample.*'pt'.*in row"):
        _shown(Study.model_validate({"features": {"pt": {"low": 2.9}}}), *samples)


def test_columns_that_are_not_compared_may_be_described() -> None:
    listed = {"samples": {"features": ["phi"]}, "features": {"pt": {"unit": "GeV"}}}
    found = _shown(Study.model_validate(listed), *_samples())
    assert [spec.name for spec in found["reference"]] == ["phi"]
