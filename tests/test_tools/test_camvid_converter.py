# Copyright (c) mmseg_ctt contributors.
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmseg_ctt.datasets.camvid import CamVidDataset
from mmseg_ctt.datasets.splits import read_list, verify_split

COUNTS = dict(train=24, val=2, test=3)


@pytest.fixture
def main(load_tool):
    return load_tool('dataset_converters/camvid').exit_code


@pytest.fixture
def source(tmp_path):
    root = tmp_path / 'CamVid'
    rng = np.random.default_rng(0)
    for part, count in COUNTS.items():
        for folder in (part, f'{part}annot'):
            (root / folder).mkdir(parents=True)
        for i in range(count):
            name = f'{("0006R0", "0001TP", "0016E5")[i % 3]}_{i:05d}.png'
            image = rng.integers(0, 256, (9, 12, 3), dtype=np.uint8)
            mask = rng.integers(0, 12, (9, 12), dtype=np.uint8)
            Image.fromarray(image).save(root / part / name)
            Image.fromarray(mask).save(root / f'{part}annot' / name)
    return root


def load(path):
    with Image.open(path) as image:
        return np.array(image)


def one_line_error(capsys):
    message = capsys.readouterr().err
    assert message.startswith('error: ')
    assert message.count('\n') == 1
    return message


def test_converted_data_load(main, source, tmp_path):
    out = tmp_path / 'out'
    assert main(source, out) == 0
    meta = json.loads((out / 'meta.json').read_text())
    assert meta['counts'] == COUNTS
    assert meta['num_classes'] == len(meta['classes']) == 11
    for part, count in COUNTS.items():
        dataset = CamVidDataset(
            data_root=str(out),
            data_prefix=dict(img_path=f'img_dir/{part}', seg_map_path=f'ann_dir/{part}'),
        )
        assert len(dataset) == count
        for i in range(count):
            sample = dataset.get_data_info(i)
            name = Path(sample['seg_map_path']).name
            before = load(source / f'{part}annot' / name)
            after = load(sample['seg_map_path'])
            assert (after == np.where(before == 11, 255, before)).all()
            assert load(sample['img_path']).shape == (9, 12, 3)


def test_splits(main, source, tmp_path):
    out = tmp_path / 'out'
    assert main(source, out) == 0
    sizes = {'1_16': 2, '1_8': 3, '1_4': 6, '1_2': 12}
    whole = {p.stem for p in (source / 'train').iterdir()}
    for name, size in sizes.items():
        for seed in range(3):
            folder = out / 'splits' / name / f'seed{seed}'
            manifest = verify_split(folder)
            assert manifest['num_labeled'] == size
            labeled = read_list(folder / 'labeled.txt')
            assert set(labeled) | set(read_list(folder / 'unlabeled.txt')) == whole
            assert all(n['labeled'] for n in manifest['class_images'].values())
    for prefix in ('0006R0', '0001TP'):
        labeled = read_list(out / 'splits' / f'seq_{prefix}' / 'labeled.txt')
        assert labeled == sorted(s for s in whole if s.startswith(prefix))


def test_png_and_scale(main, source, tmp_path):
    out = tmp_path / 'out'
    assert main(source, out, '--img-suffix', '.png') == 0
    name = next((source / 'val').iterdir()).name
    assert (load(out / 'img_dir' / 'val' / name) == load(source / 'val' / name)).all()
    small = tmp_path / 'small'
    assert main(source, small, '--scale', 3, 6) == 0
    mask = load(small / 'ann_dir' / 'val' / name)
    assert mask.shape == (3, 6)
    assert set(np.unique(mask)) <= {*range(11), 255}
    assert load(small / f'img_dir/val/{name[:-4]}.jpg').shape == (3, 6, 3)


@pytest.mark.parametrize(
    'lost,message',
    [
        ('valannot', 'valannot does not exist'),
        ('train', 'train does not exist'),
        ('valannot/0006R0_00000.png', 'the mask .*0006R0_00000.png does not'),
        ('val/0006R0_00000.png', 'the image .*0006R0_00000.png does not'),
    ],
)
def test_missing_parts(main, source, tmp_path, capsys, lost, message):
    (source / lost).rename(tmp_path / 'away')
    assert main(source, tmp_path / 'out') == 2
    assert re.search(message, one_line_error(capsys))
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize(
    'array,message',
    [
        (np.full((9, 12), 12, np.uint8), '12 (108 pixels)'),
        (np.zeros((9, 12, 3), np.uint8), 'single-channel'),
        (np.zeros((12, 9), np.uint8), '12 high and 9 wide'),
    ],
)
def test_bad_mask_is_named(main, source, tmp_path, capsys, array, message):
    path = source / 'testannot' / '0006R0_00000.png'
    Image.fromarray(array).save(path)
    assert main(source, tmp_path / 'out') == 2
    error = one_line_error(capsys)
    assert str(path) in error and message in error
    assert not (tmp_path / 'out').exists()


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob('*') if path.is_file()}


def test_converted_data_is_replaced_with_overwrite_alone(main, source, tmp_path, capsys):
    out = tmp_path / 'out'
    assert main(source, out, '--scale', 8, 8) == 0
    first = contents(out)
    options = ['--scale', 4, 4, '--img-suffix', '.png']
    assert main(source, out, *options) == 2
    assert '--overwrite' in one_line_error(capsys)
    assert contents(out) == first
    assert main(source, out, *options, '--overwrite') == 0
    images = sorted(path.name for path in (out / 'img_dir').rglob('*.*'))
    assert images == sorted(path.name for part in COUNTS for path in (source / part).iterdir())
    assert json.loads((out / 'meta.json').read_text())['scale'] == [4, 4]


def test_other_lists_are_refused_before_images_are_written(main, source, tmp_path, capsys):
    out = tmp_path / 'out'
    other = out / 'splits' / 'seq_0001TP' / 'labeled.txt'
    other.parent.mkdir(parents=True)
    other.write_text('mine\n')
    assert main(source, out) == 2
    assert 'already holds another list' in one_line_error(capsys)
    assert [*contents(out)] == [other]
    assert main(source, out, '--overwrite') == 0 and (out / 'meta.json').is_file()


def test_real_folder_survives_a_round_trip(main, shared_dir, tmp_path):
    """The published images, put back into the source layout, convert again."""
    root = shared_dir / 'data' / 'camvid'
    for part in ('train', 'val', 'test'):
        for folder in (part, f'{part}annot'):
            (tmp_path / 'src' / folder).mkdir(parents=True)
        masks = sorted((root / 'ann_dir' / part).iterdir())
        # Every eighth image keeps all classes and sequences in the data.
        for path in masks[::8]:
            mask = load(path)
            mask[mask == 255] = 11
            name = path.name
            Image.fromarray(mask).save(tmp_path / 'src' / f'{part}annot' / name)
            with Image.open(root / f'img_dir/{part}/{path.stem}.jpg') as image:
                image.save(tmp_path / 'src' / part / name, compress_level=1)
    out = tmp_path / 'out'
    assert main(tmp_path / 'src', out) == 0
    meta = json.loads((root / 'meta.json').read_text())
    made = json.loads((out / 'meta.json').read_text())
    for key in (
        'classes',
        'palette',
        'ignore_index',
        'img_suffix',
        'seg_map_suffix',
        'reduce_zero_label',
    ):
        assert made[key] == meta[key]
    for path in (out / 'ann_dir' / 'train').iterdir():
        assert (load(path) == load(root / 'ann_dir' / 'train' / path.name)).all()
