# Copyright (c) mmseg_ctt contributors.
"""Checks of a run around ``Runner.train``: the config, networks, data sets, and the first batch.

``tools/misc/check_setup.py`` calls the same functions.
"""

import re
from contextlib import contextmanager
from typing import Any, Iterator, List, Mapping, Optional, Sequence

import torch.nn as nn
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import DATA_SAMPLERS
from torch.utils.data import Dataset

from ..datasets.checks import check_sample, pipeline_errors
from ..datasets.isolation import isolated_randomness
from ..datasets.sampler import ratio_by_source
from ..datasets.sources import source_names
from ..methods.given_weights import check_given
from ..nn.head_checks import check_heads, config_key, loss_warnings
from ..nn.pretrained import counted_starting_weights
from ..nn.unwrap import unwrapped
from .compile_regions import check_compile, compile_error
from .config_checks import check_config
from .custom_key_checks import check_custom_keys
from .held_log import show
from .hooks.distribution_alignment_hook import remove_unused_alignment
from .ignored_checks import check_ignored
from .member_loops import MemberLoopMixin
from .patch_checks import check_first_image, check_patches
from .precision import check_precision
from .resume import has_checkpoint
from .score_checks import (
    check_drawing,
    check_metrics,
    check_save_best,
    members_of,
    reads_masks,
    scores_of,
)

NO_SIZE = 'only one of size and size_divisor should be valid'  # assertion of mmseg's stack_batch
TOO_FEW = re.compile(r'Expected more than 1 (?:value per channel|spatial element) when training.*')
CHANNELS = re.compile(
    r'weight of size \[(?P<shape>[\d, ]+)\], expected input.* to have (?P<expected>\d+) channels, '
    r'but got (?P<given>\d+) channels'
)


# ---- data sets


def check_evaluation(
    dataset: Dataset, trained: Dataset, part: str = 'val', masks: bool = True
) -> Mapping[str, Any]:
    """Check that images of validation can be scored: the first one, and what the data set says.

    Args:
        dataset (Dataset): Of validation or test.
        trained (Dataset): Of training.
        part (str): ``'val'`` or ``'test'``. Defaults to 'val'.
        masks (bool): Whether the scores need masks. Defaults to True.

    Returns:
        Mapping: The sample of the first image.

    Raises:
        ValueError: Names the key.
    """
    key = f'{part}_dataloader.dataset'
    with pipeline_errors(key), isolated_randomness(0, 0):
        sample = dataset[0]
        check_sample(key, sample, labels=masks, same_size=False)
    source = labels_of(trained)
    for name in ('reduce_zero_label', 'ignore_index'):
        values = [getattr(data, name, None) for data in (source, dataset)]
        if None not in values and values[0] != values[1]:
            raise ValueError(
                f'{key}.{name}={values[1]}, but the labelled training set has {values[0]}: labels '
                'would mean other classes; make them equal'
            )
    return sample


def labels_of(trained: Dataset) -> Optional[Dataset]:
    """The training images with masks; None where there are tags alone, which have no ids.

    Args:
        trained (Dataset): Of training.
    """
    masked = tuple(getattr(trained, 'masked', (None,)))
    return getattr(trained, 'sources', {}).get(masked[0], trained) if masked else None


def first_batch(cfg: Mapping[str, Any], dataset: Any) -> List[dict]:
    """Samples of the first batch of a run, of its first rank.

    Args:
        cfg (Mapping): Complete config.
        dataset (LabeledUnlabeledDataset): Built from it.
    """
    settings = {key: value for key, value in cfg['train_dataloader']['sampler'].items()}
    settings.setdefault('seed', (cfg.get('randomness') or {}).get('seed'))
    draws = iter(DATA_SAMPLERS.build(dict(settings, dataset=dataset)))
    return [dataset[next(draws)] for _ in range(cfg['train_dataloader']['batch_size'])]


# ---- batches


def explained(error: Exception, cfg: Mapping[str, Any], model: nn.Module) -> Optional[str]:
    """Keys behind an error of a training step in PyTorch, None for an error of another kind.

    Args:
        error (Exception): Of a training step.
        cfg (Mapping): Complete config.
        model (nn.Module): Its model.
    """
    if NO_SIZE in str(error):
        return (
            "data_preprocessor: mmseg's, of a plain segmentor, trains with size=(height, width), "
            'the crop, or with size_divisor: set one of them'
        )
    return few_values_line(error, cfg) or channels_line(error, model) or compile_error(error)


def channels_line(error: Exception, model: nn.Module) -> Optional[str]:
    """Layer behind PyTorch's error of a convolution that gets another number of channels.

    Args:
        error (Exception): Of a training step.
        model (nn.Module): The trained model.

    Returns:
        str | None: None for any other error.
    """
    found = CHANNELS.search(str(error))
    if found is None:
        return None
    shape = tuple(map(int, found['shape'].split(',')))
    layers = (
        config_key(model, path)
        for path, module in model.named_modules()
        if tuple(getattr(getattr(module, 'weight', None), 'shape', ())) == shape
    )
    return (
        f'{next(layers, "a layer of the model")} expects {found["expected"]} channels and gets '
        f'{found["given"]}: set in_channels (c1_in_channels, in_index) of that head to what the '
        'backbone gives, or the channels of mean and std to those of the images'
    )


def few_values_line(error: Exception, cfg: Mapping[str, Any]) -> Optional[str]:
    """Keys behind PyTorch's error of a normalisation layer that gets one value a channel.

    Args:
        error (Exception): Of a training step.
        cfg (Mapping): Complete config.

    Returns:
        str | None: None for any other error.
    """
    found = TOO_FEW.search(str(error))
    if found is None:
        return None
    loader, model = cfg.get('train_dataloader') or {}, cfg.get('model') or {}
    size, names = loader.get('batch_size', 1), source_names(loader.get('dataset') or {})
    ratio = ratio_by_source((loader.get('sampler') or {}).get('ratio'), names) if names else {}
    drawn = {name: count for name, count in ratio.items() if count}
    period = sum(drawn.values()) or 1
    counts = {name: size * count // period for name, count in drawn.items()}
    needed = period * max([2, size // period + 1])
    parts = ' and '.join(f'{count} {name}' for name, count in counts.items()) or f'{size}'
    joint = model.get('joint_forward', 'students') if 'segmentor' in model else None
    passes = (
        '' if joint is None else f', and with model.joint_forward={joint!r} not all in one pass'
    )
    return (
        f'train_dataloader.batch_size={size} is too small for the normalisation of this network: '
        f'it has {parts} images{passes}, and a layer got one value a channel ({found[0]}). Set '
        f'train_dataloader.batch_size={needed}, or sampler.ratio so that each pass has two images'
    )


# ---- runs


class _BuiltChecks(Hook):
    """Checks what the runner has built, before weights are loaded."""

    priority = 'HIGHEST'

    def before_run(self, runner: Runner) -> None:
        """Check what would be read after the first interval only: a validation image, scores."""
        trained, metrics = runner.train_loop.dataloader.dataset, []
        if runner._val_loop is not None:
            metrics = runner.val_evaluator.metrics
            check_metrics(runner.model, metrics)
            check_drawing(runner.model, runner.hooks)
            masks = reads_masks(runner.cfg)
            first = check_evaluation(runner.val_dataloader.dataset, trained, masks=masks)
            check_first_image(runner.cfg, unwrapped(runner.model), first)
            members = members_of(runner.model, isinstance(runner.val_loop, MemberLoopMixin))
            for hook in runner.hooks:
                best = getattr(hook, 'save_best', None)
                check_save_best(best, metrics, members, scores_of(runner.model))
        labels = labels_of(trained)
        if labels is not None:
            check_ignored(unwrapped(runner.model), labels, metrics)

    def before_train(self, runner: Runner) -> None:
        """Without its hook an alignment would go on with the target of another run."""
        check_given(unwrapped(runner.model))
        remove_unused_alignment(runner)


@contextmanager
def checked_run(runner: Runner) -> Iterator[None]:
    """Check a run, before and during the ``with`` block that trains it.

    Args:
        runner (Runner): Of the run, built from a config.

    Raises:
        TypeError: If a setting is of a wrong type.
        ValueError: Names the key and what to set.
    """
    model = unwrapped(runner.model)
    for warning in check_all(runner.cfg, model):
        runner.logger.warning(warning)
    check_precision(runner.cfg)
    check_compile(runner.cfg)
    hook = _BuiltChecks()
    runner.register_hook(hook, priority='HIGHEST')
    try:
        with counted_starting_weights(model, runner.logger.warning, show, lambda: _goes_on(runner)):
            yield
    except (ValueError, RuntimeError, AssertionError) as error:
        line = explained(error, runner.cfg, model)
        if line is None:
            raise
        raise ValueError(line) from error
    finally:
        runner._hooks.remove(hook)


def _goes_on(runner: Runner) -> bool:
    """Whether a checkpoint will be resumed: with ``--resume`` there may be none yet."""
    named = runner._load_from is not None
    return runner._resume and (named or has_checkpoint(runner.work_dir))


def check_all(cfg: Mapping[str, Any], model: nn.Module) -> Sequence[str]:
    """Check a config and the model that was built from it.

    Args:
        cfg (Mapping): Complete config of a training run.
        model (nn.Module): Its model.

    Returns:
        Sequence[str]: Warnings, one line each.

    Raises:
        TypeError: If a setting is of a wrong type.
        ValueError: Names the key and what to set.
    """
    warnings = check_config(cfg)
    check_heads(model)
    check_patches(cfg, model)
    return [*warnings, *check_custom_keys(cfg, model), *loss_warnings(model)]
