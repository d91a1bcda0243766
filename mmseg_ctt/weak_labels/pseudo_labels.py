# Copyright (c) mmseg_ctt contributors.
"""Masks from the class maps of a folder, by a rule, in parallel processes.

``tools/weak/make_pseudo_labels.py`` calls it.
"""

import json
import os.path as osp
from functools import partial
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import torch

from ..datasets.image_reading import image_size, read_image
from ..datasets.image_values import picture_of
from ..datasets.pseudo_labeled import MASKS, META
from ..functional.pamr import pamr
from .class_map_files import SETTINGS as MAP_SETTINGS
from .class_map_files import (
    ClassMapFolder,
    ClassMaps,
    class_map_path,
    read_class_maps,
    read_classes,
)
from .crf import check_library, label_crf
from .fusion import check_rule, confidence_of, fuse
from .input_files import keep_inputs
from .label_quality import Truth, check_truth, confusion
from .map_files import check_maps, map_path, read_map, write_map
from .parallel import check_jobs, each_file
from .saliency_folder import SETTINGS as SALIENCY_SETTINGS
from .settings_file import claim_folder, read_settings

SETTINGS, COUNTS, MANIFEST = 'pseudo_labels.json', 'counts.json', 'manifest.json'
CONFIDENCE = 'confidence'
REFINEMENTS = ('none', 'pamr', 'crf')
SALIENCY = 'saliency map'
IGNORED = 255
Report = Callable[[str], None]


class PseudoLabelJob(NamedTuple):
    """How masks are made of class maps.

    Attributes:
        maps (ClassMapFolder): Class maps.
        images (dict[str, str]): Files of the images by stem; all images of the maps.
        rule (str): A name of :data:`.fusion.RULES`.
        settings (dict): Of the rule.
        saliency (str | None): Folder of saliency maps, of the rules that need it.
        refine (str): One of :data:`REFINEMENTS`: class maps by PAMR, or labels by a dense CRF.
        truth (Truth | None): Masks for scores, which nothing else uses.
    """

    maps: ClassMapFolder
    images: Mapping[str, str]
    rule: str
    settings: Dict[str, Any]
    saliency: Optional[str] = None
    refine: str = 'none'
    truth: Optional[Truth] = None


def check_job(job: PseudoLabelJob) -> Dict[str, Any]:
    """Check settings, images and saliency maps; nothing is decoded.

    Returns:
        dict: All settings of the rule.

    Raises:
        FileNotFoundError: If an image or a saliency map is missing.
        ValueError: For a setting without a meaning, or a saliency map that does not fit its image.
    """
    if job.refine not in REFINEMENTS:
        raise ValueError(f'refine={job.refine!r} must be one of {", ".join(REFINEMENTS)}')
    settings = check_rule(
        job.rule, job.saliency is not None, job.maps.has_background, **job.settings
    )
    if job.refine == 'crf':
        check_library()
    made = read_settings(job.maps.path / MAP_SETTINGS).get('refine')
    if job.refine == 'pamr' == made:
        raise ValueError(f'the class maps in {job.maps.path} are refined by pamr: leave it out')
    missing = [stem for stem in job.maps.stems if stem not in job.images]
    if missing:
        raise FileNotFoundError(
            f'{len(missing)} of {len(job.maps.stems)} class maps have no image, such as '
            f'{missing[0]}: name the folder of the images whose maps they are'
        )
    if job.saliency is not None:
        sizes = {stem: image_size(job.images[stem]) for stem in job.maps.stems}
        check_maps(job.saliency, sizes, SALIENCY)
    return settings


class Prepared(NamedTuple):
    """What the rule takes of an image.

    Attributes:
        maps (np.ndarray): ``(P, H, W)``, refined where the job says so.
        classes (list[int]): Their ids.
        saliency (np.ndarray | None): ``(H, W)`` in [0, 1].
    """

    maps: np.ndarray
    classes: List[int]
    saliency: Optional[np.ndarray]


def prepare_image(job: PseudoLabelJob, stem: str) -> Prepared:
    """Read the maps of an image, and refine them by PAMR where the job says so.

    Args:
        job (PseudoLabelJob): How.
        stem (str): Of the image.

    Raises:
        ValueError: If a file is damaged, or class maps are of another size than their image.
    """
    found, size = read_class_maps(job.maps.path, stem), image_size(job.images[stem])
    if found.maps.shape[1:] != size:
        raise ValueError(
            f'the class maps of {stem} are of {found.maps.shape[1:]} and its image '
            f'{job.images[stem]} of {size} pixels (height, width): make them of these images'
        )
    _check_ids(job, stem, found)
    saliency = None if job.saliency is None else read_map(job.saliency, stem, size, SALIENCY)
    refine = job.refine == 'pamr' and len(found.maps) > 0
    maps = refined_maps(_rgb(job, stem), found.maps) if refine else found.maps
    return Prepared(maps, found.classes.tolist(), saliency)


def label_image(job: PseudoLabelJob, stem: str, given: Prepared, **changed: Any) -> np.ndarray:
    """Pseudo-label of an image.

    Args:
        job (PseudoLabelJob): How.
        stem (str): Of the image.
        given (Prepared): From :func:`prepare_image`.
        **changed: Settings of the rule that replace those of the job.

    Returns:
        np.ndarray: ``(H, W)`` uint8.
    """
    settings = {**job.settings, **changed}
    label = fuse(job.rule, given.maps, given.classes, given.saliency, **settings)
    return label_crf(_rgb(job, stem), label) if job.refine == 'crf' else label


def _check_ids(job: PseudoLabelJob, stem: str, found: ClassMaps) -> None:
    first, names = int(job.maps.has_background), job.maps.classes
    if len(found.classes) and not first <= found.classes.min() <= found.classes.max() < len(names):
        raise ValueError(
            f'the class maps of {stem} are of the class ids {found.classes.tolist()}, those of '
            f'{job.maps.path / MAP_SETTINGS} are {first} to {len(names) - 1}: make them again'
        )


def _rgb(job: PseudoLabelJob, stem: str) -> np.ndarray:
    return np.ascontiguousarray(picture_of(read_image(job.images[stem]), None, stem))


def refined_maps(image: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """Class maps refined by PAMR on the host.

    Args:
        image (np.ndarray): ``(H, W, 3)`` uint8.
        maps (np.ndarray): ``(P, H, W)`` float32.
    """
    pixels = torch.from_numpy(image).permute(2, 0, 1).float().unsqueeze(0) / 255
    return pamr(pixels, torch.from_numpy(maps).unsqueeze(0))[0].numpy()


def make_pseudo_labels(
    job: PseudoLabelJob, out: Path, jobs: int, report: Report
) -> Optional[np.ndarray]:
    """Write the masks, their confidence, settings and counts.

    Args:
        job (PseudoLabelJob): How.
        out (Path): Folder; masks of the same settings in it stay.
        jobs (int): Processes.
        report (Callable[[str], None]): Gets lines on the progress.

    Returns:
        np.ndarray | None: Summed :func:`.label_quality.confusion`; None without truth.

    Raises:
        FileExistsError: If the folder has other files, or masks of other settings, images, class
            maps or saliency maps.
        FileNotFoundError: See :func:`check_job`.
        ValueError: See :func:`check_job`, :func:`prepare_image` and
            :func:`.label_quality.check_truth`.
    """
    check_jobs(jobs)
    settings = check_job(job)
    if job.truth is not None:
        check_truth(job.truth, job.images)
    kept: Dict[str, Any] = dict(
        rule=job.rule, settings=settings, refine=job.refine, maps=str(job.maps.path)
    )
    kept.update(saliency=job.saliency, classes=job.maps.classes, made_of=_made_of(job))
    claim_folder(out, SETTINGS, kept)
    keep_inputs(out, _inputs(job), partial(map_path, out / MASKS), partial(_check_kept, job, out))
    (out / META).write_text(json.dumps(dict(classes=job.maps.classes)) + '\n', encoding='utf-8')
    items = [(stem,) for stem in job.maps.stems]
    found = each_file(partial(_write_one, job=job, out=str(out)), items, jobs, report)
    _write_counts(job, out, np.stack([pixels for pixels, _ in found]))
    _write_manifest(job, out)
    return None if job.truth is None else sum(counts for _, counts in found)


def _made_of(job: PseudoLabelJob) -> Dict[str, Any]:
    """How class maps and saliency were made: a folder may have been removed and made again."""
    files = [job.maps.path / MAP_SETTINGS]
    if job.saliency is not None:
        files.append(Path(job.saliency, SALIENCY_SETTINGS))  # of a stand-in
    made = {path.name: read_settings(path) for path in files if path.is_file()}
    for settings in made.values():
        settings.pop('version', None)
    return made


def _inputs(job: PseudoLabelJob) -> Dict[str, Dict[str, str]]:
    """Files that the mask of each image is made of."""
    found = {}
    for stem in job.maps.stems:
        files = {'image': job.images[stem], 'class map': str(class_map_path(job.maps.path, stem))}
        if job.saliency is not None:
            files[SALIENCY] = str(map_path(job.saliency, stem))
        found[stem] = files
    return found


def _check_kept(job: PseudoLabelJob, out: Path, stems: Sequence[str]) -> None:
    """Masks that no record says the inputs of are of the classes of their class maps."""
    for stem in stems:
        path = map_path(out / MASKS, stem)
        known = {*read_classes(job.maps.path, stem).tolist(), IGNORED}
        known |= {0} if job.maps.has_background else set()
        others = sorted({*np.unique(read_image(str(path))).tolist()} - known)
        if others:
            raise FileExistsError(
                f'{path} has the class id {others[0]}, of which its image has no class map now: '
                'remove the mask to make it again, or choose another folder'
            )


def _write_one(
    item: Tuple[str], job: PseudoLabelJob, out: str
) -> Tuple[np.ndarray, Optional[np.ndarray]]:
    """Write the mask of an image unless it is there; its pixels by class, and its confusion."""
    (stem,), classes = item, len(job.maps.classes)
    path = map_path(Path(out, MASKS), stem)
    if path.is_file():
        label = read_image(str(path))
    else:
        given = prepare_image(job, stem)
        label = label_image(job, stem, given)
        write_map(Path(out, CONFIDENCE), stem, confidence_of(label, given.maps, given.classes))
        write_map(Path(out, MASKS), stem, label)  # last: it says that the image is done
    pixels = np.bincount(np.where(label == IGNORED, classes, label).ravel(), minlength=classes + 1)
    return pixels, None if job.truth is None else confusion(job.truth, stem, label, classes)


def _write_counts(job: PseudoLabelJob, out: Path, pixels: np.ndarray) -> None:
    """Pixels and images of each class; what is not labelled."""
    classes = job.maps.classes
    counts = dict(
        images=len(pixels),
        pixels=dict(zip([*classes, 'ignored'], pixels.sum(0).tolist())),
        images_of_class=dict(zip(classes, (pixels[:, :-1] > 0).sum(0).tolist())),
        images_without_label=int((pixels[:, :-1].sum(1) == 0).sum()),
    )
    (out / COUNTS).write_text(json.dumps(counts, indent=1) + '\n', encoding='utf-8')


def _write_manifest(job: PseudoLabelJob, out: Path) -> None:
    """Images and masks, as ``SelfTrainingDataset(pseudo=...)`` reads them."""
    selected = [
        dict(image=osp.abspath(job.images[stem]), mask=map_path(MASKS, stem).as_posix())
        for stem in job.maps.stems
    ]
    content = dict(class_names=job.maps.classes, selected=selected)
    (out / MANIFEST).write_text(json.dumps(content, indent=1) + '\n', encoding='utf-8')
