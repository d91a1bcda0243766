# Copyright (c) mmseg_ctt contributors.
import time
from datetime import timedelta
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS
from rich.text import Text

from ..baseline_run import BaselineRun, Score, find_baseline, named_baseline
from ..live_line import LiveLine, can_redraw
from ..log_processor import MIB, resident_memory, wait_and_confidence
from ..run_pace import RunPace
from ..score_checks import TIMES, main_metric

KEY = 'default_hooks.live'
AUTO = 'auto'
PERIOD = 0.25  # seconds between two drawings
WINDOW = 10  # iterations of which loss and ratios are means, as in the log
SLOW = 0.1  # data wait from which it is yellow
BAR = (10, 40)  # fewest and most columns
GAP = '  '


class Figure(NamedTuple):
    """A figure of the live line.

    Attributes:
        text (str): In a wide terminal.
        short (str): In a narrow one.
        style (str): Of rich.
    """

    text: str
    short: str
    style: str = ''


@HOOKS.register_module()
class LiveLineHook(Hook):
    """A live line in the terminal while a run trains.

    It shows iteration, time left, loss, score of the last validation beside that of a baseline,
    ratio of confident pixels, ratio of the time in which a step waits for its batch, and memory.
    The console then leaves out the lines that say the same, and has a line for each validation. The
    log file has every line. Where standard output is no terminal, in a notebook, and on all ranks
    but the first nothing changes.

    Args:
        baseline (str, optional): Work folder of a run that was validated on the same data.
            Defaults to 'auto', the supervised run that :func:`find_baseline` finds; None: none.
        metric (str, optional): Score that is shown. Defaults to None: mIoU, or the first of the
            predicting member.
        all_lines (bool): Whether the console keeps all lines. Defaults to False.

    Raises:
        FileNotFoundError: Before training, if ``baseline`` has no run.
        ValueError: Before training, if ``baseline`` was validated on other data.
    """

    config_key = KEY
    priority = 'LOWEST'  # after the scores have been logged

    def __init__(
        self, baseline: Optional[str] = AUTO, metric: Optional[str] = None, all_lines: bool = False
    ) -> None:
        self.baseline, self.metric, self.all_lines = baseline, metric, all_lines
        self.line: Optional[LiveLine] = None

    def before_train(self, runner: Runner) -> None:
        """Check the baseline, and prepare the line where there is a terminal."""
        named = None if self.baseline in (None, AUTO) else named_baseline(runner.cfg, self.baseline)
        if not is_main_process() or not can_redraw():
            return
        run = find_baseline(runner.cfg, runner.work_dir) if self.baseline == AUTO else named
        self.line, self.pace = LiveLine(self.all_lines), RunPace()
        self.run: Optional[BaselineRun] = run
        self.drawn, self.memory, self.done = 0.0, 0, runner.iter
        self._read_scores(runner)

    def before_train_epoch(self, runner: Runner) -> None:
        """Start the line, behind the first lines of the run."""
        if self.line is not None and not self.line.active:
            if self.run is not None:
                self.line.print(Text(f'baseline: {self.run.folder}'))
            self.line.start()
            self._draw(runner)

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Optional[dict] = None,
        outputs: Optional[dict] = None,
    ) -> None:
        """Draw the figures of the iteration."""
        if self.line is not None:
            self.done = runner.iter + 1
            self.pace.end_iteration()
            self._draw(runner)

    def before_val_epoch(self, runner: Runner) -> None:
        """Time the validation."""
        if self._shows():
            self.pace.begin_validation()

    def after_val_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Optional[dict] = None,
        outputs: Optional[Any] = None,
    ) -> None:
        """Draw how far the validation is."""
        if self._shows():
            total = len(runner.val_dataloader)
            self.pace.end_image(batch_idx + 1, total)
            step = f'validation {batch_idx + 1} of {total}'
            self._draw(runner, Figure(step, f'val {batch_idx + 1}/{total}', 'cyan'))

    def after_val_epoch(self, runner: Runner, metrics: Optional[Dict[str, float]] = None) -> None:
        """Print a line with the score."""
        if not self._shows():
            return
        seconds = self.pace.end_validation()
        self._read_scores(runner)
        assert self.line is not None
        if self.score is not None:
            text = f'{self._score_figure().text}  validated in {_duration(seconds)}'
            self.line.print(Text(f'iteration {self.done}: {text}'))
        self._draw(runner, at_once=True)

    def after_train(self, runner: Runner) -> None:
        """End the line."""
        if self.line is not None:
            self.line.stop()
            self.line = None

    def _shows(self) -> bool:
        """Whether the line is on; a validation without training has none."""
        return self.line is not None and self.line.active

    # ---- figures

    def _draw(self, runner: Runner, stage: Optional[Figure] = None, at_once: bool = False) -> None:
        now = time.monotonic()
        if self.line is None or not (at_once or now - self.drawn >= PERIOD):
            return
        self.drawn = now
        figures = [*self._progress(runner, stage), *self._training(runner)]
        self.line.update(fitted(figures, self.line.width, self.done / max(runner.max_iters, 1)))

    def _progress(self, runner: Runner, stage: Optional[Figure]) -> List[Figure]:
        done, last = self.done, runner.max_iters
        figures = [Figure(f'iteration {done} of {last}', f'{done}/{last}', 'bold')]
        if stage is not None:
            figures.append(stage)
        left = self.pace.left(runner.train_loop, done)
        if left is not None:
            words, plus = ('', '') if left.with_validations else (' and validations', '+')
            duration = _duration(left.seconds)
            figures.append(Figure(f'{duration}{words} left', f'{duration}{plus}'))
        return figures

    def _training(self, runner: Runner) -> List[Figure]:
        hub, figures = runner.message_hub, []
        if 'train/loss' in hub.log_scalars:
            loss = hub.get_scalar('train/loss').mean(WINDOW)
            figures.append(Figure(f'loss {loss:.4f}', f'loss {loss:.3f}'))
        if self.score is not None:
            figures.append(self._score_figure())
        wait, confident = wait_and_confidence(hub, WINDOW)
        if confident is not None:
            figures.append(Figure(f'confident {confident:.0%}', f'conf {confident:.0%}'))
        if wait is not None:
            wait = min(wait, 1.0)
            style = 'yellow' if wait > SLOW else ''
            figures.append(Figure(f'data wait {wait:.0%}', f'wait {wait:.0%}', style))
        self.memory = max(self.memory, _memory())
        if self.memory:
            figures.append(Figure(f'{self.memory} MiB', f'{self.memory}M'))
        return figures

    def _score_figure(self) -> Figure:
        assert self.score is not None
        name, value = self.shown_metric, self.score
        if self.reference is None:
            return Figure(f'{name} {value:.2f}', f'{name} {value:.1f}')
        last, here = self.reference.value, self.reference_here
        other = last if here is None else here
        ends = f'{other:.2f}' if other == last else f'{other:.2f} here, {last:.2f} at its end'
        style = 'green' if value > other else ''
        return Figure(
            f'{name} {value:.2f} (baseline {ends})', f'{name} {value:.1f} ({other:.1f})', style
        )

    def _read_scores(self, runner: Runner) -> None:
        """The last validation, also one before a resume, and the last one of the baseline."""
        scores = {
            name[len('val/') :]: float(buffer.current())
            for name, buffer in runner.message_hub.log_scalars.items()
            if name.startswith('val/') and len(buffer.data[0])
        }
        self.shown_metric = self.metric or main_metric(list(scores))
        self.score = scores.get(self.shown_metric)
        if self.metric is not None and scores and self.score is None:
            runner.logger.warning(
                f'{KEY}.metric="{self.metric}" is no score of the validation, and is not shown: '
                f'give one of {", ".join(name for name in scores if name not in TIMES)}'
            )
        self.reference: Optional[Score] = (
            None if self.run is None else self.run.score(self.shown_metric)
        )
        self.reference_here: Optional[float] = (
            None if self.run is None else self.run.score_at(self.shown_metric, runner.iter)
        )


def fitted(figures: List[Figure], width: int, ratio: float) -> Text:
    """The figures in one line: with a bar, short, or the first ones, whatever has room.

    Args:
        figures (list[Figure]): The most important first.
        width (int): Columns.
        ratio (float): Of the run that is done.
    """
    long = _joined([(figure.text, figure.style) for figure in figures])
    room = width - len(long) - len(GAP)
    if room >= BAR[0]:
        size = min(room, BAR[1])
        filled = round(size * min(ratio, 1.0))
        bar = Text.assemble(('#' * filled, 'green'), ('-' * (size - filled), 'dim'))
        return Text.assemble(bar, GAP, long)
    if len(long) <= width:
        return long
    number = len(figures)
    while True:
        short = _joined([(figure.short, figure.style) for figure in figures[:number]])
        if len(short) <= width or not number:
            return short
        number -= 1


def _joined(parts: List[Tuple[str, str]]) -> Text:
    return Text(GAP).join(Text.assemble(part) for part in parts)


def _duration(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))


def _memory() -> int:
    """MiB of this rank: peak of the GPU since the last line of the log, or of the process."""
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated() / MIB)
    return resident_memory()
