# Copyright (c) mmseg_ctt contributors.
"""Checks of class-incremental learning before its first training."""

from functools import partial
from pathlib import Path
from typing import Any, Callable, List, Sequence, Tuple

import torch
from mmengine.config import Config, ConfigDict
from mmengine.registry import DefaultScope
from mmseg.registry import DATASETS, MODELS

from ..datasets.folder import FolderSegDataset
from ..datasets.sources import source_names
from ..datasets.wrappers import leaf_configs
from ..deploy.checkpoint import without_pretrained
from ..engine.config import prepare_config
from ..methods.wilson.growth import check_old, read_old
from ..nn.schedule import StartPoint
from .incremental_results import scores_of
from .incremental_settings import IncrementalSettings
from .incremental_start import quiet
from .round_checks import try_step
from .round_settings import KEY

MODEL = 'WILSON'


def check_config(cfg: Config, settings: IncrementalSettings) -> None:
    """Check the parts of a config that the recipe changes.

    Args:
        cfg (Config): Complete config.
        settings (IncrementalSettings): Of the recipe.

    Raises:
        ValueError: Names the key and what to set.
    """
    if cfg.model.get('type') != MODEL:
        raise ValueError(
            f'model.type={cfg.model.get("type")!r}: the recipe ClassIncremental trains the later '
            f'steps by {MODEL}; use a config of configs/wilson'
        )
    names = source_names(cfg.train_dataloader.dataset)
    if names != ['tagged']:
        raise ValueError(
            f'train_dataloader.dataset has the sources {", ".join(names)}: it must have tagged '
            f'alone, since masks are those of {KEY}.labeled'
        )
    for leaf in leaf_configs(settings.labeled or {}).values():
        kind = leaf.get('type')
        kind = DATASETS.get(kind) if isinstance(kind, str) else kind
        if not issubclass(kind or object, FolderSegDataset):
            raise ValueError(
                f'{KEY}.labeled.type={leaf.get("type")!r} must be FolderSegDataset, whose masks '
                'show later classes as background; known_classes are the classes of the masks'
            )
    hook = (cfg.get('default_hooks') or {}).get('checkpoint')
    if not hook or not hook.get('save_last', True):
        raise ValueError(
            'default_hooks.checkpoint does not save the last iteration, from which the next step '
            'begins: set it to dict(type="SafeCheckpointHook")'
        )
    for part in ('test_dataloader', 'test_evaluator'):
        if not cfg.get(part):
            raise ValueError(f'{part} is missing: every step is scored on the test images')


def warnings_of(settings: IncrementalSettings) -> List[str]:
    """Steps that are known to fail, one line each."""
    if settings.method != 'wilson':
        return []
    return [
        f'warning: {KEY}.steps[{number}] has the one class {step[0]!r}: every image of the step '
        'has its tag, so that nothing says what it is not (limit stated by the authors of WILSON)'
        for number, step in enumerate(settings.steps)
        if number and len(step) == 1
    ]


def check_steps(
    config: Callable[[int, Any], Config],
    settings: IncrementalSettings,
    classes: Sequence[Tuple[str, ...]],
    folder: Path,
) -> None:
    """Build data and network of every training, each from an untrained network of the one before.

    Args:
        config (Callable): Config of a training by its number and the checkpoint before it.
        settings (IncrementalSettings): Of the recipe.
        classes (Sequence[tuple[str, ...]]): Of each network.
        folder (Path): Exists; files are written to it.

    Raises:
        FileNotFoundError: If ``first_checkpoint`` does not exist.
        ValueError: Names the key and what to set, or the step that would fail.
    """
    before: Any = False
    for number, names in enumerate(classes):
        if number == 0 and settings.first_checkpoint:
            before = settings.first_checkpoint
            key = f'{KEY}.first_checkpoint'
            check_old(before, read_old(before, key), names, key)
            cfg = config(number, False)
        else:
            when = f'training step {number}'
            cfg = try_step('in its turn', when, partial(config, number, before))
            before = folder / f'{number}.pth'
            try_step('in its turn', when, partial(_build, cfg, names, before))
        try_step('in its turn', f'scoring step {number}', partial(_score, cfg, before))


def _build(cfg: Config, classes: tuple, path: Path) -> None:
    """Load a sample, build and initialise the network, write its checkpoint."""
    cfg = prepare_config(Config(cfg.to_dict()))
    with DefaultScope.overwrite_default_scope('mmseg'), torch.random.fork_rng(), quiet():
        DATASETS.build(cfg.train_dataloader.dataset)[0]
        model = MODELS.build(ConfigDict(without_pretrained(cfg.model)))
        model.init_weights()
    start = getattr(model, 'pseudo_start', None)
    if isinstance(start, StartPoint) and start.iteration(cfg.train_cfg.max_iters) >= (
        cfg.train_cfg.max_iters
    ):
        raise ValueError(f'model.pseudo_start={start.given} is behind its last iteration: lower it')
    meta = dict(dataset_meta=dict(classes=classes))
    torch.save(dict(meta=meta, state_dict=model.state_dict()), path)


def _score(cfg: Config, checkpoint: Path) -> None:
    scores_of(cfg, checkpoint, lambda: None, images=1)
