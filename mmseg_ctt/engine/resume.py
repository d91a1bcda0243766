# Copyright (c) mmseg_ctt contributors.
"""Checkpoints to resume from: the newest intact one, and checks that it fits the model."""

import logging
import os
import os.path as osp
import re
from pathlib import Path
from typing import Dict, Iterator, Mapping, Optional, Sequence

import torch
import torch.nn as nn
from mmengine.logging import print_log

from ..methods.base import SemiSegmentor
from ..nn.lora import is_adapter
from ..nn.pretrained import fit_of, prefix_of
from ..nn.weight_files import defect
from .checkpoint import POINTER
from .held_log import show

NUMBERED = re.compile(r'(?:iter|epoch)_(\d+)\.pth')


def refuse_broken(path: str) -> None:
    """Check that a checkpoint file is intact, for an error of one line in place of torch's many.

    Args:
        path (str): Checkpoint; remote ones and those not in torch's zip format pass.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is empty, truncated or damaged.
    """
    if '://' in path:
        return
    if not osp.isfile(path):
        raise FileNotFoundError(f'the checkpoint {path} does not exist')
    with open(path, 'rb') as file:
        start = file.read(2)
    wrong = defect(path) if start in (b'', b'PK') else None
    if wrong is not None:
        raise ValueError(
            f'the checkpoint {path} {wrong}: name another, or give --resume no value '
            'to go on from the newest that is whole'
        )


def refuse_misfit(
    path: str, checkpoint: Mapping, model: nn.Module, purpose: str, differences: Sequence[str] = ()
) -> None:
    """Check that a checkpoint is of this model; mmengine would load the entries that fit.

    Args:
        path (str): For the message.
        checkpoint (Mapping): Loaded checkpoint: a ``state_dict``, or a dict that holds one.
        model (nn.Module): The model to load it.
        purpose (str): ``'resume'``: the whole state must fit, with the state of the optimiser;
            ``'test'``: all weights must fit; ``'start'``: a tenth of the weights must fit, and
            the log says how many do.
        differences (Sequence[str]): Settings of the model that differ, for the message. Defaults
            to none known.

    Raises:
        ValueError: If it does not fit; names the first such entries.
    """
    inner = checkpoint.get('state_dict', checkpoint) if isinstance(checkpoint, Mapping) else None
    if not isinstance(inner, Mapping):
        raise ValueError(f'{path} is no checkpoint: it holds no state_dict')
    if purpose == 'resume' and not {'meta', 'message_hub', 'optimizer'} <= set(checkpoint):
        raise ValueError(
            f'the checkpoint {path} holds weights only and cannot be resumed: start '
            'from it with --cfg-options load_from=..., without --resume'
        )
    state = {re.sub(r'^module\.', '', str(name)): value for name, value in inner.items()}
    if isinstance(model, SemiSegmentor):
        model.update_state(state)  # as it will be when it is loaded
    if (
        purpose == 'start'
        and isinstance(students := getattr(model, 'students', None), nn.ModuleList)
        and not any(name.startswith(('students.', 'teachers.')) for name in state)
    ):
        model = students[0]  # the weights of a plain segmentor are copied to every member
    weights = dict(model.named_parameters())
    _refuse_adapters(path, model.state_dict(), state, purpose == 'start')
    if purpose == 'start':  # adapters are not in a plain network
        plain = {n: w for n, w in weights.items() if n in state or not is_adapter(n)}
        return _check_start(path, plain, state)
    own = model.state_dict() if purpose == 'resume' else weights
    misfits = [
        name
        for name, value in own.items()
        if getattr(state.get(name), 'shape', None) != value.shape
    ]
    if not misfits:
        return
    shown = '; '.join(
        f'{name} is {_shape(state.get(name))} there and {_shape(own[name])} here'
        for name in misfits[:2]
    )
    settings = f'; {"; ".join(differences[:4])}' if differences else ''
    raise ValueError(
        f'the checkpoint {path} is of another model: {len(misfits)} of {len(own)} '
        f'entries do not fit ({shown}{settings}). Take the config it was trained with'
    )


def _refuse_adapters(path: str, weights: Mapping, state: Mapping, by_shape: bool) -> None:
    """Without its adapters a network is not the one that was trained."""
    lost = [
        name
        for name in state
        if is_adapter(name)
        and (name not in weights or by_shape and weights[name].shape != state[name].shape)
    ]
    if lost:
        here = _shape(weights[lost[0]]) if lost[0] in weights else 'none'
        raise ValueError(
            f'the checkpoint {path} has LoRA adapters ({lost[0]}) and this network has {here}: set '
            'model.segmentor.backbone.lora as in that run, or export the checkpoint by '
            'tools/model_converters/export_segmentor.py, which merges them'
        )


def _check_start(path: str, weights: Mapping, state: Mapping) -> None:
    """Count the weights that ``load_from`` gives to a model, or to each of its members."""
    fit = fit_of(weights, state)
    if fit.enough and fit.example:
        print_log(
            f'load_from: {path} has {fit} of the network, the others keep their initial values '
            f'({fit.example})',
            'current',
            logging.WARNING,
        )
    elif fit.enough:
        show(f'load_from: {path} has {fit} of the network')
    else:
        part, prefix = prefix_of(state, weights), prefix_of(weights, state)
        reason = (
            f': it is a {part[:-1]} alone, set the init_cfg of that'
            if part
            else f': its names begin with {prefix!r}, save it without'
            if prefix
            else ''
        )
        raise ValueError(
            f'load_from: the checkpoint {path} is of another model: it has {fit} of the network '
            f'({fit.example}){reason}'
        )


def _shape(value: Optional[torch.Tensor]) -> str:
    return 'absent' if value is None else str(tuple(getattr(value, 'shape', ())))


def find_whole_checkpoint(work_dir: str) -> Optional[str]:
    """Newest intact checkpoint: that of ``last_checkpoint``, else an earlier one.

    Damaged checkpoints are reported in the log.

    Args:
        work_dir (str): Work dir of the interrupted run.

    Returns:
        str | None: Its path; None if the run has saved nothing yet.

    Raises:
        ValueError: If all checkpoints are damaged.
    """
    broken: Dict[str, str] = {}
    for path in _newest_first(work_dir):
        wrong = defect(path)
        if wrong is None:
            if broken:
                print_log(
                    f'going on from {path}, the newest whole checkpoint', 'current', logging.WARNING
                )
            return path
        broken[path] = wrong
        print_log(f'the checkpoint {path} {wrong} and is not used', 'current', logging.WARNING)
    if broken:
        raise ValueError(
            f'no checkpoint in {work_dir} is whole ('
            + '; '.join(f'{osp.basename(p)} {wrong}' for p, wrong in broken.items())
            + f'): remove {osp.join(work_dir, POINTER)} and these files to begin '
            'again, or name another checkpoint with --resume'
        )
    return None


def _newest_first(work_dir: str) -> Iterator[str]:
    """Checkpoint that ``last_checkpoint`` names, then earlier ones by falling number."""
    newest, folder, limit = last_checkpoint(work_dir), work_dir, float('inf')
    if newest is not None:
        yield newest
        folder = osp.dirname(newest)
        match = NUMBERED.fullmatch(osp.basename(newest))
        limit = int(match[1]) if match else limit
    files = os.listdir(folder) if osp.isdir(folder) else []
    numbers = {int(match[1]): name for name in files if (match := NUMBERED.fullmatch(name))}
    for number in sorted(numbers, reverse=True):
        if number < limit:
            yield osp.join(folder, numbers[number])


def has_checkpoint(work_dir: str) -> bool:
    """Whether a run has saved a checkpoint, whole or damaged.

    Args:
        work_dir (str): Its work dir.
    """
    return any(osp.isfile(path) for path in _newest_first(work_dir))


def last_checkpoint(work_dir: str) -> Optional[str]:
    """The checkpoint that ``last_checkpoint`` names, which may not exist; None without that file.

    The file of that name in the work dir, where there is one: the recorded path is that of the
    folder that was moved or copied. Checkpoints may also be in a folder of their own.

    Args:
        work_dir (str): Of a run; it may have been moved, or be a copy.
    """
    pointer = Path(work_dir, POINTER)
    path = pointer.read_text().strip() if pointer.is_file() else ''
    if not path or '://' in path:
        return path or None
    beside, folder = osp.join(work_dir, osp.basename(path)), osp.dirname(path)
    if osp.isfile(path) and not osp.isfile(osp.join(folder, POINTER)):
        return path  # in no work dir, but in the `out_dir` of the hook
    return beside if osp.isfile(beside) or not osp.isdir(folder) else path
