# Copyright (c) mmseg_ctt contributors.
from typing import Dict, List

from mmseg.models.data_preprocessor import SegDataPreProcessor
from mmseg.registry import MODELS

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
        size = self.size
        if size is None and self.size_divisor is None:
            self.size = _common_size(data['inputs'])
        data = super().forward(data, training=True)
        self.size = size  # the next batch may have another
        inputs, samples = data['inputs'], data['data_samples']
        return dict(
            inputs={LABELED: inputs[:split], UNLABELED: inputs[split:]},
            data_samples={LABELED: samples[:split], UNLABELED: samples[split:]})


def _labeled_first(samples: List) -> List[int]:
    sources = [sample.metainfo.get('source') for sample in samples]
    for needed in (LABELED, UNLABELED):
        if needed not in sources:
            raise ValueError(
                f'the batch of {len(samples)} has no {needed} image: use LabeledUnlabeledDataset '
                'with LabeledUnlabeledSampler in train_dataloader and a batch_size that is a '
                'multiple of the sum of sampler.ratio')
    return sorted(range(len(samples)), key=lambda i: sources[i] != LABELED)


def _common_size(inputs: List) -> tuple:
    sizes = {tuple(image.shape[-2:]) for image in inputs}
    if len(sizes) > 1:
        raise ValueError(f'images of unequal size {sorted(sizes)} in one batch: set '
                         'data_preprocessor.size or size_divisor, or crop in both pipelines')
    return sizes.pop()
