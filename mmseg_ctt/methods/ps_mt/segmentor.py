# Copyright (c) mmseg_ctt contributors.
"""PS-MT (arXiv 2111.12903): two teachers in turns, strong images, adversarial features.

One step, everything inside ``forward(mode='loss')``:

1. Both teachers see the weak view of the unlabelled images; the mean of their logits gives the
   pseudo-labels.
2. The strong view is the weak one after colours, blur and CutMix; pseudo-labels are mixed along.
3. The student sees the labelled images and the strong view. Its deepest features are changed in
   the direction in which the teachers' decoders change their mean prediction most (T-VAT).
4. Losses: supervised, and cross-entropy to the pseudo-labels of 0.6 or more, weighted by their
   confidence, mean over these pixels.

The teachers follow the student in :class:`TeacherEMAHook`, one for some updates, then the other.
"""

from typing import Any, List, Optional, Sequence, Union

from mmseg.registry import MODELS
from torch import Tensor

from ...nn import settings
from ...nn.adversarial import AdversarialFeatures
from ...nn.augmentation import View
from ...nn.deepest_map import reading_head, with_deepest_map
from ...nn.feature_maps import map_of, on_tensors
from ...nn.images import Images
from ...nn.member import decode
from ...nn.members import Members, teachers_in_turns
from ...nn.perturbation import Perturbation
from ...nn.pseudo_label import PseudoLabel
from ...nn.ranks import mean_over_ranks
from ...nn.repeated_pass import RandomState, constant_statistics
from ...nn.schedule import Shifts
from ...nn.supervision import SupervisionGraph
from ..base import Losses, SemiSegmentor
from ..followers import has_been_updated
from ..forward import Outputs
from .functional import improbable_class_loss

STUDENT, TEACHERS = 'student0', ('teacher0', 'teacher1')


@MODELS.register_module()
class PSMT(SemiSegmentor):
    """Perturbed and strict mean teachers: one student and two teachers.

    Loss weights ``sup``, ``unsup`` and ``negative`` default to 1, 1.5 and 1.5 (released code on
    VOC; 3 on Cityscapes), the last two climb along half a cosine in 15 % of the run (12 of 80
    epochs in the released code). ``negative`` is 0 as long as ``negative_threshold`` is.

    The second teacher does not label before it has been updated for the first time, in its turn.

    Args:
        period (int | float): A turn: iterations in which one teacher follows before the other does,
            or as a float its ratio of the run. Defaults to 100 (paper and released code: an epoch).
        adversarial (bool | dict): Changes of the student's features (T-VAT), False: none. Settings
            are those of :class:`AdversarialFeatures`; its ``eps`` is that of the released code.
            Defaults to True.
        negative_threshold (float): Classes of which the teachers' probability is lower are pushed
            down, see :func:`improbable_class_loss`. Defaults to 0: none (scripts of the release).
        kwargs: As in :class:`SemiSegmentor`.

    Raises:
        TypeError: If a setting is of a wrong type.
        ValueError: If a setting is unknown or out of range.
    """

    default_num_pairs = 1
    default_supervision = 'self'
    fixed_graph = True
    default_loss_weights = dict(unsup=1.5, negative=1.5)
    ramped_terms = ('unsup', 'negative')
    default_ramp_up = dict(ratio=0.15, shape='cosine')
    default_augmentation = (
        dict(type='ColorJitter', brightness=0.5, contrast=0.5, saturation=0.5, hue=0.25),
        dict(type='RandomGreyscale'),
        dict(type='GaussianBlur', sigma=(0.1, 2.0)),
        dict(type='CutMixing', area=(0.25, 0.75)),
    )
    default_consistency = dict(normalizer='kept', confidence_threshold=0.6, weighted=True)
    toy_settings = dict(
        period=1, negative_threshold=0.25, consistency=dict(confidence_threshold=0.27)
    )
    sections = dict(SemiSegmentor.sections, adversarial='perturbation')
    teaches_by_mean = True

    @staticmethod
    def member_table(num_pairs: int, with_teachers: bool, frozen: bool) -> Members:
        """A student and two teachers in turns; see :meth:`MemberNetworks.member_table`."""
        return teachers_in_turns(len(TEACHERS), frozen)

    @property
    def graph(self) -> SupervisionGraph:
        """The student learns from both teachers."""
        return (TEACHERS,)

    def build(
        self,
        period: Union[int, float] = 100,
        adversarial: Union[bool, dict] = True,
        negative_threshold: float = 0.0,
    ) -> None:
        """See the class."""
        settings.check_number('model.negative_threshold', negative_threshold, 0, 1)
        self.shifts = Shifts('model.period', period, len(TEACHERS))
        self.negative_threshold = negative_threshold
        self.adversary: Optional[AdversarialFeatures] = settings.build_optional(
            'adversarial', adversarial, AdversarialFeatures
        )
        if self.adversary is not None:
            reading_head(self.students[0])  # refuses a head whose maps are not known

    def step(self, labeled: Images, unlabeled: Images) -> Losses:
        """One step, in the order of the file's header; see :meth:`SemiSegmentor.step`."""
        teachers = self.teacher_outputs(unlabeled=unlabeled)  # 1
        outputs = self.labelling_outputs(teachers)
        ((mean,),) = outputs.values()
        (weak,) = self.pseudo_labels(outputs, unlabeled).values()
        view = self.strong_view(unlabeled, weak.label)  # 2
        target = weak.apply_mix(view)
        changes = (  # 3
            self.adversarial(labeled, labeled.valid()),
            self.adversarial(unlabeled, target.valid),
        )
        on_labeled, on_view = self.forward_member(
            STUDENT, labeled.image, view.image, perturb=changes
        )
        loss, ratio = self.consistency_loss(on_view.logits, target)  # 4
        return {
            **self.supervised_loss(0, on_labeled, labeled),
            'student0.unsup': loss,
            'student0.negative': self.negative(on_view.logits, mean.logits, view, target),
            'student0.confident_ratio': ratio,
        }

    def labelling_outputs(self, outputs: Outputs) -> Outputs:
        """The mean of both teachers; see :meth:`mean_logits`."""
        first, second = (outputs[name][0] for name in TEACHERS)
        mean = first._replace(logits=self.mean_logits([first.logits, second.logits]))
        return {self.first_target: [mean]}

    def mean_logits(self, logits: Sequence[Tensor]) -> Tensor:
        """Mean of both teachers, the first alone until the second has been updated."""
        first, second = logits
        frozen = not self.followers()
        assert self.shifts is not None
        return (first + second) / 2 if frozen or has_been_updated(self.shifts, 1) else first

    def adversarial(self, images: Images, valid: Optional[Tensor]) -> Optional[Perturbation]:
        """Change of the student's features of a batch (T-VAT); None where it is off.

        Args:
            images (Images): The images, for their random numbers.
            valid (Tensor, optional): ``(B, H, W)`` bool, False in the padding.
        """
        adversary = self.adversary
        if adversary is None:
            return None
        student, teachers = self.member(STUDENT), [self.member(name) for name in TEACHERS]

        def perturb(features: List[Any]) -> List[Any]:
            constant = [on_tensors(lambda t: t.detach().float(), level) for level in features]
            random = RandomState.of(map_of(features[0]).device)

            def predict(feature: Tensor) -> Tensor:
                read = with_deepest_map(student, constant, lambda _: feature)
                with random.restored():
                    return self.mean_logits(
                        [decode(teacher, read, False).logits for teacher in teachers]
                    )

            def change(feature: Tensor) -> Tensor:
                return adversary(predict, feature, images.draws, valid)

            with constant_statistics(teachers[0]), constant_statistics(teachers[1]):
                return with_deepest_map(student, features, change)

        return perturb

    def negative(self, logits: Tensor, mean: Tensor, view: View, target: PseudoLabel) -> Tensor:
        """Loss of improbable classes, 0 where it is off.

        Args:
            logits (Tensor): ``(B, K, h, w)`` of the student for the view.
            mean (Tensor): ``(B, K, h, w)`` of the teachers for the weak view.
            view (View): The view.
            target (PseudoLabel): Of ``mean``, mixed as the view is.
        """
        if not self.negative_threshold:
            return logits[:0].float().sum()
        size, mixed = (target.label.shape[1], target.label.shape[2]), target.logits
        if mixed is None:  # a soft target has them
            mixed = view.apply_mix(self.upsampled(mean, size))
        return improbable_class_loss(
            self.upsampled(logits, size),
            mixed,
            self.negative_threshold,
            valid=target.valid,
            mean_count=mean_over_ranks,
        )
