# Copyright (c) mmseg_ctt contributors.
"""Warnings from logged numbers: one line with the remedy, or None."""

import math
from typing import Mapping, Optional, Sequence


def not_finite(values: Mapping[str, float]) -> Optional[str]:
    """Which of the logged values are infinite or not a number.

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


def confident_ratio(ratios: Mapping[str, float], window: int, margin: float) -> Optional[str]:
    """Students that learn from no pseudo-label, or from every one.

    Args:
        ratios (Mapping[str, float]): Mean ratio of confident pixels by name.
        window (int): Iterations that the means are over.
        margin (float): Distance from 0 or 1 that counts as being there.
    """
    none = [name for name, ratio in ratios.items() if ratio <= margin]
    if none:
        return (
            f'{", ".join(none)}: (almost) no pixel was confident in {window} iterations, so '
            'unlabelled images teach nothing: lower model.consistency.'
            'confidence_threshold, train longer, or see model.teacher_mode'
        )
    every = [name for name, ratio in ratios.items() if ratio >= 1 - margin]
    if every:
        return (
            f'{", ".join(every)}: (almost) every pixel was confident in {window} iterations, '
            'wrong ones too: raise model.consistency.confidence_threshold, and see the '
            'pseudo-labels'
        )
    return None


def empty_queues(fill: Sequence[float], classes: Sequence[str], iteration: int) -> Optional[str]:
    """Classes whose queue holds nothing.

    Args:
        fill (Sequence[float]): Filled ratio of the emptiest queue of each class.
        classes (Sequence[str]): Names.
        iteration (int): Iterations so far.
    """
    empty = [str(name) for name, ratio in zip(classes, fill) if ratio == 0]
    if not empty:
        return None
    return (
        f'after {iteration} iterations no pixel of {", ".join(empty)} was classified correctly '
        'by some teacher, so the contrast has no feature of it: check that labelled images show '
        'it, and set default_hooks.queue_warmup.start_iter so that the contrast does not wait'
    )
