# Copyright (c) mmseg_ctt contributors.
"""From a folder to the configs of a run: what is found, what is chosen, what is written."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple, Union


@dataclass(frozen=True)
class NewRun:
    """Configs of a folder, and what they were made from.

    ``str(run)`` is what was found, chosen and written, and the next commands.

    Args:
        configs (dict[str, Path]): Config files by method: that of the run, and ``'supervised'``.
        found: What the folder holds.
        lines (list[str]): Report for a terminal.
    """

    configs: Dict[str, Path]
    found: Any
    lines: List[str]

    def __str__(self) -> str:
        return '\n'.join(self.lines)


def new_run(
    folder: Union[str, Path],
    method: str = 'ctt-plus',
    model: str = 'mobilenetv2',
    size: Optional[Tuple[int, int]] = None,
    dry_run: bool = False,
    *,
    images: Optional[str] = None,
    masks: Optional[str] = None,
    classes: Optional[Sequence[str]] = None,
    val: Optional[int] = None,
    name: Optional[str] = None,
    seed: int = 0,
) -> NewRun:
    """Write lists and configs for a folder of images and masks.

    Args:
        folder (str or Path): Folder of the data.
        method (str): Preset of ``configs/_base_/methods``. Default: ``'ctt-plus'``.
        model (str): Network, a name of ``MODELS``. Default: ``'mobilenetv2'``.
        size (tuple[int, int], optional): (width, height) that images are resized to. Default:
            chosen from the images and the memory.
        dry_run (bool): Whether nothing is written. Default: False.
        images (str, optional): Folder of the images, below ``folder`` or absolute.
        masks (str, optional): Folder of the masks.
        classes (Sequence[str], optional): Names of the classes, in the order of their ids.
        val (int, optional): Number of images with a mask that are kept for validation.
        name (str, optional): Name of this run's lists and configs, beside others in the folder.
        seed (int): Of the images kept for validation. Default: 0.

    Returns:
        NewRun: Configs by method and what was found.
    """
    raise NotImplementedError
