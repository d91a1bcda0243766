# Copyright (c) mmseg_ctt contributors.
"""Decode head that predicts the bits of an error-correcting code."""

from functools import lru_cache
from inspect import signature
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import torch
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.utils import resize
from mmseg.registry import MODELS
from mmseg.utils import SampleList
from torch import Tensor, nn

from ...functional.precision import full_precision
from ...nn import settings
from ...nn.heads import labels_of
from .functional import code_distance, code_loss, distance_scores, likelihood_scores, max_min_code
from .functional import words_of as words_of_labels

KEY = 'model.segmentor.decode_head'
SCORES = dict(distance=distance_scores, likelihood=likelihood_scores)
LOSSES = ('bits', 'distance', 'contrast')
PLAIN_LOSS = 'PixelCrossEntropyLoss'
searched_code = lru_cache(maxsize=None)(max_min_code)


@MODELS.register_module()
class CodeHead(BaseDecodeHead):
    """Any decode head whose classifier predicts the bits of class words (ECOCSeg).

    Its output are class logits ``(B, K, h, w)``, so that it is evaluated and used as any head; the
    pixel embedding are the logits of the ``M`` bits. On labels it learns the bits by
    :func:`code_loss`. Buffer ``code`` ``(K, M)`` int8, 1 or -1.

    Args:
        head (dict): Config of a decode head of mmseg or of this package that gives one map.
        num_classes (int): ``K``.
        num_bits (int): ``M``. Defaults to 40 (released code for 19 classes).
        code (Sequence[Sequence[int]], optional): Words of the classes, ``K`` lists of ``M`` bits, 0
            or 1. Defaults to None: :func:`max_min_code`.
        seed (int): Of the search of the code. Defaults to 0.
        scores (str): Class logits: ``'distance'``: negative soft Hamming distance (paper);
            ``'likelihood'``: log-likelihood, which is linear, so that an exported model is a plain
            head (ours). Defaults to 'distance'.
        loss_weights (dict, optional): ``bits``, ``distance``, ``contrast`` of :func:`code_loss`.
            Defaults to None: 1, 5, 2 (released code).
        temperature (float): Of the contrast. Defaults to 0.5 (released code).
        all_words (bool): See :func:`code_loss`. Defaults to False.

    Raises:
        TypeError: If a setting is of a wrong type.
        ValueError: If the code does not fit the classes, two words are equal, or the head has
            losses of its own.
    """

    loss_reads_embedding = True  # instead of the class logits
    export_keeps = True  # an exported model needs this package, unless scores are linear
    code: Tensor

    def __init__(
        self,
        head: dict,
        num_classes: int,
        num_bits: int = 40,
        code: Optional[Sequence[Sequence[int]]] = None,
        seed: int = 0,
        scores: str = 'distance',
        loss_weights: Optional[dict] = None,
        temperature: float = 0.5,
        all_words: bool = False,
    ) -> None:
        settings.check_number(f'{KEY}.code.num_bits', num_bits, 1, whole=True)
        settings.check_choice(f'{KEY}.code.scores', scores, tuple(SCORES))
        settings.check_choice(f'{KEY}.code.all_words', all_words, (True, False))
        settings.check_number(f'{KEY}.code.temperature', temperature, 1e-6)
        words = searched_code(num_classes, num_bits, seed=seed) if code is None else checked(code)
        inner = MODELS.build(_inner(head, words.shape[1]))
        super().__init__(
            1,
            inner.channels,
            num_classes=num_classes,
            dropout_ratio=0,
            align_corners=inner.align_corners,
            ignore_index=inner.ignore_index,
            loss_decode=dict(type=PLAIN_LOSS),
            init_cfg=None,
        )
        if len(words) != num_classes:
            raise ValueError(f'{KEY}.code.code has {len(words)} words for {num_classes} classes')
        del self.conv_seg  # that of the inner head
        for name in ('in_channels', 'in_index', 'input_transform', 'norm_cfg'):
            setattr(self, name, getattr(inner, name))
        self.head, self.scores = inner, scores
        self.register_buffer('code', words.clone())
        self.loss_weights = loss_weights_of(loss_weights)
        self.temperature, self.all_words = temperature, all_words

    @property
    def conv_seg(self) -> nn.Module:
        """Classifier of the bits."""
        return self.head.conv_seg

    @property
    def embedding_dim(self) -> int:
        """``M``."""
        return self.code.shape[1]

    def forward(self, inputs: Any) -> Tensor:
        """Class logits ``(B, K, h, w)``, float32."""
        return self.forward_with_embedding(inputs)[0]

    def forward_with_embedding(self, inputs: Any) -> Tuple[Tensor, Tensor]:
        """Class logits and the logits of the bits ``(B, M, h, w)``."""
        bits = self.head(inputs)
        if not isinstance(bits, Tensor):
            raise ValueError(
                f'{KEY}: {type(self.head).__name__} gives a {type(bits).__name__}, not one map of '
                'logits; use a head that gives one'
            )
        return SCORES[self.scores](bits, self.code), bits

    def loss(self, inputs: Any, batch_data_samples: SampleList, train_cfg: Any) -> Dict:
        """Losses of labelled images, as mmseg calls them."""
        return self.loss_by_feat(self.forward_with_embedding(inputs)[1], batch_data_samples)

    def loss_by_feat(self, seg_logits: Tensor, batch_data_samples: SampleList) -> Dict[str, Tensor]:
        """Loss of bits, mean over labelled pixels.

        Args:
            seg_logits (Tensor): ``(B, M, h, w)`` logits of bits.
            batch_data_samples (list[SegDataSample]): Labels ``gt_sem_seg`` ``(1, H, W)``.
        """
        label = labels_of(batch_data_samples)
        target = words_of_labels(label, self.code, self.ignore_index)
        loss = self.pixel_loss(seg_logits, target, label)
        number = (label != self.ignore_index).sum().clamp(min=1)
        return dict(loss_code=loss.sum() / number)

    def pixel_loss(self, bits: Tensor, target: Tensor, label: Tensor) -> Tensor:
        """:func:`code_loss` of bits that are up-sampled to the target.

        Args:
            bits (Tensor): ``(B, M, h, w)`` logits.
            target (Tensor): ``(B, M, H, W)`` int8, 1, -1 or 0 for none.
            label (Tensor): ``(B, H, W)`` int64; 0 is taken where it is ``ignore_index``.

        Returns:
            Tensor: ``(B, H, W)`` float32.
        """
        label = label.masked_fill(label == self.ignore_index, 0)
        return code_loss(
            self.at_size(bits, label.shape[1:]),
            target,
            self.code,
            label,
            self.loss_weights,
            self.temperature,
            self.all_words,
        )

    def at_size(self, map_: Tensor, size: Sequence[int]) -> Tensor:
        """A map ``(B, C, h, w)`` up-sampled to ``(H, W)``, float32."""
        map_ = full_precision(map_)
        return resize(map_, tuple(size), mode='bilinear', align_corners=self.align_corners)


def with_code(segmentor: Any) -> dict:
    """Config of a segmentor whose decode head predicts bits.

    Args:
        segmentor (Mapping): Config of a plain segmentor; ``decode_head.code`` may hold settings of
            :class:`CodeHead`.

    Raises:
        TypeError: If the code is no dict of settings.
        ValueError: If there is no decode head, or more than one.
    """
    head = segmentor.get('decode_head')
    if not isinstance(head, Mapping):
        raise ValueError(f'{KEY} must be the config of one head for ECOCSeg, got {head!r}')
    inner = dict(head)
    whole = inner.get('type') in ('CodeHead', CodeHead)
    if whole and not isinstance(inner.get('code'), Mapping):
        return dict(segmentor)
    given = settings.as_dict(f'{KEY}.code', inner.pop('code', None))
    if whole:
        return {**segmentor, 'decode_head': {**inner, **given}}
    if 'num_classes' not in inner:
        raise ValueError(f'{KEY}.num_classes is missing')
    own = dict(type='CodeHead', num_classes=inner.pop('num_classes'), head=inner)
    settings.check_settings(f'{KEY}.code', given, CodeHead, ('head', 'num_classes'))
    return {**segmentor, 'decode_head': {**own, **given}}


def checked(code: Any) -> Tensor:
    """``(K, M)`` int8 of the lists of a config.

    Raises:
        TypeError: If they are no lists of bits of equal length.
        ValueError: If two words are equal.
    """
    rows: List[Sequence[int]] = list(code) if isinstance(code, (list, tuple)) else []
    lengths = {len(row) if isinstance(row, (list, tuple)) else 0 for row in rows}
    bits = {bit for row in rows if isinstance(row, (list, tuple)) for bit in row}
    if len(lengths) != 1 or 0 in lengths or bits - {0, 1}:
        raise TypeError(f'{KEY}.code.code must be a list of bits, 0 or 1, for each class')
    words = torch.tensor([list(row) for row in rows], dtype=torch.int8) * 2 - 1
    if len(rows) > 1 and code_distance(words) == 0:
        raise ValueError(f'{KEY}.code.code has two equal words: classes need different ones')
    return words


def loss_weights_of(given: Optional[dict]) -> Tuple[float, float, float]:
    """Weights of the parts of the loss, in their order.

    Raises:
        TypeError: If a weight is no number.
        ValueError: For an unknown part, or a negative weight.
    """
    key = f'{KEY}.code.loss_weights'
    weights = settings.merged(key, dict(bits=1.0, distance=5.0, contrast=2.0), given)
    settings.check_keys(key, weights, LOSSES, 'parts')
    for name, weight in weights.items():
        settings.check_number(f'{key}.{name}', weight, 0)
    return weights['bits'], weights['distance'], weights['contrast']


def _inner(head: Mapping, num_bits: int) -> dict:
    """Config of the head of bits, without a projection, which no loss would read.

    Its own loss is never called; one that a config changes is refused.
    """
    given = head.get('loss_decode') or dict(type=PLAIN_LOSS)
    plain = isinstance(given, Mapping) and given.get('type') in (PLAIN_LOSS, 'CrossEntropyLoss')
    plain = plain and not any(given.get(key) for key in ('class_weight', 'weight_map'))
    if not plain or head.get('sampler'):
        raise ValueError(
            f'{KEY}: the head learns bits by a loss of its own, so that loss_decode, class weights '
            f'and a sampler would be unused; set loss_decode=dict(type={PLAIN_LOSS!r}), and '
            f'weights in {KEY}.code.loss_weights'
        )
    inner = dict(head, num_classes=num_bits, loss_decode=dict(type=PLAIN_LOSS))
    kind = MODELS.get(head['type']) if isinstance(head.get('type'), str) else head.get('type')
    if kind is not None and 'embedding_dim' in signature(kind).parameters:
        inner['embedding_dim'] = None
    return inner
