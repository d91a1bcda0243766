# Copyright (c) mmseg_ctt contributors.
"""Masks that are corrected, drawn or removed after new_run has made class ids of them."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from toy_folders import BARE, KINDS, MASKED, masks

from mmseg_ctt.datasets import FolderSegDataset
from mmseg_ctt.datasets.checks import check_files
from mmseg_ctt.datasets.label_check import read_mask
from mmseg_ctt.datasets.sources import build_source
from mmseg_ctt.lab.new_run import new_run

IDS = 'labels_ids'


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Masks of 0 and 255 and their ids."""
    KINDS['binary'](tmp_path)
    new_run(tmp_path)
    return tmp_path.resolve()


def ids(root: Path, stem: str) -> np.ndarray:
    return np.array(Image.open(root / IDS / f'{stem}.png'))


def correct(root: Path, stem: str, age: int = 0) -> np.ndarray:
    """Turn a mask around, with the time of change of before, less ``age`` seconds."""
    path = root / 'labels' / f'{stem}.png'
    time = path.stat().st_mtime_ns
    turned = np.array(Image.open(path))[::-1, ::-1]
    Image.fromarray(turned).save(path)
    if age:
        os.utime(path, ns=(time, time - age * 10**9))
    return turned // 255


def dataset(root: Path) -> FolderSegDataset:
    prefix = dict(img_path='imgs', seg_map_path=IDS)
    return FolderSegDataset(str(root), prefix, ann_file='splits/mine/labeled.txt')


def labeled(root: Path) -> str:
    return (root / 'splits/mine/labeled.txt').read_text().split()[0]


@pytest.mark.parametrize('age', [0, 86400])
def test_a_second_run_reads_a_corrected_mask(root: Path, age: int):
    """Also one with an older time of change, as cp -p and unzip leave it."""
    stem = labeled(root)
    turned = correct(root, stem, age)
    assert (ids(root, stem) != turned).any()
    assert f'{IDS}: 1 masks of class ids written, of 6' in str(new_run(root))
    assert (ids(root, stem) == turned).all()
    assert 'holds the 6 masks' in str(new_run(root))
    dataset(root)


@pytest.mark.parametrize('age', [0, 86400])
def test_no_run_starts_on_ids_of_before(root: Path, age: int, load_tool, capsys):
    stem = labeled(root)
    correct(root, stem, age)
    error = f'1 masks have changed .*labels/{stem}.png. Call new_run again, .*new_run.py {root}$'
    with pytest.raises(ValueError, match=error):
        dataset(root)
    source = dict(type='FolderSegDataset', data_root=str(root), ann_file='splits/mine/labeled.txt')
    prefix = dict(img_path='imgs', seg_map_path=IDS)
    with pytest.raises(ValueError, match=error):
        build_source('labeled', dict(source, data_prefix=prefix, pipeline=[]))
    if age:
        check = load_tool('misc/check_setup')
        assert check.exit_code(root / 'runs/ctt-plus.py') == 1
        assert 'PROBLEM  labeled      1 masks have changed' in capsys.readouterr().out


def test_masks_of_other_lists_and_copies_are_no_error(root: Path):
    others = set(MASKED) - set((root / 'splits/mine/labeled.txt').read_text().split())
    correct(root, others.pop())
    dataset(root)
    copy = root.parent / f'{root.name}_copy'
    shutil.copytree(root, copy, copy_function=shutil.copyfile)  # with other times of change
    dataset(copy)


def test_a_removed_mask_is_named_unless_all_are(root: Path):
    stem = labeled(root)
    (root / f'labels/{stem}.png').unlink()
    with pytest.raises(ValueError, match=f'labels/{stem}.png'):
        dataset(root)
    shutil.rmtree(root / 'labels')
    dataset(root)


def test_name_of_the_run_is_in_the_command(root: Path):
    new_run(root, name='b')
    correct(root, labeled(root))
    prefix = dict(img_path='imgs', seg_map_path=f'{IDS}_b')
    with pytest.raises(ValueError, match='new_run.py .* --name b$'):
        FolderSegDataset(str(root), prefix)


def test_ids_of_version_0_10_are_made_anew(root: Path):
    path = root / IDS / 'conversion.json'
    record = json.loads(path.read_text())
    path.write_text(json.dumps({key: record[key] for key in ('masks', 'by', 'classes')}))
    dataset(root)
    correct(root, MASKED[0], 86400)
    assert '6 masks of class ids written, of 6' in str(new_run(root))
    assert json.loads(path.read_text())['sources'].keys() == record['sources'].keys()


def test_a_mask_that_is_drawn_later(root: Path):
    masks(root, BARE[:1], 'labels', values=(0, 255))
    path = root / IDS / f'{BARE[0]}.png'
    infos = [dict(img_path=str(root / f'imgs/{BARE[0]}.jpg'), seg_map_path=str(path))]
    remedy = f'does not exist.*Draw the mask there, and call new_run again: .*new_run.py {root}$'
    with pytest.raises(FileNotFoundError, match=remedy):
        check_files('labeled', infos, masks=True)
    with pytest.raises(FileNotFoundError, match=remedy):
        read_mask(path)
    new_run(root)
    check_files('labeled', infos, masks=True)
