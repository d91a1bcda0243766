# Copyright (c) mmseg_ctt contributors.
"""Masks of classes drawn from annotations of instances in the format of COCO."""

import json
from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Sequence, Tuple, Union

import numpy as np
from PIL import Image

from .lists import PathLike, check_unique

Segmentation = Union[Sequence[Sequence[float]], Mapping[str, Any]]  # polygons, or RLE
BACKGROUND = 0
REQUIRED = ('image_id', 'category_id', 'segmentation')  # of an annotation


class Instance(NamedTuple):
    """Annotation of an object.

    Attributes:
        label (int): Class, 1 or more.
        segmentation (list | dict): Polygons ``[[x, y, x, y, ...], ...]`` in pixels, or RLE
            ``dict(size=(height, width), counts=[...])``.
        crowd (bool): Whether it is a region of many objects.
    """

    label: int
    segmentation: Segmentation
    crowd: bool


class AnnotatedImage(NamedTuple):
    """Image of an annotation file.

    Attributes:
        name (str): File name, such as ``000000000139.jpg``.
        size (tuple[int, int]): Height and width.
        instances (list[Instance]): Its objects; empty where it has none.
    """

    name: str
    size: Tuple[int, int]
    instances: List[Instance]


def polygon_mask(polygon: Sequence[float], size: Tuple[int, int]) -> np.ndarray:
    """Pixels whose centres are inside a polygon, by the even-odd rule.

    Args:
        polygon (Sequence[float]): ``x, y, x, y, ...`` in pixels; the first pixel's centre is
            (0.5, 0.5).
        size (tuple[int, int]): Height and width.

    Returns:
        np.ndarray: bool ``(H, W)``.

    Raises:
        ValueError: If it is no list of pairs of finite numbers.
    """
    height, width = size
    flat = np.asarray(polygon, dtype=np.float64)
    if flat.ndim != 1 or len(flat) % 2 or not np.isfinite(flat).all():
        raise ValueError('a polygon must be a list of pairs of finite numbers: x, y, x, y, ...')
    start = flat.reshape(-1, 2)
    end = np.roll(start, -1, axis=0)
    limits = np.ceil(np.stack([start[:, 1], end[:, 1]]) - 0.5).clip(0, height).astype(np.int64)
    first, counts = limits.min(0), np.ptp(limits, axis=0)  # rows whose centres an edge crosses
    edge = np.repeat(np.arange(len(start)), counts)
    row = first[edge] + np.arange(len(edge)) - (np.cumsum(counts) - counts)[edge]
    (x, y), (dx, dy) = start[edge].T, (end - start)[edge].T
    column = np.ceil(x + (row + 0.5 - y) * dx / dy - 0.5).clip(0, width).astype(np.int64)
    mask = np.zeros(size, dtype=bool)
    if len(edge):
        top, left = row.min(), column.min()
        crossings = np.zeros((row.max() - top + 1, column.max() - left + 1), dtype=np.int64)
        np.add.at(crossings, (row - top, column - left), 1)
        inside = np.cumsum(crossings, axis=1)[:, :-1] % 2 == 1  # behind an odd number of edges
        mask[top : row.max() + 1, left : column.max()] = inside
    return mask


def rle_mask(rle: Mapping[str, Any], size: Tuple[int, int]) -> np.ndarray:
    """Mask of a run-length encoding: lengths of runs of 0 and 1 in turn, column by column.

    Args:
        rle (Mapping): ``counts``, and ``size`` as height and width.
        size (tuple[int, int]): Height and width of the image.

    Returns:
        np.ndarray: bool ``(H, W)``.

    Raises:
        ValueError: If the encoding is compressed, or of another size.
    """
    counts = rle['counts']
    if isinstance(counts, (str, bytes)):
        raise ValueError('a compressed RLE is not read: write counts as a list of lengths')
    fits = tuple(rle['size']) == tuple(size) and sum(counts) == size[0] * size[1]
    if not fits or min(counts, default=0) < 0:
        raise ValueError(
            f'an RLE of size {tuple(rle["size"])} with {sum(counts)} pixels does not fit an image '
            f'of {size[0]} rows and {size[1]} columns'
        )
    values = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
    return values.reshape(size[1], size[0]).T


def instance_mask(segmentation: Segmentation, size: Tuple[int, int]) -> np.ndarray:
    """Pixels of an object: the union of its polygons, or its RLE.

    Args:
        segmentation (list | dict): See :class:`Instance`.
        size (tuple[int, int]): Height and width.

    Returns:
        np.ndarray: bool ``(H, W)``.

    Raises:
        ValueError: As of :func:`polygon_mask` and :func:`rle_mask`.
    """
    if isinstance(segmentation, Mapping):
        return rle_mask(segmentation, size)
    mask = np.zeros(size, dtype=bool)
    for polygon in segmentation:
        mask |= polygon_mask(polygon, size)
    return mask


def draw_classes(image: AnnotatedImage) -> np.ndarray:
    """Label map of the objects of an image; pixels of none are background.

    Where objects overlap, the smaller has the pixels: it is in front, or a part of what is around
    it would be lost. Regions of many objects are below all others.

    Args:
        image (AnnotatedImage): Its size and objects.

    Returns:
        np.ndarray: uint8 ``(H, W)``.

    Raises:
        ValueError: If an object cannot be drawn; names the image.
    """
    label = np.full(image.size, BACKGROUND, dtype=np.uint8)
    try:
        masks = [(made, instance_mask(made.segmentation, image.size)) for made in image.instances]
    except (ValueError, TypeError, KeyError) as error:
        reason = error if isinstance(error, ValueError) else f'no segmentation of COCO ({error!r})'
        raise ValueError(f'{image.name}: {reason}') from None
    for made, mask in sorted(masks, key=lambda pair: (not pair[0].crowd, -int(pair[1].sum()))):
        label[mask] = made.label
    return label


def mask_path(image: AnnotatedImage, folder: PathLike) -> Path:
    """File of the label map of an image."""
    return Path(folder, image.name).with_suffix('.png')


def write_classes(image: AnnotatedImage, folder: PathLike) -> None:
    """Write the label map of an image as PNG with the name of the image.

    Args:
        image (AnnotatedImage): The image.
        folder (str | Path): Exists.
    """
    Image.fromarray(draw_classes(image)).save(mask_path(image, folder))


def check_names(images: Sequence[AnnotatedImage]) -> None:
    """Check that each image has a label map of its own in one folder.

    Args:
        images (Sequence[AnnotatedImage]): Images of all annotation files.

    Raises:
        ValueError: If two images have one name, or a name has a folder.
    """
    check_unique([Path(image.name).stem for image in images], 'the annotations')
    nested = [image.name for image in images if '/' in image.name or '\\' in image.name]
    if nested:
        raise ValueError(
            f'the file name {nested[0]} of the annotations has a folder: all masks are written to '
            'one folder, by the name of the image alone'
        )


def refuse_existing(images: Sequence[AnnotatedImage], folder: PathLike) -> None:
    """Check that no label map would be replaced.

    Args:
        images (Sequence[AnnotatedImage]): Images whose label maps will be written.
        folder (str | Path): Folder of the label maps.

    Raises:
        ValueError: Names the first file.
    """
    paths = [mask_path(image, folder) for image in images]
    known = [path for path in paths if path.exists()]
    if known:
        raise ValueError(
            f'{len(known)} masks exist, such as {known[0]}: choose another folder, or --overwrite'
        )


def read_instances(path: PathLike, classes: Sequence[str]) -> List[AnnotatedImage]:
    """Read an annotation file of instances.

    Args:
        path (str | Path): JSON with ``images``, ``annotations`` and ``categories``.
        classes (Sequence[str]): Names of the categories in the order of their ids; the first
            becomes class 1.

    Returns:
        list[AnnotatedImage]: All images of the file, also those without objects.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no such JSON, or has other categories.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f'the annotations {path} do not exist')
    try:
        content = json.loads(Path(path).read_text(encoding='utf-8-sig'))
        categories = sorted(content['categories'], key=lambda category: category['id'])
        found: Dict[int, Tuple[dict, List[Instance]]] = {
            image['id']: (image, []) for image in content['images']
        }
        annotations = content['annotations']
        listed = [
            AnnotatedImage(image['file_name'], (image['height'], image['width']), instances)
            for image, instances in found.values()
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f'{path} holds no annotations of instances: {error!r}') from None
    names = [category['name'] for category in categories]
    if names != list(classes):
        raise ValueError(
            f'{path} has {len(names)} categories, {", ".join(names[:3])}, ..., and not the '
            f'{len(classes)} of COCO 2017: use instances_train2017.json and instances_val2017.json'
        )
    labels = {category['id']: label for label, category in enumerate(categories, 1)}
    for kind, known in (('images', found), ('categories', labels)):
        if len(known) != len(content[kind]):
            raise ValueError(f'{path} gives one id to two {kind}')
    _add_instances(found, annotations, labels, path)
    return listed


def _add_instances(
    found: Dict[int, Tuple[dict, List[Instance]]],
    annotations: Sequence[dict],
    labels: Mapping[int, int],
    path: PathLike,
) -> None:
    for made in annotations:
        lacking = [name for name in REQUIRED if name not in made]
        if lacking:
            raise ValueError(f'{path}: an annotation has no {lacking[0]}: {str(made)[:80]}')
        if made['image_id'] not in found:
            raise ValueError(f'{path} annotates image {made["image_id"]}, which it does not list')
        if made['category_id'] not in labels:
            raise ValueError(
                f'{path} annotates category {made["category_id"]}, which it does not list'
            )
        instance = Instance(
            labels[made['category_id']], made['segmentation'], bool(made.get('iscrowd', 0))
        )
        found[made['image_id']][1].append(instance)
