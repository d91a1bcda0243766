# Copyright (c) mmseg_ctt contributors.
"""Prediction of image files, each whole."""

from contextlib import contextmanager
from typing import Callable, Iterator, List, Sequence, Tuple

import numpy as np

from ...datasets.image_reading import UnreadableImageError
from ..api.inputs import Source
from ..api.predict import batches, forward_batch, make_result
from .items import Item
from .network import Network
from .outputs import Outputs, whole_file


@contextmanager
def damage_explained() -> Iterator[None]:
    """Say what to do about an image of the ``with`` block that cannot be read.

    Raises:
        ValueError: In the place of its error.
    """
    try:
        yield
    except UnreadableImageError as error:
        raise ValueError(
            f'{error}: repair it, or take it out of the folder, and give the same command again, '
            'which keeps what is predicted'
        ) from error


def predict_images(
    network: Network,
    items: Sequence[Item],
    outputs: Outputs,
    batch_size: int,
    done: Callable[[Item], None],
) -> None:
    """Predict images and write what is wanted of each, the labels last.

    Args:
        network (Network): Of the model.
        items (Sequence[Item]): Images that are left.
        outputs (Outputs): Started.
        batch_size (int): Consecutive images of one size in one pass.
        done (Callable): Called after each image.
    """
    by_path = {item.path: item for item in items}
    sources = [Source(item.stem, item.path) for item in items]
    for source, sample in _predicted(network, sources, batch_size):
        item = by_path[str(source.path)]
        result = make_result(source, sample, network.model.dataset_meta)
        if outputs.probability_maps:
            logits = sample.seg_logits.data.float().cpu().numpy()
            with whole_file(outputs.probability_of(item)) as path:
                np.save(path, network.probabilities(logits).astype(np.float16))
        if outputs.overlays:
            with whole_file(outputs.overlay_of(item)) as path:
                result.save(path)
        with whole_file(outputs.labels_of(item)) as path:
            result.save(path, 'labels')
        done(item)


def _predicted(network: Network, sources: List[Source], batch_size: int) -> Iterator[Tuple]:
    with damage_explained():
        for batch in batches(sources, (network.loader, network.steps), batch_size):
            samples = forward_batch(network.model, [data for _, data in batch])
            yield from ((source, sample) for (source, _), sample in zip(batch, samples))
