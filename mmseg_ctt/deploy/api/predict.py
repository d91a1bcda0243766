# Copyright (c) mmseg_ctt contributors.
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple, Union

import numpy as np
import torch
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import DefaultScope
from mmseg.models.segmentors import BaseSegmentor
from mmseg.registry import TRANSFORMS
from mmseg.structures import SegDataSample

from ...datasets.image_loading import CheckedLoadImageFromFile
from ...datasets.image_reading import UnreadableImageError, read_image, swapped
from ...datasets.nodata import OF_FILE
from ...engine.pipeline_steps import checked_steps
from ...nn.data_preprocessor import check_channels
from .inputs import Source, image_pipeline, list_sources
from .result import SegResult

Loaded = Tuple[Source, Dict[str, Any]]
Pipeline = Tuple[CheckedLoadImageFromFile, Compose]


def predict(
    model: BaseSegmentor,
    inputs: Any,
    batch_size: int = 1,
    channel_order: str = 'rgb',
    progress: Optional[bool] = None,
) -> Union[SegResult, List[SegResult]]:
    """Segment an image, or all images of a folder or list.

    Args:
        model (BaseSegmentor): From :func:`load_model`.
        inputs (str | Path | np.ndarray | PIL.Image | list): An image file, a folder (searched
            with its sub-folders), pixels ``(H, W)`` or ``(H, W, C)``, or a list. Files and PIL
            images are turned as their orientation tag says; arrays have none. Images that are not
            uint8 need the ``value_range`` that the model was trained with, in its test pipeline.
        batch_size (int): Images in one forward pass; consecutive images of one size after the
            test pipeline make a batch. Defaults to 1.
        channel_order (str): Order of the first three channels of arrays, ``'rgb'`` or ``'bgr'``
            (OpenCV). Defaults to 'rgb'.
        progress (bool, optional): Show a progress bar. Defaults to None: for folders and lists.

    Returns:
        SegResult | list[SegResult]: A list for folders and lists, in their order. For more images
        than fit into memory use :func:`predict_iter`.

    Raises:
        FileNotFoundError: If a file or folder does not exist.
        TypeError: If the input is of another type.
        ValueError: If an image cannot be decoded, is no image or of a depth or number of channels
            that the model does not take, or the model has no test pipeline.
    """
    _, is_list = list_sources(inputs, channel_order)
    results = list(predict_iter(model, inputs, batch_size, channel_order, progress))
    return results if is_list else results[0]


def predict_iter(
    model: BaseSegmentor,
    inputs: Any,
    batch_size: int = 1,
    channel_order: str = 'rgb',
    progress: Optional[bool] = None,
) -> Iterator[SegResult]:
    """Iterator over the results of :func:`predict`, for more images than fit into memory."""
    sources, is_list = list_sources(inputs, channel_order)
    if batch_size < 1:
        raise ValueError(f'batch_size must be positive, got {batch_size}')
    pipeline = input_pipeline(model)
    bar = _Bar(len(sources), is_list if progress is None else progress)
    with bar:
        for batch in batches(sources, pipeline, batch_size):
            for (source, _), sample in zip(
                batch, forward_batch(model, [data for _, data in batch])
            ):
                yield make_result(source, sample, model.dataset_meta)
                bar.advance()


def read_input(model: BaseSegmentor, path: str) -> np.ndarray:
    """Image as the loading step of a model's test pipeline gives it, in the network's order.

    Args:
        model (BaseSegmentor): From :func:`load_model`.
        path (str): Image file.

    Returns:
        np.ndarray: ``(H, W, C)`` uint8, or float32 in 0-255; three channels are red, green, blue.

    Raises:
        ValueError: See :func:`predict`.
    """
    image = input_pipeline(model)[0].with_pixels({}, read_image(path), path)['img']
    image = image[..., None] if image.ndim == 2 else image
    return swapped(image) if image.shape[2] == 3 else image


def input_pipeline(model: BaseSegmentor) -> Pipeline:
    """Loading step and the other steps of a model's test pipeline, without labels.

    Args:
        model (BaseSegmentor): From :func:`load_model`.

    Raises:
        ValueError: If its config has no test data, or their pipeline does not begin with loading.
    """
    loader, steps = config_pipeline(getattr(model, 'cfg', None) or {})
    preprocessor = getattr(model, 'data_preprocessor', None)
    return loader, _CheckedSteps(steps.transforms, preprocessor)


def config_pipeline(cfg: Mapping[str, Any]) -> Pipeline:
    """As :func:`input_pipeline`, of a config whose model is not built.

    Args:
        cfg (Mapping): Config of a run, or an exported one.

    Raises:
        ValueError: See :func:`input_pipeline`.
    """
    steps = image_pipeline(cfg)
    if steps is None:
        raise ValueError(
            'the config of the model has no test_dataloader whose pipeline says how '
            'images are prepared: load the model by load_model, or add one'
        )
    steps = checked_steps(steps)  # the config may be one that mmseg has read
    with DefaultScope.overwrite_default_scope('mmseg'):
        loader = TRANSFORMS.build(steps[0]) if steps else None
        if not isinstance(loader, CheckedLoadImageFromFile):
            raise ValueError('test_dataloader.dataset.pipeline must begin with LoadImageFromFile')
        return loader, Compose(steps[1:])


class _CheckedSteps(Compose):
    """Steps whose image has as many channels as the network takes.

    Args:
        steps (Sequence[Callable]): The steps.
        preprocessor (SegDataPreProcessor): Of the model.
    """

    def __init__(self, steps: Sequence[Any], preprocessor: Any) -> None:
        super().__init__(steps)
        self.preprocessor = preprocessor

    def __call__(self, data: dict) -> Optional[dict]:
        packed: Any = super().__call__(data)
        check_channels(self.preprocessor, [packed['inputs']], [packed['data_samples']])
        return packed


def batches(
    sources: List[Source],
    pipeline: Pipeline,
    size: int,
    left_out: Optional[Callable[[Source, Exception], None]] = None,
) -> Iterator[List[Loaded]]:
    """Images through a pipeline, in batches of one size.

    Args:
        sources (list[Source]): In order.
        pipeline (tuple): From :func:`input_pipeline`.
        size (int): Largest number of images of a batch.
        left_out (Callable, optional): Called with an image that cannot be loaded, and its error;
            the others go on. Defaults to None: it is an error.

    Raises:
        UnreadableImageError: If an image is damaged, after the batch of those before it.
    """
    batch: List[Loaded] = []
    for source in sources:
        source = source._replace(value_range=pipeline[0].value_range)
        try:
            data = _load(source, pipeline)
        except (ValueError, OSError) as error:
            if left_out is not None:
                left_out(source, error)
                continue
            if batch and isinstance(error, UnreadableImageError):  # those before are not lost
                yield batch
            raise
        other_size = batch and batch[0][1]['inputs'].shape != data['inputs'].shape
        if other_size or len(batch) == size:
            yield batch
            batch = []
        batch.append((source, data))
    if batch:
        yield batch


def _load(source: Source, pipeline: Pipeline) -> Dict[str, Any]:
    loader, rest = pipeline
    if source.path is not None:
        results: Any = loader.transform(dict(img_path=source.path))
        missing = results.get(OF_FILE)
        data = rest(results)
        if missing is not None:
            data['data_samples'].set_metainfo({OF_FILE: missing})
        return data
    return rest(loader.with_pixels(dict(img_path=None), source.read(), source.name))


@torch.inference_mode()
def forward_batch(model: BaseSegmentor, batch: List[Dict[str, Any]]) -> List[SegDataSample]:
    """Predictions of images at their original size.

    Args:
        model (BaseSegmentor): From :func:`load_model`.
        batch (list[dict]): Images of one size from the pipeline, see :func:`input_pipeline`.
    """
    return model.test_step(pseudo_collate(batch))


def make_result(source: Source, sample: SegDataSample, meta: Mapping) -> SegResult:
    """Result of one image from a prediction of mmseg.

    Args:
        source (Source): The image.
        sample (SegDataSample): With ``seg_logits`` and ``pred_sem_seg``.
        meta (Mapping): ``classes`` and ``palette``.
    """
    logits = sample.seg_logits.data.float()  # (K, H, W)
    labels = sample.pred_sem_seg.data.squeeze(0)
    if logits.shape[0] == 1:  # here mmseg stores the sigmoid of the foreground
        foreground = logits[0]
        confidence = torch.where(labels > 0, foreground, 1 - foreground)
    else:
        confidence = logits.softmax(dim=0).amax(dim=0)
    dtype = np.uint8 if len(meta['classes']) <= 256 else np.int64
    return SegResult(
        labels=labels.cpu().numpy().astype(dtype),
        confidence=confidence.cpu().numpy(),
        classes=tuple(meta['classes']),
        palette=[list(colour) for colour in meta['palette']],
        source=source,
    )


class _Bar:
    """Progress bar on the error stream; hidden if ``shown`` is False."""

    def __init__(self, total: int, shown: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

        self.progress = Progress(
            'predicting',
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=not shown,
        )
        self.task = self.progress.add_task('', total=total)

    def __enter__(self) -> None:
        self.progress.start()

    def __exit__(self, *_: Any) -> None:
        self.progress.stop()

    def advance(self) -> None:
        self.progress.advance(self.task)
