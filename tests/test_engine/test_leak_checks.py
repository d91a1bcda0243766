# Copyright (c) mmseg_ctt contributors.
"""Images of validation or test that are trained on."""

import logging

import pytest
from mmengine.runner import Runner
from toy_data import (
    LABELED,
    SPLIT,
    UNLABELED,
    evaluation_loader,
    toy_config,
    write_image,
    write_mask,
)

KEY = 'train_dataloader.dataset'


@pytest.fixture
def lines(monkeypatch) -> list:
    """Warnings about such images."""
    found = []

    def note(line, logger, level):
        assert level == logging.WARNING
        found.append(line)

    monkeypatch.setattr('mmseg_ctt.engine.leak_checks.print_log', note)
    return found


@pytest.fixture
def apart(root) -> dict:
    """Loader of two images that are in no training list."""
    for seed in (20, 21):
        write_image(root / 'val' / f'v{seed}.jpg', seed)
        write_mask(root / 'ann' / f'v{seed}.png', seed)
    return evaluation_loader(root)


def start(root, tmp_path, **changes) -> None:
    """Build the loops of a run, as at its start."""
    made = Runner.from_cfg(toy_config(root, tmp_path / 'work', **changes))
    made._train_loop = made.build_train_loop(made._train_loop)
    made._val_loop = made.build_val_loop(made._val_loop)


def test_trained_validation_images(root, tmp_path, lines):
    """Test images that are those of validation are not named again."""
    start(root, tmp_path)
    (line,) = lines
    where = f'{root}/{SPLIT}/labeled.txt'
    assert line.startswith(f'{len(LABELED)} images of {where} (val_dataloader.dataset) ')
    assert f'in {where} ({KEY}.labeled), such as {root}/img/l0.jpg: ' in line


def test_trained_test_images(root, tmp_path, apart, lines):
    start(root, tmp_path, val_dataloader=apart)
    (line,) = lines
    assert f'{SPLIT}/labeled.txt (test_dataloader.dataset)' in line and 'val' not in line


def test_links(root, tmp_path, apart, lines):
    """An unlabelled image under another name."""
    (root / 'val' / 'v20.jpg').unlink()
    (root / 'val' / 'v20.jpg').symlink_to(root / 'img' / f'{UNLABELED[1]}.jpg')
    start(root, tmp_path, val_dataloader=apart, test_dataloader=apart)
    (line,) = lines
    assert line.startswith('1 images of val_dataloader.dataset are also in ')
    assert f'{SPLIT}/unlabeled.txt ({KEY}.unlabeled), such as {root}/val/v20.jpg: ' in line


def test_images_of_their_own(root, tmp_path, apart, lines):
    start(root, tmp_path, val_dataloader=apart, test_dataloader=apart)
    assert not lines


def test_a_test_set_that_is_not_here(root, tmp_path, apart, lines):
    gone = dict(apart, dataset=dict(apart['dataset'], data_root=str(tmp_path / 'gone')))
    start(root, tmp_path, val_dataloader=apart, test_dataloader=gone)
    assert not lines
