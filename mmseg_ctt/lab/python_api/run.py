# Copyright (c) mmseg_ctt contributors.
import re
from functools import cached_property
from pathlib import Path
from typing import Dict, List, Optional, Union

import torch
from mmseg.models.segmentors import BaseSegmentor

from ...deploy.api import load_model
from ...visualization.html import picture_html
from ..report.colours import PLAIN_MODEL
from ..report.runs import read_runs
from ..report.scalars import Curve
from . import pictures
from .scores import Scores

# Scores of a plain segmentor, whose keys have no member in front.
PLAIN_SCORE = re.compile(r'(volume/)?(m[A-Z]\w*|aAcc)')


class TrainingRun:
    """A training, read from its work folder; in a notebook it shows curves and predictions.

    Args:
        work_dir (str | Path): Of :func:`mmseg_ctt.apis.train` or ``tools/train.py``.

    Attributes:
        work_dir (Path): The folder, absolute.
        config (Path): Config that the run recorded.
        checkpoint (Path | None): Newest checkpoint; None before the first.
        curves (dict[str, Curve]): ``steps`` and ``values`` of every logged number, such as
            ``curves['teacher0/mIoU']``.
        members (list[str]): Networks that are scored; ``['model']`` for a plain segmentor.
        member (str): The member that predicts by default.

    Raises:
        FileNotFoundError: If the folder does not exist, or holds no run with its config.
    """

    def __init__(self, work_dir: Union[str, Path]) -> None:
        self.work_dir = Path(work_dir).resolve()
        (self.record,) = read_runs([self.work_dir])
        if not self.record.recorded:
            raise FileNotFoundError(f'{work_dir} holds no config: give the work folder of a run')
        self.config: Path = self.record.recorded[0]
        self.checkpoint: Optional[Path] = self.record.checkpoint
        self.curves: Dict[str, Curve] = self.record.curves
        self.members: List[str] = self.record.members
        self.member: str = self.record.predicting

    @property
    def scores(self) -> Scores:
        """Scores of the last validation, by member; empty if the run has not validated."""
        values: Dict[str, Dict[str, float]] = {}
        for member in self.members:
            for key, curve in self.curves.items():
                metric = _metric(member, key)
                if metric:
                    values.setdefault(member, {})[metric] = curve.last
        return Scores(values, {}, self.member, 'last validation')

    def model(
        self, member: Optional[str] = None, device: Union[str, torch.device] = 'cpu'
    ) -> BaseSegmentor:
        """Trained network, for :func:`mmseg_ctt.apis.predict`.

        Args:
            member (str, optional): See :func:`mmseg_ctt.apis.load_model`. Defaults to None:
                :attr:`member`.
            device (str | torch.device): Defaults to 'cpu'.

        Raises:
            ValueError: If the run has no checkpoint or no such member.
        """
        return load_model(self.config, self.saved_checkpoint(), member, device)

    def saved_checkpoint(self) -> Path:
        """The newest checkpoint.

        Raises:
            ValueError: If there is none.
        """
        if self.checkpoint is None:
            raise ValueError(f'{self.work_dir} holds no checkpoint yet: train with resume=True')
        return self.checkpoint

    def __str__(self) -> str:
        saved = self.checkpoint.name if self.checkpoint else 'no checkpoint'
        return f'{self.work_dir.name}: {saved} in {self.work_dir}\n{self.scores}'

    def __repr__(self) -> str:
        return f'TrainingRun({str(self.work_dir)!r})'

    @cached_property
    def _curves_png(self) -> bytes:
        return pictures.curves(self.record)

    @cached_property
    def _predictions(self) -> Union[bytes, str]:
        """PNG, or why there is none."""
        return pictures.predictions(self.record)

    def _repr_html_(self) -> str:
        shown = self._predictions
        below = shown if isinstance(shown, str) else picture_html(shown, 'predictions')
        return (
            f'<div><p><b>{self.work_dir.name}</b>: <code>{self.work_dir}</code></p>'
            f'{self.scores._repr_html_()}{picture_html(self._curves_png, "curves")}'
            f'<p>{below}</p></div>'
        )

    def _repr_png_(self) -> bytes:
        shown = [self._curves_png]
        return pictures.stacked(
            [*shown, self._predictions] if isinstance(self._predictions, bytes) else shown
        )


def _metric(member: str, key: str) -> Optional[str]:
    if member == PLAIN_MODEL:
        return key if PLAIN_SCORE.fullmatch(key) else None
    return key[len(member) + 1 :] if key.startswith(f'{member}/') else None
