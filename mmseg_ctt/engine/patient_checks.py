# Copyright (c) mmseg_ctt contributors.
"""No patient of validation or test is trained on, whichever sets a command builds."""

from typing import Any, List, Mapping

from mmengine.logging import print_log
from mmengine.runner import Runner
from mmseg.registry import DATASETS

from ..datasets.built import inner_sets
from ..datasets.checks import KEY
from ..datasets.patients import check_patients, patients_of
from ..datasets.sources import build_source, source_config, source_names

OTHER = dict(train='test', test='train')  # what training does not build, and a test neither


def infos_of(dataset: Any) -> List[dict]:
    """Entries of a data set of any class, and of those inside it; empty for sets without entries.

    Args:
        dataset (Dataset): Of any class.
    """
    return [
        part.get_data_info(i)
        for part in inner_sets(dataset)
        if hasattr(part, 'get_data_info')
        for i in range(len(part))
    ]


def check_trained_patients(runner: Runner, dataset: Any, stage: str) -> None:
    """Compare the patients of a set that was built with those of the other side.

    Validation and test are compared with the training set that the runner has built. Where the
    runner has no other side, its config has: the images of the test set are listed before a
    training, those of the training set before a test. A set whose files are not on this machine is
    left out, which a line says.

    Args:
        runner (Runner): Of mmengine.
        dataset (Dataset): That was built.
        stage (str): ``'train'``, ``'val'`` or ``'test'``.

    Raises:
        ValueError: Naming both sets and a patient of both.
    """
    infos = infos_of(dataset)
    if not patients_of(infos):
        return
    key = f'{stage}_dataloader.dataset'
    training = getattr(getattr(runner._train_loop, 'dataloader', None), 'dataset', None)
    if stage != 'train' and training is not None:
        check_patients({KEY: infos_of(training), key: infos})
    elif stage in OTHER:
        other = f'{OTHER[stage]}_dataloader'
        listed = _listed(getattr(runner, f'_{other}', None), f'{other}.dataset')
        check_patients({key: infos, f'{other}.dataset': listed})


def _listed(loader: Any, key: str) -> List[dict]:
    """Entries of the data set of a loader that is a config; empty where it cannot be listed."""
    cfg = loader.get('dataset') if isinstance(loader, Mapping) else None
    if not isinstance(cfg, Mapping):
        return []
    try:
        names = source_names(cfg)
        if not names:
            return infos_of(DATASETS.build(dict(cfg)))
        built = [build_source(name, source_config(cfg, name)) for name in names]
        return [info for source in built for info in infos_of(source)]
    except Exception as error:  # of files that may be on another machine
        reason = ' '.join(str(error).split())
        print_log(f'patients of {key} are not compared, its images cannot be listed: {reason}')
        return []
