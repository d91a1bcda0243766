# Copyright (c) mmseg_ctt contributors.
"""Writing a training copy: in parallel, resumable, and never over files of anything else."""

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Callable, Dict, Iterable, Iterator, List, Mapping, NamedTuple, Optional, Tuple

import cv2
import numpy as np

from ..image_reading import image_size, stored_size
from ..label_check import check_size
from ..nodata import decode_with_nodata
from ..whole_files import write_whole
from .encode import JPEG, encode_image, encode_mask, small_ids
from .manifest import (
    FILES,
    MANIFEST,
    VERSION,
    Entry,
    Options,
    checksum,
    end_last_line,
    entry_line,
    read_entries,
    read_manifest,
)
from .plan import IMAGE, MASK, SMOOTH_MAP, Job, Plan, inside
from .sizes import Scale, reduced_size, resized

EVERY = 10.0  # seconds between lines of progress
SHOWN = 3  # files named in a message
Report = Callable[[str], None]


class Summary(NamedTuple):
    """Result of :func:`make_copy`.

    Attributes:
        made (int): Files that were written.
        present (int): Files that were there already.
        bytes (int): Size of all files of the plan in the copy.
        source_bytes (int): Size of their originals.
        seconds (float): Time.
        suffixes (dict[str, int]): Number of files by suffix.
    """

    made: int
    present: int
    bytes: int
    source_bytes: int
    seconds: float
    suffixes: Dict[str, int]


def make_copy(
    plan: Plan, folder: Path, options: Options, workers: int = 1, report: Report = print
) -> Summary:
    """Write the files of a plan that a copy does not have yet.

    Args:
        plan (Plan): Files.
        folder (Path): Of the copy; new, empty, or one that was begun with the same options.
        options (Options): Of the copy; ``color_type`` is that of the plan.
        workers (int): Threads. Defaults to 1.
        report (Callable[[str], None]): Gets lines of progress. Defaults to ``print``.

    Raises:
        ValueError: If the folder holds anything else or a copy with other options, lies where the
            originals are searched, or files cannot be copied; the others are written.
    """
    if workers < 1:
        raise ValueError(f'--workers={workers} must be positive')
    folder = Path(os.path.abspath(folder))
    options = options._replace(color_type=plan.color_type)
    entries = _begin(plan, folder, options)
    missing = [job for job in plan.jobs if not _is_present(job, folder, entries)]
    begin = time.monotonic()
    errors: List[str] = []
    threads = cv2.getNumThreads()
    cv2.setNumThreads(0)
    try:
        end_last_line(folder)
        with (folder / FILES).open('a', encoding='utf-8') as lines:
            made = _made(missing, folder, options, workers, errors)
            for entry in _reported(made, len(missing), begin, report):
                entries[entry.source] = entry
                lines.write(entry_line(entry))
                lines.flush()
    finally:
        cv2.setNumThreads(threads)
    kept = [entries[job.source] for job in plan.jobs if job.source in entries]
    if errors:
        raise ValueError(
            f'{len(errors)} of {len(plan.jobs)} files cannot be copied: '
            f'{"; ".join(errors[:SHOWN])}. The others are written: correct these, or take them off '
            'the lists, and start again'
        )
    _write_manifest(plan, folder, options, entries, complete=True)
    suffixes: Dict[str, int] = {}
    for entry in kept:
        suffix = os.path.splitext(entry.file)[1]
        suffixes[suffix] = suffixes.get(suffix, 0) + 1
    return Summary(
        len(missing),
        len(plan.jobs) - len(missing),
        sum(entry.bytes for entry in kept),
        sum(entry.source_bytes for entry in kept),
        time.monotonic() - begin,
        suffixes,
    )


def _begin(plan: Plan, folder: Path, options: Options) -> Dict[str, Entry]:
    """Check the folder; entries of the files that it has."""
    searched = {os.path.dirname(os.path.abspath(job.path)) for job in plan.jobs}
    searched.update(plan.searched)
    if str(folder) == plan.root or any(inside(str(folder), path) for path in searched):
        raise ValueError(
            f'{folder} lies among the originals, where the copies would be found as further '
            'images: name another folder'
        )
    if folder.is_dir() and any(folder.iterdir()):
        _refuse_other(plan, folder, options)
    entries = read_entries(folder)
    _write_manifest(plan, folder, options, entries, complete=False)
    return entries


def _refuse_other(plan: Plan, folder: Path, options: Options) -> None:
    """Raise for a folder that holds anything but a copy of the same kind."""
    if not (folder / MANIFEST).is_file():
        raise ValueError(f'{folder} is not empty and no training copy: name a new folder')
    manifest = read_manifest(folder)
    for key, old, new in (
        ('root of the data', manifest['root'], plan.root),
        *zip(Options._fields, Options(**manifest['options']), options),
    ):
        if old != new:
            raise ValueError(
                f'the training copy {folder} was made with {key} {old}, now it is {new}: a copy is '
                'of one kind, name a new folder or use the same options'
            )


def _is_present(job: Job, folder: Path, entries: Dict[str, Entry]) -> bool:
    """Whether a file is whole and its original unchanged, by size and time."""
    entry = entries.get(job.source)
    if entry is None or not os.path.isfile(job.path):
        return False
    path, original = folder / entry.file, os.stat(job.path)
    return (
        path.is_file()
        and path.stat().st_size == entry.bytes
        and original.st_size == entry.source_bytes
        and original.st_mtime_ns == entry.source_mtime_ns
    )


def _made(
    jobs: List[Job], folder: Path, options: Options, workers: int, errors: List[str]
) -> Iterator[Entry]:
    """Entries of the files, in any order; errors of single files are collected."""

    def make(job: Job) -> Optional[Entry]:
        try:
            return copy_file(job, folder, options)
        except (ValueError, OSError, cv2.error) as error:
            # an error without a number is one of this package, about the image of a mask
            if isinstance(error, OSError) and error.errno and error.filename != job.path:
                raise  # no space, or no right to write
            errors.append(' '.join(str(error).split()))
            return None

    with ThreadPoolExecutor(workers) as pool:
        try:
            yield from filter(None, pool.map(make, jobs))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _reported(made: Iterable[Entry], total: int, begin: float, report: Report) -> Iterator[Entry]:
    last = begin
    for number, entry in enumerate(made, 1):
        yield entry
        now = time.monotonic()
        if now - last > EVERY:
            last, left = now, (now - begin) / number * (total - number)
            report(f'{number} of {total} files, {left:.0f} s left')


def copy_file(job: Job, folder: Path, options: Options) -> Entry:
    """Write one file of a copy.

    Args:
        job (Job): The file.
        folder (Path): Of the copy.
        options (Options): Of the copy.

    Raises:
        ValueError: If the original cannot be decoded, is of a kind that no copy holds, or a mask
            does not fit its image; names the file.
        FileNotFoundError: If there is no such file.
    """
    original = os.stat(job.path)
    content = Path(job.path).read_bytes()
    made, suffix = (_image if job.kind == IMAGE else _mask)(job, content, options)
    file = job.target + suffix
    write_whole(folder / file, made, flush=False)
    return Entry(
        job.source,
        file,
        len(made),
        checksum(made),
        original.st_size,
        original.st_mtime_ns,
        checksum(content),
    )


def _image(job: Job, content: bytes, options: Options) -> Tuple[bytes, str]:
    pixels, missing = decode_with_nodata(content, job.path)
    if missing is not None and missing.any():
        raise ValueError(
            f'{job.path} has pixels without data, which a training copy does not hold: train from '
            'the originals'
        )
    if pixels.ndim == 3 and job.step.color_type != 'unchanged' and pixels.shape[2] in (2, 4):
        pixels = pixels[..., : pixels.shape[2] - 1]  # without alpha, which the pipeline leaves out
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    size = _target_size(pixels.shape[:2], options)
    if size == pixels.shape[:2] and options.format == JPEG and _is_upright_jpeg(job.path, content):
        return content, '.jpg'  # a second compression would only lose
    pixels = resized(pixels, size, options.interpolation, job.path)
    return encode_image(np.ascontiguousarray(pixels), options.format, options.quality or 0)


def _mask(job: Job, content: bytes, options: Options) -> Tuple[bytes, str]:
    name = f'the {job.kind} {job.path}'
    if job.kind == MASK:
        ids = small_ids(job.step.decoded(content, name, job.ignore_index), name)
    else:
        values = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
        if values is None or values.dtype != np.uint8 or values.ndim != 2:
            raise ValueError(f'{name} is no map of one channel of 8 bit: make it again')
        ids = values
    check_size(ids, image_size(job.image), name, job.image)
    interpolation = options.interpolation if job.kind == SMOOTH_MAP else 'nearest'
    ids = resized(ids, _target_size(ids.shape[:2], options), interpolation, name)
    return encode_mask(ids, options.format if job.kind == MASK else JPEG)


def _target_size(size: Tuple[int, int], options: Options) -> Tuple[int, int]:
    if options.scale is None:
        return size
    return reduced_size(size, Scale(*options.scale, options.keep_ratio))


def _is_upright_jpeg(path: str, content: bytes) -> bool:
    return content.startswith(b'\xff\xd8\xff') and stored_size(path)[1] == 1


def _write_manifest(
    plan: Plan, folder: Path, options: Options, entries: Mapping[str, Entry], complete: bool
) -> None:
    manifest = dict(
        version=VERSION,
        root=plan.root,
        options=options.to_json(),
        complete=complete,  # whether all files of the last plan are there
        files=len(entries),
        bytes=sum(entry.bytes for entry in entries.values()),
    )
    write_whole(folder / MANIFEST, (json.dumps(manifest, indent=2) + '\n').encode())
