# Copyright (c) mmseg_ctt contributors.
"""Count the pixels and images of every class, and say what class weights they give.

python tools/analysis_tools/label_statistics.py CONFIG [--set labeled|val|test|...] [--json FILE]
python tools/analysis_tools/label_statistics.py FOLDER [--num-classes K] [--json FILE]

FOLDER holds PNG masks of class ids, itself or in masks/; class names come from a meta.json beside
them. Prints Markdown. Weights are for `class_weight` of mmseg's CrossEntropyLoss:

- inverse: total / (classes * pixels of the class)
- enet: 1 / ln(1.02 + share of the class) (ENet, arXiv 1606.02147)
- median: median frequency / frequency, counted in images that show the class (Eigen and Fergus,
  arXiv 1411.4734)

A class that no mask shows gets 0 from `inverse` and `median`.
"""

import argparse
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Tuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _common import described, errors_in_one_line, read_config, run  # noqa: E402

with errors_in_one_line():
    import numpy as np

MAX_CLASSES = 255  # ids of an 8 bit mask, without the ignored one


class Mask(NamedTuple):
    """A label file and how its ids are read."""

    path: str
    label_map: Optional[Dict[int, int]] = None
    reduce_zero_label: bool = False


class Counts(NamedTuple):
    """``pixels`` int64 ``(N, K)`` of each image and class, ``sizes`` int64 ``(N,)``."""

    pixels: np.ndarray
    sizes: np.ndarray


def parse_args() -> argparse.Namespace:
    parser = described(__doc__)
    parser.add_argument('source', metavar='CONFIG|FOLDER')
    parser.add_argument(
        '--set',
        default='labeled',
        help='val, test or a source of the training images of a config; default: labeled',
    )
    parser.add_argument(
        '--num-classes',
        type=int,
        help='of a folder; default: from meta.json, else the largest id found',
    )
    parser.add_argument('--ignore-index', type=int, default=255)
    parser.add_argument('--json', help='file for the same figures')
    return parser.parse_args()


def masks_of_config(path: Path, which: str) -> Tuple[List[Mask], List[str]]:
    """Label files and class names of one set of a config."""
    from mmengine.registry import DefaultScope
    from mmseg.registry import DATASETS

    from mmseg_ctt.datasets.sources import LABELED, source_config, source_names

    cfg = read_config(str(path))
    key = f'{which if which in ("val", "test") else "train"}_dataloader'
    if not cfg.get(key):
        raise ValueError(f'{path} has no {key}')
    settings = dict(cfg[key].dataset)
    if which not in ('val', 'test') and (which != LABELED or source_names(settings)):
        settings = source_config(settings, which)
    with DefaultScope.overwrite_default_scope('mmseg'):
        dataset = DATASETS.build(dict(settings, pipeline=[]))
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    if any('seg_map_path' not in info for info in infos):
        raise ValueError(f'{key}.dataset.data_prefix of {path} names no seg_map_path')
    masks = [
        Mask(info['seg_map_path'], info.get('label_map'), bool(info.get('reduce_zero_label')))
        for info in infos
    ]
    return masks, list(dataset.metainfo['classes'])


def masks_of_folder(folder: Path) -> Tuple[List[Mask], Optional[List[str]]]:
    """Label files of a folder, and class names where a ``meta.json`` gives them."""
    from mmseg_ctt.datasets.folder import read_meta
    from mmseg_ctt.datasets.image_files import find_files

    meta = next(
        (path for path in (folder / 'meta.json', folder.parent / 'meta.json') if path.is_file()),
        None,
    )
    folder = folder / 'masks' if (folder / 'masks').is_dir() else folder
    masks = [Mask(str(folder / name)) for name in find_files(folder, ['.png']).values()]
    return masks, None if meta is None else list(read_meta(meta)['classes'])


def count(masks: List[Mask], num_classes: int, ignore_index: int) -> Counts:
    """Read every mask once."""
    from mmseg_ctt.datasets.label_check import check_ids, class_pixels, read_mask, reduce_zero

    def one(mask: Mask) -> Tuple[np.ndarray, int]:
        ids = read_mask(mask.path)
        size = ids.size
        ids = reduce_zero(ids, ignore_index) if mask.reduce_zero_label else ids
        in_file = len(mask.label_map) if mask.label_map else num_classes
        check_ids(ids, in_file, ignore_index, f'the mask {mask.path}')
        pixels = class_pixels(ids, in_file, ignore_index)
        if mask.label_map:
            mapped = np.zeros(256, dtype=np.int64)
            np.add.at(mapped, [mask.label_map[k] for k in range(in_file)], pixels)
            pixels = mapped[:num_classes]
        return pixels, size

    with ThreadPoolExecutor(4) as pool:
        rows = list(pool.map(one, masks))
    return Counts(np.array([row[0] for row in rows]), np.array([row[1] for row in rows]))


def class_weights(counts: Counts) -> Dict[str, np.ndarray]:
    """float64 ``(K,)`` of each scheme, see the file's header."""
    pixels = counts.pixels.sum(axis=0)
    seen, share = pixels > 0, pixels / max(pixels.sum(), 1)
    shown_in = (counts.sizes[:, None] * (counts.pixels > 0)).sum(axis=0)
    inverse, median = np.zeros(len(pixels)), np.zeros(len(pixels))
    if seen.any():
        frequency = pixels[seen] / shown_in[seen]
        inverse[seen] = 1 / (seen.sum() * share[seen])
        median[seen] = np.median(frequency) / frequency
    return dict(inverse=inverse, enet=1 / np.log(1.02 + share), median=median)


def statistics(counts: Counts, classes: List[str]) -> dict:
    """Everything that is printed, in plain numbers."""
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


def markdown(made: dict, source: str) -> str:
    lines = [
        f'{source}: {made["images"]} label maps, {made["pixels"]:,} pixels, '
        f'{made["ignored"]:.2%} of them ignored',
        '',
        '| id | class | pixels | share | images | inverse | enet | median |',
        '| --- | --- | --- | --- | --- | --- | --- | --- |',
    ]
    for k, row in enumerate(made['classes']):
        lines.append(
            f'| {k} | {row["class"]} | {row["pixels"]:,} | {row["share"]:.3%} | '
            f'{row["images"]} | {row["inverse"]:.3f} | {row["enet"]:.3f} | '
            f'{row["median"]:.3f} |'
        )
    lines.append('')
    for scheme in ('inverse', 'enet', 'median'):
        values = ', '.join(f'{row[scheme]:.4g}' for row in made['classes'])
        lines.append(f'{scheme}: `class_weight=[{values}]`')
    unseen = [row['class'] for row in made['classes'] if not row['pixels']]
    return '\n'.join([*lines, *(['', f'Never seen: {", ".join(unseen)}.'] if unseen else [])])


def main() -> None:
    args = parse_args()
    import mmseg_ctt  # noqa: F401
    from mmseg_ctt.datasets.class_cover import names_of

    source = Path(args.source)
    if source.is_dir():
        masks, classes = masks_of_folder(source)
    elif source.is_file():
        masks, classes = masks_of_config(source, args.set)
    else:
        raise FileNotFoundError(f'there is no config or folder {source}')
    if not masks:
        raise FileNotFoundError(f'no mask was found in {source}')
    if args.num_classes is not None and classes is not None and len(classes) != args.num_classes:
        raise ValueError(
            f'--num-classes {args.num_classes}, but {source} names {len(classes)} classes'
        )
    known = len(classes) if classes is not None else args.num_classes
    counts = count(masks, known or MAX_CLASSES, args.ignore_index)
    if known is None:
        known = int(np.flatnonzero(counts.pixels.sum(axis=0)).max(initial=0)) + 1
        counts = counts._replace(pixels=counts.pixels[:, :known])
    made = statistics(counts, classes or names_of(range(known)))
    if args.json:
        Path(args.json).parent.mkdir(parents=True, exist_ok=True)
        Path(args.json).write_text(json.dumps(made, indent=2) + '\n')
    print(markdown(made, args.source))


if __name__ == '__main__':
    run(main)
