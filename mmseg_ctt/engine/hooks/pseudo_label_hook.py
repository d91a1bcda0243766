# Copyright (c) mmseg_ctt contributors.
import copy
import os.path as osp
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Tuple, Union

import mmcv
import numpy as np
import torch
from mmengine.config import Config, ConfigDict
from mmengine.dataset import BaseDataset, pseudo_collate
from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import DATASETS, HOOKS
from torch import Tensor, nn

from ...datasets.isolation import isolated_randomness
from ...datasets.labeled_unlabeled import LabeledUnlabeledDataset
from ...datasets.sampler import DrawnImage
from ...datasets.sources import UNLABELED, source_config
from ...functional import pseudo_label
from ...functional.segmentation_counts import (
    PixelCounts,
    named_scores,
    pixel_counts,
    pseudo_label_scores,
)
from ...methods.base import SemiSegmentor
from ...nn.padding import content_mask, within
from ...nn.unwrap import unwrapped
from ...visualization import colorize, save_grid

KEY = 'custom_hooks: PseudoLabelHook'
Targets = Dict[str, Tuple[Tensor, Tensor]]


@HOOKS.register_module()
class PseudoLabelHook(Hook):
    """Watches how good the pseudo-labels are, on a fixed handful of unlabelled images.

    Every ``interval`` iterations the teaching members label these images as they do in a step
    (same mode, same batch composition, the weak view of the training pipeline with random
    numbers that never change), and the share of confident pixels, accuracy and IoU come out as
    ``pseudo/used``, ``pseudo/acc``, ``pseudo/mIoU``, ``pseudo/IoU_<class>``, ... in the message
    hub, the log and the visualizer; pictures go to ``pseudo_labels/`` of the work folder.

    The training data have no path to the masks of unlabelled images, and shall have none. The
    hook therefore reads the images a second time, with masks, instead of looking at the batches
    of training. What the model sees of them is images alone, without gradient; its statistics
    and the random numbers are put back, so that a run with the hook is the run without it.

    Args:
        truth (dict, optional): Merged into the config of the unlabelled set to give the hook its
            masks, such as ``dict(data_prefix=dict(seg_map_path='ann_dir/train'))``. Defaults to
            None: no truth is known, only the share of confident pixels and pictures.
        interval (int): Iterations between two looks. Defaults to 500.
        num_images (int): Images that are looked at. Defaults to 16.
        pictures (int): Of these, images in the picture grid. Defaults to 4.
        confident (float, optional): Confidence from which a pixel counts as used. Defaults to
            None: ``model.confident``, or the thresholds of the classes.
        seed (int): Chooses the images and their augmentation. Defaults to 0.

    Raises:
        ValueError: If a count is not positive, the model or the data are not semi-supervised, or
            the model has no threshold and none is given.
        FileNotFoundError: If a mask of the truth does not exist.
    """

    def __init__(
        self,
        truth: Optional[dict] = None,
        interval: int = 500,
        num_images: int = 16,
        pictures: int = 4,
        confident: Optional[float] = None,
        seed: int = 0,
    ) -> None:
        for name, value in (('interval', interval), ('num_images', num_images)):
            if value < 1:
                raise ValueError(f'{KEY}.{name} must be positive, got {value}')
        self.truth, self.interval, self.num_images = truth, interval, num_images
        self.pictures, self.confident, self.seed = pictures, confident, seed

    def before_train(self, runner: Runner) -> None:
        """Find model and images."""
        model = unwrapped(runner.model)
        data = runner.train_dataloader.dataset
        if not isinstance(model, SemiSegmentor):
            raise ValueError(
                f'{KEY} needs a semi-supervised model, got {type(model).__name__}: remove the hook'
            )
        if not isinstance(data, LabeledUnlabeledDataset) or data.unlabeled is None:
            raise ValueError(
                f'{KEY} needs train_dataloader.dataset.type='
                '"LabeledUnlabeledDataset" with the source unlabeled'
            )
        self.model, self.data = model, data
        self.threshold = (
            getattr(model, 'confident', None) if self.confident is None else self.confident
        )
        if self.threshold is None:
            raise ValueError(
                f'{KEY}.confident: {type(model).__name__} has no threshold of its own, set one'
            )
        self.truth_set = (
            None
            if self.truth is None
            else _build_truth(runner.cfg.train_dataloader.dataset, self.truth)
        )
        source = data.unlabeled if self.truth_set is None else self.truth_set
        self.chosen = _some(len(source), self.num_images, self.seed)
        if self.truth_set is not None:
            _check_masks(self.truth_set, self.chosen)

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Optional[dict] = None,
        outputs: Optional[dict] = None,
    ) -> None:
        """Look at the interval."""
        if (runner.iter + 1) % self.interval:
            return
        counts, rows = None, []
        with (
            undisturbed(self.model, self.seed),
            torch.no_grad(),
            runner.optim_wrapper.optim_context(runner.model),
        ):
            for batch, new in self._batches(runner.train_dataloader):
                more, shown = self._look(batch, new, self.pictures - len(rows))
                counts = more if counts is None else counts.plus(more)
                rows += shown
        self._report(runner, counts)
        if rows:
            self._draw(runner, rows)

    # ---- images

    def _batches(self, loader) -> Iterator[Tuple[dict, int]]:
        """The chosen images in batches made up as those of training, and how many are new.

        The first images fill up the last batch: batch statistics of a smaller one would be
        others, and there are none of a single image.
        """
        periods = loader.batch_size // loader.sampler.period
        counts = {name: periods * count for name, count in loader.sampler.ratio.items()}
        unlabeled = counts.pop(UNLABELED)
        companions = [
            index for name, count in counts.items() for index in self._some_of(name, count)
        ]
        known = [
            self.data[DrawnImage(index, number, self.seed)]
            for number, index in enumerate(companions)
        ]
        count = len(self.chosen)
        for start in range(0, count, unlabeled):
            numbers = (number % count for number in range(start, start + unlabeled))
            samples = [*known, *map(self._weak_view, numbers)]
            yield pseudo_collate(samples), min(unlabeled, count - start)

    def _some_of(self, name: str, count: int) -> List[int]:
        """``count`` images of a source, again and again where it has fewer."""
        chosen = _some(self.data.num_images[name], count, self.seed)
        first = self.data.first_index[name]
        return [first + index for index in islice(cycle(chosen), count)]

    def _weak_view(self, number: int) -> dict:
        index = self.chosen[number]
        if self.truth_set is None:
            first = self.data.first_index[UNLABELED]
            return self.data[DrawnImage(first + index, number, self.seed)]
        with isolated_randomness(self.seed, number):
            sample = self.truth_set[index]
        sample['data_samples'].set_metainfo(dict(source=UNLABELED, draw=(self.seed, number)))
        return sample

    # ---- pseudo-labels

    def _look(self, batch: dict, new: int, pictures: int) -> Tuple[PixelCounts, List[list]]:
        """Counts of the new images, summed over the teaching members, and rows of pictures."""
        data = self.model.data_preprocessor(batch, True)
        weak, samples = data['inputs']['unlabeled'], data['data_samples']['unlabeled']
        content = content_mask(samples, weak)
        targets = {
            name: (within(label, content, 255), within(confidence, content, 0))
            for name, (label, confidence) in self._targets(weak, data['inputs']['labeled']).items()
        }
        truth = (
            None
            if self.truth_set is None
            else torch.cat([sample.gt_sem_seg.data for sample in samples]).long()
        )
        counts = [
            pixel_counts(
                label[:new],
                confidence[:new],
                None if truth is None else truth[:new],
                self.model.num_classes,
                self._threshold_of(label[:new]),
            )
            for label, confidence in targets.values()
        ]
        total = counts[0]
        for one in counts[1:]:
            total = total.plus(one)
        shown = max(0, min(new, pictures))
        rows = self._rows(weak, samples, targets, truth)[:shown] if shown else []
        return total, rows

    def _targets(self, weak: Tensor, labeled: Tensor) -> Targets:
        """Label and confidence by teaching member, from the pass that the method itself makes."""
        logits = {
            name: outputs[0].logits for name, outputs in self.model.guides(weak, labeled).items()
        }
        for name, alignment in (self.model.alignment or {}).items():
            logits[name] = alignment.align(logits[name])
        return {
            name: pseudo_label(said, weak.shape[2:], self.model.align_corners)
            for name, said in logits.items()
        }

    def _threshold_of(self, label: Tensor) -> Union[float, Tensor]:
        if self.confident is None and hasattr(self.model, 'threshold_of'):
            return self.model.threshold_of(label)
        return self.threshold

    # ---- report

    def _report(self, runner: Runner, counts: PixelCounts) -> None:
        classes = tuple(self.data.metainfo['classes'])
        scores = named_scores(pseudo_label_scores(counts), classes)
        named = {f'pseudo/{name}': value for name, value in scores.items()}
        runner.message_hub.update_scalars(named)
        runner.visualizer.add_scalars(named, step=runner.iter + 1)
        words = ', '.join(
            f'{name} {scores[name]:.1%}'
            for name in ('used', 'acc', 'acc_used', 'mIoU')
            if name in scores
        )
        by_class = '; '.join(
            f'{name} '
            + ' '.join(
                f'{key} {scores[f"{key}_{name}"]:.0%}'
                for key in ('used', 'acc', 'IoU')
                if f'{key}_{name}' in scores
            )
            for name in classes
        )
        runner.logger.info(
            f'pseudo-labels of {len(self.chosen)} images at iteration '
            f'{runner.iter + 1}: {words} | {by_class}'
        )

    # ---- pictures

    def _rows(
        self, weak: Tensor, samples: list, targets: Targets, truth: Optional[Tensor]
    ) -> List[list]:
        """Image, strong view, pseudo-label, confidence, truth, by the first student's teacher."""
        label, confidence = targets[self.model.graph[0][0]]
        palette = self.data.metainfo['palette']
        columns = [_pictures(weak, self.model.data_preprocessor)]
        if hasattr(self.model, 'strong_view'):
            draws = [sample.metainfo['draw'] for sample in samples]
            view = self.model.strong_view(
                weak, label, draws, self.model.data_preprocessor, num_classes=self.model.num_classes
            )
            columns.append(_pictures(view.image, self.model.data_preprocessor))
        columns.append([colorize(one, palette) for one in label.cpu().numpy()])
        grey = (confidence * 255).byte().cpu().numpy()
        columns.append([one[..., None].repeat(3, axis=2) for one in grey])
        if truth is not None:
            columns.append([colorize(one, palette) for one in truth.cpu().numpy()])
        return [list(row) for row in zip(*columns)]

    @master_only
    def _draw(self, runner: Runner, rows: List[list]) -> None:
        titles = ['image', 'strong view'] if hasattr(self.model, 'strong_view') else ['image']
        titles += ['pseudo-label', 'confidence'] + ['truth'] * (self.truth_set is not None)
        path = Path(runner.work_dir) / 'pseudo_labels' / f'iter_{runner.iter + 1}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        meta = self.data.metainfo
        save_grid(path, rows, titles, meta['classes'], meta['palette'])
        picture, step = mmcv.imread(path, channel_order='rgb'), runner.iter + 1
        for backend in runner.visualizer._vis_backends.values():
            # MLflow takes the name for that of a file and wants its ending
            mlflow = type(backend).__name__ == 'MLflowVisBackend'
            backend.add_image(
                f'pseudo_labels/{step}.png' if mlflow else 'pseudo_labels', picture, step
            )


@contextmanager
def undisturbed(model: nn.Module, seed: int) -> Iterator[None]:
    """Put back what passes in training mode change: buffers and random numbers.

    Args:
        model (nn.Module): The model.
        seed (int): Of the random numbers inside (dropout).
    """
    kept = [
        (buffer, buffer.clone())
        for part in (*model.students, *model.teachers)
        for buffer in part.buffers()
    ]
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        try:
            yield
        finally:
            with torch.no_grad():
                for buffer, old in kept:
                    buffer.copy_(old)


def _build_truth(train: dict, truth: dict) -> BaseDataset:
    """The unlabelled set with masks; its pipeline loads them behind the image."""
    plain = copy.deepcopy(dict(train[UNLABELED]))
    plain.update(ann_file=source_config(train, UNLABELED).get('ann_file', ''))
    cfg = Config._merge_a_into_b(ConfigDict(truth), ConfigDict(plain))
    if 'pipeline' not in truth:
        types = [step['type'] for step in cfg['pipeline']]
        place = types.index('LoadImageFromFile') + 1 if 'LoadImageFromFile' in types else 1
        cfg['pipeline'].insert(place, dict(type='LoadAnnotations'))
    return DATASETS.build(cfg)


def _check_masks(dataset: BaseDataset, indices: List[int]) -> None:
    for index in indices:
        path = dataset.get_data_info(index).get('seg_map_path')
        if path is None:
            raise ValueError(f'{KEY}.truth names no masks: set truth.data_prefix.seg_map_path')
        if not osp.isfile(path):
            raise FileNotFoundError(
                f'{KEY}.truth: the mask {path} does not exist; correct '
                'truth.data_prefix.seg_map_path or remove truth'
            )


def _some(size: int, count: int, seed: int) -> List[int]:
    """``count`` of ``size`` indices, or all, drawn from a seed."""
    return np.random.default_rng(seed).permutation(size)[:count].tolist()


def _pictures(image: Tensor, colour: nn.Module) -> List[np.ndarray]:
    """Normalised images ``(B, 3, H, W)`` as RGB pictures ``(H, W, 3)`` uint8."""
    plain = image.float()
    if hasattr(colour, 'mean'):
        plain = plain * colour.std + colour.mean
    plain = plain if getattr(colour, 'channel_conversion', True) else plain.flip(1)
    return list(plain.clamp(0, 255).byte().permute(0, 2, 3, 1).cpu().numpy())
