# Copyright (c) mmseg_ctt contributors.
"""From the network of a step to that of the next, which has more classes."""

import math
import os
from typing import Any, Dict, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

import torch
from mmengine.runner import CheckpointLoader
from torch import Tensor, nn

KEY = 'model.old_checkpoint'
INITS = ('default', 'balanced')
TO_LOAD = (
    f'set {KEY}=FILE, the network of the step before; with {KEY}=False load_from must be of a run '
    'of this method, whose checkpoints hold that network'
)
State = Dict[str, Tensor]
OldClasses = Union[int, Sequence[str]]


def number_of_old(old_classes: Any, num_classes: int) -> int:
    """Number of old classes.

    Args:
        old_classes (int | Sequence[str]): Of the config.
        num_classes (int): Of the network.

    Raises:
        TypeError: If they are neither names nor a number.
        ValueError: If there is none, or no new class.
    """
    key = 'model.old_classes'
    if isinstance(old_classes, (list, tuple)):
        number = len(old_classes)
    elif isinstance(old_classes, int) and not isinstance(old_classes, bool):
        number = old_classes
    else:
        raise TypeError(
            f'{key} must be the classes of the old network, with the background, or their number; '
            f'got {old_classes!r}'
        )
    if not 1 <= number < num_classes:
        raise ValueError(
            f'{key} has {number} classes and decode_head.num_classes is {num_classes}: it needs 1 '
            'at least, and new classes behind them'
        )
    return number


def checked_path(given: Any) -> Optional[str]:
    """``old_checkpoint`` of a config: a file, or None; empty for False.

    Raises:
        TypeError: If it is something else.
    """
    if given is True or not isinstance(given, (str, bool, type(None))):
        raise TypeError(f'{KEY} must be a file, or False; got {given!r}')
    return '' if isinstance(given, bool) else given


def old_head(decode_head: Any, number: int) -> Dict[str, int]:
    """Changes of the decode head of a network of the old classes alone.

    Args:
        decode_head (Mapping): Config of the head.
        number (int): Of old classes.

    Raises:
        ValueError: If there are several heads.
    """
    if not isinstance(decode_head, Mapping):
        raise ValueError(
            'model.segmentor.decode_head must be one head, whose classifier grows; got '
            f'{type(decode_head).__name__}'
        )
    changes = dict(num_classes=number)
    return dict(changes, out_channels=number) if 'out_channels' in decode_head else changes


class OldNetwork(NamedTuple):
    """Network of the step before, of a checkpoint.

    Attributes:
        state (dict[str, Tensor]): Of a plain segmentor.
        classes (tuple[str, ...] | None): Names of its classes, where the checkpoint has them.
    """

    state: State
    classes: Optional[Tuple[str, ...]]


def read_old(path: str, key: str = KEY) -> OldNetwork:
    """Network of a checkpoint: a plain segmentor, or the student of a method.

    Args:
        path (str): File or address.
        key (str): Its place in the config. Defaults to 'model.old_checkpoint'.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no checkpoint of mmengine, or of a method with several networks.
    """
    if '://' not in path and not os.path.isfile(path):
        raise FileNotFoundError(f'{key}={path!r} does not exist: give the checkpoint of a step')
    try:
        checkpoint = CheckpointLoader.load_checkpoint(path, 'cpu', logger='silent')
        state, meta = dict(checkpoint['state_dict']), checkpoint.get('meta') or {}
    except Exception as error:  # torch's and pickle's
        raise ValueError(f'{key}: {path} is no checkpoint of mmengine, or damaged') from error
    if any(name.startswith(('teachers.', 'students.1.')) for name in state):
        raise ValueError(
            f'{key}: {path} has several networks; write one by '
            'tools/model_converters/export_segmentor.py and give that'
        )
    prefix = 'students.0.'
    if any(name.startswith(prefix) for name in state):
        state = {
            name[len(prefix) :]: value for name, value in state.items() if name.startswith(prefix)
        }
    classes = (meta.get('dataset_meta') or {}).get('classes')
    return OldNetwork(state, tuple(classes) if classes else None)


def check_old(path: str, old: OldNetwork, classes: OldClasses, key: str = KEY) -> None:
    """Refuse a checkpoint of other classes.

    Args:
        path (str): Of the checkpoint.
        old (OldNetwork): What it holds.
        classes (int | Sequence[str]): Old classes of the config, or their number.
        key (str): Place of the checkpoint in the config. Defaults to 'model.old_checkpoint'.

    Raises:
        ValueError: Names both.
    """
    if old.classes is None:
        return
    names = not isinstance(classes, int)
    differs = tuple(classes) != old.classes if names else len(old.classes) != classes  # type: ignore
    if differs:
        expected = ', '.join(classes) if names else f'{classes} classes'  # type: ignore
        raise ValueError(
            f'{key}: {path} is of the classes {", ".join(old.classes)}, and the old classes of the '
            f'config are {expected}: give the checkpoint of the step before, or correct the config'
        )


def fill_old(network: nn.Module, path: str, state: Mapping[str, Tensor]) -> None:
    """Load the old network.

    Args:
        network (nn.Module): Of the old classes, changed in place.
        path (str): Of the checkpoint.
        state (Mapping[str, Tensor]): Of :func:`read_old`.

    Raises:
        ValueError: If it is of another architecture or number of classes.
    """
    own = network.state_dict()
    for key, value in own.items():
        if key not in state or state[key].shape != value.shape:
            found = 'no such entry' if key not in state else f'shape {tuple(state[key].shape)}'
            raise ValueError(
                f'{KEY}: {path} has {found} for {key}, and the old network of model.segmentor and '
                f'model.old_classes has {tuple(value.shape)}: both must be of one architecture'
            )
    network.load_state_dict({key: state[key] for key in own})


def grown_state(own: Mapping[str, Tensor], old: Mapping[str, Tensor], init: str) -> State:
    """State of a network that begins as the old one and has more classes.

    Args:
        own (Mapping[str, Tensor]): State of the new network, as initialised.
        old (Mapping[str, Tensor]): State of the old one.
        init (str): ``'default'``: rows of new classes stay as initialised; ``'balanced'``: they are
            those of the background, and their bias and that of the background is
            ``b - log(N + 1)``, so that together they predict what the background did (MiB,
            ``init_balanced`` of the released code).

    Returns:
        dict[str, Tensor]: Entries of equal shape are the old ones; of classifiers, the first rows.

    Raises:
        ValueError: If they are of another architecture.
    """
    made = {}
    for key, value in own.items():
        if key not in old or not _fits(old[key], value):
            raise ValueError(
                f'{KEY}: the network before has '
                f'{"no " + key if key not in old else f"{key} of {tuple(old[key].shape)}"}, and '
                f'that of model.segmentor has {tuple(value.shape)}: both must be of one '
                'architecture, with as many classes or more'
            )
        made[key] = _grown(value, old[key], init)
    return made


def _fits(old: Tensor, own: Tensor) -> bool:
    rows = own.dim() > 0 and old.dim() == own.dim() and len(old) < len(own)
    return old.shape == own.shape or (rows and old.shape[1:] == own.shape[1:])


def _grown(own: Tensor, old: Tensor, init: str) -> Tensor:
    if own.shape == old.shape:
        return old
    made = own.clone()
    made[: len(old)] = old.to(own)
    if init == 'balanced':
        made[len(old) :] = made[:1]
        if made.dim() == 1:
            made[len(old) :] -= math.log(len(own) - len(old) + 1)
            made[:1] -= math.log(len(own) - len(old) + 1)
    return made


@torch.no_grad()
def start_from(
    path: str, old: nn.Module, student: nn.Module, classes: OldClasses, init: str = 'default'
) -> None:
    """Load the checkpoint of the step before into the old network and the student.

    Args:
        path (str): Of the checkpoint.
        old (nn.Module): Changed in place.
        student (nn.Module): Changed in place; initialised.
        classes (int | Sequence[str]): Old classes, or their number.
        init (str): Of the new classes, see :func:`grown_state`. Defaults to 'default'.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is of other classes or another architecture.
    """
    found = read_old(path)
    check_old(path, found, classes)
    fill_old(old, path, found.state)
    own: Any = student.state_dict()
    student.load_state_dict(grown_state(own, found.state, init))
