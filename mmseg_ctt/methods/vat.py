# Copyright (c) mmseg_ctt contributors.
"""VAT with a mean teacher (code of CutMix-Seg, arXiv 1906.01916): adversarial images for a student.

One step, everything inside ``forward(mode='loss')``:

1. The teacher predicts the weak view of the unlabelled images; these probabilities are the target.
2. The view of the student is the weak one after ``strong_augmentation``, by default itself.
3. From random noise, the gradient of the distance between a network's prediction of the slightly
   changed view and its target gives the direction in which the prediction changes most. The change
   goes in this direction, the farther the more contrast the image has.
4. The student sees the labelled images and the changed view.
5. Losses: supervised, and the Kullback-Leibler divergence of the student's prediction from the
   teacher's, times the ratio of pixels at 0.97 or more.

The passes of 3 have the dropout of the unchanged one and leave the averages of batch normalisation
as they are. The teacher follows the student in :class:`TeacherEMAHook`.
"""

from typing import Any, Optional

import torch
from mmseg.registry import MODELS
from torch import Tensor

from ..functional import adaptive_radius
from ..nn import settings
from ..nn.adversarial import adversarial_change, check_lengths
from ..nn.augmentation import View
from ..nn.images import Images
from ..nn.member import constant_weights, forward_member
from ..nn.repeated_pass import RandomState, constant_statistics
from .base import Losses, SemiSegmentor

NETWORKS = dict(teacher='teacher0', student='student0')


@MODELS.register_module()
class VirtualAdversarialTeacher(SemiSegmentor):
    """VAT as in the experiments of CutMix-Seg: one student, its EMA teacher, adversarial images.

    Loss weights ``sup`` and ``unsup`` default to 1 and 0.1 (released code).

    Args:
        direction (str): Network that gives the adversarial direction: ``'teacher'`` (released code)
            or ``'student'``, which takes two more passes. Defaults to 'teacher'.
        radius (float): The length of an image's change is ``radius / 2`` times that of all its
            central differences, with ``adaptive=False`` ``radius`` times the root of the number of
            its values. Defaults to 1 (released code).
        adaptive (bool): Whether the change grows with the contrast of the image. Defaults to True
            (released code).
        xi (float, optional): Length of the change at which the gradient is taken. Defaults to None:
            a tenth of the change. The released ``1e-9 H W`` leaves rounding noise where the views
            of student and teacher are equal.
        num_iterations (int): Gradients that the direction takes. Defaults to 1 (released code).
        kwargs: As in :class:`SemiSegmentor`.

    Raises:
        TypeError: If a setting is of a wrong type.
        ValueError: If a setting is unknown or out of range.
    """

    default_num_pairs = 1
    default_supervision = 'self'
    fixed_graph = True
    default_loss_weights = dict(unsup=0.1)
    ramped_terms = ('unsup',)
    default_augmentation = []  # the view of the student is the weak one
    default_consistency = dict(
        target='kl', select='ratio', normalizer='all', confidence_threshold=0.97
    )
    toy_settings = dict(consistency=dict(confidence_threshold=0.27))
    sections = dict(SemiSegmentor.sections, change='perturbation')

    def build(
        self,
        direction: str = 'teacher',
        radius: float = 1.0,
        adaptive: bool = True,
        xi: Optional[float] = None,
        num_iterations: int = 1,
    ) -> None:
        """See the class."""
        settings.check_choice('model.direction', direction, tuple(NETWORKS))
        settings.check_choice('model.adaptive', adaptive, (True, False))
        settings.check_number('model.num_iterations', num_iterations, 1, whole=True)
        check_lengths('model.{}', radius=radius, xi=xi)
        self.direction, self.radius, self.adaptive = NETWORKS[direction], radius, adaptive
        self.xi, self.num_iterations = xi, num_iterations

    def step(self, labeled: Images, unlabeled: Images) -> Losses:
        """One step, in the order of the file's header; see :meth:`SemiSegmentor.step`."""
        random = RandomState.of(unlabeled.image.device)
        with torch.no_grad():
            outputs = self.forward_teachers(dict(unlabeled=unlabeled))  # 1
            ((teacher,),) = outputs.values()
            outputs = self.align_and_limit(outputs, unlabeled)
        (target,) = self.pseudo_labels(outputs, unlabeled).values()
        view = self.strong_view(unlabeled, target.label)  # 2
        target = target.apply_mix(view)
        change = self.change(unlabeled, view, teacher.logits, target.valid, random)  # 3
        on_labeled, on_view = self.forward_member(  # 4
            'student0', labeled.image, view.image + change
        )
        loss, ratio = self.consistency_loss(on_view.logits, target)  # 5
        return {
            **self.supervised_loss(0, on_labeled, labeled),
            'student0.unsup': loss,
            'student0.confident_ratio': ratio,
        }

    def change(
        self,
        images: Images,
        view: View,
        logits: Tensor,
        valid: Optional[Tensor],
        random: RandomState,
    ) -> Tensor:
        """Adversarial change ``(B, C, H, W)`` of a view, 0 in the padding.

        Args:
            images (Images): Weak view.
            view (View): View of the student.
            logits (Tensor): ``(B, K, h, w)`` of the teacher for the weak view, before alignment
                and tags: the direction is that in which the network's own prediction changes.
            valid (Tensor, optional): ``(B, H, W)`` bool, False in the padding of the view.
            random (RandomState): Of the dropout of the teacher's pass.
        """
        network = self.member(self.direction)

        def predict(image: Tensor) -> Tensor:
            with random.restored():
                logits = forward_member(network, image, embedding=False).logits
            return self.upsampled(logits, images.size)

        with constant_statistics(network), constant_weights(network):
            change = adversarial_change(
                predict,
                view.image,
                self._probability(images, view, logits, predict),
                self._length(view.image, valid),
                images.draws,
                'vat/direction',
                self.xi,
                num_iterations=self.num_iterations,
                weight=valid,
                inside=None if valid is None else valid.unsqueeze(1),
            )
        torch.clear_autocast_cache()  # of weights without a gradient
        return change

    @torch.no_grad()
    def _probability(self, images: Images, view: View, logits: Tensor, predict: Any) -> Tensor:
        """``(B, K, H, W)`` what the network of the direction predicts for the unchanged view."""
        if self.direction == NETWORKS['student']:
            logits = predict(images.image)
        else:
            logits = self.upsampled(logits, images.size)
        return view.apply_mix(logits).softmax(1)

    def _length(self, image: Tensor, valid: Optional[Tensor]) -> Tensor:
        """``(B, 1, 1, 1)`` length of the change of each image."""
        if self.adaptive:
            return adaptive_radius(image, self.radius, valid)
        pixels = torch.ones_like(image[:, 0]) if valid is None else valid
        return self.radius * (image.shape[1] * pixels.sum((1, 2)).float()).sqrt().view(-1, 1, 1, 1)
