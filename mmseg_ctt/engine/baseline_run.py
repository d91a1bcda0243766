# Copyright (c) mmseg_ctt contributors.
"""Score of a baseline run, from its work folder; only of one that was validated on equal data."""

import json
from functools import partial
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence

import numpy as np
from mmengine.config import Config

from ..datasets.sources import LABELED, source_config, source_names
from ..methods import registered_methods
from .recorded_config import read_recorded

NAMES = 'supervised*'  # work folders beside that of the run
ROUNDING = 1e-3  # iterations: 29 / 100 * 100 is a little less than 29
VALIDATION = ('val_dataloader.dataset', 'val_evaluator')


class Score(NamedTuple):
    """Score of a validation.

    Attributes:
        value (float): In the unit of the metric.
        step (int): Iteration of the validation.
    """

    value: float
    step: int


class BaselineRun:
    """A run that another is compared with: the last start in a work folder, and those it resumed.

    Args:
        folder (Path): Its work folder; it may still be training.
        accepts (Callable): Whether the config of a start in it is that of a baseline.
    """

    def __init__(self, folder: Path, accepts: Callable[[Optional[Config]], bool]) -> None:
        self.folder, self._accepts = folder, accepts

    def newest(self) -> Optional[Path]:
        """``vis_data`` of the last start; None where there is none, or none of a baseline."""
        return next(self._starts(), None)

    def score(self, metric: str) -> Optional[Score]:
        """Score of the last validation.

        Args:
            metric (str): Such as ``'mIoU'``.

        Returns:
            Score: None before the first validation.
        """
        return next(reversed([None, *self.curve(metric)]))

    def score_at(self, metric: str, step: int) -> Optional[float]:
        """Score of the validation after an iteration, None where there was none.

        Args:
            metric (str): Such as ``'mIoU'``.
            step (int): Iterations done.
        """
        found = (score.value for score in self.curve(metric) if score.step == step)
        return next(found, None)

    def curve(self, metric: str) -> List[Score]:
        """Scores of all validations, by iteration.

        Of a start that another resumed they are those before the first iteration that the other
        has logged: what followed there was given up.

        Args:
            metric (str): Such as ``'mIoU'``.
        """
        found: List[Score] = []
        begin = float('inf')
        for start in self._starts():
            rows = list(_rows(start))
            found = [score for score in _scores(rows, metric) if score.step < begin] + found
            begin = min([begin, *(_step(row) for row in rows)])
        return found

    def score_at_progress(self, metric: str, progress: float) -> Optional[float]:
        """Score at a ratio of the training, between validations by linear interpolation.

        Args:
            metric (str): Such as ``'mIoU'``.
            progress (float): Ratio of its iterations, in [0, 1].

        Returns:
            float: Behind the last validation so far, its score; None before the first one, and
            where the recorded config has no ``max_iters``.
        """
        curve, total = self.curve(metric), self.max_iters()
        if not curve or not total or progress * total < curve[0].step - ROUNDING:
            return None
        steps, values = [score.step for score in curve], [score.value for score in curve]
        return float(np.interp(progress * total, steps, values))

    def max_iters(self) -> Optional[int]:
        """Length of the last start, by its recorded config; None for one by epochs."""
        start = self.newest()
        cfg = None if start is None else read_recorded(start / 'config.py')
        return None if cfg is None else _at(cfg, 'train_cfg.max_iters')

    def _starts(self) -> Iterator[Path]:
        """The newest first; one that resumed none ends them, and so does one of another kind."""
        for start in _starts(self.folder):
            cfg = read_recorded(start / 'config.py')
            if not self._accepts(cfg):
                return
            yield start
            if cfg is None or not cfg.get('resume'):
                return


def find_baseline(cfg: Config, work_dir: str) -> Optional[BaselineRun]:
    """The supervised baseline of a run, among the work folders beside its own.

    That is one named ``supervised*`` whose last start trained a plain network with the backbone and
    the decode head of the run's networks, on the same labelled images, and validated on the same
    data with the same metrics, by the settings of both configs. Of several it is the newest.

    Args:
        cfg (Config): Of a semi-supervised run.
        work_dir (str): Its work folder.

    Returns:
        BaselineRun: None where there is none, and for a run that is no method of this package.
    """
    if (cfg.get('model') or {}).get('type') not in registered_methods():
        return None
    own = Path(work_dir).absolute()
    found = {}
    for folder in own.parent.glob(NAMES):
        run = BaselineRun(folder, partial(_is_baseline, cfg))
        start = None if folder == own else run.newest()
        if start is not None:
            found[start.parent.name] = run
    return found[max(found)] if found else None


def named_baseline(
    cfg: Config,
    folder: str,
    key: str = 'default_hooks.live.baseline',
    without: str = 'None for no baseline',
) -> BaselineRun:
    """The run in a work folder that the user names as the baseline.

    Args:
        cfg (Config): Of the run.
        folder (str): Work folder of the other.
        key (str): Place in the config, for errors. Defaults to that of the live line.
        without (str): What to set for no baseline. Defaults to that of the live line.

    Raises:
        FileNotFoundError: If it has no run.
        ValueError: If it was validated on other data, or with other metrics.
    """
    start = next(_starts(Path(folder)), None)
    key = f'{key}="{folder}"'
    if start is None:
        raise FileNotFoundError(
            f'{key}: this folder has no run (DATE/vis_data/scalars.json): give the work dir of a '
            f'training, "auto", or {without}'
        )
    different = _differences(cfg, read_recorded(start / 'config.py'))
    if different:
        raise ValueError(
            f'{key}: that run and this one differ in {" and ".join(different)}, so that their '
            f'scores cannot be compared: give another work dir, or {without}'
        )
    return BaselineRun(Path(folder), lambda other: not _differences(cfg, other))


def _starts(folder: Path) -> Iterator[Path]:
    """``vis_data`` of the trainings in a work folder, the newest first."""
    for path in sorted(folder.glob('*/vis_data/scalars.json'), reverse=True):
        if (path.parent / 'config.py').is_file():
            yield path.parent


def _rows(start: Path) -> Iterator[Dict[str, Any]]:
    """What a start has logged, in its order."""
    for line in (start / 'scalars.json').read_text().splitlines():
        try:
            yield json.loads(line)
        except ValueError:  # of a run that is writing it, or was killed
            continue


def _step(row: Mapping[str, Any]) -> int:
    return int(row.get('step', 0))


def _scores(rows: Sequence[Mapping[str, Any]], metric: str) -> Iterator[Score]:
    """Scores of the validations among the rows, in their order."""
    for row in rows:
        value = row.get(metric, row.get(f'val/{metric}'))
        if isinstance(value, (int, float)):
            yield Score(float(value), _step(row))


def _differences(cfg: Config, other: Optional[Config]) -> List[str]:
    """Settings of the validation in which two configs differ."""
    if other is None:
        return list(VALIDATION)
    return [key for key in VALIDATION if _plain(_at(other, key)) != _plain(_at(cfg, key))]


def _is_baseline(cfg: Config, other: Optional[Config]) -> bool:
    """Whether the second config is that of the supervised baseline of the first."""
    if other is None or 'model' not in other or other.model.get('type') in registered_methods():
        return False
    network = cfg.model.get('segmentor') or {}
    same_network = all(
        _plain(other.model.get(part)) == _plain(network.get(part))
        for part in ('backbone', 'decode_head')
    )
    labels = _labels(cfg)
    return (
        same_network
        and labels is not None
        and labels == _labels(other)
        and not _differences(cfg, other)
    )


def _labels(cfg: Config) -> Any:
    """Data set of the labelled images without its pipeline; None where there is no such source."""
    data = _at(cfg, 'train_dataloader.dataset') or {}
    if LABELED not in source_names(data):
        return None
    return _without_pipelines(_plain(source_config(data, LABELED)))


def _without_pipelines(node: Any) -> Any:
    if isinstance(node, dict):
        return {
            name: _without_pipelines(value) for name, value in node.items() if name != 'pipeline'
        }
    return [_without_pipelines(value) for value in node] if isinstance(node, list) else node


def _at(cfg: Config, key: str) -> Any:
    node: Any = cfg
    for name in key.split('.'):
        node = node.get(name) if isinstance(node, (Mapping, Config)) else None
    return node


def _plain(node: Any) -> Any:
    """Dicts, lists and numbers alone: a recorded config may have lists for tuples."""
    return json.loads(json.dumps(node, default=str, sort_keys=True))
