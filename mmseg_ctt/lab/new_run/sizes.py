# Copyright (c) mmseg_ctt contributors.
"""Scale, crop, batch and length of a run, from the sizes of images and the memory."""

import os
from math import ceil
from pathlib import Path
from typing import List, NamedTuple, Optional, Sequence, Tuple

from .images import Images
from .networks import Network

GB = 1 << 30
CROP = 0.8  # side of a crop by that of the resized image
SIDES = dict(
    gpu=(1024, 768, 512, 384, 320, 256), cpu=(320, 256, 192)
)  # longer sides, tried in turn
LABELED = 4  # labelled images of a batch
USED, REST = 0.8, 1.5  # ratio of the memory that is used; factor for what is not kept for a pixel
ITERS = dict(gpu=(5000, 20000), cpu=(1500, 1500))
PASSES = 200  # over the labelled images, within these
VALIDATIONS = dict(gpu=10, cpu=3)
GROUND = 1024  # longer side of GeoTIFFs that are not resized
SMALL = 128  # side of a crop from which it shows a network what an image is of
DETAIL = 4  # images that are shrunk more than this lose small objects
CGROUP = Path('/sys/fs/cgroup/memory.max')


class Memory(NamedTuple):
    """Memory of the machine: ``'gpu'`` or ``'cpu'``, and bytes."""

    kind: str
    size: int


class Sizes(NamedTuple):
    """Numbers of a run.

    Attributes:
        scale (tuple[int, int]): Width and height that images are resized to.
        crop (tuple[int, int]): Height and width of crops.
        labeled (int): Labelled images of a batch; as many unlabelled ones come along.
        iters (int): Iterations.
        val_interval (int): Iterations between validations.
        lines (list[str]): The rule and what came of it.
    """

    scale: Tuple[int, int]
    crop: Tuple[int, int]
    labeled: int
    iters: int
    val_interval: int
    lines: List[str]


def machine_memory() -> Memory:
    """Memory of the first GPU, else that of the machine, or of its container."""
    import torch

    if torch.cuda.is_available():
        return Memory('gpu', torch.cuda.get_device_properties(0).total_memory)
    try:
        size = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
    except (AttributeError, ValueError, OSError):
        size = 8 * GB
    limit = CGROUP.read_text().strip() if CGROUP.is_file() else 'max'
    return Memory('cpu', min(size, int(limit)) if limit.isdigit() else size)


def choose_sizes(
    images: Images,
    net: Network,
    labeled: int,
    memory: Memory,
    size: Optional[Sequence[int]] = None,
    iterations: Optional[int] = None,
) -> Sizes:
    """Choose the numbers of a run.

    The longer side of images becomes 1024 on a GPU and 320 on a CPU, or less until a batch of 4
    labelled and 4 unlabelled crops takes no more than 0.8 of the memory; images are never enlarged.
    A crop has 0.8 of each side, rounded down to a multiple of 32 (14 for DINOv2); it is a square of
    the shorter side where some images lie and others stand. GeoTIFFs of one size of up to 1024
    pixels are not resized, so that a pixel has one size on the ground in training and in maps;
    their crops alone are smaller. Of several sizes they become that in the middle. A run has 200
    passes over the labelled images, 5,000 to 20,000 iterations, and 1,500 on a CPU.

    Args:
        images (Images): What images are.
        net (Network): The network.
        labeled (int): Number of labelled images.
        memory (Memory): Of the machine.
        size (Sequence[int], optional): Width and height that images are resized to, or their longer
            side alone.
        iterations (int, optional): Length of the run. Defaults to None: as above.

    Raises:
        ValueError: If ``size`` or ``iterations`` is malformed.
    """
    if iterations is not None and iterations < 1:
        raise ValueError(f'--iterations must be 1 or more, got {iterations}')
    if size is not None and not (
        len(size) in (1, 2) and all(isinstance(v, int) and v > 0 for v in size)
    ):
        raise ValueError(f'--size must be WIDTH HEIGHT, or the longer side alone, got {size}')
    width, height = images.median_size
    sides = [min(side, max(width, height)) for side in SIDES[memory.kind]]
    if size:
        sides = [max(size)]
    batches = [LABELED, LABELED // 2]
    tried = [(side, batch) for batch in batches for side in sides]
    fitting = [
        (side, batch)
        for side, batch in tried
        if _need(net, _crop(images, _scale(images, side, size), net.multiple), 2 * batch)
        <= USED * memory.size
    ]
    side, batch = fitting[0] if fitting else tried[-1]
    scale = _scale(images, side, size)
    crop = _crop(images, scale, net.multiple)
    if images.geo and not size and max(width, height) <= GROUND:
        scale = (width, height)
    iters = iterations or _length(labeled, batch, memory.kind)
    sizes = Sizes(scale, crop, batch, iters, -(-iters // VALIDATIONS[memory.kind]), [])
    usual = 'a short run for a CPU' if memory.kind == 'cpu' else f'{PASSES} passes if allowed'
    kind = '--iterations' if iterations else f'{usual}; --iterations changes it'
    return described(sizes, images, net, memory, '--size', kind)


def _length(labeled: int, batch: int, kind: str) -> int:
    """Iterations of :data:`PASSES` over the labelled images, in hundreds, in the bounds."""
    low, high = ITERS[kind]
    return min(high, max(low, -(-PASSES * labeled // batch // 100) * 100))


def _scale(images: Images, side: int, size: Optional[Sequence[int]]) -> Tuple[int, int]:
    if size and len(size) == 2:
        return int(size[0]), int(size[1])
    width, height = images.median_size
    ratio = side / max(width, height)
    return max(1, round(width * ratio)), max(1, round(height * ratio))


def _crop(images: Images, scale: Tuple[int, int], multiple: int) -> Tuple[int, int]:
    """Height and width of crops: square where images lie and stand."""
    width, height = scale
    lying = sum(w > h for w, h in images.sizes)
    standing = sum(w < h for w, h in images.sizes)
    if min(lying, standing) * 10 >= len(images.sizes):
        width = height = min(scale)
    sides = (int(CROP * side) // multiple * multiple for side in (height, width))
    rows, columns = (max(side, multiple) for side in sides)
    return rows, columns


def _need(net: Network, crop: Tuple[int, int], batch: int) -> float:
    """Bytes that a step of CTT takes."""
    return net.weights * 1e6 + REST * net.per_pixel * crop[0] * crop[1] * batch


def described(
    sizes: Sizes, images: Images, net: Network, memory: Memory, of_size: str, of_length: str
) -> Sizes:
    """Numbers of a run with their lines.

    Args:
        sizes (Sizes): The numbers.
        images (Images): What images are.
        net (Network): The network.
        memory (Memory): Of the machine.
        of_size (str): What sets the sizes.
        of_length (str): What sets the length.
    """
    machine = (
        f'a GPU of {memory.size / GB:.0f} GB'
        if memory.kind == 'gpu'
        else f'no GPU, {memory.size / GB:.0f} GB of memory'
    )
    (width, height), crop, batch = sizes.scale, sizes.crop, sizes.labeled
    need = _need(net, crop, 2 * batch)
    lines = [
        f'machine: {machine}',
        f'sizes: images become {width}x{height} ({of_size}), crops {crop[1]}x{crop[0]}, '
        f'{batch} labelled and {batch} unlabelled a batch, about {need / GB:.1f} GB in CTT',
        f'length: {sizes.iters} iterations ({of_length})',
    ]
    lines += [
        *_shrunk(images, sizes.scale),
        *_resampled(images, sizes.scale),
        *_small_crops(images, net, sizes),
    ]
    if need > USED * memory.size:
        lines.append('WARNING: the memory may not be enough: take a smaller --model or --size')
    return sizes._replace(lines=lines)


def _shrunk(images: Images, scale: Tuple[int, int]) -> List[str]:
    """Line about images that are shrunk so much that small objects vanish."""
    width, height = images.median_size
    if max(width, height) <= DETAIL * max(scale):
        return []
    return [
        f'WARNING: images of {width}x{height} become {scale[0]}x{scale[1]}: what is smaller '
        f'than {max(width, height) // max(scale)} pixels vanishes; cut them into tiles, or '
        'give --size'
    ]


def _resampled(images: Images, scale: Tuple[int, int]) -> List[str]:
    """Line about GeoTIFFs whose pixels have another size on the ground in training."""
    width, height = images.median_size
    if not images.geo or all(size == scale for size in images.sizes):
        return []
    if len(set(images.sizes)) > 1:
        return [
            f'WARNING: GeoTIFFs of {len(set(images.sizes))} sizes become {scale[0]}x{scale[1]}, '
            'so that a pixel has other sizes on the ground in training than in maps: cut them into '
            f'images of one size, of up to {GROUND} pixels, first '
            '(tools/dataset_converters/cut_rasters.py)'
        ]
    return [
        f'WARNING: GeoTIFFs are resized, so a map needs the size of the images as tiles: '
        f'tools/predict.py --tile {height} {width}; better cut them into images of up to '
        f'{GROUND} pixels first (tools/dataset_converters/cut_rasters.py)'
    ]


def _small_crops(images: Images, net: Network, sizes: Sizes) -> List[str]:
    """Line about crops that show little, with the size from which they show more."""
    if min(sizes.crop) >= SMALL:
        return []
    wide = -(-SMALL // net.multiple) * net.multiple
    side = ceil(ceil(wide / CROP) * max(images.median_size) / min(images.median_size))
    own = '' if side <= max(images.median_size) else ', which enlarges the images,'
    return [
        f'WARNING: crops of {sizes.crop[1]}x{sizes.crop[0]} pixels show little of an image at a '
        f'time: --size {side}{own} gives {SMALL} pixels and more'
    ]
