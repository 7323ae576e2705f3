"""The option that describes a feature: commas in math, colons in names, and clear refusals."""

from __future__ import annotations

import math
import warnings

import pytest

from verisimile.app.descriptions import (
    as_fitted,
    feature_descriptions,
    label_notes,
    onto_options,
    with_support,
)
from verisimile.core.errors import InputError, VerisimileWarning
from verisimile.data.description import Description
from verisimile.data.feature import Feature


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        (
            "phi:unit=deg,label=$\\phi$,kind=periodic,low=0,high=360",
            "phi",
            Description("deg", "$\\phi$", "periodic", 0.0, 360.0),
        ),
        (
            "pt:label=$p_T(a, b=c, low=3)$,unit=GeV",
            "pt",
            Description("GeV", "$p_T(a, b=c, low=3)$"),
        ),
        ("a:b: unit = GeV , low = -inf", "a:b", Description("GeV", low=-math.inf)),
        ("m:label=Mass, of two muons,unit=GeV", "m", Description("GeV", "Mass, of two muons")),
        ("m:label=ratio: a/b", "m", Description(label="ratio: a/b")),
        ("m:unit=,label=", "m", Description("", "")),
        ("m:label=\\$ 5", "m", Description(label="\\$ 5")),
        ("e:transform=log,low=0", "e", Description(low=0.0, transform="log")),
    ],
)
def test_texts(text: str, name: str, said: Description) -> None:
    assert feature_descriptions([text]) == {name: said}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("pt", "NAME:KEY=VALUE"),
        ("pt:", "NAME:KEY=VALUE"),
        ("pt:GeV", "NAME:KEY=VALUE"),
        (":unit=GeV", "NAME:KEY=VALUE"),
        ("pt=unit:GeV", "NAME:KEY=VALUE"),
        ("pt:uint=GeV", "Did you mean 'unit'"),
        ("pt:unit=GeV,label", "NAME:KEY=VALUE"),
        ("pt:unit=GeV,unit=MeV", "'unit' twice"),
        ("pt:low=zero", "a number"),
        ("pt:low=", "a number"),
        ("pt:kind=angle", "periodic"),
        ("pt:low=2,high=1", "low < high"),
        ("pt:label=$p_T,unit=GeV", "dollars in pairs"),
        ("pt:label=$p_T$ of $x,unit=GeV", "dollars in pairs"),
    ],
)
def test_other_texts_are_refused_with_the_form(text: str, words: str) -> None:
    with pytest.raises(InputError) as error:
        feature_descriptions([text])
    assert "--feature" in str(error.value)
    assert words in str(error.value)


def test_a_feature_is_described_once() -> None:
    with pytest.raises(InputError, match="'pt' twice"):
        feature_descriptions(["pt:unit=GeV", "pt:low=0"])


def test_support_and_feature_join_and_must_agree() -> None:
    found = with_support(["pt:unit=GeV,low=0", "m:label=$m$"], ["pt=0:"])
    assert found == {
        "pt": Description("GeV", low=0.0, high=math.inf),
        "m": Description(label="$m$"),
    }
    with pytest.raises(InputError, match=r"--feature pt: got low = 1.0, and 0.0 by --support"):
        with_support(["pt:low=1"], ["pt=0:"])


def test_a_fitted_run_takes_new_words_only() -> None:
    fitted = [Feature("pt", low=0.0), Feature("m", unit="GeV", label="$m$")]
    said = as_fitted(["pt:unit=GeV,label=$p_T$,low=0", "m:label=mass,unit=GeV"], fitted)
    assert said["pt"] == Description("GeV", "$p_T$", low=0.0)
    for text, words in (
        ("pt:low=1", "low=0.0, as the run was fitted"),
        ("m:unit=MeV", "unit=GeV"),
        ("m:kind=discrete", "kind=continuous"),
        ("q:unit=GeV", "no column 'q'"),
    ):
        with pytest.raises(InputError, match=words):
            as_fitted([text], fitted)


def test_options_go_before_the_file_part_by_part() -> None:
    file = {"pt": {"unit": "MeV", "label": "$p_T$"}, "m": {"unit": "GeV"}}
    assert onto_options(file, ["pt:unit=GeV", "q:kind=discrete"]) == {
        "pt": {"unit": "GeV", "label": "$p_T$"},
        "m": {"unit": "GeV"},
        "q": {"kind": "discrete"},
    }


def test_labels_that_no_figure_can_show_are_told() -> None:
    features = [Feature("a", label=r"$\frac{1}{$"), Feature("b", label="$b$"), Feature("c")]
    with pytest.warns(VerisimileWarning, match="feature 'a'"):
        (note,) = label_notes(features)
    assert r"$\frac{1}{$" in note
    with pytest.warns(VerisimileWarning, match="feature 'd'"):
        assert len(label_notes((), {"d": Description(label="$\\bad$")})) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert label_notes(features[1:]) == ()
