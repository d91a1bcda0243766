# Copyright (c) mmseg_ctt contributors.
"""What the step of a method is made of: passes of members, and pseudo-labels."""

from contextlib import nullcontext
from typing import Any, ClassVar, Dict, List, Mapping, Optional, Sequence, Tuple, Union

import torch
import torch.nn.functional as F
from torch import Tensor

from ..functional import pseudo_label
from ..nn.augmentation import View
from ..nn.heads import joined_logits, reads_features
from ..nn.images import Images
from ..nn.member import PixelOutput, constant_weights, forward_member
from ..nn.perturbation import Perturb, Perturbation, PerturbedPasses
from ..nn.pseudo_label import PseudoLabel
from ..nn.supervision import SupervisionGraph
from ..nn.tag_limits import limited_outputs
from .networks import MemberNetworks

GRADIENTS = ('weights', 'input', None)
Outputs = Dict[str, List[PixelOutput]]


class ForwardPasses(MemberNetworks):
    """Passes of members and what is made of them."""

    reads_features: ClassVar[bool]
    # maps of the samples which the step reads, besides those of `pipeline_steps`, such as saliency
    reads_maps: ClassVar[Tuple[str, ...]] = ()
    # several members that teach a student make one pseudo-label together
    teaches_by_mean: ClassVar[bool] = False
    use_tags: bool  # pseudo-labels are limited to the tags of the unlabelled images
    joint_forward: Union[bool, str]
    _graph: SupervisionGraph  # of ``num_pairs`` and ``supervision``
    consistency: Any  # ConfidenceSelection or a part derived from it, or None

    # ---- passes

    def forward_member(
        self,
        name: str,
        *batches: Tensor,
        gradient: Optional[str] = 'weights',
        perturb: Perturb = None,
    ) -> List[PixelOutput]:
        """Outputs of one member for several batches of images.

        The batches share one pass where ``joint_forward`` says so.

        Args:
            name (str): Member.
            batches (Tensor): ``(B_i, 3, H, W)``, normalised.
            gradient (str, optional): ``'weights'``: as usual (members that do not train give
                none); ``'input'``: to the images alone, the weights being constants; None: none.
            perturb (Callable | Sequence[Callable], optional): Changes the feature maps before the
                head reads them; one for all batches, or one (or None) for each batch. What one
                for a batch appends to its images is in the output of that batch, after them.

        Returns:
            list[PixelOutput]: One a batch.
        """
        return self.forward_members([name], *batches, gradient=gradient, perturb=perturb)[name]

    def forward_members(
        self,
        names: Sequence[str],
        *batches: Tensor,
        gradient: Optional[str] = 'weights',
        perturb: Perturb = None,
    ) -> Outputs:
        """Outputs of several members that take the same images, by name; see there."""
        assert gradient in GRADIENTS
        passes = PerturbedPasses([len(images) for images in batches], perturb)
        joint = {name for name in names if len(batches) > 1 and self._is_joint(name)}
        together = torch.cat(batches) if joint else None
        outputs: Outputs = {}
        for name in names:
            trains = gradient == 'input' or (gradient and self.members[name].trains)
            frozen = constant_weights(self.member(name)) if gradient == 'input' else nullcontext()
            with torch.set_grad_enabled(torch.is_grad_enabled() and bool(trains)), frozen:
                if name in joint:
                    found = self._output(name, together, passes.joint)
                    outputs[name] = found.split(passes.sizes)
                else:
                    outputs[name] = [
                        self._output(name, images, passes.of(i)) for i, images in enumerate(batches)
                    ]
        no_weights = gradient != 'weights' or not torch.is_grad_enabled()
        if no_weights and any(self.members[name].trains for name in names):
            # PyTorch 2.0 and 2.1 would take these casts of weights, which have no gradient, for
            # the next pass as well
            torch.clear_autocast_cache()
        return outputs

    def forward_students(self, labeled: Images, views: Sequence[View]) -> List[List[PixelOutput]]:
        """Outputs of each student for the labelled images and for its strong view.

        Args:
            labeled (Images): Labelled images.
            views (Sequence[View]): One a student, or a single one for all.
        """
        names = [f'student{i}' for i in range(len(self.students))]
        if len(views) == 1:
            return list(self.forward_members(names, labeled.image, views[0].image).values())
        return [
            self.forward_member(name, labeled.image, view.image) for name, view in zip(names, views)
        ]

    def forward_teachers(self, images: Mapping[str, Images]) -> Outputs:
        """Outputs of the teaching members for their images, by name.

        Methods whose teachers see them in other passes override it.

        Args:
            images (Mapping[str, Images]): By source, those of :attr:`teacher_sources` among them;
                ``unlabeled`` is the weak view.

        Returns:
            dict[str, list[PixelOutput]]: For the weak view first.
        """
        batches = (images[name].image for name in self.teacher_sources)
        return self.forward_members(self.teaching_members, *batches)

    @property
    def teacher_sources(self) -> Tuple[str, ...]:
        """Images that the teaching members see in a step, the weak view first."""
        return ('unlabeled',)

    @torch.no_grad()
    def teacher_outputs(self, **images: Images) -> Outputs:
        """Outputs of :meth:`forward_teachers` in a training step.

        They have no gradient, and those of the unlabelled images are aligned where alignment is on,
        and limited to the tags with ``use_tags``.

        Args:
            images (Images): Those of :attr:`teacher_sources`, named by their sources.
        """
        return self.align_and_limit(self.forward_teachers(images), images['unlabeled'])

    def align_and_limit(self, outputs: Outputs, unlabeled: Images) -> Outputs:
        """Outputs whose first entries are aligned, where alignment is on; its means move on.

        With ``use_tags`` the first entries are limited to the tags of the images.
        """
        if self.alignment is not None:
            outputs = self.alignment(outputs, unlabeled.valid())
        return limited_outputs(outputs, unlabeled) if self.use_tags else outputs

    @property
    def graph(self) -> SupervisionGraph:
        """Members that teach each student."""
        return self._graph

    @property
    def teaching_members(self) -> List[str]:
        """Every member that teaches a student, once."""
        return sorted({name for members in self.graph for name in members})

    def labelling_outputs(self, outputs: Outputs) -> Outputs:
        """Outputs that become pseudo-labels: those of :meth:`teacher_outputs`, or their mean."""
        return outputs

    @property
    def first_target(self) -> str:
        """Name of the first student's first pseudo-label."""
        return self.target_names(self.graph[0])[0]

    def target_names(self, members: Sequence[str]) -> List[str]:
        """Names of the pseudo-labels of members that teach a student: theirs, or one for all."""
        return ['+'.join(members)] if self.teaches_by_mean else list(members)

    @property
    def possible_teachers(self) -> List[str]:
        """Every member that teaches at some time of a run."""
        return self.teaching_members

    def _is_joint(self, name: str) -> bool:
        """Whether a member takes all its images in one pass."""
        if self.joint_forward == 'students':
            return self.members[name].trains
        return bool(self.joint_forward)

    def _output(self, name: str, images: Any, perturb: Optional[Perturbation]) -> PixelOutput:
        member = self.member(name)
        output = forward_member(member, images, self.reads_embedding, perturb)
        read = self.reads_features or reads_features(member)
        return output if read else output._replace(features=[])

    def upsampled(self, logits: Tensor, size: Tuple[int, int]) -> Tensor:
        """``(B, K, h, w)`` of any precision to ``(B, K, H, W)`` float32."""
        return F.interpolate(
            logits.float(), size, mode='bilinear', align_corners=self.align_corners
        )

    # ---- pseudo-labels

    def pseudo_labels(self, outputs: Outputs, images: Images) -> Dict[str, PseudoLabel]:
        """Pseudo-labels of teaching members, from which class thresholds learn.

        Args:
            outputs (dict[str, list[PixelOutput]]): Of :meth:`teacher_outputs`.
            images (Images): The images of their first entries.

        Returns:
            dict[str, PseudoLabel]: By member; see :meth:`target_names`.
        """
        pseudo = self._labels_of(outputs, images)
        if self.consistency is not None and self.consistency.class_thresholds is not None:
            labels = torch.stack([target.label for target in pseudo.values()])
            confidences = torch.stack([target.confidence for target in pseudo.values()])
            self.consistency.update(labels, confidences)
        return pseudo

    @torch.no_grad()
    def inspect_pseudo_labels(self, **images: Images) -> Dict[str, PseudoLabel]:
        """Pseudo-labels as a step would make them, without changing alignment or thresholds.

        Args:
            images (Images): One batch of each of ``sources``, named by it.

        Returns:
            dict[str, PseudoLabel]: Of the source ``unlabeled``, by teaching member; see
            :meth:`target_names`.
        """
        outputs = self.forward_teachers(images)
        if self.alignment is not None:
            outputs = self.alignment.align(outputs)
        if self.use_tags:
            outputs = limited_outputs(outputs, images['unlabeled'])
        return self._labels_of(self.labelling_outputs(outputs), images['unlabeled'])

    def pseudo_label(self, logits: Tensor, images: Images) -> PseudoLabel:
        """Pseudo-label from logits ``(B, K, h, w)`` of ``images``; 255 and 0 in the padding."""
        return self._labels([logits], images)[0]

    def _labels_of(self, outputs: Outputs, images: Images) -> Dict[str, PseudoLabel]:
        logits = [output[0].logits for output in outputs.values()]
        return dict(zip(outputs, self._labels(logits, images)))

    @torch.no_grad()
    def _labels(self, logits: Sequence[Tensor], images: Images) -> List[PseudoLabel]:
        """Those of several members in one call, which is fewer operations."""
        number, valid = len(logits), images.valid()
        together = joined_logits(logits)
        soft = any(getattr(part, 'reads_logits', False) for part in self.children())
        if soft:
            together = self.upsampled(together, images.size)
        maps = (
            *pseudo_label(together, images.size, self.align_corners),
            together if soft else None,
        )
        parts = zip(*(_chunks(map_, number) for map_ in maps))
        return [PseudoLabel.of(label, confidence, valid, own) for label, confidence, own in parts]

    def consistency_loss(self, logits: Tensor, pseudo: PseudoLabel) -> Tuple[Tensor, Tensor]:
        """Loss of :attr:`consistency` and the ratio of confident pixels; see there."""
        return self.consistency(logits, pseudo, self.align_corners)


def _chunks(map_: Any, number: int) -> Sequence[Any]:
    """Parts of a map of a batch; None for each of no map."""
    if map_ is None or number == 1:
        return [map_] * number
    return map_.chunk(number)
