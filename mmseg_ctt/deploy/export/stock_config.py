# Copyright (c) mmseg_ctt contributors.
"""Complete config that stock mmseg runs without this package."""

import copy
from typing import Any, List, Mapping, Tuple

from mmengine.config import Config

from ...datasets.wrappers import leaf_configs
from .stock_data import OtherIds, stock_eval_loader, stock_pipeline, stock_train_loader
from .stock_optimizer import stock_optim_wrapper
from .stock_types import PACKAGE, find_own, is_own, kept_types, refuse_own

# Keys that are copied. Others are variables of the config file, such as `geometry`.
_COPIED = (
    'default_scope',
    'env_cfg',
    'vis_backends',
    'visualizer',
    'log_processor',
    'log_level',
    'randomness',
    'tta_model',
)
SCOPE = '_scope_'
_TRAINING = ('train_dataloader', 'train_cfg', 'optim_wrapper', 'param_scheduler')


def stock_config(cfg: Config, model: Mapping, meta: Mapping, notes: List[str]) -> Config:
    """Config of a plain model, for testing, inference and fine-tuning.

    Args:
        cfg (Config): Config of the semi-supervised run.
        model (Mapping): Stock config of the model.
        meta (Mapping): ``classes`` and ``palette`` of the data; empty if not known.
        notes (list[str]): Notes for the user are appended.

    Returns:
        Config: With types of stock mmseg only, and layers that an export keeps.

    Raises:
        ValueError: If a type that testing needs has no counterpart in stock mmseg.
    """
    stock = {key: copy.deepcopy(cfg[key]) for key in _COPIED if cfg.get(key) is not None}
    if is_own(stock.get('log_processor') or {}):
        stock['log_processor'].pop('type')
    stock.setdefault('default_scope', 'mmseg')
    stock.setdefault('tta_model', dict(type='SegTTAModel'))
    imports = _imports(cfg.get('custom_imports') or {}, model, notes)
    if imports:
        stock['custom_imports'] = imports
    stock['model'] = model
    for stage, loop in (('val', 'ValLoop'), ('test', 'TestLoop')):
        stock.update(_evaluation(cfg, stage, loop, meta, notes))
    steps = cfg.get('test_pipeline')
    if cfg.get('test_dataloader'):
        first = [*leaf_configs(cfg.test_dataloader.dataset).values()][0]
        steps = first.get('pipeline', [])
    if steps is not None:  # mmseg's `inference_model` reads this key
        stock['test_pipeline'] = stock_pipeline(steps)
    if cfg.get('tta_pipeline'):
        stock['tta_pipeline'] = stock_pipeline(cfg.tta_pipeline)
    stock['default_hooks'] = {
        name: _stock_hook(hook)
        for name, hook in (cfg.get('default_hooks') or {}).items()
        if hook and not is_own(hook)
    }
    stock['custom_hooks'] = [hook for hook in cfg.get('custom_hooks') or [] if not is_own(hook)]
    refuse_own(stock)
    stock.update(_training(cfg, meta, notes))
    stock = {**stock, 'load_from': None, 'resume': False}
    return Config(_plain(stock, (stock['default_scope'], PACKAGE)))


def _imports(imports: Mapping, model: Mapping, notes: List[str]) -> dict:
    """``custom_imports``; this package is among them where the model has layers of it."""
    names = imports.get('imports') or []
    names = [names] if isinstance(names, str) else names
    others = [name for name in names if name.split('.')[0] != PACKAGE]
    kept = kept_types(model)
    if kept:
        notes.append(
            f'the network has {", ".join(kept)}, and stock mmseg has nothing equal: config and '
            f'weights work where {PACKAGE} is installed (custom_imports)'
        )
        others = [PACKAGE, *others]
    return dict(imports, imports=others) if others else {}


def _evaluation(cfg: Config, stage: str, loop: str, meta: Mapping, notes: List[str]) -> dict:
    key = f'{stage}_dataloader'
    if not cfg.get(key):
        return {}
    fp16 = (cfg.get(f'{stage}_cfg') or {}).get('fp16', False)
    try:
        loader = stock_eval_loader(cfg[key], key, meta, notes)
    except OtherIds as error:
        notes.append(f'without {key}, so that it predicts and cannot be scored: {error}')
        return {}
    return {
        key: loader,
        f'{stage}_evaluator': _stock_evaluator(cfg.get(f'{stage}_evaluator')),
        f'{stage}_cfg': dict(type=loop, fp16=fp16),
    }


def _stock_evaluator(evaluator: Any) -> Any:
    """Evaluators of stock mmseg; a single one as a dict, which ``test.py --out`` needs."""
    metrics = evaluator if isinstance(evaluator, (list, tuple)) else [evaluator]
    kept = [metric for metric in metrics if metric and not is_own(metric)]
    if not kept:
        return dict(type='IoUMetric', iou_metrics=['mIoU'])
    return kept[0] if len(kept) == 1 else kept


def _stock_hook(hook: Any) -> Any:
    """Hook whose ``save_best`` names no member: ``'teacher0/mIoU'`` becomes ``'mIoU'``."""
    best = hook.get('save_best') if isinstance(hook, Mapping) else None
    return dict(hook, save_best=best.split('/')[-1]) if isinstance(best, str) else hook


def _training(cfg: Config, meta: Mapping, notes: List[str]) -> dict:
    """Supervised training on the labelled images; empty if stock mmseg cannot run it."""
    if not all(cfg.get(key) for key in _TRAINING):
        return {}
    lengths = {
        key: cfg.train_cfg[key] for key in ('max_iters', 'val_interval') if key in cfg.train_cfg
    }
    try:
        loader = stock_train_loader(cfg.train_dataloader, meta, notes)
    except (ValueError, OSError) as error:
        notes.append(f'without the training part: {error}')
        return {}
    training = dict(
        train_dataloader=loader,
        optim_wrapper=stock_optim_wrapper(cfg.optim_wrapper, notes),
        train_cfg=dict(type='IterBasedTrainLoop', **lengths),
        param_scheduler=cfg.param_scheduler,
    )
    for key, kind in find_own(training):
        notes.append(f'without the training part: stock mmseg has no {kind} ({key})')
        return {}
    return training


def _plain(node: Any, known: Tuple[str, ...]) -> Any:
    """Config node with plain dicts and lists, which mmengine prints and copies.

    mmengine marks variables of an inherited ``package::config`` with ``_scope_``. Where there is no
    type, the mark reaches a call as an argument; scopes of ``known`` are found without it.
    """
    if isinstance(node, Mapping):
        marked = 'type' in node and node.get(SCOPE) not in known
        return {key: _plain(value, known) for key, value in node.items() if key != SCOPE or marked}
    if isinstance(node, (list, tuple)):
        return type(node)(_plain(item, known) for item in node)
    return node
