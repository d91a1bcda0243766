# Copyright (c) mmseg_ctt contributors.
"""Volumes to predict: found, named and checked before anything is written."""

import os.path as osp
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence, Union

from ...datasets.volume_files import listed_names, named_volumes
from ...volumes import num_slices, read_volume, value_limits
from ...volumes.address import split_key, without_volume_suffix
from ...volumes.names import case_names
from .settings import IMAGE, InputFiles, SliceSettings, input_path


class Case(NamedTuple):
    """Volume to predict.

    Attributes:
        name (str): Of its outputs, see :func:`mmseg_ctt.volumes.names.case_names`.
        path (str): File, with ``:key`` for an array of a file of several.
    """

    name: str
    path: str

    @property
    def suffix(self) -> str:
        """End of the name of its output: that of a NIfTI file, ``.npy`` for other formats."""
        file = self.path.lower()
        return next((end for end in ('.nii.gz', '.nii') if file.endswith(end)), '.npy')


def find_cases(
    inputs: Sequence[Union[str, Path]],
    listed: Union[str, Path, None] = None,
    files: Optional[InputFiles] = None,
) -> List[Case]:
    """Volumes of files and folders, by unique names.

    Args:
        inputs (Sequence[str | Path]): Volumes, and folders that are searched with their
            sub-folders.
        listed (str | Path, optional): List of some of them, one a line, see
            :func:`mmseg_ctt.datasets.volume_files.listed_names`. Defaults to None: all.
        files (InputFiles, optional): Which files of folders are volumes, and which of their arrays
            is taken. Defaults to None: all volumes.

    Raises:
        FileNotFoundError: If an input does not exist, a folder has no volume, or one that is
            listed is not among the inputs.
        ValueError: If two of them would have one name, or it is not clear which one a line means.
    """
    files = files or InputFiles()
    paths: List[str] = []
    for given in map(str, inputs):
        if osp.isdir(given):
            found_in = named_volumes(given, IMAGE, files.suffix, label_suffix=files.label_suffix)
            paths += [input_path(split_key(path)[0], files.key) for path in found_in.values()]
        elif osp.isfile(split_key(given)[0]):
            paths.append(input_path(given, files.key))
        else:
            raise FileNotFoundError(f'the volume {given} does not exist')
    names = case_names(paths, files.suffix)
    found = {name: path for path, name in names.items()}
    if listed is None:
        return [Case(name, path) for name, path in found.items()]
    stems = {name: [without_volume_suffix(path, files.suffix)] for name, path in found.items()}
    chosen = listed_names(listed, stems, ', '.join(map(str, inputs)), files.suffix)
    return [Case(name, found[name]) for name in chosen]


def check_outside(folder: Path, inputs: Sequence[Union[str, Path]]) -> None:
    """Outputs are not put where the next call would find them as inputs.

    Args:
        folder (Path): Of outputs.
        inputs (Sequence[str | Path]): Files and folders, see :func:`find_cases`.

    Raises:
        ValueError: If it is one of the folders, or inside one.
    """
    for given in map(Path, inputs):
        if given.is_dir() and given.resolve() in (folder.resolve(), *folder.resolve().parents):
            raise ValueError(
                f'the outputs {folder} would be inside the input folder {given}, whose files are '
                'all predicted: give a folder outside'
            )


def check_cases(cases: Sequence[Case], settings: SliceSettings) -> None:
    """Read every volume and check its values and number of slices.

    Args:
        cases (Sequence[Case]): From :func:`find_cases`.
        settings (SliceSettings): Slices that the network takes.

    Raises:
        ValueError: With the first volume that cannot be predicted, and how many others.
    """
    wrong: Dict[str, str] = {}
    for case in cases:
        problem = _problem(case, settings)
        if problem is not None:
            wrong[case.path] = problem
    if wrong:
        first, *others = wrong.values()
        more = f' ({len(others)} other volumes have errors too)' if others else ''
        raise ValueError(f'{first}{more}')


def _problem(case: Case, settings: SliceSettings) -> Optional[str]:
    try:
        volume = read_volume(case.path)
        value_limits(volume.array, settings.window, settings.percentiles, case.path)
    except ValueError as error:
        return str(error)
    number = num_slices(volume.shape, settings.plane)
    if number < settings.context:
        return (
            f'the volume {case.path} has {number} slices along {settings.plane}, fewer than '
            f'context={settings.context}'
        )
    return None
