# Copyright (c) mmseg_ctt contributors.
"""A data set of a few tiny files on disk, and a run on it that takes seconds."""

import gc
import json
import uuid
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmseg.registry import MODELS
from mmseg.utils import register_all_modules
from PIL import Image
from shortcuts import take_shortcuts
from toy import NUM_CLASSES, toy_settings, whole_segmentor

from mmseg_ctt.engine.guards import hook_key
from mmseg_ctt.methods import registered_methods

take_shortcuts()

HEIGHT, WIDTH, CROP = 32, 48, (32, 32)
LABELED = ('l0', 'l1', 'l2')
UNLABELED = ('u0', 'u1', 'u2')
SPLIT = 'splits/toy'
CLASSES = tuple(f'class{k}' for k in range(NUM_CLASSES))
# settings of hooks that some methods need, with which they are at work at once
TOY_HOOKS = dict(
    QueueWarmupHook=dict(start_iter=0, interval=1), AnchorAssignmentHook=dict(interval=1)
)
_KINDS: Dict[str, List[str]] = {}  # of models that were built for it
PALETTE = [[40 * k, 200 - 40 * k, 60] for k in range(NUM_CLASSES)]


def freeze_imports() -> None:
    """Take what is imported by now out of the garbage collector's sight.

    Python collects garbage every now and then; looking through all imported modules each time
    takes long.
    """
    register_all_modules(init_default_scope=False)
    gc.collect()
    gc.freeze()


def without_data(path: str, value: int = 7, rows: int = 8) -> None:
    """Rows of an image file become pixels without data, of one value."""
    pixels = np.array(Image.open(path))
    pixels[:rows] = value
    Image.fromarray(pixels).save(path, format='PNG')  # values stay exact


def write_image(path: Path, seed: int, size: Sequence[int] = (HEIGHT, WIDTH)) -> None:
    """A JPEG that no other seed gives."""
    path.parent.mkdir(parents=True, exist_ok=True)
    blocks = np.random.RandomState(seed).randint(0, 256, (size[0] // 8, size[1] // 8, 3))
    Image.fromarray(blocks.astype(np.uint8).repeat(8, 0).repeat(8, 1)).save(path, quality=95)


def write_mask(
    path: Path, seed: int, num_classes: int = NUM_CLASSES, size: Sequence[int] = (HEIGHT, WIDTH)
) -> None:
    """A PNG of class ids in blocks of 8 pixels, with a corner of 255."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ids = np.random.RandomState(seed).randint(0, num_classes, (size[0] // 8, size[1] // 8))
    ids = ids.astype(np.uint8).repeat(8, 0).repeat(8, 1)
    ids[:3, :3] = 255
    Image.fromarray(ids).save(path)


def write_lists(
    folder: Path, labeled: Sequence[str] = LABELED, unlabeled: Sequence[str] = UNLABELED
) -> None:
    """The two lists of a split."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, stems in (('labeled', labeled), ('unlabeled', unlabeled)):
        (folder / f'{name}.txt').write_text(''.join(f'{stem}\n' for stem in stems))


def write_toy_data(root: Path) -> Path:
    """Three labelled and three unlabelled images, in the folders ``img`` and ``ann``."""
    for seed, stem in enumerate(LABELED + UNLABELED):
        write_image(root / 'img' / f'{stem}.jpg', seed)
    for seed, stem in enumerate(LABELED):
        write_mask(root / 'ann' / f'{stem}.png', seed)
    write_lists(root / SPLIT)
    write_tags(root / 'tags.json')
    return root


def write_tags(path: Path) -> None:
    """One or two tags of every image; class 0 is the background."""
    stems = enumerate(LABELED + UNLABELED)
    tags = {stem: sorted({CLASSES[1 + i % 3], CLASSES[1 + i // 2 % 3]}) for i, stem in stems}
    path.write_text(json.dumps(tags))


def toy_pipeline(labels: bool, random: bool = True) -> list:
    """The steps of the package's own configs, with a crop of ``CROP``."""
    steps = [dict(type='LoadImageFromFile')]
    if labels:
        steps += [dict(type='LoadAnnotations'), dict(type='CheckSegMap', num_classes=NUM_CLASSES)]
    if random:
        steps += [
            dict(
                type='RandomResize', scale=(WIDTH, HEIGHT), ratio_range=(1.0, 1.5), keep_ratio=True
            ),
            dict(type='RandomCrop', crop_size=CROP),
            dict(type='RandomFlip', prob=0.5),
            dict(type='PhotoMetricDistortion'),
        ]
    return [*steps, dict(type='PackSegInputs')]


def toy_set(root: Path, labels: bool, random: bool = True, **changes: Any) -> dict:
    """Config of one data set."""
    prefix = dict(img_path='img', seg_map_path='ann') if labels else dict(img_path='img')
    return dict(
        {
            'type': 'FolderSegDataset',
            'data_root': str(root),
            'data_prefix': prefix,
            'metainfo': dict(classes=CLASSES, palette=PALETTE),
            'pipeline': toy_pipeline(labels, random),
            **changes,
        }
    )


def toy_semi(root: Path, **changes: Any) -> dict:
    """Config of the labelled and the unlabelled set."""
    return dict(
        type='LabeledUnlabeledDataset',
        labeled=toy_set(root, True),
        unlabeled=toy_set(root, False),
        split=SPLIT,
        **changes,
    )


def toy_tagged(root: Path, method: type) -> dict:
    """Config of images with tags, and with the maps that a method reads, which are written here."""
    pipeline, maps = toy_pipeline(False), method.reads_maps
    for name in maps:
        for seed, stem in enumerate(LABELED + UNLABELED):
            values = NUM_CLASSES if name == 'pseudo_label' else 256
            write_mask(root / 'maps' / name / f'{stem}.png', seed, values)
    if maps:
        folders = {name: str(root / 'maps' / name) for name in maps}
        smooth = [name for name in maps if name != 'pseudo_label']
        pipeline.insert(1, dict(type='LoadMaps', maps=folders, smooth=smooth))
        pipeline[-1] = dict(type='PackSemiSegInputs', maps=list(maps))
    tagged = toy_set(
        root,
        False,
        type='TaggedImageDataset',
        tags='tags.json',
        background=CLASSES[0],
        pipeline=pipeline,
    )
    return dict(type='LabeledUnlabeledDataset', tagged=tagged)


def train_loader(root: Path, model: dict) -> dict:
    """Loader of the sources that a model uses."""
    method = registered_methods().get(model['type'])
    if method is None or {'labeled', 'unlabeled'} & set(method.sources):
        names = ('labeled', 'unlabeled') if method is None else method.sources
        left_out = {name: None for name in ('labeled', 'unlabeled') if name not in names}
        dataset = dict(toy_semi(root), **left_out)
        ratio = {name: 1 for name in names}
    else:
        dataset, ratio = toy_tagged(root, method), dict(tagged=1)
    sampler = dict(type='LabeledUnlabeledSampler', ratio=ratio)
    if 'group_size' in model:
        sampler = dict(type='GroupSampler', ratio=dict(tagged=model['group_size']))
    return dict(batch_size=4, num_workers=0, dataset=dataset, sampler=sampler)


def toy_method(kind: str, **changes: Any) -> dict:
    """Config of a method around the toy segmentor, by the settings that its class gives.

    With them every loss term is at work within a few iterations, on some of the pixels.
    """
    settings = toy_settings(kind, **changes)
    return {'type': kind, **settings, 'segmentor': whole_segmentor(settings.get('segmentor'), 0.1)}


def toy_ctt(**changes: Any) -> dict:
    """The same for Cross-Teacher Training, with every pixel confident from the start."""
    lower = dict(consistency=dict(confidence_threshold=0.2), contrast=dict(threshold=0.3))
    return toy_method('CrossTeacherTraining', **{**lower, **changes})


def required_hooks(model: dict) -> Dict[str, dict]:
    """Hooks that a model says it needs, by their names in ``default_hooks``."""
    key = repr(model)
    if key not in _KINDS:
        _KINDS[key] = _required_kinds(model)
    names = {kind: hook_key(kind).rpartition('.')[2] for kind in _KINDS[key]}
    return {names[kind]: dict(type=kind, **TOY_HOOKS.get(kind, {})) for kind in _KINDS[key]}


def _required_kinds(model: dict) -> List[str]:
    """Types of these hooks; the model is built to be asked."""
    with torch.random.fork_rng([]), DefaultScope.overwrite_default_scope('mmseg'):
        parts = MODELS.build(model).modules()
    return [kind for part in parts for kind in getattr(part, 'required_hooks', {})]


def toy_metric(model: dict) -> dict:
    """Metric of what a model gives."""
    method = registered_methods().get(model['type'])
    if method is not None and not method.trains_heads:
        return dict(type='TaskMetric')
    return dict(type='IoUMetric', iou_metrics=['mIoU'])


def toy_config(
    root: Path, work_dir: Path, hooks: Optional[Dict[str, Optional[dict]]] = None, **changes: Any
) -> Config:
    """A complete config: train, validate and test CTT on :func:`write_toy_data`.

    Args:
        root: Folder of the data.
        work_dir: Of the run.
        hooks: Merged into ``default_hooks``; None removes one.
        changes: Other top-level entries. ``model`` chooses the hooks that it needs;
            ``default_hooks`` is the same as ``hooks``.
    """
    model = changes.pop('model', None) or toy_ctt()
    named = dict(
        logger=dict(type='LoggerHook', interval=1, log_metric_by_epoch=False),
        checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=100),
        **required_hooks(model),
    )
    named.update({**changes.pop('default_hooks', {}), **(hooks or {})})
    tested: Dict[str, Any] = dict(
        batch_size=1,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=False),
        dataset=toy_set(root, True, random=False, ann_file=f'{SPLIT}/labeled.txt'),
    )
    cfg = dict(
        custom_imports=dict(imports=['mmseg_ctt', 'toy']),
        default_scope='mmseg',
        experiment_name=uuid.uuid4().hex,  # mmengine keeps hubs and loggers by name
        work_dir=str(work_dir),
        model=model,
        train_dataloader=train_loader(root, model),
        val_dataloader=tested,
        test_dataloader=tested,
        val_evaluator=toy_metric(model),
        test_evaluator=toy_metric(model),
        optim_wrapper=dict(
            type='OptimWrapper',
            constructor='StudentOptimWrapperConstructor',
            optimizer=dict(type='SGD', lr=0.05, momentum=0.9),
        ),
        param_scheduler=[dict(type='PolyLR', power=0.9, eta_min=0, by_epoch=False)],
        train_cfg=dict(type='ResumableTrainLoop', max_iters=2, val_interval=100),
        val_cfg=dict(type='MemberValLoop'),
        test_cfg=dict(type='MemberTestLoop'),
        default_hooks=named,
        log_processor=dict(by_epoch=False),
        visualizer=dict(type='SegLocalVisualizer', vis_backends=[]),
        tta_model=dict(type='SegTTAModel'),
        tta_pipeline=[
            dict(type='LoadImageFromFile'),
            dict(
                type='TestTimeAug',
                transforms=[
                    [dict(type='RandomFlip', prob=p, direction='horizontal') for p in (0.0, 1.0)],
                    [dict(type='LoadAnnotations')],
                    [dict(type='PackSegInputs')],
                ],
            ),
        ],
        randomness=dict(seed=3),
        launcher='none',
    )
    if model.get('old_checkpoint') is False:
        cfg['custom_hooks'] = [dict(type='RandomIsMeant')]  # there is no step before
    return Config({**cfg, **changes})


def evaluation_loader(root: Path) -> dict:
    """Data loader of images in ``val``, with masks in ``ann``, for validation and test."""
    return dict(
        batch_size=1,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=False),
        dataset={
            **toy_set(root, True, random=False),
            'data_prefix': dict(img_path='val', seg_map_path='ann'),
        },
    )
