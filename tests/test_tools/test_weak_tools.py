# Copyright (c) mmseg_ctt contributors.
"""Tools from tags to masks: class maps, saliency, pseudo-labels, in their order."""

import json

import numpy as np
import pytest
from PIL import Image
from toy_data import CLASSES, LABELED, UNLABELED
from toy_weak import classifier_run, write_toy_maps

CAMS, SALIENCY, LABELS = (f'weak/make_{name}' for name in ('cams', 'saliency', 'pseudo_labels'))


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    from mmengine.registry import DefaultScope

    with DefaultScope.overwrite_default_scope('mmseg'):
        return classifier_run(tmp_path_factory.mktemp('run'))


@pytest.fixture
def folder(tmp_path):
    write_toy_maps(tmp_path)
    return tmp_path


def error_of(tool, capsys, *arguments):
    assert tool.exit_code(*arguments) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def test_from_tags_to_masks(run, tmp_path, load_tool, capsys):
    data, maps, saliency = run.config.parent / 'data', tmp_path / 'maps', tmp_path / 'sal'
    common = (run.config, run.checkpoint, '--device', 'cpu', '--scales', 1, 2)
    load_tool(CAMS).call(*common, '--out', maps, '--refine', 'pamr')
    out = capsys.readouterr().out
    assert 'tags of these images: mAP' in out and '6 images, 6 of them now' in out
    load_tool(CAMS).call(*common, '--out', maps, '--refine', 'pamr')
    assert '6 images, 0 of them now' in capsys.readouterr().out
    changed = ('--cfg-options', 'model.segmentor.data_preprocessor.mean=[0,0,0]')
    line = error_of(load_tool(CAMS), capsys, *common, '--out', maps, '--refine', 'pamr', *changed)
    assert 'results of other settings (config_hash' in line
    load_tool(SALIENCY).call(data / 'img', '--out', saliency)
    assert '6 maps written (a stand-in' in capsys.readouterr().out
    labels = tmp_path / 'labels'
    settings = ('--rule', 'auxsegnet', '--saliency', saliency, '--object-level', 0.4)
    load_tool(LABELS).call(maps, '--images', data / 'img', '--out', labels, *settings)
    assert '6 masks' in capsys.readouterr().out
    for stem in LABELED + UNLABELED:
        mask = np.array(Image.open(labels / f'masks/{stem}.png'))
        assert mask.shape == (32, 48) and set(np.unique(mask)) <= {0, 1, 2, 3, 255}
    kept = json.loads((labels / 'pseudo_labels.json').read_text())
    assert kept['settings'] == dict(object_level=0.4, salient_level=0.06)


def test_images_of_a_folder_without_tags(run, tmp_path, load_tool, capsys):
    """Images beside those of the source have no tags, even of equal names."""
    images = tmp_path / 'img'
    images.mkdir()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)).save(
        images / 'l0.png'
    )
    common = (run.config, run.checkpoint, '--out', tmp_path / 'maps', '--source', images)
    line = error_of(load_tool(CAMS), capsys, *common)
    assert '1 of 1 images have no tags' in line and not (tmp_path / 'maps').exists()
    load_tool(CAMS).call(*common, '--predict-tags', 0.5, '--no-flip', '--scales', 1)
    assert 'mAP' not in capsys.readouterr().out
    assert (tmp_path / 'maps/l0.npz').is_file()


def test_truth_is_printed_and_not_kept(folder, load_tool, capsys):
    from toy_data import write_mask

    for seed, stem in enumerate(('a', 'b/c')):
        write_mask(folder / f'ann/{stem}.png', seed)
    common = (folder / 'maps', '--images', folder / 'img')
    truth = ('--truth', folder / 'ann')
    load_tool(LABELS).call(*common, '--out', folder / 'with', *truth)
    out = capsys.readouterr().out
    assert '| class3 |' in out and '| **mean** |' in out
    load_tool(LABELS).call(*common, '--out', folder / 'without')
    first, second = (
        {p.name: p.read_bytes() for p in (folder / n).rglob('*') if p.is_file()}
        for n in ('with', 'without')
    )
    assert first == second

    load_tool(LABELS).call(*common, *truth, '--thresholds', 0.2, 0.9)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith('| 0.')]
    assert [line.split()[1] for line in lines] == ['0.2', '0.9'] and lines[0][6:] != lines[1][6:]
    meta = folder / 'meta.json'
    meta.write_text(json.dumps(dict(classes=['sky', *CLASSES[1:]])))
    load_tool(LABELS).call(*common, *truth, '--truth-meta', meta, '--out', folder / 'named')
    assert '| class0 |' in capsys.readouterr().out


@pytest.mark.parametrize(
    'more, words',
    [
        ((), 'name the folder of the masks by --out'),
        (('--out', 'o', '--thresholds', 0.1), 'writes nothing: leave --out out'),
        (('--thresholds', 0.1), 'name their folder by --truth'),
        (('--out', 'o', '--truth-meta', 'm'), 'give both or none'),
        (('--out', 'o', '--truth', 'ann', '--truth-meta', 'm'), '--truth-meta m does not exist'),
        (('--out', 'o', '--rule', 'vote'), "rule='vote' must be one of"),
        (('--out', 'o', '--rule', 'auxsegnet'), 'needs saliency maps'),
        (('--out', 'o', '--saliency', 's'), 'the rule threshold uses no saliency'),
        (('--out', 'o', '--object-level', 0.1), "has no setting 'object_level'"),
        (('--out', 'o', '--no-min-max'), "has no setting 'min_max'"),
        (('--out', 'o', '--background', 7), 'background=7.0 must be a number from 0 to 1'),
        (('--out', 'o', '--refine', 'blur'), "refine='blur' must be one of"),
        (('--out', 'o', '--truth', 'none'), 'does not exist'),
        (('--out', 'o', '--jobs', 0), 'jobs=0 must be positive'),
        (('--out', 'img'), 'img is not empty'),
        (
            ('--truth', 'ann', '--thresholds', 0.1, '--background', 0.9),
            '--background would be unused, as --thresholds gives its values',
        ),
    ],
)
def test_mistakes_are_one_line(folder, load_tool, capsys, monkeypatch, more, words):
    from toy_data import write_mask

    monkeypatch.chdir(folder)
    for stem in ('a', 'b/c'):
        write_mask(folder / f'ann/{stem}.png', 0)
    before = sorted(folder.rglob('*'))
    assert words in error_of(load_tool(LABELS), capsys, 'maps', '--images', 'img', *more)
    assert sorted(folder.rglob('*')) == before


def test_mistakes_of_the_other_tools(run, folder, load_tool, capsys):
    (folder / 'empty').mkdir()
    line = error_of(load_tool(SALIENCY), capsys, folder / 'empty', '--out', folder / 'o')
    assert 'no image was found' in line
    common = (run.config, run.checkpoint, '--out', folder / 'o')
    for more, words in (
        (('--source', 'labeled'), "no source 'labeled' (it has tagged)"),
        (('--source', folder / 'empty'), 'no image was found'),
        (('--scales', 0), 'scales=[0.0] must be different positive numbers'),
        (('--member', 'teacher7'), 'teacher7'),
        (('--predict-tags', 0.5), 'predicted ones would be unused'),
    ):
        assert words in error_of(load_tool(CAMS), capsys, *common, *more)
    line = error_of(load_tool(CAMS), capsys, run.config, folder / 'no.pth', '--out', folder / 'o')
    assert 'no.pth does not exist' in line
    line = error_of(
        load_tool(LABELS), capsys, folder / 'img', '--images', folder / 'img', '--out', folder / 'o'
    )
    assert 'has no class_maps.json' in line
    assert not (folder / 'o').exists()
