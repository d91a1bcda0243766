# Copyright (c) mmseg_ctt contributors.
"""Losses of every method on toy data, kept in ``tests/assets/losses/<name>.json``.

``python tests/record_losses.py [NAMES]`` records those of the named methods, or of all. Do so when
numbers change on purpose, and give the reason in CHANGELOG.md. A file says on what it was recorded;
the test (``test_methods/test_family_runs.py``) compares with a tolerance for other machines.
"""

import json
import logging
import platform
import sys
import tempfile
from pathlib import Path
from typing import Any, Dict, Optional

TESTS = Path(__file__).resolve().parent
sys.path[:0] = [str(TESTS.parent), str(TESTS)]

import mmseg_ctt  # noqa: E402, F401, before anything imports mmseg

# isort: split
import torch  # noqa: E402
from mmengine.hooks import Hook  # noqa: E402
from mmengine.runner import Runner  # noqa: E402
from toy_data import freeze_imports, toy_config, toy_method, write_toy_data  # noqa: E402

from mmseg_ctt.methods import registered_methods  # noqa: E402

ASSETS = TESTS / 'assets' / 'losses'
ITERATIONS = 10
WARMUP = dict(type='QueueWarmupHook', start_iter=3, interval=1, when_full=False)


class Losses(Hook):
    """Keeps the losses of each iteration, by its number from 1 on."""

    priority = 'LOWEST'

    def __init__(self) -> None:
        self.losses: Dict[int, Dict[str, float]] = {}

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Optional[dict] = None,
        outputs: Optional[dict] = None,
    ) -> None:
        """Read them."""
        values = {key: float(value.detach()) for key, value in (outputs or {}).items()}
        self.losses[runner.iter + 1] = values


def toy_run(
    kind: str,
    root: Path,
    work_dir: Path,
    settings: Optional[Dict[str, Any]] = None,
    hooks: Optional[Dict[str, dict]] = None,
    iterations: int = ITERATIONS,
    **changes: Any,
) -> Runner:
    """A run of a method around the toy segmentor.

    Args:
        kind: Registered name.
        root: Folder of the data.
        work_dir: Of the run.
        settings: Of the model, besides the ``toy_settings`` of its class.
        hooks: Besides those that the method needs.
        iterations: In all. A contrast starts after the third.
        changes: Other top-level entries of the config.
    """
    cfg = toy_config(
        root,
        work_dir,
        hooks,
        model=toy_method(kind, **(settings or {})),
        train_cfg=dict(type='ResumableTrainLoop', max_iters=iterations, val_interval=100),
        **dict.fromkeys(('val_cfg', 'val_dataloader', 'val_evaluator')),
        **changes,
    )
    if 'queue_warmup' in cfg.default_hooks:
        cfg.default_hooks.queue_warmup = WARMUP
    return Runner.from_cfg(cfg)


def run_losses(runner: Runner) -> Dict[int, Dict[str, float]]:
    """Train, and give the losses of each iteration."""
    hook = Losses()
    runner.register_hook(hook)
    runner.train()
    return hook.losses


def record(kind: str, folder: Path) -> None:
    """Write the file of one method."""
    torch.set_num_threads(1)
    losses = run_losses(toy_run(kind, write_toy_data(folder / 'data'), folder / 'work'))
    made = dict(
        recorded_on=dict(torch=torch.__version__, machine=platform.machine(), device='cpu'),
        losses=list(losses.values()),
    )
    ASSETS.mkdir(parents=True, exist_ok=True)
    (ASSETS / f'{kind}.json').write_text(json.dumps(made, indent=1) + '\n')


def main() -> None:
    """Record the methods that the command line names, or all."""
    known = registered_methods()
    names = sys.argv[1:] or list(known)
    unknown = sorted(set(names) - set(known))
    if unknown:
        sys.exit(f'{unknown} are no registered methods; known are {sorted(known)}')
    freeze_imports()
    logging.disable(logging.WARNING)
    for kind in names:
        with tempfile.TemporaryDirectory() as folder:
            record(kind, Path(folder))
        print(f'{ASSETS / kind}.json')


if __name__ == '__main__':
    main()
