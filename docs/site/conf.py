"""How Sphinx builds the site; `tools/make_site.py` lays out the pages and calls it."""

import importlib.util
import re
import shutil
from pathlib import Path

import deocc

project = "deocc"
author = "the authors of deocc"
project_copyright = "Apache-2.0"
version = release = deocc.__version__
html_title = f"deocc {release}"
root_doc = "index"
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
]
exclude_patterns = ["notebooks/files"]  # to download
suppress_warnings = [
    "mystnb.unknown_mime_type",  # a picture's size beside the picture
    "misc.highlighting_failure",  # shell blocks with placeholders
    "ref.python",  # two classes of one name in an annotation
]

# ---------------------------------------------------------------------------------------- pages and notebooks
nb_execution_mode = "off"  # outputs as they are committed
nb_merge_streams = True
nb_render_markdown_format = "myst"  # formulas and tables in outputs
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 4  # headings have GitHub's anchors, so that links work in both places
myst_dmath_double_inline = True
myst_update_mathjax = False

# ---------------------------------------------------------------------------------------- reference
add_module_names = False
python_maximum_signature_line_length = 72
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_default_options = {"members": True}
napoleon_use_ivar = True
napoleon_use_rtype = False
MARKUP = re.compile(r"``[^`]*``|`(?P<name>[^`]*)`|(?P<sign>[*|]|(?<=\w)_(?=\W|$))")


def escape_docstring(app, what, name, obj, options, lines) -> None:
    """Docstrings are plain text with `names`; `deocc.x.y` becomes a link, and no other sign is markup."""

    def written(found: re.Match[str]) -> str:
        if found["sign"]:
            return "\\" + found[0]
        if found["name"]:
            return f":py:obj:`{found['name']}`" if found["name"].startswith("deocc.") else f"`{found[0]}`"
        return found[0]

    lines[:] = [MARKUP.sub(written, line) for line in lines]


# ---------------------------------------------------------------------------------------- looks
html_theme = "furo"
html_static_path = [str(Path(__file__).parent / "static")]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_show_sphinx = False
html_copy_source = False
html_use_index = html_domain_indices = False  # the reference has an index of its own
html_theme_options = {"navigation_with_keys": True}
pygments_style, pygments_dark_style = "friendly", "native"

# MathJax lies beside the pages, so that formulas are set without a network.
mathjax_path = "mathjax/tex-chtml.js"
mathjax3_config = {"options": {"enableMenu": False}, "chtml": {"displayAlign": "left"}}
MATHJAX = Path(importlib.util.find_spec("sphinx-mathjax-offline").origin).parent / "static" / "mathjax"


def copy_mathjax(app, error) -> None:
    """The one component that is used, and its fonts."""
    if not error:
        out = Path(app.outdir) / "_static" / "mathjax"
        fonts = Path("output") / "chtml" / "fonts"
        shutil.copytree(MATHJAX / fonts, out / fonts, dirs_exist_ok=True)
        shutil.copy2(MATHJAX / "tex-chtml.js", out)


def setup(app) -> None:
    app.connect("autodoc-process-docstring", escape_docstring, priority=400)  # before napoleon
    app.connect("build-finished", copy_mathjax)
