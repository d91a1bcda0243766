# Copyright (c) mmseg_ctt contributors.
"""The tables of settings are those of the docstrings."""

import inspect

import pytest
from pages import ROOT

PAGE = 'docs/reference/settings.md'


@pytest.fixture
def tool(load_tool):
    return load_tool('misc/make_settings_reference')


def test_up_to_date(tool, capsys):
    assert tool.exit_code('--check') == 0, capsys.readouterr().out


def test_every_setting_of_a_method_is_in_the_page(tool):
    page = (ROOT / PAGE).read_text()
    section = page[page.index('### CrossTeacherTraining') :].split('\n### ')[0]
    for name in ('bank', 'contrast'):
        assert f'| `{name}` |' in section
    assert '`loss_weights` | `dict(sup=1,' in section


def test_another_docstring_makes_the_page_outdated(tool, capsys, monkeypatch, tmp_path):
    from mmseg_ctt.methods import AEL

    (tmp_path / PAGE).parent.mkdir(parents=True)
    (tmp_path / PAGE).write_text((ROOT / PAGE).read_text())
    monkeypatch.setattr(tool.module, 'ROOT', tmp_path)
    text = inspect.cleandoc(AEL.__doc__)  # Python 3.13 has it without its indent
    added = text.replace('Args:', 'Args:\n    new (x | y): Never.', 1)
    monkeypatch.setattr(AEL, '__doc__', added)
    assert tool.exit_code('--check') == 1
    assert capsys.readouterr().out == (
        f'{PAGE}: run python tools/misc/make_settings_reference.py\n'
    )
    assert tool.exit_code() == 0 and tool.exit_code('--check') == 0
    assert '| `new` | x \\| y | Never. |' in (tmp_path / PAGE).read_text()
