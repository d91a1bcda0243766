# Copyright (c) mmseg_ctt contributors.
"""Conversion of a folder of colour masks: palette, class names, and counts of what is ignored."""

import json
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence

from .alpha_masks import WITH_ALPHA, alpha_lines
from .colour_masks import (
    BLACK,
    WHITE,
    ColourMask,
    as_text,
    check_apart,
    check_palette,
    count_colours,
    found_palette,
    made_up_names,
    palette_of,
    parse_colour,
    total,
    unpack,
    write_ids,
)
from .folder import read_meta
from .image_files import IMAGE_SUFFIXES, find_files
from .lists import PathLike

FILES_SHOWN, COLOURS_SHOWN = 5, 20  # named in a line


class Classes(NamedTuple):
    """Palette and names of the classes.

    Attributes:
        palette (list[int]): Colour of each class.
        names (list[str]): Name of each class.
        origin (str): Where the palette comes from, for messages.
    """

    palette: List[int]
    names: List[str]
    origin: str


LEVELS = 3  # folders above the masks in which a meta.json is looked for


def convert(
    source: PathLike,
    out: PathLike,
    palette: Optional[Sequence[str]] = None,
    meta: Optional[PathLike] = None,
    suffix: Optional[str] = None,
    overwrite: bool = False,
) -> List[str]:
    """Convert colour masks to PNG masks of class ids, with the same names and sub-folders.

    All masks are read before one is written. A ``meta.json`` is written next to ``out`` where the
    data set has none.

    Args:
        source (str | Path): Folder of the colour masks.
        out (str | Path): Folder of the masks of ids, beside ``source``.
        palette (Sequence[str], optional): Colour of each class, ``128,64,128`` or a grey value.
            Defaults to None: that of the ``meta.json``, else the colours found.
        meta (str | Path, optional): File that is read as ``meta.json``. Defaults to None: the one
            in ``source``, or the nearest in the folders above it and above ``out``, up to three
            levels: masks of a validation folder have the ids of the data set.
        suffix (str, optional): End of the names of masks, left out in ``out``. Defaults to None:
            any image.
        overwrite (bool): Whether to replace masks in ``out``. Defaults to False.

    Returns:
        list[str]: What was done, in lines.

    Raises:
        FileNotFoundError: If a file or folder is missing, or there is no mask.
        ValueError: If the colours of the classes are not known or in no mask, a mask cannot be
            read, or a mask would be overwritten.
    """
    check_apart(source, out)
    suffixes = [suffix] if suffix else IMAGE_SUFFIXES
    masks = count_colours(source, suffixes)
    meta_file = _meta_file(source, out, meta)
    classes = classes_of(masks, palette, meta_file)
    pixels = total(masks)
    if not set(pixels) & set(classes.palette):
        raise ValueError(
            f'no pixel of {source} has a colour of the {classes.origin}. Colours found, most '
            f'frequent first: {_shown(list(pixels))}'
        )
    targets = {name: f'{stem}.png' for stem, name in find_files(source, suffixes).items()}
    write_ids(source, out, targets, classes.palette, overwrite)
    lines = [f'{out}: {len(masks)} masks of class ids, {classes.origin}', *report(masks, classes)]
    lines += alpha_lines(
        {mask.name: Path(source, mask.name) for mask in masks if mask.mode in WITH_ALPHA}
    )
    if meta_file is None:
        path = Path(out).resolve().parent / 'meta.json'
        made = dict(classes=classes.names, palette=[unpack(colour) for colour in classes.palette])
        path.write_text(json.dumps(made) + '\n', encoding='utf-8')
        lines.append(f'{path}: written; give the classes their names there')
    return lines


def _meta_file(source: PathLike, out: PathLike, given: Optional[PathLike]) -> Optional[Path]:
    """The ``meta.json`` of the data set, None without one."""
    if given:
        return Path(given)
    above = [*Path(source).resolve().parents[:LEVELS], *Path(out).resolve().parents[:LEVELS]]
    folders = [Path(source), *sorted(above, key=lambda folder: -len(folder.parts))]
    return next((path for path in (f / 'meta.json' for f in folders) if path.is_file()), None)


def classes_of(
    masks: Sequence[ColourMask], given: Optional[Sequence[str]], meta_file: Optional[Path]
) -> Classes:
    """Palette and names of the classes of masks.

    Args:
        masks (Sequence[ColourMask]): The masks.
        given (Sequence[str], optional): Colours of the user.
        meta_file (Path, optional): The ``meta.json``.

    Raises:
        FileNotFoundError: If ``meta_file`` does not exist.
        ValueError: If it names classes and no colour is known for them.
    """
    meta = read_meta(meta_file) if meta_file else {}
    names = list(meta.get('classes', []))
    if given:
        origin = 'palette of --palette'
        palette = check_palette([parse_colour(text) for text in given], '--palette')
    else:
        origin, palette = f'palette of {meta_file}', palette_of(meta, str(meta_file))
    if not palette:
        origin, palette = 'palette of the colours found', found_palette(masks)
        if names and palette != [BLACK, WHITE]:
            raise ValueError(
                f'{meta_file} has no "palette", so the class of a colour is not known. Colours '
                f'found, most frequent first: {_shown(palette)}. Add "palette" to it, or give '
                '--palette'
            )
    if names and len(names) != len(palette):
        raise ValueError(f'{meta_file} names {len(names)} classes, the {origin} has {len(palette)}')
    return Classes(palette, names or made_up_names(palette, (m.mode for m in masks)), origin)


def report(masks: Sequence[ColourMask], classes: Classes) -> List[str]:
    """Lines about the pixels of each class, and of none.

    Args:
        masks (Sequence[ColourMask]): The masks.
        classes (Classes): Their classes.
    """
    pixels = total(masks)
    whole = sum(pixels.values())
    known = [
        f'{k} {name} {pixels.get(colour, 0) / whole:.1%}'
        for k, (colour, name) in enumerate(zip(classes.palette, classes.names))
    ]
    others = {c: n for c, n in pixels.items() if c not in classes.palette and c != BLACK}
    black = 0 if BLACK in classes.palette else pixels.get(BLACK, 0)
    lines = [
        f'classes: {", ".join(known)}',
        f'ignored (255): black {black / whole:.1%}, other {sum(others.values()) / whole:.2%}',
    ]
    return [*lines, _unknown(masks, others)] if others else lines


def _unknown(masks: Sequence[ColourMask], others: Dict[int, int]) -> str:
    counts = {mask.name: sum(mask.pixels.get(colour, 0) for colour in others) for mask in masks}
    worst = sorted((name for name in counts if counts[name]), key=lambda name: -counts[name])
    files = ', '.join(f'{name} {counts[name]}' for name in worst[:FILES_SHOWN])
    return (
        f'warning: {len(others)} colours are no class, such as '
        f'{_shown(list(others)[:FILES_SHOWN])}; pixels in {len(worst)} masks: {files}'
        + (' ...' if len(worst) > FILES_SHOWN else '')
    )


def _shown(palette: Sequence[int]) -> str:
    left = len(palette) - COLOURS_SHOWN
    more = f' and {left} more' if left > 0 else ''
    return ' '.join(map(as_text, palette[:COLOURS_SHOWN])) + more
