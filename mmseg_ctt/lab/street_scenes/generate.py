# Copyright (c) mmseg_ctt contributors.
"""Generator of the data set: images, masks and ``meta.json``.

Every image has a random stream of its own, named by seed, part, drive and
number, so the files do not depend on the number of workers or their order.
"""

import hashlib
import json
import multiprocessing
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple

import cv2
import numpy as np

from ...datasets.streets_layout import (
    CLASSES,
    IGNORE_INDEX,
    IMG_SUFFIX,
    PALETTE,
    PARTS,
    SEG_MAP_SUFFIX,
)
from .drives import DRIVES
from .render import render_scene

NAME = 'streets'
META_NAME = 'meta.json'
FOLDERS = ('img_dir', 'ann_dir', 'splits')
# Raise it when a seed would give other pictures.
RENDERER_VERSION = 1
CHUNK = 4


@dataclass(frozen=True)
class Settings:
    """Settings that determine the content of the data set.

    Args:
        seed (int): Non-negative seed.
        train (int): Number of training images, at least one per drive.
        val (int): Number of validation images.
        height (int): Rows of an image.
        width (int): Columns of an image.
    """

    seed: int = 0
    train: int = 400
    val: int = 100
    height: int = 128
    width: int = 192

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise ValueError(f'--seed must not be negative, got {self.seed}')
        if min(self.train, self.val) < len(DRIVES):
            raise ValueError(
                f'--train and --val must be at least {len(DRIVES)}, one image per drive'
            )
        if min(self.height, self.width) < 64:
            raise ValueError('--height and --width must be at least 64 pixels')


@dataclass(frozen=True)
class Task:
    """One image to render.

    Args:
        out (str): Folder of the data set.
        settings (Settings): Settings of the data set.
        part (str): ``'train'`` or ``'val'``.
        drive (int): Index of the drive.
        number (int): Number of the image within part and drive.
    """

    out: str
    settings: Settings
    part: str
    drive: int
    number: int

    @property
    def stem(self) -> str:
        """File name without folder and ending."""
        first = 0 if self.part == 'train' else 5000
        return f'{DRIVES[self.drive].name}_{first + self.number:04d}'


def plan(out: str, settings: Settings) -> List[Task]:
    """List the images of the data set; drives differ by at most one image.

    Args:
        out (str): Folder of the data set.
        settings (Settings): Settings.

    Returns:
        list[Task]: In the order of part and stem.
    """
    tasks = []
    for part in PARTS:
        count = getattr(settings, part)
        for drive in range(len(DRIVES)):
            numbers = range((count - drive + len(DRIVES) - 1) // len(DRIVES))
            tasks += [Task(out, settings, part, drive, n) for n in numbers]
    return tasks


def render_task(task: Task) -> np.ndarray:
    """Render one image and write it and its mask.

    Args:
        task (Task): What to render.

    Returns:
        np.ndarray: int64 ``(K,)``, pixels of each class.
    """
    settings = task.settings
    drive = DRIVES[task.drive]
    rng = np.random.default_rng([settings.seed, PARTS.index(task.part), task.drive, task.number])
    image, label = render_scene(drive, rng, settings.height, settings.width)
    for folder, suffix, array, options in (
        ('img_dir', IMG_SUFFIX, image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, drive.quality]),
        ('ann_dir', SEG_MAP_SUFFIX, label, []),
    ):
        path = Path(task.out, folder, task.part, task.stem + suffix)
        done, code = cv2.imencode(suffix, array, options)
        assert done, path
        path.write_bytes(code.tobytes())
    return np.bincount(label.ravel(), minlength=IGNORE_INDEX + 1)[: len(CLASSES)]


def _start_worker() -> None:
    # One worker a core; threads of OpenCV would only compete with them.
    cv2.setNumThreads(0)


def _render_all(tasks: List[Task], workers: int) -> np.ndarray:
    if workers <= 1:
        return np.stack([render_task(task) for task in tasks])
    with multiprocessing.Pool(workers, _start_worker) as pool:
        return np.stack(pool.map(render_task, tasks, CHUNK))


def read_meta(out: Path) -> Dict[str, Any]:
    """Read the ``meta.json`` of an earlier run.

    Args:
        out (Path): Folder of the data set.

    Returns:
        dict: Content of ``meta.json``; empty if there is none.

    Raises:
        ValueError: If the folder holds files that this tool did not make.
    """
    path = out / META_NAME
    try:
        meta = json.loads(path.read_text(encoding='utf-8')) if path.is_file() else {}
    except ValueError:
        meta = {}
    ours = isinstance(meta, dict) and meta.get('name') == NAME
    if not ours and any((out / name).exists() for name in (*FOLDERS, META_NAME)):
        raise ValueError(f'{out} holds other data; choose another --out')
    return meta


def is_complete(out: Path, settings: Settings) -> bool:
    """Whether the folder holds the data set of these settings, unchanged.

    Args:
        out (Path): Folder of the data set.
        settings (Settings): Settings.

    Returns:
        bool: True if so.

    Raises:
        ValueError: See :func:`read_meta`.
    """
    meta = read_meta(out)
    if meta.get('settings') != asdict(settings) or meta.get('renderer_version') != RENDERER_VERSION:
        return False
    try:
        return meta.get('sha256') == checksum(plan(str(out), settings))
    except FileNotFoundError:
        return False


def prepare(out: Path, settings: Settings, splits: Sequence[str] = (), force: bool = False) -> None:
    """Clear the folder and mark its data set as incomplete; other lists in ``splits`` stay.

    Args:
        out (Path): Folder of the data set, which :func:`is_complete` says no of.
        settings (Settings): Settings.
        splits (Sequence[str]): Folders below ``splits`` that are made anew. Defaults to none.
        force (bool): Replace a data set that was finished, or is of other settings. Defaults to
            False.

    Raises:
        ValueError: If the folder holds other data, or, unless forced, a data
            set of other settings, or one that was finished and is another now.
    """
    meta = read_meta(out)
    cause = ''
    if meta and meta.get('settings') != asdict(settings):
        cause = 'a data set of other settings'
    elif 'sha256' in meta:  # an interrupted one has none
        same = meta.get('renderer_version') == RENDERER_VERSION
        cause = 'a data set with changed files' if same else 'a data set of another version'
    if cause and not force:
        raise ValueError(f'{out} holds {cause}; choose another --out, or replace it with --force')
    out.mkdir(parents=True, exist_ok=True)
    write_meta(out, dict(name=NAME, settings=asdict(settings)))  # before a kill can leave a part
    for name in (*FOLDERS[:2], *(f'splits/{split}' for split in splits)):
        shutil.rmtree(out / name, ignore_errors=True)
    for folder in FOLDERS[:2]:
        for part in PARTS:
            (out / folder / part).mkdir(parents=True)


def write_meta(out: Path, meta: Dict[str, Any]) -> None:
    """Write ``meta.json``.

    Args:
        out (Path): Folder of the data set.
        meta (dict): Its content.
    """
    text = json.dumps(meta, indent=1) + '\n'
    (out / META_NAME).write_text(text, encoding='utf-8')


def checksum(tasks: List[Task]) -> str:
    """Checksum of all images and masks.

    Args:
        tasks (list[Task]): The images.

    Returns:
        str: Hexadecimal sha256.
    """
    total = hashlib.sha256()
    for task in tasks:
        for folder, suffix in (('img_dir', IMG_SUFFIX), ('ann_dir', SEG_MAP_SUFFIX)):
            path = Path(task.out, folder, task.part, task.stem + suffix)
            total.update(path.read_bytes())
    return total.hexdigest()


def generate(
    out: Path, settings: Settings, workers: int = 2
) -> Tuple[Dict[str, Any], List[str], np.ndarray]:
    """Render all images and masks into a folder made by :func:`prepare`.

    Args:
        out (Path): Folder of the data set.
        settings (Settings): Settings.
        workers (int): Processes; 1 renders in this one. Defaults to 2.

    Returns:
        tuple[dict, list[str], np.ndarray]: Content of ``meta.json``, to be
        written last; N training stems; bool ``(N, K)``, presence of the classes in
        each training image.
    """
    tasks = plan(str(out), settings)
    pixels = _render_all(tasks, workers)
    train = np.array([task.part == 'train' for task in tasks])
    stems = [task.stem for task in tasks if task.part == 'train']
    return describe(settings, tasks, pixels), stems, pixels[train] > 0


def describe(settings: Settings, tasks: List[Task], pixels: np.ndarray) -> Dict[str, Any]:
    """Complete content of ``meta.json``.

    Args:
        settings (Settings): Settings.
        tasks (list[Task]): N images.
        pixels (np.ndarray): int64 ``(N, K)``, pixels of each class.

    Returns:
        dict: Ready for JSON.
    """
    fractions = pixels.sum(0) / pixels.sum()
    return dict(
        name=NAME,
        classes=list(CLASSES),
        palette=PALETTE,
        num_classes=len(CLASSES),
        ignore_index=IGNORE_INDEX,
        reduce_zero_label=False,
        img_suffix=IMG_SUFFIX,
        seg_map_suffix=SEG_MAP_SUFFIX,
        class_shares={name: round(float(f), 5) for name, f in zip(CLASSES, fractions)},
        drives={drive.name: drive.weather for drive in DRIVES},
        settings=asdict(settings),
        renderer_version=RENDERER_VERSION,
        sha256=checksum(tasks),
    )
