"""Sphinx builds these Markdown pages: ``make docs``."""

from importlib.metadata import version as installed

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
