# Copyright (c) mmseg_ctt contributors.
from contextlib import contextmanager
from itertools import islice
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple, Union

import torch
from mmengine.dist import get_world_size
from mmseg.models.data_preprocessor import SegDataPreProcessor
from mmseg.registry import MODELS
from torch import Tensor

from .ranks import max_over_ranks

KEY = 'model.data_preprocessor'


@MODELS.register_module()
class SemiSegDataPreProcessor(SegDataPreProcessor):
    """Groups a mixed batch by source and normalises all its images at once.

    While training, the samples of :class:`LabeledUnlabeledDataset` are sorted by the ``source`` in
    their meta information, normalised and stacked in one pass, and returned as views of one
    tensor, one view a source. When testing this is mmseg's ``SegDataPreProcessor``.

    On several ranks ``size_divisor`` pads the batches of all ranks to one size, for which they wait
    for each other in every step; with a ``size`` they do not.

    Args:
        *args: As of ``mmseg.models.SegDataPreProcessor``.
        sources (Sequence[str]): Sources that the method uses. Every batch must have images of each
            of them, and of no other. Defaults to ('labeled', 'unlabeled').
        **kwargs: As of ``mmseg.models.SegDataPreProcessor``.

    Raises:
        ValueError: If there is no source, or one is named twice; for ``size`` with
            ``size_divisor``.
    """

    size: Optional[Sequence[int]]
    size_divisor: Optional[int]

    def __init__(
        self, *args: Any, sources: Sequence[str] = ('labeled', 'unlabeled'), **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        if self.size is not None and self.size_divisor is not None:
            raise ValueError(f'{KEY} has size and size_divisor: set one of them to None')
        if isinstance(sources, str) or not sources or len(set(sources)) < len(sources):
            raise ValueError(
                f'{KEY}.sources must name different sources, such as ("labeled", "unlabeled"), '
                f'got {sources!r}'
            )
        self.sources = tuple(sources)

    def forward(self, data: dict, training: bool = False) -> Dict[str, dict]:
        """Prepare a batch.

        Args:
            data (dict): ``inputs``, a list of ``(C, H, W)`` images, uint8 or float32 in 0-255, and
                ``data_samples``.
            training (bool): Whether to group. Defaults to False.

        Returns:
            dict: ``inputs`` and ``data_samples``. In training both are dicts with one key for each
            of ``sources``, in that order: ``(B, C, H, W)`` float32, and a list of samples.

        Raises:
            ValueError: If the batch lacks images of one of ``sources`` or has others, images have
                unlike numbers of channels, or not as many as ``mean``, an image is larger than
                ``size``, or images of unequal size meet and neither ``size`` nor ``size_divisor``
                says how to pad them.
        """
        check_channels(self, data['inputs'], data.get('data_samples'))
        if not training:
            return super().forward(data, training)
        names = [sample.metainfo.get('source') for sample in data['data_samples']]
        self._check_sources(names)
        order = sorted(range(len(names)), key=lambda i: self.sources.index(names[i]))
        data = {key: [data[key][i] for i in order] for key in ('inputs', 'data_samples')}
        with self._size_of_all_ranks(data['inputs']):
            data = self._together(data) if self._fits(data['inputs']) else self._padded(data)
        sizes = [names.count(source) for source in self.sources]
        samples = iter(data['data_samples'])
        return dict(
            inputs=dict(zip(self.sources, data['inputs'].split(sizes))),
            data_samples={
                source: list(islice(samples, size)) for source, size in zip(self.sources, sizes)
            },
        )

    def _check_sources(self, names: Sequence[Optional[str]]) -> None:
        """Every image has a source of the method, and every source of the method has an image."""
        used = ', '.join(self.sources)
        for name in names:
            if name is None:
                raise ValueError(
                    'the batch has images without a source: use LabeledUnlabeledDataset with '
                    'LabeledUnlabeledSampler in train_dataloader'
                )
            if name not in self.sources:
                raise ValueError(
                    f'the batch has images of the source {name}, but the method uses {used}: '
                    f'set train_dataloader.sampler.ratio.{name}=0 or remove '
                    f'train_dataloader.dataset.{name}'
                )
        for source in self.sources:
            if source not in names:
                raise ValueError(
                    f'the batch of {len(names)} has no {source} image, but the method uses {used}: '
                    f'set train_dataloader.dataset.{source} and a positive '
                    f'train_dataloader.sampler.ratio.{source} (LabeledUnlabeledDataset with '
                    'LabeledUnlabeledSampler), and a batch_size that is a multiple of the sum of '
                    'the ratio'
                )

    @contextmanager
    def _size_of_all_ranks(self, images: List[Tensor]) -> Iterator[None]:
        """In the block, with ``size_divisor`` and several ranks, ``size`` is that of all images.

        Methods gather the pixels of all ranks, and count an equal number on each. The ranks wait
        for each other in this one case; with a fixed ``size`` nothing is sent.
        """
        given = self.size, self.size_divisor
        if self.size is None and self.size_divisor is not None and get_world_size() > 1:
            largest = [max(image.shape[side] for image in images) for side in (-2, -1)]
            largest = max_over_ranks(torch.tensor(largest)).tolist()
            divisor = self.size_divisor
            self.size = tuple(-(-side // divisor) * divisor for side in largest)
            self.size_divisor = None
        try:
            yield
        finally:
            self.size, self.size_divisor = given

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
        """Pad as mmseg does; without ``size`` or ``size_divisor`` all images must have one size."""
        size = self.size
        if size is None and self.size_divisor is None:
            self.size = _common_size(data['inputs'])
        elif size is not None:
            _check_largest(data['inputs'], size)
        data = super().forward(data, training=True)
        self.size = size  # the next batch may have another
        return data


def check_channels(
    preprocessor: SegDataPreProcessor,
    images: Union[Tensor, Sequence[Tensor]],
    samples: Optional[Sequence[Any]] = None,
) -> None:
    """All images have the channels that ``mean`` has, or all have the same.

    Args:
        preprocessor (SegDataPreProcessor): Of the model.
        images (Tensor | Sequence[Tensor]): ``(C, H, W)`` each.
        samples (Sequence[SegDataSample], optional): Theirs, which name the files. Defaults to None.

    Raises:
        ValueError: Names the first that has not.
    """
    images = list(images)
    expected = len(preprocessor.mean) if getattr(preprocessor, '_enable_normalize', False) else 1
    expected = images[0].shape[0] if expected == 1 else expected
    for image, sample in zip(images, samples or [None] * len(images)):
        if image.shape[0] != expected:
            name = getattr(sample, 'img_path', None) or 'of the batch'
            raise ValueError(
                f'the image {name} has {image.shape[0]} channels where {expected} are '
                f'expected: mean and std of {KEY}, in_channels of model.segmentor.backbone '
                "and image_loading.color_type ('color', 'grayscale' or 'unchanged') must agree"
            )


def _check_largest(inputs: List[Tensor], size: Sequence[int]) -> None:
    for image in inputs:
        if image.shape[-2] > size[0] or image.shape[-1] > size[1]:
            raise ValueError(
                f'an image of {tuple(image.shape[-2:])} is larger than data_preprocessor.size='
                f'{tuple(size)}: crop after all steps that resize (RandomCrop), or raise the size'
            )


def _common_size(inputs: List[Tensor]) -> Tuple[int, ...]:
    sizes = {tuple(image.shape[-2:]) for image in inputs}
    if len(sizes) > 1:
        raise ValueError(
            f'images of unequal size {sorted(sizes)} in one batch: set '
            'data_preprocessor.size or size_divisor, or crop in all pipelines'
        )
    return sizes.pop()
