# Copyright (c) mmseg_ctt contributors.
"""The best score so far of a resumed run, which counts as long as scores can be compared."""

import os.path as osp
from typing import Any, Dict, Sequence

from mmengine.runner import Runner

from .config_changes import Change
from .held_log import SHOWN

# Settings that a score of the validation depends on, besides `test_cfg` of the model.
OF_THE_SCORE = (('val_dataloader', 'dataset'), ('val_evaluator',), ('val_cfg',))


def forget_best(runner: Runner, info: Dict[str, Any], taken: Sequence[Change]) -> None:
    """Remove a best score with which those of this run cannot be compared; its file stays.

    Args:
        runner (Runner): Of this run.
        info (dict): Of the checkpoint's message hub; changed in place.
        taken (Sequence[Change]): Settings of this run that are other than in the checkpoint.
    """
    others = [
        change.key
        for change in taken
        if change.key.endswith(('.save_best', '.rule'))
        or any(_overlap(change.path, key) for key in OF_THE_SCORE)
        and not _of_the_place(change)
        or change.path[0] == 'model'
        and 'test_cfg' in change.path
    ]
    for name in (best := [name for name in info if others and name.startswith('best_')]):
        info.pop(name)
    line = f'the best score so far is forgotten: it was measured with another {", ".join(others)}'
    if best:
        runner.logger.info(line, extra={SHOWN: True})


def _of_the_place(change: Change) -> bool:
    """Whether the same files are read from another place."""
    if 'backend_args' in change.path:
        return True
    paths = [value for value in (change.old, change.new) if isinstance(value, str)]
    names = {osp.basename(path) for path in paths}
    return len(paths) == 2 and len(names) == 1 and any(map(osp.isabs, paths))


def _overlap(path: Sequence, key: Sequence) -> bool:
    """Whether a setting is inside another one, or has it inside."""
    shorter = min(len(path), len(key))
    return tuple(path[:shorter]) == tuple(key[:shorter])
