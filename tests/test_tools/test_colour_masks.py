# Copyright (c) mmseg_ctt contributors.
import json

import numpy as np
import pytest
from PIL import Image

from mmseg_ctt.datasets.colour_masks import ColourMask, found_palette

ROAD, SKY, CAR = (128, 64, 128), (70, 130, 180), (0, 0, 142)


@pytest.fixture
def main(load_tool):
    return load_tool('dataset_converters/colour_masks').exit_code


@pytest.fixture
def masks(tmp_path):
    """Write masks whose rows have the given colours, in ``colour/a.png`` and ``colour/s/b.png``."""

    def write(*colours, mode='RGB', names=('a.png', 's/b.png'), **options):
        for name in names:
            path = tmp_path / 'colour' / name
            path.parent.mkdir(parents=True, exist_ok=True)
            rows = np.array(colours, np.uint8)[:, None].repeat(6, 1)
            Image.fromarray(rows).convert(mode).save(path, **options)
        return [tmp_path / 'colour', tmp_path / 'ids']

    return write


def meta(tmp_path, classes=('road', 'sky'), palette=(ROAD, SKY)):
    text = json.dumps(dict(classes=classes, **(dict(palette=palette) if palette else {})))
    (tmp_path / 'meta.json').write_text(text)


def rows(path):
    ids = np.array(Image.open(path))
    assert ids.dtype == np.uint8 and ids.ndim == 2 and (ids == ids[:, :1]).all()
    return ids[:, 0].tolist()


def error_of(capsys):
    line = capsys.readouterr().err
    assert line.startswith('error: ') and line.count('\n') == 1
    return line


@pytest.mark.parametrize('mode', ['RGB', 'RGBA', 'P'])
def test_palette_of_meta(main, masks, tmp_path, capsys, mode):
    meta(tmp_path)
    before = masks(SKY, ROAD, (0, 0, 0), (9, 9, 9), SKY, mode=mode)
    content = (tmp_path / 'colour/a.png').read_bytes()
    if mode == 'P':
        for path in (tmp_path / 'colour').rglob('*.png'):
            image = Image.fromarray(np.array([[1], [0], [2], [3], [1]], np.uint8).repeat(6, 1), 'P')
            image.putpalette([*ROAD, *SKY, 0, 0, 0, 9, 9, 9])
            image.save(path)
        content = (tmp_path / 'colour/a.png').read_bytes()
    assert main(*before) == 0
    for name in ('a.png', 's/b.png'):
        assert rows(tmp_path / 'ids' / name) == [1, 0, 255, 255, 1]
    assert (tmp_path / 'colour/a.png').read_bytes() == content
    printed = capsys.readouterr().out
    assert '2 masks of class ids, palette of' in printed
    assert 'classes: 0 road 20.0%, 1 sky 40.0%' in printed
    assert 'ignored (255): black 20.0%, other 20.00%' in printed
    assert '1 colours are no class, such as 9; pixels in 2 masks: a.png 6, s/b.png 6' in printed
    assert len(printed.splitlines()) == 4


def test_black_is_a_class_where_the_palette_has_it(main, masks, tmp_path, capsys):
    meta(tmp_path, ('background', 'car'), ((0, 0, 0), CAR))
    assert main(*masks(CAR, (0, 0, 0))) == 0
    assert rows(tmp_path / 'ids/a.png') == [1, 0]
    assert 'ignored (255): black 0.0%' in capsys.readouterr().out


def test_found_palette_becomes_a_meta_json(main, masks, tmp_path, capsys):
    folders = masks(SKY, SKY, SKY, ROAD, ROAD, (0, 0, 0))
    assert main(*folders) == 0
    assert rows(tmp_path / 'ids/s/b.png') == [0, 0, 0, 1, 1, 255]
    made = json.loads((tmp_path / 'meta.json').read_text())
    assert made == dict(
        classes=['colour 70,130,180', 'colour 128,64,128'], palette=[list(SKY), list(ROAD)]
    )
    assert 'meta.json: written' in capsys.readouterr().out
    # Run again with fewer pixels of the first: the palette of the file decides.
    (tmp_path / 'meta.json').write_text(json.dumps(dict(made, classes=['sky', 'road'])))
    folders = masks(SKY, ROAD, ROAD, ROAD)
    assert main(*folders, '--overwrite') == 0
    assert rows(tmp_path / 'ids/a.png') == [0, 1, 1, 1]
    assert json.loads((tmp_path / 'meta.json').read_text())['classes'] == ['sky', 'road']


@pytest.mark.parametrize('mode', ['L', 'RGB', '1'])
def test_binary_masks(main, masks, tmp_path, mode):
    folders = masks((255, 255, 255), (0, 0, 0), mode=mode)
    assert main(*folders) == 0
    assert rows(tmp_path / 'ids/a.png') == [1, 0]
    meta(tmp_path, ('background', 'tumour'), None)
    assert main(*folders, '--overwrite') == 0 and rows(tmp_path / 'ids/a.png') == [1, 0]


def test_grey_values_by_palette(main, masks, tmp_path, capsys):
    folders = masks((200, 200, 200), (0, 0, 0), (100, 100, 100), (7, 7, 7), mode='L')
    assert main(*folders, '--palette', 0, 100, 200) == 0
    assert rows(tmp_path / 'ids/a.png') == [2, 0, 1, 255]
    assert '2 value 200 25.0%' in capsys.readouterr().out


def test_names_of_masks(main, masks, tmp_path):
    folders = masks(SKY, ROAD, names=('a_GT.PNG', 's/b_gt.png', 'c.png'))
    assert main(*folders, '--suffix', '_GT.png', '--palette', '128,64,128', '70,130,180') == 0
    assert sorted(path.name for path in (tmp_path / 'ids').rglob('*.*')) == ['a.png', 'b.png']
    assert rows(tmp_path / 'ids/s/b.png') == [1, 0]


def test_nothing_is_overwritten(main, masks, tmp_path, capsys):
    folders = masks(SKY, ROAD)
    options = ('--palette', '128,64,128', '70,130,180')
    for out in (folders[0], folders[0] / 'ids', tmp_path):
        assert main(folders[0], out, *options, '--overwrite') == 2
        assert 'write to a folder beside it' in error_of(capsys)
    assert main(*folders, *options) == 0
    (tmp_path / 'ids/a.png').write_bytes(b'mine')
    assert main(*folders, *options) == 2
    assert '2 of these masks, such as a.png' in error_of(capsys)
    assert (tmp_path / 'ids/a.png').read_bytes() == b'mine'
    assert main(*folders, *options, '--overwrite') == 0 and rows(tmp_path / 'ids/a.png') == [1, 0]


def test_user_errors(main, masks, tmp_path, capsys):
    folders = masks(SKY, ROAD)
    meta(tmp_path, palette=None)
    assert main(*folders) == 2
    line = error_of(capsys)
    assert 'has no "palette"' in line and '70,130,180' in line and '128,64,128' in line
    for palette, words in (
        (['1,2'], "'1,2' is no colour"),
        (['300', '0'], "'300' is no colour"),
        (['0', '0,0,0'], 'the colour 0 to two classes'),
        (['0', '1', '2'], 'names 2 classes, the palette of --palette has 3'),
        (['5', '6'], 'no pixel of'),
    ):
        assert main(*folders, '--palette', *palette) == 2
        assert words in error_of(capsys)
    meta(tmp_path, palette=((1, 2), (3, 4)))
    assert main(*folders) == 2 and 'is no colour' in error_of(capsys)
    assert main(tmp_path / 'none', folders[1]) == 2 and 'does not exist' in error_of(capsys)
    assert main(*folders, '--suffix', '.bmp') == 2 and 'no mask was found' in error_of(capsys)
    assert not (tmp_path / 'ids').exists()


@pytest.mark.parametrize(
    'array, words',
    [
        (np.array([[0, 1], [2, 255]], np.uint8), 'hold ids of classes already'),
        (np.array([[0, 300]], np.uint16), '8 bits'),
        (np.arange(300 * 3).reshape(1, 300, 3).astype(np.uint8), 'cannot all be classes'),
    ],
)
def test_masks_that_are_not_converted(main, tmp_path, capsys, array, words):
    (tmp_path / 'colour').mkdir()
    Image.fromarray(array).save(tmp_path / 'colour/a.png')
    assert main(tmp_path / 'colour', tmp_path / 'ids') == 2
    assert words in error_of(capsys)
    assert not (tmp_path / 'ids').exists() and not (tmp_path / 'meta.json').exists()


def test_broken_mask_is_named_before_anything_is_written(main, masks, tmp_path, capsys):
    folders = masks(SKY, ROAD)
    (tmp_path / 'colour/z.png').write_bytes(b'text')
    assert main(*folders, '--palette', '128,64,128', '70,130,180') == 2
    assert 'colour/z.png cannot be read' in error_of(capsys)
    assert not (tmp_path / 'ids').exists()


def test_converted_masks_are_split(main, masks, tmp_path, load_tool):
    folders = masks(SKY, ROAD, names=('a.png', 'b.png', 's/c.png'))
    for name in ('a', 'b', 's/c', 'd'):
        path = tmp_path / 'images' / f'{name}.jpg'
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new('RGB', (6, 2)).save(path)
    assert main(*folders) == 0
    split = load_tool('dataset_converters/make_split').exit_code
    command = ('masks', '--img-dir', tmp_path / 'images', '--out', tmp_path / 'splits/mine')
    assert split(*command, '--ann-dir', folders[0]) == 2
    assert split(*command, '--ann-dir', folders[1], '--val', 1) == 0


def test_colours_of_jpeg_are_no_classes():
    """They are changed ones, however few."""
    pixels = {0: 90, 0x646464: 40, 0x636363: 3, 0xC8C8C8: 20}
    assert len(found_palette([ColourMask('a.png', 'L', pixels)])) == 3
    with pytest.raises(ValueError, match='JPEG .*--palette'):
        found_palette([ColourMask('a.JPG', 'L', pixels)])
    assert found_palette([ColourMask('a.jpg', 'L', {0: 5, 0xFFFFFF: 5})]) == [0, 0xFFFFFF]
