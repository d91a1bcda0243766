# Copyright (c) mmseg_ctt contributors.
"""Count the pixels and images of every class, and compute class weights; or mean and std of images.

python tools/analysis_tools/label_statistics.py CONFIG [--set labeled|val|test|...] [--json FILE]
python tools/analysis_tools/label_statistics.py FOLDER [--num-classes K] [--json FILE]
python tools/analysis_tools/label_statistics.py CONFIG|FOLDER --images [--nodata VALUE]

FOLDER holds PNG masks of class ids (--suffix: other names), directly or in masks/; class names come
from a meta.json in FOLDER or next to it. Prints Markdown. Weights are for `class_weight` of
PixelCrossEntropyLoss:

- inverse: total / (classes that have pixels * pixels of the class)
- enet: 1 / ln(1.02 + frequency of the class) (ENet, arXiv 1606.02147)
- median: median frequency / frequency, counted in images that show the class (Eigen and Fergus,
  arXiv 1411.4734)

A class without pixels has weight 0 in `inverse` and `median`. Of a source with image-level tags,
such as --set tagged, the images of each tag are counted.

--images reads the images: mean, std and range of each band, without pixels that have no data. Of a
CONFIG the values are those that the network gets, and mean and std are ready for
`data_preprocessor`; without --set all training images are read. Of a FOLDER they are those of the
files in FOLDER/images or FOLDER, and suggest `image_loading.value_range`.
"""

import argparse
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, NamedTuple, Optional, Tuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _common import FLAG, described, errors_in_one_line, given, positive, read_config, run  # noqa: E402
from _label_tables import markdown, tag_markdown, tag_statistics  # noqa: E402
from _refusals import refuse_unused  # noqa: E402

with errors_in_one_line():
    import numpy as np

if TYPE_CHECKING:
    from mmseg_ctt.datasets.wrappers import AnySet

OF_MASKS = ('num_classes', 'suffix', 'ignore_index', 'reduce_zero_label')
MAX_CLASSES = 255  # ids of an 8 bit mask, without the ignored one


class Mask(NamedTuple):
    """Label file, and what :func:`read_checked` is told of its ids."""

    path: str
    ids: Dict[str, Any]


class Counts(NamedTuple):
    """Counts: ``pixels`` int64 ``(N, K)`` of each image and class, ``sizes`` int64 ``(N,)``."""

    pixels: np.ndarray
    sizes: np.ndarray


def parse_args() -> argparse.Namespace:
    parser = described(__doc__)
    parser.add_argument('source', metavar='CONFIG|FOLDER')
    parser.add_argument(
        '--set',
        help='val, test or a source of the training images of a config; default: labeled, for '
        '--images all sources',
    )
    parser.add_argument(
        '--num-classes',
        type=positive,
        help='classes of a folder; default: those of meta.json, else up to the largest id',
    )
    parser.add_argument(
        '--suffix', help='end of the names of the masks of a folder, such as _GT.png; default: .png'
    )
    parser.add_argument('--ignore-index', type=int, help='default: 255')
    parser.add_argument(
        '--reduce-zero-label',
        **FLAG,
        help='masks of a folder count from 1, and 0 is no class; a config says it itself',
    )
    parser.add_argument('--images', action='store_true', help='mean and std of bands of the images')
    parser.add_argument(
        '--nodata', type=float, help='value of pixels without data in the images of a folder'
    )
    parser.add_argument('--json', help='JSON file for the same numbers')
    return parser.parse_args()


def set_of_config(path: Path, name: str) -> 'AnySet':
    """One set of a config, without its pipeline."""
    from mmengine.registry import DefaultScope

    from mmseg_ctt.datasets.sources import LABELED, source_config, source_names
    from mmseg_ctt.datasets.wrappers import build_lazily, with_pipeline

    cfg = read_config(str(path))
    key = f'{name if name in ("val", "test") else "train"}_dataloader'
    if not cfg.get(key):
        raise ValueError(f'{path} has no {key}')
    settings = dict(cfg[key].dataset)
    if name not in ('val', 'test') and (name != LABELED or source_names(settings)):
        settings = source_config(settings, name)
    with DefaultScope.overwrite_default_scope('mmseg'):
        dataset = build_lazily(with_pipeline(settings, []))
        dataset.full_init()
    return dataset


def masks_of(dataset: 'AnySet', where: str) -> Tuple[List[Mask], List[str]]:
    """Label files and class names of a data set."""
    from mmseg_ctt.datasets.wrappers import distinct_infos

    infos = distinct_infos(dataset)
    if any('seg_map_path' not in info for info in infos):
        raise ValueError(f'{where} names no seg_map_path in its data_prefix')
    masks = [
        Mask(
            info['seg_map_path'],
            dict(
                label_map=info.get('label_map'),
                reduce_zero_label=bool(info.get('reduce_zero_label')),
            ),
        )
        for info in infos
    ]
    return masks, list(dataset.metainfo['classes'])


def masks_of_folder(
    folder: Path, args: argparse.Namespace
) -> Tuple[List[Mask], Optional[List[str]]]:
    """Label files of a folder, and class names if a ``meta.json`` has them."""
    from mmseg_ctt.datasets.folder import read_meta
    from mmseg_ctt.datasets.image_files import find_masks

    meta = next(
        (path for path in (folder / 'meta.json', folder.parent / 'meta.json') if path.is_file()),
        None,
    )
    folder = folder / 'masks' if (folder / 'masks').is_dir() else folder
    masks = [
        Mask(str(folder / name), given(args, ('reduce_zero_label',)))
        for name in find_masks(folder, **given(args, ('suffix',))).values()
    ]
    return masks, None if meta is None else list(read_meta(meta)['classes'])


def count(masks: List[Mask], num_classes: int, **ids: int) -> Counts:
    """Count the pixels of every mask, each read once; ``ids`` may name the ignored one."""
    from mmseg_ctt.datasets.label_check import class_pixels, read_checked

    def count_mask(mask: Mask) -> Tuple[np.ndarray, int]:
        label = read_checked(mask.path, None, num_classes, **mask.ids, **ids)
        return class_pixels(label, num_classes, **ids)[:num_classes], label.size

    with ThreadPoolExecutor(4) as pool:
        rows = list(pool.map(count_mask, masks))
    return Counts(np.array([row[0] for row in rows]), np.array([row[1] for row in rows]))


def class_weights(counts: Counts) -> Dict[str, np.ndarray]:
    """Class weights float64 ``(K,)`` of each scheme, see the header of the file."""
    pixels = counts.pixels.sum(axis=0)
    present, fraction = pixels > 0, pixels / max(pixels.sum(), 1)
    size_of_images = (counts.sizes[:, None] * (counts.pixels > 0)).sum(axis=0)
    inverse, median = np.zeros(len(pixels)), np.zeros(len(pixels))
    if present.any():
        frequency = pixels[present] / size_of_images[present]
        inverse[present] = 1 / (present.sum() * fraction[present])
        median[present] = np.median(frequency) / frequency
    return dict(inverse=inverse, enet=1 / np.log(1.02 + fraction), median=median)


def statistics(counts: Counts, classes: List[str]) -> dict:
    """All statistics as plain numbers."""
    pixels = counts.pixels.sum(axis=0)
    weights = class_weights(counts)
    rows = [
        dict(
            {
                'class': name,
                'pixels': int(pixels[k]),
                'share': float(pixels[k] / max(pixels.sum(), 1)),
                'images': int((counts.pixels[:, k] > 0).sum()),
            },
            **{scheme: round(float(values[k]), 4) for scheme, values in weights.items()},
        )
        for k, name in enumerate(classes)
    ]
    total = int(counts.sizes.sum())
    return dict(
        images=len(counts.sizes),
        pixels=total,
        ignored=1 - float(pixels.sum()) / max(total, 1),
        classes=rows,
    )


def statistics_of_masks(args: argparse.Namespace, masks: List[Mask], classes: Any) -> dict:
    """All statistics of label files, whose classes are known or counted."""
    from mmseg_ctt.datasets.class_cover import names_of

    if not masks:
        raise FileNotFoundError(f'no mask was found in {args.source}')
    if args.num_classes is not None and classes is not None and len(classes) != args.num_classes:
        raise ValueError(
            f'--num-classes {args.num_classes}, but {args.source} names {len(classes)} classes'
        )
    known = len(classes) if classes is not None else args.num_classes
    counts = count(masks, known or MAX_CLASSES, **given(args, ('ignore_index',)))
    if known is None:
        known = int(np.flatnonzero(counts.pixels.sum(axis=0)).max(initial=0)) + 1
        counts = counts._replace(pixels=counts.pixels[:, :known])
    return statistics(counts, classes or names_of(range(known)))


def check_args(args: argparse.Namespace, source: Path) -> None:
    """Raise for arguments that a source of this kind does not read."""
    if not source.exists():
        raise FileNotFoundError(f'no config or folder {source} exists')
    if args.images:
        refuse_unused(args, OF_MASKS, '--images reads no masks')
    elif args.nodata is not None:
        raise ValueError('--nodata is for --images')
    if source.is_dir():
        refuse_unused(args, ('set',), 'a folder has no sets')
        return
    refuse_unused(args, ('suffix',), 'a config names its masks')
    if args.reduce_zero_label:
        raise ValueError(
            '--reduce-zero-label is for a folder: set reduce_zero_label of the data set in '
            f'{source}'
        )
    if args.nodata is not None:
        raise ValueError('--nodata is for a folder: set image_loading.nodata in the config')


def image_statistics(args: argparse.Namespace, source: Path) -> dict:
    """Statistics of the bands of images, and their table."""
    from mmseg_ctt.datasets.image_statistics import bands_of_config, bands_of_folder

    if source.is_dir():
        return bands_of_folder(source, args.nodata)
    return bands_of_config(read_config(str(source)), args.set)


def main() -> None:
    args = parse_args()
    import mmseg_ctt  # noqa: F401
    from mmseg_ctt.datasets.wrappers import leaves
    from mmseg_ctt.engine.out_paths import check_new_file

    if args.json:
        check_new_file(args.json)
    source = Path(args.source)
    check_args(args, source)
    if args.images:
        result = image_statistics(args, source)
    elif source.is_dir():
        result = statistics_of_masks(args, *masks_of_folder(source, args))
    else:
        name = args.set or 'labeled'
        dataset = set_of_config(source, name)
        if all(getattr(leaf, 'reads_tags', False) for leaf in leaves(dataset)):
            refuse_unused(args, OF_MASKS, f'the set {name} has tags, no masks')
            result = tag_statistics(dataset)
        else:
            masks, classes = masks_of(dataset, f'the set {name} of {source}')
            result = statistics_of_masks(args, masks, classes)
    if args.json:
        Path(args.json).parent.mkdir(parents=True, exist_ok=True)
        Path(args.json).write_text(json.dumps(result, indent=2) + '\n')
    if args.images:
        print(result['table'])
        return
    table = tag_markdown if 'tags_per_image' in result else markdown
    print(table(result, args.source))


if __name__ == '__main__':
    run(main)
