# Copyright (c) mmseg_ctt contributors.
"""No patient and no image of validation or test is trained on, whichever sets a command builds."""

import logging
from typing import Any, Dict, List, Mapping

from mmengine.dist import is_main_process
from mmengine.logging import print_log
from mmengine.runner import Runner
from mmseg.registry import DATASETS

from ..datasets.built import infos_of
from ..datasets.checks import KEY
from ..datasets.leaks import trained_images
from ..datasets.patients import check_patients, patients_of
from ..datasets.sources import build_source, source_config, source_names
from ..datasets.wrappers import same_images

OTHER = dict(train='test', test='train')  # what training does not build, and a test neither


def check_leaks(runner: Runner, dataset: Any, stage: str) -> None:
    """Compare a set that was built with those of the other side, patients and images.

    Validation and test are compared with the training set that the runner has built. Where the
    runner has no other side, its config has: the images of the test set are listed before a
    training, those of the training set before a test of images of known patients. A set whose
    files are not on this machine is left out, which a line says of patients.

    Images that are trained on are a warning, which the first process finds out alone.

    Args:
        runner (Runner): Of mmengine.
        dataset (Dataset): That was built.
        stage (str): ``'train'``, ``'val'`` or ``'test'``.

    Raises:
        ValueError: Naming both sets and a patient of both.
    """
    key, infos = f'{stage}_dataloader.dataset', infos_of(dataset)
    patients = bool(patients_of(infos))
    training = getattr(getattr(runner._train_loop, 'dataloader', None), 'dataset', None)
    if stage != 'train' and training is not None:
        if patients:
            check_patients({KEY: infos_of(training), key: infos})
        _warn(training, dataset, key)
    elif stage in OTHER and (patients or stage == 'train' and _tests_others(runner)):
        other = f'{OTHER[stage]}_dataloader'
        sets = _listed(_dataset(runner, OTHER[stage]), f'{other}.dataset', patients)
        listed = [info for part in sets for info in infos_of(part)]
        if patients:
            check_patients({key: infos, f'{other}.dataset': listed})
        for part in sets if stage == 'train' else ():
            _warn(dataset, part, f'{other}.dataset')


def _warn(training: Any, evaluated: Any, key: str) -> None:
    if not is_main_process():
        return
    sources = getattr(training, 'sources', None)
    trained: Dict[str, Any] = {KEY: training}
    if isinstance(sources, Mapping):
        trained = {f'{KEY}.{name}': source for name, source in sources.items()}
    line = trained_images(trained, evaluated, key)
    if line is not None:
        print_log(line, 'current', logging.WARNING)


def _dataset(runner: Runner, stage: str) -> Any:
    """Config of the data set of a loader that the runner has not built; None where it has none."""
    loader = getattr(runner, f'_{stage}_dataloader', None)
    cfg = loader.get('dataset') if isinstance(loader, Mapping) else None
    return cfg if isinstance(cfg, Mapping) else None


def _tests_others(runner: Runner) -> bool:
    """Whether this process warns, and test images are none that validation compares."""
    val, test = (_dataset(runner, stage) for stage in ('val', 'test'))
    return is_main_process() and not (
        val is not None and test is not None and same_images(val, test)
    )


def _listed(cfg: Any, key: str, patients: bool) -> List[Any]:
    """Data sets of a config, their files listed; none where they cannot be listed."""
    if cfg is None:
        return []
    try:
        names = source_names(cfg)
        if not names:
            return [DATASETS.build(dict(cfg))]
        return [build_source(name, source_config(cfg, name)) for name in names]
    except Exception as error:  # of files that may be on another machine
        reason = ' '.join(str(error).split())
        if patients:
            print_log(f'patients of {key} are not compared, its images cannot be listed: {reason}')
        return []
