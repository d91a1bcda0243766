# Copyright (c) mmseg_ctt contributors.
"""Label images and pictures of an evaluation keep the sub-folders of the images.

mmseg names them by the last part of the image's path, so that of ``day0/0.png`` and ``day1/0.png``
a single file is left. Importing this module extends mmseg's ``IoUMetric`` (``--out``) and
``SegVisualizationHook`` (``--show-dir``), and mmengine's ``LocalVisBackend``; files of a data set
without sub-folders have the names that mmseg gives them.
"""

import os
import os.path as osp
from functools import wraps
from pathlib import Path
from typing import Any, Sequence

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.visualization import LocalVisBackend
from mmseg.engine import SegVisualizationHook
from mmseg.evaluation import IoUMetric
from PIL import Image

from ..datasets.label_ids import id_type
from ..datasets.output_names import OutputNames, names_of_dataset

_process, _after_iter = IoUMetric.process, SegVisualizationHook._after_iter
_add_image = LocalVisBackend.add_image


class OutputNamesHook(Hook):
    """Gives metrics and hooks that write files the names of the images; every runner has it."""

    def before_val(self, runner: Runner) -> None:
        """Name the images of the validation set."""
        self._name(runner, runner.val_loop)

    def before_test(self, runner: Runner) -> None:
        """Name the images of the test set."""
        self._name(runner, runner.test_loop)

    def _name(self, runner: Runner, loop: Any) -> None:
        drawing = [
            hook for hook in runner.hooks if isinstance(hook, SegVisualizationHook) and hook.draw
        ]
        writing = [
            metric for metric in loop.evaluator.metrics if getattr(metric, 'output_dir', None)
        ]
        if drawing or writing:
            names = names_of_dataset(loop.dataloader.dataset)
            for owner in (*drawing, *writing):
                owner.output_names = names


def _names(owner: Any) -> OutputNames:
    if not hasattr(owner, 'output_names'):
        owner.output_names = OutputNames([])
    return owner.output_names


@wraps(_process)
def _process_in_folders(self: IoUMetric, data_batch: dict, data_samples: Sequence[dict]) -> None:
    """``IoUMetric.process`` of mmseg, with label images in the sub-folders of the images."""
    folder, self.output_dir = self.output_dir, None
    try:
        _process(self, data_batch, data_samples)
    finally:
        self.output_dir = folder
    classes = (getattr(self, 'dataset_meta', None) or {}).get('classes') or ()
    for sample in data_samples if folder is not None else ():
        data = sample['pred_sem_seg']['data']
        label = data.reshape(data.shape[-2:]).cpu().numpy()
        shift = 1 if sample.get('reduce_zero_label', False) else 0  # ids of the files
        path = Path(folder, f'{_names(self).of(sample["img_path"])}.png')
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((label + shift).astype(id_type(len(classes) + shift))).save(path)


class _Renamed:
    """A visualizer that gives its pictures another name."""

    def __init__(self, visualizer: Any, name: str) -> None:
        self.visualizer, self.name = visualizer, name

    def add_datasample(self, _: str, *args: Any, **kwargs: Any) -> None:
        self.visualizer.add_datasample(self.name, *args, **kwargs)


@wraps(_after_iter)
def _draw_in_folders(
    self: SegVisualizationHook,
    runner: Runner,
    batch_idx: int,
    data_batch: dict,
    outputs: Sequence[Any],
    mode: str = 'val',
) -> None:
    """``SegVisualizationHook._after_iter`` of mmseg, with names that keep sub-folders."""
    if not self.draw or mode == 'train':
        return
    visualizer = self._visualizer
    try:
        for output in outputs:
            name = _window_name(_names(self), output.img_path, mode)
            self._visualizer = _Renamed(visualizer, name)
            _after_iter(self, runner, batch_idx, data_batch, [output], mode)
    finally:
        self._visualizer = visualizer


def _window_name(names: OutputNames, path: str, mode: str) -> str:
    folder, last = osp.split(names.of(path))
    file = osp.basename(path)
    return osp.join(folder, f'{mode}_{file if last in (file, osp.splitext(file)[0]) else last}')


@wraps(_add_image)
def _add_image_in_folder(self: LocalVisBackend, name: str, *args: Any, **kwargs: Any) -> None:
    """``LocalVisBackend.add_image`` of mmengine, which writes into existing folders alone."""
    assert self.experiment is self  # joins the folders of the back end
    os.makedirs(osp.dirname(osp.join(self._img_save_dir, name)), exist_ok=True)
    _add_image(self, name, *args, **kwargs)


IoUMetric.process = _process_in_folders
SegVisualizationHook._after_iter = _draw_in_folders
LocalVisBackend.add_image = _add_image_in_folder
