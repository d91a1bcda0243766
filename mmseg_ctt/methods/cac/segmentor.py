# Copyright (c) mmseg_ctt contributors.
"""Context-aware consistency (CAC, arXiv 2106.14133): two contexts of a pixel, one feature.

One step, everything inside ``forward(mode='loss')``:

1. The student sees the labelled images.
2. Two overlapping crops of each unlabelled image, each mirrored or not and with colours and blur of
   its own.
3. The student sees both crops.
4. Pixels of both crops enter the memory, with the classes that the student gives them.
5. Losses: supervised; directional contrast: where the crops overlap, the less confident pixel goes
   to the feature of the same pixel in the other crop, if that one is more confident than 0.75, and
   away from pixels of other classes in the memory.

There is no teacher.
"""

from typing import Optional, Sequence, Tuple, Union

import torch
from mmseg.registry import MODELS

from ...nn import settings
from ...nn.images import Images
from ...nn.member import PixelOutput
from ...nn.schedule import StartPoint
from ..base import Losses, SemiSegmentor
from .contrast import DirectionalContrast
from .crops import OverlappingCrops


@MODELS.register_module()
class ContextAwareConsistency(SemiSegmentor):
    """CAC: one student that contrasts two overlapping crops of each unlabelled image.

    Loss weights ``sup`` and ``contrast`` default to 1 and 0.1 (released code). The steps of
    ``strong_augmentation`` change each crop by random numbers of its own: colours, grey and blur of
    the released code.

    Buffers: those of :class:`SemiSegmentor` and the memory.

    Args:
        start (int | float): Iterations before the contrast, or as a float in [0, 1) the ratio of
            the run that is over by then. Until then the student sees the labelled images alone.
            Defaults to 1/16 (released code: 5 of 80 epochs).
        crops (dict, optional): Settings of :class:`OverlappingCrops`. Defaults to None.
        bank (dict, optional): Settings of :class:`RecentPixelBank`. Defaults to None.
        contrast (dict, optional): Settings of :class:`DirectionalContrast`. Defaults to None.
        kwargs: As in :class:`SemiSegmentor`.

    Raises:
        TypeError: If a setting is of another type.
        ValueError: For a bad setting, or a strong augmentation that mixes images.
    """

    default_num_pairs = 1
    default_supervision = 'own'
    fixed_graph = True
    uses_pseudo_labels = False
    default_loss_weights = dict(contrast=0.1)
    default_augmentation = (
        dict(type='GaussianBlur', sigma=(0.15, 1.15)),
        dict(type='ColorJitter', brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1),
        dict(type='RandomGreyscale'),
    )
    parts = ('contrast',)
    reads_embedding = True
    toy_settings = dict(
        crops=dict(stride=4),
        bank=dict(size=96, budget=48),
        contrast=dict(dim=8, positive_threshold=0.27),
    )

    def build(
        self,
        start: Union[int, float] = 1 / 16,
        crops: Optional[dict] = None,
        bank: Optional[dict] = None,
        contrast: Optional[dict] = None,
    ) -> None:
        """See the class."""
        if self.strong_augmentation.mixes:
            raise ValueError(
                'model.strong_augmentation: the crops of an image must show the same pixels, so '
                'nothing may be mixed; remove CutMixing'
            )
        self.start = StartPoint('model.start', start)
        self.crops = settings.build_part('crops', crops, OverlappingCrops)
        self.contrast = DirectionalContrast.of(self, ('contrast',), contrast, bank)

    def stage_starts(self, max_iters: int) -> Sequence[Tuple[str, int, str, str]]:
        """Where the contrast begins, for :func:`mmseg_ctt.engine.guards.check_stages`."""
        if self.contrast is None:
            return []
        return [self.start.stage(max_iters, 'the student never sees unlabelled images')]

    def step(self, labeled: Images, unlabeled: Images) -> Losses:
        """One step, in the order of the file's header; see :meth:`SemiSegmentor.step`."""
        (on_labeled,) = self.forward_member('student0', labeled.image)  # 1
        losses = self.supervised_loss(0, on_labeled, labeled)
        if self.contrast is None:
            return losses
        if not self.start():
            return {**losses, **self._zero_losses([on_labeled])}
        crops = self.crops(unlabeled)  # 2
        views = [self.strong_view(crop.images, index=i).image for i, crop in enumerate(crops)]
        outputs = self.forward_member('student0', *views)  # 3
        loss, ratio = self.contrast(outputs, crops, unlabeled.draws)  # 4 (memory), 5
        losses['student0.contrast'], losses['student0.pulled_ratio'] = loss, ratio
        losses['queue_fill'] = self.contrast.fill_ratio().mean()
        return losses

    def _zero_losses(self, outputs: Sequence[PixelOutput]) -> Losses:
        """The keys of a step with crops, zeros attached to the graph."""
        assert self.contrast is not None
        zero = self.contrast.zero_loss(outputs)
        fill = self.contrast.fill_ratio().mean()
        return {
            'student0.contrast': zero,
            'student0.pulled_ratio': torch.zeros_like(zero),
            'queue_fill': fill,
        }
