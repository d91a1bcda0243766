# Copyright (c) mmseg_ctt contributors.
import json

import pytest
from PIL import Image


@pytest.fixture
def tool(load_tool):
    return load_tool('analysis_tools/plot_curves')


def write_run(folder, start='20260101_000000', **curves):
    place = folder / start / 'vis_data'
    place.mkdir(parents=True)
    rows = [
        {key: value, 'step': step}
        for key, values in curves.items()
        for step, value in values.items()
    ]
    (place / 'scalars.json').write_text('\n'.join(map(json.dumps, rows)))
    return folder


@pytest.fixture
def runs(tmp_path):
    one = write_run(tmp_path / 'one', loss={10: 1.0, 20: 0.5}, acc={20: 0.7})
    write_run(one, '20260101_000001', loss={20: 0.4, 30: 0.3})  # resumed
    return one, write_run(tmp_path / 'two', loss={10: 2.0, 20: 1.5})


def test_lines_are_what_the_runs_recorded(tool, runs):
    tool = tool.module
    curves = tool.read(dict(zip('ab', runs)))
    figure = tool.draw(curves, ['loss', 'acc', 'loss'])
    drawn = [
        {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in panel.lines}
        for panel in figure.axes
    ]
    loss = dict(a=([10, 20, 30], [1.0, 0.4, 0.3]), b=([10, 20], [2.0, 1.5]))
    assert drawn == [loss, dict(a=([20], [0.7])), loss]
    assert [panel.get_title() for panel in figure.axes] == ['loss', 'acc', 'loss']


def test_writes_a_picture(tool, runs, tmp_path, capsys):
    out = tmp_path / 'curves.png'
    tool.call(f'a={runs[0]}', f'b={runs[1]}', '--keys', 'loss', '--out', out)
    assert Image.open(out).width == 1200 and str(out) in capsys.readouterr().out


@pytest.mark.parametrize('given', ['photo.png', 'photo'])
def test_a_picture_is_not_replaced(tool, runs, tmp_path, given):
    (tmp_path / 'photo.png').write_text('mine')
    arguments = (f'a={runs[0]}', '--keys', 'loss', '--out', tmp_path / given)
    with pytest.raises(ValueError, match='photo.png exists: give another name, or --overwrite'):
        tool.call(*arguments)
    assert (tmp_path / 'photo.png').read_text() == 'mine'
    tool.call(*arguments, '--overwrite')
    assert Image.open(tmp_path / 'photo.png').width == 1200


@pytest.mark.parametrize(
    'change, error, words',
    [
        (lambda a, b: [a, '--keys', 'loss'], ValueError, 'NAME=WORK_DIR'),
        (lambda a, b: [f'a={a}', f'a={b}', '--keys', 'loss'], ValueError, 'given twice'),
        (lambda a, b: [f'a={a}', '--keys', 'miou'], ValueError, r"'miou'; known keys are \['acc"),
        (lambda a, b: [f'a={a.parent}', '--keys', 'loss'], FileNotFoundError, 'holds no run'),
    ],
)
def test_errors(tool, runs, tmp_path, change, error, words):
    with pytest.raises(error, match=words):
        tool.call(*change(*runs), '--out', tmp_path / 'x.png')
