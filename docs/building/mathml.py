"""Equations as MathML, which browsers draw themselves: no script, no network, no LaTeX."""

from __future__ import annotations

import re
from html import unescape
from xml.etree import ElementTree

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.math import get_node_equation_number
from sphinx.writers.html5 import HTML5Translator

# What the converter does not know.  Fences of MathML grow by themselves, so sizes can go.
_REWRITTEN = (
    (re.compile(r"\\[bB]igg?[lr]?(?![a-zA-Z])"), ""),
    (re.compile(r"\\dots(?![a-zA-Z])"), r"\\ldots"),
    (re.compile(r"\\textstyle(?![a-zA-Z])"), ""),
    (re.compile(r"\{\\rm (\w+)\}"), r"\\mathrm{\1}"),
    (re.compile(r"(?<!\\)([½±])"), r"\\text{\1}"),
    (re.compile(r"\\([dt]?frac)(\d)(\d)"), r"\\\1{\2}{\3}"),
)
_SPACE = "{http://www.w3.org/1998/Math/MathML}"
ElementTree.register_namespace("", _SPACE.strip("{}"))
_TAG = re.compile(r"\s*\\tag\{(.+?)\}")


def mathml(tex: str, *, block: bool) -> str:
    """Return `tex` as a ``<math>`` element, its number, if it has one, in a span after it."""
    tag = _TAG.search(tex)
    source = _TAG.sub("", tex).strip()
    for pattern, instead in _REWRITTEN:
        source = pattern.sub(instead, source)
    try:
        element = tex2mathml(source, as_block=block)
    except Exception as error:  # the converter's own class is private
        raise ExtensionError(f"equation {tex!r}: {error}") from error
    number = f'<span class="eqno">({tag[1]})</span>' if tag else ""
    return f"{_beside_accents(element)}{number}"


def _beside_accents(element: str) -> str:
    """Put the index of a letter with a hat beside it; the converter puts it below the letter."""
    # XML knows five names of characters, the converter uses those of HTML.
    named = re.sub(r"&(?!amp;|lt;|gt;|quot;|apos;|#)\w+;", lambda each: unescape(each[0]), element)
    root = ElementTree.fromstring(named)
    for node in root.iter(f"{_SPACE}munderover"):
        letter, index, accent = node
        # Sums and products have both limits of their own.
        if letter.tag != f"{_SPACE}mo" and accent.tag == f"{_SPACE}mo":
            hatted = ElementTree.Element(f"{_SPACE}mover")
            hatted.extend((letter, accent))
            node.tag = f"{_SPACE}msub"
            node[:] = [hatted, index]
    return ElementTree.tostring(root, encoding="unicode")


def visit_inline(self: HTML5Translator, node: nodes.math) -> None:
    """Write an equation in a line."""
    self.body.append(mathml(node.astext(), block=False))
    raise nodes.SkipNode


def visit_block(self: HTML5Translator, node: nodes.math_block) -> None:
    """Write an equation of its own."""
    self.body.append(self.starttag(node, "div", CLASS="math"))
    if node["number"]:
        self.body.append(f'<span class="eqno">({get_node_equation_number(self, node)})</span>')
    self.body.append(f"{mathml(node.astext(), block=True)}</div>\n")
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the renderer."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
