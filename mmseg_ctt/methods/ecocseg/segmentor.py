# Copyright (c) mmseg_ctt contributors.
"""ECOCSeg (arXiv 2512.06870) on UniMatch V2: the head predicts bits of error-correcting words.

One step, everything inside ``forward(mode='loss')``:

1. The teacher takes the weak view of the unlabelled images. The class of a pixel is that of the
   word nearest to its bits.
2. Bit targets. The candidates of a pixel are its r best words; r is the smallest number, at most 8,
   at which the bits that all candidates share have a mean certainty of 0.95 or more. Shared bits
   get the shared value, the others the value that the teacher finds more probable. A pixel without
   such an r has no target.
3. Two strong views are the weak one after colours, blur and CutMix with the batch in reverse order;
   labels and targets are mixed along.
4. The student takes the labelled images and both views, of which each has one half of the channels.
5. Losses of bits on labels and on the targets: binary cross-entropy, distance to the word, contrast
   with the words of other classes; mean over the views.

The teacher follows the student in :class:`TeacherEMAHook`, after each optimiser step.
"""

from typing import Any, Dict, Mapping, Sequence

import torch
from mmseg.registry import MODELS

from ...nn.augmentation import View
from ...nn.heads import main_head
from ...nn.images import Images
from ...nn.member import PixelOutput
from ...nn.pseudo_label import PseudoLabel
from ..base import Losses
from ..forward import Outputs
from ..unimatch_v2 import UniMatchV2
from .consistency import CodeConsistency
from .head import CodeHead, with_code


@MODELS.register_module()
class ECOCSeg(UniMatchV2):
    """ECOCSeg on UniMatch V2: one student and its EMA teacher, with bits in the place of classes.

    Loss weights ``sup`` and ``unsup`` default to 0.5 and 0.5, as those of :class:`UniMatchV2`.

    The method puts a :class:`CodeHead` around the decode head of the segmentor;
    ``segmentor.decode_head.code`` may hold settings of it, such as ``dict(num_bits=60)``. An
    exported model keeps it, and needs this package, unless ``scores='likelihood'``.

    Args:
        feature_perturbation (list[dict], optional): As in :class:`UniMatchV2`. Defaults to None.
        kwargs: As in :class:`SemiSegmentor`; ``consistency`` has the settings of
            :class:`CodeConsistency`.

    Raises:
        TypeError: If a setting is of a wrong type.
        ValueError: For a bad setting, or a network with several heads or losses of its own.
    """

    default_consistency = dict(confidence_threshold=0.95)
    consistency_class = CodeConsistency
    toy_settings = dict(
        segmentor=dict(decode_head=dict(code=dict(num_bits=8))),
        consistency=dict(confidence_threshold=0.55),
    )

    @classmethod
    def segmentor_of(cls, model_cfg: Mapping[str, Any]) -> Mapping[str, Any]:
        """Config of the segmentor with its bits; see :meth:`MemberNetworks.segmentor_of`."""
        return with_code(model_cfg['segmentor'])

    @property
    def code_head(self) -> CodeHead:
        """Head of the student."""
        return main_head(self.students[0])

    def pseudo_labels(self, outputs: Outputs, images: Images) -> Dict[str, PseudoLabel]:
        """With targets of bits; see :meth:`ForwardPasses.pseudo_labels`."""
        return self._labels_of(outputs, images, update_thresholds=True)

    def _labels_of(
        self, outputs: Outputs, images: Images, update_thresholds: bool = False
    ) -> Dict[str, PseudoLabel]:
        return {
            name: pseudo._replace(
                bits=self.bit_targets(outputs[name][0], pseudo, update_thresholds)
            )
            for name, pseudo in super()._labels_of(outputs, images).items()
        }

    @torch.no_grad()
    def bit_targets(
        self, output: PixelOutput, pseudo: PseudoLabel, update_thresholds: bool
    ) -> torch.Tensor:
        """``(B, M, H, W)`` int8 targets of bits, see :meth:`CodeConsistency.targets`."""
        assert output.embedding is not None
        size, head = pseudo.label.shape[1:], self.code_head
        bits, scores = (head.at_size(map_, size) for map_ in (output.embedding, output.logits))
        targets = self.consistency.targets(bits, scores, head.code, pseudo.label, update_thresholds)
        return targets if pseudo.valid is None else targets * pseudo.valid.unsqueeze(1)

    def view_terms(
        self, outputs: Sequence[PixelOutput], pseudo: PseudoLabel, views: Sequence[View]
    ) -> Losses:
        """Term ``unsup``, mean over the views, and their ratio of pixels with a target."""
        targets = [pseudo.apply_mix(view) for view in views]
        losses = [
            self.consistency(self.code_head, output.embedding, target)
            for output, target in zip(outputs, targets)
        ]
        ratios = [self.consistency.ratio(target) for target in targets]
        return {
            'student0.unsup': torch.stack(losses).mean(),
            'student0.confident_ratio': torch.stack(ratios).mean(),
        }
