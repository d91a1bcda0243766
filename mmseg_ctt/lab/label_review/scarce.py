# Copyright (c) mmseg_ctt contributors.
"""Classes that few masks show: networks that have hardly learnt a class do not suggest it."""

import numpy as np
from mmengine.config import Config

from ...deploy.api.predict import Pipeline
from .images import MaskedSet, NoSuchImages

FEW = 5  # masks; a class in fewer, and in less than half of all, is scarce (the rule is ours)


def scarce_classes(cfg: Config, pipeline: Pipeline) -> str:
    """Classes that less than five masks, and less than half of them, show, in words.

    Masks are those of the labelled training images.

    Args:
        cfg (Config): Of a run.
        pipeline (Pipeline): Of :func:`mmseg_ctt.deploy.api.predict.input_pipeline`.

    Returns:
        str: A sentence or two; empty where no class is scarce, or the run has no masks.
    """
    try:
        images = MaskedSet(cfg, pipeline)
        scan = images.scan()
    except NoSuchImages:
        return ''
    except (OSError, ValueError) as error:
        return f'Classes that few masks show are not named: {error}'
    shown = (scan.pixels > 0).sum(axis=0)
    names = images.metainfo['classes']
    rare = (shown < FEW) & (2 * shown < len(scan.pixels))
    found = [f'{names[k]} ({shown[k]})' for k in np.argsort(shown, kind='stable') if rare[k]]
    if not found:
        return ''
    return (
        f'Of {scan.read}, few show {", ".join(found)}. Networks that have hardly learnt a class '
        'do not suggest it: choose images of these classes yourself.'
    )
