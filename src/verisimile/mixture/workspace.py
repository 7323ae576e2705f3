"""Templates as workspaces of pyhf, and as the histograms and the configuration of cabinetry.

References
----------
L. Heinrich et al., J. Open Source Softw. 6 (2021) 2823 (pyhf); A. Held, K. Cranmer, EPJ Web Conf.
251 (2021) 03067 (cabinetry).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import yaml

from verisimile.core.arrays import Array
from verisimile.core.canonical import JSON
from verisimile.core.durable import write_atomic
from verisimile.core.errors import require
from verisimile.mixture.templates import Templates, require_positive


def pyhf_workspace(
    templates: Templates,
    signal: Array,
    observed: Array,
    *,
    name: str,
    channel: str,
    poi: str,
) -> dict[str, JSON]:
    r"""Return a workspace: contents :math:`\mu s_b + \gamma_b (h_b + \sum_k \alpha_k v_{kb})`.

    The :math:`\alpha_k` are standard normal (``histosys``), the :math:`\gamma_b` normal about one
    with the relative statistical errors (``staterror``).

    Raises
    ------
    InputError
        If signal or observed events have another number of bins, or a bin of the background is not
        positive.
    """
    nominal = templates.nominal
    for said, values in (("signal", signal), ("observed", observed)):
        require(
            values.shape == nominal.shape and bool(np.isfinite(values).all()),
            said,
            got=f"{int(np.isfinite(values).sum())} finite numbers, shape {values.shape}",
            expected=f"one for each of the {nominal.size} bins",
        )
    require_positive(templates)
    modifiers: list[JSON] = [
        {
            "name": f"{name}_var{k}",
            "type": "histosys",
            "data": {
                "hi_data": (nominal + change).tolist(),
                "lo_data": (nominal - change).tolist(),
            },
        }
        for k, change in enumerate(templates.variations)
    ]
    if templates.statistical.any():
        modifiers.append(
            {
                "name": f"staterror_{channel}",
                "type": "staterror",
                "data": templates.statistical.tolist(),
            }
        )
    strength: JSON = {"name": poi, "type": "normfactor", "data": None}
    samples: list[JSON] = [
        {"name": "signal", "data": signal.tolist(), "modifiers": [strength]},
        {"name": name, "data": nominal.tolist(), "modifiers": modifiers},
    ]
    return {
        "channels": [{"name": channel, "samples": samples}],
        "observations": [{"name": channel, "data": observed.tolist()}],
        "measurements": [{"name": "measurement", "config": {"poi": poi, "parameters": []}}],
        "version": "1.0.0",
    }


def write_cabinetry(
    templates: Templates,
    folder: str | Path,
    signal: Array,
    observed: Array,
    *,
    name: str = "background",
    region: str = "region",
    poi: str = "mu",
) -> Path:
    """Write histograms and ``config.yml`` as cabinetry reads them; return the configuration's path.

    ``cabinetry.workspace.build(cabinetry.configuration.load(path))`` then makes the workspace.

    Raises
    ------
    InputError
        If there are several axes, or a bin of the background is not positive.
    """
    require(
        len(templates.axes) == 1,
        "templates",
        got=f"{len(templates.axes)} axes",
        expected="one axis: cabinetry's histograms have one",
        remedy="Use to_pyhf, which takes the bins of any number of axes in a row.",
    )
    require_positive(templates)
    folder, region = Path(folder).resolve(), region.replace(" ", "-")
    hists, axis = folder / "histograms", templates.axes[0]
    hists.mkdir(parents=True, exist_ok=True)
    nothing = np.zeros(templates.nominal.size)

    def keep(key: str, yields: Array, errors: Array) -> None:
        np.savez(hists / f"{key}.npz", yields=yields, stdev=errors, bins=axis.edges)

    keep(f"{region}_signal", signal, nothing)
    keep(f"{region}_{name}", templates.nominal, templates.statistical)
    keep(f"{region}_data", observed, np.sqrt(observed))
    systematics = []
    for k, change in enumerate(templates.variations):
        said = f"{name}_var{k}"
        keep(f"{region}_{name}_{said}_Up", templates.nominal + change, nothing)
        keep(f"{region}_{name}_{said}_Down", templates.nominal - change, nothing)
        systematics.append(
            {
                "Name": said,
                "Type": "NormPlusShape",
                "Samples": name,
                "Up": {"VariationPath": "."},
                "Down": {"VariationPath": "."},
            }
        )
    config = {
        "General": {
            "Measurement": "measurement",
            "POI": poi,
            "InputPath": ".",
            "HistogramFolder": str(hists),
        },
        "Regions": [
            {
                "Name": region,
                "Variable": axis.feature.name,
                "Binning": axis.edges.tolist(),
            }
        ],
        "Samples": [
            {"Name": "data", "Tree": "-", "SamplePath": ".", "Data": True},
            {"Name": "signal", "Tree": "-", "SamplePath": "."},
            {"Name": name, "Tree": "-", "SamplePath": "."},
        ],
        "Systematics": systematics,
        "NormFactors": [
            {"Name": poi, "Samples": "signal", "Nominal": 1.0, "Bounds": [-100.0, 100.0]}
        ],
    }
    path = folder / "config.yml"
    write_atomic(path, yaml.safe_dump(config, sort_keys=False).encode())
    return path
