# Copyright (c) mmseg_ctt contributors.
"""Workflow, citation and issue templates: valid, and of files and a version that exist."""

import re

import pytest
import yaml
from pages import ROOT

import mmseg_ctt

WORKFLOWS = sorted(ROOT.glob('.github/workflows/*.yml'))
TEMPLATES = sorted(ROOT.glob('.github/ISSUE_TEMPLATE/*.yml'))
COMMAND = 'python -m mmseg_ctt.collect_env'
OURS = re.compile(r'(?<![\w/])(?:tools|docs|configs|requirements|\.ci)/[\w./-]*\w')
KINDS = ('markdown', 'textarea', 'input', 'dropdown', 'checkboxes')  # of GitHub's forms


def read(path):
    return yaml.safe_load(path.read_text())


@pytest.mark.parametrize('path', [*WORKFLOWS, *TEMPLATES], ids=lambda path: path.name)
def test_named_files_exist(path):
    for name in OURS.findall(path.read_text()):
        assert (ROOT / name).exists(), name


def steps():
    return [
        step for path in WORKFLOWS for job in read(path)['jobs'].values() for step in job['steps']
    ]


def test_workflow_runs_the_two_commands_of_the_readme():
    commands = [step['run'] for step in steps() if 'run' in step]
    readme = (ROOT / 'README.md').read_text()
    for command in ('bash tools/quickstart.sh', 'bash tools/run_tests.sh'):
        assert command in commands and command in readme


@pytest.mark.parametrize('path', WORKFLOWS, ids=lambda path: path.name)
def test_jobs_end_and_have_the_tested_python(path):
    workflow = read(path)
    assert workflow['permissions'] == dict(contents='read')
    assert {'push', 'pull_request'} <= set(workflow[True])  # YAML's `on`
    for job in workflow['jobs'].values():
        assert job['runs-on'].startswith('ubuntu') and job['timeout-minutes'] <= 90
        (python,) = [
            step['with'] for step in job['steps'] if 'setup-python' in step.get('uses', '')
        ]
        assert python['python-version'] == '3.11'
        assert (ROOT / python['cache-dependency-path']).is_file()


def test_extras_of_the_workflow_exist():
    names = {path.stem for path in ROOT.glob('requirements/*.txt')}
    for path in WORKFLOWS:
        for job in read(path)['jobs'].values():
            for extras in job.get('strategy', {}).get('matrix', {}).get('extras', ()):
                assert set(extras.split()) <= names


def test_templates_ask_for_the_environment():
    assert {path.stem for path in TEMPLATES} == {'bug', 'question', 'new_method'}
    for path in TEMPLATES:
        form = read(path)
        assert form['name'] and form['description']
        assert {part['type'] for part in form['body']} <= set(KINDS)
        fields = [part for part in form['body'] if part['type'] != 'markdown']
        assert len({field['id'] for field in fields}) == len(fields)
        assert all(field['attributes']['label'] for field in fields)
        (environment,) = [field for field in fields if field['id'] == 'environment']
        assert COMMAND in environment['attributes']['description']


def test_citation_has_the_version():
    citation = read(ROOT / 'CITATION.cff')
    assert citation['version'] == mmseg_ctt.__version__
    assert citation['cff-version'] == '1.2.0'
    assert {'message', 'title', 'authors', 'license'} <= set(citation)
