# Copyright (c) mmseg_ctt contributors.
"""From a folder to the configs of a run: what is found, what is chosen, what is written."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Union

from ...engine.method_preset import preset_name
from .commands import next_commands
from .configs import SUPERVISED
from .found import Found, look
from .networks import network
from .options import check_types, size_of
from .plan import Plan, make_plan

SEARCHED = ('images', 'masks', 'classes', 'palette', 'ignore', 'suffix')  # options of ``look``


@dataclass(frozen=True)
class NewRun:
    """Configs of a folder, and what they were made from.

    ``str(run)`` is what was found, chosen and written, and the next commands.

    Args:
        configs (dict[str, Path]): Config files by method: that of the run, and ``'supervised'``.
            Where no image is without a mask, ``'supervised'`` alone.
        found (Found): What the folder holds.
        commands (list[str]): Next commands.
        lines (list[str]): Report for a terminal, without the commands.
    """

    configs: Dict[str, Path]
    found: Found
    commands: List[str] = field(default_factory=list)
    lines: List[str] = field(default_factory=list)

    def __str__(self) -> str:
        return '\n'.join([*self.lines, 'next:', *(f'  {line}' for line in self.commands)])


def new_run(
    folder: Union[str, Path],
    method: str = 'ctt-plus',
    model: Optional[str] = None,
    size: Union[None, int, Sequence[int]] = None,
    dry_run: bool = False,
    *,
    images: Optional[str] = None,
    masks: Optional[str] = None,
    suffix: Optional[str] = None,
    classes: Optional[Sequence[str]] = None,
    palette: Optional[Sequence[str]] = None,
    ignore: Sequence[str] = (),
    lists: Optional[str] = None,
    val: Optional[int] = None,
    name: Optional[str] = None,
    seed: Optional[int] = None,
    iterations: Optional[int] = None,
) -> NewRun:
    """Write lists and configs for a folder of images and masks.

    Everything is checked before anything is written. Images and masks are never changed, and no
    file is replaced: what a former call has written is used again, with its sizes, batch and
    length, and an argument that differs from it is an error.

    Args:
        folder (str or Path): Folder of the data.
        method (str): Preset of ``configs/_base_/methods``. Defaults to ``'ctt-plus'``.
        model (str, optional): Network, a name of :data:`.networks.NETWORKS`. Defaults to None: that
            of the baseline that is there, else ``'mobilenetv2'``.
        size (int or Sequence[int], optional): Width and height that images are resized to, or their
            longer side. Defaults to None: chosen from the images and the memory.
        dry_run (bool): Whether nothing is written. Defaults to False.
        images (str, optional): Folder of the training images, below ``folder``. Defaults to None:
            found, as are the others.
        masks (str, optional): Folder of their masks.
        suffix (str, optional): End of the names of masks, such as ``'_GT.png'``.
        classes (Sequence[str], optional): Names of the classes, in the order of their ids.
        palette (Sequence[str], optional): Colour or grey value of each class, such as
            ``'128,64,128'`` or ``'255'``.
        ignore (Sequence[str]): Colours or values of pixels without a label.
        lists (str, optional): Folder with ``labeled.txt`` or ``train.txt``, and ``val.txt``.
        val (int, optional): Masked images for validation. Defaults to None: a fifth, at most 100.
        name (str, optional): Name of another run of this folder, with lists and configs of its own.
        seed (int, optional): Of the images kept for validation. Defaults to None: 0.
        iterations (int, optional): Length of the run. Defaults to None: by images and machine.

    Raises:
        FileNotFoundError: If there is no such folder, or nothing in it to train on.
        TypeError: If an argument is of another type, such as a text where a list is due.
        ValueError: If something cannot be found out, naming the option that settles it.
    """
    data: Dict[str, Any] = dict(images=images, masks=masks, suffix=suffix, lists=lists)
    data.update(classes=classes, palette=palette, ignore=ignore)
    data.update(val=val, name=name, seed=seed, iterations=iterations)
    return done(plan_run(folder, method, model, size, **data), dry_run)


def plan_run(
    folder: Union[str, Path],
    method: str = 'ctt-plus',
    model: Optional[str] = None,
    size: Union[None, int, Sequence[int]] = None,
    *,
    lists: Optional[str] = None,
    val: Optional[int] = None,
    name: Optional[str] = None,
    seed: Optional[int] = None,
    iterations: Optional[int] = None,
    **data: Any,
) -> Plan:
    """What :func:`new_run` would write, checked.

    Args and errors: as of ``new_run``; ``data`` are those of :data:`SEARCHED`.
    """
    check_types(method=method, model=model, name=name, lists=lists, val=val, seed=seed)
    check_types(iterations=iterations, **data)
    sides, root = size_of(size), _root(folder, method, model, name)
    searched = dict(data, ignore=data.get('ignore') or ())
    for key in ('images', 'masks'):
        searched[key] = _inside(folder, root, key, data.get(key))
    found = look(root, **searched)
    given = [f'--{key}' for key in SEARCHED if searched.get(key) not in (None, (), [])]
    list_dir = _inside(folder, root, 'lists', lists)
    return make_plan(found, method, model, sides, list_dir, val, name, seed, iterations, given)


def done(plan: Plan, dry_run: bool = False) -> NewRun:
    """The run of a plan, written unless it is a dry one."""
    found = plan.found
    lines = [f'{found.root}', *found.lines(), *plan.lines]
    lines += _would(plan) if dry_run else plan.write()
    lines += [f'GUESS: {line}' for line in found.labels.guesses]
    configs = {key: plan.folder / f'{key}.py' for key in plan.texts}
    return NewRun(configs, found, next_commands(configs, plan.scored), lines)


def _root(folder: Union[str, Path], method: str, model: Optional[str], name: Optional[str]) -> Path:
    """Absolute path of the folder, after a check of the names."""
    root = Path(folder).expanduser().resolve()
    if not root.is_dir():
        raise FileNotFoundError(f'the folder {folder} does not exist')
    preset_name(method)
    if model is not None:
        network(model)
    if name is not None and not name.replace('-', '').replace('_', '').isalnum():
        raise ValueError(f'--name {name!r} must be of letters, digits, - and _')
    return root


def _inside(
    folder: Union[str, Path], root: Path, option: str, path: Optional[str]
) -> Optional[str]:
    """A path below the root, as one without the root; a link in the root may lead elsewhere.

    Args:
        folder (str | Path): The root, as the user calls it.
        root (Path): The same, absolute and without links.
        option (str): Name of the option.
        path (str, optional): Below the root, or as from where the user is.

    Raises:
        FileNotFoundError: If it does not exist.
        ValueError: If it is elsewhere.
    """
    if path is None:
        return None
    given = root / path if (root / path).exists() else Path(path).expanduser()
    if not given.exists():
        raise FileNotFoundError(
            f'--{option} {path}: there is no such folder, neither in {root} nor where you are'
        )
    whole = Path(os.path.abspath(given))
    called = Path(os.path.abspath(Path(folder).expanduser()))
    for above, below in ((root, whole), (called, whole), (root, whole.resolve())):
        if above == below:
            return ''
        if above in below.parents:
            return below.relative_to(above).as_posix()
    raise ValueError(
        f'--{option} {path} is not in {root}: use a folder that holds both, or a link in it'
    )


def _would(plan: Plan) -> List[str]:
    lines = ['nothing is written (--dry-run); it would be:']
    for key, text in plan.texts.items():
        path = plan.folder / f'{key}.py'
        if path.is_file():
            lines += ['', f'# {path} is there and is kept as it is']
        else:
            lines += ['', f'# {path}', text.rstrip('\n')]
    return lines


__all__ = ['SUPERVISED', 'NewRun', 'new_run']
