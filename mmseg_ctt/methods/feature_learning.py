# Copyright (c) mmseg_ctt contributors.
"""Learning features alone: what methods that train a backbone and no decode head have in common.

One step, everything inside ``forward(mode='loss')``:

1. The auxiliary tasks make views of the images, such as turned crops.
2. The student gives their features; its decode head is not called and stays as it was built.
3. Losses: those of the tasks. There is no other.

What comes out is a backbone: ``tools/model_converters/export_backbone.py`` writes its file, with
which a segmentor starts (``backbone.init_cfg``). Predictions are results of the tasks on each image
(``task_results``), of which :class:`TaskMetric` makes scores.
"""

import zlib
from pathlib import Path
from typing import Any, ClassVar, Iterator, List, Mapping, Optional, Sequence, Tuple

import torch.nn.functional as F
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from mmseg.utils import OptSampleList, SampleList
from torch import Tensor

from ..functional.pseudo_label import downsample_nearest
from ..nn.auxiliary_tasks import AuxiliaryTask, task_class
from ..nn.images import Images
from ..nn.pseudo_label import IGNORE_INDEX
from .base import Losses, SemiSegmentor


class FeatureLearning(SemiSegmentor):
    """One student whose backbone (and neck) learns by auxiliary tasks; its decode head is frozen.

    Raises:
        ValueError: If there is no auxiliary task, or a setting of the method or of a task needs a
            step of its own or a decode head that learns.
    """

    trains_heads: ClassVar[bool] = False
    default_num_pairs = 1
    default_supervision = 'own'
    fixed_graph = True
    default_member = 'student0'
    uses_pseudo_labels = False
    joins_batches = False

    def add_tasks(self, given: Optional[Sequence[dict]]) -> None:
        """Build the tasks; see :meth:`StepWithTasks.add_tasks`."""
        super().add_tasks(given)
        name = type(self).__name__
        if self.auxiliary_tasks is None:
            raise ValueError(
                f'model.auxiliary_tasks is empty, and {name} learns by them alone: leave it out, '
                f'or set {list(map(dict, self.default_auxiliary_tasks))}'
            )
        if not any(weight.requires_grad for weight in self.students.parameters()):
            raise ValueError(
                f'model.segmentor.backbone is frozen, and {name} trains nothing else: lower '
                'frozen_stages, or remove it'
            )
        for task in self.tasks:
            if getattr(task, 'joint_forward', False):
                raise ValueError(
                    f'{task.key("joint_forward")}=True: {name} makes no pass of its own that the '
                    'views could join; remove it'
                )
            if task.reads_predictions:
                raise ValueError(
                    f'{task.reads_predictions}: {name} does not train the decode head that it '
                    'needs; take a method that learns from masks, such as S4L'
                )

    @property
    def tasks(self) -> List[AuxiliaryTask]:
        """Those of the student."""
        assert self.auxiliary_tasks is not None
        return self.auxiliary_tasks.of(0)

    def step(self, **images: Images) -> Losses:
        """No term of the method's own; see :meth:`SemiSegmentor.step`."""
        return {}

    # ---- validation

    @property
    def scores(self) -> List[str]:
        """Names of the scores that validation has, such as ``rotation/accuracy``."""
        return [f'{task.name}/{task.score}' for task in self.tasks if task.score]

    @classmethod
    def evaluates_masks(cls, model_cfg: Mapping[str, Any]) -> bool:
        """Whether scores of validation need masks.

        Args:
            model_cfg (Mapping): ``model`` of the config.
        """
        configs = model_cfg.get('auxiliary_tasks') or cls.default_auxiliary_tasks
        configs = configs if isinstance(configs, (list, tuple)) else ()  # the model refuses others
        return any(getattr(task_class(cfg), 'evaluates_masks', False) for cfg in configs)

    def predict(self, inputs: Tensor, data_samples: OptSampleList = None) -> SampleList:
        """Results of the tasks; see :meth:`predict_each`.

        Raises:
            ValueError: Without samples, as a segmentation would be meant.
        """
        if data_samples is None:
            raise ValueError(NO_SEGMENTATION.format(type(self).__name__))
        for sample, result in zip(data_samples, self.task_results(inputs, data_samples)):
            sample.task_results = result
        return data_samples

    def predict_each(
        self, inputs: Tensor, data_samples: SampleList
    ) -> Iterator[Tuple[str, SampleList]]:
        """Results of the tasks of the student; those of the ensemble are the same.

        Args:
            inputs (Tensor): ``(B, 3, H, W)``, normalised.
            data_samples (list[SegDataSample]): Their samples, left unchanged.

        Yields:
            tuple: Name of the member and its ``list[SegDataSample]`` with ``task_results``, by name
            of the task what its ``evaluate`` gives for the image.
        """
        results = self.task_results(inputs, data_samples)
        for name in self.member_names:
            samples = [sample.new() for sample in data_samples]
            for sample, result in zip(samples, results):
                sample.task_results = result
            yield name, samples

    def task_results(self, inputs: Tensor, data_samples: SampleList) -> List[dict]:
        """What each task finds out on each image, by name of the task."""
        samples = [_prepared(sample, inputs) for sample in data_samples]
        assert self.auxiliary_tasks is not None
        return self.auxiliary_tasks.evaluate(
            self.students, Images(inputs, samples), self.data_preprocessor
        )


NO_SEGMENTATION = (
    '{} learns features alone, so that it has no segmentation to give: write its backbone with '
    'tools/model_converters/export_backbone.py and fine-tune a segmentor that starts with it '
    '(docs/guide/pretraining.md)'
)


def _prepared(sample: SegDataSample, inputs: Tensor) -> SegDataSample:
    """A sample with random numbers of its own, which follow from the name of its image.

    Its labels get the size of its image in the network, as pipelines of validation load them at the
    size of the file, and 255 in the padding of the batch.
    """
    made = sample.new()
    name = Path(str(sample.metainfo.get('img_path', ''))).name
    shape = tuple(sample.metainfo.get('img_shape', inputs.shape[2:])[:2])
    made.set_metainfo(dict(draw=(0, zlib.crc32(name.encode())), img_shape=shape))
    label = sample.get('gt_sem_seg')
    if label is not None:
        data = label.data
        data = data if tuple(data.shape[-2:]) == shape else downsample_nearest(data, shape)
        rows, columns = (whole - side for whole, side in zip(inputs.shape[2:], shape))
        data = F.pad(data, (0, columns, 0, rows), value=IGNORE_INDEX)
        made.gt_sem_seg = PixelData(data=data)
    return made
