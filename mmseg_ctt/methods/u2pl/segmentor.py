# Copyright (c) mmseg_ctt contributors.
"""Using unreliable pseudo-labels (U2PL, arXiv 2203.03884): one student and its EMA teacher.

One step, everything inside ``forward(mode='loss')``:

1. The teacher sees the weak view of the unlabelled images: their pseudo-labels.
2. The strong view is the weak one after CutMix; pseudo-labels are mixed along.
3. Student and teacher see the labelled images and the strong view.
4. The entropy of the teacher on the strong view splits its pixels: the highest ``alpha_t``
   percent are unreliable, and fewer of them as the training goes on.
5. Losses: supervised; cross-entropy to the pseudo-labels of the reliable pixels, divided by their
   ratio.
6. Unreliable pixels enter the negative queues of the classes that the teacher ranks 3 to 20;
   labelled pixels enter those of the classes that it confuses with their own.
7. Contrast of confident pixels of each class with the negative queue of their class.

The teacher follows the student in :class:`TeacherEMAHook`, after each optimiser step.
"""

import math
from contextlib import contextmanager
from typing import Dict, Iterator, List, Mapping, Optional, Sequence

import torch
from mmengine.dist import all_gather, get_world_size
from mmseg.registry import MODELS
from torch import Tensor

from ...nn import settings
from ...nn.heads import main_head
from ...nn.images import Images
from ...nn.member import PixelOutput
from ...nn.pseudo_label import IGNORE_INDEX, PseudoLabel
from ...nn.ranks import mean_over_ranks
from ...nn.schedule import training_progress
from ..base import TEACHER_MODES, Losses, SemiSegmentor
from ..followers import Follower
from .contrast import UnreliableContrast
from .entropy import EntropyPartition, drop_percent, entropy_partition, pixel_entropy
from .functional import reliable_cross_entropy

TEACHER = 'teacher0'
MAX_ENTROPIES = 1 << 22  # of all ranks together, from which the percentiles are taken


@MODELS.register_module()
class U2PL(SemiSegmentor):
    """Mean teacher that learns from reliable and from unreliable pixels.

    Loss weights ``sup``, ``unsup``, ``contrast`` default to 1, 1, 1; the released code divides its
    contrast by the number of GPUs. Without contrast (0) there are no queues and no projections.
    The strong view is CutMix without changes of colour. Schedules follow the iterations.

    Buffers: those of :class:`SemiSegmentor` and the queues.

    Args:
        drop_percent (float): ``alpha_0``, percent of unreliable pixels at the beginning; none
            are at the end. Defaults to 20 (paper).
        warmup (float): Ratio of the run in which the student learns from labels alone. Defaults
            to 0; the released code does so for the first of 80 epochs on VOC.
        label_mode (str): ``'eval'`` or ``'train'``, mode of the teacher while it makes
            pseudo-labels (1); ``teacher_mode`` is that of its other pass (3).
            Defaults to 'eval' (released code).
        bank (dict, optional): Settings of the queues, a :class:`ClassMemoryBank`.
            Defaults to None.
        contrast (dict, optional): Settings of :class:`UnreliableContrast`. Defaults to None.
        kwargs: As in :class:`SemiSegmentor`.

    Raises:
        ValueError: For an unknown loss weight or a bad setting.
    """

    default_num_pairs = 1
    default_supervision = 'self'
    fixed_graph = True
    default_loss_weights = dict(unsup=1.0, contrast=1.0)
    ramped_terms = ('unsup',)
    default_augmentation = (dict(type='CutMixing'),)
    parts = ('contrast',)
    reads_embedding = True
    sections = dict(SemiSegmentor.sections, _partition='pseudo-labels', _pseudo_label_loss='losses')
    toy_settings = dict(
        bank=dict(size=12, budget=5),
        contrast=dict(dim=8, num_anchors=4, num_negatives=3, anchor_threshold=0.1, ranks=(1, 4)),
    )

    def build(
        self,
        drop_percent: float = 20.0,
        warmup: float = 0.0,
        label_mode: str = 'eval',
        bank: Optional[dict] = None,
        contrast: Optional[dict] = None,
    ) -> None:
        """See the class."""
        settings.check_number('model.drop_percent', drop_percent, 0, 50)
        settings.check_number('model.warmup', warmup, 0, 1, ends='[)')
        settings.check_choice('model.label_mode', label_mode, TEACHER_MODES)
        self.drop_percent, self.warmup, self.label_mode = drop_percent, warmup, label_mode
        norm_cfg = main_head(self.students[0]).norm_cfg
        self.contrast = UnreliableContrast.of(
            self, ('contrast',), contrast, bank, dict(norm_cfg=norm_cfg)
        )

    def followers(self) -> List[Follower]:
        """The teacher, and the projection of its features."""
        followers = super().followers()
        contrast = getattr(self, 'contrast', None)
        if contrast is not None:
            followers.append(Follower(contrast.teacher_projection, contrast.projection))
        return followers

    def step(self, labeled: Images, unlabeled: Images) -> Losses:
        """One step, in the order of the file's header; see :meth:`SemiSegmentor.step`."""
        progress = training_progress()
        outputs = self.teacher_outputs(unlabeled=unlabeled)
        pseudo = self.pseudo_labels(outputs, unlabeled)[TEACHER]  # 1
        view = self.strong_view(unlabeled, pseudo.label)  # 2
        target = pseudo.apply_mix(view)
        student = self.forward_member('student0', labeled.image, view.image)  # 3
        teacher = self.forward_member(TEACHER, labeled.image, view.image)
        partition = self._partition(teacher[1], target, progress)  # 4
        losses = self.supervised_loss(0, student[0], labeled)  # 5
        if progress < self.warmup:
            return {**losses, **self._zero_losses(student)}
        losses.update(self._pseudo_label_loss(student[1], target, partition))
        if self.contrast is not None:
            pixels = self.contrast.pixels(teacher, labeled.labels, target.label, partition)
            self.contrast.update(pixels, labeled.draws + unlabeled.draws)  # 6
            losses['student0.contrast'] = self.contrast(student, pixels, unlabeled.draws)  # 7
            losses['queue_fill'] = self.contrast.fill_ratio().mean()
        return losses

    def forward_teachers(self, images: Mapping[str, Images]) -> Dict[str, List[PixelOutput]]:
        """Output of the teacher for the weak view, in ``label_mode``."""
        with self._teacher_in_label_mode():
            return {TEACHER: self.forward_member(TEACHER, images['unlabeled'].image)}

    @contextmanager
    def _teacher_in_label_mode(self) -> Iterator[None]:
        """The teacher in ``label_mode``, but for a frozen one, which stays in eval mode."""
        teacher, mode = self.member(TEACHER), self.teacher_mode
        differs = self.label_mode != mode and self.members[TEACHER].follows is not None
        if differs:
            teacher.train(self.label_mode == 'train')
        try:
            yield
        finally:
            if differs:
                teacher.train(mode == 'train')

    def _partition(
        self, output: PixelOutput, target: PseudoLabel, progress: float
    ) -> EntropyPartition:
        size = (target.label.shape[1], target.label.shape[2])
        entropy = pixel_entropy(output.logits, size, self.align_corners)
        percent = drop_percent(progress, self.drop_percent)
        return entropy_partition(entropy, percent, target.label != IGNORE_INDEX, _gathered)

    def _pseudo_label_loss(
        self, output: PixelOutput, target: PseudoLabel, partition: EntropyPartition
    ) -> Losses:
        """Cross-entropy to the pseudo-labels of the pixels that are not unreliable."""
        label = target.label
        logits = self.upsampled(output.logits, (label.shape[1], label.shape[2]))
        loss = reliable_cross_entropy(logits, label, ~partition.high, IGNORE_INDEX, mean_over_ranks)
        used = (~partition.high & (label != IGNORE_INDEX)).float().mean()
        return {'student0.unsup': loss, 'student0.used_ratio': mean_over_ranks(used)}

    def _zero_losses(self, student: Sequence[PixelOutput]) -> Losses:
        """The keys of a step without unlabelled images, zeros attached to the graph."""
        zero = student[1].zero_loss()
        terms = {'student0.unsup': zero, 'student0.used_ratio': zero.detach()}
        if self.contrast is not None:
            terms['student0.contrast'] = self.contrast.zero_loss(student)
            terms['queue_fill'] = self.contrast.fill_ratio().mean()
        return terms


def _gathered(entropy: Tensor) -> Tensor:
    """Entropies of all ranks, every so many of each where they are too many to sort."""
    world = get_world_size()
    if world == 1:
        return entropy
    step = math.ceil(len(entropy) * world / MAX_ENTROPIES)
    return torch.cat(all_gather(entropy[::step].contiguous()))
