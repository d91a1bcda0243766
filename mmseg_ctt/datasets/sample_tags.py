# Copyright (c) mmseg_ctt contributors.
"""Image-level tags of a packed sample."""

from typing import Any, Dict, Optional, Sequence

import torch
from mmengine.structures import LabelData


def with_tags(
    sample: Dict[str, Any], tags: Optional[Sequence[int]], num_classes: int, background: bool = True
) -> Dict[str, Any]:
    """A sample with its tags as ``data_samples.gt_tags``; they are of the image, not of a crop.

    Args:
        sample (dict): From a pipeline, with ``data_samples``; changed in place.
        tags (Sequence[int], optional): Ids of the classes of the image; None adds nothing.
        num_classes (int): Of the data set.
        background (bool): Whether class 0 is the background, which is no tag; in the meta
            information of ``gt_tags``. Defaults to True.
    """
    if tags is not None and isinstance(sample, dict) and 'data_samples' in sample:
        hot = torch.zeros(num_classes, dtype=torch.long)
        hot[list(tags)] = 1
        sample['data_samples'].gt_tags = LabelData(metainfo=dict(background=background), label=hot)
    return sample
