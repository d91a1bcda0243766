# Copyright (c) mmseg_ctt contributors.
"""The answer that the page opens with: did the unlabelled images help, and what to ship."""

from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence, Union

import numpy as np

from ...evaluation.bootstrap import DRAWS, LEAST, LEVEL, Difference, mean_iou_of, paired_bootstrap
from . import figures
from .evaluation import is_supervised, segments
from .networks import Evaluated, by_one_rule
from .parts import Block, Command, Figure, Notes, NothingToShow, Part, Table
from .portable import relative_path
from .recorded import NO_SCALARS, final_scores
from .runs import Run
from .verdict import ENSEMBLE, NO_BASELINE, network_name, shipping, still_rising, verdict

TITLE = 'Answer'  # of the chapter
HELPED, BETTER = 'Did the unlabelled images help?', 'Which run is better?'
SHIP = 'Which network to ship?'
FEW = 30  # images below which an interval is rough
TRAINING = (
    'The interval is the noise of the choice of images. The noise of training is not in it: with '
    'another seed the difference is another one. Train both again with other seeds before you '
    'trust a small difference.'
)


class Scored(NamedTuple):
    """Run with the scores of its members.

    Attributes:
        run (Run): The run.
        scores (dict[str, float]): mIoU by member, per cent.
        evaluated (Evaluated | None): Its networks on the validation images; None: the scores are
            those that the run recorded at its last validation.
    """

    run: Run
    scores: Dict[str, float]
    evaluated: Optional[Evaluated]

    @property
    def shipped(self) -> str:
        """Network that the run predicts with: it was not chosen on these images.

        The ensemble is several networks, and cannot be exported as one: then the best of them.
        """
        single = {name: score for name, score in self.scores.items() if name != ENSEMBLE}
        made = self.evaluated
        predicting = self.run.predicting if made is None else made.result.predicting
        if predicting in single:
            return predicting
        return max(single, key=lambda name: single[name])


def choose_baseline(runs: Sequence[Run], given: Union[str, Path, None] = None) -> int:
    """Index of the run that others are compared with.

    Args:
        runs (Sequence[Run]): All runs.
        given (str | Path, optional): Its work folder. Defaults to None: the first supervised run,
            else the first run.

    Raises:
        ValueError: If the folder is not that of a run.
    """
    if given is not None:
        folders = [run.folder.resolve() for run in runs]
        if Path(given).resolve() not in folders:
            names = ', '.join(str(run.folder) for run in runs)
            raise ValueError(f'--baseline {given} is none of the work folders: {names}')
        return folders.index(Path(given).resolve())
    return next((i for i, run in enumerate(runs) if is_supervised(run.config)), 0)


def answer(runs: Sequence[Run], evaluated: Sequence[Optional[Evaluated]], baseline: int) -> Part:
    """The answer.

    Args:
        runs (Sequence[Run]): All runs.
        evaluated (Sequence[Evaluated | None]): Of each; None where the networks were not run.
        baseline (int): Index of the baseline; of a single run its own.

    Raises:
        NothingToShow: If a method learns features alone.
        ValueError: If a run has no score, or the runs have other validation images.
    """
    if not all(segments(run.config) for run in runs):
        raise NothingToShow('the method learns features alone, and has no segmentation')
    complete = None not in evaluated
    evaluated = by_one_rule(evaluated)
    scored = [_scored(run, made if complete else None) for run, made in zip(runs, evaluated)]
    if len(runs) == 1:
        return _alone(scored[0])
    base = scored.pop(baseline)
    if complete:
        _check_same_images([base, *scored])
    best = max(scored, key=lambda other: other.scores[other.shipped])
    found = {
        (other.run.name, name): _difference(base, other, name)
        for other in [base, *scored]
        for name in other.scores
    }
    main = found[best.run.name, best.shipped]
    blocks: List[Block] = [Notes(_notes(base, best, scored)), _members(base, scored, found)]
    if main is not None:
        blocks += _classes(base, best, main)
    unlabeled = is_supervised(base.run.config) and not is_supervised(best.run.config)
    gain = best.scores[best.shipped] - base.scores[base.shipped]
    rising = still_rising(base.run.name, base.run.score(base.shipped))
    return Part(
        HELPED if unlabeled else BETTER,
        _how(base, best, main),
        blocks,
        headline=verdict(
            (base.run.name, base.shipped, base.scores[base.shipped]),
            (best.run.name, best.shipped, best.scores[best.shipped]),
            main.miou if main else None,
            gain,
            unlabeled=unlabeled,
        )
        + (rising if unlabeled and gain > 0 else ''),
    )


def _scored(run: Run, made: Optional[Evaluated]) -> Scored:
    if made is None:
        scores = final_scores(run)
    else:
        scores = {
            name: 100 * float(mean_iou_of(areas.sum(axis=0), made.result.labelled_only))
            for name, areas in made.result.areas.items()
        }
    scores = {name: score for name, score in scores.items() if not np.isnan(score)}
    if not {*scores} - {ENSEMBLE}:
        raise ValueError(f'{run.name} has no mIoU: {NO_SCALARS}')
    return Scored(run, scores, made)


def _check_same_images(scored: Sequence[Scored]) -> None:
    """All runs were evaluated on the same images with the same classes."""
    sets = []
    for other in scored:
        assert other.evaluated is not None
        result, dataset = other.evaluated.result, other.evaluated.dataset
        paths = [str(Path(path).resolve()) for path in result.paths]
        sets.append((paths, list(dataset.metainfo['classes'])))
    for other, (paths, classes) in zip(scored, sets):
        if paths != sets[0][0]:
            what = 'validation images'
        elif classes != sets[0][1]:
            what = 'classes'
        else:
            continue
        raise ValueError(
            f'{scored[0].run.name} and {other.run.name} have other {what}: set the same '
            'val_dataloader.dataset in the configs of their work folders'
        )


def _difference(base: Scored, other: Scored, member: str) -> Optional[Difference]:
    if base.evaluated is None or other.evaluated is None:
        return None
    return paired_bootstrap(
        base.evaluated.result.areas[base.shipped],
        other.evaluated.result.areas[member],
        labelled_only=base.evaluated.result.labelled_only,
    )


def _alone(scored: Scored) -> Part:
    """The member to ship of a single run, and how to get a baseline."""
    supervised = is_supervised(scored.run.config)
    rows = [(name, f'{score:.2f}') for name, score in scored.scores.items()]
    blocks: List[Block] = [Notes([shipping(scored.shipped, scored.scores, scored.run.name)])]
    if not supervised:
        blocks += [Notes([NO_BASELINE]), Command(baseline_command(scored.run))]
    blocks.append(Table(('member', 'mIoU'), rows))
    score = scored.scores[scored.shipped]
    if supervised:
        headline = (
            f'{network_name(scored.shipped, scored.run.name)} has {score:.1f} % mIoU. It is a '
            'supervised run: add the run of a method to see what unlabelled images give.'
        )
    else:
        headline = (
            f'Ship {scored.shipped}: {score:.1f} % mIoU. Whether the unlabelled images helped '
            'cannot be told without a baseline.'
        )
    return Part(SHIP, _images(scored), blocks, headline=headline)


def baseline_command(run: Run) -> str:
    """Commands that train the supervised baseline of a run, and compare the two."""
    config = relative_path(run.recorded[0]) if run.recorded else 'CONFIG'
    own = relative_path(run.folder)
    folder = f'{own}_supervised'
    return (
        f'python tools/train.py {config} --work-dir {folder} --cfg-options method=supervised\n'
        f'python tools/analysis_tools/report.py {folder} {own}'
    )


def _notes(base: Scored, best: Scored, others: Sequence[Scored]) -> List[str]:
    ship = best if best.scores[best.shipped] >= base.scores[base.shipped] else base
    lines = [shipping(ship.shipped, ship.scores, ship.run.name)]
    if best.evaluated is not None:
        lines.append(TRAINING)
        number = best.evaluated.result.images
        if number < LEAST:
            lines.append(f'{number} images are few: with less than {LEAST} there is no interval.')
        elif number < FEW:
            lines.append(f'{number} images are few: with less than {FEW} the interval is rough.')
    if not is_supervised(base.run.config):
        lines.append(
            f'{base.run.name} is no supervised run, so this compares two methods. {NO_BASELINE}'
        )
    if len(others) > 1:
        lines.append(f'Of {len(others)} runs, {best.run.name} has the highest mIoU.')
    return lines


def _images(scored: Scored) -> str:
    if scored.evaluated is None:
        return 'From the last validation that the run recorded.'
    result = scored.evaluated.result
    part = 'all' if result.images == result.of else f'{result.images} evenly spread of the'
    return f'Measured on {part} {result.of} validation images.'


def _how(base: Scored, best: Scored, main: Optional[Difference]) -> str:
    if main is None:
        return (
            'From the last validations that the runs recorded; without the networks there is no '
            'interval.'
        )
    first, second = (network_name(made.shipped, made.run.name) for made in (best, base))
    return (
        f'{_images(best)} Difference: mIoU of {first} minus that of {second}, on the same images. '
        f'Interval: {LEVEL} % percentile interval of the paired bootstrap, {DRAWS:,} draws of '
        'as many images with replacement, seed 0.'
    )


def _members(base: Scored, others: Sequence[Scored], found: Dict) -> Table:
    rows: List[Sequence[str]] = []
    for other in [base, *others]:
        for name, score in other.scores.items():
            made = found[other.run.name, name]
            own = other is base and name == base.shipped
            gain = score - base.scores[base.shipped]
            interval = '–' if made is None or own else _interval(made.miou)
            rows.append(
                (other.run.name, name, f'{score:.2f}', '–' if own else f'{gain:+.2f}', interval)
            )
    head = ('run', 'member', 'mIoU (%)', 'difference', f'{LEVEL} % interval')
    return Table(head, rows)


def _classes(base: Scored, best: Scored, main: Difference) -> List[Block]:
    """IoU differences of the classes, as bars and as a table."""
    assert base.evaluated is not None and best.evaluated is not None
    names = best.evaluated.dataset.metainfo['classes']
    iou = [
        100 * other.evaluated.result.class_iou(other.shipped)
        for other in (base, best)
        if other.evaluated is not None
    ]
    parts = 100 * np.array([tuple(interval) for interval in main.classes])
    values, low, high = parts.T
    html = figures.class_differences(names, values, low, high, 'difference of IoU (points)')
    rows = [
        [
            name,
            *('–' if np.isnan(values[k]) else f'{values[k]:.2f}' for values in iou),
            '–' if np.isnan(parts[k, 0]) else f'{parts[k, 0]:+.2f}',
            _interval(main.classes[k]),
        ]
        for k, name in enumerate(names)
    ]
    head = ('class', base.run.name, best.run.name, 'difference', f'{LEVEL} % interval')
    return [
        Figure(html, f'IoU of {best.run.name} minus that of {base.run.name}, with interval'),
        Table(head, rows),
    ]


def _interval(interval) -> str:
    if np.isnan(interval.low):
        return '–'
    return f'{100 * interval.low:+.2f} to {100 * interval.high:+.2f}'
