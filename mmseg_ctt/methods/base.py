# Copyright (c) mmseg_ctt contributors.
import copy
from abc import abstractmethod
from typing import Dict, List, Optional, Sequence, Tuple, Union

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmengine.model import ModuleList
from mmseg.utils import SampleList
from torch import Tensor

from ..nn.alignment import MemberAlignment
from ..nn.member import PixelOutput, build_students, forward_member, projects, supervised_losses
from ..nn.padding import content_mask
from ..nn.supervision import has_teachers, teaching_graph
from .inference import PredictingMembers

TEACHER_MODES = ('eval', 'train')
JOINT = (True, False, 'students')


class SemiSegmentor(PredictingMembers):
    """Students and their EMA teachers around any mmseg segmentor.

    Holds ``students.{i}`` and ``teachers.{i}``, each a complete segmentor built from one config,
    and behaves towards mmseg's tools as the member named by ``test_cfg.predict_on``. A method
    derives from it and writes :meth:`loss`.

    Buffers: ``ema_updates`` int64, updates of the teachers so far (0: not yet copied).

    Args:
        segmentor (dict): Config of a plain mmseg segmentor; its ``data_preprocessor`` becomes
            the wrapper's.
        num_pairs (int): Number of students. Defaults to 2.
        teaching (str): Who teaches whom, see :func:`teaching_graph`. Defaults to 'cross'.
        student_overrides (list[dict], optional): Merged into ``segmentor``, one per student, for
            example ``dict(backbone=dict(init_cfg=...))``. Defaults to None.
        teacher_mode (str): ``'eval'`` or ``'train'``, the latter with batch statistics and
            dropout as in the released code. Defaults to 'eval'.
        joint_forward (bool | str): Whether a member sees all its images in one pass (joint batch
            statistics) or labelled and unlabelled ones apart (released code). ``'students'``:
            teachers apart, so that those in training mode normalise unlabelled images by their
            own statistics, which matters where these are of another place or time.
            Defaults to True.
        channels_last (bool): Keep weights and activations in that memory format, which is faster
            on recent CPUs, and on GPUs with AMP. Defaults to False.
        data_preprocessor (dict, optional): Settings that ``segmentor.data_preprocessor`` leaves
            open. Defaults to None.
        train_cfg (dict, optional): Unused; mmseg's ``init_model`` passes it.
        test_cfg (dict, optional): ``predict_on``: ``student0``, ``teacher0``, ... or
            ``ensemble`` (mean probability of the teachers, of the students where there are no
            teachers). Defaults to ``teacher0``, or ``student0`` without teachers.
        pretrained (None): Unused; mmseg's ``init_model`` passes it.
        init_cfg (dict, optional): Unused; members carry their own.

    Raises:
        ValueError: For unknown members or modes, overrides that do not match the number of
            students, or students of different class counts or corner alignment.
    """

    reads_features = False  # whether a method needs PixelOutput.features itself

    def __init__(
        self,
        segmentor: dict,
        num_pairs: int = 2,
        teaching: str = 'cross',
        student_overrides: Optional[Sequence[dict]] = None,
        teacher_mode: str = 'eval',
        joint_forward: Union[bool, str] = True,
        channels_last: bool = False,
        data_preprocessor: Optional[dict] = None,
        train_cfg: Optional[dict] = None,
        test_cfg: Optional[dict] = None,
        pretrained: Optional[str] = None,
        init_cfg: Optional[dict] = None,
    ) -> None:
        # mmengine passes a config's top-level `data_preprocessor` here; the model's own wins
        data_preprocessor = {
            **(data_preprocessor or {}),
            **(segmentor.get('data_preprocessor') or {}),
            'type': 'SemiSegDataPreProcessor',
        }
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=None)
        if teacher_mode not in TEACHER_MODES:
            raise ValueError(
                f'model.teacher_mode must be one of {TEACHER_MODES}, got {teacher_mode!r}'
            )
        self.graph = teaching_graph(teaching, num_pairs)
        self.students = build_students(segmentor, num_pairs, student_overrides)
        self.teachers = ModuleList(
            copy.deepcopy(list(self.students)) if has_teachers(self.graph) else []
        )
        self.teachers.requires_grad_(False)
        if joint_forward not in JOINT:
            raise ValueError(f'model.joint_forward must be one of {JOINT}, got {joint_forward!r}')
        self.teacher_mode, self.joint_forward = teacher_mode, joint_forward
        if channels_last:
            self.to(memory_format=torch.channels_last)
        self.register_buffer('ema_updates', torch.zeros((), dtype=torch.long))
        self.alignment: Optional[MemberAlignment] = None  # by DistributionAlignmentHook
        self.train_cfg, self.test_cfg = train_cfg, dict(test_cfg or {})
        default = 'teacher0' if self.teachers else 'student0'
        self.predict_on = self.test_cfg.get('predict_on', default)

    # ---- members

    @property
    def member_names(self) -> Tuple[str, ...]:
        """Every name that ``test_cfg.predict_on`` may take."""
        students = [f'student{i}' for i in range(len(self.students))]
        teachers = [f'teacher{i}' for i in range(len(self.teachers))]
        return (*students, *teachers, 'ensemble')

    def member(self, name: str) -> nn.Module:
        """The segmentor called ``student{i}`` or ``teacher{i}``."""
        group = self.students if name.startswith('student') else self.teachers
        return group[int(name[len('student') :])]

    @property
    def embedding_width(self) -> int:
        """Channels of :attr:`PixelOutput.embedding`.

        Raises:
            ValueError: If students differ in it, and so cannot be compared.
        """
        heads = [student.decode_head for student in self.students]
        widths = [
            getattr(head, 'embedding_dim', None) or head.conv_seg.in_channels for head in heads
        ]
        if len(set(widths)) > 1:
            raise ValueError(
                f'students with embeddings of {widths} channels cannot be compared: '
                'model.student_overrides must not change their number, which is '
                'decode_head.channels in most heads'
            )
        return widths[0]

    def train(self, mode: bool = True) -> 'SemiSegmentor':
        """As usual, but teachers keep to ``teacher_mode``."""
        super().train(mode)
        if self.teacher_mode == 'eval':
            self.teachers.eval()
        return self

    def _load_from_state_dict(self, state_dict: Dict[str, Tensor], prefix: str, *args) -> None:
        """A plain segmentor's weights (``load_from``) become those of every member."""
        parts = tuple(f'{prefix}{name}.' for name, _ in self.students[0].named_children())
        own = any(key.startswith(f'{prefix}students.') for key in state_dict)
        plain = [] if own else [key for key in state_dict if key.startswith(parts)]
        for key in plain:
            value = state_dict.pop(key)
            for group in ('students', 'teachers'):
                for i in range(len(getattr(self, group))):
                    state_dict[f'{prefix}{group}.{i}.{key[len(prefix) :]}'] = value
        super()._load_from_state_dict(state_dict, prefix, *args)

    def init_weights(self) -> None:
        """Initialise each student by its own config and copy it to its teacher."""
        for student in self.students:
            student.init_weights()
        self.copy_students_to_teachers()

    # ---- teachers

    def copy_students_to_teachers(self) -> None:
        """Parameters and buffers, as a run starts."""
        for teacher, student in zip(self.teachers, self.students):
            teacher.load_state_dict(student.state_dict())

    def ema_pairs(self, buffers: bool) -> Dict[str, Tuple[List[Tensor], List[Tensor]]]:
        """Tensors of all teachers and the students they follow.

        Args:
            buffers (bool): Whether buffers follow too.

        Returns:
            dict: ``average`` (floating point) and ``copy`` (the rest), each two lists.
        """
        pairs: Dict[str, Tuple[List[Tensor], List[Tensor]]] = dict(average=([], []), copy=([], []))
        for teacher, student in zip(self.teachers, self.students):
            for source in ('parameters', 'buffers') if buffers else ('parameters',):
                for old, new in zip(getattr(teacher, source)(), getattr(student, source)()):
                    lists = pairs['average' if old.is_floating_point() else 'copy']
                    lists[0].append(old)
                    lists[1].append(new.detach())
        return pairs

    # ---- what a method's step is made of

    @abstractmethod
    def loss(
        self, inputs: Dict[str, Tensor], data_samples: Dict[str, SampleList]
    ) -> Dict[str, Tensor]:
        """Losses of one step; every method's own.

        Args:
            inputs (dict[str, Tensor]): ``labeled`` ``(B_l, 3, H, W)``, ``unlabeled``
                ``(B_u, 3, H, W)``, normalised.
            data_samples (dict[str, list[SegDataSample]]): Their samples; only the labelled ones
                carry labels.

        Returns:
            dict[str, Tensor]: Scalars; keys with ``loss`` in them are summed by mmengine.
        """

    def look(self, name: str, *batches: Tensor) -> List[PixelOutput]:
        """Output of one member for several batches of images, one output each.

        Teachers give no gradient. The batches share one pass where ``joint_forward`` says so.
        """
        return self.look_all([name], *batches)[0]

    def look_all(self, names: Sequence[str], *batches: Tensor) -> List[List[PixelOutput]]:
        """The same for several members that look at the same images."""
        sizes = [len(images) for images in batches]
        found, together = [], [name for name in names if self._looks_once(name)]
        joint = [torch.cat(batches)] if together and len(batches) > 1 else batches
        for name in names:
            passes = joint if name in together else batches
            with torch.set_grad_enabled(torch.is_grad_enabled() and name.startswith('student')):
                outputs = [self._output(self.member(name), images) for images in passes]
                found.append(outputs if len(outputs) == len(batches) else outputs[0].split(sizes))
        return found

    @torch.no_grad()
    def ask(self, names: Sequence[str], *batches: Tensor) -> Dict[str, List[PixelOutput]]:
        """The same without gradient, by name."""
        return dict(zip(names, self.look_all(names, *batches)))

    def guides(self, weak: Tensor, labeled: Tensor) -> Dict[str, List[PixelOutput]]:
        """What the teaching members say, in the passes that the method makes.

        Args:
            weak (Tensor): Unlabelled images ``(B_u, 3, H, W)``.
            labeled (Tensor): ``(B_l, 3, H, W)``, for methods whose teachers see them too.

        Returns:
            dict[str, list[PixelOutput]]: By member; on the weak view first.
        """
        return self.ask(self.teaching_members, weak)

    def aligned_guides(
        self, weak: Tensor, labeled: Tensor, samples: SampleList
    ) -> Dict[str, List[PixelOutput]]:
        """The same in a training step: aligned where ``DistributionAlignmentHook`` is at work.

        Args:
            weak (Tensor): As in :meth:`guides`.
            labeled (Tensor): As in :meth:`guides`.
            samples (list[SegDataSample]): Of the weak view; they tell what is padding.
        """
        guides = self.guides(weak, labeled)
        if self.alignment is None:
            return guides
        return self.alignment(guides, content_mask(samples, weak))

    def _looks_once(self, name: str) -> bool:
        """Whether a member sees all its images in one pass."""
        if self.joint_forward == 'students':
            return name.startswith('student')
        return self.joint_forward

    @property
    def teaching_members(self) -> List[str]:
        """Every member that teaches a student, once."""
        return sorted({name for sources in self.graph for name in sources})

    def _output(self, member: nn.Module, images: Tensor) -> PixelOutput:
        output = forward_member(member, images)
        read = self.reads_features or member.with_auxiliary_head
        return output if read else output._replace(features=[])

    def supervise(self, i: int, output: PixelOutput, samples: SampleList) -> Dict[str, Tensor]:
        """Losses of student ``i``'s heads on labelled images, times ``weights['sup']``."""
        student = self.students[i]
        losses = {
            f'student{i}.{key}': value * self.weights['sup']
            for key, value in supervised_losses(student, output, samples).items()
        }
        if projects(student):  # DDP wants a gradient of layers that no other term reads
            first = next(iter(losses))
            losses[first] = losses[first] + output.zero()
        return losses

    def upsampled(self, logits: Tensor, size: Tuple[int, int]) -> Tensor:
        """``(B, K, h, w)`` of any precision to ``(B, K, H, W)`` float32."""
        return F.interpolate(
            logits.float(), size, mode='bilinear', align_corners=self.align_corners
        )

    def parse_losses(self, losses: Dict[str, Tensor]) -> Tuple[Tensor, Dict[str, Tensor]]:
        """As mmengine's, in two operations where every term is a scalar."""
        if any(not isinstance(value, Tensor) or value.dim() for value in losses.values()):
            return super().parse_losses(losses)
        total = torch.stack([value for key, value in losses.items() if 'loss' in key]).sum()
        return total, dict(loss=total, **losses)
