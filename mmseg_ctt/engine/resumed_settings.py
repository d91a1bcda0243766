# Copyright (c) mmseg_ctt contributors.
"""Settings of a resumed run: those that it takes from its config, and those of the checkpoint."""

from typing import Any, Dict, Iterator, List, Mapping, Sequence, Set, Tuple

from mmengine.config import Config
from mmengine.optim import OptimWrapperDict
from mmengine.runner import Runner
from torch.optim import Optimizer

from ..methods.registry import registered_methods
from ..nn.lora import LoRA
from .best_score import forget_best
from .config_changes import ABSENT, Change, changes, parse_config, shown
from .fingerprint import HASHED, MACHINE, WATCHING_HOOKS
from .held_log import SHOWN
from .part_optimizer import KEY as PARTS
from .part_optimizer import PartOptimizer

# Of how an optimiser computes, not what: those of this machine and version of PyTorch are right.
IMPLEMENTATION = ('fused', 'foreach', 'capturable', 'differentiable')
# Settings without which an optimiser cannot make a step.
ESSENTIAL = ('momentum', 'betas', 'alpha', 'lambd', 'rho', 'etas')
# Settings whose value is in the state of the checkpoint.
OF_THE_STATE = (
    ('optim_wrapper', 'optimizer'),
    ('optim_wrapper', 'paramwise_cfg'),
    ('optim_wrapper', 'part_optimizers'),
    ('param_scheduler',),
    ('auto_scale_lr',),
    ('randomness', 'seed'),
    ('train_dataloader', 'sampler', 'seed'),
)
OF_THE_CONTRAST = ('start_iter', 'when_full')  # of the hook, over once the contrast is on
NEW_RUN = 'begin a new run from its weights, --cfg-options load_from=CHECKPOINT without --resume'


def compare(runner: Runner, checkpoint: Mapping[str, Any]) -> List[Change]:
    """Settings that differ between the run of a checkpoint and this one.

    Args:
        runner (Runner): Of this run.
        checkpoint (Mapping): To be resumed; its ``meta`` holds the config as text.

    Returns:
        list[Change]: Of the keys that a result depends on; empty if the text cannot be read.
    """
    if not isinstance(checkpoint, Mapping) or 'meta' not in checkpoint:
        return []
    before = parse_config(checkpoint['meta'].get('cfg') or '')
    now = parse_config(runner.cfg.pretty_text)
    if not before or not now:
        runner.logger.warning(
            'the checkpoint holds no config that can be read: settings that have changed since are '
            'not listed'
        )
        return []
    return [
        change
        for change in changes(before, now)
        if change.path[0] in HASHED
        and change.path[0] != 'load_from'
        and not set(change.path) & set(MACHINE)
        and not all(value in (None, ABSENT) for value in (change.old, change.new))
    ]


def refuse_other_scale(path: str, checkpoint: Mapping[str, Any], model: Any) -> None:
    """Check that adapters of a checkpoint are scaled as in its run; their shapes do not tell.

    Args:
        path (str): Of the checkpoint, for the message.
        checkpoint (Mapping): Its ``meta`` holds the config of its run as text.
        model (Mapping): Config of the model of this run.

    Raises:
        ValueError: If the scales ``alpha / rank`` differ.
    """
    meta = checkpoint.get('meta') or {} if isinstance(checkpoint, Mapping) else {}
    before = _lora_scales((parse_config(meta.get('cfg') or '') or {}).get('model'))
    now = _lora_scales(model)
    if before and now and before != now:
        there, here = (', '.join(map(str, sorted(scales))) for scales in (before, now))
        raise ValueError(
            f'the checkpoint {path} has LoRA adapters of scale (alpha / rank) {there}, and this '
            f'config {here}: set model.segmentor.backbone.lora as in that run'
        )


def _lora_scales(node: Any) -> Set[float]:
    """Scales of all settings ``lora`` of a config."""
    if isinstance(node, (list, tuple)):
        return {scale for value in node for scale in _lora_scales(value)}
    if not isinstance(node, Mapping):
        return set()
    found = {scale for value in node.values() for scale in _lora_scales(value)}
    if isinstance(node.get('lora'), Mapping):
        found.add(LoRA(**node['lora']).scale)
    return found


def report(runner: Runner, checkpoint: Mapping[str, Any], found: List[Change]) -> None:
    """Log what a resumed run takes from its config and what not, and note the latter in the config.

    The config of the runner then says what is in force, and the next checkpoint with it.

    Args:
        runner (Runner): Of this run.
        checkpoint (Mapping): To be resumed; the best score of another metric or validation is
            removed.
        found (list[Change]): From :func:`compare`.
    """
    started = any(
        name.endswith('contrast.on') and bool(value)
        for name, value in checkpoint['state_dict'].items()
    )
    kept = [change for change in found if _of_the_state(change, started)]
    taken = [change for change in found if change not in kept]
    for change in kept:
        _restore(runner.cfg, change)
    forget_best(runner, checkpoint['message_hub']['runtime_info'], taken)
    if kept:
        lines = (f'{c.key}={shown(c.new)} ({shown(c.old)} goes on)' for c in kept)
        runner.logger.warning(
            'these settings of the config have no effect on a resumed run, which goes on with the '
            f'state of the checkpoint: {", ".join(lines)}. For the new values {NEW_RUN}'
        )
    taken = [change for change in taken if not _watches(runner.cfg, change)]
    if taken:
        lines = (f'{c.key}={shown(c.new)} (was {shown(c.old)})' for c in taken)
        line = f'the resumed run goes on with other settings: {", ".join(lines)}'
        runner.logger.info(line, extra={SHOWN: True})


def _of_the_state(change: Change, started: bool) -> bool:
    path = change.path
    if path[-1] in IMPLEMENTATION:
        return False
    if path[0] == 'model':  # weights come from the checkpoint
        return any(name in ('pretrained', 'init_cfg') for name in path)
    if path[:2] == ('default_hooks', 'queue_warmup'):
        return started and path[-1] in OF_THE_CONTRAST
    return any(path[: len(key)] == key for key in OF_THE_STATE)


def _watches(cfg: Config, change: Change) -> bool:
    """Whether a setting is one of a hook that does not change the training."""
    hook = (cfg.get('default_hooks') or {}).get(change.path[1]) if change.path[1:] else None
    return change.path[0] == 'default_hooks' and (hook or {}).get('type') in WATCHING_HOOKS


def _restore(cfg: Config, change: Change) -> None:
    """Set the value of the checkpoint in the config of the runner."""
    _set(cfg._cfg_dict, change.path, change.old)


def _set(node: Any, path: Sequence, value: Any) -> Any:
    """A dict, list or tuple with a value at a path, the first two changed in place."""
    name, *rest = path
    if value is ABSENT and not rest:
        node.pop(name, None)
        return node
    held = list(node) if isinstance(node, tuple) else node
    held[name] = _set(held[name], rest, value) if rest else value
    return type(node)(held) if isinstance(node, tuple) else held


# ---- optimiser and schedules


def refuse_other_optimizer(
    runner: Runner, checkpoint: Mapping[str, Any], found: List[Change]
) -> None:
    """Check that optimiser and schedules can load their state; fit it to this machine.

    Args:
        runner (Runner): Of this run, its optimiser built.
        checkpoint (Mapping): To be resumed. How the optimisers compute (``fused``, ``foreach``)
            becomes that of this run.
        found (list[Change]): From :func:`compare`.

    Raises:
        ValueError: If the checkpoint is of another method, or has another optimiser, other groups
            of parameters or other schedules; names the key.
    """
    _refuse_other_method(found)
    for change in found:
        of_optimizer = change.path[:2] in (('optim_wrapper', 'optimizer'), tuple(PARTS.split('.')))
        if change.path[-1] == 'type' and (of_optimizer or change.path[0] == 'param_scheduler'):
            raise ValueError(
                f'{change.key}="{change.new}", but the resumed run has "{change.old}", whose state '
                f'does not fit: set that, or {NEW_RUN}'
            )
    for key, state, optimizer in _optimizers(runner, checkpoint['optimizer']):
        _check_groups(key, state, optimizer)
        for group, own in zip(state['param_groups'], optimizer.param_groups):
            for name in IMPLEMENTATION:
                group.pop(name, None)
            group.update({name: own[name] for name in IMPLEMENTATION if name in own})
    saved, own = checkpoint.get('param_schedulers'), runner.param_schedulers
    if isinstance(saved, list) and isinstance(own or [], list) and len(saved) != len(own or []):
        raise ValueError(
            f'param_scheduler has {len(own or [])} schedules, but the resumed run has '
            f'{len(saved)}, whose state does not fit: set those, or {NEW_RUN}'
        )


def _refuse_other_method(found: List[Change]) -> None:
    """The state of a method may hold all entries of another, which has fewer networks."""
    methods = registered_methods()
    for change in found:
        if change.path != ('model', 'type'):
            continue
        old, new = methods.get(change.old), methods.get(change.new)
        if old and new and not issubclass(old, new) and not issubclass(new, old):
            raise ValueError(
                f'model.type="{change.new}", but the resumed run is of "{change.old}": resume it '
                f'with the method of that run, or {NEW_RUN}'
            )


def _optimizers(
    runner: Runner, states: Mapping[str, Any]
) -> Iterator[Tuple[str, Dict[str, Any], Optimizer]]:
    """Config key, saved state and optimiser of each optimiser of the run."""
    wrapper = runner.optim_wrapper
    several = isinstance(wrapper, OptimWrapperDict)
    named = dict(wrapper.items()) if several else {'optimizer': wrapper}
    for name, inner in named.items():
        state: Any = states.get(name) if several else states
        key, optimizer = f'optim_wrapper.{name}', inner.optimizer
        if state is None:
            continue
        if isinstance(optimizer, PartOptimizer):  # refuses other parts itself
            parts = optimizer.optimizers
            yield from ((f'{key} ({p})', state[p], parts[p]) for p in parts if p in state)
        elif 'param_groups' not in state:
            raise ValueError(
                f'{PARTS} is not set, but the resumed run has optimisers of {sorted(states)}: set '
                f'it as in the config of that run, or {NEW_RUN}'
            )
        else:
            yield key, state, optimizer


def _check_groups(key: str, state: Mapping[str, Any], optimizer: Optimizer) -> None:
    saved, own = state['param_groups'], optimizer.param_groups
    sizes = [[len(group['params']) for group in groups] for groups in (saved, own)]
    if sizes[0] != sizes[1]:
        raise ValueError(
            f'{key}: the resumed run has groups of {sizes[0]} parameters and this config makes '
            f'{sizes[1]}: set optim_wrapper.paramwise_cfg and the frozen parts of the model as in '
            f'that run, or {_decay_everywhere(saved, own)}{NEW_RUN}'
        )
    missing = [name for name in ESSENTIAL if name in own[0] and name not in saved[0]]
    if missing:
        raise ValueError(
            f'{key}.type="{type(optimizer).__name__}", but the resumed run has an optimiser '
            f'without {missing[0]}: set that of its config, or {NEW_RUN}'
        )


def _decay_everywhere(saved: List[dict], own: List[dict]) -> str:
    """What to set for a run of a version that gave norms and biases the default decay."""
    before, now = ({group.get('weight_decay') for group in groups} for groups in (saved, own))
    if len(before) != 1 or 0 in before or now != {0, *before}:
        return ''
    return (
        f'for a run of an earlier version set optim_wrapper.optimizer.weight_decay={before.pop()} '
        "and optim_wrapper.paramwise_cfg.custom_keys={'': dict(decay_mult=1)} (decay_mult=1 in its "
        'other keys too), with which norms and biases decay as there, or '
    )
