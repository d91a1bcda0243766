# Copyright (c) mmseg_ctt contributors.
"""Report on runs: from their work folders to an HTML file."""

from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Callable, List, Optional, Sequence, Tuple, Union

from ...version import __version__
from . import comparison, recorded
from .colours import member_styles
from .networks import NetworkOptions, network_parts
from .page import Chapter, render
from .parts import Part, attempt
from .runs import Run, read_runs

Builders = Sequence[Tuple[str, Callable[[Run], Part]]]
RECORDED: Builders = (
    ('Losses', recorded.losses),
    ('mIoU of every member', recorded.miou),
    ('Class memory banks', recorded.queue_fill),
    ('Pseudo-labels', recorded.pseudo_labels),
)
SETTINGS: Builders = (('Settings and environment', recorded.settings),)
COMPARED = (('Scores', comparison.scores), ('Differences of settings', comparison.differences))


def write_report(
    folders: Sequence[Union[str, Path]],
    out: Union[str, Path],
    checkpoint: str = 'last',
    options: Optional[NetworkOptions] = None,
) -> List[Chapter]:
    """Write a report on runs.

    Args:
        folders (Sequence[str | Path]): Work folders.
        out (str | Path): HTML file to write.
        checkpoint (str): ``'last'`` or ``'best'``. Defaults to 'last'.
        options (NetworkOptions, optional): Parts that run the networks. Defaults to None: all.

    Returns:
        list[Chapter]: Chapters of the page.

    Raises:
        FileNotFoundError: If a folder does not exist or is not of a run.
        ValueError: If a folder is given twice.
    """
    runs = read_runs([Path(folder) for folder in folders], checkpoint)
    chapters = [_chapter(run, options or NetworkOptions()) for run in runs]
    if len(runs) > 1:
        parts = [attempt(title, partial(build, runs)) for title, build in COMPARED]
        members = member_styles([name for run in runs for name in run.members])
        chapters.insert(0, Chapter('Comparison', parts, members))
    made = f'{datetime.now():%Y-%m-%d %H:%M}, mmseg_ctt {__version__}'
    title = 'Report on ' + ', '.join(run.name for run in runs)
    out = Path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(render(title, made, chapters), encoding='utf-8')
    return chapters


def _chapter(run: Run, options: NetworkOptions) -> Chapter:
    def attempts(builders: Builders) -> List[Part]:
        return [attempt(title, partial(build, run)) for title, build in builders]

    parts = [*attempts(RECORDED), *network_parts(run, options), *attempts(SETTINGS)]
    return Chapter(run.name, parts, member_styles(run.members))
