# Copyright (c) mmseg_ctt contributors.
"""Formulae as MathML, made when the site is built: browsers draw them without a script."""

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator


def inline(self: HTML5Translator, node: nodes.math) -> None:
    """Within a line."""
    self.body.append(convert(node.astext(), display='inline'))
    raise nodes.SkipNode


def block(self: HTML5Translator, node: nodes.math_block) -> None:
    """On lines of its own."""
    self.body.append(self.starttag(node, 'div', CLASS='math', style='overflow-x: auto'))
    self.body.append(convert(node.astext(), display='block') + '</div>\n')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict:
    """Register with Sphinx."""
    app.add_html_math_renderer('mathml', (inline, None), (block, None))
    return dict(parallel_read_safe=True)
