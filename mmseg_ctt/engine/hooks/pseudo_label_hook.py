# Copyright (c) mmseg_ctt contributors.
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

import mmcv
import torch
from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS
from torch import Tensor

from ...datasets.labeled_unlabeled import LabeledUnlabeledDataset
from ...datasets.sources import UNLABELED
from ...functional.segmentation_counts import (
    PixelCounts,
    named_scores,
    pixel_counts,
    pseudo_label_scores,
)
from ...methods.base import SemiSegmentor
from ...nn import settings
from ...nn.images import Images, pictures_of
from ...nn.pseudo_label import PseudoLabel
from ...nn.signatures import settings_of
from ...nn.unwrap import unwrapped
from ...visualization import colorize, save_grid
from .fixed_batches import KEY, FixedBatches, undisturbed

Targets = Dict[str, PseudoLabel]
RENAMED = dict(confident=f'{KEY}.confidence_threshold')


@HOOKS.register_module()
class PseudoLabelHook(Hook):
    """Accuracy and IoU of the pseudo-labels, on a fixed set of unlabelled images.

    Every ``interval`` iterations the teaching members label these images as in a training step
    (same mode, same batch composition, the weak view of the training pipeline with random numbers
    that never change). The ratio of confident pixels, accuracy and IoU are logged as
    ``pseudo/used``, ``pseudo/acc``, ``pseudo/mIoU``, ``pseudo/IoU_<class>``, ... in the message
    hub, the log and the visualizer; pictures are written to ``pseudo_labels/`` of the work folder.

    The model gets images alone, and no gradient is computed; buffers and random numbers are
    restored, so that a run with the hook equals the run without it.

    Args:
        truth (dict, optional): Merged into the config of the unlabelled source to give the hook
            its masks, such as ``dict(data_prefix=dict(seg_map_path='ann_dir/train'))``. Defaults
            to None: only the ratio of confident pixels and pictures.
        interval (int): Iterations between two measurements. Defaults to 500.
        num_images (int): Images of a measurement. Defaults to 16.
        pictures (int): Of these, images in the picture grid. Defaults to 4.
        confidence_threshold (float, optional): Confidence from which a pixel counts as used.
            Defaults to None: those count that ``model.consistency`` takes for confident, or all
            where the method has none.
        seed (int): Chooses the images and their augmentation. Defaults to 0.
        former: Settings of version 0.1, for the error that names the new ones.

    Raises:
        ValueError: If a count is not positive, a setting is unknown, or the model or the data are
            not semi-supervised.
        FileNotFoundError: If a mask of the truth does not exist.
    """

    config_key = KEY

    def __init__(
        self,
        truth: Optional[dict] = None,
        interval: int = 500,
        num_images: int = 16,
        pictures: int = 4,
        confidence_threshold: Optional[float] = None,
        seed: int = 0,
        **former: Any,
    ) -> None:
        known = [parameter.name for parameter in settings_of(PseudoLabelHook)]
        settings.check_keys(KEY, former, known, renamed=RENAMED)
        for name, value in (('interval', interval), ('num_images', num_images)):
            if value < 1:
                raise ValueError(f'{KEY}.{name} must be positive, got {value}')
        self.truth, self.interval, self.num_images = truth, interval, num_images
        self.pictures, self.confidence_threshold, self.seed = pictures, confidence_threshold, seed

    def before_train(self, runner: Runner) -> None:
        """Choose the images."""
        model, data = unwrapped(runner.model), runner.train_dataloader.dataset
        if not isinstance(model, SemiSegmentor):
            raise ValueError(
                f'{KEY} needs a model of this package, got {type(model).__name__}: set {KEY}=None'
            )
        if UNLABELED not in model.sources:
            raise ValueError(
                f'{KEY}: {type(model).__name__} makes no pseudo-labels of unlabelled images, which '
                f'could be measured: set {KEY}=None'
            )
        if not isinstance(data, LabeledUnlabeledDataset) or data.unlabeled is None:
            raise ValueError(
                f'{KEY} needs train_dataloader.dataset.type="LabeledUnlabeledDataset" with an '
                'unlabelled source'
            )
        self.model, self.metainfo = model, data.metainfo
        train = runner.cfg.train_dataloader.dataset
        self.images = FixedBatches(data, train, self.truth, self.num_images, self.seed)

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Optional[dict] = None,
        outputs: Optional[dict] = None,
    ) -> None:
        """Measure at the interval."""
        if (runner.iter + 1) % self.interval:
            return
        counts: Optional[PixelCounts] = None
        rows: List[list] = []
        precision = runner.optim_wrapper.optim_context(runner.model)
        with undisturbed(self.model, self.seed), torch.no_grad(), precision:
            for batch, new in self.images.batches(runner.train_dataloader):
                added, pictures = self._measure(batch, new, self.pictures - len(rows))
                counts = added if counts is None else counts.plus(added)
                rows += pictures
        assert counts is not None
        self._report(runner, counts)
        if rows:
            self._draw(runner, rows)

    # ---- pseudo-labels

    def _measure(self, batch: dict, new: int, pictures: int) -> Tuple[PixelCounts, List[list]]:
        """Counts of the new images, summed over the teaching members, and rows of pictures."""
        data = self.model.data_preprocessor(batch, True)
        images = {
            name: Images(data['inputs'][name], data['data_samples'][name])
            for name in self.model.sources
        }
        unlabeled = images['unlabeled']
        targets = self.model.inspect_pseudo_labels(**images)
        truth = None if self.images.truth is None else unlabeled.labels.long()
        first = [target.first(new) for target in targets.values()]
        counts = self._counts(first, None if truth is None else truth[:new])
        number = max(0, min(new, pictures))
        return counts, self._rows(images, targets, truth)[:number] if number else []

    def _counts(self, targets: Sequence[PseudoLabel], truth: Optional[Tensor]) -> PixelCounts:
        total: Optional[PixelCounts] = None
        for target in targets:
            confident = self._confident(target)
            added = pixel_counts(target.label, confident, truth, self.model.num_classes)
            total = added if total is None else total.plus(added)
        assert total is not None
        return total

    def _confident(self, target: PseudoLabel) -> Tensor:
        """``(B, H, W)`` bool, the pixels that count as used."""
        if self.confidence_threshold is not None:
            return target.confidence >= self.confidence_threshold
        consistency = self.model.consistency
        if consistency is None:
            return torch.ones_like(target.label, dtype=torch.bool)
        return consistency.confident(target)

    # ---- report

    def _report(self, runner: Runner, counts: PixelCounts) -> None:
        classes = tuple(self.metainfo['classes'])
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
            f'pseudo-labels of {len(self.images.chosen)} images at iteration '
            f'{runner.iter + 1}: {words} | {by_class}'
        )

    # ---- pictures

    def _rows(
        self, images: Dict[str, Images], targets: Targets, truth: Optional[Tensor]
    ) -> List[list]:
        """Image, strong view, pseudo-label, confidence, truth, by the first student's teacher."""
        target = targets[self.model.first_target]
        palette, preprocessor = self.metainfo['palette'], self.model.data_preprocessor
        columns = [pictures_of(images['unlabeled'].image, preprocessor)]
        if self.model.strong_augmentation is not None:
            view, _ = self.model.first_view(targets, **images)
            columns.append(pictures_of(view.image, preprocessor))
        columns.append([colorize(label, palette) for label in target.label.cpu().numpy()])
        grey = (target.confidence * 255).byte().cpu().numpy()
        columns.append([map_[..., None].repeat(3, axis=2) for map_ in grey])
        if truth is not None:
            columns.append([colorize(label, palette) for label in truth.cpu().numpy()])
        return [list(row) for row in zip(*columns)]

    @master_only
    def _draw(self, runner: Runner, rows: List[list]) -> None:
        titles = (
            ['image', 'strong view'] if self.model.strong_augmentation is not None else ['image']
        )
        titles += ['pseudo-label', 'confidence'] + ['truth'] * (self.images.truth is not None)
        path = Path(runner.work_dir) / 'pseudo_labels' / f'iter_{runner.iter + 1}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        save_grid(path, rows, titles, self.metainfo['classes'], self.metainfo['palette'])
        picture, step = mmcv.imread(path, channel_order='rgb'), runner.iter + 1
        for backend in runner.visualizer._vis_backends.values():
            # MLflow takes the name for that of a file and needs its ending
            mlflow = type(backend).__name__ == 'MLflowVisBackend'
            name = f'pseudo_labels/{step}.png' if mlflow else 'pseudo_labels'
            backend.add_image(name, picture, step)
