# Copyright (c) mmseg_ctt contributors.
"""Scores, sizes and times of a teacher and of the small networks, from one run."""

import time
from pathlib import Path
from statistics import median
from typing import Any, Callable, Dict, List, Mapping, Tuple, Union

import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.device import get_device
from mmengine.evaluator import Evaluator
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from mmseg.registry import DATASETS

from ..datasets.checks import check_sample, pipeline_errors
from ..datasets.wrappers import distinct_infos, leaf_configs, same_images, with_pipeline
from ..deploy.api import load_model
from ..engine.config import prepare_config
from ..evaluation import recorded_classes
from ..evaluation.evaluators import lacks_miou
from .distillation_settings import DistillationSettings

TEACHER = 'teacher'
TITLES = {
    TEACHER: 'teacher',
    'baseline': 'small network, labels alone',
    'distilled': 'small network, distilled',
}
Networks = Dict[str, Tuple[Config, Union[str, Path]]]  # config, and file or URL of the checkpoint


def compare(
    networks: Networks, cfg: Config, settings: DistillationSettings, check_stop: Callable[[], None]
) -> Dict[str, Any]:
    """Score the networks on the test images of a config, and time them in turns.

    Every network prepares the images by its own test pipeline.

    Args:
        networks (dict[str, tuple]): Config and checkpoint by name: ``teacher``, ``distilled``
            and ``baseline`` where there is one.
        cfg (Config): Of the small network; gives the test images and the metric.
        settings (DistillationSettings): Member of the teacher, number of timed images.
        check_stop (Callable): Called before every image; may raise to stop.

    Returns:
        dict: By network ``mIoU`` in per cent, ``parameters`` of all networks that predict, and
        ``seconds`` an image; the baseline is the same network as the distilled one and has its
        time. ``images`` is the number of timed images, ``device`` where they were predicted.
    """
    device, rows, models = str(get_device()), {}, {}
    for name, (own, checkpoint) in networks.items():
        member = settings.member if name == TEACHER else None
        model = load_model(own, checkpoint, member, device)
        rows[name] = dict(
            mIoU=score(model, own, cfg, check_stop),
            parameters=sum(value.numel() for value in model.parameters()),
        )
        if name != 'baseline':
            models[name] = (model, own)
    samples = {
        name: list(_batches(own, cfg, settings.timed_images)) for name, (_, own) in models.items()
    }
    only = {name: model for name, (model, _) in models.items()}
    seconds = times_in_turns(only, samples, check_stop)
    for name, row in rows.items():
        row['seconds'] = seconds[TEACHER if name == TEACHER else 'distilled']
    return dict(networks=rows, images=len(samples[TEACHER]), device=device)


@torch.no_grad()
def score(model: Any, own: Config, cfg: Config, check_stop: Callable[[], None]) -> float:
    """Mean IoU of a network in per cent.

    Args:
        model (BaseSegmentor): From :func:`load_model`.
        own (Config): Of the network; gives the test pipeline.
        cfg (Config): Gives the test images and the metric.
        check_stop (Callable): Called before every image.
    """
    prepared = prepare_config(Config(cfg.to_dict()))
    settings = {**prepared.test_dataloader, 'dataset': compared_set(own, cfg), 'num_workers': 0}
    settings.update(batch_size=1, persistent_workers=False)
    settings.pop('prefetch_factor', None)
    with DefaultScope.overwrite_default_scope('mmseg'):
        loader = Runner.build_dataloader(settings)
        evaluator = Evaluator(prepared.test_evaluator)
    evaluator.dataset_meta = loader.dataset.metainfo
    for batch in loader:
        check_stop()
        evaluator.process(data_samples=model.test_step(batch), data_batch=batch)
    with recorded_classes(evaluator.metrics):  # not printed
        found = evaluator.evaluate(len(loader.dataset))
    return round(float(found['mIoU']), 2)


def check_metric(cfg: Config) -> None:
    """The test of a config gives the mIoU that networks are compared by.

    Args:
        cfg (Config): Of the small network.

    Raises:
        ValueError: If it does not.
    """
    if lacks_miou(prepare_config(Config(cfg.to_dict())).test_evaluator):
        raise ValueError(
            'test_evaluator gives no mIoU, by which the networks are compared: add '
            "dict(type='IoUMetric', iou_metrics=['mIoU'])"
        )


def check_test_images(own: Config, cfg: Config) -> None:
    """Load a test image with its label as a network will be scored.

    Args:
        own (Config): Of the network; gives the test pipeline.
        cfg (Config): Gives the test images.

    Raises:
        ValueError: If its test pipeline loads no label, or fails.
    """
    key = 'test_dataloader.dataset'
    with DefaultScope.overwrite_default_scope('mmseg'), pipeline_errors(key):
        check_sample(key, DATASETS.build(compared_set(own, cfg))[0], labels=True, same_size=False)


def evaluated_images(cfg: Config, part: str) -> List[str]:
    """Files of the validation or test images of a config, none where it has no such part.

    Args:
        cfg (Config): Of a network.
        part (str): ``'val'`` or ``'test'``.
    """
    loader = prepare_config(Config(cfg.to_dict())).get(f'{part}_dataloader')
    if not loader:
        return []
    with DefaultScope.overwrite_default_scope('mmseg'):
        dataset = DATASETS.build(with_pipeline(loader.dataset, []))
    return [info['img_path'] for info in distinct_infos(dataset)]


def compared_set(own: Config, cfg: Config) -> Dict[str, Any]:
    """Test images of ``cfg`` under the test pipeline of ``own``, that which it predicts with.

    Of other images than its own it is the pipeline of its first leaf. A config without test images
    prepares them as those of its validation.
    """
    images = prepare_config(Config(cfg.to_dict())).test_dataloader.dataset
    prepared = prepare_config(Config(own.to_dict()))
    own_set = (prepared.get('test_dataloader') or prepared.val_dataloader).dataset
    if same_images(own_set, images):
        return dict(own_set)  # leaves may have pipelines of their own
    (first, *_) = leaf_configs(own_set).values()
    return with_pipeline(images, first['pipeline'])


def _batches(own: Config, cfg: Config, number: int) -> List[dict]:
    with DefaultScope.overwrite_default_scope('mmseg'):
        dataset = DATASETS.build(compared_set(own, cfg))
    return [pseudo_collate([dataset[i]]) for i in range(min(number, len(dataset)))]


@torch.no_grad()
def times_in_turns(
    models: Mapping[str, Any], batches: Mapping[str, List[dict]], check_stop: Callable[[], None]
) -> Dict[str, float]:
    """Median seconds of an image for each network, measured image by image in turns.

    So all of them run on the same machine at the same load. Reading is not timed.

    Args:
        models (Mapping[str, BaseSegmentor]): By name.
        batches (Mapping[str, list[dict]]): Prepared images of each.
        check_stop (Callable): Called before every image.
    """
    seconds: Dict[str, List[float]] = {name: [] for name in models}
    for number in range(-1, min(map(len, batches.values()))):  # the first pass is not counted
        check_stop()
        for name, model in models.items():
            start = _now()
            model.test_step(batches[name][max(number, 0)])
            if number >= 0:
                seconds[name].append(_now() - start)
    return {name: median(values) for name, values in seconds.items()}


def _now() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def table_of(results: Mapping[str, Any]) -> str:
    """Table in Markdown.

    Args:
        results (Mapping): From :func:`compare`.
    """
    rows = results['networks']
    slowest = rows[TEACHER]['seconds']
    lines = [
        '| network | mIoU | parameters (millions) | seconds an image | speed, teacher = 1 |',
        '| --- | --- | --- | --- | --- |',
    ]
    for name, row in rows.items():
        lines.append(
            f'| {TITLES[name]} | {row["mIoU"]:.2f} | {row["parameters"] / 1e6:.2f} | '
            f'{row["seconds"]:.4f} | {slowest / row["seconds"]:.2f} |'
        )
    lines += ['', f'Median of {results["images"]} images in turns on {results["device"]}.']
    return '\n'.join(lines)
