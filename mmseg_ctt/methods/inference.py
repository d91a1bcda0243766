# Copyright (c) mmseg_ctt contributors.
"""What mmseg's tools call: inference by one member or by all of them, and the sum of losses."""

from typing import Any, Dict, Iterator, List, Sequence, Tuple

import torch
from mmseg.models.segmentors.base import BaseSegmentor
from mmseg.structures import SegDataSample
from mmseg.utils import OptSampleList, SampleList
from torch import Tensor

from ..nn.heads import main_head
from ..nn.label_map import fill_sample, original_size


class PredictingMembers(BaseSegmentor):
    """Predictions by ``predict_on``, for a segmentor that has ``member_names`` and ``member``."""

    @property
    def predict_on(self) -> str:
        """Member that predictions come from."""
        return self._predict_on

    @predict_on.setter
    def predict_on(self, name: str) -> None:
        if name not in self.member_names:
            raise ValueError(
                f'model.test_cfg.predict_on={name!r} is not a member; choose from '
                f'{", ".join(self.member_names)}'
            )
        self._predict_on = name

    def predicting_members(self) -> List[Any]:
        """The segmentors whose mean probability is the prediction."""
        chosen = self.ensemble_members if self.predict_on == 'ensemble' else [self.predict_on]
        return [self.member(name) for name in chosen]

    @property
    def ensemble_members(self) -> List[str]:
        """Members that the ensemble averages: the teachers that predict, else the students."""
        names = self.member_names[:-1]
        teachers = [name for name in names if name.startswith('teacher')]
        return teachers or [name for name in names if name.startswith('student')]

    def predict(self, inputs: Tensor, data_samples: OptSampleList = None) -> SampleList:
        """Predict by ``predict_on``; see :meth:`mmseg.models.EncoderDecoder.predict`."""
        logits = self.inference(inputs, _metas(inputs, data_samples))
        return self.postprocess_result(logits, data_samples)

    def predict_each(
        self, inputs: Tensor, data_samples: SampleList
    ) -> Iterator[Tuple[str, SampleList]]:
        """Predictions of every member and the ensemble, each network run once.

        They come one after the other, so that the maps of one member are in memory at a time.

        Args:
            inputs (Tensor): ``(B, 3, H, W)``, normalised.
            data_samples (list[SegDataSample]): Their samples, left unchanged.

        Yields:
            tuple: Name of the member and its ``list[SegDataSample]``.
        """
        metas = _metas(inputs, data_samples)
        averaged, combined = self.ensemble_members, []
        for name in self.member_names[:-1]:
            logits = self.member(name).inference(inputs, metas)
            if name in averaged:
                combined.append(logits)
            yield name, self.postprocess_result(logits, [sample.new() for sample in data_samples])
        logits = self.mean_probability(combined)
        yield 'ensemble', self.postprocess_result(logits, [sample.new() for sample in data_samples])

    def predict_members(self, inputs: Tensor, data_samples: SampleList) -> Dict[str, SampleList]:
        """Predictions of every member and the ensemble at once; see :meth:`predict_each`.

        Returns:
            dict[str, list[SegDataSample]]: By member name.
        """
        return dict(self.predict_each(inputs, data_samples))

    def postprocess_result(
        self, seg_logits: Tensor, data_samples: OptSampleList = None
    ) -> SampleList:
        """Same as mmseg's; see :func:`fill_sample` for what is faster.

        Args:
            seg_logits (Tensor): ``(B, K, H, W)``.
            data_samples (list[SegDataSample], optional): Are filled in; without them the maps stay
                at image size. Defaults to None.

        Returns:
            list[SegDataSample]: With ``seg_logits`` ``(K, H, W)`` and ``pred_sem_seg``
            ``(1, H, W)``.
        """
        threshold = getattr(main_head(self.predicting_members()[0]), 'threshold', None)
        threshold = 0.5 if threshold is None else threshold
        if data_samples is None:
            return [
                fill_sample(logits, SegDataSample(), threshold) for logits in seg_logits.split(1)
            ]
        return [
            fill_sample(
                original_size(logits, sample.metainfo, self.align_corners), sample, threshold
            )
            for logits, sample in zip(seg_logits.split(1), data_samples)
        ]

    def inference(self, inputs: Tensor, batch_img_metas: List[dict]) -> Tensor:
        """Logits ``(B, K, H, W)``; for the ensemble, the log of the mean probability."""
        return self.mean_probability(
            [member.inference(inputs, batch_img_metas) for member in self.predicting_members()]
        )

    @staticmethod
    def mean_probability(logits: Sequence[Tensor]) -> Tensor:
        """Log of the mean softmax; a single member's logits as they are."""
        if len(logits) == 1:
            return logits[0]
        total = logits[0].float().softmax(dim=1)
        for other in logits[1:]:
            total.add_(other.float().softmax(dim=1))
        return total.div_(len(logits)).clamp_(min=1e-12).log_()

    def extract_feat(self, inputs: Tensor) -> List[Tensor]:
        """Features of the (first) predicting member."""
        return self.predicting_members()[0].extract_feat(inputs)

    def encode_decode(self, inputs: Tensor, batch_img_metas: List[dict]) -> Tensor:
        """Logits of the (first) predicting member at image size."""
        return self.predicting_members()[0].encode_decode(inputs, batch_img_metas)

    def _forward(self, inputs: Tensor, data_samples: OptSampleList = None) -> Tensor:
        return self.predicting_members()[0]._forward(inputs, data_samples)

    def parse_losses(self, losses: Dict[str, Tensor]) -> Tuple[Tensor, Dict[str, Tensor]]:
        """As mmengine's, in two operations where every term is a scalar."""
        if any(not isinstance(value, Tensor) or value.dim() for value in losses.values()):
            return super().parse_losses(losses)
        total = torch.stack([value for key, value in losses.items() if 'loss' in key]).sum()
        return total, dict(loss=total, **losses)


def _metas(inputs: Tensor, data_samples: OptSampleList) -> List[dict]:
    if data_samples is not None:
        return [sample.metainfo for sample in data_samples]
    shape = inputs.shape[2:]
    return [
        dict(ori_shape=shape, img_shape=shape, pad_shape=shape, padding_size=[0, 0, 0, 0])
    ] * len(inputs)


def _delegate(name: str) -> property:
    def read(self: PredictingMembers):
        return getattr(self.predicting_members()[0], name, None)

    return property(read, doc=f'``{name}`` of the (first) predicting member.')


for _name in (
    'backbone',
    'neck',
    'decode_head',
    'auxiliary_head',
    'align_corners',
    'num_classes',
    'out_channels',
):
    setattr(PredictingMembers, _name, _delegate(_name))
