# Copyright (c) mmseg_ctt contributors.
"""Checks of the settings that all methods share: none of them may stay without effect."""

import logging
from typing import Any, Mapping, Optional

import torch.nn as nn
from mmengine.logging import print_log
from torch import Tensor

from ..nn import settings
from ..nn.augmentation import StrongAugmentation
from ..nn.heads import main_head

JOINT = (True, False, 'students')  # the last is the default
PREPROCESSORS = ('SegDataPreProcessor', 'SemiSegDataPreProcessor', None)


def preprocessor_settings(
    segmentor: Any, given: Optional[Mapping[str, Any]], sources: tuple
) -> dict:
    """Config of the data preprocessor.

    Args:
        segmentor (dict): Config of the segmentor; its own ``data_preprocessor`` wins.
        given (Mapping, optional): The top-level one of the config, which mmengine passes.
        sources (tuple[str]): Of the method.

    Raises:
        TypeError: If ``segmentor`` is no dict.
        ValueError: If it chooses another class or other sources.
    """
    if not isinstance(segmentor, Mapping):
        raise TypeError(
            'model.segmentor must be the config of a plain mmseg segmentor, a dict; '
            f'got {segmentor!r}'
        )
    key = 'model.data_preprocessor'
    both = given or {}, segmentor.get('data_preprocessor') or {}
    for values in both:
        settings.check_choice(f'{key}.type', values.get('type'), PREPROCESSORS)
        if 'sources' in values:
            raise ValueError(f'{key}.sources: the method says which sources it uses; remove it')
    return dict({**both[0], **both[1]}, type='SemiSegDataPreProcessor', sources=sources)


def check_wrapper(
    test_cfg: Mapping[str, Any], train_cfg: Any, pretrained: Any, init_cfg: Any
) -> None:
    """Settings that mmseg's own segmentors have, and that the members have here.

    Raises:
        ValueError: Names the key to use.
    """
    for name in test_cfg:
        if name != 'predict_on':
            raise ValueError(
                f'model.test_cfg has predict_on alone: set {name} in model.segmentor.test_cfg'
            )
    if train_cfg:
        raise ValueError(
            f'model.train_cfg would be unused: set {", ".join(train_cfg)} in '
            'model.segmentor.train_cfg'
        )
    for name, value in (('pretrained', pretrained), ('init_cfg', init_cfg)):
        if value is not None:
            raise ValueError(
                f'model.{name} would be unused: set it in model.segmentor (weights of the '
                'backbone: model.segmentor.backbone.init_cfg), or load_from for all members'
            )


def check_teachers(method: type, teaches: bool, teacher_mode: str, frozen: bool) -> None:
    """Settings of teachers, for a method in which none teaches.

    Raises:
        ValueError: If one is set.
    """
    for key, given in (('teacher_mode', teacher_mode != 'train'), ('frozen_teachers', frozen)):
        if given and not teaches:
            raise ValueError(
                f'model.{key}: no EMA teacher teaches in {method.__name__} with this '
                'model.supervision, so it would be unused; remove it'
            )


def check_joint_forward(method: type, given: Any) -> None:
    """The setting ``joint_forward``, which a method with one batch in a step leaves unused.

    Raises:
        ValueError: If it is unknown, or set for such a method.
    """
    settings.check_choice('model.joint_forward', given, JOINT)
    if given != JOINT[-1] and not method.joins_batches:  # type: ignore[attr-defined]
        raise ValueError(
            f'model.joint_forward: {method.__name__} has no two batches that could share a pass, '
            'so it would be unused; remove it'
        )


def check_labels_read(method: type, augmentation: StrongAugmentation) -> None:
    """Steps that read pseudo-labels, for a method that makes none.

    Raises:
        ValueError: If there is one.
    """
    if augmentation.reads_label and not method.uses_pseudo_labels:  # type: ignore[attr-defined]
        raise ValueError(
            f'model.strong_augmentation: {method.__name__} makes no pseudo-labels to cut along; '
            'put CutMixing in the place of ClassMixing'
        )


def check_augmentation(method: Any, augmentation: StrongAugmentation) -> None:
    """:func:`check_labels_read`, and a warning of steps that the channels leave without effect.

    Args:
        method (SemiSegmentor): With its networks.
        augmentation (StrongAugmentation): Its strong view.

    Raises:
        ValueError: See :func:`check_labels_read`; also for views of half of the images, or with
            parts of labelled ones, which the method does not take.
    """
    check_labels_read(type(method), augmentation)
    if augmentation.halves and not method.takes_halves:
        raise ValueError(
            f'model.strong_augmentation: {type(method).__name__} needs views of all images of the '
            'batch; use partner="next" or "flipped" in the place of "second_half"'
        )
    if augmentation.takes_labeled and not method.takes_labeled:
        raise ValueError(
            f'model.strong_augmentation: {type(method).__name__} mixes unlabelled images alone; '
            'use partner="next" or "flipped" in the place of "labeled"'
        )
    channels, idle = input_channels(method), augmentation.rgb_only()
    if idle and channels not in (3, None):
        print_log(
            f'model.strong_augmentation: images have {channels} channel{"s" * (channels != 1)}, so '
            f'these parts do nothing, as they need red, green and blue: {"; ".join(idle)}',
            'current',
            logging.WARNING,
        )


def check_not_mixing(method: Any, part: str) -> None:
    """Steps that mix, for a method that mixes by a part of its own.

    Args:
        method (SemiSegmentor): With its strong view.
        part (str): Place of the part in the config.

    Raises:
        ValueError: If there is one.
    """
    if method.strong_augmentation.mixes:
        raise ValueError(
            f'model.strong_augmentation: {type(method).__name__} mixes by {part}; remove the steps '
            'that mix'
        )


def check_pair(images: Tensor, setting: str, kind: str) -> None:
    """Images of a batch that a part of a method mixes with one another.

    Args:
        images (Tensor): ``(B, C, H, W)``.
        setting (str): Key of the part in ``model``.
        kind (str): ``'labelled'`` or ``'unlabelled'``.

    Raises:
        ValueError: If there is one image alone.
    """
    if len(images) < 2:
        raise ValueError(
            f'model.{setting} mixes the {kind} images of a batch, and there is one: '
            'raise train_dataloader.batch_size so that each GPU has two, or set '
            f'model.{setting}=False'
        )


def class_map_head(segmentor: Any) -> Any:
    """The decode head of a segmentor, which must give class maps.

    Args:
        segmentor (BaseSegmentor): Member of a method that learns from tags.

    Raises:
        ValueError: If the head has no ``class_maps``.
    """
    head = main_head(segmentor)
    if not hasattr(head, 'class_maps'):
        raise ValueError(
            f'model.segmentor.decode_head.type={type(head).__name__} has no class maps, which '
            'learning from tags needs: use ClassMapHead (configs/cam)'
        )
    return head


def with_used_heads(method: type, students: nn.ModuleList) -> nn.ModuleList:
    """The students, if no head of theirs would stay without a loss.

    Auxiliary heads learn from masks alone. Decode heads of a method that does not train them
    (``trains_heads``) are frozen.

    Raises:
        ValueError: If there is an auxiliary head and the method has no labelled images, or trains
            no heads.
    """
    trains = method.trains_heads  # type: ignore[attr-defined]
    labeled = 'labeled' in method.sources and trains  # type: ignore[attr-defined]
    if not labeled and any(getattr(member, 'with_auxiliary_head', False) for member in students):
        cause = 'has no labelled images' if trains else 'trains the backbone alone'
        raise ValueError(
            f'model.segmentor.auxiliary_head: {method.__name__} {cause}, so it would be unused; '
            'set it to None'
        )
    for student in students if not trains else ():
        student.decode_head.requires_grad_(False)
    return students


def input_channels(model: nn.Module) -> Optional[int]:
    """Channels of the images that a network takes: those of its first convolution."""
    first = next((m for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Conv3d))), None)
    return None if first is None else first.in_channels


def allows_channels_last(model: nn.Module) -> bool:
    """Whether a network may be kept in that memory format; a warning if not.

    The compiled ops of mmcv (deformable convolution, PSA mask) take the usual format alone.

    Args:
        model (nn.Module): With all its members.
    """
    ops = {type(m).__name__ for m in model.modules() if type(m).__module__.startswith('mmcv.ops')}
    if ops:
        print_log(
            f'model.channels_last has no effect: {", ".join(sorted(ops))} of mmcv.ops takes the '
            'usual memory format alone; set it to False',
            'current',
            logging.WARNING,
        )
    return not ops


def tags_used(method: type, use_tags: bool) -> bool:
    """The setting ``use_tags``, for a method that makes pseudo-labels of unlabelled images.

    Raises:
        ValueError: If it is set and the method makes none.
    """
    settings.check_choice('model.use_tags', use_tags, (True, False))
    made = method.uses_pseudo_labels and 'unlabeled' in method.sources  # type: ignore[attr-defined]
    if use_tags and not made:
        raise ValueError(
            f'model.use_tags: {method.__name__} makes no pseudo-labels that tags could limit, so '
            'it would be unused; remove it'
        )
    return use_tags


def check_absent(method: type, key: str, given: Any) -> None:
    """Settings of a part that a method does not have.

    Raises:
        ValueError: If there are any.
    """
    if given:
        raise ValueError(
            f'model.{key}: {method.__name__} has none, so it would be unused; remove it'
        )
