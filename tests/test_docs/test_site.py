# Copyright (c) mmseg_ctt contributors.
"""The site builds without a warning and has everything that is registered."""

import subprocess
import sys

import pytest
from pages import ROOT
from test_docstrings import CLASSES, FUNCTIONS


@pytest.mark.slow
def test_site(tmp_path):
    pytest.importorskip('sphinx', reason='pip install -r requirements/docs.txt')
    command = [
        sys.executable,
        '-m',
        'sphinx',
        '-q',
        '-W',
        '--keep-going',
        '-c',
        'docs',
        '.',
        str(tmp_path),
    ]
    made = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    from sphinx.util.inventory import InventoryFile

    with open(tmp_path / 'objects.inv', 'rb') as file:
        names = InventoryFile.load(file, '', lambda base, name: name)
    wanted = {f'{cls.__module__}.{cls.__qualname__}' for cls in CLASSES}
    assert wanted <= set(names['py:class'])
    assert set(FUNCTIONS) <= set(names['py:function'])
    settings = (tmp_path / 'docs' / 'reference' / 'settings.html').read_text()
    assert all(cls.__name__ in settings for cls in CLASSES)
    assert not list(tmp_path.glob('**/*.html.part')) and (tmp_path / 'index.html').is_file()
