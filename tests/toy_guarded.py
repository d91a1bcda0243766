# Copyright (c) mmseg_ctt contributors.
"""Runs with the guard against harm, and baselines whose scores are written here."""

import json
from pathlib import Path
from typing import Any, Dict, Optional, Tuple

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from toy_data import CROP, toy_config, toy_method

STRONG, WEAK = 99.0, 0.0  # scores that the toy network never reaches, and always reaches


def guarded_config(
    root: Path,
    folder: Path,
    name: str = 'fixmatch',
    hook: Optional[dict] = None,
    interval: int = 1,
    model: Optional[dict] = None,
    iterations: int = 4,
    best: Optional[dict] = None,
    **changes: Any,
) -> Config:
    """A config of four iterations with a validation behind each.

    Args:
        root: Folder of the data.
        folder: Of all work dirs.
        name: Of the work dir.
        hook: Settings of the guard, whose patience is 1 here; None: no guard.
        interval: Iterations between two validations.
        model: Defaults to None: FixMatch.
        iterations: Of the run.
        best: Settings of the checkpoint hook.
        changes: Of :func:`toy_config`.
    """
    hooks = dict(
        do_no_harm=hook if hook is None else {'type': 'DoNoHarmHook', 'patience': 1, **hook},
        checkpoint=dict(type='SafeCheckpointHook', interval=1, **(best or {})),
    )
    return toy_config(
        root,
        folder / name,
        hooks=hooks,
        model=model or toy_method('FixMatchSeg'),
        train_cfg=dict(type='ResumableTrainLoop', max_iters=iterations, val_interval=interval),
        **changes,
    )


def write_baseline(
    root: Path,
    folder: Path,
    scores: Dict[int, float],
    name: str = 'supervised_toy',
    start: str = '20260101_000000',
    total: int = 4,
    metric: str = 'mIoU',
    **changes: Any,
) -> Path:
    """The work dir of a supervised run with scores by iteration."""
    cfg = guarded_config(root, folder, name, iterations=total)
    network = cfg.model.segmentor.to_dict()
    network['data_preprocessor'] = dict(type='SegDataPreProcessor', size=CROP)
    cfg = Config({**cfg.to_dict(), 'model': network, **changes})
    written = folder / name / start / 'vis_data'
    written.mkdir(parents=True)
    cfg.dump(written / 'config.py')
    rows = [{metric: score, 'step': step} for step, score in scores.items()]
    (written / 'scalars.json').write_text(''.join(f'{json.dumps(row)}\n' for row in rows))
    return folder / name


class Factors(Hook):
    """Notes the factor in each iteration, and in the log."""

    priority = 'LOWEST'

    def __init__(self) -> None:
        self.found, self.logged = [], []

    def after_train_iter(self, runner, *_, **__) -> None:
        self.found.append(runner.model.unlabeled_weight.factor)
        self.logged.append(runner.message_hub.get_scalar('train/unlabeled_weight').current())


def train(cfg: Config, *hooks: Hook) -> Tuple[Runner, str]:
    """The runner after the training, and its log."""
    runner = Runner.from_cfg(cfg)
    for hook in hooks:
        runner.register_hook(hook)
    runner.train()
    return runner, ''.join(log.read_text() for log in sorted(Path(cfg.work_dir).glob('*/*.log')))
