# Copyright (c) mmseg_ctt contributors.
import importlib.util
import sys
from pathlib import Path

import pytest
from mmseg.utils import register_all_modules
from two_runs import make_toy_runs


@pytest.fixture(scope='session')
def toy_runs(tmp_path_factory):
    register_all_modules(init_default_scope=False)
    return make_toy_runs(tmp_path_factory.mktemp('report'))


@pytest.fixture(scope='session')
def needs_extra():
    for name in ('plotly', 'sklearn'):
        pytest.importorskip(name, reason=f'{name}: pip install "mmseg_ctt[report]"')


@pytest.fixture(scope='session')
def ctt_page(needs_extra, toy_runs, tmp_path_factory):
    from mmseg_ctt.lab.report.build import write_report

    path = tmp_path_factory.mktemp('page') / 'ctt.html'
    write_report([toy_runs.ctt], path)
    return path


@pytest.fixture(scope='session')
def both_page(needs_extra, toy_runs, tmp_path_factory):
    from mmseg_ctt.lab.report.build import write_report

    path = tmp_path_factory.mktemp('page') / 'both.html'
    write_report([toy_runs.ctt, toy_runs.plain], path)
    return path


@pytest.fixture
def tool(needs_extra, monkeypatch):
    """``report.py`` as a function of its arguments."""
    tools = Path(__file__).resolve().parents[2] / 'tools'
    monkeypatch.syspath_prepend(str(tools))
    spec = importlib.util.spec_from_file_location(
        'report_tool', tools / 'analysis_tools' / 'report.py'
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def call(*arguments, main=module.main):
        monkeypatch.setattr(sys, 'argv', ['report.py', *map(str, arguments)])
        main()

    call.as_script = lambda *arguments: call(*arguments, main=lambda: module.run(module.main))
    return call
