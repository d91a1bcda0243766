# Copyright (c) mmseg_ctt contributors.
"""Write the image-level labels (tags) of images as JSON, or compare a file of tags with masks.

    python tools/weak/make_tags.py masks MASKS --out TAGS.json [--min-pixels 50]
    python tools/weak/make_tags.py folders IMAGES --out TAGS.json
    python tools/weak/make_tags.py compare MASKS TAGS.json [--min-pixels 50]

MASKS holds PNG masks of class ids, with their classes in a meta.json in it or next to it. IMAGES
holds a folder for each class, IMAGES/cow/x.jpg; equal files of one name in several folders each get
the tags of all. The file is read by TaggedImageDataset(tags='TAGS.json'); a file that exists is
never changed. compare prints where tags and masks differ, and writes nothing.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _common import FLAG, described, given, run  # noqa: E402

SETTINGS = ('meta', 'suffix', 'min_pixels', 'ignore_index', 'reduce_zero_label')  # of masks


def parse_args() -> argparse.Namespace:
    parser = described(__doc__)
    kinds = parser.add_subparsers(dest='kind', required=True)
    masks = kinds.add_parser('masks', help='classes that masks show')
    folders = kinds.add_parser('folders', help='folders by class')
    compare = kinds.add_parser('compare', help='tags of a file beside masks')
    masks.add_argument('folder', metavar='MASKS', help='folder of masks')
    compare.add_argument('folder', metavar='MASKS', help='folder of masks')
    compare.add_argument('tags', metavar='TAGS', help='JSON or CSV file of tags')
    folders.add_argument('folder', metavar='IMAGES', help='folder of folders of images')
    for part in (masks, compare):
        part.add_argument(
            '--meta', help='JSON file with the classes; default: meta.json, see above'
        )
        part.add_argument('--min-pixels', type=int, help='of a tag; default: 1')
        part.add_argument('--suffix', help='end of the names of masks; default: .png')
        part.add_argument('--ignore-index', type=int, help='default: 255')
        part.add_argument('--reduce-zero-label', **FLAG, help='id 0 is no class')
    for part in (masks, folders):
        part.add_argument('--out', required=True, metavar='JSON', help='file to write')
    return parser.parse_args()


def mask_tags(args: argparse.Namespace) -> dict:
    """Tags by stem, from masks."""
    from mmseg_ctt.datasets.tag_export import read_mask_tags

    return read_mask_tags(args.folder, **given(args, SETTINGS))


def write(args: argparse.Namespace) -> str:
    """Write a file of tags; a line for each class."""
    from mmseg_ctt.datasets.tag_export import read_folder_tags, write_tags

    if Path(args.out).exists():  # before minutes of reading
        raise ValueError(f'{args.out} exists, and is not changed: name another file')
    tags = mask_tags(args) if args.kind == 'masks' else read_folder_tags(args.folder)
    write_tags(args.out, tags)
    counts: dict = {}
    for found in tags.values():
        for name in found or ('(no tag)',):
            counts[name] = counts.get(name, 0) + 1
    lines = [f'{name}: {number} images' for name, number in sorted(counts.items())]
    return '\n'.join([*lines, f'{len(tags)} images: {args.out}'])


def table(args: argparse.Namespace) -> str:
    """Table of the comparison, and examples."""
    from mmseg_ctt.datasets.split_masks import known_classes
    from mmseg_ctt.datasets.tag_checks import disagreement
    from mmseg_ctt.datasets.tag_export import compare

    masks = mask_tags(args)
    found = compare(args.tags, masks, known_classes(args.folder, args.meta) or ())
    lines = ['| class | both | tag alone | mask alone |', '| --- | --- | --- | --- |']
    for k, name in enumerate(found.classes):
        tags, shown = found.tags[:, k], found.shown[:, k]
        counts = ((tags & shown).sum(), (tags & ~shown).sum(), (shown & ~tags).sum())
        if sum(counts):
            lines.append(f'| {name} | {" | ".join(map(str, counts))} |')
    last = disagreement(found.stems, found.tags, found.shown, found.classes)
    same = f'tags and masks of all {len(found.stems)} images agree'
    return '\n'.join([*lines, '', last or same])


def main() -> None:
    args = parse_args()
    import mmseg_ctt  # noqa: F401

    print(table(args) if args.kind == 'compare' else write(args))


if __name__ == '__main__':
    run(main)
