# Copyright (c) mmseg_ctt contributors.
"""The files that results are made of, recorded beside these, so that no result is kept for others.

A folder of images may be replaced by one of the same names. Contents are compared where size or
time of change differ, since data may be moved; a file of the same size and time is the same.
"""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Sequence, Tuple

from mmengine.logging import print_log

from ..datasets.training_copy.manifest import file_checksum
from ..datasets.whole_files import write_whole
from ..volumes.address import file_of
from .settings_file import read_settings

FILE = 'inputs.json'
Inputs = Mapping[str, Mapping[str, str]]
Facts = List  # size, time of change, checksum
READERS = 8  # files read at a time: on a network drive most of the time is waiting


def keep_inputs(
    out: Path, inputs: Inputs, result: Callable[[str], Path], of_unknown: Callable[[List[str]], Any]
) -> None:
    """Record the inputs of results, or refuse results that were made of others.

    Args:
        out (Path): Folder of the results; exists.
        inputs (Mapping[str, Mapping[str, str]]): By the stem of a result the paths of its inputs,
            by what they are, such as ``{'a/b': {'image': 'img/a/b.jpg'}}``.
        result (Callable): File of a result by its stem.
        of_unknown (Callable): Gets the stems, if there are any, whose result is there and whose
            inputs are not known, as in a folder that an earlier version made. It may refuse them
            by an error: nothing has been recorded then.

    Raises:
        FileExistsError: If a result that is there was made of another input.
    """
    path, unknown = out / FILE, []
    known = read_settings(path) if path.is_file() else {}
    kept: Dict[str, Dict[str, Facts]] = dict(known)
    facts = _all_facts(inputs, known)
    for stem, files in inputs.items():
        before = known.get(stem, {})
        found = {what: facts[_key(file, before.get(what, ()))] for what, file in files.items()}
        if result(stem).is_file():
            _check(result(stem), files, before, found)
            unknown += [] if stem in known else [stem]
        kept[stem] = found
    if unknown:
        of_unknown(unknown)
    if kept != known:
        write_whole(path, (json.dumps(kept, sort_keys=True) + '\n').encode())


def _key(path: str, before: Sequence) -> Tuple:
    """File of an input, which slices of a volume share, and what was known of it."""
    return (file_of(path), *before)


def _all_facts(inputs: Inputs, known: Mapping[str, Mapping[str, Facts]]) -> Dict[Tuple, Facts]:
    """Facts of each file, which is read once."""
    keys = {
        _key(path, known.get(stem, {}).get(what, ())): None
        for stem, files in inputs.items()
        for what, path in files.items()
    }
    new = sum(len(key) == 1 for key in keys)
    if new:
        print_log(f'{new} files are read for their checksums, once', 'current')
    with ThreadPoolExecutor(READERS) as pool:
        return dict(zip(keys, pool.map(lambda key: _facts(*key), keys)))


def _facts(path: str, size: int = -1, changed: int = 0, digest: str = '') -> Facts:
    """Size, time of change and checksum; that of a file as it was known is not read again."""
    state = os.stat(path)
    if (state.st_size, state.st_mtime_ns) != (size, changed):
        digest = file_checksum(path)
    return [state.st_size, state.st_mtime_ns, digest]


def _check(
    result: Path, files: Mapping[str, str], before: Mapping[str, Facts], found: Mapping[str, Facts]
) -> None:
    for what, path in files.items():
        if what in before and before[what][2] != found[what][2]:
            raise FileExistsError(
                f'{result} was made of another {what} than {path} is now: remove it to make it '
                'again, or choose another folder'
            )


def unknown_line(stems: List[str]) -> str:
    """What is said of results whose inputs are not known, and which are kept."""
    return (
        f'{len(stems)} results, such as of {stems[0]}, are of an earlier version, which did not '
        'record the images: they are kept as those of the images now'
    )
