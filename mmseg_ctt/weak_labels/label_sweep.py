# Copyright (c) mmseg_ctt contributors.
"""Scores of pseudo-labels at several levels of a rule, without writing any."""

from functools import partial
from typing import List, Tuple

import numpy as np

from .label_quality import check_truth, confusion
from .parallel import check_jobs, each_file
from .pseudo_labels import PseudoLabelJob, Report, check_job, label_image, prepare_image


def sweep(
    job: PseudoLabelJob, name: str, values: List[float], jobs: int, report: Report
) -> List[np.ndarray]:
    """Summed confusion for several values of a setting of the rule; nothing is written.

    Args:
        job (PseudoLabelJob): With truth.
        name (str): Setting of the rule.
        values (list[float]): Its values.
        jobs (int): Processes.
        report (Callable[[str], None]): Gets lines on the progress.

    Raises:
        FileNotFoundError: See :func:`check_job`.
        ValueError: See :func:`check_job` and :func:`.label_quality.check_truth`.
    """
    check_jobs(jobs)
    for value in values:
        check_job(job._replace(settings={**job.settings, name: value}))
    assert job.truth is not None
    check_truth(job.truth, job.images)
    items = [(stem,) for stem in job.maps.stems]
    found = each_file(partial(_try_one, job=job, name=name, values=values), items, jobs, report)
    return [sum(counts) for counts in zip(*found)]


def _try_one(
    item: Tuple[str], job: PseudoLabelJob, name: str, values: List[float]
) -> List[np.ndarray]:
    assert job.truth is not None
    (stem,), classes = item, len(job.maps.classes)
    given = prepare_image(job, stem)
    labels = [label_image(job, stem, given, **{name: value}) for value in values]
    return [confusion(job.truth, stem, label, classes) for label in labels]
