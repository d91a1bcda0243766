# Copyright (c) mmseg_ctt contributors.
"""Class probabilities of the members of a run for one image, one member at a time."""

from contextlib import contextmanager
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence

import torch
from mmengine.dataset import pseudo_collate
from mmengine.model import BaseModel
from torch import Tensor, nn

from ...methods.base import SemiSegmentor
from ...nn.heads import main_head

PLAIN_MODEL = 'model'  # name of the only network of a plain segmentor


def all_members(model: BaseModel) -> List[str]:
    """Networks that predict, without their ensemble."""
    return list(model.member_names[:-1]) if isinstance(model, SemiSegmentor) else [PLAIN_MODEL]


def compared_members(model: BaseModel) -> List[str]:
    """Networks whose disagreement counts.

    The teachers (the students where a method has no teachers); of a single pair, the student and
    its teacher; else the only network.
    """
    if not isinstance(model, SemiSegmentor):
        return [PLAIN_MODEL]
    averaged = model.ensemble_members
    return list(averaged) if len(averaged) > 1 else all_members(model)


class Prediction(NamedTuple):
    """What a member predicts for an image, at the size of the network's input, without padding.

    Attributes:
        name (str): Name of the member.
        probability (Tensor): ``(K, h, w)`` float32. A single (sigmoid) channel gives two classes.
        label (Tensor): ``(h, w)`` int64 classes; of a single channel by the threshold of the head.
    """

    name: str
    probability: Tensor
    label: Tensor


class MemberPass:
    """Passes of members over single images.

    Args:
        model (BaseModel): Of :func:`mmseg_ctt.deploy.checkpoint.load_network`.
        names (Sequence[str]): Members.
        embed (bool): Whether the first one's mean embedding is kept. Defaults to False.

    Attributes:
        embedding (Tensor | None): ``(D,)`` float32, mean of the last feature map of the backbone
            over the last image (over its windows, where it is predicted in windows).
    """

    def __init__(self, model: BaseModel, names: Sequence[str], embed: bool = False) -> None:
        self.model, self.names, self.embed = model, list(names), embed
        self.embedding: Optional[Tensor] = None

    @torch.inference_mode()
    def predictions(self, data: Dict[str, Any]) -> Iterator[Prediction]:
        """Predictions of every member, one after the other.

        Args:
            data (dict): ``inputs`` and ``data_samples`` of one image.

        Yields:
            Prediction: Of a member.
        """
        batch = self.model.data_preprocessor(pseudo_collate([data]), False)
        meta = batch['data_samples'][0].metainfo
        for i, name in enumerate(self.names):
            network = self.model if name == PLAIN_MODEL else self.model.member(name)
            with pooled_features(network.backbone, self.embed and i == 0) as pooled:
                logits = network.inference(batch['inputs'], [meta])
            if pooled:
                self.embedding = torch.cat(pooled).mean(dim=0).cpu()
            yield _prediction(name, network, _unpadded(logits, meta))


@contextmanager
def pooled_features(backbone: nn.Module, on: bool) -> Iterator[List[Tensor]]:
    """List that gets :func:`mean_feature` of every pass of a backbone in the ``with`` block."""
    pooled: List[Tensor] = []
    if not on:
        yield pooled
        return
    handle = backbone.register_forward_hook(
        lambda _module, _inputs, output: pooled.append(mean_feature(output))
    )
    try:
        yield pooled
    finally:
        handle.remove()


def mean_feature(output: Any) -> Tensor:
    """Mean over the positions of the last feature map of a backbone.

    Args:
        output (Tensor | Sequence): ``(B, D, h, w)`` or ``(B, N, D)``, or several, the last of which
            is read; where that is several maps, their first.

    Returns:
        Tensor: ``(B, D)`` float32.
    """
    while isinstance(output, (list, tuple)):
        output = output[-1] if isinstance(output[-1], Tensor) else output[-1][0]
    return output.float().mean(dim=(2, 3) if output.dim() == 4 else 1)


def _unpadded(logits: Tensor, meta: Dict[str, Any]) -> Tensor:
    left, right, top, bottom = meta.get('img_padding_size', meta.get('padding_size', [0] * 4))
    height, width = logits.shape[2:]
    return logits[0, :, top : height - bottom, left : width - right].float()


def _prediction(name: str, network: Any, logits: Tensor) -> Prediction:
    if logits.shape[0] > 1:
        probability = logits.softmax(dim=0)
        return Prediction(name, probability, probability.argmax(dim=0))
    foreground = logits.sigmoid()
    threshold = getattr(main_head(network), 'threshold', None)  # mmseg's default is 0.3
    label = (foreground[0] > (0.5 if threshold is None else threshold)).long()
    return Prediction(name, torch.cat([1 - foreground, foreground]), label)
