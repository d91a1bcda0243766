# Copyright (c) mmseg_ctt contributors.
"""suggest_labels.py and find_label_errors.py, from a config and a checkpoint to files."""

import csv
import json

import pytest
import torch
from PIL import Image
from toy import toy_segmentor
from toy_data import UNLABELED, toy_config, write_image

from mmseg_ctt.datasets.lists import read_list
from mmseg_ctt.deploy.checkpoint import build_network

pytest.importorskip('jinja2', reason='jinja2: pip install "mmseg_ctt[report]"')

from mmseg_ctt.lab.report import galleries  # noqa: E402


@pytest.fixture
def suggest(load_tool):
    return load_tool('analysis_tools/suggest_labels')


@pytest.fixture
def errors(load_tool):
    return load_tool('analysis_tools/find_label_errors')


def write_run(root, tmp_path, **changes):
    """Config and checkpoint of a model whose members differ and are certain."""
    cfg = toy_config(root, tmp_path / 'run', **changes)
    cfg.dump(tmp_path / 'config.py')
    torch.manual_seed(1)
    model = build_network(cfg.model)
    for head in [part for part in model.modules() if hasattr(part, 'conv_seg')]:
        torch.nn.init.normal_(head.conv_seg.weight, std=1)
    torch.save(dict(state_dict=model.state_dict(), meta={}), tmp_path / 'a.pth')
    return tmp_path / 'config.py', tmp_path / 'a.pth'


def test_lists_and_page(root, tmp_path, suggest, capsys):
    config, checkpoint = write_run(root, tmp_path)
    out = tmp_path / 'out'
    suggest.call(config, checkpoint, '--count', 2, '--out', out)
    chosen = read_list(out / 'label_next.txt')
    assert len(chosen) == 2 and set(chosen) < set(UNLABELED)
    order = 'in the order of the choice, not of the scores'
    head, *printed = capsys.readouterr().out.splitlines()
    assert head == f'images and their scores, {order}:'
    assert [line.partition('  0.')[0] for line in printed[:2]] == chosen
    rows = list(csv.DictReader((out / 'scores.csv').open()))
    assert {row['image'] for row in rows if row['chosen'] == '1'} == set(chosen)
    assert len(rows) == 3
    scores = [float(row['score']) for row in rows]
    assert (
        scores == sorted(scores, reverse=True) and scores[0] > 0 and rows[0]['image'] == chosen[0]
    )
    assert read_list(out / 'labeled.txt') == ['l0', 'l1', 'l2', *chosen]
    assert read_list(out / 'unlabeled.txt') == [name for name in UNLABELED if name not in chosen]
    page = (out / 'index.html').read_text()
    assert page.count('<img') == 2 * 4 and 'teacher0 and teacher1' in page
    assert 'plotly' not in page, 'a page without figures'
    assert suggest.exit_code(config, checkpoint, '--out', out) == 2
    assert 'already holds label_next.txt' in capsys.readouterr().err
    assert 'Of all 3 images without masks' in page and 'preview' not in page and order in page
    with pytest.raises(SystemExit):
        suggest.call('--help')
    assert 'not by the score: the first has the highest' in capsys.readouterr().out


def test_classes_that_lack_masks_are_named(root, tmp_path, suggest, capsys):
    for name in ('l0', 'l1', 'l2'):
        Image.new('L', (48, 32)).save(root / 'ann' / f'{name}.png')
    config, checkpoint = write_run(root, tmp_path)
    suggest.call(config, checkpoint, '--count', 1, '--out', tmp_path / 'out')
    for text in (capsys.readouterr().out, (tmp_path / 'out' / 'index.html').read_text()):
        assert 'few show class1 (0), class2 (0), class3 (0).' in text


@pytest.mark.parametrize('name', ['labeled.txt', 'unlabeled.txt', 'scores.csv', 'index.html'])
def test_no_file_of_the_folder_is_replaced(root, tmp_path, suggest, capsys, name):
    """Such as the lists of the run itself."""
    config, checkpoint = write_run(root, tmp_path)
    out = tmp_path / 'splits'
    out.mkdir()
    (out / name).write_text('mine')
    assert suggest.exit_code(config, checkpoint, '--out', out) == 2
    assert f'already holds {name}' in capsys.readouterr().err
    assert [path.read_text() for path in out.iterdir()] == ['mine']


def test_a_folder_of_any_images(root, tmp_path, suggest):
    """A plain network, and images that are turned, grey or in sub-folders."""
    config, checkpoint = write_run(root, tmp_path, model=toy_segmentor())
    folder = tmp_path / 'more'
    write_image(folder / 'day1' / 'a b.jpg', 90)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    with Image.open(folder / 'day1' / 'a b.jpg') as image:
        image.save(folder / 'turned.jpg', exif=exif)
        image.convert('L').save(folder / 'grey.png')
    (folder / 'broken.jpg').write_bytes(b'broken')
    out = tmp_path / 'out'
    suggest.call(config, checkpoint, '--count', 9, '--out', out, '--images', folder)
    assert set(read_list(out / 'label_next.txt')) == {'day1/a b', 'turned', 'grey'}
    assert not (out / 'labeled.txt').exists()
    page = (out / 'index.html').read_text()
    assert '1 images cannot be read' in page and 'entropy of model' in page
    assert page.count('<img') == 3 * 3, 'one prediction'


def test_label_errors(root, tmp_path, errors, capsys):
    config, checkpoint = write_run(root, tmp_path, model=toy_segmentor())
    manifest = tmp_path / 'spoilt.json'
    manifest.write_text(json.dumps(dict(spoilt=[dict(name='l1')])))
    options = ('--threshold', 0.3, '--border', 0, '--min-area', 0, '--spoilt', manifest)
    out = tmp_path / 'out'
    errors.call(config, checkpoint, '--out', out, *options, '--min-iou', 0)
    named = read_list(out / 'label_errors.txt')
    assert set(named) == {'l0', 'l1', 'l2'}, 'weights at random contradict every mask'
    printed = capsys.readouterr().out
    assert printed.startswith(f'{named[0]}  ') and 'class' in printed and 'recall of 1' in printed
    page = (out / 'index.html').read_text()
    assert page.count('<img') == 3 * 4 and '100%' in page
    assert 'known yet' not in page + printed and 'do not know' not in page + printed
    errors.call(config, checkpoint, '--out', tmp_path / 'unknown', *options)
    assert set(read_list(tmp_path / 'unknown' / 'label_errors.txt')) == set(named)
    page = (tmp_path / 'unknown' / 'index.html').read_text()
    for text in (capsys.readouterr().out, page):
        words = text.index('do not know one of the two classes yet')
        assert words < text.index(f'{named[0]}'), 'all are behind'
        assert 'with an IoU below 50% on these images' in text and 'not known yet: class' in text
    assert page.count('<img') == 3 * 4
    errors.call(config, checkpoint, '--out', tmp_path / 'none', '--threshold', 1)
    assert read_list(tmp_path / 'none' / 'label_errors.txt') == []
    assert 'no mask is contradicted' in capsys.readouterr().out


@pytest.mark.parametrize('tool, of', [('suggest', 'out'), ('errors', 'out'), ('errors', 'spoilt')])
def test_mistakes_that_cost_no_pass_over_the_images(
    root, tmp_path, monkeypatch, request, capsys, tool, of
):
    """They are found before the networks are read."""
    config, checkpoint = write_run(root, tmp_path)
    monkeypatch.setattr(galleries, 'load_network', None)
    options, words = ['--out', tmp_path / 'file' / 'more'], 'file is a file: give another folder'
    (tmp_path / 'file').touch()
    if of == 'spoilt':
        manifest = tmp_path / 'spoilt.json'
        manifest.write_text(json.dumps(dict(spoilt=[dict(name='l1'), dict(name='u1')])))
        options = ['--out', tmp_path / 'out', '--spoilt', manifest]
        words = 'u1 of the manifest is no labelled image'
    assert request.getfixturevalue(tool).exit_code(config, checkpoint, *options) == 2
    assert words in capsys.readouterr().err and not (tmp_path / 'out').exists()


@pytest.mark.parametrize(
    'options, words',
    [
        (['--count', 0], 'must be positive, got 0'),
        (['--cfg-options', 'train_dataloader.dataset.unlabeled=None'], 'no images without masks'),
        (['--images', 'absent'], 'absent does not exist'),
    ],
)
def test_mistakes(root, tmp_path, suggest, capsys, options, words):
    config, checkpoint = write_run(root, tmp_path)
    out = tmp_path / 'out'
    assert suggest.exit_code(config, checkpoint, '--out', out, *options) == 2
    assert words in capsys.readouterr().err and not out.exists()


def test_threshold_out_of_range(root, tmp_path, errors, capsys):
    config, checkpoint = write_run(root, tmp_path)
    out = tmp_path / 'out'
    assert errors.exit_code(config, checkpoint, '--out', out, '--threshold', 2) == 2
    assert 'threshold must be in [0, 1], got 2' in capsys.readouterr().err
    both = ('--threshold', 0.9, '--floor', 0.2)
    assert errors.exit_code(config, checkpoint, '--out', out, *both) == 2
    assert 'floor belongs to the class thresholds' in capsys.readouterr().err and not out.exists()
