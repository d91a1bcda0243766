# Copyright (c) mmseg_ctt contributors.
"""Examples in the pages give what they say."""

import doctest

import pytest
from pages import PAGES, code

EXAMPLES = [page for page in PAGES if any('>>> ' in block for block in code(page, 'python'))]


def test_every_page_of_a_method_has_examples():
    pages = {page for page in PAGES if page.startswith('docs/methods/')}
    assert len(pages) > 10
    assert pages - {'docs/methods/index.md'} <= set(EXAMPLES)


@pytest.mark.parametrize('page', EXAMPLES)
def test_examples(page):
    text = '\n'.join(block for block in code(page, 'python') if '>>> ' in block)
    test = doctest.DocTestParser().get_doctest(text, {}, page, page, 0)
    runner = doctest.DocTestRunner()
    runner.run(test)
    assert runner.tries > 0 and runner.failures == 0


@pytest.mark.parametrize('page', PAGES)
def test_python_is_python(page):
    for block in code(page, 'python'):
        if '>>> ' not in block:
            compile(block, page, 'exec')
