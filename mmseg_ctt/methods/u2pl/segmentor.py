# Copyright (c) mmseg_ctt contributors.
"""Using unreliable pseudo-labels (U2PL, arXiv 2203.03884): one student and its EMA teacher.

One step, everything inside ``forward(mode='loss')``:

1. The teacher looks at the weak view of the unlabelled images: their pseudo-labels.
2. The strong view is the weak one after CutMix; pseudo-labels are mixed along.
3. Student and teacher see the labelled images and the strong view.
4. The entropy of the teacher on the strong view splits its pixels: the highest ``alpha_t``
   percent are unreliable, and fewer of them as the training goes on.
5. Losses: supervised; cross-entropy to the pseudo-labels of all other pixels, over their share;
   contrast of sure pixels of each class with a queue of pixels that are not of it.
6. Before that contrast the unreliable pixels enter the queues of the classes that the teacher
   thinks least of, and labelled ones those of the classes they are mistaken for.

The teacher follows the student in :class:`TeacherEMAHook`, after each optimiser step.
"""

import math
from typing import Any, Dict, List, Optional, Sequence

import torch
from mmengine.dist import all_gather, get_world_size
from mmseg.registry import MODELS
from mmseg.utils import SampleList
from torch import Tensor

from ...functional import pseudo_label
from ...nn import settings
from ...nn.member import PixelOutput, labels_of
from ...nn.padding import content_mask, within
from ...nn.random import Draw, draws_of
from ...nn.ranks import mean_over_ranks
from ...nn.schedule import training_progress
from ..base import TEACHER_MODES, SemiSegmentor
from .contrast import Pixels, UnreliableContrast
from .entropy import EntropyPartition, drop_percent, entropy_partition, pixel_entropy
from .functional import reliable_cross_entropy

WEIGHTS = dict(sup=1.0, unsup=1.0, contrast=1.0)
CUT_MIX = dict(mix='cut', jitter_prob=0, blur_prob=0)
TEACHER = 'teacher0'
IGNORE = 255
MOST_ENTROPIES = 1 << 22  # of all ranks together, that the percentiles are taken of


@MODELS.register_module()
class U2PL(SemiSegmentor):
    """Mean teacher that learns from reliable and from unreliable pixels.

    Buffers: those of :class:`SemiSegmentor` and the queues. Schedules follow the iterations of
    the run.

    Args:
        segmentor (dict): As in :class:`SemiSegmentor`, as are all arguments not listed here.
        loss_weights (dict, optional): ``sup``, ``unsup``, ``contrast``. Defaults to 1, 1, 1; the
            released code divides its contrast by the number of GPUs. Without contrast (0) there are
            no queues and no projections.
        drop_percent (float): ``alpha_0``, percent of unreliable pixels at the beginning; none
            are at the end. Defaults to 20 (paper).
        warmup (float): Share of the run in which the student learns from labels alone. Defaults
            to 0; the released code does so for the first of 80 epochs on VOC.
        label_mode (str): ``'eval'`` or ``'train'``, mode of the teacher while it makes
            pseudo-labels (1); ``teacher_mode`` is that of its other pass (3).
            Defaults to 'eval' (released code).
        bank (dict, optional): Settings of the queues, a :class:`ClassMemoryBank`.
            Defaults to None.
        contrast (dict, optional): Settings of :class:`UnreliableContrast`. Defaults to None.
        strong_view (dict, optional): Settings of :class:`StrongView`. Defaults to CutMix without
            colours and blur.
        num_pairs (int): 1, the only choice.
        teaching (str): ``'self'``, the only choice.

    Raises:
        ValueError: For an unknown loss weight or any bad setting.
    """

    def __init__(
        self,
        segmentor: dict,
        loss_weights: Optional[dict] = None,
        drop_percent: float = 20.0,
        warmup: float = 0.0,
        label_mode: str = 'eval',
        bank: Optional[dict] = None,
        contrast: Optional[dict] = None,
        strong_view: Optional[dict] = None,
        num_pairs: int = 1,
        teaching: str = 'self',
        **kwargs: Any,
    ) -> None:
        settings.check_single_pair('U2PL', num_pairs, teaching)
        super().__init__(segmentor, num_pairs=1, teaching='self', **kwargs)
        if not 0 <= drop_percent <= 50 or not 0 <= warmup < 1:
            raise ValueError(
                'model.drop_percent must lie in [0, 50] and model.warmup in [0, 1), '
                f'got {drop_percent} and {warmup}'
            )
        if label_mode not in TEACHER_MODES:
            raise ValueError(f'model.label_mode must be one of {TEACHER_MODES}, got {label_mode!r}')
        self.weights = settings.loss_weights(loss_weights, WEIGHTS)
        self.drop_percent, self.warmup, self.label_mode = drop_percent, warmup, label_mode
        self.strong_view = settings.build_part('strong_view', strong_view, 'StrongView', CUT_MIX)
        head = self.students[0].decode_head
        self.unreliable: Optional[UnreliableContrast] = None
        if self.weights['contrast']:
            self.unreliable = settings.build_part(
                'contrast',
                contrast,
                UnreliableContrast,
                dict(norm_cfg=head.norm_cfg),
                num_classes=head.num_classes,
                width=self.embedding_width,
                bank=bank,
            )

    def train(self, mode: bool = True) -> 'U2PL':
        """As usual; the teacher's projection, too, keeps to ``teacher_mode``."""
        super().train(mode)
        if self.teacher_mode == 'eval' and self.unreliable is not None:
            self.unreliable.teacher_projection.eval()  # no dropout; its norm is of the batch
        return self

    def copy_students_to_teachers(self) -> None:
        """As usual, the projection of the contrast too."""
        super().copy_students_to_teachers()
        if self.unreliable is not None:
            state = self.unreliable.projection.state_dict()
            self.unreliable.teacher_projection.load_state_dict(state)

    def ema_pairs(self, buffers: bool) -> Dict[str, tuple]:
        """As usual, the projection of the contrast too."""
        pairs = super().ema_pairs(buffers)
        if self.unreliable is None:
            return pairs
        old, new = pairs['average']
        old.extend(self.unreliable.teacher_projection.parameters())
        new.extend(one.detach() for one in self.unreliable.projection.parameters())
        return pairs

    def loss(self, inputs: Dict[str, Tensor], data_samples: Dict[str, SampleList]) -> dict:
        """One step, in the order of the file's header; see :meth:`SemiSegmentor.loss`."""
        labeled, weak = inputs['labeled'], inputs['unlabeled']
        draws = {name: draws_of(samples) for name, samples in data_samples.items()}
        progress = training_progress()
        guide = self.aligned_guides(weak, labeled, data_samples['unlabeled'])[TEACHER][0]
        target, _ = pseudo_label(guide.logits, weak.shape[2:], self.align_corners)  # 1
        view = self.strong_view(
            weak, target, draws['unlabeled'], self.data_preprocessor, num_classes=self.num_classes
        )  # 2
        target = within(
            view.follow(target), content_mask(data_samples['unlabeled'], weak, view), IGNORE
        )
        seen = self.look('student0', labeled, view.image)  # 3
        shown = self.look(TEACHER, labeled, view.image)
        partition = self._partition(shown[1], target, progress)  # 4
        losses = self.supervise(0, seen[0], data_samples['labeled'])  # 5
        if progress < self.warmup:
            return {**losses, **self._nothing(seen)}
        losses.update(self._teach(seen[1], target, partition))
        if self.unreliable is not None:
            pixels = self.unreliable.pixels(
                shown, labels_of(data_samples['labeled']), target, partition
            )
            self.unreliable.remember(pixels, draws['labeled'] + draws['unlabeled'])  # 6
            losses.update(self._contrast_losses(seen, pixels, draws['unlabeled']))
        return losses

    def guides(self, weak: Tensor, labeled: Tensor) -> Dict[str, List[PixelOutput]]:
        """Output of the teacher that pseudo-labels are made of."""
        apart = self.label_mode != self.teacher_mode
        if apart:
            self.teachers.train(self.label_mode == 'train')
        try:
            with torch.no_grad():
                return {TEACHER: self.look(TEACHER, weak)}
        finally:
            if apart:
                self.teachers.train(self.teacher_mode == 'train')

    def _partition(self, output: PixelOutput, target: Tensor, progress: float) -> EntropyPartition:
        entropy = pixel_entropy(output.logits, target.shape[1:], self.align_corners)
        return entropy_partition(
            entropy, drop_percent(progress, self.drop_percent), target != IGNORE, _gathered
        )

    def _teach(
        self, output: PixelOutput, target: Tensor, partition: EntropyPartition
    ) -> Dict[str, Tensor]:
        """Cross-entropy to the pseudo-labels of the pixels that are not unreliable."""
        logits = self.upsampled(output.logits, target.shape[1:])
        value = reliable_cross_entropy(logits, target, ~partition.high, IGNORE, mean_over_ranks)
        used = (~partition.high & (target != IGNORE)).float().mean()
        return {
            'student0.loss_unsup': value * self.weights['unsup'],
            'student0.used': mean_over_ranks(used),
        }

    def _contrast_losses(
        self, seen: Sequence[PixelOutput], pixels: Pixels, draws: Sequence[Draw]
    ) -> Dict[str, Tensor]:
        value = self.unreliable(seen, pixels, draws)
        return {
            'student0.loss_contrast': value * self.weights['contrast'],
            'queue_fill': self.unreliable.fill(),
        }

    def _nothing(self, seen: Sequence[PixelOutput]) -> Dict[str, Tensor]:
        """The keys of a step without unlabelled images, zeros attached to the graph."""
        zero = seen[1].zero()
        terms = {'student0.loss_unsup': zero, 'student0.used': zero.detach()}
        if self.unreliable is not None:
            terms.update(
                {
                    'student0.loss_contrast': self.unreliable.zero(seen),
                    'queue_fill': self.unreliable.fill(),
                }
            )
        return terms


def _gathered(entropy: Tensor) -> Tensor:
    """Entropies of all ranks, every so many of each where they are too many to sort."""
    world = get_world_size()
    if world == 1:
        return entropy
    step = math.ceil(len(entropy) * world / MOST_ENTROPIES)
    return torch.cat(all_gather(entropy[::step].contiguous()))
