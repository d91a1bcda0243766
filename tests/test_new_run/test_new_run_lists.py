# Copyright (c) mmseg_ctt contributors.
"""Images for validation of several runs of a folder, and lists that leave none to learn from."""

import shlex
from pathlib import Path

import numpy as np
import pytest
from toy_folders import BARE, KINDS, MASKED, blocks, hash_of, masks, name_classes, photos, save

from mmseg_ctt.datasets.lists import read_list
from mmseg_ctt.lab.new_run import new_run


def lists_of(root: Path, name: str) -> dict:
    return {path.stem: read_list(path) for path in (root / f'splits/{name}').glob('*.txt')}


def test_a_name_keeps_the_images_for_validation(tmp_path: Path):
    """In whatever way the list writes them."""
    KINDS['plain_ids'](tmp_path)
    new_run(tmp_path, val=2)
    path = tmp_path / 'splits/mine/val.txt'
    val = read_list(path)
    path.write_text('\ufeff' + ''.join(f'{stem}.JPG  \n' for stem in val), encoding='utf-8')
    new_run(tmp_path, name='b')
    assert lists_of(tmp_path, 'b')['val'] == val
    path.write_text('absent\n')
    with pytest.raises(FileNotFoundError, match='1 images listed in .*val.txt are not in .*absent'):
        new_run(tmp_path, name='c')
    path.write_text(f'{BARE[0]}\n')
    with pytest.raises(ValueError, match='val.txt names 1 images that have no mask, such as 06'):
        new_run(tmp_path, name='c')
    assert not (tmp_path / 'splits/c').exists()


@pytest.mark.parametrize('stem', ['07 ', ' 07'])
def test_a_name_that_a_list_cannot_hold_is_refused_before_anything_is_written(tmp_path, stem):
    KINDS['colour_masks'](tmp_path)  # they would be converted
    photos(tmp_path, [stem])
    before = sorted(tmp_path.rglob('*'))
    with pytest.raises(ValueError, match=f"splits/mine cannot list the image '{stem}'.*rename it"):
        new_run(tmp_path)
    assert sorted(tmp_path.rglob('*')) == before


@pytest.mark.parametrize('name', ['train.txt', 'labeled.txt'])
def test_lists_that_leave_nothing_to_learn_from(tmp_path: Path, name: str):
    KINDS['plain_ids'](tmp_path)
    (tmp_path / name).write_text(f'{BARE[0]}\n' if name == 'train.txt' else '\n')
    with pytest.raises(ValueError, match=f'{name} leaves no image with a mask .*--name NAME'):
        new_run(tmp_path)
    (tmp_path / name).unlink()
    (tmp_path / 'test.txt').write_text(''.join(f'{stem}\n' for stem in MASKED))
    with pytest.raises(ValueError, match='all 6 images with a mask are on a test list'):
        new_run(tmp_path)
    assert not (tmp_path / 'splits').exists()


def test_masks_are_hidden_as_the_report_says(tmp_path: Path, load_tool):
    stems = [f'{k:02}' for k in range(12)]
    photos(tmp_path, stems)
    masks(tmp_path, stems, end='_GT.png')
    name_classes(tmp_path)
    first = new_run(tmp_path)
    val = lists_of(tmp_path, 'mine')['val']
    (line,) = (line for line in first.lines if 'hide some masks' in line)
    hide, use = (part.split(maxsplit=1) for part in line.split('python tools/')[1:])
    words = shlex.split(hide[1][: -len(', then ')])
    load_tool('dataset_converters/make_split').call(*words)
    load_tool('misc/new_run').call(*shlex.split(use[1]))
    made = lists_of(tmp_path, 'quarter')
    assert made['val'] == val and len(made['labeled']) == 3 and len(made['unlabeled']) == 7
    assert (tmp_path / 'runs/quarter/ctt-plus.py').is_file()
    load_tool('misc/new_run').call(*shlex.split(use[1]))


def test_lists_without_images_for_validation(tmp_path: Path):
    """They are those of the usual run, taken off the lists, or drawn of them."""
    photos(tmp_path, MASKED + BARE)
    masks(tmp_path, MASKED + BARE)
    new_run(tmp_path, val=2)
    val = lists_of(tmp_path, 'mine')['val']
    folder = tmp_path / 'splits/half'
    folder.mkdir()
    (folder / 'labeled.txt').write_text(''.join(f'{stem}\n' for stem in MASKED))
    (folder / 'unlabeled.txt').write_text(''.join(f'{stem}\n' for stem in BARE))
    for _ in range(2):
        run = new_run(tmp_path, lists='splits/half', name='b')
        assert any('of splits/mine; 2 images of it are taken off' in line for line in run.lines)
    made = lists_of(tmp_path, 'b')
    assert made['val'] == val and sorted(sum(made.values(), [])) == MASKED + BARE
    for _ in range(2):
        new_run(tmp_path, lists='splits/half', name='c', val=3, seed=1)
    drawn = lists_of(tmp_path, 'c')
    assert len(drawn['val']) == 3 and set(drawn['val']) < set(MASKED)
    assert drawn['unlabeled'] == BARE
    with pytest.raises(ValueError, match='--seed 1 .* --val N draws them of these lists'):
        new_run(tmp_path, lists='splits/half', name='d', seed=1)


def test_new_images_of_a_validation_folder_are_named(tmp_path: Path):
    KINDS['val_folder'](tmp_path)
    new_run(tmp_path)
    photos(tmp_path, ['09'], 'val/images')
    masks(tmp_path, ['09'], 'val/masks')
    note = '1 images of val are not in splits/mine/val_folder.txt, such as 09, and are not used'
    lines = new_run(tmp_path).lines
    assert any(line.startswith(note) for line in lines)
    assert any('labelled, 3 unlabelled, 2 for validation' in line for line in lines)
    path = tmp_path / 'splits/mine/val_folder.txt'
    path.write_text(path.read_text() + '09\n')
    lines = new_run(tmp_path).lines
    assert not any('not in splits/mine' in line for line in lines)
    assert any('3 for validation' in line for line in lines)


def test_masks_without_a_label_are_named(tmp_path: Path):
    KINDS['plain_ids'](tmp_path)
    save(tmp_path / 'masks/03.png', np.full((32, 48), 255))
    line = 'WARNING: 1 masks in masks have no labelled pixel, such as masks/03.png'
    assert any(text.startswith(line) for text in new_run(tmp_path).lines)


def test_scenes_are_kept_whole(tmp_path: Path):
    stems = [f'{scene}_r000000_c{32 * k:06d}' for scene in 'abc' for k in range(3)]
    bare = [f'{scene}_r000032_c000000' for scene in 'abc']
    photos(tmp_path, stems + bare)
    for stem in stems:
        save(tmp_path / f'masks/{stem}.png', blocks(hash_of(stem), 3))
    for _ in range(2):
        lines = new_run(tmp_path, val=2).lines
    made = lists_of(tmp_path, 'mine')
    (scene,) = {stem[0] for stem in made['val']}
    assert len(made['val']) == 3 and len(made['unlabeled']) == 2
    assert not any(stem.startswith(scene) for stem in made['labeled'] + made['unlabeled'])
    assert any(f'share pixels: {scene}' in line for line in lines)
    assert not any('are not in these lists' in line for line in lines)
