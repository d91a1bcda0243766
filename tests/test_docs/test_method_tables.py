# Copyright (c) mmseg_ctt contributors.
"""The tables of methods are those of the classes, the pages and the folders of configs."""

import pytest
from pages import ROOT

TOOL = 'misc/make_method_tables'
PAGES = ('README.md', 'docs/methods/index.md')


@pytest.fixture
def tool(load_tool):
    return load_tool(TOOL)


def test_up_to_date(tool, capsys):
    assert tool.exit_code('--check') == 0, capsys.readouterr().out


@pytest.fixture
def copy(tool, tmp_path, monkeypatch):
    """A copy of what the tool reads, and the tool on it."""
    for path in (*PAGES, *(f'docs/methods/{name}.md' for name in tool.module.folders())):
        if (ROOT / path).is_file():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text((ROOT / path).read_text())
    for metafile in ROOT.glob('configs/*/metafile.yaml'):
        folder = tmp_path / metafile.parent.relative_to(ROOT)
        folder.mkdir(parents=True)
        for name in ('metafile.yaml', 'README.md'):
            (folder / name).write_text((metafile.parent / name).read_text())
    monkeypatch.setattr(tool.module, 'ROOT', tmp_path)
    return tmp_path


def test_another_sentence_makes_the_readme_outdated(tool, copy, capsys):
    page = copy / 'docs/methods/fixmatch.md'
    page.write_text(page.read_text().replace('One student that learns', 'A student that learns'))
    assert tool.exit_code('--check') == 1
    assert capsys.readouterr().out.startswith('README.md: run python tools/misc/make_method_tables')
    assert tool.exit_code() == 0 and tool.exit_code('--check') == 0
    assert '| A student that learns' in (copy / 'README.md').read_text()


def test_another_default_makes_the_comparison_outdated(tool, copy, capsys, monkeypatch):
    from mmseg_ctt.methods import FixMatchSeg

    monkeypatch.setattr(FixMatchSeg, 'default_consistency', dict(confidence_threshold=0.5))
    assert tool.exit_code('--check') == 1
    assert capsys.readouterr().out.startswith('docs/methods/index.md: run')
    assert tool.exit_code() == 0
    assert 'hard, pixels from 0.5' in (copy / 'docs/methods/index.md').read_text()


def test_a_folder_of_configs_has_a_row(tool, copy):
    folder = copy / 'configs/new_method'
    folder.mkdir()
    (folder / 'metafile.yaml').write_text('')
    (folder / 'README.md').write_text('# New\n\n[Paper](https://a.b), 2030.\n\nNew it is. More.\n')
    assert tool.exit_code() == 0
    row = '| New | [new_method](configs/new_method/README.md) | New it is |'
    assert row in (copy / 'README.md').read_text()


def test_a_page_without_the_marks_is_an_error(tool, copy, capsys):
    (copy / 'README.md').write_text('# Title\n')
    assert tool.exit_code() == 2
    assert 'README.md has no lines' in capsys.readouterr().err
