# Copyright (c) mmseg_ctt contributors.
"""Images whose class maps are made, with their tags: of a config, or of a folder."""

from collections import Counter
from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

from ...datasets.image_files import find_images
from ...datasets.output_names import OutputNames
from ...datasets.sources import KEY, TAGGED, build_source, source_config, source_names
from ...datasets.wrappers import distinct_infos, with_pipeline


class TaggedImage(NamedTuple):
    """Image of a source.

    Attributes:
        stem (str): Path below the folder of images without suffix, unique among the images.
        path (str): File.
        tags (tuple[int, ...] | None): Ids of its classes; None where they are not known.
    """

    stem: str
    path: str
    tags: Optional[Tuple[int, ...]]


def config_images(cfg: Mapping[str, Any], source: str = TAGGED) -> List[TaggedImage]:
    """Images of a source of the training set of a config, with their tags.

    Args:
        cfg (Mapping): Complete config.
        source (str): Name of the source. Defaults to 'tagged'.

    Raises:
        FileNotFoundError: If a list or folder does not exist.
        ValueError: If there is no such source.
    """
    dataset = (cfg.get('train_dataloader') or {}).get('dataset') or {}
    names = source_names(dataset)
    if source not in names:
        raise ValueError(
            f'{KEY} has no source {source!r} (it has {", ".join(names) or "none"}): name another '
            'one, or a folder of images'
        )
    built = build_source(source, with_pipeline(source_config(dataset, source), []))
    infos = {info['img_path']: info for info in distinct_infos(built)}
    stems = _stems(list(infos.values()))
    return [
        TaggedImage(stem, path, None if info.get('tags') is None else tuple(info['tags']))
        for stem, (path, info) in zip(stems, infos.items())
    ]


def _stems(infos: Sequence[Mapping[str, Any]]) -> List[str]:
    """Stems that the data set gives, where no two images have one; else names of the files."""
    given = [info.get('stem') for info in infos]
    if None not in given and max(Counter(given).values()) == 1:
        return [str(stem) for stem in given]
    names = OutputNames(info['img_path'] for info in infos)
    return [names.of(info['img_path']) for info in infos]


def folder_images(folder: Union[str, Path], known: Sequence[TaggedImage] = ()) -> List[TaggedImage]:
    """All images of a folder; those that are among the known ones have their tags.

    Args:
        folder (str | Path): Searched with its sub-folders.
        known (Sequence[TaggedImage]): Images with tags, by their files.

    Raises:
        FileNotFoundError: If there is no such folder, or no image in it.
    """
    found = {stem: str(Path(folder, name)) for stem, name in find_images(folder).items()}
    if not found:
        raise FileNotFoundError(f'no image was found in {folder}')
    tags: Dict[Path, Any] = {Path(image.path).resolve(): image.tags for image in known}
    return [TaggedImage(stem, path, tags.get(Path(path).resolve())) for stem, path in found.items()]
