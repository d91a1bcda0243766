# Copyright (c) mmseg_ctt contributors.
"""Links of every page lead to a file and heading that exist; addresses are well formed."""

import re
from urllib.parse import urlsplit

import pytest
from pages import PAGES, ROOT, anchors, code_words, links

OURS = re.compile(r'(?:configs|docs|mmseg_ctt|requirements|tests|tools)/[\w./*-]*\w')


@pytest.mark.parametrize('page', PAGES)
def test_links(page):
    for target in links(page):
        address = urlsplit(target)
        if address.scheme or address.netloc:
            assert address.scheme == 'https' and '.' in address.netloc, target
            continue
        path = (ROOT / page).parent / address.path if address.path else ROOT / page
        assert path.exists(), f'{page}: {target}'
        assert path.resolve().is_relative_to(ROOT), f'{page}: {target} leaves the repository'
        if address.fragment:
            known = anchors(path.resolve().relative_to(ROOT).as_posix())
            assert address.fragment in known, f'{page}: {target}, known are {sorted(known)}'


@pytest.mark.parametrize('page', [page for page in PAGES if page != 'CHANGELOG.md'])
def test_files_in_code(page):
    for word in code_words(page):
        path = OURS.fullmatch(word)
        if path is None or word.startswith('docs/_build'):
            continue
        known = any(ROOT.glob(word)) if '*' in word else (ROOT / word).exists()
        assert known, f'{page}: {word} does not exist'
