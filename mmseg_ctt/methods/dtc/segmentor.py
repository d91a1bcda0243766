# Copyright (c) mmseg_ctt contributors.
"""Dual-task consistency (DTC, arXiv 2009.04448): classes and signed distances that agree.

One step, everything inside ``forward(mode='loss')``:

1. The student sees the labelled and the unlabelled images; a second head on the input of its
   classifier predicts the signed distance to the border of each class.
2. Losses of the labels: those of the heads, and Dice over the whole batch.
3. Loss of the distances: squared error against the maps that the loader makes of the labels.
4. Consistency on all images: a steep sigmoid turns distances into probabilities; they must be those
   of the classifier. Both get the gradient, and the weight climbs along a sigmoid.

There is no teacher. Prediction needs the classifier alone.
"""

import logging
from typing import Any, Dict, Mapping, Optional, Sequence, Tuple

import torch
from mmengine.logging import print_log
from mmseg.registry import MODELS
from torch import Tensor

from ...datasets.signed_distance import GenerateSignedDistance
from ...functional import squared_dice_loss, two_class_logits
from ...nn import settings
from ...nn.dice_loss import SquaredDiceLoss
from ...nn.heads import main_head
from ...nn.images import Images
from ...nn.member import PixelOutput
from ...nn.ranks import joint_sum, mean_over_ranks
from ..base import Losses, SemiSegmentor
from .functional import distance_loss, dual_task_consistency
from .level_set import LevelSetHead

MAP = 'signed_distance'
STEP = 'GenerateSignedDistance'
Tasks = Tuple[Tensor, Tensor]  # level sets and probabilities, (B, C, H, W)
RELEASED = dict(empty='zeros', boundary='zero')  # settings of the maps in the released code


@MODELS.register_module()
class DualTaskConsistency(SemiSegmentor):
    """One student whose classes and signed distances must agree.

    Loss weights ``sup``, ``dice``, ``distance``, ``consistency`` default to 1, 1, 0.3, 1; the last
    three are those of the released code. ``sup`` is the loss of the student's own heads. The
    released code has Dice alone, which gives next to no gradient where a batch has no pixel of a
    class (``mode='released'``: ``sup`` is 0). The consistency climbs over the whole run (released
    code, in steps of 150 iterations there).

    Level sets and Dice are of class 1 where there are two classes, as in the released code, and of
    every class where there are more (ours; ``signed_distance=dict(background=...)``). A head of one
    channel (``num_classes=2``, ``out_channels=1``) predicts by a sigmoid, as the released code;
    heads of more channels by a softmax.

    The loader makes the distance maps: ``GenerateSignedDistance`` enters the pipeline of the
    labelled images when a run is prepared.

    Args:
        mode (str): ``'default'``, or ``'released'``, the losses and maps of the released code.
            Defaults to 'default'.
        steepness (float): Of the sigmoid that turns distances into probabilities. Defaults to 1500
            (released code).
        signed_distance (dict, optional): Settings of :class:`GenerateSignedDistance`. Defaults to
            None: maps of class 1 of two classes, of all classes where they are more;
            ``empty='ones'`` and ``boundary='inside'``, in mode 'released' ``'zeros'`` and
            ``'zero'``.
        kwargs: As in :class:`SemiSegmentor`.

    Raises:
        ValueError: For a bad setting, weights that leave the distances untrained, or a head of one
            channel with another background than class 0.
    """

    default_num_pairs = 1
    default_supervision = 'own'
    fixed_graph = True
    uses_pseudo_labels = False
    default_loss_weights = dict(dice=1.0, distance=0.3, consistency=1.0)
    ramped_terms = ('consistency',)
    default_ramp_up = dict(ratio=1.0, shape='sigmoid')
    modes = dict(default={}, released=dict(loss_weights=dict(sup=0.0)))
    parts = ('level_set',)
    reads_embedding = True
    one_channel = True
    pipeline_steps = dict(labeled=(dict(type=STEP),))
    sections = dict(
        SemiSegmentor.sections,
        _both_tasks='students forward',
        _labeled_losses='losses',
        _consistency='losses',
    )

    @classmethod
    def pipeline_steps_of(cls, model_cfg: Mapping[str, Any]) -> Mapping[str, Sequence[dict]]:
        """Distance maps with the settings of the model; none where their loss is off."""
        weights = settings.as_dict('model.loss_weights', model_cfg.get('loss_weights'))
        if weights.get('distance', cls.default_loss_weights['distance']) == 0:
            return {}
        given = _distance_settings(model_cfg.get('mode'), model_cfg.get(MAP))
        return dict(labeled=(dict(given, type=STEP),))

    def build(
        self, steepness: float = 1500.0, signed_distance: Optional[Mapping[str, Any]] = None
    ) -> None:
        """See the class."""
        settings.check_number('model.steepness', steepness, 0)
        self.steepness = steepness
        head = main_head(self.students[0])
        maps = settings.build_part(
            MAP,
            _distance_settings(self.mode, signed_distance),
            GenerateSignedDistance,
            num_classes=self.num_classes,
        )
        classes = maps.classes(self.num_classes)
        if head.out_channels == 1 and classes != [1]:
            raise ValueError(
                'model.signed_distance.background must be 0 for decode_head.out_channels=1, whose '
                f'channel is class 1; got {maps.background}'
            )
        if not (self.weights['distance'] or self.weights['consistency']):
            raise ValueError(
                'model.loss_weights: distance and consistency are both 0, so nothing would train '
                'the distances; set one of them, or method=supervised'
            )
        self.level_set = LevelSetHead(self.embedding_width, classes)
        self.ignore_index = head.ignore_index
        _warn_of_two_dices(head, self.weights['dice'])

    def step(self, labeled: Images, unlabeled: Images) -> Losses:
        """One step, in the order of the file's header; see :meth:`SemiSegmentor.step`."""
        outputs = self.forward_member('student0', labeled.image, unlabeled.image)  # 1
        tasks = [self._both_tasks(output, labeled.size) for output in outputs]
        losses = self.supervised_loss(0, outputs[0], labeled)
        losses.update(self._labeled_losses(tasks[0], labeled))  # 2, 3
        losses.update(self._consistency(tasks, labeled, unlabeled))  # 4
        return losses

    def _both_tasks(self, output: PixelOutput, size: Tuple[int, int]) -> Tasks:
        """Level sets and probabilities of the classes that have one, at the size of the image."""
        level_set = self.level_set(output.embedding, size, self.align_corners)
        logits = two_class_logits(self.upsampled(output.logits, size))
        return level_set, logits.softmax(dim=1)[:, self.level_set.classes]

    def _labeled_losses(self, tasks: Tasks, labeled: Images) -> Losses:
        """Dice and the error of the distances."""
        level_set, probability = tasks
        label = labeled.labels
        known, losses = label != self.ignore_index, {}
        if self.weights['dice']:
            target = label.unsqueeze(1) == self.level_set.classes.view(-1, 1, 1)
            losses['student0.dice'] = squared_dice_loss(
                probability, target, known, joint_sum=joint_sum
            )
        if self.weights['distance']:
            losses['student0.distance'] = distance_loss(
                level_set, self._distances(labeled), known, mean_over_ranks
            )
        return losses

    def _distances(self, labeled: Images) -> Tensor:
        """``(B, C, H, W)`` maps of the loader."""
        maps, number = labeled.maps(MAP), len(self.level_set.classes)
        if maps.shape[1] != number:
            raise ValueError(
                f'the samples have {maps.shape[1]} signed distance maps and the model has {number} '
                f'level sets: give {STEP} in train_dataloader.dataset.labeled.pipeline the '
                'background of model.signed_distance, or remove the step, which the method adds'
            )
        return maps

    def _consistency(self, tasks: Sequence[Tasks], labeled: Images, unlabeled: Images) -> Losses:
        """Difference of both tasks on all images, and the ratio of pixels in which they agree."""
        if not self.weights['consistency']:
            return {}
        level_set, probability = (torch.cat(maps) for maps in zip(*tasks))
        valid = torch.cat([labeled.labels != self.ignore_index, _valid(unlabeled)])
        loss = dual_task_consistency(level_set, probability, self.steepness, valid, mean_over_ranks)
        agree = ((level_set.detach() < 0) == (probability.detach() > 0.5)).all(dim=1) & valid
        counts = mean_over_ranks(torch.stack([agree.sum(), valid.sum()]).float())
        ratio = counts[0] / counts[1].clamp(min=1)
        return {'student0.consistency': loss, 'student0.agreement_ratio': ratio}


def _valid(images: Images) -> Tensor:
    """``(B, H, W)`` bool, False in the padding."""
    valid = images.valid()
    return torch.ones_like(images.image[:, 0], dtype=torch.bool) if valid is None else valid


def _distance_settings(mode: Optional[str], given: Optional[Mapping[str, Any]]) -> Dict[str, Any]:
    """Settings of the maps; those of a mode where the config has none."""
    return settings.merged('model.signed_distance', RELEASED if mode == 'released' else {}, given)


def _warn_of_two_dices(head: Any, weight: float) -> None:
    if weight and any(isinstance(module, SquaredDiceLoss) for module in head.modules()):
        print_log(
            'model.segmentor.decode_head.loss_decode has SquaredDiceLoss beside '
            f'model.loss_weights.dice={weight}, so that Dice counts twice: set the latter to 0',
            'current',
            logging.WARNING,
        )
