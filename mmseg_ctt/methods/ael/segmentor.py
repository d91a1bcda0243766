# Copyright (c) mmseg_ctt contributors.
"""Adaptive Equalization Learning (AEL, arXiv 2110.05474): a mean teacher that helps weak classes.

The class confidence is a running mean of the student's probability of the true class on labelled
images. One step, everything inside ``forward(mode='loss')``:

1. Adaptive Copy-Paste: classes are drawn among the tail classes, more often those of low
   confidence. All their pixels in one labelled image are pasted onto another, with their labels.
2. The teacher sees the weak view of the unlabelled images, and the pasted labelled ones.
3. Adaptive CutMix: an object of a class of little confidence, as the teacher predicts it, is cut
   into each unlabelled image, pseudo-labels along; then colours and blur.
4. The student sees the pasted labelled images and the strong view.
5. Losses: supervised, and on both batches consistency with the teacher, where pixels are sampled
   by the confidence of their class and weighted by that of the teacher.
6. The student's outputs for the labelled images update the class confidence.

The teacher follows the student in :class:`TeacherEMAHook`, after each optimiser step.
"""

from typing import Any, ClassVar, Dict, Mapping, Optional, Tuple, Union

import torch
from mmseg.registry import MODELS
from torch import Tensor

from ...nn import settings
from ...nn.augmentation import View
from ...nn.images import Images
from ...nn.member import PixelOutput
from ...nn.pseudo_label import PseudoLabel
from ...nn.rng import sample_noise
from ...nn.sample_maps import pixel_maps, samples_of
from ..base import Losses, SemiSegmentor
from ..checks import check_not_mixing, check_pair
from .class_confidence import ClassConfidence
from .loss import EqualizedConsistency
from .mixing import AdaptiveCopyPaste, AdaptiveCutMix


@MODELS.register_module()
class AEL(SemiSegmentor):
    """Adaptive Equalization Learning.

    Loss weights: ``sup``, and ``labeled`` and ``unlabeled`` of the consistency, all 1. The
    consistency is an :class:`EqualizedConsistency`.

    Buffers: those of :class:`SemiSegmentor` and of :class:`ClassConfidence`.

    Args:
        class_confidence (dict, optional): Settings of :class:`ClassConfidence`. Defaults to None.
        copy_paste (bool | dict): Settings of :class:`AdaptiveCopyPaste`; False switches it off,
            None is an error. Defaults to True.
        cut_mix (bool | dict): Settings of :class:`AdaptiveCutMix`; as ``copy_paste``.
            Defaults to True.
        kwargs: As in :class:`SemiSegmentor`.

    Raises:
        TypeError: If ``copy_paste`` or ``cut_mix`` is neither a bool nor a dict.
        ValueError: For more than the student and its teacher, an unknown loss weight, or a bad
            setting of a part.
    """

    default_num_pairs = 1
    default_supervision = 'self'
    fixed_graph = True
    default_loss_weights = dict(labeled=1.0, unlabeled=1.0)
    ramped_terms = ('labeled', 'unlabeled')
    default_augmentation = (dict(type='ColorJitter'), dict(type='GaussianBlur'))
    consistency_class = EqualizedConsistency
    default_consistency: ClassVar[Mapping[str, Any]] = {}
    sections = dict(SemiSegmentor.sections, _paste='strong view', _cut='strong view')
    toy_settings = dict(consistency=dict(confidence_threshold=0.27))
    renamed = dict(bank='model.class_confidence')

    def build(
        self,
        class_confidence: Optional[dict] = None,
        copy_paste: Union[bool, dict] = True,
        cut_mix: Union[bool, dict] = True,
    ) -> None:
        """See the class."""
        num_classes = self.num_classes
        self.class_confidence = settings.build_part(
            'class_confidence', class_confidence, ClassConfidence, num_classes=num_classes
        )
        self.copy_paste = settings.build_optional(
            'copy_paste', copy_paste, AdaptiveCopyPaste, num_classes=num_classes
        )
        self.cut_mix = settings.build_optional('cut_mix', cut_mix, AdaptiveCutMix)
        check_not_mixing(self, 'model.cut_mix')

    def step(self, labeled: Images, unlabeled: Images) -> Losses:
        """One step, in the order of the file's header; see :meth:`SemiSegmentor.step`."""
        pasted, labeled_key = self._paste(labeled)  # 1
        outputs = self.teacher_outputs(unlabeled=unlabeled, labeled=pasted)  # 2
        ((on_weak, on_pasted),) = outputs.values()
        (weak_target,) = self.pseudo_labels(outputs, unlabeled).values()
        pasted_target = self.pseudo_label(on_pasted.logits, pasted)
        view, target, unlabeled_key = self._cut(unlabeled, on_weak, weak_target)  # 3
        students = self.forward_member('student0', pasted.image, view.image)  # 4
        losses = self.supervised_loss(0, students[0], pasted)  # 5
        on_labeled, on_strong = (output.logits for output in students)
        losses.update(self._consistency('labeled', on_labeled, pasted_target, labeled_key))
        losses.update(self._consistency('unlabeled', on_strong, target, unlabeled_key))
        self.class_confidence.update(  # 6
            on_labeled, pasted.labels, labeled.labels, self.align_corners
        )
        return losses

    @property
    def teacher_sources(self) -> Tuple[str, ...]:
        """The weak view, and the labelled images with what was pasted."""
        return ('unlabeled', 'labeled')

    @torch.no_grad()
    def inspect_pseudo_labels(self, **images: Images) -> Dict[str, PseudoLabel]:
        """With pasted labelled images beside the weak view, as in a step; see the base."""
        pasted, _ = self._paste(images['labeled'])
        return super().inspect_pseudo_labels(**{**images, 'labeled': pasted})

    def _paste(self, labeled: Images) -> Tuple[Images, Tensor]:
        """Pasted images with their labels, and ``(B,)`` seed of the sampling noise, in [0, 1)."""
        image, part = labeled.image, self.copy_paste
        width = 1 + (part.noise_width if part else 0)
        noise = sample_noise(labeled.draws, width, 'ael/labeled', image.device)
        if part is None:
            return labeled, noise[:, 0]
        check_pair(image, 'copy_paste', 'labelled')
        maps = pixel_maps(labeled)
        together = torch.cat([image, *(map_.float() for map_ in maps.values())], dim=1)
        together, _ = part(
            together,
            labeled.labels,
            noise[:, 1:],
            self.class_confidence.confidence,
            self.class_confidence.pixels,
        )
        channels = [image.shape[1], *(map_.shape[1] for map_ in maps.values())]
        image, *pasted = together.split(channels, dim=1)
        moved = {name: map_.to(maps[name].dtype) for name, map_ in zip(maps, pasted)}
        samples = samples_of(moved, [sample.metainfo for sample in labeled.samples])
        return Images(image, samples), noise[:, 0]

    def _cut(
        self, weak: Images, output: PixelOutput, target: PseudoLabel
    ) -> Tuple[View, PseudoLabel, Tensor]:
        """Strong view, its pseudo-label, and ``(B,)`` seed of the sampling noise, in [0, 1)."""
        width = 1 + AdaptiveCutMix.noise_width
        noise = sample_noise(weak.draws, width, 'ael/unlabeled', weak.image.device)
        if self.cut_mix is not None:
            check_pair(weak.image, 'cut_mix', 'unlabelled')
            confidence = self.class_confidence.confidence
            cut = self.cut_mix(output.logits, weak.size, noise[:, 1:], confidence, target.valid)
            weak = weak._replace(image=cut.apply_mix(weak.image))
            target = target.apply_mix(cut)
        return self.strong_view(weak, target.label), target, noise[:, 0]

    def _consistency(self, name: str, logits: Tensor, target: PseudoLabel, key: Tensor) -> Losses:
        class_confidence = self.class_confidence.confidence
        loss, kept, confident = self.consistency(
            logits, target, key, class_confidence, self.align_corners
        )
        losses = {f'student0.{name}': loss, f'student0.kept_ratio_{name}': kept}
        if name == 'unlabeled':  # watched by GuardHook; all labelled pixels may be confident
            losses['student0.confident_ratio'] = confident
        return losses
