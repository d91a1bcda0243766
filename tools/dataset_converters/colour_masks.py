# Copyright (c) mmseg_ctt contributors.
"""Convert masks of colours or grey values to masks of class ids.

    python tools/dataset_converters/colour_masks.py MASKS OUT [--palette COLOUR ...]

MASKS is a folder of images with one colour a class; OUT gets PNG masks of ids with the same names
and sub-folders. Colour k of the palette is class k. The palette is, in this order:

- --palette 128,64,128 0,0,142 (or grey values, --palette 0 255 for binary masks)
- "palette" of a meta.json in MASKS, next to it or next to OUT
- the colours found, most frequent first; a meta.json with them is written next to OUT, for you to
  name the classes

Black, unless the palette has it, and all other colours become 255, which is ignored in training;
their pixels are counted. Neither MASKS nor, without --overwrite, a file in OUT is changed.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import List, NamedTuple, Optional

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _common import described, errors_in_one_line, run  # noqa: E402

with errors_in_one_line():
    from mmseg_ctt.datasets import colour_masks as colours
    from mmseg_ctt.datasets.folder import read_meta
    from mmseg_ctt.datasets.image_files import IMAGE_SUFFIXES, find_files

SHOWN = 5  # masks and colours named in a line


class Classes(NamedTuple):
    """Palette, class names, and where they come from."""

    palette: List[int]
    names: List[str]
    origin: str


def parse_args() -> argparse.Namespace:
    parser = described(__doc__)
    parser.add_argument('masks', metavar='MASKS', help='folder of the colour masks')
    parser.add_argument('out', metavar='OUT', help='folder of the masks of ids')
    parser.add_argument(
        '--palette',
        nargs='+',
        metavar='COLOUR',
        help='colour of each class: red,green,blue or grey',
    )
    parser.add_argument('--meta', help='file that is read as meta.json')
    parser.add_argument(
        '--suffix',
        help='end of the names of masks, such as _GT.png, which is left out in OUT; default: any '
        'image',
    )
    parser.add_argument('--overwrite', action='store_true', help='replace masks in OUT')
    return parser.parse_args()


def meta_file(args: argparse.Namespace) -> Optional[Path]:
    """The ``meta.json`` of the data set, None without one."""
    if args.meta:
        return Path(args.meta)
    masks, out = Path(args.masks), Path(args.out)
    files = (
        folder / 'meta.json' for folder in (masks, masks.resolve().parent, out.resolve().parent)
    )
    return next((path for path in files if path.is_file()), None)


def classes_of(args: argparse.Namespace, masks: List[colours.ColourMask]) -> Classes:
    """Palette and names of the classes.

    Raises:
        ValueError: If a meta.json names classes and no colour is known for them.
    """
    path = meta_file(args)
    meta = read_meta(path) if path else {}
    names = list(meta.get('classes', []))
    if args.palette:
        given = [colours.parse_colour(text) for text in args.palette]
        palette, origin = colours.check_palette(given, '--palette'), 'palette of --palette'
    else:
        palette, origin = colours.palette_of(meta, str(path)), f'palette of {path}'
    if not palette:
        palette, origin = colours.found_palette(masks), 'palette of the colours found'
        if names and not set(palette) == {colours.BLACK, colours.WHITE}:
            raise ValueError(
                f'{path} has no "palette", so the class of a colour is not known. Colours found, '
                f'most frequent first: {_shown(palette)}. Add "palette" to it, or give --palette'
            )
    if names and len(names) != len(palette):
        raise ValueError(f'{path} names {len(names)} classes, the {origin} has {len(palette)}')
    return Classes(
        palette, names or [f'colour {colours.as_text(colour)}' for colour in palette], origin
    )


def _shown(palette: List[int]) -> str:
    more = f' and {len(palette) - SHOWN * 4} more' if len(palette) > SHOWN * 4 else ''
    return ' '.join(map(colours.as_text, palette[: SHOWN * 4])) + more


def write_meta(args: argparse.Namespace, classes: Classes) -> str:
    """Write a ``meta.json`` where the data set has none; the line about it."""
    if meta_file(args):
        return ''
    path = Path(args.out).resolve().parent / 'meta.json'
    meta = dict(classes=classes.names, palette=[colours.unpack(c) for c in classes.palette])
    path.write_text(json.dumps(meta) + '\n')
    return f'{path}: written; give the classes their names there'


def report(masks: List[colours.ColourMask], classes: Classes) -> List[str]:
    """Lines about the pixels of each class, and of none."""
    pixels = colours.total(masks)
    whole = sum(pixels.values())
    known = [
        f'{k} {name} {pixels.get(colour, 0) / whole:.1%}'
        for k, (colour, name) in enumerate(zip(classes.palette, classes.names))
    ]
    others = {c: n for c, n in pixels.items() if c not in classes.palette and c != colours.BLACK}
    black = 0 if colours.BLACK in classes.palette else pixels.get(colours.BLACK, 0)
    lines = [
        f'classes: {", ".join(known)}',
        f'ignored (255): black {black / whole:.1%}, other {sum(others.values()) / whole:.2%}',
    ]
    if others:
        counts = {mask.name: sum(mask.pixels.get(c, 0) for c in others) for mask in masks}
        worst = sorted(filter(counts.get, counts), key=lambda name: -counts[name])
        files = ', '.join(f'{name} {counts[name]}' for name in worst[:SHOWN])
        lines.append(
            f'warning: {len(others)} colours are no class, such as {_shown(list(others)[:SHOWN])}; '
            f'pixels in {len(worst)} masks: {files}' + (' ...' if len(worst) > SHOWN else '')
        )
    return lines


def main() -> None:
    args = parse_args()
    colours.check_apart(args.masks, args.out)
    suffixes = [args.suffix] if args.suffix else IMAGE_SUFFIXES
    masks = colours.count_colours(args.masks, suffixes)
    classes = classes_of(args, masks)
    if not set(colours.total(masks)) & set(classes.palette):
        raise ValueError(
            f'no pixel of {args.masks} has a colour of the {classes.origin}. Colours found, most '
            f'frequent first: {_shown(list(colours.total(masks)))}'
        )
    targets = {name: f'{stem}.png' for stem, name in find_files(args.masks, suffixes).items()}
    colours.write_ids(args.masks, args.out, targets, classes.palette, args.overwrite)
    print(f'{args.out}: {len(masks)} masks of class ids, {classes.origin}')
    print(*filter(None, [*report(masks, classes), write_meta(args, classes)]), sep='\n')


if __name__ == '__main__':
    run(main)
