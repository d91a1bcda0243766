# Copyright (c) mmseg_ctt contributors.
"""Files that are complete as soon as they have their names, one alone or several together."""

import os
from pathlib import Path
from typing import Mapping

PARTIAL = '.part'  # suffix of a file while it is written


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that is complete as soon as it has its name.

    Args:
        path (Path): The file; its folder is created if missing.
        content (bytes): Of the file.
    """
    os.replace(_written(path, content), path)


def write_together(contents: Mapping[Path, bytes], manifest: Path, facts: bytes) -> None:
    """Write files that belong together, and a manifest of them.

    A write that fails leaves the old files with their manifest. If it is killed while the files
    get their names, there is no manifest: old and new files never pass for a whole.

    Args:
        contents (Mapping[Path, bytes]): Of each file, in the order in which they get their names.
        manifest (Path): File that says of the others that they are complete.
        facts (bytes): Its content.
    """
    written = {}
    try:
        for path, content in contents.items():
            written[path] = _written(path, content)
    except BaseException:
        for path in contents:
            path.with_name(path.name + PARTIAL).unlink(missing_ok=True)
        raise
    manifest.unlink(missing_ok=True)
    for path, part in written.items():
        os.replace(part, path)
    write_whole(manifest, facts)


def _written(path: Path, content: bytes) -> Path:
    """The content in a file beside the one that is meant."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + PARTIAL)
    part.write_bytes(content)
    return part
