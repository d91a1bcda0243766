# Copyright (c) mmseg_ctt contributors.
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmseg.registry import MODELS
from toy import toy_segmentor
from toy_data import CROP, PALETTE, toy_config, toy_ctt, toy_method, write_toy_data

from mmseg_ctt import visualization
from mmseg_ctt.functional import cut_mix_mask, mix
from mmseg_ctt.methods import registered_methods
from mmseg_ctt.nn.rng import sample_noise


@pytest.fixture
def tool(load_tool):
    return load_tool('misc/browse_semi')


@pytest.fixture
def columns_of(tool, monkeypatch):
    """Calls the tool; gives what it draws, by column."""
    drawn = {}
    grid = visualization.save_grid

    def save_grid(path, rows, titles, classes, palette, **captions):
        drawn.update(rows=rows, titles=titles, **captions)
        grid(path, rows, titles, classes, palette, **captions)

    monkeypatch.setattr(visualization, 'save_grid', save_grid)

    def columns_of(*arguments):
        tool.call(*arguments)
        return {
            title: np.stack(column) for title, column in zip(drawn['titles'], zip(*drawn['rows']))
        }

    columns_of.drawn = drawn
    return columns_of


@pytest.fixture
def write_config(tmp_path):
    def write_config(**changes):
        cfg = toy_config(write_toy_data(tmp_path / 'data'), tmp_path / 'work', **changes)
        cfg.dump(tmp_path / 'toy.py')
        return tmp_path / 'toy.py', cfg

    return write_config


def test_without_a_checkpoint(tmp_path, tool, columns_of, write_config, capsys):
    """Colours and blur off: the strong view is the weak one with boxes of its neighbour."""
    config, cfg = write_config(model=toy_ctt(strong_augmentation=[dict(type='ClassMixing')]))
    columns = columns_of(config, '--out', tmp_path / 'out', '-n', 3)
    assert (tmp_path / 'out' / 'browse.png').stat().st_size > 1000
    assert list(columns) == ['labelled image', 'label', 'weak view', 'strong view']
    assert all(
        column.shape == (3, *CROP, 3) and column.dtype == np.uint8 for column in columns.values()
    )
    assert 'CutMix is drawn' in capsys.readouterr().out
    allowed = {tuple(colour) for colour in PALETTE} | {(0, 0, 0)}
    assert set(map(tuple, columns['label'].reshape(-1, 3).tolist())) <= allowed

    loader = tool.module.build_loader(cfg)  # batches of two pairs
    batch = next(iter(loader))
    unlabeled = [i for i, one in enumerate(batch['data_samples']) if one.source == 'unlabeled']
    weak = torch.stack([batch['inputs'][i] for i in unlabeled]).flip(1)  # RGB
    np.testing.assert_array_equal(columns['weak view'][:2], weak.permute(0, 2, 3, 1))
    draws = [batch['data_samples'][i].draw for i in unlabeled]
    noise = sample_noise(draws, 5, 'strong0/0/CutMixing')
    mask = cut_mix_mask(torch.zeros(2, *CROP, dtype=torch.long), noise=noise[:, 1:])
    assert mask.any() and not mask.all()
    expected = mix(weak, mask).permute(0, 2, 3, 1)
    np.testing.assert_array_equal(columns['strong view'][:2], expected)


def test_with_a_checkpoint(tmp_path, columns_of, write_config, capsys):
    config, cfg = write_config()
    torch.manual_seed(4)
    model = MODELS.build(cfg.model)
    model.teachers[1].decode_head.conv_seg.weight.data.normal_(std=5)
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'a.pth')
    columns = columns_of(
        config, '--out', tmp_path / 'out', '-n', 2, '--checkpoint', tmp_path / 'a.pth'
    )
    assert list(columns)[2:] == [
        'weak view',
        'pseudo-label of teacher1',
        'strong view',
        'its target',
    ]
    label, target = columns['pseudo-label of teacher1'], columns['its target']
    assert len(np.unique(label.reshape(-1, 3), axis=0)) > 1, 'more than one class'
    neighbour = label[::-1]
    own, other = (target == label).all(-1), (target == neighbour).all(-1)
    assert (own | other).all() and (target != label).any()
    assert 'CutMix' not in capsys.readouterr().out


def test_parts_of_labelled_images(tmp_path, columns_of, write_config, capsys):
    """All of them here: the strong view is the labelled image, and its target the label."""
    steps = [dict(type='CutMixing', partner='labeled', area=(1, 1))]
    config, cfg = write_config(model=toy_ctt(strong_augmentation=steps))
    torch.save(dict(state_dict=MODELS.build(cfg.model).state_dict()), tmp_path / 'a.pth')
    for given in ((), ('--checkpoint', tmp_path / 'a.pth')):
        out = tmp_path / f'out{len(given)}'
        columns = columns_of(config, '--out', out, '-n', 2, *given)
        shown = columns['labelled image'].astype(int)
        np.testing.assert_allclose(columns['strong view'].astype(int), shown, atol=1)
        assert (columns['weak view'] != columns['strong view']).any()
    np.testing.assert_array_equal(columns['its target'], columns['label'])
    assert len(columns['pseudo-label of teacher1']) == 2


def test_classes_of_labelled_images_are_known_without_a_checkpoint(
    tmp_path, columns_of, write_config, capsys
):
    steps = [dict(type='ClassMixing', partner='labeled')]
    config, _ = write_config(model=toy_ctt(strong_augmentation=steps))
    columns = columns_of(config, '--out', tmp_path / 'out', '-n', 2)
    assert 'CutMix is drawn' not in capsys.readouterr().out
    weak, strong = (columns[name].astype(int) for name in ('weak view', 'strong view'))
    pasted = (np.abs(strong - weak) > 1).any(-1)
    assert 0 < pasted.mean() < 1
    np.testing.assert_allclose(strong[pasted], columns['labelled image'][pasted], atol=1)


def test_boxes_have_the_partner_of_the_classes(tool, write_config):
    steps = [dict(type='ClassMixing', partner='flipped', prob=0.5)]
    _, cfg = write_config(model=toy_ctt(strong_augmentation=steps))
    model = tool.module.build_model(cfg, None)
    views = tool.module.Views(model, False, dict(palette=PALETTE, classes=()))
    (step,) = views.augmentation.steps
    assert (type(step).__name__, step.partner, step.prob) == ('CutMixing', 'flipped', 0.5)


def test_plain_config(tmp_path, columns_of, write_config):
    config, _ = write_config(model=toy_segmentor())
    columns = columns_of(
        config,
        '--out',
        tmp_path / 'out',
        '-n',
        2,
        '--cfg-options',
        'train_dataloader.sampler.ratio=(1,0)',
    )
    assert list(columns) == ['labelled image', 'label']


@pytest.mark.parametrize(
    'arguments, words',
    [
        (['absent.py'], 'config absent.py does not exist'),
        (['CONFIG', '-n', '0'], '-n must be positive'),
        (['CONFIG', '--checkpoint', 'absent.pth'], 'checkpoint absent.pth does not exist'),
        (['CONFIG', '--checkpoint', 'OTHER'], 'do not belong together'),
    ],
)
def test_errors(tmp_path, tool, write_config, arguments, words):
    config, _ = write_config()
    torch.save(dict(state_dict=dict(a=torch.zeros(1))), tmp_path / 'other.pth')
    names = dict(CONFIG=config, OTHER=tmp_path / 'other.pth')
    with pytest.raises((ValueError, FileNotFoundError), match=words):
        tool.call(*[names.get(one, one) for one in arguments])


@pytest.mark.parametrize('kind', ['ClassActivationMaps', 'AuxSegNet'])
def test_images_with_tags(tmp_path, columns_of, write_config, capsys, kind):
    """Names of the tags stand below the images; maps that the method reads are drawn."""
    config, cfg = write_config(model=toy_method(kind))
    columns = columns_of(config, '--out', tmp_path / 'out', '-n', 3)
    reads = registered_methods()[kind].reads_maps
    assert list(columns) == ['tagged image', *reads]
    assert all(column.shape == (3, *CROP, 3) for column in columns.values())
    captions = columns_of.drawn['captions']
    tags = json.loads((tmp_path / 'data' / 'tags.json').read_text())
    assert list(captions) == ['tagged image'] and len(captions['tagged image']) >= 3
    assert set(captions['tagged image']) <= {', '.join(names) for names in tags.values()}
    assert 'no strong augmentation' not in capsys.readouterr().out


def test_pictures_are_not_replaced(tmp_path, tool, write_config, monkeypatch, capsys):
    """Each call without --out has a folder of its own."""
    monkeypatch.chdir(tmp_path)
    config, _ = write_config()
    folders = []
    for _ in range(3):
        folder = tool.module.folder_of(SimpleNamespace(config='configs/toy.py', out=None))
        folder.mkdir(parents=True)
        (folder / 'browse.png').write_text('mine')
        folders.append(folder.as_posix())
    assert folders == [f'work_dirs/toy/browse{end}' for end in ('', '_2', '_3')]
    assert tool.exit_code(config, '--out', folders[0]) == 2
    assert 'browse.png exists: give another name' in capsys.readouterr().err
