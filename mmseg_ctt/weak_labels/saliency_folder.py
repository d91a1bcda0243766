# Copyright (c) mmseg_ctt contributors.
"""Saliency maps of a folder of images, in parallel processes.

``tools/weak/make_saliency.py`` calls it.
"""

from functools import partial
from pathlib import Path
from typing import Callable, Dict, Tuple

from ..datasets.image_files import find_images
from ..datasets.image_reading import image_size, read_image
from ..datasets.image_values import picture_of
from .input_files import keep_inputs, unknown_line
from .map_files import map_path, write_map
from .parallel import check_jobs, each_file
from .saliency import METHODS
from .settings_file import claim_folder

SETTINGS = 'saliency.json'
Report = Callable[[str], None]


def find_sized_images(folder: Path) -> Tuple[Dict[str, str], Dict[str, Tuple[int, int]]]:
    """Images below a folder, and their sizes (height, width), by stem.

    Raises:
        FileNotFoundError: If there is no folder, or no image in it.
        ValueError: If an image cannot be read.
    """
    found = {stem: str(Path(folder, name)) for stem, name in find_images(folder).items()}
    if not found:
        raise FileNotFoundError(f'no image was found in {folder}')
    return found, {stem: image_size(path) for stem, path in found.items()}


def make_saliency(images: Path, out: Path, method: str, jobs: int, report: Report) -> int:
    """Write the saliency maps that a folder lacks.

    Args:
        images (Path): Folder of images, with its sub-folders.
        out (Path): Folder of maps; existing ones of the same method stay.
        method (str): A name of :data:`.saliency.METHODS`.
        jobs (int): Processes.
        report (Callable[[str], None]): Gets lines on the progress.

    Returns:
        int: Number of maps that were written.

    Raises:
        FileExistsError: If the folder has other files, or maps of another method or other images.
        FileNotFoundError: If there is no image.
        ValueError: If the method is unknown, ``jobs`` not positive, or an image cannot be read.
    """
    if method not in METHODS:
        raise ValueError(f'method={method!r} must be one of {", ".join(METHODS)}')
    check_jobs(jobs)
    found, _ = find_sized_images(images)
    claim_folder(out, SETTINGS, dict(method=method, stand_in=True))
    inputs = {stem: dict(image=path) for stem, path in found.items()}
    keep_inputs(out, inputs, partial(map_path, out), lambda stems: report(unknown_line(stems)))
    missing = [(stem, path) for stem, path in found.items() if not map_path(out, stem).is_file()]
    task = partial(_make_one, out=str(out), method=method)
    salient = each_file(task, missing, jobs, report)
    empty = [stem for (stem, _), part in zip(missing, salient) if part == 0]
    if empty:
        report(f'{len(empty)} of {len(missing)} maps are empty, such as {empty[0]}')
    return len(missing)


def _make_one(item: Tuple[str, str], out: str, method: str) -> float:
    """Write the map of one image; part of the image that is salient."""
    stem, path = item
    rgb = picture_of(read_image(path), None, path)
    saliency = METHODS[method](rgb[..., ::-1].copy())
    write_map(out, stem, saliency)
    return float((saliency > 0.5).mean())
