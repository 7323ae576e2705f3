"""Pages made of files elsewhere: the notebooks, how to contribute, what changed, how to cite.

Links are written as they work where the files lie, on a code host too; here they are turned to
where the pages lie.  The contents on the left are those of the tables of ``index.md``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from sphinx.application import Sphinx

from building import notebooks

ROOT = Path(__file__).parents[2]
# Files outside docs/, and the pages made of them.
PAGES = {
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "CITATION.cff": "citing.md",
    "README.md": "index.md",
    "src/verisimile/__init__.pyi": "reference/index.rst",
}
_COPIED = ("CONTRIBUTING.md", "CHANGELOG.md")
_SECTION = re.compile(r"^## (.*?)\n(.*?)(?=^## |\Z)", re.DOTALL | re.MULTILINE)
_ROW = re.compile(r"^\| \[[^\]]*\]\(([^)#]+?)\)", re.MULTILINE)


def write(folder: Path) -> None:
    """Write what is no file of this folder."""
    for name in _COPIED:
        _write(folder / PAGES[name], (ROOT / name).read_text(encoding="utf-8"))
    _write(folder / "citing.md", citing((ROOT / "CITATION.cff").read_text(encoding="utf-8")))


def citing(text: str) -> str:
    """Return the page that says what to cite, with BibTeX, from the text of CITATION.cff."""
    cff = yaml.safe_load(text)
    rows = [f"- {_plain(entry)}" for entry in cff["references"]]
    software = {**cff, "type": "software", "year": cff.get("year", "")}
    bibtex = "\n\n".join(_bibtex(entry) for entry in (software, *cff["references"]))
    return (
        f"# Citing\n\n{cff['message']}  The list is that of `CITATION.cff`, which reference "
        f"managers and code hosts read; each page names the source of its method.\n\n"
        f"{cff['title']}, version {cff['version']}.\n\n## The methods' papers\n\n"
        + "\n".join(rows)
        + f"\n\n## BibTeX\n\n```bibtex\n{bibtex}\n```\n"
    )


def _names(entry: dict[str, Any], between: str) -> str:
    return between.join(
        each.get("name") or f"{each['given-names']} {each['family-names']}"
        for each in entry["authors"]
    )


def _plain(entry: dict[str, Any]) -> str:
    home = entry.get("journal") or entry.get("collection-title") or ""
    place = " ".join(
        str(part) for part in (home, entry.get("volume", ""), entry.get("start", "")) if part
    )
    year = f" ({entry['year']})" if "year" in entry else ""
    doi = f" [{entry['doi']}](https://doi.org/{entry['doi']})" if "doi" in entry else ""
    return f"{_names(entry, ', ')}: *{entry['title']}*, {place}{year}.{doi}".replace(
        ",  (", " ("
    ).replace(", .", ".")


def _bibtex(entry: dict[str, Any]) -> str:
    first = entry["authors"][0]
    words = f"{first.get('family-names', '')}{entry.get('year', '')}".lower()
    title = re.sub(r"\W+", "", entry["title"].split()[0].lower())
    fields = {
        "title": _braced(entry["title"]),
        "author": _names(entry, " and ") if "family-names" in first else _braced(first["name"]),
        "journal": entry.get("journal"),
        "booktitle": entry.get("collection-title"),
        "year": entry.get("year"),
        "volume": entry.get("volume"),
        "pages": entry.get("start"),
        "doi": entry.get("doi"),
        "version": entry.get("version") if entry["type"] == "software" else None,
    }
    kinds = {"article": "article", "conference-paper": "inproceedings"}
    lines = [f"  {key} = {{{value}}}," for key, value in fields.items() if value]
    key = re.sub(r"[^a-z0-9]", "", words) + title
    return "\n".join([f"@{kinds.get(entry['type'], 'misc')}{{{key},", *lines, "}"])


def _braced(text: str) -> str:
    """Return what BibTeX shall take as it is, an organisation or a title."""
    escaped = text.replace("_", r"\_")
    return f"{{{escaped}}}"


def turn(app: Sphinx, page: str, source: list[str]) -> None:
    """Turn links to files outside docs/ to their pages; add the contents to the first page."""
    text = source[0]
    copied = page in {Path(PAGES[name]).stem for name in _COPIED}
    to_root, to_docs = ("" if copied else "../"), ("../" if page.startswith("notebooks/") else "")
    for name, where in PAGES.items():
        text = text.replace(f"]({to_root}{name}", f"]({to_docs}{where}")
    if copied:
        text = text.replace("](docs/", "](")
    elif page.startswith("notebooks/"):
        text = text.replace("](../docs/", "](../")
    else:
        text = text.replace("](../notebooks/", "](notebooks/")
    if page == app.config.root_doc:
        text += "".join(
            f"\n\n```{{toctree}}\n:hidden:\n:caption: {title}\n\n{rows}\n```"
            for title, table in _SECTION.findall(text)
            if (rows := "\n".join(dict.fromkeys(_ROW.findall(table))))
        )
    elif page == "studies":
        text += "\n\n```{toctree}\n:hidden:\n:glob:\n\nstudies/*\n```"
    source[0] = text


def _write(path: Path, text: str) -> None:
    """Write a page only if it is another one: an unchanged page is not read again."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def _write_all(app: Sphinx) -> None:
    folder = Path(app.srcdir)
    write(folder)
    notebooks.write(folder / "notebooks", run=app.config.run_notebooks)


def setup(app: Sphinx) -> dict[str, bool]:
    """Write the pages before any is read, and turn the links of each that is."""
    app.add_config_value("run_notebooks", default=True, rebuild="", types=bool)
    app.connect("builder-inited", _write_all)
    app.connect("source-read", turn)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
