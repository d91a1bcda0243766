# Copyright (c) mmseg_ctt contributors.
"""The tables of methods are those of the classes, the pages and the folders of configs."""

import csv
import re
from statistics import fmean

import pytest
from pages import ROOT

from mmseg_ctt.engine.method_preset import preset_of
from mmseg_ctt.methods import registered_methods

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
    rows = tool.module.measured(ROOT)
    monkeypatch.setattr(tool.module, 'measured', lambda root: rows)
    monkeypatch.setattr(tool.module, 'ROOT', tmp_path)
    return tmp_path


def test_another_sentence_makes_the_index_outdated(tool, copy, capsys):
    page = copy / 'docs/methods/fixmatch.md'
    page.write_text(page.read_text().replace('One student that learns', 'A student that learns'))
    assert tool.exit_code('--check') == 1
    assert capsys.readouterr().out.startswith('docs/methods/index.md: run python tools/misc/make_m')
    assert tool.exit_code() == 0 and tool.exit_code('--check') == 0
    assert '| A student that learns' in (copy / 'docs/methods/index.md').read_text()


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
    (folder / 'metafile.yaml').write_text(
        "Collections: [{Name: New, Metadata: {Use When: It is new, Published mIoU: ['VOC 183, "
        "ResNet-50: 70.0', 'VOC 183, ResNet-50 (long): 71.25', 'VOC 183, MiT-B5: 65.0']}}]"
    )
    paper = '[arXiv 2901.01234](https://arxiv.org/abs/2901.01234), ECCV 2030.'
    (folder / 'README.md').write_text(f'# New\n\n{paper}\n\nNew it is. More.\n')
    assert tool.exit_code() == 0
    row = '[New](configs/new_method/README.md) | It is new | ECCV 2030 | 65.0 MiT-B5, 71.25 R50 |'
    assert row in (copy / 'README.md').read_text()
    row = '| New | [new_method](../../configs/new_method/README.md) | New it is |'
    assert row in (copy / 'docs/methods/index.md').read_text()


def test_measured_figures_are_those_of_the_league(tool):
    """Means over the seeds, of test images and of the member that the config predicts with."""
    with open(ROOT / 'docs/results_league.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    lines = tool.module.choice().splitlines()
    members = {'[FixMatch]': ('fixmatch', 'student0'), '[Supervised': ('supervised', 'model')}
    for title, (method, member) in {**members, '[CTT-plus]': ('ctt_plus', 'teacher0')}.items():
        key = (method, 'camvid_0006R0', member, 'test')
        scores = [
            float(row['miou'])
            for row in rows
            if (row['method'], row['split'], row['member'], row['eval_set']) == key
        ]
        (line,) = [line for line in lines if line.startswith(f'| {title}')]
        assert line.endswith(f'| {fmean(scores):.1f} |')


@pytest.mark.parametrize(
    'reference, venue',
    [
        ('Wang et al., [a](https://arxiv.org/abs/2403.01818), CVPR 2024. Class', 'CVPR 2024'),
        ('[a](https://arxiv.org/abs/2), Neurocomputing 508, 2022. C', 'Neurocomputing 508, 2022'),
        ('[a](https://arxiv.org/abs/2); short version, AAAI 2022:\nhttps://b.c', 'AAAI 2022'),
        ('[arXiv 2405.20610](https://arxiv.org/abs/2405.20610). Class', 'arXiv 2024'),
        ('[arXiv 2607.03068](https://arxiv.org/abs/2607.03068), 2026. Class', 'arXiv 2026'),
        ('No paper.', ''),
    ],
)
def test_venue_of_a_reference(tool, reference, venue):
    assert tool.module.venue(f'# Title\n\nSentence.\n\n{reference}\n') == venue


def test_every_method_says_when_to_use_it(tool):
    lines = tool.module.choice().splitlines()[2:]
    assert len(lines) == len(tool.module.folders())
    assert all(line.split(' | ')[1] for line in lines)


def test_a_page_without_the_marks_is_an_error(tool, copy, capsys):
    (copy / 'README.md').write_text('# Title\n')
    assert tool.exit_code() == 2
    assert 'README.md has no lines' in capsys.readouterr().err


def test_a_measured_method_is_its_predicting_member(tool):
    """Dual Teacher predicts with its student, though it has teachers."""
    lines = (ROOT / 'docs/results_league.csv').read_text().splitlines()
    rows = [line.split(',') for line in lines if line.startswith('dual_teacher,camvid_0006R0,')]
    scores = [float(row[5]) for row in rows if row[3:5] == ['student0', 'test']]
    mean = sum(scores) / len(scores)
    assert tool.module.measured(ROOT)['dual_teacher'] == pytest.approx(mean)


def test_methods_that_take_parts_of_labelled_images_are_named():
    page = (ROOT / 'docs/methods/classmix.md').read_text()
    section = page.partition('## Parts of labelled images')[2].partition('\n## ')[0]
    named = {f'{name}.md' for name in re.findall(r'\]\((\w+)\.md\)', section)} | {'classmix.md'}
    taking = [name for name, kind in registered_methods().items() if kind.takes_labeled]
    assert named == {f'{preset_of(name)}.md' for name in taking}
