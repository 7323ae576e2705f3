r"""The embedded example: Z → μ⁺μ⁻ events from proton collisions at 13 TeV.

Generated with Pythia 8.317: pp → Z/γ* → μ⁺μ⁻ at parton level with initial- and
final-state radiation, without multiple interactions and hadronisation; mass of the
hard process 50–150 GeV.  Selection: both muons with pT > 20 GeV and |η| < 2.5, and
60 GeV < m_ll < 120 GeV.  Unweighted, stored as float32.

``truth``
    80 000 events.
``generator_tune``
    10 000 independent events of the same process with primordial kT 3.0 and
    initial-state α_s 0.118 instead of the defaults: ``pt_ll`` is softer.
``surrogate_smeared``
    10 000 independent events whose muon pT is smeared by 1.5 %: the Z peak is
    broader, and the derived columns agree with each other.

Columns: ``m_ll`` and ``pt_ll`` (mass and transverse momentum of the muon pair, GeV),
``y_ll`` (its rapidity), ``cos_theta_cs`` (cosine of the Collins–Soper angle).
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from types import MappingProxyType

from verisimile.data.events import Events
from verisimile.data.files import read_events

_SAMPLES = ("truth", "generator_tune", "surrogate_smeared")
_CODE = "sample"


def load_example() -> Mapping[str, Events]:
    """Return the samples ``truth``, ``generator_tune`` and ``surrogate_smeared``.

    Examples
    --------
    >>> load_example()["truth"]
    Events(n=80000, d=4, names=('m_ll', 'pt_ll', 'y_ll', 'cos_theta_cs'), unweighted)
    """
    resource = resources.files("verisimile.data") / "zmumu_example.parquet"
    with resources.as_file(resource) as path:
        events = read_events(path)
    features = [name for name in events.names if name != _CODE]
    codes, kinematics = events.column(_CODE), events.select(features)
    return MappingProxyType(
        {name: kinematics.take(codes == code) for code, name in enumerate(_SAMPLES)}
    )
