# Copyright (c) mmseg_ctt contributors.
"""Links of every page lead to a file and heading that exist, on the site, too."""

import re
import sys
from contextlib import nullcontext
from urllib.parse import urlsplit

import pages
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
        assert not path.is_dir(), f'{page}: {target} is a folder, for which the site has no page'
        assert path.resolve().is_relative_to(ROOT), f'{page}: {target} leaves the repository'
        if address.fragment:
            known = anchors(path.resolve().relative_to(ROOT).as_posix())
            assert address.fragment in known, f'{page}: {target}, known are {sorted(known)}'


@pytest.mark.parametrize(
    'target, words',
    [
        ('folder', 'is a folder'),
        ('absent.md', 'absent.md'),
        ('page.md#absent', r"known are \['kept', 'kept-too'\]"),
        ('page.md#slices', r"known are \['kept', 'kept-too'\]"),  # the site has another block
        ('page.md#kept-too', ''),
    ],
)
def test_links_that_lead_nowhere(tmp_path, monkeypatch, target, words):
    (tmp_path / 'folder').mkdir()
    start, end = '<!-- some: made by tools/make_settings_reference.py -->', '<!-- end of some -->'
    (tmp_path / 'page.md').write_text(f'# Kept\n\n{start}\n\n## Slices\n\n{end}\n\n# Kept too')
    (tmp_path / f'{target}.md').write_text(f'[there]({target})')
    for module in (pages, sys.modules[__name__]):
        monkeypatch.setattr(module, 'ROOT', tmp_path)
    with pytest.raises(AssertionError, match=words) if words else nullcontext():
        test_links(f'{target}.md')


@pytest.mark.parametrize('page', [page for page in PAGES if page != 'CHANGELOG.md'])
def test_files_in_code(page):
    for word in code_words(page):
        path = OURS.fullmatch(word)
        if path is None or word.startswith('docs/_build'):
            continue
        known = any(ROOT.glob(word)) if '*' in word else (ROOT / word).exists()
        assert known, f'{page}: {word} does not exist'
