# Copyright (c) mmseg_ctt contributors.
"""Checks of model, hooks, checkpoints and work dir; the package is imported when one runs."""

import os
import shutil
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Iterator, List, Optional, Sequence

from _setup import EVALUATED, MB, Alert, Setup, Skip

if TYPE_CHECKING:
    from mmengine.config import Config
    from mmengine.model import BaseModel


def settings(setup: Setup) -> str:
    from mmseg_ctt.engine.compile_regions import check_compile
    from mmseg_ctt.engine.config_checks import check_config
    from mmseg_ctt.engine.option_checks import check_whole_stages

    check_whole_stages(setup.cfg)
    setup.warnings += check_config(setup.cfg)
    check_compile(setup.cfg)
    for part in EVALUATED:
        _check_scores(setup.cfg, part)
    return 'pipelines, preprocessor, optimiser and scores fit together'


def _check_scores(
    cfg: 'Config',
    part: str,
    members: Optional[Sequence[str]] = None,
    built: Optional['BaseModel'] = None,
) -> None:
    """Build the metrics, and check them and that of the best checkpoint."""
    from mmseg_ctt.engine.score_checks import check_metrics, check_save_best, scores_of

    if cfg.get(f'{part}_evaluator'):
        metrics = _metrics(cfg, part)
        hook = (cfg.get('default_hooks') or {}).get('checkpoint') or {}
        best = hook.get('save_best') if part == 'val' else None
        if built is None:
            check_save_best(best, metrics, members)
        else:
            check_metrics(built, metrics, part)
            check_save_best(best, metrics, members, scores_of(built))


def _metrics(cfg: 'Config', part: str = 'val') -> List[Any]:
    from mmengine.evaluator import Evaluator

    return Evaluator(cfg[f'{part}_evaluator']).metrics if cfg.get(f'{part}_evaluator') else []


def model(setup: Setup) -> str:
    import torch
    from mmseg.registry import MODELS

    from mmseg_ctt.engine.custom_key_checks import check_custom_keys
    from mmseg_ctt.engine.ignored_checks import check_ignored
    from mmseg_ctt.engine.score_checks import members_of
    from mmseg_ctt.engine.tag_checks import check_masks, check_tags
    from mmseg_ctt.nn.head_checks import check_heads, loss_warnings

    with torch.random.fork_rng(devices=[]):
        setup.model = MODELS.build(setup.cfg.model)
    outputs = setup.model.num_classes
    classes = len(setup.classes) if _has_classes(setup) else 0
    if classes and outputs != classes and trains_heads(setup.model):
        raise ValueError(
            f'decode_head.num_classes={outputs}, but the data set has {classes} classes: set '
            f'sizes.num_classes={classes}, or another data set'
        )
    built, setup.model = setup.model, None  # no step and no optimiser of one that is refused
    check_heads(built)
    setup.warnings += check_custom_keys(setup.cfg, built)
    for part in EVALUATED:
        _check_scores(setup.cfg, part, members_of(built), built)
    if setup.trained and setup.has_masks(setup.reference):
        check_ignored(built, setup.sets[setup.reference], _metrics(setup.cfg))
    sources = {name: setup.sets[name] for name in setup.trained}
    check_masks(built, setup.drawn, [name for name in setup.drawn if setup.has_masks(name)])
    with_tags = [name for name in sources if setup.has_tags(name)]
    trained = SimpleNamespace(sources=sources, with_tags=with_tags)
    setup.warnings += check_tags(built, trained)
    setup.model = built
    setup.warnings += loss_warnings(setup.model)
    weights = sum(value.numel() for value in setup.model.parameters())
    banks = sum(
        buffer.numel() * buffer.element_size()
        for name, buffer in setup.model.named_buffers()
        if '.bank.' in name
    )
    return (
        f'{type(setup.model).__name__}, {weights / 1e6:.1f} M parameters, banks '
        f'{banks / MB:.1f} MB on every rank'
    )


def trains_heads(model: 'BaseModel') -> bool:
    """Whether its number of classes counts; methods that learn features alone train no head."""
    return getattr(model, 'trains_heads', True)


def _has_classes(setup: Setup) -> bool:
    return any(setup.has_masks(name) or setup.has_tags(name) for name in setup.trained)


def hooks(setup: Setup) -> str:
    from mmengine.optim import build_optim_wrapper
    from mmengine.visualization import Visualizer
    from mmseg.registry import HOOKS

    from mmseg_ctt.engine import TeacherEMAHook
    from mmseg_ctt.engine.guards import check_hooks, check_stages, other_constructor
    from mmseg_ctt.methods.given_weights import check_given

    Visualizer.get_instance('check_setup')  # hooks ask for the one of the run
    listed = [
        *(setup.cfg.get('default_hooks') or {}).values(),
        *(setup.cfg.get('custom_hooks') or []),
    ]
    built = [HOOKS.build(dict(hook)) for hook in listed if hook]
    if setup.model is None:
        raise Skip('no model')
    check_hooks(setup.model, built)
    line = other_constructor(setup.model, setup.cfg.optim_wrapper)
    if line is not None:
        raise ValueError(line)
    if not (setup.cfg.get('load_from') or setup.cfg.get('resume')):
        check_given(setup.model)
    check_stages(setup.model, built, setup.cfg.get('train_cfg') or {})
    if setup.cfg.optim_wrapper.type.startswith('Amp'):
        return f'{len(built)} hooks; the optimiser of AMP needs a GPU and is not built'
    wrapper = build_optim_wrapper(setup.model, setup.cfg.optim_wrapper)
    for hook in built:
        if isinstance(hook, TeacherEMAHook):
            hook.before_train(SimpleNamespace(model=setup.model, optim_wrapper=wrapper))
    return f'{len(built)} hooks, {type(wrapper.optimizer).__name__}'


def step(setup: Setup) -> str:
    from mmengine.dataset import pseudo_collate
    from mmseg.registry import DATASETS

    from mmseg_ctt.engine.precision import training_precision
    from mmseg_ctt.engine.run_checks import explained, first_batch

    if not setup.args.step:
        raise Skip('asked for with --step')
    if setup.model is None or not setup.trained:
        raise Skip('no model or no data')
    if setup.model.num_classes != len(setup.classes) and trains_heads(setup.model):
        raise Skip('model and data set differ in their classes')  # the loss would only trip over it
    data = DATASETS.build({**setup.cfg.train_dataloader.dataset, 'scan_masks': 0})
    samples = first_batch(setup.cfg, data)
    begin = time.perf_counter()
    try:
        inputs = setup.model.train().data_preprocessor(pseudo_collate(samples), True)
        with training_precision(setup.cfg):
            losses = setup.model(**inputs, mode='loss')
        total, values = setup.model.parse_losses(losses)
        total.backward()
    except (ValueError, RuntimeError, AssertionError) as error:
        raise ValueError(explained(error, setup.cfg, setup.model) or error) from error
    setup.step_seconds = time.perf_counter() - begin
    return f'{len(samples)} images, loss {float(total.detach()):.3f} of {len(values) - 1} values'


def checkpoints(setup: Setup) -> str:
    from mmseg_ctt.engine.resume import refuse_broken
    from mmseg_ctt.nn import pretrained_path
    from mmseg_ctt.nn.weight_files import RANDOM

    local, remote, lacking = 0, set(), {}
    for key, name in _checkpoints(setup.cfg.to_dict()):
        path = pretrained_path(name)
        if path == RANDOM or '://' in path:
            remote |= {path} - {RANDOM}
            lacking.setdefault(path if '://' in path else name, _lacking(key, name))
        elif not os.path.isfile(path):
            raise FileNotFoundError(f'the checkpoint {path} of {key} does not exist')
        else:
            refuse_broken(path)
            local += 1
    note = f'{local} files{_starting_weights(setup)}'
    if remote:
        note += f'; a node without internet cannot fetch {", ".join(sorted(remote))}'
    lines = list(filter(None, lacking.values()))
    setup.warnings += lines
    return Alert(f'{note}: see the warnings below') if lines else note


def _lacking(key: str, name: str) -> Optional[str]:
    """Line about weights that are not on this machine; None where they are, or cannot be known."""
    from mmseg_ctt.nn import pretrained_path
    from mmseg_ctt.nn.weight_files import RANDOM, download_path, may_be_random, random_start, remedy

    address = pretrained_path(name)
    if address == RANDOM:
        return f'{key}: {random_start(name)}'
    kept = download_path(address)
    if kept is None or kept.is_file():
        return None
    end = 'weights stay random' if may_be_random(name) else 'the run stops'
    return (
        f'{key}: {address} is not on this machine yet, and {end} where it cannot be downloaded: '
        f'{remedy(name, key.rpartition(".")[0])}'
    )


def _starting_weights(setup: Setup) -> str:
    """Load the files that ``init_cfg`` and ``load_from`` name, and count what fits of them."""
    from mmseg_ctt.deploy.checkpoint import read_checkpoint
    from mmseg_ctt.engine.resume import refuse_misfit
    from mmseg_ctt.nn import pretrained_path
    from mmseg_ctt.nn.pretrained import counted_starting_weights

    if setup.model is None:
        return ''
    notes = []
    with counted_starting_weights(setup.model, setup.warnings.append) as fits:
        for module in setup.model.modules():
            given = getattr(module, 'init_cfg', None)
            file = given.get('checkpoint') if isinstance(given, dict) else None
            if isinstance(file, str) and os.path.isfile(pretrained_path(file)):
                module.init_weights()
    notes += [f'{key}: {fit}' for key, fit in fits.items()]
    path = setup.cfg.get('load_from')
    if path and os.path.isfile(path) and not setup.cfg.get('resume'):
        refuse_misfit(path, read_checkpoint(path), setup.model, 'start')
    return ''.join(f'; {note}' for note in notes)


def _checkpoints(value, key: str = '') -> Iterator[tuple]:
    """Every checkpoint that a config names, with its key."""
    if isinstance(value, dict):
        for name, item in value.items():
            inner = f'{key}.{name}' if key else str(name)
            if name in ('checkpoint', 'pretrained', 'load_from') and isinstance(item, str):
                yield inner, item
            else:
                yield from _checkpoints(item, inner)
    elif isinstance(value, (list, tuple)):
        for number, item in enumerate(value):
            yield from _checkpoints(item, f'{key}.{number}')


def work_dir(setup: Setup) -> str:
    from mmseg_ctt.datasets.whole_files import write_whole
    from mmseg_ctt.engine.resume import find_whole_checkpoint

    folder = Path(setup.cfg.work_dir)
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    write_whole(existing / '.check_setup', b'')
    (existing / '.check_setup').unlink()
    newest = find_whole_checkpoint(str(folder))
    note = f'{folder} is writable, {shutil.disk_usage(existing).free / MB:.0f} MB free'
    if newest is not None:
        note += f'; --resume goes on from {newest}, a start without it is refused'
    if setup.model is None:
        return note
    # weights of all members, and two moments of the students at most
    size = sum(
        value.numel() * value.element_size() * (3 if value.requires_grad else 1)
        for value in [*setup.model.parameters(), *setup.model.buffers()]
    )
    hook = setup.cfg.default_hooks.get('checkpoint') or {}
    kept = hook.get('max_keep_ckpts', -1)
    if kept < 1:
        kept = -(-setup.cfg.train_cfg.max_iters // max(hook.get('interval', 1), 1))
    if shutil.disk_usage(existing).free < (kept + 1) * size:
        raise ValueError(
            f'{folder} has {shutil.disk_usage(existing).free / MB:.0f} MB free, but '
            f'{kept} + 1 checkpoints take up to {(kept + 1) * size / MB:.0f} MB: make '
            'room, or set default_hooks.checkpoint.max_keep_ckpts'
        )
    return f'{note}; {kept} + 1 checkpoints take up to {(kept + 1) * size / MB:.0f} MB'
