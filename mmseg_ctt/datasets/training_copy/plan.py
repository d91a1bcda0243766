# Copyright (c) mmseg_ctt contributors.
"""Files that a training reads, each with the step that loads it: what a copy has to hold."""

import os.path as osp
from collections import Counter
from pathlib import Path
from typing import (
    Any,
    Dict,
    Iterable,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
)

from mmseg.datasets.transforms import LoadAnnotations

from ...volumes.address import is_address
from ...weak_labels.map_files import map_path
from ..built import ignore_index, inner_steps
from ..extra_maps import LoadMaps
from ..image_files import MASK_SUFFIX, find_images, find_masks
from ..image_loading import CheckedLoadImageFromFile
from ..transforms import CheckedLoadAnnotations
from ..wrappers import distinct_infos, leaves
from .sizes import Scale, largest, needed_scale

IMAGE, MASK, MAP, SMOOTH_MAP = 'image', 'mask', 'map', 'smooth map'
COLOR, UNCHANGED = 'color', 'unchanged'  # of image_loading.color_type; grey is made of colours


class Job(NamedTuple):
    """File of a copy that is to be made.

    Attributes:
        source (str): Its original, relative to the root of the data.
        target (str): Path below the copy, without suffix.
        path (str): The original.
        kind (str): ``'image'``, ``'mask'``, ``'map'`` (of ids) or ``'smooth map'``.
        image (str): The image that it belongs to, whose size it must have.
        step (Any): Loading step of the pipeline.
        ignore_index (int): Id of ignored pixels of a mask. Defaults to 255.
    """

    source: str
    target: str
    path: str
    kind: str
    image: str
    step: Any
    ignore_index: int = 255


class Plan(NamedTuple):
    """What a copy is to hold.

    Attributes:
        root (str): Folder that the paths of the files start from.
        jobs (list[Job]): Files.
        scale (Scale | None): Size that is enough; None: that of the files.
        searched (tuple[str, ...]): Folders in which the data sets look for files.
        color_type (str): ``'unchanged'`` where pipelines take all bands of a file, else
            ``'color'``.
    """

    root: str
    jobs: List[Job]
    scale: Optional[Scale]
    searched: Tuple[str, ...] = ()
    color_type: str = COLOR


def root_of(parts: Iterable[Any]) -> str:
    """Folder that all images and masks of data sets lie in; the same for every list of them.

    Args:
        parts (Iterable[BaseDataset]): Data sets that list files.

    Raises:
        ValueError: If none of them names a folder.
    """
    folders = []
    for part in parts:
        prefix = getattr(part, 'data_prefix', None) or {}
        named = [getattr(part, 'data_root', None), *prefix.values()]
        folders += [osp.abspath(folder) for folder in named if folder]
    if not folders:
        raise ValueError('a training copy needs data sets with data_root or data_prefix')
    return osp.commonpath(folders)


def key_of(path: str, root: str) -> str:
    """Path of a file relative to the root of the data, with ``/`` between its parts."""
    return osp.relpath(osp.abspath(path), root).replace(osp.sep, '/')


def inside(path: str, root: str) -> bool:
    """Whether a file or folder lies below a root, or is it."""
    path = osp.abspath(path)
    return path == root or path.startswith(root.rstrip(osp.sep) + osp.sep)


def plan_of_sources(sources: Mapping[str, Any]) -> Plan:
    """Files of the sources of a training set.

    Args:
        sources (Mapping[str, AnySet]): Data sets by name, their files listed.

    Raises:
        ValueError: If an image is a slice of a volume, a pipeline does not load files in a way
            that is known, or one takes all bands of a file and another does not.
    """
    parts = [leaf for source in sources.values() for leaf in leaves(source)]
    root = root_of(parts)
    jobs: Dict[str, Job] = {}
    for part in parts:
        for job in _jobs(part, root):
            jobs.setdefault(job.source, job)
    scale = largest([needed_scale(part.pipeline.transforms) for part in parts])
    return Plan(root, _named(jobs), scale, _searched(parts), _color_type(sources))


def plan_of_folder(
    root: str,
    images: str,
    masks: Optional[str],
    mask_suffix: str = MASK_SUFFIX,
    color_type: str = COLOR,
) -> Plan:
    """All images below a folder, and their masks.

    Args:
        root (str): Root of the data, which a config names as ``data_root``.
        images (str): Folder of the images, relative to ``root``.
        masks (str, optional): Folder of the masks, relative to ``root``; None: there are none.
        mask_suffix (str): End of the names of masks. Defaults to ``'.png'``.
        color_type (str): That of the trainings: ``'unchanged'`` keeps alpha, and a fourth band.
            Defaults to ``'color'``.

    Raises:
        FileNotFoundError: If a folder does not exist, or there is no image.
        ValueError: If a mask has no image.
    """
    root = osp.abspath(root)
    found = find_images(Path(root, images), mask_suffix)
    if not found:
        raise FileNotFoundError(f'no image was found in {Path(root, images)}')
    labels = {} if masks is None else find_masks(Path(root, masks), mask_suffix)
    without = sorted(set(labels) - set(found))
    if without:
        raise ValueError(f'the mask {Path(root, str(masks), labels[without[0]])} has no image')
    load_image = CheckedLoadImageFromFile(color_type=color_type)
    load_mask = CheckedLoadAnnotations()
    jobs: Dict[str, Job] = {}
    for stem, name in found.items():
        image = str(Path(root, images, name))
        files = [(image, IMAGE, load_image)]
        if stem in labels:
            files.append((str(Path(root, str(masks), labels[stem])), MASK, load_mask))
        for path, kind, step in files:
            key = key_of(path, root)
            jobs[key] = Job(key, '', path, kind, image, step)
    folders = [images] if masks is None else [images, masks]
    searched = tuple(osp.abspath(osp.join(root, folder)) for folder in folders)
    return Plan(root, _named(jobs), None, searched, kept_bands(load_image))


def kept_bands(step: CheckedLoadImageFromFile) -> str:
    """``color_type`` of the copy that a loading step needs."""
    return UNCHANGED if step.color_type == UNCHANGED else COLOR


def _searched(parts: Iterable[Any]) -> Tuple[str, ...]:
    """Folders that data sets list with all below them."""
    prefixes = [(getattr(part, 'data_prefix', None) or {}).values() for part in parts]
    return tuple(osp.abspath(folder) for of_part in prefixes for folder in of_part if folder)


def _color_type(sources: Mapping[str, Any]) -> str:
    """``color_type`` of the copy that all pipelines can read."""
    found: Dict[str, str] = {}
    for name, source in sources.items():
        for part in leaves(source):
            found.setdefault(kept_bands(_image_step(part, type(part).__name__)), name)
    if len(found) > 1:
        raise ValueError(
            f'the pipeline of {found[UNCHANGED]} loads images with color_type={UNCHANGED!r}, that '
            f'of {found[COLOR]} without: a copy is of one kind, set image_loading.color_type'
        )
    return next(iter(found), COLOR)


def _jobs(part: Any, root: str) -> Iterator[Job]:
    """Files of one data set."""
    owner = type(part).__name__
    image_step = _image_step(part, owner)
    label_steps = inner_steps(part, LoadAnnotations)
    label_step = next(
        (step for step in label_steps if isinstance(step, CheckedLoadAnnotations)),
        CheckedLoadAnnotations(),
    )
    ignored = ignore_index(part)
    for info in distinct_infos(part):
        if info.get('pseudo_labeled'):
            continue  # an unlabelled image, with a mask of a round of self-training
        image = info['img_path']
        if is_address(image):
            raise ValueError(
                f'{image} of {owner} is a slice of a volume, whose slices are cached as they are '
                'read: it needs no training copy'
            )
        yield Job(key_of(image, root), '', image, IMAGE, image, image_step)
        if info.get('seg_map_path') and 'seg_map_paths' not in info:  # of several raters
            mask = info['seg_map_path']
            yield Job(key_of(mask, root), '', mask, MASK, image, label_step, ignored)
        for path, kind in maps_of(part, info, root):
            yield Job(key_of(path, root), '', path, kind, image, None)


def _image_step(part: Any, owner: str) -> CheckedLoadImageFromFile:
    steps = inner_steps(part, CheckedLoadImageFromFile)
    if not steps or steps[0].backend_args is not None or steps[0].file_client_args is not None:
        raise ValueError(
            f'the pipeline of {owner} does not load images by LoadImageFromFile from local files: '
            'a training copy cannot replace them'
        )
    if steps[0].nodata is not None:
        raise ValueError(
            f'image_loading.nodata={steps[0].nodata:g} marks pixels by their value, which scaling '
            'and compression change: train from the originals'
        )
    return steps[0]


def maps_of(part: Any, info: Mapping[str, Any], root: str) -> Iterator[Tuple[str, str]]:
    """Maps of an image that lie below the root, and their kinds.

    Args:
        part (BaseDataset): Data set of the image.
        info (Mapping[str, Any]): Its entry.
        root (str): Root of the data.

    Yields:
        tuple: Path, and ``'map'`` or ``'smooth map'``.
    """
    stem = info.get('stem') or osp.splitext(osp.basename(info['img_path']))[0]
    for step in inner_steps(part, LoadMaps):
        for name, folder in step.maps.items():
            if inside(folder, root):
                yield str(map_path(folder, stem)), SMOOTH_MAP if name in step.smooth else MAP


def _named(jobs: Mapping[str, Job]) -> List[Job]:
    """Jobs with paths in the copy: those of the originals, no two alike without their suffix.

    Maps keep their whole name, by which ``LoadMaps`` finds them.
    """
    stems = {key: osp.splitext(key)[0] for key in jobs}
    count = Counter(stems.values())
    return [
        job._replace(target=stems[key] if count[stems[key]] == 1 or _is_map(job) else key)
        for key, job in jobs.items()
    ]


def _is_map(job: Job) -> bool:
    return job.kind in (MAP, SMOOTH_MAP)


def other_files(plan: Plan, sources: Mapping[str, Any]) -> Sequence[str]:
    """What a training reads beside the files of a plan, which must have the size of the images.

    Args:
        plan (Plan): Of the sources.
        sources (Mapping[str, AnySet]): Data sets by name.
    """
    found = []
    for source in sources.values():
        for part in leaves(source):
            if len(part) and 'seg_map_paths' in part.get_data_info(0):
                found.append(f'masks of several raters ({type(part).__name__})')
            for step in inner_steps(part, LoadMaps):
                outside = [folder for folder in step.maps.values() if not inside(folder, plan.root)]
                found += [f'maps in {folder}, outside {plan.root}' for folder in outside]
    return list(dict.fromkeys(found))
