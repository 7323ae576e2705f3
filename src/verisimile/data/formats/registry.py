"""The file formats of events, one line of `FORMATS` each: what opens a file, what writes one."""

from __future__ import annotations

from verisimile.data.formats.arrays import open_npy, open_npz, write_npz
from verisimile.data.formats.arrow import open_feather, open_parquet, write_feather, write_parquet
from verisimile.data.formats.csv import open_csv, write_csv
from verisimile.data.formats.file import FileFormat
from verisimile.data.formats.fits import open_fits, write_fits
from verisimile.data.formats.hdf5 import open_hdf5, write_hdf5
from verisimile.data.formats.root import open_root, write_root

_FEATHER = FileFormat(open_feather, write_feather)
_HDF5 = FileFormat(open_hdf5, write_hdf5, has_parts=True)
_FITS = FileFormat(open_fits, write_fits, has_parts=True)

FORMATS = {
    ".parquet": FileFormat(open_parquet, write_parquet),
    ".feather": _FEATHER,
    ".arrow": _FEATHER,
    ".root": FileFormat(open_root, write_root, has_parts=True),
    ".h5": _HDF5,
    ".hdf5": _HDF5,
    ".npz": FileFormat(open_npz, write_npz),
    ".npy": FileFormat(open_npy, None),
    ".fits": _FITS,
    ".fit": _FITS,
    ".fits.gz": _FITS,
    ".csv": FileFormat(open_csv, write_csv),
}
"""The formats by the suffix of a file's name."""
