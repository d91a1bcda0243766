# Copyright (c) mmseg_ctt contributors.
"""The members of a method: building, loading, initialising, and which follow which."""

import copy
from typing import Any, ClassVar, Dict, FrozenSet, List, Mapping, Optional, Sequence, Tuple

import torch
import torch.nn as nn
from mmengine.model import ModuleList
from torch import Tensor

from ..nn.alignment import MemberAlignment
from ..nn.heads import main_head
from ..nn.joint_state import drop_misfits
from ..nn.member import Segmentor, build_member
from ..nn.members import Member, Members, check_names, dotted, module_path, students_and_teachers
from ..nn.schedule import Shift, Shifts
from ..nn.supervision import SupervisionGraph, has_teachers, supervision_graph
from ..nn.tuning import set_trained
from .followers import Follower
from .given_weights import members_in
from .inference import PredictingMembers
from .key_map import log_renamed, rename_keys


class MemberNetworks(PredictingMembers):
    """Holds ``students.{i}``, ``teachers.{i}`` and what else :attr:`members` names."""

    default_num_pairs: ClassVar[int]
    default_supervision: ClassVar[str]
    keeps_average: ClassVar[bool]
    default_member: ClassVar[Optional[str]]
    parts: ClassVar[Tuple[str, ...]]
    reads_embedding: ClassVar[bool]
    one_channel: ClassVar[bool]
    pipeline_steps: ClassVar[Mapping[str, Sequence[dict]]]
    members: Members
    students: ModuleList
    teachers: ModuleList
    teacher_mode: str
    alignment: Optional[MemberAlignment]  # built by DistributionAlignmentHook, or from a checkpoint
    num_updates: Tensor
    given: FrozenSet[str] = frozenset()  # members of which a checkpoint had all weights
    shifts: Optional[Shifts] = None  # of members with a `shift`; the method builds it

    @staticmethod
    def member_table(num_pairs: int, with_teachers: bool, frozen: bool) -> Members:
        """The networks of the method; see :class:`Member`.

        Args:
            num_pairs (int): Number of students.
            with_teachers (bool): Whether a student learns from a teacher, or the method keeps
                averages.
            frozen (bool): Whether teachers stay as they were loaded.
        """
        return students_and_teachers(num_pairs, with_teachers, frozen)

    def add_members(self, students: ModuleList, segmentor: dict) -> None:
        """Add all members: the given students, and copies or new networks for the rest.

        Args:
            students (ModuleList): ``student{i}``, built.
            segmentor (dict): Common config, into which each ``override`` is merged.

        Raises:
            ValueError: See :func:`check_names`.
        """
        check_names(self.members)
        self.students, self.teachers = students, ModuleList()
        for name, member in self.members.items():
            if module_path(name)[0] != 'students':
                self._hold(name, self._new_member(member, segmentor))
            elif not member.trains:
                self.member(name).requires_grad_(False)
        self.register_buffer('num_updates', torch.zeros((), dtype=torch.long))

    def add_copies(self, names: Sequence[str], member: Member) -> None:
        """Add members that are copies, in ``build`` of a method whose settings say how many.

        Args:
            names (Sequence[str]): ``past0``, ``past1`` and so on.
            member (Member): Entry of the table for each.
        """
        self.members = {**self.members, **dict.fromkeys(names, member)}
        for name in names:
            self._hold(name, self._new_member(member, {}))

    def _hold(self, name: str, network: nn.Module) -> None:
        group, index = module_path(name)
        if index is None:
            setattr(self, group, network)
            return
        if not hasattr(self, group):
            setattr(self, group, ModuleList())
        getattr(self, group).append(network)

    def _new_member(self, member: Member, segmentor: dict) -> nn.Module:
        network: nn.Module
        if member.override is not None:
            network = build_member(
                segmentor, member.override, self.reads_embedding, self.one_channel
            )
        else:
            network = copy.deepcopy(self.member(member.copy_of or member.follows or 'student0'))
        return set_trained(network, member.trains)

    # ---- names

    @property
    def member_names(self) -> Tuple[str, ...]:
        """Every name that ``test_cfg.predict_on`` may take."""
        return (*(name for name, member in self.members.items() if member.predicts), 'ensemble')

    def member(self, name: str) -> Segmentor:
        """The segmentor of a name in :attr:`members`."""
        group, index = module_path(name)
        found = getattr(self, group)
        return found if index is None else found[index]

    @classmethod
    def default_predict_on(cls, model_cfg: Mapping[str, Any]) -> str:
        """Member that a model of a config predicts with.

        Args:
            model_cfg (Mapping): ``model`` of the config.

        Returns:
            str: ``test_cfg.predict_on``, else the method's default: ``teacher0``, or ``student0``
            where no teacher teaches.
        """
        given = (model_cfg.get('test_cfg') or {}).get('predict_on')
        num_pairs = model_cfg.get('num_pairs') or cls.default_num_pairs
        supervision = model_cfg.get('supervision') or cls.default_supervision
        return given or cls.usual_member(supervision_graph(supervision, num_pairs))

    @classmethod
    def usual_member(cls, graph: SupervisionGraph) -> str:
        """Member that predicts where ``test_cfg.predict_on`` names none."""
        return cls.default_member or ('teacher0' if has_teachers(graph) else 'student0')

    @classmethod
    def segmentor_of(cls, model_cfg: Mapping[str, Any]) -> Mapping[str, Any]:
        """Config of the segmentor that students are built from: that of the model.

        Methods that add layers to the network override it.

        Args:
            model_cfg (Mapping): ``model`` of the config.
        """
        return model_cfg['segmentor']

    @classmethod
    def pipeline_steps_of(cls, model_cfg: Mapping[str, Any]) -> Mapping[str, Sequence[dict]]:
        """Steps that make the maps which the method reads, by source: :attr:`pipeline_steps`.

        Methods whose steps have settings in the model override it.

        Args:
            model_cfg (Mapping): ``model`` of the config.
        """
        return cls.pipeline_steps

    @property
    def embedding_width(self) -> int:
        """Channels of :attr:`PixelOutput.embedding`.

        Raises:
            ValueError: If students differ in it, and so cannot be compared.
        """
        heads = [main_head(student) for student in self.students]
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

    # ---- state

    def use_channels_last(self) -> None:
        """Convert weights, those of parts too; a memory of four dimensions is no image."""
        for weight in self.parameters():
            if weight.dim() == 4:
                weight.data = weight.data.contiguous(memory_format=torch.channels_last)

    def train(self, mode: bool = True) -> 'MemberNetworks':
        """Set training mode.

        Members that follow another (EMA teachers) get it only with ``teacher_mode='train'``; others
        that do not train stay in eval mode.
        """
        super().train(mode)
        for name, member in self.members.items():
            if not member.trains and (self.teacher_mode == 'eval' or member.follows is None):
                self.member(name).eval()
        if self.teacher_mode == 'eval':
            for follower in self.followers():
                follower.module.eval()
        return self

    def init_weights(self) -> None:
        """Initialise students by their own configs, parts that can, and copy what follows."""
        for name, member in self.members.items():
            if member.trains or member.override is not None:
                self.member(name).init_weights()
        for name in self.parts:
            initialise = getattr(getattr(self, name), 'init_weights', None)
            if initialise is not None:
                initialise()
        self.copy_to_followers()
        for name, member in self.members.items():
            if member.follows is None and member.copy_of is not None:
                self.member(name).load_state_dict(self.member(member.copy_of).state_dict())

    def _load_from_state_dict(self, state_dict: Dict[str, Tensor], prefix: str, *args: Any) -> None:
        """Load this model's state, that of version 0.1, or a plain segmentor's weights.

        The last (``load_from``) become those of every member without an ``override``.
        """
        log_renamed(self.update_state(state_dict, prefix))
        layers = tuple(f'{prefix}{name}.' for name, _ in self.students[0].named_children())
        own = any(key.startswith(f'{prefix}students.') for key in state_dict)
        plain = [] if own else [key for key in state_dict if key.startswith(layers)]
        for key in plain:
            value = state_dict.pop(key)
            for name, member in self.members.items():
                if member.override is None:
                    state_dict[f'{prefix}{dotted(name)}.{key[len(prefix) :]}'] = value
        self.given |= members_in(self, state_dict, prefix)
        if self.alignment is None:
            alignment = MemberAlignment.of_state(state_dict, f'{prefix}alignment.')
            self.alignment = alignment and alignment.to(self.num_updates.device)
        drop_misfits(self, state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def update_state(self, state_dict: Dict[str, Tensor], prefix: str = '') -> List[str]:
        """Bring a checkpoint of version 0.1 to the present names.

        Its alignment gets the settings of this model's; without any here (no
        :class:`DistributionAlignmentHook`) it is left out, since it does not hold its target.

        Args:
            state_dict (dict[str, Tensor]): Changed in place; later versions stay as they are.
            prefix (str): Of this model's entries. Defaults to ''.

        Returns:
            list[str]: What was renamed, see :func:`rename_keys`.
        """
        renamed = rename_keys(state_dict, prefix)
        if renamed and self.alignment is not None:
            self.alignment.add_settings(state_dict, f'{prefix}alignment.')
        elif renamed:
            for key in [key for key in state_dict if key.startswith(f'{prefix}alignment.')]:
                del state_dict[key]
        return renamed

    # ---- moving averages

    @property
    def untrained_modules(self) -> Tuple[str, ...]:
        """Paths of the modules whose weights no optimiser may have."""
        return tuple(dotted(name) for name, member in self.members.items() if not member.trains)

    @property
    def required_hooks(self) -> Dict[str, str]:
        """Hooks without which the method does not work, and their purpose."""
        return {'TeacherEMAHook': 'updates the teachers'} if self.followers() else {}

    def followers(self) -> List[Follower]:
        """Every module that averages another: members, and parts of a method that do."""
        return [
            Follower(
                self.member(name),
                self.member(member.follows),
                member.interval,
                member.offset,
                None
                if member.shift is None or self.shifts is None
                else Shift(self.shifts, member.shift),
            )
            for name, member in self.members.items()
            if member.follows is not None
        ]

    def copy_to_followers(self) -> None:
        """Copy parameters and buffers to followers.

        :class:`TeacherEMAHook` calls it at the start of a run. Members that only begin as a copy,
        such as frozen teachers, may have weights of ``load_from`` by then, and keep them.
        """
        for follower in self.followers():
            follower.module.load_state_dict(follower.followed.state_dict())
