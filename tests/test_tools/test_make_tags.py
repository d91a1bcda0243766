# Copyright (c) mmseg_ctt contributors.
import json

import pytest
from tag_folders import make_image, make_mask, names, tagged

TAGS = {'a': ['cow'], 'b': [], 's/c': ['cow', 'grass']}


@pytest.fixture
def tool(load_tool):
    return load_tool('weak/make_tags')


@pytest.fixture
def folder(tmp_path):
    """Images, and masks in which 255 is ignored; one class has two pixels or one."""
    for stem, ids in (('a', [1, 1, 2]), ('b', [0, 0]), ('s/c', [1, 1, 2, 2])):
        make_mask(tmp_path / 'ann' / f'{stem}.png', ids)
        make_image(tmp_path / 'img' / f'{stem}.jpg')
    (tmp_path / 'meta.json').write_text('{"classes": ["background", "cow", "grass", "sky"]}')
    return tmp_path


def test_masks(folder, tool, capsys):
    out = folder / 'new' / 'tags.json'
    tool.call('masks', folder / 'ann', '--out', out, '--min-pixels', 2)
    assert json.loads(out.read_text()) == TAGS and len(out.read_text().splitlines()) == 5
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == f'3 images: {out}'
    assert {'(no tag): 1 images', 'cow: 2 images', 'grass: 1 images'} == set(lines[:-1])
    classes = dict(metainfo=dict(classes=('background', 'cow', 'grass')))
    assert names(tagged(folder, str(out), **classes)) == TAGS  # as the data set reads it


def test_a_file_that_exists_is_kept(folder, tool, capsys):
    (folder / 'tags.json').write_text('{}')
    for arguments in (('masks', folder / 'ann'), ('folders', folder / 'img')):
        assert tool.exit_code(*arguments, '--out', folder / 'tags.json') == 2
        assert 'tags.json exists, and is not changed' in capsys.readouterr().err
    assert (folder / 'tags.json').read_text() == '{}'


def test_folders(tmp_path, tool):
    for name, colour in (('cow/x', 1), ('grass/x', 1), ('cow/y', 2), ('background/z', 3)):
        make_image(tmp_path / 'img' / f'{name}.jpg', colour)
    tool.call('folders', tmp_path / 'img', '--out', tmp_path / 't.json')
    expected = {'background/z': [], 'cow/x': ['cow', 'grass'], 'cow/y': ['cow']}
    assert names(tagged(tmp_path, 'folders')) == expected
    expected['grass/x'] = expected['cow/x']  # a copy: a file of tags needs an entry for each file
    assert json.loads((tmp_path / 't.json').read_text()) == expected
    assert names(tagged(tmp_path, 't.json')) == expected


def test_compare(folder, tool, capsys):
    tags = folder / 'tags.json'
    tags.write_text(json.dumps({**TAGS, 'a': ['sky', 'cow'], 'x': ['cow']}))
    tool.call('compare', folder / 'ann', tags, '--min-pixels', 2)
    out = capsys.readouterr().out
    assert '| cow | 2 | 0 | 0 |' in out and '| sky | 0 | 1 | 0 |' in out
    assert 'tags and masks of 1 of 3 images differ, such as a (sky: 1 tagged without a' in out
    tool.call('compare', folder / 'ann', tags)
    assert 'grass: 1 with pixels and no tag' in capsys.readouterr().out
    tags.write_text(json.dumps(TAGS))
    tool.call('compare', folder / 'ann', tags, '--min-pixels', 2)
    assert 'tags and masks of all 3 images agree' in capsys.readouterr().out


@pytest.mark.parametrize(
    'arguments,message',
    [
        (('masks', 'img/s', '--out', 't'), 'names of the classes are needed'),
        (('masks', 'none', '--out', 't', '--meta', 'meta.json'), 'folder none does not exist'),
        (('masks', 'ann', '--out', 't', '--min-pixels', 0), 'min_pixels must be positive'),
        (('masks', 'ann', '--out', 't', '--suffix', '_x.png'), 'no file in ann ends in _x.png'),
        (('folders', 'img', '--out', 't'), 'is in no folder of a class'),
        (('folders', 'empty', '--out', 't'), 'no image was found in empty'),
        (('compare', 'ann', 'tags.txt'), 'tags.txt does not exist'),
    ],
)
def test_mistakes(folder, tool, capsys, monkeypatch, arguments, message):
    (folder / 'empty').mkdir()
    monkeypatch.chdir(folder)
    assert tool.exit_code(*arguments) == 2
    err = capsys.readouterr().err
    assert message in err and len(err.strip().splitlines()) == 1
    assert not (folder / 't').exists()
