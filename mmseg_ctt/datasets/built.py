# Copyright (c) mmseg_ctt contributors.
"""Data sets of any class as they are built: what is inside wrappers and pipelines."""

from typing import Any, Iterator, List, Optional, Sequence, Type, TypeVar

from mmcv.transforms import BaseTransform
from mmengine.dataset import Compose
from mmseg.datasets.transforms import LoadAnnotations

from .rater_annotations import LoadMultiRaterAnnotations
from .transforms import IGNORED, CheckedLoadAnnotations

Step = TypeVar('Step', bound=BaseTransform)
INNER = ('dataset', '_dataset', 'datasets', 'sources')  # names that wrappers give data sets in them


def set_num_classes(dataset: Any) -> None:
    """Tell the steps that check masks the classes of their data set.

    mmseg does not pass them to a pipeline. Before workers start, so that they have them too.

    Args:
        dataset (Dataset): Of any class; data sets without classes stay as they are.
    """
    for part in inner_sets(dataset):
        number = len(classes_of(part) or ())
        for step in label_loaders(part) if number else ():
            if isinstance(step, CheckedLoadAnnotations):
                step.of_dataset = dict(num_classes=number, ignore_index=ignore_index(part))


def infos_of(dataset: Any) -> List[dict]:
    """Entries of a data set of any class, and of those inside it; empty for sets without entries.

    Args:
        dataset (Dataset): Of any class.
    """
    return [
        part.get_data_info(i)
        for part in inner_sets(dataset)
        if hasattr(part, 'get_data_info')
        for i in range(len(part))
    ]


def masked_infos(dataset: Any) -> List[dict]:
    """Entries of a data set, and of those inside it, whose masks are loaded from local files.

    An image whose pipeline reads several masks has an entry for each of them.

    Args:
        dataset (Dataset): Of any class.
    """
    return [
        entry
        for part in inner_sets(dataset)
        if label_loaders(part) and hasattr(part, 'get_data_info') and not _remote(part)
        for entry in mask_entries(part, [part.get_data_info(i) for i in range(len(part))])
    ]


def mask_entries(dataset: Any, infos: List[dict]) -> List[dict]:
    """Entries of a data set of files with one mask each, as its pipeline reads them.

    Args:
        dataset (BaseDataset): No wrapper of others.
        infos (list[dict]): Its entries, one an image.
    """
    for step in label_loaders(dataset):
        if isinstance(step, LoadMultiRaterAnnotations):
            return [entry for info in infos for entry in step.mask_entries(info)]
    return infos


def inner_sets(dataset: Any) -> Iterator[Any]:
    """A data set's innermost data sets, which read files.

    Args:
        dataset (Dataset): Of any class.
    """
    for name in INNER:
        inner = vars(dataset).get(name)
        if inner is not None:
            parts = inner.values() if isinstance(inner, dict) else inner
            for part in parts if isinstance(inner, (dict, list, tuple)) else [inner]:
                yield from inner_sets(part)
            return
    yield dataset


def classes_of(dataset: Any) -> Optional[Sequence[str]]:
    """Class names of a data set; None where it has none.

    Args:
        dataset (Dataset): Of any class.
    """
    metainfo = getattr(dataset, 'metainfo', None)
    return (metainfo or {}).get('classes') or None


def ignore_index(dataset: Any) -> int:
    """Id of ignored pixels of a data set; 255 where it names none.

    Args:
        dataset (Dataset): Of any class.
    """
    return getattr(dataset, 'ignore_index', IGNORED)


def label_loaders(dataset: Any) -> List[LoadAnnotations]:
    """Steps that load masks, in the pipeline of a data set and inside its steps.

    Args:
        dataset (Dataset): Of any class.
    """
    return inner_steps(dataset, LoadAnnotations)


def inner_steps(dataset: Any, kind: Type[Step]) -> List[Step]:
    """Steps of a class, and of those derived from it, in a pipeline and inside its steps.

    Args:
        dataset (Dataset): Of any class.
        kind (type): The class.
    """
    return list(_steps(getattr(dataset, 'pipeline', None), kind))


def _steps(node: Any, kind: Type[Step]) -> Iterator[Step]:
    if isinstance(node, kind):
        yield node
    elif isinstance(node, (list, tuple)):
        for part in node:
            yield from _steps(part, kind)
    elif isinstance(node, (BaseTransform, Compose)):
        for part in vars(node).values():
            yield from _steps(part, kind)


def _remote(dataset: Any) -> bool:
    """Whether files are read through a backend that the config names."""
    steps = label_loaders(dataset)
    return bool(getattr(dataset, 'backend_args', None) or any(step.backend_args for step in steps))
