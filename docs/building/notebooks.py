"""The notebooks with their outputs.

In git they lie without: a change of a picture is no change of a notebook, and no output is older
than the code.  Here each is run, two at a time, and kept under the hash of its text and of the
package's source, so that it is run again if either changed and not otherwise.
"""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "build" / "docs" / "executed"
_SECONDS = 900


def write(folder: Path, *, run: bool) -> None:
    """Write the notebooks into `folder`, with outputs if they are to be `run`."""
    folder.mkdir(exist_ok=True)
    paths = sorted((ROOT / "notebooks").glob("*.ipynb"))
    source = _source() if run else b""
    # Kernels are processes of their own; the threads here wait for them.
    with ThreadPoolExecutor(2) as pool:
        texts = pool.map(lambda path: executed(path, source) if run else path.read_text(), paths)
        for path, text in zip(paths, texts, strict=True):
            page = folder / path.name
            if not page.exists() or page.read_text(encoding="utf-8") != text:
                page.write_text(text, encoding="utf-8")


def executed(path: Path, source: bytes) -> str:
    """Return a notebook with its outputs, run in an empty folder unless it was before."""
    text = path.read_text(encoding="utf-8")
    kept = KEPT / f"{path.stem}-{hashlib.sha256(source + text.encode()).hexdigest()[:16]}.ipynb"
    if not kept.exists():
        notebook = nbformat.reads(text, as_version=4)
        with TemporaryDirectory() as folder:
            client = NotebookClient(
                notebook,
                timeout=_SECONDS,
                kernel_name="python3",
                resources={"metadata": {"path": folder}},
            )
            client.execute(env=_environment())
        KEPT.mkdir(parents=True, exist_ok=True)
        kept.write_text(nbformat.writes(notebook), encoding="utf-8")
    return kept.read_text(encoding="utf-8")


def _source() -> bytes:
    digest = hashlib.sha256()
    for path in sorted((ROOT / "src" / "verisimile").rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.digest()


def _environment() -> dict[str, str]:
    """Return that of a kernel: it imports this tree, whatever is installed, with one thread."""
    places = filter(None, (str(ROOT / "src"), os.environ.get("PYTHONPATH")))
    return {**os.environ, "PYTHONPATH": os.pathsep.join(places), "OMP_NUM_THREADS": "1"}
