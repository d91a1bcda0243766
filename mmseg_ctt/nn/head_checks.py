# Copyright (c) mmseg_ctt contributors.
"""Checks of the heads and losses of a network, whose mistakes mmseg does not report by name."""

from typing import Any, Dict, Iterator, List, Optional, Tuple

import torch.nn as nn
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.losses import CrossEntropyLoss
from torch import Tensor

MEMBER_GROUPS = 1  # a member is `students.0`, or `old` where it is the only one of its kind


def inner_head(head: Any) -> Any:
    """The head of K-Net that makes its first kernels, which reads maps and has the loss.

    Args:
        head (BaseDecodeHead): Any; another one is returned as it is.
    """
    return getattr(head, 'kernel_generate_head', head)


def config_key(model: nn.Module, path: str) -> str:
    """Key of the config that a module was built from.

    Args:
        model (nn.Module): A method of this package, or a plain segmentor.
        path (str): Of the module in it, such as ``students.0.decode_head``.

    Returns:
        str: ``model.segmentor.decode_head``, or ``model.decode_head`` of a plain segmentor.
    """
    parts = path.split('.') if path else []
    if hasattr(model, 'students') and parts:
        numbered = len(parts) > MEMBER_GROUPS and parts[MEMBER_GROUPS].isdigit()
        parts = ['segmentor', *parts[MEMBER_GROUPS + numbered :]]
    return '.'.join(['model', *parts])


def check_heads(model: nn.Module) -> None:
    """Check losses, class weights and class numbers of all heads of a model to be trained.

    Args:
        model (nn.Module): A method of this package, or a plain segmentor.

    Raises:
        ValueError: Names the key of the head.
    """
    for path, module in model.named_modules():
        key = config_key(model, path)
        if isinstance(module, BaseDecodeHead) and inner_head(module) is module:
            _check_losses(key, module)
            _check_padding(key, module, getattr(model, 'data_preprocessor', None))
        elif not hasattr(module, 'students') and hasattr(module, 'num_classes'):
            _check_segmentor(key, module)


def _check_padding(key: str, head: BaseDecodeHead, preprocessor: Optional[nn.Module]) -> None:
    padding = getattr(preprocessor, 'seg_pad_val', head.ignore_index)
    if padding != head.ignore_index:
        raise ValueError(
            f'data_preprocessor.seg_pad_val={padding}, but {key}.ignore_index={head.ignore_index}: '
            'padding would be trained as a class, make them equal'
        )


def _check_segmentor(key: str, segmentor: nn.Module) -> None:
    decoders = getattr(segmentor, 'decode_head', None)
    for head in decoders if isinstance(decoders, nn.ModuleList) else [decoders]:
        _check_levels(f'{key}.decode_head', head, segmentor)
    heads = getattr(segmentor, 'auxiliary_head', None)
    many = isinstance(heads, nn.ModuleList)
    for i, head in enumerate(heads if many else [heads]):  # type: ignore[arg-type]
        _check_levels(f'{key}.auxiliary_head{f".{i}" if many else ""}', head, segmentor)
        if getattr(type(head), 'loss_by_feat', None) is not BaseDecodeHead.loss_by_feat:
            continue  # it makes targets of its own from the labels
        if head.num_classes != segmentor.num_classes:
            raise ValueError(
                f'{key}.auxiliary_head{f".{i}" if many else ""}.num_classes={head.num_classes}, '
                f'but the decode head has {segmentor.num_classes} classes: make them equal '
                '(sizes.num_classes sets all heads)'
            )


def _check_levels(key: str, head: Optional[nn.Module], segmentor: nn.Module) -> None:
    """Check that the backbone gives the feature maps that a head reads."""
    head = inner_head(head)
    levels = getattr(getattr(segmentor, 'backbone', None), 'out_indices', None)
    if not isinstance(head, BaseDecodeHead) or not isinstance(levels, (list, tuple)):
        return
    if getattr(segmentor, 'with_neck', False):  # which gives other maps
        return
    read = head.in_index if isinstance(head.in_index, (list, tuple)) else [head.in_index]
    for index in read:
        if not -len(levels) <= index < len(levels):
            raise ValueError(
                f'{key}.in_index={head.in_index}, but backbone.out_indices={tuple(levels)} gives '
                f'{len(levels)} feature maps, which are numbered from 0'
            )


def loss_warnings(model: nn.Module) -> List[str]:
    """Settings of losses that train, but probably not as intended.

    Args:
        model (nn.Module): A method of this package, or a plain segmentor.

    Returns:
        list[str]: One line each.
    """
    lines: Dict[str, None] = {}
    for path, head in model.named_modules():
        if isinstance(head, BaseDecodeHead) and inner_head(head) is head:
            for key, term in _terms(config_key(model, path), head):
                lines.update(dict.fromkeys(_cross_entropy_warnings(key, term)))
    return list(lines)


def _cross_entropy_warnings(key: str, term: nn.Module) -> Iterator[str]:
    if not isinstance(term, CrossEntropyLoss) or term.use_sigmoid or term.reduction != 'mean':
        return
    if term.class_weight is not None:
        yield (
            f"{key}: mmseg's CrossEntropyLoss with class_weight ends with an index error at the "
            'first ignored pixel (255, also padding): set type="PixelCrossEntropyLoss", which '
            'takes class_weight'
        )
    elif not term.avg_non_ignore:
        yield (
            f"{key}: mmseg's CrossEntropyLoss divides by ignored pixels too, so that labels count "
            'less the more of a batch is ignored or padded: set avg_non_ignore=True, or '
            'type="PixelCrossEntropyLoss"'
        )


def summed_terms(head: str, terms: Dict[str, Tensor]) -> Dict[str, Tensor]:
    """Losses of a head, which mmengine knows by ``loss`` in their names.

    Args:
        head (str): Its name in the log, such as ``decode``.
        terms (dict[str, Tensor]): What the head computes, among it quantities for the log.

    Returns:
        dict[str, Tensor]: Losses by ``{head}.{term}``.

    Raises:
        ValueError: If a term with a gradient has another name, or there is no loss at all.
    """
    losses = {name: value for name, value in terms.items() if 'loss' in name}
    others = {name: value for name, value in terms.items() if name not in losses}
    unnamed = [name for name, value in others.items() if getattr(value, 'requires_grad', False)]
    if unnamed or not losses:
        raise ValueError(
            f'model.segmentor: the head {head} gives the terms {sorted(terms)}, and only those '
            'with "loss" in their names are trained: '
            + (f'set loss_name="loss_{unnamed[0]}"' if unnamed else 'give it a loss')
        )
    return {f'{head}.{name}': value for name, value in losses.items()}


def _terms(key: str, head: BaseDecodeHead) -> Iterator[Tuple[str, nn.Module]]:
    """Loss terms of a head with their keys."""
    if isinstance(head.loss_decode, nn.ModuleList):
        for i, term in enumerate(head.loss_decode):
            yield f'{key}.loss_decode.{i}', term
    else:
        yield f'{key}.loss_decode', head.loss_decode


def _check_losses(key: str, head: BaseDecodeHead) -> None:
    terms = list(_terms(key, head))
    if not terms:
        raise ValueError(f'{key}.loss_decode is empty: the head would be trained without labels')
    for loss_key, term in terms:
        name = getattr(term, 'loss_name', 'loss')
        if 'loss' not in name:
            raise ValueError(
                f'{loss_key}.loss_name={name!r} has no "loss" in it, and mmengine sums only terms '
                f'that have: the labels would not be trained on. Name it "loss_{name}"'
            )
        softmax = isinstance(term, CrossEntropyLoss) and not term.use_sigmoid
        if softmax and getattr(head, 'out_channels', 2) == 1:
            raise ValueError(
                f'{loss_key}: a softmax over the single channel of {key}.out_channels=1 is always '
                '1: set use_sigmoid=True, or type="PixelCrossEntropyLoss"'
            )
        weight = getattr(term, 'class_weight', None)
        if isinstance(weight, (list, tuple)) and len(weight) != head.num_classes:
            raise ValueError(
                f'{loss_key}.class_weight has {len(weight)} entries for num_classes='
                f'{head.num_classes}: give one for each class'
            )
