# Copyright (c) mmseg_ctt contributors.
"""What new_run finds in folders, what it refuses, and what it leaves alone."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from toy_folders import BARE, COLOURS, KINDS, MASKED, blocks, hash_of, masks, photos, save

from mmseg_ctt.datasets.lists import read_list
from mmseg_ctt.lab.new_run import new_run
from mmseg_ctt.lab.new_run.found import Found, look


def found(root: Path, **options: Any) -> Found:
    return look(root.resolve(), **options)


def ids_of(path: Path) -> set:
    return set(np.unique(np.array(Image.open(path))).tolist())


# ---- masks


def test_colours_become_ids_by_the_palette_of_the_user(tmp_path: Path):
    KINDS['colour_masks'](tmp_path)
    new_run(tmp_path, palette=['0,0,142', '128,64,128', '0'], classes=['car', 'road', 'sky'])
    (folder,) = (path.parent for path in tmp_path.rglob('conversion.json'))
    drawn = np.random.RandomState(hash_of('00')).randint(0, 3, (4, 6))
    ids = np.array(Image.open(folder / '00.png'))[::8, ::8]
    assert (ids == np.array([2, 1, 0])[drawn]).all()
    assert json.loads((tmp_path / 'meta.json').read_text())['classes'] == ['car', 'road', 'sky']


@pytest.mark.parametrize(
    'values, options, names, ids, says',
    [
        ((0, 255), {}, ['background', 'object'], {0, 1}, '--ignore 255'),
        ((1, 2, 3), {}, ['class 1', 'class 2', 'class 3'], {0, 1, 2}, 'count from 1'),
        ((0, 1, 2), dict(ignore=['0']), ['class 1', 'class 2'], {0, 1, 255}, 'class ids'),
        ((0, 100, 200), {}, None, {0, 1, 2}, 'grey values'),
    ],
)
def test_values(tmp_path: Path, values, options, names, ids, says):
    photos(tmp_path, MASKED + BARE)
    masks(tmp_path, MASKED, values=values)
    run = new_run(tmp_path, **options)
    assert names in (None, run.found.labels.names) and says in str(run)
    written = set().union(*(ids_of(tmp_path / 'masks_ids' / f'{stem}.png') for stem in MASKED))
    assert written == ids


def test_black_is_background_where_there_is_much_of_it(tmp_path: Path):
    photos(tmp_path, ['a', 'b'])
    for stem, colours in (('a', COLOURS[[0, 0, 1]]), ('b', COLOURS[[0, 1, 2]])):
        masks(tmp_path, [stem], values=colours)
    labels = found(tmp_path).labels
    assert labels.names[0] == 'background' and any('--ignore 0' in note for note in labels.notes)
    assert 'background' not in found(tmp_path, ignore=['0']).labels.names


@pytest.mark.parametrize('scale, clear', [(8, True), (2, False)])
def test_smooth_masks_have_their_main_colours(tmp_path: Path, scale: int, clear: bool):
    height, width = 32 * scale, 48 * scale
    (tmp_path / 'masks').mkdir()
    for stem in MASKED:
        sharp = Image.fromarray((255 * blocks(hash_of(stem), 2)).astype(np.uint8))
        large = sharp.resize((width, height), Image.NEAREST).resize((width // 4, height // 4))
        large.resize((width, height), Image.BILINEAR).save(tmp_path / 'masks' / f'{stem}.png')
        save(tmp_path / 'images' / f'{stem}.jpg', np.full((height, width, 3), hash_of(stem) % 256))
    if clear:
        labels = found(tmp_path).labels
        assert labels.names == ['background', 'object'] and 'smooth edges' in labels.notes[0]
    else:
        with pytest.raises(ValueError, match='most frequent are .*--palette'):
            found(tmp_path)
        labels = found(tmp_path, palette=['0', '255']).labels
    assert labels.source == [0, 0xFFFFFF]
    assert 'have a colour of no class' in labels.notes[-1]


@pytest.mark.parametrize(
    'values, options, error',
    [
        ((0,), {}, 'one class only'),
        ((0, 1, 2), dict(classes=['a', 'b']), 'names 2 classes, but masks hold 3'),
        ((0, 1, 2), dict(palette=['7', '9']), 'no pixel has a colour of --palette'),
    ],
)
def test_masks_that_are_refused(tmp_path: Path, values, options, error):
    photos(tmp_path, MASKED)
    masks(tmp_path, MASKED, values=values)
    with pytest.raises(ValueError, match=error):
        new_run(tmp_path, **options)
    assert sorted(path.name for path in tmp_path.iterdir()) == ['images', 'masks']


def test_mask_of_another_size_is_named(tmp_path: Path):
    KINDS['plain_ids'](tmp_path)
    save(tmp_path / 'masks/03.png', np.zeros((8, 8)))
    with pytest.raises(ValueError, match=r'03\.png is 8 high'):
        new_run(tmp_path)


# ---- names and folders


@pytest.mark.parametrize(
    'images, mask, options',
    [
        ('photos/{}.jpg', 'gt/{}_mask.png', {}),
        ('drone photos/{}.jpg', 'some_masks/{}.png', {}),
        ('img_{}.jpg', 'mask_{}.png', {}),
        ('leftImg8bit/train/x/{}_leftImg8bit.png', 'gtFine/train/x/{}_gtFine_labelIds.png', {}),
        ('train/{}.jpg', 'trainannot/{}.png', {}),
        ('a/{}.jpg', 'b/{}.png', {}),
        ('a/{}.jpg', 'b/{}.png', dict(images='a', masks='b')),
        ('images/x/{}.JPG', 'ground_truth/x/{}.tif', {}),
    ],
)
def test_names(tmp_path: Path, images: str, mask: str, options: dict):
    for stem in MASKED + BARE:
        name = Path(images.format(stem))
        photos(tmp_path, [name.stem], str(name.parent), name.suffix)
    for stem in MASKED:
        name = Path(mask.format(stem))
        masks(tmp_path, [name.stem], str(name.parent), name.suffix)
    train = found(tmp_path, **options).train
    assert (len(train.images), len(train.masks)) == (9, 6)
    assert all(MASKED[k] in a and MASKED[k] in b for k, (a, b) in enumerate(train.masks.items()))


@pytest.mark.parametrize(
    'extra, error',
    [
        (('photos', '.jpg'), '--images says which'),
        (('labels', '.png'), '--masks says which'),
        (('masks', '_b.png'), '--suffix'),
    ],
)
def test_several_folders_are_asked_about(tmp_path: Path, extra, error):
    photos(tmp_path, MASKED)
    masks(tmp_path, MASKED, end='_a.png')
    folder, end = extra
    (photos if end == '.jpg' else masks)(tmp_path, MASKED, folder, end)
    with pytest.raises(ValueError, match=error):
        found(tmp_path)


def test_folders_of_parts_beside_images_and_masks(tmp_path: Path):
    for part, stems in (('train', MASKED[:3]), ('val', MASKED[3:])):
        photos(tmp_path, stems, f'img_dir/{part}')
        masks(tmp_path, stems, f'ann_dir/{part}')
        masks(tmp_path, stems, f'other_things/{part}')
    parts = found(tmp_path).parts
    assert {part: matched.images_dir for part, matched in parts.items()} == {
        'train': 'img_dir/train',
        'val': 'img_dir/val',
    }


@pytest.mark.parametrize('number, masked', [(3, 0), (8, 2)])
def test_masks_of_training_images_are_not_those_of_a_test(tmp_path: Path, number: int, masked: int):
    photos(tmp_path, MASKED, 'images/train')
    photos(tmp_path, [f'{k:02}' for k in range(number)], 'images/test')  # numbered anew from 00
    masks(tmp_path, [*MASKED, *[f'{k:02}' for k in range(6, number)]], 'masks/train')
    parts = found(tmp_path).parts
    assert list(parts['train'].masks) == MASKED
    assert list(parts['test'].masks) == ['06', '07'][:masked]


def test_nothing_to_train_on(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match='no image was found'):
        new_run(tmp_path)
    photos(tmp_path, BARE)
    with pytest.raises(FileNotFoundError, match='none of the 3 images .* has a mask: label some'):
        new_run(tmp_path)
    photos(tmp_path, ['cat/x', 'dog/y'])
    with pytest.raises(FileNotFoundError, match='cat, dog are classes, they are tags'):
        new_run(tmp_path)
    with pytest.raises(FileNotFoundError, match='absent does not exist'):
        new_run(tmp_path / 'absent')


def test_volumes_are_sent_to_their_page(tmp_path: Path):
    (tmp_path / 'images').mkdir()
    (tmp_path / 'images/a.nii.gz').write_bytes(b'')
    with pytest.raises(ValueError, match='patient_lists.py make .*docs/guide/volumes.md'):
        new_run(tmp_path)


# ---- lists, and a second run


def test_second_run_replaces_nothing(tmp_path: Path):
    KINDS['binary'](tmp_path)
    first = new_run(tmp_path)
    config = first.configs['ctt-plus']
    config.write_text(config.read_text() + 'log_level = "ERROR"\n')
    content = {path: path.read_bytes() for path in tmp_path.rglob('*.*') if path.is_file()}
    again = str(new_run(tmp_path))
    assert 'ctt-plus.py: is there and is kept' in again and 'supervised.py: is there alr' in again
    assert 'holds the 6 masks' in again
    assert content == {path: path.read_bytes() for path in content}
    with pytest.raises(ValueError, match='another network.*--name'):
        new_run(tmp_path, model='segformer-b0')
    with pytest.raises(ValueError, match='--name NAME makes other lists'):
        new_run(tmp_path, val=3)
    masks(tmp_path, ['06'], 'labels', values=(0, 255))
    assert '1 images with a mask and 0 without' in str(new_run(tmp_path))
    other = new_run(tmp_path, name='more')
    assert other.configs['supervised'] == tmp_path.resolve() / 'runs/more/supervised.py'
    lists = tmp_path / 'splits'
    assert read_list(lists / 'more/val.txt') == read_list(lists / 'mine/val.txt')
    assert '06' in read_list(lists / 'more/labeled.txt')


def test_second_run_of_unlabelled_images_apart(tmp_path: Path):
    KINDS['unlabeled_folder'](tmp_path)
    first = new_run(tmp_path)
    assert 'not in these lists' not in str(new_run(tmp_path))
    assert read_list(tmp_path / 'splits/mine/unlabeled.txt') == BARE
    photos(tmp_path, ['09'], 'unlabeled')
    again = new_run(tmp_path)
    assert '0 images with a mask and 1 without' in str(again)
    assert again.configs == first.configs


def test_images_of_one_name_are_refused(tmp_path: Path):
    KINDS['unlabeled_folder'](tmp_path)
    photos(tmp_path, ['00'], 'unlabeled')
    with pytest.raises(ValueError, match='such as 00, .*: rename the unlabelled ones'):
        new_run(tmp_path)
    (tmp_path / 'unlabeled/00.jpg').unlink()
    (tmp_path / 'labeled.txt').write_text('00\n01\n')
    (tmp_path / 'val.txt').write_text('01\n02\n')
    with pytest.raises(ValueError, match='01 is both in the list labeled and in the list val'):
        new_run(tmp_path)
    assert not (tmp_path / 'splits').exists()


def test_lists_that_exist_are_used(tmp_path: Path):
    KINDS['plain_ids'](tmp_path)
    (tmp_path / 'ImageSets').mkdir()
    (tmp_path / 'ImageSets/train.txt').write_text('00\n01\n06\n07\n')
    (tmp_path / 'ImageSets/val.txt').write_text('02\n03\n')
    new_run(tmp_path)
    mine = tmp_path / 'splits/mine'
    assert read_list(mine / 'labeled.txt') == ['00', '01']
    assert read_list(mine / 'val.txt') == ['02', '03']
    assert read_list(mine / 'unlabeled.txt') == BARE


def test_all_images_labelled(tmp_path: Path):
    photos(tmp_path, MASKED)
    masks(tmp_path, MASKED)
    hidden = tmp_path / 'splits/half/seed0'
    hidden.mkdir(parents=True)
    (hidden / 'labeled.txt').write_text('00\n01\n')
    (hidden / 'unlabeled.txt').write_text('02\n03\n')
    (hidden / 'val.txt').write_text('04\n05\n')
    half = new_run(tmp_path, lists='splits/half/seed0', name='half')
    assert set(half.configs) == {'supervised', 'ctt-plus'}
    assert '2 labelled, 2 unlabelled, 2 for validation' in str(half)
    run = new_run(tmp_path)
    assert 'splits/half/seed0' in str(run)
    assert set(run.configs) == {'supervised'} and 'every image has a mask' in str(run)
    assert 'unlabeled=None' in run.configs['supervised'].read_text()


def test_dry_run_writes_nothing(tmp_path: Path):
    KINDS['colour_masks'](tmp_path)
    before = sorted(tmp_path.rglob('*'))
    run = new_run(tmp_path, 'fixmatch', 'segformer-b0', 96, dry_run=True)
    assert sorted(tmp_path.rglob('*')) == before
    assert "method = 'fixmatch'" in str(run) and 'networks/segformer-b0.py' in str(run)


def test_command(tmp_path: Path, load_tool, capsys):
    KINDS['plain_ids'](tmp_path)
    tool = load_tool('misc/new_run')
    assert tool.exit_code(tmp_path, '--method', 'nothing') == 2
    assert 'is not known; known are' in capsys.readouterr().err
    assert tool.exit_code(tmp_path, '--size', 64, 48, '--val', 2) == 0
    printed = capsys.readouterr().out
    assert 'scale=(64, 48)' in (tmp_path / 'runs/supervised.py').read_text()
    assert '4 labelled, 3 unlabelled, 2 for validation' in printed
    assert [
        line.split('/')[-1].split('.py')[0] for line in printed.split('next:')[1].split('python ')
    ]
