# Copyright (c) mmseg_ctt contributors.
"""The floor of a step: its network passes alone, under a mean of the logits, and backward."""

from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, Callable, List, Sequence, Set
from unittest.mock import patch

import torch
from mmengine.optim import OptimWrapper
from mmseg.models.segmentors import BaseSegmentor
from torch import Tensor, nn

from .networks import head_calls, heads_of


@dataclass
class HeadCall:
    """A head run on the first ``rows`` images of a pass."""

    head: nn.Module
    method: str
    rows: int


@dataclass
class Pass:
    """One run of a backbone, and of the heads that read its features."""

    network: BaseSegmentor
    images: Tensor
    learns: bool
    storages: Set[int]
    heads: List[HeadCall] = field(default_factory=list)

    def run(self) -> List[Tensor]:
        """Logits of all heads; the features where a part of the method alone reads them."""
        features = self.network.extract_feat(self.images)
        logits = []
        for call in self.heads:
            output = getattr(call.head, call.method)([_rows(f, call.rows) for f in features])
            logits.append(output[0] if isinstance(output, tuple) else output)
        return logits or list(features)


def record_passes(networks: List[BaseSegmentor], step: Callable[[], Any]) -> List[Pass]:
    """Which network passes a step makes: members, batches, gradient, heads.

    Args:
        networks (list[BaseSegmentor]): Every segmentor of the model.
        step (Callable): Runs one step.

    Returns:
        list[Pass]: In the order of the step, with the images that it used.
    """
    recorder = _Recorder()
    with ExitStack() as undo:
        for network in networks:
            undo.enter_context(patch.object(network, 'extract_feat', recorder.features_of(network)))
            for head in heads_of(network):
                for _, name in head_calls(head):
                    undo.enter_context(
                        patch.object(head, name, recorder.output_of(network, head, name))
                    )
        step()
    return recorder.passes


def run_floor(passes: List[Pass], model: nn.Module, optim_wrapper: OptimWrapper) -> None:
    """Repeat the passes, with the step's autocast, and go backward from the mean logits.

    The modes (train, eval) are those the modules are in. Gradients are left in place.
    """
    total: Any = 0
    with optim_wrapper.optim_context(model):
        for pass_ in passes:
            with torch.set_grad_enabled(pass_.learns):
                logits = pass_.run()
            if pass_.learns:
                total = total + sum(output.float().mean() for output in logits)
    total.backward()


class _Recorder:
    """Notes the calls of networks; a head's own calls of itself are part of the outer one."""

    def __init__(self) -> None:
        self.passes: List[Pass] = []
        self.in_head = False

    def features_of(self, network: BaseSegmentor) -> Callable:
        original = network.extract_feat

        @wraps(original)
        def extract_feat(images: Tensor):
            features = original(images)
            self.passes.append(
                Pass(
                    network, images.detach(), torch.is_grad_enabled(), set(map(_storage, features))
                )
            )
            return features

        return extract_feat

    def output_of(self, network: BaseSegmentor, head: nn.Module, name: str) -> Callable:
        original = getattr(head, name)

        @wraps(original)
        def call(features):
            if self.in_head:
                return original(features)
            self._source(network, features).heads.append(HeadCall(head, name, len(features[0])))
            self.in_head = True
            try:
                return original(features)
            finally:
                self.in_head = False

        return call

    def _source(self, network: BaseSegmentor, features: Sequence[Tensor]) -> Pass:
        """The pass whose features a head reads; perturbed copies count for the last one."""
        own = [pass_ for pass_ in reversed(self.passes) if pass_.network is network]
        read = set(map(_storage, features))
        return next((pass_ for pass_ in own if pass_.storages & read), own[0])


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _rows(feature: Tensor, rows: int) -> Tensor:
    """The first rows; a head that was given more, such as perturbed copies, gets copies."""
    if rows > len(feature):
        feature = torch.cat([feature] * -(-rows // len(feature)))
    return feature[:rows]
