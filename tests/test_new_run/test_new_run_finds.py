# Copyright (c) mmseg_ctt contributors.
"""What new_run finds in folders, what it refuses, and what it leaves alone."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from toy_folders import BARE, COLOURS, KINDS, MASKED, blocks, hash_of, masks, photos, save

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


LABELMAP = 'sky:0,0,0::\nroad:128,64,128::\ncar:0,0,142::\n'


def test_names_by_labelmap(tmp_path: Path):
    KINDS['colour_masks'](tmp_path)
    bare = str(new_run(tmp_path, dry_run=True))
    assert 'names: labelmap.txt in the folder, with a line name:red,green,blue::' in bare
    (tmp_path / 'labelmap.txt').write_text('# label:color_rgb:parts:actions\n' + LABELMAP)
    shown = str(new_run(tmp_path))
    assert 'names: ' not in shown and '1 road ' in shown
    assert 'meta.json: written\n' in shown, 'names are there'
    meta = json.loads((tmp_path / 'meta.json').read_text())
    assert meta['classes'] == ['sky', 'road', 'car'] and meta['palette'] == COLOURS.tolist()
    assert 'labelmap.txt is not read' not in str(new_run(tmp_path))
    (tmp_path / 'labelmap.txt').write_text(LABELMAP.replace('car', 'bus'))
    assert 'labelmap.txt is not read: meta.json names the classes' in str(new_run(tmp_path))


@pytest.mark.parametrize(
    'name, text, words',
    [
        ('_classes.csv', 'Pixel Value, Class\nbg, x\n1, y\n', ", line 2: 'bg' is no id"),
        ('_classes.csv', 'Pixel Value, Class\n0, x\n0, y\n', ", line 3: '0' is no id, or one that"),
        ('_classes.csv', 'Pixel Value, Class\n0, x\n2, y\n', ': ids must be 0, 1, 2'),
        ('labelmap.txt', '# a\nbg:0,0,0::\ncar:0,0,300::\n', ", line 3: 'car:0,0,300::' is not"),
        ('labelmap.txt', 'bg:0,0,-1::\n', ', line 1: '),
        ('labelmap.txt', 'bg:0,0,0::\ncar:0,30::\n', ', line 2: '),
        ('labelmap.txt', 'bg:0,0,0,9::\n', ', line 1: '),
        ('labelmap.txt', 'bg\n', ', line 1: '),
        ('labelmap.txt', 'bg:1,2,3::\ncar:1,2,3::\n', ''),
    ],
)
def test_a_malformed_file_of_names(tmp_path: Path, name: str, text: str, words: str):
    KINDS['colour_masks'](tmp_path)
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError) as error:
        new_run(tmp_path)
    assert str(error.value).startswith(f'{tmp_path / name}{words}')
    assert not words.startswith((', line', ': ids')) or '--classes' in str(error.value)


def test_names_by_a_csv(tmp_path: Path):
    KINDS['no_meta'](tmp_path)
    (tmp_path / '_classes.csv').write_text('Pixel Value, Class\n1, road\n0, sky\n\n2, "car, old"\n')
    new_run(tmp_path)
    meta = json.loads((tmp_path / 'meta.json').read_text())
    assert meta['classes'] == ['sky', 'road', 'car, old']


def test_names_are_asked_for_where_none_are_known(tmp_path: Path):
    KINDS['no_meta'](tmp_path)
    asked = 'meta.json: written; give the classes their names there'
    assert asked in str(new_run(tmp_path))
    (tmp_path / 'meta.json').unlink()
    given = str(new_run(tmp_path, classes=['sky', 'road', 'car']))
    assert 'meta.json: written' in given and asked not in given


@pytest.mark.parametrize(
    'values, words',
    [
        ((0, 255), '255 is taken as the object (--ignore 255'),
        ([[0, 0, 0], [0, 128, 0]], 'class background (--ignore 0'),
    ],
)
def test_a_guess_is_the_last_line_before_the_commands(tmp_path: Path, values, words):
    photos(tmp_path, MASKED + BARE)
    masks(tmp_path, MASKED, values=np.array(values, np.uint8))
    lines = str(new_run(tmp_path)).partition('\nnext:')[0].splitlines()
    assert lines[-1].startswith('GUESS: ') and lines[-1][len('GUESS: ') :] in lines
    assert words in lines[-1]


@pytest.mark.parametrize('mode, clear', [('RGBA', True), ('RGBA', False), ('LA', True)])
def test_alpha_of_masks_is_named(tmp_path: Path, mode: str, clear: bool):
    photos(tmp_path, MASKED + BARE)
    masks(tmp_path, MASKED, values=COLOURS if mode == 'RGBA' else (0, 120, 250))
    hidden = 0
    for stem in MASKED:
        path = tmp_path / 'masks' / f'{stem}.png'
        image = Image.open(path)
        ids = blocks(hash_of(stem), 3)
        alpha = np.where((ids == 1) & clear, 0, 255).astype(np.uint8)
        hidden += int((alpha == 0).sum())
        image = image.convert('RGB' if mode == 'RGBA' else 'L')
        image.putalpha(Image.fromarray(alpha))
        assert image.mode == mode
        image.save(path)
    colour = '128,64,128' if mode == 'RGBA' else '120'
    line = (
        f'WARNING: {hidden} pixels of 6 masks, such as masks/00.png, are transparent: alpha is not '
        f'read, and they count as their colours {colour};'
    )
    found_lines = found(tmp_path).lines()
    assert any(text.startswith(line) for text in found_lines) == clear
    assert any('transparent' in text for text in found_lines) == clear


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


@pytest.mark.parametrize('quality', [50, 95, 100])
def test_jpeg_masks_have_few_colours(tmp_path: Path, quality: int):
    """Also those of a high quality, whose colours are few enough to be taken for classes."""
    y, x = np.mgrid[:80, :96]
    drawn = np.where((y - 40) ** 2 + (x - 30) ** 2 < 400, 100, 0)
    drawn[(y - 30) ** 2 + (x - 70) ** 2 < 300] = 200
    (tmp_path / 'masks').mkdir()
    for stem in MASKED + BARE:
        save(tmp_path / 'images' / f'{stem}.jpg', np.full((80, 96, 3), hash_of(stem) % 256))
    for stem in MASKED:
        mask = Image.fromarray(drawn.astype(np.uint8))
        mask.save(tmp_path / 'masks' / f'{stem}.jpg', quality=quality)
    run = new_run(tmp_path)
    names = ['background', 'value 100', 'value 200']
    assert run.found.labels.names == names
    assert ids_of(tmp_path / 'masks_ids/00.png') == {0, 1, 2, 255}
    assert found(tmp_path).labels.source == run.found.labels.source


@pytest.mark.parametrize('palette', [None, ['0', '90', '128']])
@pytest.mark.parametrize('mode', ['L', 'LA', 'RGB', 'P', 'mixed'])
def test_classes_without_names(tmp_path: Path, mode: str, palette):
    """A grey mask has values, any other colours, also where a colour is grey."""
    photos(tmp_path, MASKED)
    masks(tmp_path, MASKED, values=(0, 90, 128))
    for path in sorted(tmp_path.glob('masks/*.png'))[: 1 if mode == 'mixed' else None]:
        Image.open(path).convert('RGB' if mode == 'mixed' else mode).save(path)
    labels = found(tmp_path, palette=palette).labels
    grey = mode in ('L', 'LA')
    names = ['value 128', 'value 90'] if grey else ['colour 128,128,128', 'colour 90,90,90']
    assert {*names} < {*labels.names} and labels.unnamed


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
