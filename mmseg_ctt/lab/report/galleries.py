# Copyright (c) mmseg_ctt contributors.
"""Folders with a page of pictures and lists: images to label next, masks to check."""

import csv
from datetime import datetime
from pathlib import Path
from typing import Optional, Sequence, Union

from mmengine.config import Config
from mmengine.model import BaseModel

from ...datasets.lists import check_names
from ...deploy.api.load import dataset_meta_of
from ...deploy.api.predict import config_pipeline
from ...deploy.checkpoint import load_network, read_checkpoint
from ...engine.out_paths import check_out_folder
from ...version import __version__
from ..label_review.disagreement import Scored
from ..label_review.images import MaskedSet, split_lists, unlabeled_images
from ..label_review.label_errors import DEFAULTS, Contradiction
from .evaluation import segments
from .label_errors import ERRORS, ErrorSearch, errors_part, search_errors
from .labelling import NEXT, Suggestions, suggest, suggestions_part
from .page import Chapter, render
from .parts import Part

PAGE, LIST, ERROR_LIST, SCORES = 'index.html', 'label_next.txt', 'label_errors.txt', 'scores.csv'
NEXT_LISTS = ('labeled.txt', 'unlabeled.txt')  # of the next training
PathLike = Union[str, Path]


def write_suggestions(
    cfg: Config, checkpoint: PathLike, out: PathLike, count: int, folder: Optional[str] = None
) -> Suggestions:
    """Choose images to label next, and write a gallery and lists.

    ``label_next.txt`` names them, one a line, as lists of this package do; ``scores.csv`` has all
    images. Where ``labeled`` and ``unlabeled`` are the only sources, of one folder of images,
    ``labeled.txt`` and ``unlabeled.txt`` are the lists of the next training, once the masks are
    drawn.

    Args:
        cfg (Config): Of the run, prepared.
        checkpoint (str | Path): Of the run.
        out (str | Path): Folder to write.
        count (int): Number of images.
        folder (str, optional): Images. Defaults to None: those of the training set without masks.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If the model has no segmentation, there are no images, or the folder is a file
            or already holds one of these files.
    """
    if count < 1:
        raise ValueError(f'the number of images must be positive, got {count}')
    out = _new_folder(out, LIST, PAGE, SCORES, *NEXT_LISTS)
    images = unlabeled_images(cfg, folder)  # before the model is built
    check_names([image.name for image in images], out / LIST)
    model = _load(cfg, checkpoint)
    found = suggest(model, count, folder, progress=True)
    part = suggestions_part(model, found, model.dataset_meta)
    _write_page(out, NEXT, checkpoint, part)
    names = [scored.image.name for scored in found.chosen]
    _write_list(out / LIST, names)
    _write_scores(out / SCORES, found.scored, set(names))
    lists = split_lists(cfg) if folder is None else None
    if lists is not None:
        labeled, unlabeled = lists
        rest = [name for name in unlabeled if name not in set(names)]
        for name, listed in zip(NEXT_LISTS, ([*labeled, *names], rest)):
            _write_list(out / name, listed)
    return found


def write_label_errors(
    cfg: Config,
    checkpoint: PathLike,
    out: PathLike,
    count: int,
    settings: Contradiction = DEFAULTS,
    spoilt: Optional[Sequence[str]] = None,
) -> ErrorSearch:
    """Find masks that all members contradict, and write a gallery and a list of names.

    Args:
        cfg (Config): Of the run, prepared.
        checkpoint (str | Path): Of the run.
        out (str | Path): Folder to write.
        count (int): At most that many images.
        settings (Contradiction): Of the search.
        spoilt (Sequence[str], optional): Names of masks that are known to be wrong, for precision
            and recall. Defaults to None.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a setting is out of range or not used, the model has no segmentation, there
            are no masks, a name of ``spoilt`` is no labelled image, or the folder is a file or
            already holds one of these files.
    """
    settings.check()
    if count < 1:
        raise ValueError(f'the number of images must be positive, got {count}')
    out = _new_folder(out, ERROR_LIST, PAGE)
    images = MaskedSet(cfg, config_pipeline(cfg))  # before the model is built
    check_names([image.name for image in images.images], out / ERROR_LIST)
    _check_spoilt(images, spoilt or ())
    model = _load(cfg, checkpoint)
    search = search_errors(model, count, settings, progress=True)
    _write_page(out, ERRORS, checkpoint, errors_part(model, search, spoilt))
    _write_list(out / ERROR_LIST, [entry.image.name for entry in search.found])
    return search


def _check_spoilt(images: MaskedSet, spoilt: Sequence[str]) -> None:
    absent = set(spoilt) - {image.name for image in images.images}
    if absent:
        raise ValueError(f'{sorted(absent)[0]} of the manifest is no labelled image of the config')


def _load(cfg: Config, checkpoint: PathLike) -> BaseModel:
    if not segments(cfg):
        raise ValueError(
            f'model.type={cfg.model.type} learns features alone, and has no segmentation'
        )
    model = load_network(cfg, checkpoint)
    model.cfg = cfg
    model.dataset_meta = dataset_meta_of(read_checkpoint(checkpoint)['meta'], model)
    return model


def _new_folder(out: PathLike, *names: str) -> Path:
    """The folder, which may be that of the lists of a run: none of the files is there."""
    out = check_out_folder(out)
    for name in names:
        if (out / name).exists():
            raise ValueError(
                f'{out} already holds {name}: give another folder, so that both are kept'
            )
    return out


def _write_page(out: Path, title: str, checkpoint: PathLike, part: Part) -> None:
    made = f'{checkpoint}, {datetime.now():%Y-%m-%d %H:%M}, mmseg_ctt {__version__}'
    out.mkdir(parents=True, exist_ok=True)
    page = render(title, made, [Chapter(Path(checkpoint).name, [part])])
    (out / PAGE).write_text(page, encoding='utf-8')


def _write_list(path: Path, names: Sequence[str]) -> None:
    path.write_bytes(''.join(f'{name}\n' for name in names).encode('utf-8'))


def _write_scores(path: Path, scored: Sequence[Scored], chosen: set) -> None:
    with open(path, 'w', encoding='utf-8', newline='') as file:
        rows = csv.writer(file)
        rows.writerow(('image', 'score', 'differing', 'chosen'))
        for entry in sorted(scored, key=lambda entry: -entry.score):
            name = entry.image.name
            numbers = f'{entry.score:.6f}', f'{entry.differing:.6f}'
            rows.writerow((name, *numbers, int(name in chosen)))
