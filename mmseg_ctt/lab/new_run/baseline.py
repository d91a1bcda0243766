# Copyright (c) mmseg_ctt contributors.
"""The baseline that a former call has written: its numbers, and options that it does not follow."""

import re
from pathlib import Path
from typing import List, NamedTuple, Optional, Sequence

from mmengine.config import Config

from .configs import NETWORK, SUPERVISED
from .networks import NETWORKS, USUAL
from .sizes import Sizes

OF_DATA = ('masked = ', 'images = ')  # lines that options on folders and masks change
OF_CLASSES = ('--classes', '--palette', '--ignore')


class Baseline(NamedTuple):
    """Config of a baseline, as it is or as the user has changed it.

    Attributes:
        path (Path): The file.
        text (str): Its content.
        model (str | None): Name of the network; None for one of the user.
        numbers (Sizes): Its numbers.
        classes (int): Number of classes.
    """

    path: Path
    text: str
    model: Optional[str]
    numbers: Sizes
    classes: int


def read_baseline(folder: Path) -> Optional[Baseline]:
    """The baseline of a folder of configs, None where there is none.

    Args:
        folder (Path): Of the configs.

    Raises:
        ValueError: If the file is no config, or has no numbers of its own any more.
    """
    path = folder / f'{SUPERVISED}.py'
    if not path.is_file():
        return None
    try:
        cfg = Config.fromfile(str(path))
        sizes, loop = cfg.sizes, cfg.train_cfg
        scale, crop = tuple(sizes.scale), tuple(sizes.crop_size)
        batch = cfg.train_dataloader.batch_size
        numbers = Sizes(scale, crop, batch, sizes.max_iters, loop.val_interval, [])
        classes = int(sizes.num_classes)
    except Exception as error:  # a file of Python that the user may have changed in any way
        raise ValueError(
            f'{path} is there and cannot be used ({type(error).__name__}: {error}): correct it, '
            'remove it, or make another run with --name NAME'
        ) from error
    text = path.read_text(encoding='utf-8')
    return Baseline(path, text, _network(text), numbers, classes)


def _network(text: str) -> Optional[str]:
    lines = [line for line in text.splitlines() if line.startswith('segmentor_from')]
    if not lines:
        return USUAL
    found = re.match(re.escape(NETWORK).replace(r'\{\}', r'([\w-]+)'), lines[0])
    return found[1] if found and found[1] in NETWORKS else None


def check_options(
    baseline: Baseline,
    text: str,
    wanted: Sizes,
    classes: int,
    model: Optional[str],
    size: Optional[Sequence[int]],
    iterations: Optional[int],
    given: Sequence[str],
) -> None:
    """No option of a call is left without effect by the baseline that is there.

    Args:
        baseline (Baseline): It stays as it is.
        text (str): What it would be by this call, but for its numbers.
        wanted (Sizes): Numbers by this call.
        classes (int): Number of classes by this call.
        model (str, optional): Network that the user names.
        size (Sequence[int], optional): Size that the user names.
        iterations (int, optional): Length that the user names.
        given (Sequence[str]): Further options that the user gives, such as ``'--masks'``.

    Raises:
        ValueError: If it differs from them.
    """
    differing: List[str] = []
    if model and model != baseline.model:
        differing.append(f'another network than --model {model}')
    if size and wanted.scale != baseline.numbers.scale:
        differing.append(f'other sizes than --size {" ".join(map(str, size))}')
    if iterations and iterations != baseline.numbers.iters:
        differing.append(f'another length than --iterations {iterations}')
    of_classes = [option for option in given if option in OF_CLASSES]
    if of_classes and classes != baseline.classes:
        differing.append(f'{baseline.classes} classes, not the {classes} by {of_classes[0]}')
    if given and _lines(baseline.text) != _lines(text):
        differing.append(f'other images or masks than {" and ".join(given)} would give')
    if differing:
        raise ValueError(
            f'{baseline.path} is there and has {" and ".join(differing)}: --name NAME makes '
            'another run'
        )


def _lines(text: str) -> List[str]:
    return [line.partition('  # ')[0] for line in text.splitlines() if line.startswith(OF_DATA)]
