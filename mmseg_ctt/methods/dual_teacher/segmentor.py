# Copyright (c) mmseg_ctt contributors.
"""Dual Teacher (arXiv 2310.18640): two temporary teachers that take turns.

One step, everything inside ``forward(mode='loss')``:

1. The teacher whose turn it is takes the weak view of the unlabelled images. The other one rests.
2. Class and confidence of each pixel are the pseudo-labels.
3. The strong view is one of CutMix in turns of the first teacher, and one of ClassMix in those of
   the second; pseudo-labels are mixed along.
4. The student takes the labelled images and the strong view.
5. A sub-model of the student, some residual branches of which are dropped, takes a view with other
   colours.
6. Losses: supervised; cross-entropy to the pseudo-labels of all pixels, times the ratio of those at
   0.95 or more; and for the sub-model, cross-entropy to the pseudo-labels of confident pixels.

The teacher at work follows the student in :class:`TeacherEMAHook`, after each optimiser step.
"""

from typing import Any, List, Optional, Sequence, Union

from mmseg.registry import MODELS
from torch import Tensor

from ...nn import settings
from ...nn.augmentation import StrongAugmentation, View
from ...nn.consistency import Consistency
from ...nn.images import Images
from ...nn.member import PixelOutput
from ...nn.members import Members, teachers_in_turns
from ...nn.pseudo_label import PseudoLabel
from ...nn.schedule import Shifts
from ...nn.supervision import SupervisionGraph
from .. import checks
from ..base import Losses, SemiSegmentor
from .depth_drop import DepthDrop

STUDENT, TEACHERS = 'student0', ('teacher0', 'teacher1')
COLOURS = (
    dict(type='ColorJitter', brightness=0.5, contrast=0.5, saturation=0.5, hue=0.25),
    dict(type='RandomGreyscale'),
)
CLASS_MIX = (*COLOURS, dict(type='ClassMixing'))


@MODELS.register_module()
class DualTeacher(SemiSegmentor):
    """Dual Teacher: one student, which predicts, and two EMA teachers in turns.

    Loss weights ``sup``, ``unsup`` and ``depth`` default to 1, 1 and 0.2 (released code).
    ``strong_augmentation`` is the view of the first teacher's turns, CutMix and colours;
    ``consistency`` the loss on both strong views.

    Args:
        period (int | float): A turn: iterations, or as a float its ratio of the run. Paper and code
            have epochs of the data. Defaults to 0.05: twenty turns.
        restart_teachers (bool): Whether a teacher begins each turn as a copy of the student
            (released code, whose warm start counts the iterations of the epoch); False: it goes on
            from where it rested. Defaults to False.
        second_augmentation (list[dict], optional): Steps of the view in turns of the second
            teacher. Defaults to None: colours, then ClassMix (released code).
        depth_augmentation (list[dict], optional): Steps of the view of the sub-model, without
            mixing. Defaults to None: colours (released code).
        depth_drop (float, optional): Rate of the sub-model, see :class:`DepthDrop`. Defaults to
            None: the drop path of the backbone, 0.1 where it has none.
        depth_consistency (dict, optional): Settings of the loss of the sub-model, a
            :class:`Consistency`. Defaults to None: pixels by the threshold of ``consistency``.
        kwargs: As in :class:`SemiSegmentor`.

    Raises:
        TypeError: If a setting is of a wrong type.
        ValueError: For a bad setting.
    """

    default_num_pairs = 1
    default_supervision = 'self'
    fixed_graph = True
    default_member = STUDENT
    default_loss_weights = dict(unsup=1.0, depth=0.2)
    ramped_terms = ('unsup', 'depth')
    default_augmentation = (
        dict(type='CutMixing'),
        dict(type='ColorJitter'),
        dict(type='GaussianBlur'),
    )
    default_consistency = dict(select='ratio', confidence_threshold=0.95)
    toy_settings = dict(consistency=dict(confidence_threshold=0.27))
    sections = dict(SemiSegmentor.sections, _sub_model='students forward')

    @staticmethod
    def member_table(num_pairs: int, with_teachers: bool, frozen: bool) -> Members:
        """The student, and both teachers with their turns."""
        return teachers_in_turns(len(TEACHERS), frozen)

    def build(
        self,
        period: Union[int, float] = 0.05,
        restart_teachers: bool = False,
        second_augmentation: Optional[Sequence[dict]] = None,
        depth_augmentation: Optional[Sequence[dict]] = None,
        depth_drop: Optional[float] = None,
        depth_consistency: Optional[dict] = None,
    ) -> None:
        """See the class."""
        settings.check_choice('model.restart_teachers', restart_teachers, (True, False))
        if restart_teachers and not self.followers():
            raise ValueError(
                'model.restart_teachers: frozen teachers stay as they are, so it would be unused; '
                'remove it, or model.frozen_teachers'
            )
        self.shifts = Shifts('model.period', period, len(TEACHERS), restart_teachers)
        self.second_augmentation = self._augmentation(second_augmentation, CLASS_MIX)
        self.depth_augmentation = self._augmentation(depth_augmentation, COLOURS)
        if self.depth_augmentation.mixes:
            raise ValueError(
                'model.depth_augmentation: the sub-model learns the labels of the weak view, so '
                'that nothing may be mixed; leave CutMixing and ClassMixing out'
            )
        self.depth_drop = DepthDrop(self.students[0].backbone, depth_drop)
        self.depth_consistency = settings.build_part(
            'depth_consistency',
            depth_consistency,
            Consistency,
            dict(confidence_threshold=self.consistency.confidence_threshold),
            num_classes=self.num_classes,
        )

    def _augmentation(
        self, steps: Optional[Sequence[dict]], usual: Sequence[dict]
    ) -> StrongAugmentation:
        built = StrongAugmentation(usual if steps is None else steps)
        checks.check_augmentation(self, built)
        return built

    # ---- turns

    @property
    def graph(self) -> SupervisionGraph:
        """The student learns from the teacher whose turn it is."""
        return ((TEACHERS[0 if self.shifts is None else self.shifts.active()],),)

    @property
    def possible_teachers(self) -> List[str]:
        """Both teachers."""
        return list(TEACHERS)

    def strong_view(
        self,
        images: Images,
        label: Optional[Tensor] = None,
        index: Optional[int] = None,
        strength: Optional[Tensor] = None,
        augmentation: Any = None,
    ) -> View:
        """Strong view of the present turn; see :meth:`StrongViews.strong_view`."""
        turn = self.shifts.active()  # type: ignore[union-attr]
        usual = (self.strong_augmentation, self.second_augmentation)[turn]
        index = turn if index is None else index
        return super().strong_view(images, label, index, strength, augmentation or usual)

    # ---- step

    def step(self, labeled: Images, unlabeled: Images) -> Losses:
        """One step, in the order of the file's header; see :meth:`SemiSegmentor.step`."""
        outputs = self.teacher_outputs(unlabeled=unlabeled)  # 1
        (pseudo,) = self.pseudo_labels(outputs, unlabeled).values()  # 2
        view = self.strong_view(unlabeled, pseudo.label)  # 3
        on_labeled, on_view = self.forward_member(STUDENT, labeled.image, view.image)  # 4
        sub_model = self._sub_model(unlabeled)  # 5
        loss, ratio = self.consistency_loss(on_view.logits, pseudo.apply_mix(view))  # 6
        return {
            **self.supervised_loss(0, on_labeled, labeled),
            f'{STUDENT}.unsup': loss,
            f'{STUDENT}.depth': self._depth_loss(sub_model, pseudo),
            f'{STUDENT}.confident_ratio': ratio,
        }

    def _sub_model(self, unlabeled: Images) -> PixelOutput:
        """Output of a sub-model of the student for a view with other colours."""
        view = self.strong_view(
            unlabeled, index=len(TEACHERS), augmentation=self.depth_augmentation
        )
        with self.depth_drop.dropped(unlabeled.draws, view.image):
            (output,) = self.forward_member(STUDENT, view.image)
        return output

    def _depth_loss(self, output: PixelOutput, pseudo: PseudoLabel) -> Tensor:
        self.depth_consistency.update(pseudo.label, pseudo.confidence)
        return self.depth_consistency(output.logits, pseudo, self.align_corners)[0]
