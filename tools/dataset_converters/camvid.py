# Copyright (c) mmseg_ctt contributors.
"""Convert CamVid from its public SegNet-style folder.

The source folder holds ``train``, ``val`` and ``test`` with 8-bit images and
``trainannot``, ``valannot`` and ``testannot`` with masks of the same names
(ids 0 to 10, and 11 for void)::

    python tools/dataset_converters/camvid.py CamVid data/camvid
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any, Dict, List, Tuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _common import FLAG, answer_help, described, errors_in_one_line, given, run  # noqa: E402


def parse_args() -> argparse.Namespace:
    """Parse the command line.

    Returns:
        argparse.Namespace: The arguments.
    """
    parser = described('Convert CamVid.')
    parser.add_argument('source', type=Path, help='folder with train, trainannot, val, ...')
    parser.add_argument('out', type=Path, help='such as data/camvid')
    parser.add_argument(
        '--img-suffix', choices=('.jpg', '.png'), default='.jpg', help='.jpg has quality 95'
    )
    parser.add_argument(
        '--scale', type=int, nargs=2, metavar=('H', 'W'), help='resize to this height and width'
    )
    parser.add_argument('--overwrite', **FLAG, help='replace other lists in OUT/splits')
    return parser.parse_args()


answer_help(parse_args)

with errors_in_one_line():
    import numpy as np
    from PIL import Image

    from mmseg_ctt.datasets.camvid import CamVidDataset
    from mmseg_ctt.datasets.image_files import find_files
    from mmseg_ctt.datasets.image_values import read_picture
    from mmseg_ctt.datasets.label_check import check_ids, check_size, image_size, read_mask
    from mmseg_ctt.datasets.splits import write_random_split, write_sequence_split

PARTS = ('train', 'val', 'test')
CLASSES = tuple(str(name) for name in CamVidDataset.METAINFO['classes'])
VOID_ID = len(CLASSES)  # 11 in the source folder
IGNORE_INDEX = 255
FRACTIONS = ('1/16', '1/8', '1/4', '1/2')
SEEDS = (0, 1, 2)
# Video sequences of the training part whose images are the labelled ones of a split.
SEQUENCES = ('0006R0', '0001TP')


def find_pairs(source: Path, part: str) -> Dict[str, Tuple[Path, Path]]:
    """Find the images of a part and their masks.

    Args:
        source (Path): Source folder.
        part (str): ``'train'``, ``'val'`` or ``'test'``.

    Returns:
        dict[str, tuple[Path, Path]]: Stem to image and mask.

    Raises:
        FileNotFoundError: If a folder, an image or a mask is missing.
    """
    img_dir, ann_dir = source / part, source / f'{part}annot'
    images, masks = find_files(img_dir, ['.png']), find_files(ann_dir, ['.png'])
    for stem in sorted(set(images) ^ set(masks)):
        kind, lost = ('mask', ann_dir) if stem in images else ('image', img_dir)
        raise FileNotFoundError(f'the {kind} {lost / stem}.png does not exist')
    if not images:
        raise FileNotFoundError(f'the folder {img_dir} holds no .png image')
    return {s: (img_dir / images[s], ann_dir / masks[s]) for s in images}


def convert_mask(path: Path, image_path: Path) -> np.ndarray:
    """Read a mask and replace its void id by the ignore index.

    Args:
        path (Path): Mask.
        image_path (Path): Its image.

    Returns:
        np.ndarray: uint8 ``(H, W)``.

    Raises:
        ValueError: If the mask has unexpected ids or another size.
    """
    seg_map, name = read_mask(path), f'the mask {path}'
    check_size(seg_map, image_size(image_path), name, image_path)
    check_ids(seg_map, VOID_ID + 1, IGNORE_INDEX, name)
    return np.where(seg_map == VOID_ID, IGNORE_INDEX, seg_map).astype(np.uint8)


def convert_part(args: argparse.Namespace, part: str) -> Tuple[List[str], np.ndarray]:
    """Convert the images and masks of a part.

    Args:
        args (argparse.Namespace): Arguments of the tool.
        part (str): ``'train'``, ``'val'`` or ``'test'``.

    Returns:
        tuple[list[str], np.ndarray]: N stems, and bool ``(N, K)``, presence of
        the classes in each image.
    """
    pairs = find_pairs(args.source, part)
    img_dir = args.out / 'img_dir' / part
    ann_dir = args.out / 'ann_dir' / part
    for folder in (img_dir, ann_dir):
        folder.mkdir(parents=True, exist_ok=True)
    presence = np.zeros((len(pairs), len(CLASSES)), dtype=bool)
    for row, (stem, (image_path, mask_path)) in enumerate(pairs.items()):
        mask = Image.fromarray(convert_mask(mask_path, image_path))
        image = Image.fromarray(read_picture(str(image_path)))
        if args.scale:
            size = (args.scale[1], args.scale[0])
            image = image.resize(size, Image.Resampling.BILINEAR)
            mask = mask.resize(size, Image.Resampling.NEAREST)
        image.save(img_dir / f'{stem}{args.img_suffix}', quality=95)
        mask.save(ann_dir / f'{stem}.png')
        ids = np.unique(np.asarray(mask))
        presence[row, ids[ids < len(CLASSES)]] = True
    return list(pairs), presence


def write_splits(out: Path, stems: List[str], presence: np.ndarray, **overwrite: bool) -> None:
    """Write the random and the sequence splits of the training part.

    Args:
        out (Path): Folder of the splits.
        stems (list[str]): N stems.
        presence (np.ndarray): bool ``(N, K)``.
        **overwrite (bool): Replace other lists, see :func:`write_random_split`.
    """
    for fraction in FRACTIONS:
        for seed in SEEDS:
            write_random_split(str(out), stems, presence, fraction, seed, CLASSES, **overwrite)
    for prefix in SEQUENCES:
        write_sequence_split(str(out), stems, presence, [prefix], CLASSES, **overwrite)


def meta_of(args: argparse.Namespace, counts: Dict[str, int]) -> Dict[str, Any]:
    """Description of the converted data set.

    Args:
        args (argparse.Namespace): Arguments of the tool.
        counts (dict[str, int]): Images of each part.

    Returns:
        dict: Content of ``meta.json``.
    """
    return dict(
        name='camvid',
        classes=list(CLASSES),
        palette=CamVidDataset.METAINFO['palette'],
        num_classes=len(CLASSES),
        ignore_index=IGNORE_INDEX,
        reduce_zero_label=False,
        img_suffix=args.img_suffix,
        seg_map_suffix='.png',
        scale=args.scale,
        conversion=f'id {VOID_ID} (void) became {IGNORE_INDEX}; parts kept',
        counts=counts,
    )


def convert(args: argparse.Namespace) -> None:
    """Convert all parts, then write the splits and ``meta.json``.

    Args:
        args (argparse.Namespace): Arguments of the tool.
    """
    counts = {}
    for part in PARTS:
        stems, presence = convert_part(args, part)
        counts[part] = len(stems)
        print(f'{part}: {len(stems)} images')
        if part == 'train':
            write_splits(args.out / 'splits', stems, presence, **given(args, ('overwrite',)))
    text = json.dumps(meta_of(args, counts), indent=1) + '\n'
    (args.out / 'meta.json').write_text(text, encoding='utf-8')


def main() -> None:
    convert(parse_args())


if __name__ == '__main__':
    run(main)
