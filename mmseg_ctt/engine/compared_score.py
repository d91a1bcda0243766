# Copyright (c) mmseg_ctt contributors.
from typing import Any, List, Mapping, NamedTuple, Optional, Sequence

from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner
from mmseg.evaluation.metrics import IoUMetric

from ..evaluation.volumes import RATIOS, score_of
from .harm_rule import KEY
from .member_loops import MemberLoopMixin
from .score_checks import check_score, members_of, names_of

MIOU = 'mIoU'
MARGIN = 1.0  # points of a score in per cent
LESS = 'less'  # of CheckpointHook.rule


class ComparedScore(NamedTuple):
    """Score by which a run is compared with its baseline.

    Attributes:
        name (str): Of the run, such as ``'ensemble/mIoU'``.
        plain (str): Of the baseline, such as ``'mIoU'``.
        members (Sequence[str]): Of the run, those that have scores of their own.
        margin (float): By which the run may be lower.
        is_ratio (bool): Whether it is from 0 to 1.
    """

    name: str
    plain: str
    members: Sequence[str]
    margin: float
    is_ratio: bool

    def best_of(self, scores: Mapping[str, float]) -> str:
        """Name of the highest score among those of the members.

        Args:
            scores (Mapping[str, float]): Of a validation, by name.
        """
        names = [f'{member}/{self.plain}' for member in self.members]
        return max([self.name, *(name for name in names if name in scores)], key=scores.__getitem__)

    def text(self, value: float) -> str:
        """A value with as many digits as the score needs."""
        return f'{value:.{4 if self.is_ratio else 2}f}'


def compared_score(runner: Runner, metric: Optional[str], margin: Optional[float]) -> ComparedScore:
    """The score that the settings of :class:`DoNoHarmHook` name, checked before the training.

    Args:
        runner (Runner): Of the run.
        metric (str, optional): Its name. None: that which chooses the best checkpoint, or mIoU.
        margin (float, optional): See :class:`DoNoHarmHook`.

    Raises:
        ValueError: If validation does not have it, lower is better, or the margin does not fit it.
    """
    name, metrics = metric or _best_metric(runner), runner.val_evaluator.metrics
    members = members_of(runner.model, isinstance(runner.val_loop, MemberLoopMixin))
    check_score(f'{KEY}.metric', name, metrics, members)
    plain = _plain(name, members)
    if _lower_is_better(runner, plain, members):
        raise ValueError(
            f'{KEY}.metric={name!r}: lower is better there; name another, such as "mIoU" or '
            '"volume/mDice"'
        )
    is_ratio = is_share(plain, metrics)
    if is_ratio and (margin is None or margin >= 1):
        raise ValueError(
            f'{KEY}.margin={margin}: {name} is from 0 to 1: set a margin on that scale, such as '
            '0.01, which is one point'
        )
    return ComparedScore(name, plain, members, MARGIN if margin is None else margin, is_ratio)


def _plain(name: str, members: Sequence[str]) -> str:
    """Name of a score without that of a member."""
    owner, _, rest = name.partition('/')
    return rest if owner in members else name


def _best_hooks(runner: Runner) -> List[CheckpointHook]:
    """Checkpoint hooks that keep the best one by scores that they name."""
    return [
        hook
        for hook in runner.hooks
        if isinstance(hook, CheckpointHook) and hook.save_best not in (None, 'auto')
    ]


def _best_metric(runner: Runner) -> str:
    """The metric that chooses the best checkpoint, or mIoU."""
    return next((hook.key_indicators[0] for hook in _best_hooks(runner)), MIOU)


def _lower_is_better(runner: Runner, plain: str, members: Sequence[str]) -> bool:
    """Whether that is known: of a distance, a loss, or by the rule of the best checkpoint."""
    rules = {
        _plain(name, members): rule
        for hook in _best_hooks(runner)
        for name, rule in zip(hook.key_indicators, hook.rules)
    }
    score = score_of(plain)
    if score is not None:
        return score not in RATIOS
    return rules[plain] == LESS if plain in rules else 'loss' in plain


def is_share(plain: str, metrics: Sequence[Any]) -> bool:
    """Whether a score is from 0 to 1; ``mDice`` of ``IoUMetric`` is in per cent.

    Args:
        plain (str): Its name, without that of a member.
        metrics (Sequence[BaseMetric]): Of validation.
    """
    percentages = [names_of(metric) or () for metric in metrics if isinstance(metric, IoUMetric)]
    return score_of(plain) in RATIOS and not any(plain in names for names in percentages)
