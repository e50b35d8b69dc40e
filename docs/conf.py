"""The site. Its pages are those that the repository shows; reference, cards and gallery are made when it is built.

Sphinx, MyST-NB and Furo: PyTorch, Lightning's own libraries and torchmetrics are documented with Sphinx, so that types
link to each other; MyST reads the same Markdown that the repository shows; Furo has a dark mode and works on phones.
"""

import sys
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent / "site"))

import pages

project = "lightning-critperiod"
author = "lightning-critperiod contributors"
copyright = author
version = release = installed("lightning-critperiod")
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "site"]

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4
nb_execution_mode = "cache"
nb_execution_timeout = -1
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_merge_streams = True
nb_execution_show_tb = True

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_inherit_docstrings = False
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

html_theme = "furo"
html_title = f"{project} {release}"
html_theme_options = {"source_directory": "docs/"}
html_show_sourcelink = False
html_static_path = ["site/static"]
html_css_files = ["site.css"]


def setup(app: Any) -> None:
    """Called by Sphinx before it reads the pages."""
    app.connect("builder-inited", lambda app: pages.write(Path(app.srcdir)))
    app.connect("source-read", pages.links_to_files)
