# Copyright (c) mmseg_ctt contributors.
import json
from pathlib import Path

import numpy as np
import pytest
from mmseg.registry import DATASETS
from PIL import Image

from mmseg_ctt.datasets.split_files import read_list, verify_split
from mmseg_ctt.datasets.streets import StreetsDataset
from mmseg_ctt.datasets.streets_layout import CLASSES, PALETTE
from mmseg_ctt.lab.street_scenes import generate
from mmseg_ctt.lab.street_scenes.drives import DRIVES
from mmseg_ctt.lab.street_scenes.generate import Settings, plan, render_task
from mmseg_ctt.lab.street_scenes.render import render_scene

SMALL = ['--train', '64', '--val', '8']
TINY = ['--train', '8', '--val', '8', '--height', '64', '--width', '96']


@pytest.fixture(scope='module')
def main(load_tool):
    return load_tool('dataset_converters/make_streets').exit_code


@pytest.fixture(scope='module')
def root(main, tmp_path_factory):
    out = tmp_path_factory.mktemp('data') / 'streets'
    assert main('--out', out, '--workers', '2', *SMALL) == 0
    return out


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob('*'))
        if path.is_file()
    }


def masks(root, part='train'):
    paths = sorted((root / 'ann_dir' / part).glob('*.png'))
    return np.stack([np.asarray(Image.open(path)) for path in paths])


def test_workers_do_not_change_a_byte(main, tmp_path):
    for workers in ('1', '3'):
        assert main('--out', tmp_path / workers, '--workers', workers, *TINY) == 0
    first = contents(tmp_path / '1')
    assert len(first) > 32 and first == contents(tmp_path / '3')


def test_images_do_not_depend_on_their_number(root, tmp_path):
    for task in plan(str(tmp_path), Settings(train=8, val=8))[::5]:
        for folder in ('img_dir', 'ann_dir'):
            (tmp_path / folder / task.part).mkdir(parents=True, exist_ok=True)
        render_task(task)
    for path, content in contents(tmp_path).items():
        assert (root / path).read_bytes() == content


def test_another_seed_gives_other_images(root, tmp_path):
    task = plan(str(tmp_path), Settings(seed=1, train=8, val=8))[0]
    for folder in ('img_dir', 'ann_dir'):
        (tmp_path / folder / 'train').mkdir(parents=True)
    render_task(task)
    for path, content in contents(tmp_path).items():
        assert (root / path).read_bytes() != content


def test_sizes_and_ids(root):
    for part, count in (('train', 64), ('val', 8)):
        labels = masks(root, part)
        assert labels.shape == (count, 128, 192) and labels.dtype == np.uint8
        assert set(np.unique(labels)) <= {*range(len(CLASSES)), 255}
        images = sorted((root / 'img_dir' / part).glob('*.jpg'))
        assert len(images) == count
        assert Image.open(images[0]).size == (192, 128)


def test_other_sizes():
    image, label = render_scene(DRIVES[0], np.random.default_rng(0), 96, 120)
    assert image.shape == (96, 120, 3) and label.shape == (96, 120)


def test_long_tail_with_every_class(root):
    labels = masks(root)
    pixels = np.bincount(labels[labels < 255], minlength=len(CLASSES))
    shares = pixels / pixels.sum()
    assert shares.min() > 0
    assert 0.002 <= shares.min() <= 0.006
    assert shares.max() / shares.min() > 30


def test_labels_differ_between_images(root):
    labels = masks(root)
    first = labels[0]
    assert all((first != other).mean() > 0.05 for other in labels[1:])


def test_drives_differ_in_mean_colour(root):
    means = []
    for drive in DRIVES:
        images = [
            np.asarray(Image.open(path)) for path in (root / 'img_dir').rglob(f'{drive.name}_*.jpg')
        ]
        assert len(images) == 9
        means.append(np.mean(images, (0, 1, 2)))
    gaps = np.abs(np.subtract.outer(means, means)).max((1, 3))
    assert gaps[~np.eye(len(DRIVES), dtype=bool)].min() > 2


def test_meta_and_splits(root):
    meta = json.loads((root / 'meta.json').read_text())
    assert meta['classes'] == list(CLASSES) and meta['palette'] == PALETTE
    assert len(set(map(tuple, PALETTE))) == len(CLASSES) == len(meta['palette'])
    assert sum(meta['class_shares'].values()) == pytest.approx(1, abs=1e-3)
    stems = {path.stem for path in (root / 'img_dir' / 'train').iterdir()}
    assert not stems & {path.stem for path in (root / 'img_dir' / 'val').iterdir()}
    splits = root / 'splits'
    for folder in (splits / '1_8' / 'seed2', splits / 'seq_d03'):
        assert verify_split(folder)['num_unlabeled'] > 0
        lists = [read_list(folder / f'{name}labeled.txt') for name in ('', 'un')]
        assert set(lists[0]) | set(lists[1]) == stems
    labeled = read_list(splits / 'seq_d03' / 'labeled.txt')
    assert len(labeled) == 8 and all(stem.startswith('d03_') for stem in labeled)
    assert set(read_list(splits / 'all' / 'labeled.txt')) == stems


def test_random_splits_show_every_class(root):
    manifest = verify_split(root / 'splits' / '1_8' / 'seed0')
    counts = manifest['class_images']
    assert set(counts) == set(CLASSES)
    assert all(count['labeled'] for count in counts.values())


def test_run_again(main, tmp_path, capsys):
    args = ['--out', tmp_path, '--workers', '1', *TINY]
    assert main(*args) == 0
    first = contents(tmp_path)
    stamp = (tmp_path / 'meta.json').stat().st_mtime_ns
    assert main(*args) == 0
    assert 'complete already' in capsys.readouterr().out
    assert (tmp_path / 'meta.json').stat().st_mtime_ns == stamp
    assert main(*args, '--seed', '1') == 2
    assert contents(tmp_path) == first
    assert main(*args, '--seed', '1', '--force') == 0
    assert contents(tmp_path) != first


def test_interrupted_run_is_done_again(main, tmp_path):
    args = ['--out', tmp_path, '--workers', '1', *TINY]
    assert main(*args) == 0
    first, meta = contents(tmp_path), tmp_path / 'meta.json'
    content = json.loads(meta.read_text())
    meta.write_text(json.dumps({key: content[key] for key in ('name', 'settings')}))
    (tmp_path / 'img_dir' / 'train' / 'd01_0000.jpg').unlink()
    assert main(*args) == 0
    assert contents(tmp_path) == first


@pytest.mark.parametrize('other', ['files', 'version'])
def test_finished_data_is_replaced_with_force_alone(main, tmp_path, monkeypatch, capsys, other):
    args = ['--out', tmp_path, '--workers', '1', *TINY]
    assert main(*args) == 0
    first = contents(tmp_path)
    mine = tmp_path / 'splits' / 'mine' / 'labeled.txt'
    mine.parent.mkdir()
    mine.write_text('d01_0000\n')
    mask = tmp_path / 'ann_dir' / 'train' / 'd01_0000.png'
    if other == 'files':
        mask.write_bytes(b'mine')
    else:
        monkeypatch.setattr(generate, 'RENDERER_VERSION', 99)
    changed = contents(tmp_path)
    assert main(*args) == 2
    assert '--force' in capsys.readouterr().err
    assert contents(tmp_path) == changed
    assert main(*args, '--force') == 0
    made = contents(tmp_path)
    assert made.pop('splits/mine/labeled.txt') == b'd01_0000\n'
    assert [*made] == [*first] and made[f'ann_dir/train/{mask.name}'] != b'mine'
    capsys.readouterr()
    assert main(*args) == 0
    assert 'complete already' in capsys.readouterr().out


def test_own_splits_are_those_that_are_written(load_tool, root):
    own = load_tool('dataset_converters/make_streets').module.OWN_SPLITS
    splits = root / 'splits'
    made = {str(path.parent.relative_to(splits)) for path in splits.rglob('manifest.json')}
    few = {f'1_16/seed{seed}' for seed in range(3)}  # of too few images for it
    assert made | few == set(own) and not made & few


def test_foreign_data_stays(main, tmp_path, capsys):
    (tmp_path / 'img_dir').mkdir()
    (tmp_path / 'img_dir' / 'mine.jpg').touch()
    assert main('--out', tmp_path, '--force', *TINY) == 2
    assert 'other data' in capsys.readouterr().err
    assert [*contents(tmp_path)] == ['img_dir/mine.jpg']


@pytest.mark.parametrize('option', [('--seed', '-1'), ('--train', '3'), ('--height', '9')])
def test_bad_settings(main, tmp_path, option, capsys):
    assert main('--out', tmp_path / 'x', *option) == 2
    assert option[0] in capsys.readouterr().err
    assert not (tmp_path / 'x').exists()


def test_dataset(root):
    assert DATASETS.get('StreetsDataset') is StreetsDataset
    dataset = StreetsDataset(
        data_root=str(root),
        ann_file='splits/seq_d08/labeled.txt',
        data_prefix=dict(img_path='img_dir/train', seg_map_path='ann_dir/train'),
    )
    assert len(dataset) == 8
    sample = dataset.get_data_info(0)
    assert Path(sample['img_path']).is_file()
    assert Path(sample['seg_map_path']).is_file()
    assert dataset.metainfo['classes'] == CLASSES
