# Copyright (c) mmseg_ctt contributors.
"""Settings of Sphinx; `bash tools/build_docs.sh` builds the site into docs/_build.

The source folder is the root of the repository, so that README.md, CONTRIBUTING.md, CHANGELOG.md
and the READMEs of the configs are pages where they lie and their relative links hold everywhere.
"""

import sys
from pathlib import Path

from pygments.lexers.special import TextLexer

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / 'docs' / '_ext')]

from mmseg_ctt import __version__  # noqa: E402

project = 'mmseg_ctt'
author = 'mmseg_ctt contributors'
copyright = author
version = release = __version__

root_doc = 'docs/index'
include_patterns = ['docs/**', 'configs/**/README.md', '*.md']
exclude_patterns = [
    'docs/_*',
    '.*',
    'build',
    'data',
    'dist',
    'mmseg_ctt',
    'tests',
    'tools',
    'work_dirs',
]
extensions = [
    'myst_parser',
    'sphinx.ext.autodoc',
    'sphinx.ext.napoleon',
    'sphinx.ext.viewcode',
    'generated_pages',
    'linked_names',
    'mathml',
]

myst_enable_extensions = ['dollarmath', 'deflist']
myst_heading_anchors = 4

autodoc_typehints = 'signature'
autodoc_typehints_format = 'fully-qualified'
python_use_unqualified_type_names = True
suppress_warnings = ['ref.python']  # a short name in a docstring may end several full ones
autodoc_preserve_defaults = True
maximum_signature_line_length = 90
add_module_names = False
toc_object_entries = False
napoleon_google_docstring, napoleon_numpy_docstring = True, False
napoleon_use_ivar, napoleon_use_rtype = True, False

html_math_renderer = 'mathml'  # readable without a network
html_theme = 'furo'
html_title = f'mmseg_ctt {version}'
templates_path = ['_templates']
html_additional_pages = {'index': 'start.html'}
html_copy_source = html_show_sourcelink = False
pygments_style, pygments_dark_style = 'friendly', 'monokai'


def setup(app: object) -> None:
    """Leave diagrams in Mermaid as text: GitHub draws them, a page without scripts cannot."""
    app.add_lexer('mermaid', TextLexer)
