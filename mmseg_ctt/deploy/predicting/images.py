# Copyright (c) mmseg_ctt contributors.
"""Prediction of image files, each whole."""

from dataclasses import replace
from typing import Callable, List, Optional, Sequence

import numpy as np
from mmseg.structures import SegDataSample
from PIL import Image

from ...datasets.nodata import OF_FILE
from ..api.inputs import Source
from ..api.predict import batches, forward_batch, make_result
from ..api.result import SegResult
from .items import Item
from .network import Network
from .outputs import Outputs, whole_file


def predict_images(
    network: Network,
    items: Sequence[Item],
    outputs: Outputs,
    batch_size: int,
    done: Callable[[Item], None],
    left_out: Callable[[Item, Exception], None],
) -> None:
    """Predict images and write what is wanted of each, the labels last.

    Args:
        network (Network): Of the model.
        items (Sequence[Item]): Images that are left.
        outputs (Outputs): Started.
        batch_size (int): Consecutive images of one size in one pass.
        done (Callable): Called after each image.
        left_out (Callable): Called with an image that cannot be read, and its error.
    """
    by_path = {item.path: item for item in items}
    sources: List[Source] = [Source(item.stem, item.path) for item in items]

    def unread(source: Source, error: Exception) -> None:
        left_out(by_path[str(source.path)], error)

    pipeline = (network.loader, network.steps)
    for batch in batches(sources, pipeline, batch_size, unread):
        empty = [data['data_samples'].metainfo.get(OF_FILE) for _, data in batch]
        samples = forward_batch(network.model, [data for _, data in batch])
        for (source, _), sample, missing in zip(batch, samples, empty):
            item = by_path[str(source.path)]
            result = make_result(source, sample, network.model.dataset_meta)
            _write(network, outputs, item, result, sample, missing)
            done(item)


def _write(
    network: Network,
    outputs: Outputs,
    item: Item,
    result: SegResult,
    sample: SegDataSample,
    missing: Optional[np.ndarray],
) -> None:
    empty = np.zeros(result.labels.shape, bool) if missing is None else missing
    if outputs.probability_maps:
        logits = sample.seg_logits.data.float().cpu().numpy()
        probability = network.probabilities(logits).astype(np.float16)
        probability[:, empty] = np.nan
        with whole_file(outputs.probability_of(item)) as path:
            np.save(path, probability)
    if outputs.overlays:
        picture = result.overlay()
        picture[empty] = 0
        with whole_file(outputs.overlay_of(item)) as path:
            Image.fromarray(picture).save(path)
    labels = result.labels
    if empty.any():  # as in the map of a raster
        labels = np.where(empty, network.no_data, labels).astype(network.dtype)
    with whole_file(outputs.labels_of(item)) as path:
        replace(result, labels=labels).save(path, 'labels')
