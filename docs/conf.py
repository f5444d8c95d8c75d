"""Sphinx builds these Markdown pages: ``make docs``."""

import sys
from importlib.metadata import version as installed
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import backend_tables

project = "flask-caching-rs"
author = "The flask-caching-rs authors"
release = version = installed("flask-caching-rs")

extensions = ["myst_parser", "sphinx.ext.autodoc"]
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]

autodoc_typehints = "description"
autodoc_member_order = "bysource"

html_theme = "alabaster"
html_theme_options = {"description": "Flask-Caching on a Rust engine", "page_width": "62rem"}
html_copy_source = False


def setup(app):
    """Tables of backends and settings come from the backends."""

    def expand(app, docname, source):
        source[0] = backend_tables.expand(source[0])

    app.connect("source-read", expand)
