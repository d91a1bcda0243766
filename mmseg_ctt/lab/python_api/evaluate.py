# Copyright (c) mmseg_ctt contributors.
from numbers import Real
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Dict, List, Mapping, Optional, Tuple, Union

from mmengine.config import Config
from mmengine.runner import Runner

from ...engine.hooks.start_hook import tests_validation
from ...engine.process_state import process_state_kept
from ...engine.start_config import find_config
from ...nn.unwrap import unwrapped
from ..experiments.class_iou import CLASS_KEY
from ..report.colours import PLAIN_MODEL
from ..report.scalars import without_noise
from .run import TrainingRun
from .scores import Scores
from .train import AnyConfig, run_config

SETS = ('val', 'test')


def evaluate(
    run: Union[TrainingRun, AnyConfig],
    checkpoint: Union[str, Path, None] = None,
    data: str = 'val',
    *,
    cfg_options: Optional[Mapping[str, Any]] = None,
) -> Scores:
    """Score every network of a checkpoint from one reading of the images, writing nothing.

    Args:
        run (TrainingRun | str | Path | Config): Run, its work folder, or a config with its
            checkpoint; an exported model too.
        checkpoint (str | Path, optional): File or URL. Defaults to None: the newest of the run.
        data (str): ``'val'`` or ``'test'``, the data set of the config. Defaults to 'val'.
        cfg_options (Mapping, optional): Settings of the config by dotted keys. Defaults to None.

    Returns:
        Scores: Metrics of every member, and the IoU of every class.

    Raises:
        FileNotFoundError: If a file does not exist.
        ValueError: If there is no checkpoint, the config has no such data, or the two do not
            belong together.
    """
    if data not in SETS:
        raise ValueError(f'data must be one of {SETS}, got {data!r}')
    config, weights = files_of(run, checkpoint)
    with process_state_kept(), TemporaryDirectory() as folder:
        cfg = run_config(config, cfg_options or {})
        on_validation = tests_validation(cfg)
        for part in ('dataloader', 'evaluator'):
            if not cfg.get(f'{data}_{part}'):
                raise ValueError(f'the config has no {data}_{part}')
            cfg[f'test_{part}'] = cfg[f'{data}_{part}']
        cfg.test_evaluator = _with_classes(cfg.test_evaluator)
        # None of a run that only validates
        cfg.test_cfg = cfg.get('test_cfg') or dict(type='MemberTestLoop')
        cfg.work_dir, cfg.load_from, cfg.resume = folder, str(weights), False
        cfg.visualizer = dict(type='SegLocalVisualizer', vis_backends=[])
        runner = Runner.from_cfg(cfg)
        # the folder of its log is gone when a reader opens it
        runner.logger.addFilter(lambda record: folder not in record.getMessage())
        found = runner.test()
        model = unwrapped(runner.model)
        members = list(getattr(model, 'member_names', [])) or [PLAIN_MODEL]
        images = len(runner.test_dataloader.dataset)
        same = ', the validation images' if data == 'test' and on_validation else ''
        words = f'{Path(weights).name} on {images} images of the {data} set{same}'
        predicting = getattr(model, 'predict_on', PLAIN_MODEL)
    return Scores(*grouped(found, members), predicting, words)


def files_of(
    run: Union[TrainingRun, AnyConfig], checkpoint: Union[str, Path, None]
) -> Tuple[Union[str, Path, Config], Union[str, Path]]:
    """Config and checkpoint of a run, of its work folder, or as given.

    Raises:
        FileNotFoundError: If there is neither a folder nor a config of this name.
        ValueError: If there is no checkpoint.
    """
    if isinstance(run, (str, Path)) and Path(run).is_dir():
        run = TrainingRun(run)
    if isinstance(run, TrainingRun):
        return run.config, checkpoint or run.saved_checkpoint()
    if checkpoint is None and isinstance(run, (str, Path)) and not _is_config(run):
        raise FileNotFoundError(
            f'{run} does not exist: give the work folder of a run, or a config and its checkpoint'
        )
    if checkpoint is None:
        raise ValueError('a config needs its checkpoint: give it as the second argument')
    return run, checkpoint


def _is_config(name: Union[str, Path]) -> bool:
    try:
        find_config(str(name))
    except FileNotFoundError:
        return False
    return True


def _with_classes(evaluator: Any) -> List[dict]:
    """Metrics of an evaluator, with the IoU of every class."""
    metrics = evaluator if isinstance(evaluator, (list, tuple)) else [evaluator]
    return [
        {**metric, 'type': 'ClassIoUMetric'} if metric['type'] == 'IoUMetric' else dict(metric)
        for metric in metrics
    ]


def grouped(
    found: Mapping[str, Any], members: List[str]
) -> Tuple[Dict[str, Dict[str, float]], Dict[str, Dict[str, float]]]:
    """Metrics by member, and IoU by member and class.

    Args:
        found (Mapping): Of a test loop, such as ``teacher0/mIoU`` and ``teacher0/IoU/<class>``;
            without the member for a plain segmentor.
        members (list[str]): Names of the members, or ``'model'`` alone.
    """
    metrics: Dict[str, Dict[str, float]] = {}
    classes: Dict[str, Dict[str, float]] = {}
    for member in members:
        prefix = '' if members == [PLAIN_MODEL] else f'{member}/'
        for key, value in found.items():
            if not key.startswith(prefix) or not isinstance(value, Real):
                continue
            name, number = key[len(prefix) :], without_noise(float(value))
            if name.startswith(CLASS_KEY):
                classes.setdefault(member, {})[name[len(CLASS_KEY) :]] = number
            else:
                metrics.setdefault(member, {})[name] = number
    return metrics, classes
