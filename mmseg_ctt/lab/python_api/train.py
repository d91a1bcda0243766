# Copyright (c) mmseg_ctt contributors.
import copy
import gc
import logging
import os
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Callable, Dict, Mapping, Optional, Union

from mmengine.config import Config
from mmengine.runner import Runner
from mmseg.registry import RUNNERS

from ...engine.config import prepare_config
from ...engine.guards import check_hooks, check_stages
from ...engine.hooks.preemption_hook import PreemptionHook
from ...engine.method_preset import config_folder
from ...engine.option_checks import as_options
from ...engine.precision import set_amp
from ...engine.presets import merge_options
from ...engine.process_state import process_state_kept
from ...engine.recorded_config import check_work_dir
from ...engine.run_checks import check_all
from ...engine.start_config import default_work_dir, read_config, set_resume
from ...nn.unwrap import unwrapped
from ..new_run.run import done, plan_run
from .run import TrainingRun

BASELINE = 'supervised'  # config that a folder gets beside that of the method
DEFAULT = 'ctt-plus'  # method of a folder
IN_PYTHON = (  # for errors of new_run, which name its options
    'In Python, options such as --name NAME are arguments of mmseg_ctt.lab.new_run.new_run, whose '
    "configs are trained: train(new_run({call}, name='NAME').configs[{method!r}])"
)
AnyConfig = Union[str, Path, Config]


def train(
    config: AnyConfig,
    *,
    method: Optional[str] = None,
    model: Optional[str] = None,
    iterations: Optional[int] = None,
    work_dir: Union[str, Path, None] = None,
    resume: Union[bool, str, Path] = False,
    amp: Union[bool, str] = False,
    cfg_options: Optional[Mapping[str, Any]] = None,
) -> TrainingRun:
    """Train in this process, as ``tools/train.py`` does in its own.

    The process is afterwards as it was: random generators, handlers of signals, loggers, default
    scope. The run itself depends on the ``randomness`` of its config alone. An interrupt (Ctrl-C,
    the stop button of a notebook) saves a checkpoint after the iteration and raises
    ``KeyboardInterrupt``; a second one stops at once.

    Args:
        config (str | Path | Config): Config file, name of a config of this package, or a Config;
            or a folder of images and masks, for which :func:`mmseg_ctt.lab.new_run.new_run` writes
            the config.
        method (str, optional): Name of a preset such as ``'fixmatch'``, or ``'supervised'``.
            Defaults to None: that of the config; ``'ctt-plus'`` for a folder.
        model (str, optional): Network, a file name of ``configs/_base_/networks`` such as
            ``'segformer-b0'``. Defaults to None: that of the config, also of one that the folder
            has; ``'mobilenetv2'`` for a new folder.
        iterations (int, optional): Length of the run. Defaults to None: as the config says.
        work_dir (str | Path, optional): Folder of checkpoints and logs. Defaults to None: that of
            the config, else ``work_dirs/<config name>``, each with the method and network that are
            given here.
        resume (bool | str | Path): Go on from the newest checkpoint in ``work_dir``, if there is
            one; or from this checkpoint. Defaults to False.
        amp (bool | str): Automatic mixed precision: ``'bf16'`` on a CPU or a GPU, ``'fp16'`` (as
            True) on a GPU. Defaults to False.
        cfg_options (Mapping, optional): Other settings of the config by dotted keys, such as
            ``{'train_dataloader.batch_size': 8}``. Defaults to None.

    Returns:
        TrainingRun: Paths, curves, last scores and the trained model.

    Raises:
        FileNotFoundError: If a file does not exist.
        KeyboardInterrupt: After an interrupt; names the saved checkpoint.
        ValueError: If a setting is wrong, or the data are.
    """
    options = given_options(method, model, iterations, cfg_options)
    given = dict(work_dir=work_dir, resume=resume, amp=amp)

    def completed(config: AnyConfig) -> Config:
        return _start_config(config, options, **given)

    with process_state_kept():
        if isinstance(config, (str, Path)) and Path(config).is_dir():
            config = config_of_folder(config, options, lambda path: check_start(completed(path)))
        cfg = completed(config)
        _train(cfg)
    return TrainingRun(cfg.work_dir)


def _start_config(
    config: AnyConfig, options: Mapping[str, Any], work_dir: Any, resume: Any, amp: Any
) -> Config:
    """Config of a start, by the arguments of :func:`train`."""
    cfg = run_config(config, options)
    cfg.work_dir = os.path.abspath(work_dir or _work_dir(cfg, config, options))
    if amp:
        set_amp(cfg, amp)
    if resume:
        set_resume(cfg, 'auto' if resume is True else str(resume))
    check_work_dir(cfg)
    return cfg


def given_options(
    method: Optional[str],
    model: Optional[str],
    iterations: Optional[int],
    cfg_options: Optional[Mapping[str, Any]],
) -> Dict[str, Any]:
    """Arguments of :func:`train` as settings by dotted keys.

    Raises:
        TypeError: If ``cfg_options`` is no dict.
        ValueError: If a setting is given in both ways.
    """
    options = as_options(cfg_options)
    given = {'method': method, 'segmentor_from': model, 'sizes.max_iters': iterations}
    for key, value in given.items():
        if value is not None and key in options:
            raise ValueError(f'{key} is in cfg_options, and an argument gives it too: leave one')
        if value is not None:
            options[key] = value
    return options


def config_of_folder(
    folder: Union[str, Path],
    options: Dict[str, Any],
    check: Optional[Callable[[Path], None]] = None,
) -> Path:
    """Write the configs of a folder, and take that of the method.

    Args:
        folder (str | Path): Images and masks.
        options (dict): Of :func:`given_options`; method and network are taken out of it.
        check (Callable, optional): Gets the config before anything is written. Defaults to None.

    Raises:
        FileNotFoundError: If the folder holds nothing to train on.
        ValueError: If something cannot be found out, a baseline that is there differs, or every
            image has a mask, and the method was asked for.
    """
    method, model = options.pop('method', None), options.pop('segmentor_from', None)
    try:
        plan = plan_run(folder, method or DEFAULT, model)
    except (FileNotFoundError, ValueError) as error:
        if '--' not in str(error):
            raise
        call = ', '.join(map(repr, filter(None, (str(folder), method or DEFAULT, model))))
        remedy = IN_PYTHON.format(call=call, method=method or DEFAULT)
        raise type(error)(f'{error}. {remedy}') from None
    chosen = [name for name in plan.texts if name != BASELINE]
    if method not in (None, BASELINE) and not chosen:
        raise ValueError(
            f'every image of {folder} has a mask, so that method={method!r} has nothing to add: '
            f'leave it out, which trains the baseline, or add images without masks'
        )
    name = BASELINE if method == BASELINE or not chosen else chosen[0]
    if check is not None:
        with TemporaryDirectory() as temporary:
            check(plan.config(name, Path(temporary)))
    made = done(plan)
    print('\n'.join(made.lines))
    return made.configs[name]


def run_config(config: AnyConfig, options: Mapping[str, Any]) -> Config:
    """Complete config of a run in one process.

    Raises:
        TypeError: If it is no config.
        ValueError: If it has no model; see :func:`mmseg_ctt.engine.start_config.read_config`.
    """
    options = dict(options)
    if options.get('segmentor_from'):
        options['segmentor_from'] = network_file(options['segmentor_from'])
    if isinstance(config, Config):
        cfg = copy.deepcopy(config)
        merge_options(cfg, options)
        cfg = prepare_config(cfg)
    elif isinstance(config, (str, Path)):
        cfg = read_config(str(config), options)
    else:
        raise TypeError(f'a config is a file, a folder or a Config, got {type(config).__name__}')
    if 'model' not in cfg:
        raise ValueError(f'the config {cfg.filename or ""} has no model')
    cfg.launcher = 'none'
    return cfg


def network_file(name: str) -> str:
    """Config of a network by its name; anything else is returned as it is.

    Raises:
        ValueError: If a name without a path is unknown.
    """
    folder = config_folder() / '_base_' / 'networks'
    if os.sep in name or ':' in name or name.endswith('.py'):
        return name
    known = sorted(path.stem for path in folder.glob('*.py'))
    if name not in known:
        raise ValueError(f'model={name!r} is not known; known are {known}')
    return str(folder / f'{name}.py')


def _work_dir(cfg: Config, config: AnyConfig, options: Mapping[str, Any]) -> str:
    name = cfg.filename if isinstance(config, Config) else str(config)
    if not name and not cfg.get('work_dir'):
        raise ValueError('a Config that was read from no file needs a work_dir')
    return default_work_dir(name or '', options, cfg.get('work_dir'))


def check_start(cfg: Config) -> None:
    """Build a run without its data, and check it as far: nothing is written.

    Args:
        cfg (Config): Complete config.

    Raises:
        TypeError: If a setting is of a wrong type.
        ValueError: If a setting is wrong; names its key.
    """
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)  # the run itself says the same
    try:
        with process_state_kept():
            runner = _runner(cfg)
            model = unwrapped(runner.model)
            check_hooks(model, runner.hooks)
            check_stages(model, runner.hooks, runner.cfg.get('train_cfg') or {})
            check_all(runner.cfg, model)
            runner.build_optim_wrapper(copy.deepcopy(runner.cfg.optim_wrapper))
            del runner, model
    finally:
        logging.disable(level)
        gc.collect()  # the networks are in cycles, and the run builds them once more


def _runner(cfg: Config) -> Runner:
    return RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)


def _train(cfg: Config) -> None:
    if cfg.get('self_training'):
        warnings.warn(
            'self_training is not read here, and one of its trainings is done: '
            'tools/self_train.py trains all of them'
        )
    runner = _runner(cfg)
    for hook in runner.hooks:
        if isinstance(hook, PreemptionHook):
            hook.stay_in_process()
    runner.train()
