# Copyright (c) mmseg_ctt contributors.
"""Report on runs: from their work folders to an HTML file."""

from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Callable, List, Optional, Sequence, Tuple, Union

from ...engine.out_paths import check_out_folder
from ...version import __version__
from . import comparison, recorded
from .answer import TITLE, answer, choose_baseline
from .colours import member_styles
from .label_errors import ERRORS
from .labelling import NEXT
from .networks import CONFUSION, EMBEDDING, IOU, WORST, Evaluated, NetworkOptions, network_parts
from .page import Chapter, render
from .parts import Part, attempt
from .runs import Run, read_runs

Builders = Sequence[Tuple[str, Callable[[Run], Part]]]
RECORDED: Builders = (
    ('Pseudo-labels', recorded.pseudo_labels),
    ('mIoU of every member', recorded.miou),
    ('Losses', recorded.losses),
    ('Class memory banks', recorded.queue_fill),
    ('Settings and environment', recorded.settings),
)
# Parts of a run in order: what a reader decides by first, then the records.
ORDER = (
    *('Pseudo-labels', WORST, NEXT, ERRORS),
    *('mIoU of every member', IOU, CONFUSION),
    *('Losses', 'Class memory banks', EMBEDDING, 'Settings and environment'),
)
COMPARED = (('Scores', comparison.scores), ('Differences of settings', comparison.differences))


def write_report(
    folders: Sequence[Union[str, Path]],
    out: Union[str, Path],
    checkpoint: str = 'last',
    options: Optional[NetworkOptions] = None,
    baseline: Union[str, Path, None] = None,
) -> List[Chapter]:
    """Write a report on runs.

    Args:
        folders (Sequence[str | Path]): Work folders.
        out (str | Path): HTML file to write.
        checkpoint (str): ``'last'`` or ``'best'``. Defaults to 'last'.
        options (NetworkOptions, optional): Parts that run the networks. Defaults to None: all.
        baseline (str | Path, optional): Work folder of the run that others are compared with.
            Defaults to None: the first supervised one, else the first.

    Returns:
        list[Chapter]: Chapters of the page.

    Raises:
        FileNotFoundError: If a folder does not exist or is not of a run.
        ValueError: If an option has no meaning, a folder is given twice, the baseline is none of
            them, or ``out`` is a folder or a file that is no page.
    """
    out, options = Path(out), options or NetworkOptions()
    options.check()
    _check_page(out)
    runs = read_runs([Path(folder) for folder in folders], checkpoint)
    base = choose_baseline(runs, baseline)
    chapters, evaluated = [], []
    for i, run in enumerate(runs):
        labels = len(runs) == 1 or i != base
        chapter, made = _chapter(run, options, labels)
        chapters.append(chapter)
        evaluated.append(made)
    chapters = [*chapters[:base], *chapters[base + 1 :], chapters[base]]
    opening = attempt(TITLE, partial(answer, runs, evaluated, base))
    chapters.insert(0, Chapter(TITLE, [opening]))
    if len(runs) > 1:
        parts = [attempt(title, partial(build, runs)) for title, build in COMPARED]
        members = member_styles([name for run in runs for name in run.members])
        chapters.append(Chapter('Comparison', parts, members))
    date = f'{datetime.now():%Y-%m-%d %H:%M}, mmseg_ctt {__version__}'
    title = 'Report on ' + ', '.join(run.name for run in runs)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(render(title, date, chapters), encoding='utf-8')
    return chapters


def _check_page(out: Path) -> None:
    """A former page is replaced, and no other file."""
    check_out_folder(out.parent)
    if out.is_dir():
        raise ValueError(f'--out {out} is a folder: give a file in it, such as {out}/report.html')
    if out.exists():
        with open(out, 'rb') as file:
            if not file.read(64).lstrip().lower().startswith(b'<!doctype html'):
                raise ValueError(f'--out {out} is there and is no page: give another name')


def _chapter(
    run: Run, options: NetworkOptions, labels: bool
) -> Tuple[Chapter, Optional[Evaluated]]:
    made, evaluated = network_parts(run, options, labels)
    for title, build in RECORDED:
        made[title] = attempt(title, partial(build, run))
    parts = [made[title] for title in ORDER]
    return Chapter(run.name, parts, member_styles(run.members)), evaluated
