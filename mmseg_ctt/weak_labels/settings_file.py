# Copyright (c) mmseg_ctt contributors.
"""The settings of a folder of results beside them, so that it is continued with these alone."""

import json
from pathlib import Path
from typing import Any, Dict, Mapping

from ..version import __version__


def claim_folder(out: Path, name: str, settings: Mapping[str, Any]) -> None:
    """Begin or continue a folder of results.

    Args:
        out (Path): Folder; made where it is missing.
        name (str): Name of the file of settings.
        settings (Mapping): That the results depend on; numbers, strings, lists, dicts.

    Raises:
        FileExistsError: If the folder has files that are no such results, or those of other
            settings.
    """
    path, chosen = out / name, json.loads(json.dumps(dict(settings)))
    if path.is_file():
        found = read_settings(path)
        found.pop('version', None)
        different = sorted(key for key in {*found, *chosen} if found.get(key) != chosen.get(key))
        if different:
            key = different[0]
            raise FileExistsError(
                f'{out} has results of other settings ({key}: {found.get(key)!r}, now '
                f'{chosen.get(key)!r}): choose another folder, or remove it'
            )
        return
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FileExistsError(f'{out} is not empty and has no {name}: choose another folder')
    out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(dict(chosen, version=__version__), indent=1)
    path.write_text(text + '\n', encoding='utf-8')


def read_settings(path: Path) -> Dict[str, Any]:
    """Settings of a folder.

    Args:
        path (Path): File of settings.

    Raises:
        ValueError: If it is no JSON of a dict.
    """
    try:
        settings = json.loads(path.read_text(encoding='utf-8'))
    except ValueError:
        settings = None
    if not isinstance(settings, dict):
        raise ValueError(f'{path} is damaged: remove its folder and make it again')
    return settings
