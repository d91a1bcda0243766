# Copyright (c) mmseg_ctt contributors.
"""Adaptive Equalization Learning (AEL, arXiv 2110.05474): a mean teacher that helps weak classes.

The confidence bank says how sure the student is of each class on labelled images. One step,
everything inside ``forward(mode='loss')``:

1. Adaptive Copy-Paste: pixels of tail classes, rather those of little confidence, come from one
   labelled image onto another, with their labels.
2. The teacher labels the weak view of the unlabelled images, and the pasted labelled ones.
3. Adaptive CutMix: an object of a class of little confidence, as the teacher sees it, is cut into
   each unlabelled image, pseudo-labels along; then colours and blur.
4. The student sees the pasted labelled images and the strong view.
5. Losses: supervised, and on both batches consistency with the teacher, where pixels are sampled
   by the confidence of their class and weighted by that of the teacher.
6. The student's confidence in the true classes enters the bank.

The teacher follows the student in :class:`TeacherEMAHook`, after each optimiser step.
"""

from typing import Any, Dict, List, Optional, Tuple, Union

from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from mmseg.utils import SampleList
from torch import Tensor

from ...functional import pseudo_label
from ...nn import settings
from ...nn.member import PixelOutput, labels_of
from ...nn.padding import content_mask, within
from ...nn.random import counter_noise, draws_of
from ..base import SemiSegmentor
from .class_confidence import ConfidenceBank
from .loss import EqualizedLoss
from .mixing import AdaptiveCopyPaste, AdaptiveCutMix

WEIGHTS = dict(sup=1.0, labeled=1.0, unlabeled=1.0)
STREAM = 16  # of the random numbers; the strong view has the first ones
Target = Tuple[Tensor, Tensor]


@MODELS.register_module()
class AEL(SemiSegmentor):
    """Adaptive Equalization Learning.

    Buffers: those of :class:`SemiSegmentor` and of :class:`ConfidenceBank`.

    Args:
        segmentor (dict): As in :class:`SemiSegmentor`, as are all arguments not listed here.
        loss_weights (dict, optional): ``sup``, and ``labeled`` and ``unlabeled`` of the
            consistency. All default to 1.
        confident (float): Pixels of which the teacher is less sure are ignored. Defaults to 0
            (released code: 0 on Cityscapes, 0.7 on VOC).
        consistency (dict, optional): Settings of :class:`EqualizedLoss`. Defaults to None.
        bank (dict, optional): Settings of :class:`ConfidenceBank`. Defaults to None.
        copy_paste (bool | dict): Settings of :class:`AdaptiveCopyPaste`; False switches it off,
            None is an error. Defaults to True.
        cut_mix (bool | dict): Settings of :class:`AdaptiveCutMix`; as ``copy_paste``.
            Defaults to True.
        strong_view (dict, optional): Settings of :class:`StrongView`, colours and blur.
            Defaults to None.

    Raises:
        TypeError: If ``copy_paste`` or ``cut_mix`` is neither a bool nor a dict.
        ValueError: For more than the student and its teacher, an unknown loss weight, or any bad
            setting of the parts.
    """

    def __init__(
        self,
        segmentor: dict,
        num_pairs: int = 1,
        teaching: str = 'self',
        loss_weights: Optional[dict] = None,
        confident: float = 0.0,
        consistency: Optional[dict] = None,
        bank: Optional[dict] = None,
        copy_paste: Union[bool, dict] = True,
        cut_mix: Union[bool, dict] = True,
        strong_view: Optional[dict] = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(segmentor, num_pairs, teaching, **kwargs)
        settings.check_single_pair('AEL', num_pairs, teaching)
        self.weights = settings.loss_weights(loss_weights, WEIGHTS)
        num_classes = self.students[0].decode_head.num_classes
        self.confident = confident
        self.consistency = settings.build_part(
            'consistency', consistency, EqualizedLoss, confident=confident
        )
        self.bank = settings.build_part('bank', bank, ConfidenceBank, num_classes=num_classes)
        self.copy_paste = settings.build_switched(
            'copy_paste', copy_paste, AdaptiveCopyPaste, num_classes=num_classes
        )
        self.cut_mix = settings.build_switched('cut_mix', cut_mix, AdaptiveCutMix)
        self.strong_view = settings.build_part(
            'strong_view', strong_view, 'StrongView', dict(mix=None)
        )
        if self.strong_view.mix is not None:
            raise ValueError('model.strong_view.mix: AEL mixes by model.cut_mix; remove it')

    def loss(self, inputs: Dict[str, Tensor], data_samples: Dict[str, SampleList]) -> dict:
        """One step, in the order of the file's header; see :meth:`SemiSegmentor.loss`."""
        weak, labeled = inputs['unlabeled'], inputs['labeled']
        samples = data_samples['labeled']
        truth = labels_of(samples)
        pasted, label, key = self._paste(labeled, truth, samples)  # 1
        (guide,) = self.aligned_guides(weak, pasted, data_samples['unlabeled']).values()  # 2
        target = [
            self._target(*one)
            for one in zip(guide, (weak, pasted), (data_samples['unlabeled'], samples))
        ]
        strong, mixed, strong_key = self._cut(
            weak, guide[0], target[0], data_samples['unlabeled']
        )  # 3
        seen = self.look('student0', pasted, strong)  # 4
        losses = self.supervise(0, seen[0], _with_label(samples, label))  # 5
        on_labeled, on_strong = (self.upsampled(output.logits, weak.shape[2:]) for output in seen)
        losses.update(self._consistency('labeled', on_labeled, target[1], key))
        losses.update(self._consistency('unlabeled', on_strong, mixed, strong_key))
        self.bank.update(on_labeled, label, truth)  # 6
        return losses

    def guides(self, weak: Tensor, labeled: Tensor) -> Dict[str, List[PixelOutput]]:
        """Outputs of the teacher, on the weak view and the labelled images."""
        return self.ask(self.teaching_members, weak, labeled)

    def _target(self, output: PixelOutput, image: Tensor, samples: SampleList) -> Target:
        """Label and confidence of each pixel; 0, which leaves it out, in the padding."""
        label, confidence = pseudo_label(output.logits, image.shape[2:], self.align_corners)
        return label, within(confidence, content_mask(samples, image), 0)

    def _paste(self, image: Tensor, label: Tensor, samples: SampleList) -> tuple:
        """Pasted images and labels, and a random number of each image for the sampling."""
        part = self.copy_paste
        noise = self._noise(samples, 1 + (part.width if part else 0), image)
        if part is not None:
            _check_batch(image, 'copy_paste', 'labelled')
            image, label = part(image, label, noise[:, 1:], self.bank.confidence, self.bank.pixels)
        return image, label, noise[:, 0]

    def _cut(
        self, weak: Tensor, output: PixelOutput, target: Target, samples: SampleList
    ) -> Tuple[Tensor, Target, Tensor]:
        """Strong view, its pseudo-labels, and a random number of each image."""
        noise = self._noise(samples, 1 + AdaptiveCutMix.width, weak)
        if self.cut_mix is not None:
            _check_batch(weak, 'cut_mix', 'unlabelled')
            cut = self.cut_mix(output.logits, weak.shape[2:], noise[:, 1:], self.bank.confidence)
            weak, target = cut.follow(weak), tuple(map(cut.follow, target))
        view = self.strong_view(
            weak, target[0], draws_of(samples), self.data_preprocessor, num_classes=self.num_classes
        )
        return view.image, target, noise[:, 0]

    def _noise(self, samples: SampleList, width: int, like: Tensor) -> Tensor:
        return counter_noise(draws_of(samples), width, STREAM, like.device)

    def _consistency(
        self, name: str, logits: Tensor, target: Target, key: Tensor
    ) -> Dict[str, Tensor]:
        loss, kept = self.consistency(logits, target, key, self.bank.confidence)
        return {f'student0.loss_{name}': loss * self.weights[name], f'student0.kept_{name}': kept}


def _with_label(samples: SampleList, label: Tensor) -> SampleList:
    """New samples with other labels; those of the batch stay as they are."""
    return [
        SegDataSample(metainfo=sample.metainfo, gt_sem_seg=PixelData(data=one.unsqueeze(0)))
        for sample, one in zip(samples, label)
    ]


def _check_batch(images: Tensor, setting: str, kind: str) -> None:
    if len(images) < 2:
        raise ValueError(
            f'model.{setting} mixes the {kind} images of a batch, and there is one: '
            'raise train_dataloader.batch_size so that each GPU has two, or set '
            f'model.{setting}=False'
        )
