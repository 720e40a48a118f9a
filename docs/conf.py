"""The site of the documents: Sphinx reads the Markdown where it lies, here and beside the distributions."""

from __future__ import annotations

project = "ai302"
html_title = "ai302"
language = "en"
extensions = ["myst_parser"]
root_doc = "docs/index"
include_patterns = ["*.md", "core/*.md", "plugins/*/*.md", "docs/*.md"]
exclude_patterns = [".*", "tests", "benchmarks", "**/src", "**/dist", "**/build"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4
html_theme = "furo"
html_show_copyright = False
html_show_sourcelink = False
