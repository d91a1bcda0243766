# Copyright (c) mmseg_ctt contributors.
"""Virtual adversarial training (VAT, arXiv 1704.03976; as in S4L, 1905.03670) of each pixel.

1. The student predicts the unchanged images; these predictions are constants.
2. From random noise, the gradient of the distance between the predictions of slightly changed
   images and those of 1 gives the direction in which the prediction changes most.
3. The student predicts the images changed by a step in this direction.
4. Loss: the distance of these predictions from those of 1, mean over pixels.

All three passes have the same dropout; batch normalisation takes the statistics of each pass, and
its running averages move with the first alone (released code).
"""

from typing import Any, Dict, Mapping, Optional, Tuple

import torch
from mmseg.registry import MODELS
from torch import Tensor

from ...functional import pixel_consistency
from .. import settings
from ..adversarial import adversarial_change, check_lengths
from ..images import Images
from ..member import constant_weights
from .predictions import PredictionTask, class_logits, mean_over_pixels
from .student_pass import StudentPass
from .task import Terms

# order of the arguments of the divergence, as kinds of `pixel_consistency`
DIVERGENCES = dict(released='reverse_kl', paper='kl')
RADIUS = 0.23


@MODELS.register_module()
class AdversarialTask(PredictionTask):
    """Virtual adversarial training: predictions stay when images change a little.

    The default radius is that of the released code, which changes 224x224x3 values in [-1, 1] by a
    vector of length 40: 0.103 a value, times 127.5 over a standard deviation of 57 grey levels. Its
    combination of all tasks has 32, which is 0.18.

    Args:
        radius (float, optional): Root mean square of the change of a value (a channel of a pixel),
            in units of the normalised images; the same for images of every size. Defaults to None:
            0.23, about 13 of 255 grey levels, unless ``eps`` is set.
        eps (float, optional): Length of the change of an image instead, in the same units, whatever
            its size. Defaults to None: ``radius``.
        xi (float, optional): Length of the change at which the gradient is taken. Defaults to None:
            a tenth of the change, which half precision resolves. The released 1e-6 leaves rounding
            noise.
        divergence (str): ``'released'``: ``KL(changed || clean)``; ``'paper'``:
            ``KL(clean || changed)`` of VAT. Defaults to 'released'.
        num_iterations (int): Gradients that the direction takes. Defaults to 1.
        kwargs: As in :class:`PredictionTask`.

    Raises:
        TypeError: If a setting is of a wrong type.
        ValueError: If a setting is unknown or out of range, or both lengths are set.
    """

    default_name = 'vat'

    def __init__(
        self,
        radius: Optional[float] = None,
        eps: Optional[float] = None,
        xi: Optional[float] = None,
        divergence: str = 'released',
        num_iterations: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_lengths(self.key('{}'), radius=radius, eps=eps, xi=xi)
        if radius is not None and eps is not None:
            raise ValueError(
                f'{self.key("eps")} and radius are two lengths of one change: remove one of them'
            )
        settings.check_choice(self.key('divergence'), divergence, tuple(DIVERGENCES))
        settings.check_number(self.key('num_iterations'), num_iterations, 1, whole=True)
        self.radius, self.eps, self.xi = radius or RADIUS, eps, xi
        self.kind, self.num_iterations = DIVERGENCES[divergence], num_iterations

    def forward(self, student: StudentPass, images: Mapping[str, Images]) -> Terms:
        """See :meth:`AuxiliaryTask.forward`."""
        terms: Dict[str, Tuple[Tensor, Optional[Tensor]]] = {}
        for source, found in images.items():
            target = class_logits(student.output(source)).detach().softmax(1)  # 1
            valid = found.valid(target.shape[2:])
            change = self.change(student, source, found, target, valid)  # 2
            changed = class_logits(student.repeat(source, found.image + change))  # 3
            terms[source] = pixel_consistency(changed, target, self.kind), valid  # 4
        values, valids = zip(*terms.values())
        return {self.name: mean_over_pixels(values, valids)}

    def change(
        self,
        student: StudentPass,
        source: str,
        images: Images,
        target: Tensor,
        valid: Optional[Tensor] = None,
    ) -> Tensor:
        """Adversarial change ``(B, C, H, W)`` of the images of a source, 0 in their padding.

        Args:
            student (StudentPass): Passes of the student.
            source (str): Source.
            images (Images): Its images.
            target (Tensor): ``(B, K, h, w)`` probabilities of the unchanged images.
            valid (Tensor, optional): ``(B, h, w)`` bool, pixels that count. Defaults to None: all.
        """
        pixels = images.valid()
        inside = None if pixels is None else pixels.unsqueeze(1)
        with constant_weights(student.member):
            change = adversarial_change(
                lambda changed: class_logits(student.repeat(source, changed)),
                images.image,
                target,
                self._length(images.image, inside),
                images.draws,
                f'auxiliary/{self.name}',
                self.xi,
                self.kind,
                self.num_iterations,
                valid,
                inside,
            )
        torch.clear_autocast_cache()  # of weights without a gradient
        return change

    def _length(self, image: Tensor, inside: Optional[Tensor]) -> Tensor:
        """``(B, 1, 1, 1)`` length of the change of each image."""
        if self.eps is not None:
            return image.new_full((len(image), 1, 1, 1), self.eps)
        counted = torch.ones_like(image[:, :1]) if inside is None else inside
        values = image.shape[1] * counted.sum((1, 2, 3), keepdim=True)
        return self.radius * values.float().sqrt()
