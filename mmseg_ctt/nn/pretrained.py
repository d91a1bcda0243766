# Copyright (c) mmseg_ctt contributors.
"""Starting weights: a local file where there is one, else those of a model zoo."""

import os
from pathlib import Path
from typing import Any

from mmengine.runner import CheckpointLoader

PREFIX = 'pretrained:'
ROOT = 'PRETRAINED_ROOT'  # environment variable


def pretrained_path(checkpoint: str) -> str:
    """Where starting weights come from.

    Args:
        checkpoint (str): ``pretrained:FILE|OTHER`` is the file of that name in the folder
            ``$PRETRAINED_ROOT`` (default ``data/pretrained``) if it exists, and OTHER if not: any
            address that mmengine knows, such as ``mmcls://mobilenet_v2``.

    Returns:
        str: Path or address; any other string as it is.

    Raises:
        ValueError: If OTHER is missing.
    """
    if not checkpoint.startswith(PREFIX):
        return checkpoint
    name, _, other = checkpoint[len(PREFIX) :].partition('|')
    if not name or not other:
        raise ValueError(
            f'the checkpoint {checkpoint} must be {PREFIX}FILE|OTHER, such as '
            f'{PREFIX}resnet50.pth|torchvision://resnet50'
        )
    path = Path(os.environ.get(ROOT, 'data/pretrained'), name)
    return str(path) if path.is_file() else other


@CheckpointLoader.register_scheme(prefixes=PREFIX)
def load_from_pretrained(filename: str, map_location: Any = None) -> dict:
    """Checkpoint of ``dict(type='Pretrained', checkpoint='pretrained:FILE|OTHER')``."""
    return CheckpointLoader.load_checkpoint(pretrained_path(filename), map_location)
