# Copyright (c) mmseg_ctt contributors.
import copy
import os.path as osp
from contextlib import nullcontext
from operator import itemgetter
from typing import Any, ContextManager, Dict, List, Sequence, Sized, cast

import torch
from mmengine.evaluator import Evaluator
from mmengine.runner import Runner, TestLoop, ValLoop, autocast
from mmengine.structures import BaseDataElement
from mmengine.utils import mkdir_or_exist
from mmseg.registry import LOOPS
from torch.utils.data import DataLoader

from ..evaluation import AreaCounter, class_tables, count_at_once, recorded_classes
from ..evaluation.volumes import VolumeMetric, member_tables
from ..methods.base import SemiSegmentor
from ..nn.batch_statistics import mean_statistics
from ..nn.unwrap import unwrapped
from .score_checks import check_drawing, check_metrics


class MemberLoopMixin:
    """Evaluation of every student, every teacher and the ensemble from one reading of the images.

    Metrics are named ``student0/mIoU``, ``teacher1/mIoU``, ``ensemble/mIoU`` and, for the member
    named by ``test_cfg.predict_on``, plain ``mIoU``; ``save_best`` takes any of them. A model that
    is no :class:`SemiSegmentor` (a baseline, or a model wrapped for test-time augmentation) is
    evaluated as by mmengine.
    """

    stage: str  # 'val' or 'test', the part of the hooks' names
    runner: Runner
    dataloader: DataLoader
    evaluator: Evaluator
    fp16: bool

    def run_members(self, model: SemiSegmentor) -> dict:
        """Evaluate all members of ``model``."""
        self.model = model
        self._call('before_{}')
        self._call('before_{}_epoch')
        self.runner.model.eval()
        counter = AreaCounter()
        evaluators = {name: self._evaluator_of(name, counter) for name in model.member_names}
        for index, batch in enumerate(self.dataloader):
            self._run_batch(index, batch, evaluators)
        metrics = self._metrics(evaluators)
        self._call('after_{}_epoch', metrics=metrics)
        self._call('after_{}')
        return metrics

    @torch.no_grad()
    def _run_batch(self, index: int, batch: dict, evaluators: Dict[str, Evaluator]) -> None:
        self._call('before_{}_iter', batch_idx=index, data_batch=batch)
        groups = images_by_size(batch['inputs'])
        with self._precision():
            parts = [self.model.data_preprocessor(_chosen(batch, group), False) for group in groups]
        predictions = [
            self.model.predict_each(part['inputs'], part['data_samples']) for part in parts
        ]
        order = [position for group in groups for position in group]
        shown: Sequence[BaseDataElement] = []
        for name in evaluators:
            with self._precision():  # each step of the generators is a pass of one member
                found = [sample for each in predictions for sample in next(each)[1]]
            samples = [sample for _, sample in sorted(zip(order, found), key=itemgetter(0))]
            evaluators[name].process(data_samples=samples, data_batch=batch)
            shown = samples if name == self.model.predict_on else shown
        self._call('after_{}_iter', batch_idx=index, data_batch=batch, outputs=shown)

    def _precision(self) -> ContextManager:
        return autocast() if self.fp16 else nullcontext()

    def _evaluator_of(self, name: str, counter: AreaCounter) -> Evaluator:
        """A copy of the evaluator, which writes label images to a folder of the member."""
        evaluator = copy.deepcopy(self.evaluator)
        for metric in evaluator.metrics:
            count_at_once(metric, counter)
            if isinstance(metric, VolumeMetric):
                metric.logs_table = False  # one table has all members
            if getattr(metric, 'output_dir', None):
                metric.output_dir = osp.join(metric.output_dir, name)
                mkdir_or_exist(metric.output_dir)
        return evaluator

    def _check_scores(self) -> None:
        """The metrics fit the model, and whole volumes can be scored, before the first image."""
        check_metrics(self.runner.model, self.evaluator.metrics, self.stage)
        check_drawing(self.runner.model, self.runner.hooks)
        for metric in self.evaluator.metrics:
            if isinstance(metric, VolumeMetric):
                metric.check_dataset(self.dataloader.dataset)

    def _metrics(self, evaluators: Dict[str, Evaluator]) -> dict:
        size = len(cast(Sized, self.dataloader.dataset))
        metrics, recorded = {}, {}
        for name, evaluator in evaluators.items():
            with recorded_classes(evaluator.metrics) as recorded[name]:
                values = evaluator.evaluate(size)
            metrics.update({f'{name}/{key}': value for key, value in values.items()})
        for table in class_tables((self.evaluator.dataset_meta or {}).get('classes', ()), recorded):
            self.runner.logger.info(f'classes\n{table}')
        for table in member_tables({name: found.metrics for name, found in evaluators.items()}):
            self.runner.logger.info(f'volumes\n{table}')
        prefix = f'{self.model.predict_on}/'
        plain: List[str] = [key for key in metrics if key.startswith(prefix)]
        return {**metrics, **{key[len(prefix) :]: metrics[key] for key in plain}}

    def _call(self, name: str, **kwargs: Any) -> None:
        self.runner.call_hook(name.format(self.stage), **kwargs)


def images_by_size(images: Sequence[torch.Tensor]) -> List[List[int]]:
    """Positions of the images of a batch, those of equal size together, in their order.

    mmseg refuses images of unequal size in one pass of a test, since padding would change the
    predictions; groups are passes of their own.
    """
    groups: Dict[Sequence[int], List[int]] = {}
    for position, image in enumerate(images):
        groups.setdefault(tuple(image.shape), []).append(position)
    return list(groups.values())


def _chosen(batch: dict, positions: List[int]) -> dict:
    """The images of a batch at some positions; the batch itself for all of them."""
    if len(positions) == len(batch['inputs']):
        return batch
    return {key: [values[i] for i in positions] for key, values in batch.items()}


@LOOPS.register_module()
class MemberValLoop(MemberLoopMixin, ValLoop):
    """Validation of all members; arguments as :class:`mmengine.runner.ValLoop`."""

    stage = 'val'

    def run(self) -> dict:
        """Evaluate all members, or the plain model."""
        self._check_scores()
        model = unwrapped(self.runner.model)
        with mean_statistics(model):
            return self.run_members(model) if isinstance(model, SemiSegmentor) else super().run()


@LOOPS.register_module()
class MemberTestLoop(MemberLoopMixin, TestLoop):
    """Test of all members; arguments as :class:`mmengine.runner.TestLoop`."""

    stage = 'test'

    def run(self) -> dict:
        """Evaluate all members, or the plain model."""
        self._check_scores()
        model = unwrapped(self.runner.model)
        with mean_statistics(model):
            return self.run_members(model) if isinstance(model, SemiSegmentor) else super().run()
