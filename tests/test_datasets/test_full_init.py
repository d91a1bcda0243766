# Copyright (c) mmseg_ctt contributors.
"""Data sets that list no image, of any class: one line that names the list."""

import pytest
from mmengine.runner import Runner
from mmseg.registry import DATASETS
from toy_data import CLASSES, SPLIT, toy_config

from mmseg_ctt.methods.ctt.segmentor import CrossTeacherTraining

KINDS = ('FolderSegDataset', 'BaseSegDataset', 'CamVidDataset', 'CityscapesDataset')
LOADERS = dict(
    labeled=('train_dataloader', 'labeled'),
    unlabeled=('train_dataloader', 'unlabeled'),
    val=('val_dataloader',),
    test=('test_dataloader',),
)


def settings(root, kind, **changes):
    named = dict(metainfo=dict(classes=CLASSES)) if kind in KINDS[:2] else {}
    prefix = dict(img_path='img', seg_map_path='ann')
    return dict(type=kind, data_root=str(root), data_prefix=prefix, **named, **changes)


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('text', ['', '\n \n'])
def test_empty_list(root, kind, text):
    (root / 'none.txt').write_text(text)
    with pytest.raises(ValueError, match=r'list .*none\.txt .*is empty'):
        DATASETS.build(settings(root, kind, ann_file='none.txt'))


@pytest.mark.parametrize('kind', KINDS)
def test_missing_list(root, kind):
    with pytest.raises(FileNotFoundError, match=r'list .*absent\.txt.* does not exist'):
        DATASETS.build(settings(root, kind, ann_file='absent.txt'))


@pytest.mark.parametrize('kind', KINDS)
def test_empty_folder(root, kind):
    (root / 'bare').mkdir()
    with pytest.raises((ValueError, FileNotFoundError), match='bare'):
        DATASETS.build({**settings(root, kind), 'data_prefix': dict(img_path='bare')})


def test_lists_of_images_are_untouched(root):
    for kind in ('FolderSegDataset', 'CamVidDataset'):
        dataset = DATASETS.build(settings(root, kind, ann_file=f'{SPLIT}/labeled.txt'))
        assert len(dataset) == 3
    lazy = DATASETS.build(settings(root, 'CamVidDataset', ann_file='absent.txt', lazy_init=True))
    with pytest.raises(FileNotFoundError, match='absent.txt'):
        len(lazy)


@pytest.mark.parametrize('kind', KINDS[:2])
@pytest.mark.parametrize('name', LOADERS)
def test_run_with_an_empty_list_ends_before_the_first_iteration(
    name, kind, root, tmp_path, monkeypatch
):
    monkeypatch.setattr(CrossTeacherTraining, 'loss', lambda *_: pytest.fail('an iteration'))
    cfg = toy_config(root, tmp_path / 'work')
    (root / 'none.txt').touch()
    loader, *source = LOADERS[name]
    dataset = cfg[loader].dataset[source[0]] if source else cfg[loader].dataset
    dataset.update(type=kind, ann_file='none.txt')
    runner = Runner.from_cfg(cfg)
    with pytest.raises(ValueError, match=r'list .*none\.txt .*is empty'):
        runner.test() if name == 'test' else runner.train()
