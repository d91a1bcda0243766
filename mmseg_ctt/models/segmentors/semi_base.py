# Copyright (c) mmseg_ctt contributors.
import copy
from typing import Dict, List, Optional, Sequence, Tuple

import torch
import torch.nn as nn
from mmengine.model import ModuleList
from mmseg.models.segmentors.base import BaseSegmentor
from mmseg.utils import OptSampleList, SampleList
from torch import Tensor

from ..member import PixelOutput, build_member, forward_member
from ..teaching import has_teachers, teaching_graph

TEACHER_MODES = ('eval', 'train')


class SemiSegmentor(BaseSegmentor):
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
        joint_forward (bool): Whether a member sees all its images in one pass (joint batch
            statistics) or labelled and unlabelled ones apart (released code).
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
            students, or students of different class counts.
    """

    reads_features = False  # whether a method needs PixelOutput.features itself

    def __init__(self,
                 segmentor: dict,
                 num_pairs: int = 2,
                 teaching: str = 'cross',
                 student_overrides: Optional[Sequence[dict]] = None,
                 teacher_mode: str = 'eval',
                 joint_forward: bool = True,
                 channels_last: bool = False,
                 data_preprocessor: Optional[dict] = None,
                 train_cfg: Optional[dict] = None,
                 test_cfg: Optional[dict] = None,
                 pretrained: Optional[str] = None,
                 init_cfg: Optional[dict] = None) -> None:
        # mmengine passes a config's top-level `data_preprocessor` here; the model's own wins
        data_preprocessor = {**(data_preprocessor or {}),
                             **(segmentor.get('data_preprocessor') or {}),
                             'type': 'SemiSegDataPreProcessor'}
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=None)
        if teacher_mode not in TEACHER_MODES:
            raise ValueError(f'model.teacher_mode must be one of {TEACHER_MODES}, got '
                             f'{teacher_mode!r}')
        self.graph = teaching_graph(teaching, num_pairs)
        self.students = _build_students(segmentor, num_pairs, student_overrides)
        self.teachers = ModuleList(
            copy.deepcopy(list(self.students)) if has_teachers(self.graph) else [])
        self.teachers.requires_grad_(False)
        self.teacher_mode, self.joint_forward = teacher_mode, joint_forward
        if channels_last:
            self.to(memory_format=torch.channels_last)
        self.register_buffer('ema_updates', torch.zeros((), dtype=torch.long))
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

    @property
    def predict_on(self) -> str:
        """Member that predictions come from."""
        return self._predict_on

    @predict_on.setter
    def predict_on(self, name: str) -> None:
        if name not in self.member_names:
            raise ValueError(f'model.test_cfg.predict_on={name!r} is not a member; choose from '
                             f'{", ".join(self.member_names)}')
        self._predict_on = name

    def member(self, name: str) -> nn.Module:
        """The segmentor called ``student{i}`` or ``teacher{i}``."""
        group = self.students if name.startswith('student') else self.teachers
        return group[int(name[len('student'):])]

    def predicting_members(self) -> List[nn.Module]:
        """The segmentors whose mean probability is the prediction."""
        if self.predict_on == 'ensemble':
            return list(self.teachers or self.students)
        return [self.member(self.predict_on)]

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
                    state_dict[f'{prefix}{group}.{i}.{key[len(prefix):]}'] = value
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
        pairs: Dict[str, Tuple[List[Tensor], List[Tensor]]] = dict(
            average=([], []), copy=([], []))
        for teacher, student in zip(self.teachers, self.students):
            for source in ('parameters', 'buffers') if buffers else ('parameters', ):
                for old, new in zip(getattr(teacher, source)(), getattr(student, source)()):
                    lists = pairs['average' if old.is_floating_point() else 'copy']
                    lists[0].append(old)
                    lists[1].append(new.detach())
        return pairs

    # ---- what a method's step is made of

    def look(self, name: str, *batches: Tensor) -> List[PixelOutput]:
        """Output of one member for several batches of images, one output each.

        Teachers give no gradient. With ``joint_forward`` the batches share one pass.
        """
        return self.look_all([name], *batches)[0]

    def look_all(self, names: Sequence[str], *batches: Tensor) -> List[List[PixelOutput]]:
        """The same for several members that look at the same images."""
        sizes = [len(images) for images in batches]
        passes = [torch.cat(batches)] if self.joint_forward and len(batches) > 1 else batches
        found = []
        for name in names:
            with torch.set_grad_enabled(torch.is_grad_enabled() and name.startswith('student')):
                outputs = [self._output(self.member(name), images) for images in passes]
                found.append(outputs if len(outputs) == len(batches) else outputs[0].split(sizes))
        return found

    def _output(self, member: nn.Module, images: Tensor) -> PixelOutput:
        output = forward_member(member, images)
        read = self.reads_features or member.with_auxiliary_head
        return output if read else output._replace(features=[])

    def parse_losses(self, losses: Dict[str, Tensor]) -> Tuple[Tensor, Dict[str, Tensor]]:
        """As mmengine's, in two operations where every term is a scalar."""
        if any(not isinstance(value, Tensor) or value.dim() for value in losses.values()):
            return super().parse_losses(losses)
        total = torch.stack([value for key, value in losses.items() if 'loss' in key]).sum()
        return total, dict(loss=total, **losses)

    # ---- mmseg's interface, answered by the predicting member

    def predict(self, inputs: Tensor, data_samples: OptSampleList = None) -> SampleList:
        """Predict by ``predict_on``; see :meth:`mmseg.models.EncoderDecoder.predict`."""
        logits = self.inference(inputs, _metas(inputs, data_samples))
        return self.postprocess_result(logits, data_samples)

    def predict_members(self, inputs: Tensor,
                        data_samples: SampleList) -> Dict[str, SampleList]:
        """Predictions of every member and the ensemble, each network run once.

        Args:
            inputs (Tensor): ``(B, 3, H, W)``, normalised.
            data_samples (list[SegDataSample]): Their samples, left unchanged.

        Returns:
            dict[str, list[SegDataSample]]: By member name.
        """
        metas = _metas(inputs, data_samples)
        logits = {name: self.member(name).inference(inputs, metas)
                  for name in self.member_names[:-1]}
        group = 'teacher' if self.teachers else 'student'
        logits['ensemble'] = _mean_probability(
            [one for name, one in logits.items() if name.startswith(group)])
        return {name: self.postprocess_result(one, [sample.new() for sample in data_samples])
                for name, one in logits.items()}

    def inference(self, inputs: Tensor, batch_img_metas: List[dict]) -> Tensor:
        """Logits ``(B, K, H, W)``; for the ensemble, the log of the mean probability."""
        return _mean_probability([member.inference(inputs, batch_img_metas)
                                  for member in self.predicting_members()])

    def extract_feat(self, inputs: Tensor) -> List[Tensor]:
        """Features of the (first) predicting member."""
        return self.predicting_members()[0].extract_feat(inputs)

    def encode_decode(self, inputs: Tensor, batch_img_metas: List[dict]) -> Tensor:
        """Logits of the (first) predicting member at image size."""
        return self.predicting_members()[0].encode_decode(inputs, batch_img_metas)

    def _forward(self, inputs: Tensor, data_samples: OptSampleList = None) -> Tensor:
        return self.predicting_members()[0]._forward(inputs, data_samples)


def _metas(inputs: Tensor, data_samples: OptSampleList) -> List[dict]:
    if data_samples is not None:
        return [sample.metainfo for sample in data_samples]
    shape = inputs.shape[2:]
    return [dict(ori_shape=shape, img_shape=shape, pad_shape=shape,
                 padding_size=[0, 0, 0, 0])] * len(inputs)


def _mean_probability(logits: List[Tensor]) -> Tensor:
    """Log of the mean softmax; a single member's logits as they are."""
    if len(logits) == 1:
        return logits[0]
    mean = torch.stack([one.float().softmax(dim=1) for one in logits]).mean(dim=0)
    return mean.clamp(min=1e-12).log()


def _delegate(name: str) -> property:
    def read(self: SemiSegmentor):
        return getattr(self.predicting_members()[0], name, None)

    return property(read, doc=f'``{name}`` of the (first) predicting member.')


for _name in ('backbone', 'neck', 'decode_head', 'auxiliary_head', 'align_corners',
              'num_classes', 'out_channels'):
    setattr(SemiSegmentor, _name, _delegate(_name))


def _build_students(segmentor: dict, num: int, overrides: Optional[Sequence[dict]]) -> ModuleList:
    overrides = list(overrides or [None] * num)
    if len(overrides) != num:
        raise ValueError(f'model.student_overrides has {len(overrides)} entries for '
                         f'num_pairs={num} students; give one dict each')
    students = [build_member(segmentor, override) for override in overrides]
    counts = [student.num_classes for student in students]
    if len(set(counts)) > 1:
        raise ValueError(f'students of different class counts {counts}: '
                         'model.student_overrides must not change decode_head.num_classes')
    return ModuleList(students)

