# Copyright (c) mmseg_ctt contributors.
"""Formats of volumes: what the header of a file says, and a function that reads its array."""

import os.path as osp
import zipfile
from functools import partial
from typing import Any, Callable, Dict, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from .address import VOLUME_SUFFIXES, split_key
from .libraries import optional_library

UNITS = {1: 1e3, 2: 1.0, 3: 1e-3}  # mm by the code of NIfTI: metre, mm, micron


class UnreadableVolumeError(ValueError):
    """The file of a volume is damaged, or no volume."""


class Stored(NamedTuple):
    """Volume of a file, unread.

    Attributes:
        shape (tuple[int, ...]): As stored.
        load (Callable): Reads the array; memory-mapped where the format permits it.
        spacing (tuple[float, ...] | None): Size of a voxel along each axis, in mm.
        affine (np.ndarray | None): float64 ``(4, 4)``, in the unit of the file.
        header (Any): Header of nibabel, None for other formats.
        mapped (bool): Whether ``load`` gives a memory-mapped array.
        unit (float): mm of a unit of length in the file.
    """

    shape: Tuple[int, ...]
    load: Callable[[], np.ndarray]
    spacing: Optional[Tuple[float, ...]] = None
    affine: Optional[np.ndarray] = None
    header: Any = None
    mapped: bool = False
    unit: float = 1.0


def open_stored(path: str) -> Stored:
    """Read the header of a volume.

    Args:
        path (str): File with a suffix of ``VOLUME_SUFFIXES``, ``:key`` behind one of several
            arrays.

    Raises:
        FileNotFoundError: If there is no such file.
        UnreadableVolumeError: If it is damaged.
        ValueError: If its format is not known, it has no such array, or a library is missing.
    """
    file, key = split_key(path)
    if not osp.isfile(file):
        raise FileNotFoundError(f'the volume {file} does not exist')
    opener = next((found for end, found in OPENERS.items() if file.lower().endswith(end)), None)
    if opener is None:
        raise ValueError(
            f'the volume {file} has no suffix of {", ".join(VOLUME_SUFFIXES)}; DICOM series are '
            'converted by tools/dataset_converters/dicom.py'
        )
    try:
        return opener(file, key)
    except (ValueError, ModuleNotFoundError, MemoryError):
        raise
    except Exception as error:  # each format has errors of its own
        raise unreadable(path, error) from None


def unreadable(path: str, error: Exception) -> UnreadableVolumeError:
    """The error for a damaged file, in one line."""
    reason = ' '.join(str(error).split()) or type(error).__name__
    return UnreadableVolumeError(
        f'the volume {path} cannot be read ({reason}): copy the file again, or take it off its list'
    )


def nibabel() -> Any:
    """The library for NIfTI.

    Raises:
        ValueError: If it is not installed.
    """
    return optional_library('nibabel', 'NIfTI volumes', 'volumes')


def _nifti(file: str, key: Optional[str]) -> Stored:
    nib = nibabel()
    _check_spacing(nib, file)
    try:
        image = nib.load(file)
    except ValueError as error:
        raise unreadable(file, error) from None
    unit = UNITS.get(int(image.header['xyzt_units']) % 8, 1.0)
    return Stored(
        tuple(image.shape),
        partial(_nifti_array, image),
        tuple(_length(size, unit) for size in image.header.get_zooms()[:3]),
        np.asarray(image.affine, np.float64),
        image.header,
        mapped=file.lower().endswith('.nii') and _is_plain(image.dataobj),
        unit=unit,
    )


def _length(size: np.floating, unit: float) -> float:
    """Length in mm: 0.6, not the 0.6000000238 of float32."""
    return float(f'{float(str(size)) * unit:.9g}')


def _check_spacing(nib: Any, file: str) -> None:
    """The header says the size of a voxel; nibabel would put 1 in place of 0."""
    with nib.openers.Opener(file) as opened:
        header = nib.Nifti1Header.from_fileobj(opened, check=False)
    if int(header['sizeof_hdr']) != nib.Nifti1Header.sizeof_hdr:  # another kind, or no NIfTI
        return
    sizes = header['pixdim'][1:4]
    if not (np.isfinite(sizes).all() and (sizes != 0).all()):
        raise ValueError(
            f'the volume {file} has no spacing: its header gives a voxel of '
            f'{" x ".join(f"{size:g}" for size in sizes)}. Write its size to pixdim'
        )


def _nifti_array(image: Any) -> np.ndarray:
    """Array of a NIfTI file: in its type, or float32 where the header scales values."""
    proxy = image.dataobj
    if _is_plain(proxy):
        return proxy.get_unscaled()
    return image.get_fdata(dtype=np.float32, caching='unchanged')


def _is_plain(proxy: Any) -> bool:
    """Whether values are used as stored."""
    return (proxy.slope, proxy.inter) == (1.0, 0.0)


def _npy(file: str, key: Optional[str]) -> Stored:
    try:
        array = np.load(file, mmap_mode='r', allow_pickle=False)
    except ValueError as error:
        raise unreadable(file, error) from None
    return Stored(array.shape, lambda: array, mapped=True)


def _npz(file: str, key: Optional[str]) -> Stored:
    shapes: Dict[str, Tuple[int, ...]] = {}
    with zipfile.ZipFile(file) as archive:
        for name in _members(archive):
            with archive.open(f'{name}.npy') as member:
                shapes[name] = _npy_shape(member)
    chosen = _choose(file, key, shapes)
    return Stored(shapes[chosen], partial(_npz_array, file, chosen))


def _members(archive: zipfile.ZipFile) -> Tuple[str, ...]:
    """Names of the arrays of an ``.npz`` file."""
    return tuple(name[: -len('.npy')] for name in archive.namelist() if name.endswith('.npy'))


def _npy_shape(opened: Any) -> Tuple[int, ...]:
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    return read[np.lib.format.read_magic(opened)](opened)[0]


def _npz_array(file: str, key: str) -> np.ndarray:
    with np.load(file, allow_pickle=False) as arrays:
        return arrays[key]


def _hdf5(file: str, key: Optional[str]) -> Stored:
    shapes = _hdf5_shapes(file)
    chosen = _choose(file, key, shapes)
    return Stored(shapes[chosen], partial(_hdf5_array, file, chosen))


def _hdf5_shapes(file: str) -> Dict[str, Tuple[int, ...]]:
    """Shapes of the arrays of an HDF5 file, also in its groups."""
    shapes: Dict[str, Tuple[int, ...]] = {}

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py().Dataset):
            shapes[name] = tuple(item.shape)

    with h5py().File(file, 'r') as opened:
        opened.visititems(visit)
    return shapes


def h5py() -> Any:
    """The library for HDF5.

    Raises:
        ValueError: If it is not installed.
    """
    return optional_library('h5py', 'HDF5 volumes', 'volumes')


def _hdf5_array(file: str, key: str) -> np.ndarray:
    with h5py().File(file, 'r') as opened:
        return opened[key][()]


def _choose(file: str, key: Optional[str], shapes: Mapping[str, Sequence[int]]) -> str:
    """The array that a key names, or the only one of three dimensions."""
    named = ', '.join(f'{name} {tuple(shape)}' for name, shape in shapes.items()) or 'no array'
    if key is not None:
        if key not in shapes:
            raise ValueError(f'the volume {file} has no array {key!r}: it holds {named}')
        return key
    volumes = [name for name, shape in shapes.items() if len(shape) == 3]
    if len(volumes) != 1:
        raise ValueError(
            f'the volume {file} holds {named}: name the array, as in {file}:image (image_key and '
            'label_key of a data set)'
        )
    return volumes[0]


def array_names(file: str) -> Tuple[str, ...]:
    """Names of the arrays in a file that may hold several; empty for other formats.

    Args:
        file (str): Path of a volume.

    Raises:
        UnreadableVolumeError: If it is damaged.
    """
    try:
        if file.lower().endswith('.npz'):
            with zipfile.ZipFile(file) as archive:
                return _members(archive)
        if file.lower().endswith(('.h5', '.hdf5')):
            return tuple(_hdf5_shapes(file))
    except (OSError, zipfile.BadZipFile) as error:
        raise unreadable(file, error) from None
    return ()


def array_path(path: str, usual: str, key: Optional[str] = None) -> str:
    """Path of a volume, with the name of its array where its file may hold several.

    Args:
        path (str): File; one with ``:key`` stays as it is.
        usual (str): Array that is taken from a file that has one of that name.
        key (str, optional): Array that is taken in its place. Defaults to None.

    Raises:
        UnreadableVolumeError: If the file is damaged.
    """
    file, known = split_key(path)
    names = () if known else array_names(file)
    chosen = key or (usual if usual in names else None)
    return f'{file}:{chosen}' if names and chosen else str(path)


OPENERS: Dict[str, Callable[[str, Optional[str]], Stored]] = {
    '.nii.gz': _nifti,
    '.nii': _nifti,
    '.npy': _npy,
    '.npz': _npz,
    '.h5': _hdf5,
    '.hdf5': _hdf5,
}
