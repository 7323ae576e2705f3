"""Every link inside the site and between the files of the repository leads somewhere, offline.

    python docs/building/links.py build/docs/html

Sphinx checks what it resolves itself; this reads what a browser would: each local ``href`` and
``src`` of the pages as they were written, with its anchor; that nothing is loaded from elsewhere;
and each relative link of the Markdown files as a code host shows them.
"""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).parents[2]
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)


class Page(HTMLParser):
    """Names of the anchors, links, and what is loaded, of one page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep what names and what leads."""
        given = dict(attrs)
        self.anchors |= {given[key] or "" for key in ("id", "name") if key in given}
        target = given.get("href") or given.get("src")
        if target is not None:
            leads = tag == "a" or given.get("rel") in ("next", "prev", "index", "search")
            (self.links if leads else self.loaded).append(target)


def faults_of_site(folder: Path) -> list[str]:
    """Return what is wrong with the pages of a built site."""
    pages = {path.resolve(): Page(path) for path in sorted(folder.rglob("*.html"))}
    found = []
    for path, page in pages.items():
        where = path.relative_to(folder.resolve())
        found += [f"{where}: loads {target}" for target in page.loaded if urlsplit(target).netloc]
        for target in page.links + page.loaded:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            to = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not to.is_file():
                found.append(f"{where}: {target}: no such page")
            elif (
                parts.fragment and to in pages and unquote(parts.fragment) not in pages[to].anchors
            ):
                found.append(f"{where}: {target}: no such place on the page")
    return found


def faults_of_files() -> list[str]:
    """Return relative links of Markdown files that lead to no file of the repository."""
    found = []
    files = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
    # Copies of files at the root, made for the site.
    for path in (p for p in files if p.name not in ("changelog.md", "contributing.md")):
        for target in _LINK.findall(_CODE.sub("", path.read_text(encoding="utf-8"))):
            parts = urlsplit(target)
            if parts.path and not parts.scheme and not (path.parent / parts.path).exists():
                found.append(f"{path.relative_to(ROOT)}: {target}: no such file")
    return found


if __name__ == "__main__":
    faults = faults_of_site(Path(sys.argv[1])) + faults_of_files()
    sys.exit("\n".join(faults) or 0)
