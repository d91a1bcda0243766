# Copyright (c) mmseg_ctt contributors.
"""Loss terms that read maps of the samples besides the labels, such as a weight of each pixel.

A head of mmseg hands its loss the logits and the labels. Around it, :func:`loss_maps` gives each
term of the heads the maps that it names. Importing this module extends ``EncoderDecoder.loss`` of
mmseg by it, so that such terms work in every head of a plain segmentor; the methods of this package
use it for each student.
"""

from contextlib import contextmanager
from functools import wraps
from typing import Any, Dict, Iterator, Tuple

import torch.nn as nn
from mmseg.models.segmentors import EncoderDecoder
from mmseg.utils import SampleList
from torch import Tensor

from .head_checks import inner_head
from .padding import stacked_maps


class MapLoss(nn.Module):
    """A loss term that reads maps of the samples.

    Attributes:
        map_names (tuple[str, ...]): Fields of the samples, such as ``consensus_margin``.
    """

    map_names: Tuple[str, ...] = ()

    def __init__(self) -> None:
        super().__init__()
        self.given: Dict[str, Tensor] = {}  # of one call of the loss; never kept

    def map(self, name: str, label: Tensor) -> Tensor:
        """``(B, C, H, W)`` map of the samples whose labels the head hands over.

        Args:
            name (str): One of :attr:`map_names`.
            label (Tensor): ``(B, H, W)``.

        Raises:
            ValueError: If the loss is called outside :func:`loss_maps`, or the head makes labels
                of its own from those of the samples.
        """
        found = self.given.get(name)
        kind = type(self).__name__
        if found is None:
            raise ValueError(
                f'{kind} reads the map {name} of the samples, which this segmentor does not hand '
                'over: use EncoderDecoder, CascadeEncoderDecoder or a method of this package'
            )
        if found.shape[:1] + found.shape[2:] != label.shape:
            raise ValueError(
                f'{kind} reads the map {name} of {tuple(found.shape)}, but its head has labels of '
                f'{tuple(label.shape)}, which it made itself: use another loss there'
            )
        return found


@contextmanager
def loss_maps(segmentor: Any, samples: SampleList) -> Iterator[None]:
    """Losses of a segmentor in the ``with`` block have the maps of these samples.

    Args:
        segmentor (BaseSegmentor): Its decode and auxiliary heads are searched.
        samples (list[SegDataSample]): Labelled, with all maps that the losses name.

    Raises:
        ValueError: If a sample has no such map.
    """
    terms = [term for term in _terms(segmentor) if isinstance(term, MapLoss) and term.map_names]
    try:
        for term in terms:
            term.given = {name: _map_of(samples, name, term) for name in term.map_names}
        yield
    finally:
        for term in terms:
            term.given = {}


def map_names(segmentor: Any) -> Tuple[str, ...]:
    """Names of all maps that the losses of a segmentor read."""
    read = [term.map_names for term in _terms(segmentor) if isinstance(term, MapLoss)]
    return tuple(dict.fromkeys(name for names in read for name in names))


def _terms(segmentor: Any) -> Iterator[nn.Module]:
    for name in ('decode_head', 'auxiliary_head'):
        heads = getattr(segmentor, name, None)
        for head in heads if isinstance(heads, nn.ModuleList) else [heads]:
            terms = getattr(inner_head(head), 'loss_decode', None)
            yield from terms if isinstance(terms, nn.ModuleList) else [terms] if terms else []


def _map_of(samples: SampleList, name: str, term: nn.Module) -> Tensor:
    if any(sample.get(name) is None for sample in samples):
        raise ValueError(
            f'{type(term).__name__} reads the map {name}, which a labelled sample has not: load it '
            f"(LoadMultiRaterAnnotations) and pack it with PackSemiSegInputs(maps=('{name}',)) in "
            'the pipeline of the labelled images'
        )
    return stacked_maps(samples, name, tuple(samples[0].gt_sem_seg.shape[-2:]))


_loss = EncoderDecoder.loss


@wraps(_loss)
def _loss_with_maps(self: EncoderDecoder, inputs: Tensor, data_samples: SampleList) -> dict:
    """``EncoderDecoder.loss`` of mmseg inside :func:`loss_maps`."""
    with loss_maps(self, data_samples):
        return _loss(self, inputs, data_samples)


EncoderDecoder.loss = _loss_with_maps
