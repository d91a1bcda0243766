# Copyright (c) mmseg_ctt contributors.
"""Convert CamVid from its public SegNet-style folder.

The source folder holds ``train``, ``val`` and ``test`` with 8-bit images and
``trainannot``, ``valannot`` and ``testannot`` with masks of the same names
(ids 0 to 10, and 11 for void)::

    python tools/dataset_converters/camvid.py CamVid data/camvid

All masks are checked before the first file is written.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _common import FLAG, answer_help, described, errors_in_one_line, given, run  # noqa: E402

SUFFIXES = ('.jpg', '.png')


def parse_args() -> argparse.Namespace:
    """Parse the command line.

    Returns:
        argparse.Namespace: The arguments.
    """
    parser = described('Convert CamVid.')
    parser.add_argument('source', type=Path, help='folder with train, trainannot, val, ...')
    parser.add_argument('out', type=Path, help='such as data/camvid')
    parser.add_argument(
        '--img-suffix', choices=SUFFIXES, default='.jpg', help='.jpg has quality 95'
    )
    parser.add_argument(
        '--scale', type=int, nargs=2, metavar=('H', 'W'), help='resize to this height and width'
    )
    parser.add_argument('--overwrite', **FLAG, help='replace images, masks and lists in OUT')
    return parser.parse_args()


answer_help(parse_args)

with errors_in_one_line():
    import numpy as np
    from PIL import Image

    from mmseg_ctt.datasets.camvid import CamVidDataset
    from mmseg_ctt.datasets.image_files import find_files
    from mmseg_ctt.datasets.image_values import read_picture
    from mmseg_ctt.datasets.label_check import check_ids, check_size, image_size, read_mask
    from mmseg_ctt.datasets.splits import random_split, sequence_split, write_drawn

Pairs = Dict[str, Tuple[Path, Path]]
PARTS = ('train', 'val', 'test')
IMAGES, MASKS, META = 'img_dir', 'ann_dir', 'meta.json'
CLASSES = tuple(str(name) for name in CamVidDataset.METAINFO['classes'])
VOID_ID = len(CLASSES)  # 11 in the source folder
IGNORE_INDEX = 255
FRACTIONS = ('1/16', '1/8', '1/4', '1/2')
SEEDS = (0, 1, 2)
# Video sequences of the training part whose images are the labelled ones of a split.
SEQUENCES = ('0006R0', '0001TP')


def find_pairs(source: Path, part: str) -> Pairs:
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


def check_out(out: Path) -> None:
    """Raise if there are images, masks or ``meta.json`` of an earlier conversion.

    Args:
        out (Path): Folder of the data set.
    """
    for name in (IMAGES, MASKS, META):
        if (out / name).exists():
            raise ValueError(f'{out / name} exists: give another folder, or --overwrite')


def resized(picture: Image.Image, args: argparse.Namespace, resample: int) -> Image.Image:
    """Image or mask of the size of ``--scale``.

    Args:
        picture (Image.Image): As in the source folder.
        args (argparse.Namespace): Arguments of the tool.
        resample (int): How, of Pillow.
    """
    return picture.resize((args.scale[1], args.scale[0]), resample) if args.scale else picture


def read_masks(args: argparse.Namespace, pairs: Pairs) -> Iterator[Image.Image]:
    """Converted masks.

    Args:
        args (argparse.Namespace): Arguments of the tool.
        pairs (dict[str, tuple[Path, Path]]): Of :func:`find_pairs`.
    """
    for image_path, mask_path in pairs.values():
        mask = Image.fromarray(convert_mask(mask_path, image_path))
        yield resized(mask, args, Image.Resampling.NEAREST)


def presence_of(args: argparse.Namespace, pairs: Pairs) -> np.ndarray:
    """Check all masks of a part.

    Args:
        args (argparse.Namespace): Arguments of the tool.
        pairs (dict[str, tuple[Path, Path]]): N images, of :func:`find_pairs`.

    Returns:
        np.ndarray: bool ``(N, K)``, presence of the classes in each image.
    """
    presence = np.zeros((len(pairs), len(CLASSES)), dtype=bool)
    for row, mask in enumerate(read_masks(args, pairs)):
        ids = np.unique(np.asarray(mask))
        presence[row, ids[ids < len(CLASSES)]] = True
    return presence


def write_part(args: argparse.Namespace, part: str, pairs: Pairs) -> None:
    """Write the images and masks of a part.

    Args:
        args (argparse.Namespace): Arguments of the tool.
        part (str): ``'train'``, ``'val'`` or ``'test'``.
        pairs (dict[str, tuple[Path, Path]]): Of :func:`find_pairs`.
    """
    img_dir, ann_dir = args.out / IMAGES / part, args.out / MASKS / part
    for folder in (img_dir, ann_dir):
        folder.mkdir(parents=True, exist_ok=True)
    for (stem, (image_path, _)), mask in zip(pairs.items(), read_masks(args, pairs)):
        image = resized(
            Image.fromarray(read_picture(str(image_path))), args, Image.Resampling.BILINEAR
        )
        for suffix in SUFFIXES:  # one of an earlier conversion would be a second image
            (img_dir / f'{stem}{suffix}').unlink(missing_ok=True)
        image.save(img_dir / f'{stem}{args.img_suffix}', quality=95)
        mask.save(ann_dir / f'{stem}.png')
    print(f'{part}: {len(pairs)} images')


def write_splits(out: Path, stems: List[str], presence: np.ndarray, **overwrite: bool) -> None:
    """Write the random and the sequence splits of the training part.

    Args:
        out (Path): Folder of the splits.
        stems (list[str]): N stems.
        presence (np.ndarray): bool ``(N, K)``.
        **overwrite (bool): Replace other lists, see :func:`write_drawn`.
    """
    source = str(out), stems, presence
    splits = [random_split(*source, size, seed, CLASSES) for size in FRACTIONS for seed in SEEDS]
    splits += [sequence_split(*source, [prefix], CLASSES) for prefix in SEQUENCES]
    write_drawn(splits, **overwrite)


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
    """Check all files, then write the splits, all parts and ``meta.json``.

    Args:
        args (argparse.Namespace): Arguments of the tool.
    """
    if not args.overwrite:
        check_out(args.out)
    pairs = {part: find_pairs(args.source, part) for part in PARTS}
    presence = {part: presence_of(args, found) for part, found in pairs.items()}
    (args.out / META).unlink(missing_ok=True)
    stems = list(pairs['train'])
    write_splits(args.out / 'splits', stems, presence['train'], **given(args, ('overwrite',)))
    for part, found in pairs.items():
        write_part(args, part, found)
    counts = {part: len(found) for part, found in pairs.items()}
    text = json.dumps(meta_of(args, counts), indent=1) + '\n'
    (args.out / META).write_text(text, encoding='utf-8')


def main() -> None:
    convert(parse_args())


if __name__ == '__main__':
    run(main)
