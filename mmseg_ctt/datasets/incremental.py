# Copyright (c) mmseg_ctt contributors.
"""Class-incremental learning: images of each step, and masks that show its classes alone."""

from typing import Any, Dict, Optional, Sequence

import numpy as np
from mmseg.registry import DATASETS

from .folder import FolderSegDataset

SETTINGS = ('disjoint', 'overlap')


def images_of_step(
    tags: np.ndarray, steps: Sequence[Sequence[int]], step: int, setting: str = 'overlap'
) -> np.ndarray:
    """Images of one step of class-incremental learning.

    Every image that shows a class of the step; in the disjoint setting only if it shows no class
    of a later step (MiB, WILSON).

    Args:
        tags (np.ndarray): ``(N, C)``, 1 where image n shows class c.
        steps (Sequence[Sequence[int]]): Class ids of each step.
        step (int): Index of the step.
        setting (str): ``'disjoint'`` or ``'overlap'``. Defaults to 'overlap'.

    Returns:
        np.ndarray: Indices of the images, in order.

    Raises:
        ValueError: For an unknown setting.

    Example:
        >>> tags = np.array([[0, 1, 0], [0, 1, 1], [0, 0, 1]])
        >>> images_of_step(tags, [[1], [2]], 0), images_of_step(tags, [[1], [2]], 0, 'disjoint')
        (array([0, 1]), array([0]))
    """
    if setting not in SETTINGS:
        raise ValueError(f'setting must be one of {SETTINGS}, got {setting!r}')
    shown = tags[:, list(steps[step])].any(axis=1)
    later = [k for classes in steps[step + 1 :] for k in classes]
    if setting == 'disjoint' and later:
        shown = shown & ~tags[:, later].any(axis=1)
    return np.flatnonzero(shown)


@DATASETS.register_module()
class StepSegDataset(FolderSegDataset):
    """A folder of images whose masks show the classes of one step: earlier ones are background.

    Later classes, which ``metainfo.classes`` leaves out, are background as in
    :class:`FolderSegDataset`. Fine-tuning on masks of new classes, which forgets the old ones,
    reads such masks.

    Args:
        hidden (Sequence[str]): Classes of ``metainfo.classes`` whose pixels get id 0. Defaults to
            (): none.
        **kwargs: See :class:`FolderSegDataset`; ``background`` must be set where ``hidden`` is.

    Raises:
        ValueError: If a hidden class is none, or is the background.
    """

    needs_classes = True

    def __init__(self, hidden: Sequence[str] = (), **kwargs: Any) -> None:
        self.hidden = tuple(hidden)
        super().__init__(**kwargs)

    def get_label_map(
        self, new_classes: Optional[Sequence[str]] = None
    ) -> Optional[Dict[int, int]]:
        """Ids of the model by ids of the masks; 0 for hidden classes, see the class."""
        label_map = super().get_label_map(new_classes)
        if not self.hidden:
            return label_map
        chosen = list(new_classes or ())
        unknown = [name for name in self.hidden if name not in chosen]
        if unknown or self.background is None or self.background in self.hidden:
            raise ValueError(
                f'StepSegDataset.hidden={self.hidden} must be classes of metainfo.classes, which '
                f'has {", ".join(chosen)}, without the background, which must be set'
            )
        of_file = self.file_meta.get('classes') or chosen
        label_map = dict(enumerate(range(len(of_file)))) if label_map is None else label_map
        return {**label_map, **{k: 0 for k, name in enumerate(of_file) if name in self.hidden}}
