# Copyright (c) mmseg_ctt contributors.
"""Folders of masks of several raters, fused image by image in parallel processes.

``tools/consensus/fuse_annotations.py`` calls it. All files are read and checked before one is
written.
"""

import json
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from functools import partial
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from ..version import __version__
from .agreement import AgreementTable, all_pair_counts, fleiss_kappa, mean_of
from .cases import Case, load_case, masks_by_rater, write_map
from .consensus import check_cut
from .fusion import FusionSettings, fuse
from .votes import MISSING, differing

MASKS, MARGIN, COMPLETED, PROBABILITY = 'masks', 'consensus_margin', 'completed', 'probability'
SCORES = 'scores.json'
Report = Callable[[str], None]


class FusionJob(NamedTuple):
    """What is fused, and where it goes.

    Attributes:
        cases (Sequence[Case]): From :func:`.cases.find_cases`.
        raters (Sequence[str]): Their names.
        classes (Sequence[str]): Names of the classes, K.
        settings (FusionSettings): Method and settings.
        out (Path): Folder; it must be empty or not exist.
        completed (bool): Whether completed annotations are written (``consensus``).
    """

    cases: Sequence[Case]
    raters: Sequence[str]
    classes: Sequence[str]
    settings: FusionSettings
    out: Path
    completed: bool = False


def check_job(job: FusionJob) -> None:
    """Check the settings and that no file would be replaced.

    Raises:
        FileExistsError: If the folder has files.
        ValueError: For a setting without a meaning.
    """
    job.settings.check()
    for is_volume in {case.is_volume for case in job.cases}:
        if job.settings.method == 'consensus':
            job.settings.consensus.check(3 if is_volume else 2)
    if job.completed and job.settings.method != 'consensus':
        raise ValueError(
            f'method={job.settings.method!r} completes no annotations: leave --completed out'
        )
    if job.out.exists() and (not job.out.is_dir() or any(job.out.iterdir())):
        raise FileExistsError(f'{job.out} is not empty: choose another folder, or remove it')


def fuse_folders(job: FusionJob, jobs: int, report: Report) -> Dict[str, Any]:
    """Check all files, fuse every image, write the results.

    Args:
        job (FusionJob): What is fused.
        jobs (int): Processes.
        report (Callable[[str], None]): Gets a line for each image.

    Returns:
        dict: What :data:`SCORES` holds.

    Raises:
        FileExistsError: See :func:`check_job`.
        ValueError: For the first image, in order, with something wrong.
    """
    check_job(job)
    if jobs < 1:
        raise ValueError(f'jobs={jobs} must be positive')
    examined: Dict[str, Dict[str, Any]] = {}
    fused: Dict[str, Dict[str, Any]] = {}
    with ProcessPoolExecutor(min(jobs, len(job.cases))) as pool:
        task = partial(examine, num_classes=len(job.classes), settings=job.settings)
        for case, found in _in_order(pool, task, job):
            examined[case.name] = found
        report(f'checked {len(job.cases)} images of {len(job.raters)} raters')
        for case, found in _as_they_come(pool, partial(fuse_case, job=_without_cases(job)), job):
            fused[case.name] = found
            report(f'[{len(fused)}/{len(job.cases)}] {case.name}')
    table = AgreementTable(job.raters, len(job.classes))
    for case in job.cases:
        table.add_counts(examined[case.name].pop('counts'))
    scores = _scores(job, table, examined, fused)
    (job.out / SCORES).write_text(json.dumps(scores, indent=1) + '\n', encoding='utf-8')
    return scores


def _without_cases(job: FusionJob) -> FusionJob:
    return job._replace(cases=())  # not sent to the processes once for each image


def _in_order(
    pool: ProcessPoolExecutor, task: Callable[[Case], Any], job: FusionJob
) -> Iterator[Tuple[Case, Any]]:
    yield from zip(job.cases, pool.map(task, job.cases))


def _as_they_come(
    pool: ProcessPoolExecutor, task: Callable[[Case], Any], job: FusionJob
) -> Iterator[Tuple[Case, Any]]:
    running: Dict[Future, Case] = {pool.submit(task, case): case for case in job.cases}
    try:
        for future in as_completed(running):
            yield running[future], future.result()
    except BaseException:
        for future in running:
            future.cancel()
        raise


def examine(
    case: Case, num_classes: int, settings: Optional[FusionSettings] = None
) -> Dict[str, Any]:
    """Check the files of a case; counts of agreement and of annotated pixels.

    Args:
        case (Case): From :func:`.cases.find_cases`.
        num_classes (int): Number of classes.
        settings (FusionSettings, optional): Of the fusion, for which the case may be too large.
            Defaults to None: this is not checked.

    Returns:
        dict: ``counts`` of :func:`.agreement.all_pair_counts`, ``annotated`` (part of the pixels,
        by rater), ``differing`` (part of the pixels that two raters gave different classes) and
        ``fleiss_kappa``.

    Raises:
        ValueError: See :func:`.cases.load_case` and :func:`.consensus.check_cut`.
    """
    labels = load_case(case, num_classes).labels
    if settings is not None and settings.method == 'consensus':
        try:
            check_cut(labels, num_classes, settings.consensus)
        except ValueError as error:
            raise ValueError(f'{case.image}: {error}') from None
    known = labels != MISSING
    present = labels[known.reshape(len(labels), -1).any(axis=1)]
    return dict(
        counts=all_pair_counts(labels, num_classes),
        annotated=[float(part.mean()) for part in known],
        differing=float(differing(labels).mean()),
        fleiss_kappa=mean_of([fleiss_kappa(present, num_classes)]),
    )


def fuse_case(case: Case, job: FusionJob) -> Dict[str, Any]:
    """Fuse the annotations of one image and write its maps.

    Args:
        case (Case): From :func:`.cases.find_cases`.
        job (FusionJob): Settings and folder.

    Returns:
        dict: Scores of the raters, the mean margin and the part of pixels of each class.
    """
    image, labels, spacing = load_case(case, len(job.classes))
    fused = fuse(image, labels, len(job.classes), job.settings, spacing)
    file = case.name + case.suffix
    write_map(job.out / MASKS / file, fused.label, case)
    write_map(job.out / MARGIN / file, fused.margin, case)
    if job.settings.method == 'soft' and fused.probability is not None:
        for name, values in zip(job.classes, fused.probability):
            write_map(job.out / PROBABILITY / name / file, values, case)
    if job.completed and fused.completed is not None:
        for name, path, label in zip(job.raters, case.masks, fused.completed):
            if path is not None:
                write_map(job.out / COMPLETED / name / file, label, case)
    return dict(fused.scores, mean_margin=float(fused.margin.mean()))


def _scores(
    job: FusionJob,
    table: AgreementTable,
    examined: Dict[str, Dict[str, Any]],
    fused: Dict[str, Dict[str, Any]],
) -> Dict[str, Any]:
    masks = masks_by_rater(job.cases, job.raters)
    images = {case.name: {**examined[case.name], **fused[case.name]} for case in job.cases}
    return dict(
        version=__version__,
        settings=job.settings.used,
        classes=list(job.classes),
        raters={
            name: dict(masks=masks[name], **_means_of_rater(r, list(images.values())))
            for r, name in enumerate(job.raters)
        },
        agreement=table.pairs(job.classes),
        fleiss_kappa=mean_of(found['fleiss_kappa'] for found in images.values()),
        images=images,
    )


def _means_of_rater(rater: int, images: List[Dict[str, Any]]) -> Dict[str, Any]:
    """Mean of each score of one rater over the images that this rater annotated."""
    means: Dict[str, Any] = {}
    for name in images[0]:
        if not isinstance(images[0][name], list):
            continue
        values = [found[name][rater] for found in images if found[name][rater] is not None]
        if values and isinstance(values[0], list):
            means[name] = [mean_of(column) for column in zip(*values)]
        else:
            means[name] = mean_of(values)
    return means
