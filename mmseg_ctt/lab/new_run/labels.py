# Copyright (c) mmseg_ctt contributors.
"""What the values of masks mean: ids, grey values or colours; classes and their names."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Dict, Iterable, List, Mapping, Optional, Sequence

from ...datasets.colour_conversion import classes_of
from ...datasets.colour_masks import (
    BLACK,
    IGNORE,
    LOSSY,
    WHITE,
    ColourMask,
    as_text,
    check_palette,
    made_up_names,
    parse_colour,
    unpack,
)
from .class_names import META, ClassNames
from .main_colours import main_colours
from .mask_files import GREY, SINGLE, MaskFile, summed

BACKGROUND = 0.25  # ratio of black pixels from which black is a class
SHOWN = 20  # values in a line


@dataclass
class Labels:
    """Meaning of the pixels of masks.

    Attributes:
        kind (str): In words, such as ``'class ids'``.
        by (str): ``'value'`` or ``'colour'``: what ``source`` holds.
        source (list[int]): Value or colour of each class; all others are ignored.
        names (list[str]): Name of each class.
        palette (list[list[int]]): Colour of each class for pictures; empty where none is known.
        convert (bool): Whether masks of ids have to be written.
        notes (list[str]): Lines for the user.
        guesses (list[str]): Those of them in which the meaning of a value is guessed.
        unnamed (bool): Whether the names are made up.
    """

    kind: str
    by: str
    source: List[int]
    names: List[str] = field(default_factory=list)
    palette: List[List[int]] = field(default_factory=list)
    convert: bool = False
    notes: List[str] = field(default_factory=list)
    guesses: List[str] = field(default_factory=list)
    unnamed: bool = False

    def pixels(self, mask: MaskFile) -> List[int]:
        """Pixels of each class of a mask."""
        counts = mask.values if self.by == 'value' else mask.colours
        return [counts.get(value, 0) for value in self.source]


def labels_of(
    masks: Sequence[MaskFile],
    known: ClassNames,
    palette: Optional[Sequence[str]] = None,
    ignore: Sequence[str] = (),
) -> Labels:
    """Find out what the values of masks mean.

    Args:
        masks (Sequence[MaskFile]): All masks, at least one.
        known (ClassNames): Names and colours that the user or the folder gives.
        palette (Sequence[str], optional): Colour or grey value of each class, as for
            ``colour_masks.py``. Defaults to None: found.
        ignore (Sequence[str]): Colours or values of pixels without a label.

    Raises:
        ValueError: If it cannot be found out, naming the option that settles it.
    """
    left_out = {parse_colour(text) for text in ignore}
    if not any(mask.colours or mask.values for mask in masks):
        raise ValueError(f'no pixel of the masks has data{"; ".join(["", *_no_data(masks)])}')
    single = all(mask.mode in SINGLE for mask in masks)
    if palette or (known.palette and not single):
        labels = _by_palette(masks, known, palette)
    elif single and _consistent(masks):
        labels = _by_value(masks, known, left_out)
    else:
        labels = _by_colour(masks, known, left_out)
    if left_out:
        _check_left_out(masks, labels, left_out)
        _leave_out(labels, left_out)
    if known.names and len(known.names) != len(labels.source):
        raise ValueError(
            f'{known.origin} names {len(known.names)} classes, but masks hold {len(labels.source)} '
            f'({labels.kind}: {_values(labels)}): correct the names, or say with --ignore which '
            f'values are no label{_earlier(known, left_out)}'
        )
    labels.notes += _no_data(masks)
    labels.names, labels.unnamed = list(known.names) or labels.names, not known.names
    if len(labels.names) < 2:
        raise ValueError(
            f'masks hold one class only ({labels.kind}: {_values(labels)}), from which nothing can '
            'be learnt: label what is not this class too, or name the values of the classes with '
            '--palette'
        )
    return labels


def _no_data(masks: Sequence[MaskFile]) -> List[str]:
    """Lines about values of masks that are no label because the files say so."""
    found: Dict[float, List[str]] = {}
    for mask in masks:
        if mask.no_data is not None and 0 <= mask.no_data < IGNORE:
            found.setdefault(mask.no_data, []).append(mask.name)
    return [
        f'{value:g} is the nodata value of {len(names)} masks, such as {names[0]}, and no label '
        f'there: where it is a class, take the value off (rio edit-info --unset-nodata {names[0]})'
        for value, names in found.items()
    ]


def _earlier(known: ClassNames, left_out: set) -> str:
    """What to do where an earlier call without ``--ignore`` may have written the names."""
    if not left_out or Path(known.origin).name != META:
        return ''
    return (
        f'. If an earlier call wrote {META}: remove it, and runs, splits/mine and the masks of ids '
        'if they are of that call, to begin anew'
    )


def _values(labels: Labels) -> str:
    return _listed(labels.source, str if labels.by == 'value' else as_text)


def _listed(values: Iterable[int], text_of: Callable[[int], str] = as_text) -> str:
    """The first values, and dots where there are more."""
    texts = list(map(text_of, values))
    return ' '.join([*texts[:SHOWN], *(['...'] if len(texts) > SHOWN else [])])


def _consistent(masks: Sequence[MaskFile]) -> bool:
    """Whether a value has the same colour in all palette images."""
    entries: Dict[int, int] = {}
    return all(
        entries.setdefault(value, colour) == colour
        for mask in masks
        for value, colour in mask.entries.items()
    )


def _by_value(masks: Sequence[MaskFile], known: ClassNames, left_out: set) -> Labels:
    """Masks of one channel."""
    values = summed([mask.values for mask in masks])
    ids = sorted(set(values) - {IGNORE})
    entries = {v: colour for mask in masks for v, colour in mask.entries.items()}
    count = len(known.names)
    if max(values) > IGNORE or min(values) < 0:
        raise ValueError(
            f'masks hold values such as {max(values)}: ids are 0 to 254, and 255 is no label; '
            'write masks of 8 bit'
        )
    if set(values) == {0, IGNORE} and count != 1 and IGNORE * GREY not in left_out:
        names = ['background', 'object']
        note = 'masks hold 0 and 255: 255 is taken as the object (--ignore 255: as no label)'
        black_white = [unpack(BLACK), unpack(WHITE)]
        labels = Labels('values 0 and 255', 'value', [0, IGNORE], names, black_white, True)
        labels.notes, labels.guesses = [note], [note]
        return labels
    if _lossy(masks) or not _like_ids(ids, count):
        colours = _by_palette(masks, known, None) if known.palette else None
        return colours or _by_colour(masks, known, left_out)
    number = max(count, max(ids) + 1)
    names = [f'class {k}' for k in range(number)]
    labels = Labels('class ids', 'value', list(range(number)), names)
    labels.convert = any(mask.mode in ('1', 'F') for mask in masks)
    if entries:
        labels.kind = 'palette images whose indices are class ids'
        labels.palette = [unpack(entries.get(k, 0)) for k in range(number)]
    if 0 not in ids and 0 not in left_out and number > 1 and count in (0, max(ids)):
        labels = Labels('ids from 1', 'value', list(range(1, max(ids) + 1)), names[1:])
        labels.convert = True
        labels.notes = ['ids count from 1 and are written anew from 0']
    return labels


def _lossy(masks: Sequence[MaskFile]) -> bool:
    return any(mask.name.lower().endswith(LOSSY) for mask in masks)


def _like_ids(ids: Sequence[int], count: int) -> bool:
    """Whether values are ids: small numbers, with few gaps."""
    return bool(ids) and max(ids) < max(count + 1, 2 * len(ids) + 8)


def _colour_masks(masks: Sequence[MaskFile]) -> List[ColourMask]:
    return [ColourMask(mask.name, 'RGB', mask.colours) for mask in masks]


def _by_palette(
    masks: Sequence[MaskFile], known: ClassNames, palette: Optional[Sequence[str]]
) -> Labels:
    if palette:
        source = check_palette([parse_colour(text) for text in palette], '--palette')
    else:
        source = list(known.palette)
    colours = summed([mask.colours for mask in masks])
    if not set(source) & set(colours):
        raise ValueError(
            f'no pixel has a colour of {"--palette" if palette else known.origin}; the masks hold '
            + '; '.join([_listed(colours), *_no_data(masks)])
        )
    return _coloured(source, made_up_names(source, (mask.mode for mask in masks)), colours)


def _by_colour(masks: Sequence[MaskFile], known: ClassNames, left_out: set) -> Labels:
    """Masks of colours, or of grey values that are no ids."""
    colours = summed([mask.colours for mask in masks])
    pixels = sum(colours.values())
    notes: List[str] = []
    guesses: List[str] = []
    main, smooth = main_colours(colours, _lossy(masks))
    if known.names and len(main if smooth else colours) > 2 and not known.palette:
        raise ValueError(
            f'{known.origin} names classes and no colours, and the masks hold the colours '
            f'{_listed(colours)}: give the colour of each class with --palette, in the order of '
            'the names'
        )
    source = main if smooth else classes_of(_colour_masks(masks), None, None).palette
    if smooth:
        rest = 1 - sum(colours[c] for c in main) / pixels
        notes.append(
            f'masks hold {len(colours)} colours, of smooth edges or JPEG: '
            f'{_listed(main)} are classes, {rest:.1%} of the pixels are '
            'ignored (--palette names the classes)'
        )
        source = [c for c in main if c != BLACK]
    black = 0 if BLACK in left_out else colours.get(BLACK, 0) / pixels
    if black and (black >= BACKGROUND or len(source) < 2):
        source = [BLACK, *(c for c in source if c != BLACK)]
        guesses.append(
            f'black (0), {black:.0%} of the pixels, is taken as the class background (--ignore 0: '
            'as no label)'
        )
    elif black and BLACK not in source:
        guesses.append(
            f'black (0), {black:.1%} of the pixels, is taken as no label (--palette with 0 in it '
            'makes it a class)'
        )
    if black:
        source = sorted(source, key=lambda c: c != BLACK)
    names = made_up_names(source, (mask.mode for mask in masks))
    names = ['background' if c == BLACK else name for c, name in zip(source, names)]
    if len(source) == 2 and source[0] == BLACK:
        names = ['background', 'object']
    labels = _coloured(source, names, colours)
    labels.notes, labels.guesses = [*notes, *guesses, *labels.notes], guesses
    return labels


def _coloured(source: List[int], names: List[str], colours: Mapping[int, int]) -> Labels:
    rest = sum(n for c, n in colours.items() if c not in source and c != BLACK)
    grey = all(len(set(unpack(colour))) == 1 for colour in source)
    labels = Labels('grey values' if grey else 'colours', 'colour', source, names, convert=True)
    labels.palette = [unpack(colour) for colour in source]
    if rest:
        labels.notes.append(
            f'{rest / sum(colours.values()):.2%} of the pixels have a colour of no class and are '
            'ignored'
        )
    return labels


def _check_left_out(masks: Sequence[MaskFile], labels: Labels, left_out: set) -> None:
    """Every value of ``--ignore`` is a class, or in a mask; 255 is no class of ids anyway."""
    by_value = labels.by == 'value'
    pixels = summed([mask.values if by_value else mask.colours for mask in masks])
    scale = GREY if by_value else 1
    known = {value * scale for value in (*pixels, *labels.source)}
    unknown = sorted(left_out - known - ({IGNORE * GREY} if by_value else set()))
    if unknown:
        shown = _listed(value * scale for value in pixels)
        raise ValueError(
            f'--ignore {" ".join(map(as_text, unknown))}: no mask has it; the masks hold {shown} '
            f'({labels.kind}): correct it, or leave it out'
        )


def _leave_out(labels: Labels, left_out: set) -> None:
    """Take values out of the classes."""
    colours = [v * GREY for v in labels.source] if labels.by == 'value' else labels.source
    kept = [k for k, colour in enumerate(colours) if colour not in left_out]
    if len(kept) == len(colours):
        return
    if not kept:
        raise ValueError('--ignore names all values of the masks: nothing would be labelled')
    labels.source = [labels.source[k] for k in kept]
    labels.names = [labels.names[k] for k in kept]
    labels.palette = [labels.palette[k] for k in kept] if labels.palette else []
    labels.convert = True
