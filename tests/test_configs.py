# Copyright (c) mmseg_ctt contributors.
"""Every config loads and says what it is; every distinct one trains on files of its own layout."""

import json
import math
import re
import uuid
from pathlib import Path
from typing import Any

import mmengine.runner.checkpoint
import pytest
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import DATASETS
from toy_data import HEIGHT, WIDTH, write_image, write_lists, write_mask

from mmseg_ctt.datasets import LabeledUnlabeledSampler
from mmseg_ctt.datasets.sampler import ratio_by_source
from mmseg_ctt.datasets.sources import source_names
from mmseg_ctt.methods.base import SemiSegmentor

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'
PATHS = {
    str(path.relative_to(CONFIGS)): path
    for path in sorted(CONFIGS.glob('*/*.py'))
    if path.parts[-2] != '_base_'
}
THIN = re.compile(r"^_base_ = \['\./", re.MULTILINE)  # differs from its neighbour in the split
ROOTS = {
    'CamVidDataset': ('CAMVID_ROOT', 'data/camvid'),
    'PascalVOCDataset': ('VOC_ROOT', 'data/VOCdevkit/VOC2012'),
    'CityscapesDataset': ('CITYSCAPES_ROOT', 'data/cityscapes'),
    'StreetsDataset': ('STREETS_ROOT', 'data/streets'),
    'FolderSegDataset': ('FOLDER_ROOT', 'data/folder'),
}
CTT = [
    *(
        f'deeplabv3plus_voc_{split}'
        for split in ('1-16', '1-8', '1-4', '1-2', '92', '183', '366', '732')
    ),
    *(f'deeplabv2_voc_{split}' for split in ('1-50', '1-20', '1-8', '1-4')),
    *(f'deeplabv2_cityscapes_{split}' for split in ('1-30', '1-8', '1-4', '1-2')),
    *(
        f'deeplabv3plus_mobilenetv2_camvid_{split}'
        for split in ('1-16', '1-8', '1-4', '1-2', 'seq-0006R0', 'seq-0001TP')
    ),
    'deeplabv3plus_streets_1-8',
]
ENDINGS = ('camvid_seq-0006R0', 'camvid_1-8', 'streets_1-8', 'voc_1-8')
METHODS = sorted({path.parent.name for path in PATHS.values()})


@pytest.mark.parametrize('name', CTT)
def test_promised_names(name):
    assert f'ctt/ctt_{name}.py' in PATHS


@pytest.mark.parametrize('method', METHODS)
def test_every_method_has_the_same_data_and_papers(method):
    stems = [path.stem for path in PATHS.values() if path.parent.name == method]
    assert all(stem.startswith(f'{method}_') for stem in stems)
    for ending in ENDINGS:
        assert any(stem.endswith(ending) for stem in stems), ending
    for name in ('README.md', 'metafile.yaml'):
        assert (CONFIGS / method / name).is_file(), name


@pytest.mark.parametrize('name', PATHS)
def test_config(name, monkeypatch):
    text = PATHS[name].read_text()
    assert re.match(r'# \w.{20,}', text), 'the header says what the config is'
    for variable, _ in ROOTS.values():
        monkeypatch.delenv(variable, raising=False)
    cfg = Config.fromfile(PATHS[name])
    assert 'mmseg_ctt' in cfg.custom_imports.imports
    kind = cfg.train_dataloader.dataset.labeled.type
    variable, default = ROOTS[kind]
    assert all(one.data_root == default for one in sources(cfg))
    monkeypatch.setenv(variable, '/elsewhere')
    assert all(one.data_root == '/elsewhere' for one in sources(Config.fromfile(PATHS[name])))

    assert cfg.train_dataloader.batch_size % period(cfg) == 0
    if 'unlabeled' in cfg.train_dataloader.dataset and cfg.train_dataloader.dataset.unlabeled:
        assert 'seg_map_path' not in cfg.train_dataloader.dataset.unlabeled.data_prefix
    segmentor = cfg.model.get('segmentor', cfg.model)
    if kind != 'FolderSegDataset':
        classes = DATASETS.get(kind).METAINFO['classes']
        assert segmentor.decode_head.num_classes == len(classes)
    if THIN.search(text):
        base = PATHS[name].parent / re.search(r"\['\./(.*)'\]", text)[1]
        assert cfg.model == Config.fromfile(base).model


def sources(cfg):
    """Configs of all plain data sets."""
    train = cfg.train_dataloader.dataset
    return [
        one
        for one in (
            train.labeled,
            train.get('unlabeled'),
            cfg.val_dataloader.dataset,
            cfg.test_dataloader.dataset,
        )
        if one
    ]


# ---- two iterations of every distinct config

STEMS = ('a', 'b', 'c', 'd', 'e')  # two labelled, three unlabelled


def write_layout(kind: str, root: Path, split: str) -> None:
    """Files as the documentation of the data set lays them out."""
    classes = 3 if kind == 'FolderSegDataset' else len(DATASETS.get(kind).METAINFO['classes'])
    if kind == 'FolderSegDataset':
        image, masks = 'images/{stem}.jpg', ['masks/{stem}.png']
        root.mkdir(parents=True, exist_ok=True)
        (root / 'meta.json').write_text(json.dumps(dict(classes=['x', 'y', 'z'])))
        write_text(root / 'splits' / 'mine' / 'val.txt', 'train_a')
    elif kind == 'PascalVOCDataset':
        image = 'JPEGImages/{stem}.jpg'
        masks = ['SegmentationClassAug/{stem}.png', 'SegmentationClass/{stem}.png']
        write_text(root / 'ImageSets' / 'Segmentation' / 'val.txt', 'train_a')
    elif kind == 'CityscapesDataset':
        image = 'leftImg8bit/{part}/{stem}_leftImg8bit.png'
        masks = ['gtFine/{part}/{stem}_gtFine_labelTrainIds.png']
    else:
        image, masks = 'img_dir/{part}/{stem}.jpg', ['ann_dir/{part}/{stem}.png']
    in_parts = '{part}' in image
    for part in ('train', 'val', 'test') if in_parts else ('train',):
        for seed, stem in enumerate(STEMS if part == 'train' else STEMS[:1]):
            place = dict(part=part, stem=stem_of(kind, part, stem))
            write_image(root / image.format(**place), seed)
            for mask in masks:
                write_mask(root / mask.format(**place), seed, classes)
    names = [stem_of(kind, 'train', stem) for stem in STEMS]
    write_lists(root / split, names[:2], names[2:])


def stem_of(kind: str, part: str, stem: str) -> str:
    city = 'city/' if kind == 'CityscapesDataset' else ''
    return f'{city}{part}_{stem}'


def write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + '\n')


def shrink(node: Any) -> None:
    """Make networks narrow and images small, wherever they are described."""
    if isinstance(node, (list, tuple)):
        for entry in node:
            shrink(entry)
    elif isinstance(node, dict):
        kind = node.get('type')
        node.pop('init_cfg', None)
        node.pop('pretrained', None)
        if kind == 'EncoderDecoder':
            narrow(node['backbone'], node['decode_head'])
        elif kind == 'RandomCrop':
            node['crop_size'] = (HEIGHT, WIDTH)
        elif 'scale' in node:
            node['scale'] = (WIDTH, HEIGHT)
        elif 'bgr_to_rgb' in node:
            node['size'] = (HEIGHT, WIDTH)
        elif 'budget' in node and node.get('size', 0) > 2000:  # queues of gigabytes
            node.update(size=20, budget=5)
        elif str(kind).endswith('Sampler') or 'batch_size' in node:
            node.update(
                {
                    key: value
                    for key, value in dict(num_workers=0, persistent_workers=False).items()
                    if key in node
                }
            )
        for value in list(node.values()):
            shrink(value)


def narrow(backbone: dict, head: dict) -> None:
    if backbone['type'] == 'MobileNetV2':
        backbone['widen_factor'], widths = 0.25, (8, 80)
    else:
        backbone.update(depth=18, base_channels=8, stem_channels=8)
        widths = 8, 8 * 2 ** (backbone['num_stages'] - 1)
    head.update(in_channels=widths[1], channels=32)
    if 'c1_in_channels' in head:
        head.update(c1_in_channels=widths[0], c1_channels=8)


class Losses(Hook):
    """The losses of each iteration."""

    def __init__(self):
        self.seen = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.seen.append({key: float(value) for key, value in outputs.items()})


def period(cfg: Config) -> int:
    """Images after which the ratio of the sources repeats."""
    loader = cfg.train_dataloader
    return sum(ratio_by_source(loader.sampler.ratio, source_names(loader.dataset)).values())


def small_config(path: Path, tmp_path: Path, monkeypatch) -> Config:
    """The config on tiny files of its layout, two iterations and one validation long."""
    kind = Config.fromfile(path).train_dataloader.dataset.labeled.type
    monkeypatch.setenv(ROOTS[kind][0], str(tmp_path / 'data'))
    cfg = Config.fromfile(path)
    split = cfg.train_dataloader.dataset.get('split')
    write_layout(kind, tmp_path / 'data', split or 'splits/unused')
    assert not split or all(
        (tmp_path / 'data' / split / f'{name}.txt').is_file() for name in ('labeled', 'unlabeled')
    )
    for part in ('model', 'train_dataloader', 'val_dataloader', 'test_dataloader'):
        shrink(cfg._cfg_dict[part])
    if kind == 'FolderSegDataset':
        cfg.model.get('segmentor', cfg.model).decode_head.num_classes = 3
    cfg.train_dataloader.batch_size = 2 * period(cfg)
    cfg.train_cfg.update(max_iters=2, val_interval=2)
    cfg.param_scheduler = cfg.param_scheduler[-1:]  # without warm-up, which is longer than this
    cfg.param_scheduler[0].pop('begin', None)
    cfg.work_dir, cfg.experiment_name = str(tmp_path / 'work'), uuid.uuid4().hex
    cfg.default_hooks.checkpoint.interval = 100
    cfg.visualizer.update(vis_backends=[], name=cfg.experiment_name)
    return cfg


@pytest.mark.parametrize(
    'name',
    [
        name
        for name, path in PATHS.items()
        if not THIN.search(path.read_text()) or 'camvid_all' in name
    ],
)
def test_two_iterations(name, tmp_path, monkeypatch):
    monkeypatch.setattr(
        mmengine.runner.checkpoint.CheckpointLoader,
        'load_checkpoint',
        lambda *_, **__: pytest.fail('weights were asked for'),
    )
    runner = Runner.from_cfg(small_config(PATHS[name], tmp_path, monkeypatch))
    losses = Losses()
    runner.register_hook(losses)
    metrics = {}
    run = runner.val_loop.run
    runner.val_loop.run = lambda: metrics.update(run())
    runner.train()
    assert len(losses.seen) == 2 and losses.seen[0] != losses.seen[1]
    assert all(math.isfinite(value) for seen in losses.seen for value in seen.values())
    assert all(seen['loss'] > 0 for seen in losses.seen)
    assert isinstance(runner.train_dataloader.sampler, LabeledUnlabeledSampler)
    assert 'mIoU' in metrics
    model = runner.model
    if isinstance(model, SemiSegmentor):
        assert int(model.ema_updates) == 2
        assert {f'{name}/mIoU' for name in model.member_names} < set(metrics)
        assert 'student0.decode.loss_ce' in losses.seen[0]
        if type(model).__name__ == 'CrossTeacherTraining' and model.contrast is not None:
            terms = {f'student0.loss_{name}' for name in ('ct', 'hc', 'lc')}
            assert terms < set(losses.seen[0])
    else:
        ratio = runner.train_dataloader.sampler.ratio
        assert {name: count for name, count in ratio.items() if count} == dict(labeled=1)
