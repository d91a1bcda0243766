# Copyright (c) mmseg_ctt contributors.
"""One member, a plain mmseg segmentor: building it, its outputs, its supervised losses."""

import copy
import re
from contextlib import contextmanager, nullcontext
from typing import Any, ContextManager, Dict, Iterator, List, NamedTuple, Optional, Sequence

import torch.nn as nn
import torch.nn.functional as F
from mmengine.config import Config, ConfigDict
from mmengine.model import ModuleList
from mmseg.registry import MODELS
from mmseg.utils import SampleList
from torch import Tensor

from .compiled import classifier_inputs
from .feature_maps import as_list, split_output
from .head_checks import summed_terms
from .heads import (
    check_head_types,
    decode_losses,
    head_losses,
    head_outputs,
    main_head,
    predicting_map,
)
from .loss_maps import loss_maps
from .perturbation import Perturbation
from .recomputing import recompute_within_backward
from .repeated_pass import kept_activations

UNKNOWN = re.compile(r"unexpected keyword argument '(\w+)'")
Segmentor = Any  # of mmseg; for a checker of types the attributes of a module are unknown


class PixelOutput(NamedTuple):
    """Output of a member for a batch.

    Attributes:
        logits (Tensor): ``(B, K, h, w)`` at the stride of the head.
        embedding (Tensor, optional): ``(B, D, h, w)``, input of the classifier (dropout
            included); None where the method does not read it.
        features (list): Levels of backbone and neck, see :mod:`.feature_maps`; empty where neither
            a loss nor the method reads them.
        heads (list, optional): Outputs of all decode heads as their losses read them, where that
            is more or other than ``logits``.
    """

    logits: Tensor
    embedding: Optional[Tensor]
    features: List[Any]
    heads: Optional[List[Any]] = None

    def split(self, sizes: Sequence[int]) -> List['PixelOutput']:
        """The outputs of consecutive parts of the batch.

        Split, not sliced: the gradient of a slice is padded into a tensor of the default memory
        format, which makes the backward pass of a channels-last network convert it.
        """
        parts = (split_output(part, sizes) for part in (self.logits, self.embedding))
        features = [split_output(level, sizes) for level in self.features]
        logits, embedding = parts
        heads = split_output(self.heads, sizes)
        return [
            PixelOutput(logits[i], embedding[i], [level[i] for level in features], heads[i])
            for i in range(len(sizes))
        ]

    def pooled(self, side: int) -> 'PixelOutput':
        """Logits and embedding averaged over squares of ``side`` pixels."""
        if side == 1:
            return self
        assert self.embedding is not None
        logits, embedding = (
            F.avg_pool2d(map_, side, ceil_mode=True) for map_ in (self.logits, self.embedding)
        )
        return self._replace(logits=logits, embedding=embedding)

    def zero_loss(self) -> Tensor:
        """0 in float32 under any autocast, attached to the graph whatever the maps hold."""
        read = self.logits if self.embedding is None else self.embedding
        return read[:0].float().sum()


def build_member(
    segmentor: dict,
    override: Optional[dict] = None,
    embedding: bool = True,
    one_channel: bool = False,
) -> nn.Module:
    """Build a segmentor from the common config and the changes of one member.

    Args:
        segmentor (dict): Config of a plain mmseg segmentor.
        override (dict, optional): Merged into it, e.g. another ``backbone.init_cfg``.
        embedding (bool): Whether the method reads pixel embeddings. Defaults to True.
        one_channel (bool): Whether the method takes a head of a single (sigmoid) channel.
            Defaults to False.

    Raises:
        ValueError: If the head has a single output channel and the method does not take it, or
            embeddings are read and it has no classifier to take them from.
    """
    cfg = ConfigDict(copy.deepcopy(dict(segmentor)))
    if override:
        cfg = Config._merge_a_into_b(ConfigDict(override), cfg)
    cfg.pop('data_preprocessor', None)  # the wrapper normalises once for all members
    check_head_types(cfg.get('decode_head'))
    member = _built(cfg)
    recompute_within_backward(member)
    head = main_head(member)
    if embedding and not isinstance(getattr(head, 'conv_seg', None), nn.Module):
        raise ValueError(
            f'model.segmentor: {type(head).__name__} has no `conv_seg` classifier to '
            'take the pixel embedding from, which this method contrasts: use another head, or a '
            'method without contrast (docs/reference/networks.md)'
        )
    if getattr(head, 'out_channels', 2) < 2 and not (one_channel and head.num_classes == 2):
        raise ValueError(
            'model.segmentor.decode_head.out_channels=1 (sigmoid) has no class '
            'probabilities to compare; set out_channels=num_classes=2'
        )
    return member


def _built(cfg: ConfigDict) -> Segmentor:
    """The segmentor; the part with a setting that its class lacks is named."""
    try:
        return MODELS.build(cfg)
    except TypeError as error:
        found = UNKNOWN.search(str(error))
        if found is None:
            raise
        parts = [name for name, part in cfg.items() if isinstance(part, dict) and found[1] in part]
        key = '.'.join(['model.segmentor', *parts[:1]])
        kind = cfg[parts[0]].get('type') if parts else 'a part'
        bands = " (BandMobileNetV2 does, for images of other bands: type='BandMobileNetV2')"
        raise TypeError(
            f'{key}: {kind} takes no {found[1]!r}'
            f'{bands if (kind, found[1]) == ("MobileNetV2", "in_channels") else ""}: correct it, '
            'or, if it comes from another network that the config inherits, put _delete_=True there'
        ) from error


def build_students(
    segmentor: dict,
    num: int,
    overrides: Optional[Sequence[Optional[dict]]] = None,
    embedding: bool = True,
    one_channel: bool = False,
) -> ModuleList:
    """Students of one config, each with its own changes.

    Args:
        segmentor (dict): As in :func:`build_member`.
        num (int): Number of students.
        overrides (Sequence[dict], optional): One dict (or None) a student. Defaults to None.
        embedding (bool): As in :func:`build_member`. Defaults to True.
        one_channel (bool): As in :func:`build_member`. Defaults to False.

    Raises:
        ValueError: If their number is another, or they change what all students share.
    """
    overrides = list(overrides or [None] * num)
    if len(overrides) != num:
        raise ValueError(
            f'model.student_overrides has {len(overrides)} entries for '
            f'num_pairs={num} students; give one dict each'
        )
    for i, override in enumerate(overrides):
        if override and 'data_preprocessor' in override:
            raise ValueError(
                f'model.student_overrides[{i}].data_preprocessor: all members see '
                'the same images; set model.segmentor.data_preprocessor'
            )
    students = [build_member(segmentor, override, embedding, one_channel) for override in overrides]
    for key in ('num_classes', 'align_corners'):
        values = [getattr(student, key) for student in students]
        if len(set(values)) > 1:
            raise ValueError(
                f'students of different {key} {values}: model.student_overrides '
                f'must not change decode_head.{key}'
            )
    return ModuleList(students)


def forward_member(
    member: Segmentor, image: Tensor, embedding: bool = True, perturb: Optional[Perturbation] = None
) -> PixelOutput:
    """Logits, embedding and features of normalised images.

    The embedding is the input of the head's last 1x1 convolution, the one point that all mmseg
    heads share, unless the head has a method ``forward_with_embedding``. The embedding is
    returned; the module keeps no reference.

    Args:
        member (BaseSegmentor): The segmentor.
        image (Tensor): ``(B, 3, H, W)``.
        embedding (bool): Whether the embedding is needed. Defaults to True.
        perturb (Callable, optional): Changes the list of feature maps before the head reads it.

    Raises:
        ValueError: If an embedding is needed and the head does not call its classifier once, or
            the head gives more than one map of logits.
    """
    features = as_list(member.extract_feat(image))
    return decode(member, features if perturb is None else perturb(features), embedding)


def decode(member: Segmentor, features: List[Any], embedding: bool = True) -> PixelOutput:
    """The same from feature maps; see :func:`forward_member`."""
    head = main_head(member)
    if projects(member):
        logits, projected = head.forward_with_embedding(features)
        read = [projected] if getattr(head, 'loss_reads_embedding', False) else None
        return PixelOutput(logits, projected, features, read)
    noted: ContextManager = classifier_inputs(head) if embedding else nullcontext([])
    with noted as inputs:
        outputs = head_outputs(member, features)
    if embedding and len(inputs) != 1:
        raise ValueError(
            f'model.segmentor: {type(head).__name__} called its '
            f'classifier {len(inputs)} times; exactly one call gives an embedding'
        )
    logits = predicting_map(head, outputs[-1])
    alone = outputs[-1] is logits and len(outputs) == 1
    heads = None if alone else outputs
    return PixelOutput(logits, inputs[0] if embedding else None, features, heads)


@contextmanager
def constant_weights(module: nn.Module) -> Iterator[None]:
    """Passes in the ``with`` block give a gradient to their input and none to the weights.

    They keep their activations: computed again after the block, they would give the weights one.
    """
    trained = [weight for weight in module.parameters() if weight.requires_grad]
    for weight in trained:
        weight.requires_grad_(False)
    try:
        with kept_activations(module):
            yield
    finally:
        for weight in trained:
            weight.requires_grad_(True)


@contextmanager
def eval_mode(module: nn.Module) -> Iterator[None]:
    """Passes in the ``with`` block are those of eval mode; each layer has its mode back after."""
    training = [layer for layer in module.modules() if layer.training]
    module.eval()
    try:
        yield
    finally:
        for layer in training:
            layer.training = True


def projects(member: Segmentor) -> bool:
    """Whether the head makes the embedding by layers of its own, which the logits do not need."""
    return hasattr(main_head(member), 'forward_with_embedding')


def supervised_losses(
    member: Segmentor, output: PixelOutput, samples: SampleList
) -> Dict[str, Tensor]:
    """Losses of the decode head and the auxiliary heads, as the member's config defines them.

    Args:
        member (BaseSegmentor): The segmentor.
        output (PixelOutput): Its output for labelled images.
        samples (list[SegDataSample]): Their labels ``gt_sem_seg`` ``(1, H, W)``, and maps that the
            losses read.

    Returns:
        dict[str, Tensor]: Scalars, ``decode.loss_ce`` and the like.
    """
    outputs = [output.logits] if output.heads is None else output.heads
    heads = getattr(member, 'auxiliary_head', None)
    heads = heads if isinstance(heads, nn.ModuleList) else [heads] if heads is not None else []
    with loss_maps(member, samples):
        losses = decode_losses(member, outputs, output.features, samples)
        for i, head in enumerate(heads):
            terms = head_losses(head, head(output.features), samples)
            losses.update(summed_terms(f'aux{i}', terms))
    return losses
