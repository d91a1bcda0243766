# Copyright (c) mmseg_ctt contributors.
"""Address of a slice: a string that stands where the path of an image file stands.

``images/06SR5RBR.nii.gz#z=041`` is slice 41 along z. Further fields say what the pixels are:
``#z=041;context=3;window=-100:400``. So every tool that takes the path of an image takes a slice,
and its pixels are the same everywhere. ``case.h5:image#z=041`` names an array of a file of several.
"""

import os.path as osp
import re
from dataclasses import dataclass
from typing import Optional, Tuple

# Longest first, so that .nii.gz is removed whole
VOLUME_SUFFIXES = ('.nii.gz', '.nii', '.npy', '.npz', '.hdf5', '.h5')
KEYED_SUFFIXES = ('.npz', '.hdf5', '.h5')  # formats that hold arrays by name
Pair = Tuple[float, float]
_ADDRESS = re.compile(r'(?P<volume>.+)#(?P<plane>[xyz])=(?P<index>\d+)(?P<rest>(;\w+=[^;#]+)*)$')
_KEYED = re.compile(rf'(.*(?:{"|".join(map(re.escape, KEYED_SUFFIXES))})):([^:]+)$', re.IGNORECASE)


@dataclass(frozen=True)
class SliceAddress:
    """What a slice is; ``str`` writes it and :func:`parse_address` reads it.

    Attributes:
        volume (str): Path of the file, with ``:key`` for an array of a file of several.
        plane (str): ``'x'``, ``'y'`` or ``'z'``.
        index (int): From 0.
        context (int): Neighbouring slices that are the channels of the image, 1 or 3.
        window (tuple[float, float] | None): Values that become 0 and 255.
        percentiles (tuple[float, float] | None): Percentiles of the volume that become 0 and 255.
    """

    volume: str
    plane: str
    index: int
    context: int = 1
    window: Optional[Pair] = None
    percentiles: Optional[Pair] = None

    def __str__(self) -> str:
        fields = [f'{self.plane}={self.index:03d}']
        if self.context != 1:
            fields.append(f'context={self.context}')
        for name in ('window', 'percentiles'):
            pair = getattr(self, name)
            if pair is not None:
                fields.append(f'{name}={pair[0]!r}:{pair[1]!r}')
        return f'{self.volume}#{";".join(fields)}'


def is_address(path: str) -> bool:
    """Whether a path is the address of a slice."""
    return _ADDRESS.match(str(path)) is not None


def parse_address(path: str) -> Optional[SliceAddress]:
    """Address of a slice; None for the path of an image file.

    Args:
        path (str): As ``str`` of a :class:`SliceAddress` writes it.

    Raises:
        ValueError: If it has a field that is not known.
    """
    found = _ADDRESS.match(str(path))
    if found is None:
        return None
    fields = dict(field.split('=', 1) for field in found['rest'].split(';') if field)
    try:
        context = int(fields.pop('context', 1))
        pairs = {
            name: _pair(fields.pop(name)) for name in ('window', 'percentiles') if name in fields
        }
        if fields:
            raise ValueError
    except ValueError:
        raise ValueError(
            f'{path} is no address of a slice: it looks like '
            'volume.nii.gz#z=041;context=3;window=-100:400'
        ) from None
    return SliceAddress(found['volume'], found['plane'], int(found['index']), context, **pairs)


def _pair(text: str) -> Pair:
    low, high = (float(number) for number in text.split(':'))
    return low, high


def split_key(volume: str) -> Tuple[str, Optional[str]]:
    """Path of the file of a volume, and the name of its array where one is given.

    Args:
        volume (str): Such as ``case.h5:image``.
    """
    found = _KEYED.match(str(volume))
    return (found[1], found[2]) if found else (str(volume), None)


def file_of(path: str) -> str:
    """Path of the file that holds an image: of the volume for the address of a slice.

    Args:
        path (str): Path of an image, or address of a slice.
    """
    address = parse_address(path)
    return str(path) if address is None else split_key(address.volume)[0]


def real_address(path: str) -> str:
    """The path without links, so that two names of one image or slice are equal.

    Args:
        path (str): Path of an image, or address of a slice; its context and values do not count.
    """
    address = parse_address(path)
    if address is None:
        return osp.realpath(path)
    file, key = split_key(address.volume)
    volume = osp.realpath(file) + (f':{key}' if key else '')
    return str(SliceAddress(volume, address.plane, address.index))


def volume_stem(path: str) -> str:
    """Name of a volume without its folder, suffix and array: ``06SR5RBR`` of ``a/06SR5RBR.nii.gz``.

    Args:
        path (str): Of a volume.
    """
    return osp.basename(without_volume_suffix(path))


def without_volume_suffix(path: str, suffix: Optional[str] = None) -> str:
    """Path of a volume without its suffix and array; others are kept.

    Args:
        path (str): Of a volume.
        suffix (str, optional): End that is removed where the path has it, such as
            ``'_0000.nii.gz'``. Defaults to None.
    """
    file, _ = split_key(path)
    ends = (suffix.lower(), *VOLUME_SUFFIXES) if suffix else VOLUME_SUFFIXES
    ending = next((end for end in ends if file.lower().endswith(end)), '')
    return file[: len(file) - len(ending)]


def image_name(path: str) -> str:
    """Path of an image with its suffix, for names of files: ``a/b.nii.gz_z041`` of a slice.

    Args:
        path (str): Path of an image, or address of a slice.
    """
    address = parse_address(path)
    if address is None:
        return str(path)
    file, key = split_key(address.volume)
    return f'{file}{"_" + key.replace("/", "_") if key else ""}_{address.plane}{address.index:03d}'


def image_stem(path: str) -> str:
    """Path of an image without suffix, for names of files: ``a/06SR5RBR_z041`` of a slice.

    Args:
        path (str): Path of an image, or address of a slice.
    """
    address = parse_address(path)
    if address is None:
        return osp.splitext(path)[0]
    return f'{without_volume_suffix(address.volume)}_{address.plane}{address.index:03d}'
