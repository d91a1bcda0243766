# Copyright (c) mmseg_ctt contributors.
"""A segmentor small enough to train in a test, and batches for it."""

import copy
from typing import Dict, List, Optional, Sequence

import torch
from mmengine.config import Config, ConfigDict
from mmengine.hooks import Hook
from mmengine.logging import MessageHub
from mmengine.model import BaseModule
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from mmengine.structures import LabelData, PixelData
from mmseg.registry import HOOKS, MODELS, TRANSFORMS
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from mmseg_ctt.datasets.map_steps import add_maps
from mmseg_ctt.methods import SemiSegmentor, registered_methods
from mmseg_ctt.methods.followers import IN_SHIFTS
from mmseg_ctt.nn.unwrap import unwrapped

NUM_CLASSES = 4
# methods whose head learns by a loss of its own and refuses another `loss_decode`
OWN_LOSS = ('ECOCSeg',)
SIDE = 32


@MODELS.register_module()
class ToyBackbone(BaseModule):
    """Two strided convolutions with batch norm; feature maps at stride 2 and 4."""

    def __init__(self, width: int = 8, in_channels: int = 3, init_cfg=None) -> None:
        super().__init__(init_cfg)
        self.stem = nn.Conv2d(in_channels, width, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(width)
        self.body = nn.Conv2d(width, width, 3, stride=2, padding=1)

    def forward(self, x: Tensor):
        x = self.norm(self.stem(x)).relu()
        return x, self.body(x).relu()


@MODELS.register_module()
class ToyCompiledBackbone(ToyBackbone):
    """The same with a compiled op of mmcv, which is never called."""

    def __init__(self) -> None:
        super().__init__()
        from mmcv.ops import DeformConv2d

        self.deform = DeformConv2d(8, 8, 3)


@HOOKS.register_module()
class RandomIsMeant(Hook):
    """A run whose frozen networks are random, as if a checkpoint had had their weights."""

    def before_run(self, runner: Runner) -> None:
        """Before they are checked."""
        model = unwrapped(runner.model)
        model.given = frozenset(model.members)


def toy_segmentor(dropout: float = 0.0, num_classes: int = NUM_CLASSES, **changes) -> dict:
    """Config of a plain segmentor with an embedding of 8 channels at stride 4."""
    cfg = dict(
        type='EncoderDecoder',
        data_preprocessor=dict(
            type='SegDataPreProcessor',
            mean=[120.0, 110.0, 100.0],
            std=[60.0, 50.0, 40.0],
            bgr_to_rgb=True,
            pad_val=0,
            seg_pad_val=255,
        ),
        backbone=dict(type='ToyBackbone'),
        decode_head=dict(
            type='FCNHead',
            in_channels=8,
            in_index=1,
            channels=8,
            num_convs=1,
            kernel_size=1,
            concat_input=False,
            dropout_ratio=dropout,
            num_classes=num_classes,
            norm_cfg=dict(type='BN'),
            align_corners=False,
            loss_decode=dict(type='PixelCrossEntropyLoss'),
        ),
        train_cfg=dict(),
        test_cfg=dict(mode='whole'),
    )
    cfg.update(changes)
    return cfg


def of_channels(segmentor: dict, channels: int) -> dict:
    """The segmentor for images of another number of channels."""
    statistics = dict(mean=[110.0] * channels, std=[50.0] * channels)
    return dict(
        segmentor,
        data_preprocessor=dict(segmentor['data_preprocessor'], **statistics),
        backbone=dict(segmentor['backbone'], in_channels=channels),
    )


def sample(source: str, number: int, label: Tensor = None, side: int = SIDE) -> SegDataSample:
    """A data sample as the pipelines make it."""
    made = SegDataSample(
        metainfo=dict(
            source=source, draw=(7, number), img_shape=(side, side), ori_shape=(side, side)
        )
    )
    if label is not None:
        made.gt_sem_seg = PixelData(data=label)
    return made


def toy_batch(
    labeled: int = 2,
    unlabeled: int = 2,
    seed: int = 0,
    side: int = SIDE,
    order: Sequence[int] = None,
    channels: int = 3,
) -> dict:
    """A raw mixed batch: uint8 images, labels only where labelled."""
    g = torch.Generator().manual_seed(seed)
    inputs: List[Tensor] = []
    samples: List[SegDataSample] = []
    for i in range(labeled + unlabeled):
        inputs.append(torch.randint(0, 256, (channels, side, side), generator=g, dtype=torch.uint8))
        label = torch.randint(0, NUM_CLASSES, (1, side // 8, side // 8), generator=g)
        label = label.repeat_interleave(8, 1).repeat_interleave(8, 2)
        is_labeled = i < labeled
        samples.append(
            sample('labeled' if is_labeled else 'unlabeled', i, label if is_labeled else None, side)
        )
    order = range(len(inputs)) if order is None else order
    return dict(inputs=[inputs[i] for i in order], data_samples=[samples[i] for i in order])


def toy_model(
    kind: str = 'CrossTeacherTraining', seed: int = 0, dropout: float = 0.0, **settings
) -> nn.Module:
    """A semi-supervised model around the toy segmentor, initialised and in training mode."""
    torch.manual_seed(seed)
    MessageHub.get_current_instance().update_info(IN_SHIFTS, None)  # of an earlier test
    if not settings.get('segmentor') or isinstance(settings['segmentor'], dict):
        settings['segmentor'] = whole_segmentor(settings.get('segmentor'), dropout)
    model = MODELS.build(dict(type=kind, **settings))
    model.init_weights()
    model.toy_steps = map_steps(type(model), settings)
    return model.train()


def whole_segmentor(
    given: Optional[dict] = None, dropout: float = 0.0, base: Optional[dict] = None
) -> dict:
    """A segmentor, the toy one by default, with the parts that the settings of a method replace."""
    if given and 'backbone' in given:
        return given
    plain = ConfigDict(copy.deepcopy(base or toy_segmentor(dropout)))
    return Config._merge_a_into_b(ConfigDict(given or {}), plain).to_dict()


def map_steps(method: type, settings: dict) -> Dict[str, list]:
    """Steps that make the maps which a method reads, built, by source; none for a segmentor."""
    if not issubclass(method, SemiSegmentor):
        return {}
    with DefaultScope.overwrite_default_scope('mmseg'):
        return {
            source: [TRANSFORMS.build(step) for step in steps]
            for source, steps in method.pipeline_steps_of(settings).items()
        }


def prepared(model: nn.Module, batch: Optional[dict] = None) -> dict:
    """What a model is called with; its samples have the maps that the pipeline would make."""
    batch = batch or toy_batch()
    if not hasattr(model, 'toy_steps'):  # built from a config
        model.toy_steps = map_steps(type(model), {})
    sources = getattr(model, 'sources', ('labeled', 'unlabeled'))
    if 'tagged' in sources:
        batch = tagged_batch(batch, model)
    elif len(set(sources) & {'labeled', 'unlabeled'}) == 1:
        batch = batch_of_source(batch, *set(sources) & {'labeled', 'unlabeled'})
    for made in batch['data_samples']:
        steps = model.toy_steps.get(made.metainfo['source'])
        if steps:
            add_maps(made, steps, **of_labels(model))
    return model.data_preprocessor(batch, True)


def of_labels(model: nn.Module) -> dict:
    """What a data set says of its labels, for the steps of its pipeline."""
    head = model.member('student0').decode_head if hasattr(model, 'member') else model.decode_head
    head = head[-1] if isinstance(head, nn.ModuleList) else head
    return dict(num_classes=model.num_classes, ignore_index=getattr(head, 'ignore_index', 255))


def batch_of_source(batch: dict, source: str) -> dict:
    """The images of a batch for a model that uses one source: those with masks, or all as images.

    Images of unknown sources stay.
    """
    made: Dict[str, list] = dict(inputs=[], data_samples=[])
    for image, known in zip(batch['inputs'], batch['data_samples']):
        if source == 'labeled' and known.metainfo['source'] == 'unlabeled':
            continue
        if source == 'unlabeled' and known.metainfo['source'] == 'labeled':
            known = SegDataSample(metainfo={**known.metainfo, 'source': source})
        made['inputs'].append(image)
        made['data_samples'].append(known)
    return {**batch, **made}


def tagged_batch(batch: dict, model: nn.Module) -> dict:
    """The images of sources that a model does not use, with tags in the place of masks.

    Tags are classes of the mask, without class 0, the background; maps that the model reads are
    the mask itself (``pseudo_label``) and noise in [0, 1].
    """
    made = dict(batch, data_samples=[])
    for known in batch['data_samples']:
        if known.metainfo['source'] not in ('labeled', 'unlabeled'):
            made['data_samples'].append(known)
            continue
        g = torch.Generator().manual_seed(known.metainfo['draw'][1])
        height, width = known.metainfo['img_shape']
        label = torch.randint(0, NUM_CLASSES, (1, height // 8, width // 8), generator=g)
        label = label.repeat_interleave(8, 1).repeat_interleave(8, 2)
        if 'gt_sem_seg' in known:
            label = known.gt_sem_seg.data
        tags = torch.zeros(model.num_classes, dtype=torch.long)
        present = label.unique()
        tags[present[(present > 0) & (present < model.num_classes)]] = 1
        new = SegDataSample(metainfo={**known.metainfo, 'source': 'tagged'})
        new.gt_tags = LabelData(label=tags)
        for name in model.reads_maps:
            noise = torch.rand(1, height, width, generator=g)
            map_ = label.byte() if name == 'pseudo_label' else noise
            new.set_data({name: PixelData(data=map_)})
        made['data_samples'].append(new)
    return made


def losses_of(model: nn.Module, batch: dict) -> dict:
    """Losses of one step, as mmengine calls it."""
    return model(**prepared(model, batch), mode='loss')


def upsamplings(model: nn.Module) -> list:
    """Sizes that a model upsamples logits to from now on, one for each time."""
    made, upsampled = [], model.upsampled
    model.upsampled = lambda logits, size: made.append(size) or upsampled(logits, size)
    return made


def fill_banks(model: nn.Module, seed: int = 5) -> nn.Module:
    """Random full banks, contrast on; a model without a contrast stays as it is."""
    contrast = getattr(model, 'contrast', None)
    if not hasattr(contrast, 'bank'):
        return model
    g = torch.Generator().manual_seed(seed)
    bank = contrast.bank
    bank.features.copy_(torch.randn(bank.features.shape, generator=g))
    bank.count.fill_(bank.size)
    if contrast.waits:
        contrast.switch(True)
    return model


def toy_settings(kind: str, **changes) -> dict:
    """The settings that a method's class gives for toy data, with changes.

    The parts of a segmentor that the class gives, such as its head, are laid over another.
    """
    own = copy.deepcopy(registered_methods()[kind].toy_settings)
    if 'segmentor' in own and 'segmentor' in changes:
        changes['segmentor'] = whole_segmentor(own['segmentor'], base=changes['segmentor'])
    return {**own, **changes}


def ready_model(kind: str = 'CrossTeacherTraining', **settings) -> nn.Module:
    """A model with members that differ, small full banks and all terms on."""
    model = toy_model(kind, **toy_settings(kind, **settings))
    torch.manual_seed(11)
    for name, member in model.members.items():
        if not member.trains:
            model.member(name).decode_head.conv_seg.weight.data.normal_(std=2)
    for _ in range(len(getattr(model, 'past', ()))):
        model.ring.advance()  # past models are as drawn above
    return fill_banks(model)


def total_of(losses: dict, model: nn.Module) -> Tensor:
    """What the optimiser goes down."""
    total, _ = model.parse_losses(losses)
    return total


def at_iteration(done: int, total: int = 100) -> None:
    """What parts of a model read as the present iteration of a run."""
    hub = MessageHub.get_current_instance()
    hub.update_info('iter', done)
    hub.update_info('max_iters', total)
