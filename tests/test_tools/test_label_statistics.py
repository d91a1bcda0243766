# Copyright (c) mmseg_ctt contributors.
import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from toy_data import (
    CLASSES,
    LABELED,
    SPLIT,
    UNLABELED,
    toy_config,
    toy_method,
    toy_set,
    write_toy_data,
)


@pytest.fixture
def tool(load_tool):
    return load_tool('analysis_tools/label_statistics')


def write(path: Path, rows) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.array(rows, np.uint8)).save(path)


@pytest.fixture
def folder(tmp_path):
    """Pixels 6, 2 and 0 of three classes; class 1 in the second image only; 2 pixels ignored."""
    write(tmp_path / 'masks' / 'a.png', [[0, 0], [0, 255]])
    write(tmp_path / 'masks' / 'below' / 'b.png', [[0, 0, 0], [1, 1, 255]])
    (tmp_path / 'meta.json').write_text(json.dumps(dict(classes=['x', 'y', 'z'])))
    return tmp_path


def test_figures_go_to_a_device(folder, tool):
    """It keeps nothing that would be replaced."""
    tool.call(folder, '--json', '/dev/null')
    assert Path('/dev/null').is_char_device()
    (folder / 's.json').touch()
    with pytest.raises(ValueError, match='s.json exists: give another name'):
        tool.call(folder, '--json', folder / 's.json')


def test_figures(folder, tool, capsys):
    tool.call(folder, '--json', folder / 'out' / 's.json')
    made = json.loads((folder / 'out' / 's.json').read_text())
    assert (made['images'], made['pixels'], made['ignored']) == (2, 10, pytest.approx(0.2))
    x, y, z = made['classes']
    assert [x['pixels'], y['pixels'], z['pixels']] == [6, 2, 0]
    assert [x['images'], y['images'], z['images']] == [2, 1, 0]
    assert [x['share'], y['share'], z['share']] == [0.75, 0.25, 0]
    # total / (classes seen * pixels); frequencies 6 of 10 and 2 of 6 pixels, median 14/30
    assert [x['inverse'], y['inverse'], z['inverse']] == pytest.approx([8 / 12, 2, 0], abs=1e-4)
    assert [x['median'], y['median'], z['median']] == pytest.approx(
        [14 / 30 / 0.6, 14 / 30 * 3, 0], abs=1e-4
    )
    assert [one['enet'] for one in (x, y, z)] == pytest.approx(
        [1 / math.log(1.02 + share) for share in (0.75, 0.25, 0)], abs=1e-4
    )
    printed = capsys.readouterr().out
    assert '| 1 | y | 2 | 25.000% | 1 | 2.000 |' in printed
    assert 'inverse: `class_weight=[0.6667, 2, 0]`' in printed
    assert printed.endswith('Without pixels: z.\n')


def test_files_are_not_replaced(folder, tool):
    text = (folder / 'meta.json').read_text()
    for more in ((), ('--images',)):
        with pytest.raises(ValueError, match='meta.json exists: give another name'):
            tool.call(folder, '--json', folder / 'meta.json', *more)
    assert (folder / 'meta.json').read_text() == text


def test_folder_without_names(folder, tool, capsys):
    (folder / 'meta.json').unlink()
    tool.call(folder / 'masks')
    printed = capsys.readouterr().out
    assert '| 1 | class 1 | 2 |' in printed and 'class 2' not in printed
    tool.call(folder / 'masks', '--num-classes', 4)
    assert '| 3 | class 3 | 0 |' in capsys.readouterr().out


def reference(folder, stems):
    maps = [np.array(Image.open(folder / f'{stem}.png')) for stem in stems]
    return [sum(int((ids == k).sum()) for ids in maps) for k in range(len(CLASSES))]


@pytest.mark.parametrize('which', ['labeled', 'test', 'coarse'])
def test_sets_of_a_config(tmp_path, tool, which):
    """The labelled training images are those of the split's list."""
    root = write_toy_data(tmp_path / 'data')
    cfg = toy_config(root, tmp_path / 'work')
    (root / cfg.train_dataloader.dataset.split / 'labeled.txt').write_text('l0\nl2\n')
    cfg.test_dataloader.dataset.ann_file = ''
    cfg.test_dataloader.dataset.data_prefix.img_path = 'labelled'
    for stem in LABELED:
        (root / 'labelled').mkdir(exist_ok=True)
        (root / 'labelled' / f'{stem}.jpg').write_bytes((root / 'img' / f'{stem}.jpg').read_bytes())
    cfg.train_dataloader.dataset.coarse = toy_set(root, True, ann_file=f'{SPLIT}/labeled.txt')
    cfg.dump(tmp_path / 'toy.py')
    tool.call(tmp_path / 'toy.py', '--set', which, '--json', tmp_path / 's.json')
    made = json.loads((tmp_path / 's.json').read_text())
    stems = LABELED if which == 'test' else ('l0', 'l2')
    assert [row['pixels'] for row in made['classes']] == reference(root / 'ann', stems)
    assert [row['class'] for row in made['classes']] == list(CLASSES)
    with pytest.raises(ValueError, match='train_dataloader.dataset.fine is missing'):
        tool.call(tmp_path / 'toy.py', '--set', 'fine')


@pytest.mark.parametrize(
    'mask, expected', [('plain', [1, 2, 1]), ('map', [2, 1, 0]), ('zero', [2, 1, 0])]
)
def test_how_ids_are_read(tmp_path, tool, mask, expected):
    write(tmp_path / 'a.png', [[0, 1], [1, 2]])
    path = str(tmp_path / 'a.png')
    Mask = tool.module.Mask
    ids = dict(map=dict(label_map={0: 1, 1: 0, 2: 255}), zero=dict(reduce_zero_label=True))
    read = Mask(path, ids.get(mask, {}))
    assert tool.module.count([read], 3, ignore_index=255).pixels.tolist() == [expected]


@pytest.mark.parametrize(
    'spoil, arguments, words',
    [
        (None, ['absent'], 'no config or folder absent exists'),
        ('empty', [], 'no mask was found'),
        ('wrong id', [], 'a.png holds ids outside 0..2'),
        (None, ['--num-classes', '2'], '--num-classes 2, but'),
    ],
)
def test_errors(folder, tool, spoil, arguments, words):
    if spoil == 'empty':
        for path in (folder / 'masks').rglob('*.png'):
            path.unlink()
    if spoil == 'wrong id':
        write(folder / 'masks' / 'a.png', [[9]])
    given = [] if arguments[:1] == ['absent'] else [folder]
    with pytest.raises((ValueError, FileNotFoundError), match=words):
        tool.call(*given, *arguments)


def test_names_of_masks(folder, tool, capsys):
    for path in list((folder / 'masks').rglob('*.png')):
        path.rename(path.with_name(f'{path.stem}_GT.PNG'))
    tool.call(folder)
    assert '2 label maps' in capsys.readouterr().out
    write(folder / 'masks' / 'photo.png', np.full((2, 2, 3), 99))
    tool.call(folder, '--suffix', '_GT.png')
    assert '2 label maps' in capsys.readouterr().out


def test_tags_of_a_config(tmp_path, tool, capsys):
    root = write_toy_data(tmp_path / 'data')
    tags = {stem: ['class1'] for stem in LABELED}
    tags.update({stem: [] for stem in UNLABELED})
    (root / 'tags.json').write_text(json.dumps(tags))
    cfg = toy_config(root, tmp_path / 'work', model=toy_method('ClassActivationMaps'))
    (root / 'tags.json').write_text(json.dumps(tags))
    cfg.dump(tmp_path / 'toy.py')
    tool.call(tmp_path / 'toy.py', '--set', 'tagged', '--json', tmp_path / 's.json')
    out = capsys.readouterr().out
    assert '6 images, 0.50 tags an image, 3 images without any' in out
    assert '| 1 | class1 | 3 | 50.00% |' in out and 'class0' not in out
    assert 'Without images: class2, class3.' in out
    assert json.loads((tmp_path / 's.json').read_text())['untagged'] == 3
    for option in ('--num-classes', '--ignore-index'):
        with pytest.raises(ValueError, match=f'{option} would be unused, as the set tagged has'):
            tool.call(tmp_path / 'toy.py', '--set', 'tagged', option, 9)
