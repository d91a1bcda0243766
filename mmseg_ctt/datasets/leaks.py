# Copyright (c) mmseg_ctt contributors.
"""Images of validation or test that are trained on."""

from typing import Any, Dict, Mapping, NamedTuple, Optional

from ..volumes.address import real_address
from .built import infos_of, inner_sets


class _Listed(NamedTuple):
    """Path of an image, and the list that names it with its key in the config."""

    path: str
    where: str


def trained_images(trained: Mapping[str, Any], evaluated: Any, key: str) -> Optional[str]:
    """Line about images of validation or test that are trained on; None without any.

    Paths without links are compared, and no file is opened.

    Args:
        trained (Mapping[str, Dataset]): Training sets by their keys in the config.
        evaluated (Dataset): Of validation or test, of any class.
        key (str): Its key in the config.
    """
    owner: Dict[str, _Listed] = {}
    for name, dataset in trained.items():
        owner = {**_images(dataset, name), **owner}
    common = {real: image for real, image in _images(evaluated, key).items() if real in owner}
    for real, image in common.items():
        return (
            f'{len(common)} images of {image.where} are also in {owner[real].where}, such as '
            f'{image.path}: a score on images that are trained on is too high; take them off one '
            'of the lists'
        )
    return None


def _images(dataset: Any, key: str) -> Dict[str, _Listed]:
    """Images of a data set by their paths without links."""
    found: Dict[str, _Listed] = {}
    for part in inner_sets(dataset):
        names = getattr(part, 'ann_file', None)
        where = f'{names} ({key})' if isinstance(names, str) and names else key
        for path in (info.get('img_path') for info in infos_of(part)):
            if isinstance(path, str):
                found.setdefault(real_address(path), _Listed(path, where))
    return found
