# Copyright (c) mmseg_ctt contributors.
"""Steps of a pipeline that make maps of an image, such as distances, from its labels."""

from typing import Any, ClassVar, Dict, Sequence, Tuple

import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from .packing import as_tensor


class MapStep(BaseTransform):
    """Base of steps that make maps, which :class:`PackSemiSegInputs` packs.

    A method names such steps in ``pipeline_steps``. When a run is prepared they enter the
    pipelines of its sources, and their maps are packed.
    """

    maps: ClassVar[Tuple[str, ...]] = ()  # names of the maps that the step makes

    def add(self, results: Dict[str, Any], name: str, value: np.ndarray) -> None:
        """Add a map to the results; steps behind this one treat it as a mask.

        Args:
            results (dict): Of the pipeline.
            name (str): One of :attr:`maps`.
            value (np.ndarray): ``(H, W)`` or ``(H, W, C)``.
        """
        assert name in self.maps
        results[name] = value
        fields = results.setdefault('seg_fields', [])
        if name not in fields:
            fields.append(name)


def add_maps(sample: SegDataSample, steps: Sequence[MapStep], **results: Any) -> None:
    """Give a packed sample the maps that steps make of its labels, for data without a pipeline.

    Args:
        sample (SegDataSample): With ``gt_sem_seg`` ``(1, H, W)``; changed in place.
        steps (Sequence[MapStep]): Built.
        results: Further results, such as ``num_classes``.
    """
    label = sample.gt_sem_seg.data[0].numpy()
    found: Dict[str, Any] = dict(results, gt_seg_map=label, img=label)
    for step in steps:
        found = step.transform(found)
        for name in step.maps:
            sample.set_data({name: PixelData(data=as_tensor(name, found))})
