# Copyright (c) mmseg_ctt contributors.
from typing import Dict, List

import torch
from mmseg.models.data_preprocessor import SegDataPreProcessor
from mmseg.registry import MODELS
from torch import Tensor

LABELED, UNLABELED = 'labeled', 'unlabeled'


@MODELS.register_module()
class SemiSegDataPreProcessor(SegDataPreProcessor):
    """Groups a mixed batch into labelled and unlabelled images and normalises both at once.

    While training, the samples of :class:`LabeledUnlabeledDataset` are sorted by their
    ``source`` (labelled first), go through one normalisation and stacking, and come out as two
    views of one tensor. When testing this is mmseg's ``SegDataPreProcessor``.

    Args: as :class:`mmseg.models.SegDataPreProcessor`.
    """

    def forward(self, data: dict, training: bool = False) -> Dict[str, dict]:
        """Prepare a batch.

        Args:
            data (dict): ``inputs``, a list of ``(3, H, W)`` uint8 images, and ``data_samples``.
            training (bool): Whether to group. Defaults to False.

        Returns:
            dict: ``inputs`` and ``data_samples``; in training both are dicts with the keys
            ``labeled`` (``(B_l, 3, H, W)`` float32, list of samples) and ``unlabeled``.

        Raises:
            ValueError: If the batch lacks labelled or unlabelled images, or images of unequal
                size meet and neither ``size`` nor ``size_divisor`` says how to pad them.
        """
        if not training:
            return super().forward(data, training)
        order = _labeled_first(data['data_samples'])
        data = {key: [data[key][i] for i in order] for key in ('inputs', 'data_samples')}
        split = sum(sample.metainfo['source'] == LABELED for sample in data['data_samples'])
        data = self._together(data) if self._fits(data['inputs']) else self._padded(data)
        inputs, samples = data['inputs'], data['data_samples']
        return dict(
            inputs={LABELED: inputs[:split], UNLABELED: inputs[split:]},
            data_samples={LABELED: samples[:split], UNLABELED: samples[split:]},
        )

    def _fits(self, images: List[Tensor]) -> bool:
        """Whether there is nothing to pad, nor anything else that is done image by image."""
        shapes = {tuple(image.shape) for image in images}
        if len(shapes) > 1 or self.batch_augments is not None:
            return False
        height, width = shapes.pop()[1:]
        divisor = self.size_divisor or 1
        return height % divisor == width % divisor == 0 and (
            self.size is None or (height >= self.size[0] and width >= self.size[1])
        )

    def _together(self, data: dict) -> dict:
        """What mmseg does image by image, for the whole batch at once."""
        data = self.cast_data(data)
        images = torch.stack(data['inputs'])
        if self.channel_conversion and images.shape[1] == 3:
            images = images.flip(1)
        images = images.float()
        if self._enable_normalize:
            images = images.sub_(self.mean).div_(self.std)
        shape = images.shape[2:]
        for sample in data['data_samples']:
            sample.set_metainfo(dict(img_shape=shape, pad_shape=shape, padding_size=(0, 0, 0, 0)))
        return dict(inputs=images, data_samples=data['data_samples'])

    def _padded(self, data: dict) -> dict:
        """The way of mmseg itself, to the common size where none is set."""
        size = self.size
        if size is None and self.size_divisor is None:
            self.size = _common_size(data['inputs'])
        data = super().forward(data, training=True)
        self.size = size  # the next batch may have another
        return data


def _labeled_first(samples: List) -> List[int]:
    sources = [sample.metainfo.get('source') for sample in samples]
    for needed in (LABELED, UNLABELED):
        if needed not in sources:
            raise ValueError(
                f'the batch of {len(samples)} has no {needed} image: use LabeledUnlabeledDataset '
                'with LabeledUnlabeledSampler in train_dataloader and a batch_size that is a '
                'multiple of the sum of sampler.ratio'
            )
    return sorted(range(len(samples)), key=lambda i: sources[i] != LABELED)


def _common_size(inputs: List) -> tuple:
    sizes = {tuple(image.shape[-2:]) for image in inputs}
    if len(sizes) > 1:
        raise ValueError(
            f'images of unequal size {sorted(sizes)} in one batch: set '
            'data_preprocessor.size or size_divisor, or crop in both pipelines'
        )
    return sizes.pop()
