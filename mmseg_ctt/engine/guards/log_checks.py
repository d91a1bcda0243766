# Copyright (c) mmseg_ctt contributors.
"""Checks of logged numbers; each gives one line with the remedy, or None."""

import math
from typing import Any, Mapping, Optional, Sequence


def not_finite(values: Mapping[str, float]) -> Optional[str]:
    """Logged values that are infinite or not a number.

    Args:
        values (Mapping[str, float]): By name.
    """
    bad = [f'{name}={value}' for name, value in values.items() if not math.isfinite(value)]
    if not bad:
        return None
    return (
        f'{", ".join(bad)}: lower optim_wrapper.optimizer.lr, or limit the gradients with '
        'optim_wrapper.clip_grad=dict(max_norm=10)'
    )


def teacher_below_student(
    scores: Mapping[str, Sequence[float]], times: int, margin: float
) -> Optional[str]:
    """Teachers worse than their students in each of the last ``times`` validations.

    Args:
        scores (Mapping[str, Sequence[float]]): Of ``student{i}`` and ``teacher{i}``, oldest
            first.
        times (int): Validations.
        margin (float): Difference up to which a teacher counts as equal, in units of the scores.
    """
    lagging = []
    for teacher in scores:
        student = teacher.replace('teacher', 'student')
        if teacher == student or student not in scores:
            continue
        pairs = list(zip(scores[teacher], scores[student]))[-times:]
        if len(pairs) == times and all(low < high - margin for low, high in pairs):
            lagging.append(f'{teacher} {pairs[-1][0]:.2f} < {pairs[-1][1]:.2f}')
    if not lagging:
        return None
    return (
        f'teachers worse than their students in {times} validations ({", ".join(lagging)}): '
        'update them faster with a lower default_hooks.teacher_ema.alpha, or give them the '
        "student's batch-norm statistics with default_hooks.teacher_ema.buffers=True"
    )


def confident_ratio(
    ratios: Mapping[str, float], window: int, margin: float, eval_teachers: bool = False
) -> Optional[str]:
    """Students for which no pseudo-label is confident, or every one.

    Args:
        ratios (Mapping[str, float]): Mean ratio of confident pixels by name.
        window (int): Iterations that the means are over.
        margin (float): Distance from 0 or 1 up to which a ratio counts as 0 or 1.
        eval_teachers (bool): Whether teachers in eval mode give the pseudo-labels.
            Defaults to False.
    """
    none = [name for name, ratio in ratios.items() if ratio <= margin]
    if none:
        remedies = 'lower model.consistency.confidence_threshold, or train longer'
        if eval_teachers:
            remedies += ', or set model.teacher_mode="train"'
        return (
            f'{", ".join(none)}: (almost) no pixel was confident in {window} iterations, so '
            f'the model learns nothing from unlabelled images: {remedies}'
        )
    every = [name for name, ratio in ratios.items() if ratio >= 1 - margin]
    if every:
        return (
            f'{", ".join(every)}: (almost) every pixel was confident in {window} iterations, '
            'wrong ones too: raise model.consistency.confidence_threshold, and inspect the '
            'pseudo-labels with default_hooks.pseudo_labels=dict(type="PseudoLabelHook")'
        )
    return None


def empty_queues(
    fill: Sequence[float], classes: Sequence[Any], iteration: int, waits: bool = True
) -> Optional[str]:
    """Classes whose queue in a memory bank is empty.

    Args:
        fill (Sequence[float]): Filled ratio of the emptiest queue of each class.
        classes (Sequence): Names, or numbers where there are no names.
        iteration (int): Iterations so far.
        waits (bool): Whether the contrast waits for full queues. Defaults to True.
    """
    empty = [str(name) for name, ratio in zip(classes, fill) if ratio == 0]
    if not empty:
        return None
    line = (
        f'after {iteration} iterations the memory bank of the contrast has no feature of '
        f'{", ".join(empty)}: labelled images do not show it, or no pixel of it is predicted '
        'right yet'
    )
    if waits:
        line += ', and set default_hooks.queue_warmup.start_iter, so that the contrast starts'
    return line
