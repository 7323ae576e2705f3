"""The documentation site: ``make docs``."""

from __future__ import annotations

import sys
from pathlib import Path

DOCS = Path(__file__).parent
ROOT = DOCS.parent
sys.path[:0] = [str(DOCS), str(ROOT / "src")]

from building.reference import aliases  # noqa: E402

import verisimile  # noqa: E402

project = "verisimile"
author = "The verisimile developers"
copyright = author
version = release = verisimile.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "building.mathml",
    "building.pages",
    "building.reference",
]
exclude_patterns = ["building"]
root_doc = "index"

# Pages: CommonMark with tables, as on a code host, and equations between dollars.
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 4
myst_dmath_double_inline = True

# Notebooks are run by building/notebooks.py; `-D run_notebooks=0` shows them as they lie in git.
nb_execution_mode = "off"

# The reference: NumPy docstrings say the types' meaning; signatures keep what the source says.
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
maximum_signature_line_length = 88
autodoc_type_aliases = aliases()
napoleon_google_docstring = False
napoleon_attr_annotations = False  # the signature has them
# Fields of dataclasses, several of them in a line.
napoleon_custom_sections = [("Attributes", "params_style")]
# Other packages' types have no page here, nor have this one's inner types.  Functions, methods and
# pages that are referred to must be there.
nitpick_ignore_regex = [
    (
        "py:class",
        r"(annotated_types|collections|concurrent|matplotlib|numpy|os|pathlib|torch|typing)\..*",
    ),
    # Pieces of annotations with bounds.
    ("py:class", r"[\d.]+|tuple\[(str|int)|FieldInfo|NoneType|[GL][et]"),
    ("py:class", "|".join((*autodoc_type_aliases, "ast.expr", "DataFrame", "TypeAliasForwardRef"))),
]
python_use_unqualified_type_names = True

html_theme = "furo"
html_title = "verisimile"
html_math_renderer = "mathml"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0b5f94", "color-brand-content": "#0b5f94"},
    "dark_css_variables": {"color-brand-primary": "#7cc4f2", "color-brand-content": "#7cc4f2"},
}
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
