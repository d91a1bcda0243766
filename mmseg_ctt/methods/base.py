# Copyright (c) mmseg_ctt contributors.
"""Base of all methods: members, forward passes, pseudo-labels, weighted losses.

A method says what is its own: class attributes (number of pairs, supervision graph, loss weights,
default augmentation and consistency), :meth:`SemiSegmentor.build` for its own settings and parts,
and :meth:`SemiSegmentor.step`. This file has the settings of all methods. All else is in its
parents, from the bottom:

- ``inference.py``: what mmseg's tools call.
- ``networks.py``: members, which are built, loaded, averaged.
- ``forward.py``: their passes, and pseudo-labels.
- ``views.py``: strong views.
- ``auxiliary.py``: auxiliary tasks.
- ``weighted_terms.py``: ``loss``, which weighs the terms of a step.
"""

from abc import abstractmethod
from typing import Any, ClassVar, Dict, Mapping, Optional, Sequence, Tuple, Union

from ..nn import settings
from ..nn.augmentation import StrongAugmentation
from ..nn.consistency import usual_settings
from ..nn.member import build_students
from ..nn.schedule import RampUp
from ..nn.setting_texts import refuse_texts
from ..nn.signatures import inherited_settings, settings_of
from ..nn.supervision import has_teachers, supervision_graph
from . import checks
from .given_weights import frozen_without_weights
from .weighted_terms import Losses, WeightedTerms

TEACHER_MODES = ('eval', 'train')


class SemiSegmentor(WeightedTerms):
    """Students and their EMA teachers around any mmseg segmentor.

    Holds ``students.{i}`` and ``teachers.{i}``, each a complete segmentor built from one config,
    and behaves towards mmseg's tools as the member named by ``test_cfg.predict_on``.

    Buffers: ``num_updates`` int64, updates of the teachers (0: not yet copied).

    Args:
        segmentor (dict): Config of a plain mmseg segmentor; its ``data_preprocessor`` becomes
            the wrapper's.
        num_pairs (int, optional): Number of students. Defaults to None: the method's.
        supervision (str, optional): Who teaches whom, see :func:`supervision_graph`. Defaults to
            None: the method's.
        student_overrides (list[dict], optional): Merged into ``segmentor``, one per student, for
            example ``dict(backbone=dict(init_cfg=...))``. Defaults to None.
        teacher_mode (str): ``'train'``: teachers normalise by the statistics of their batch, with
            dropout (released code of CTT); ``'eval'``: by averages of the students' statistics,
            which say little in the first hundreds of iterations. Defaults to 'train'.
        frozen_teachers (bool): Whether teachers stay as ``load_from`` gave them, which must have
            all their weights; they are then always in eval mode. Defaults to False.
        joint_forward (bool | str): Which members take labelled and unlabelled images in one pass
            (joint batch statistics): True: all; False: none (released code of CTT and AEL);
            ``'students'``: teachers take them apart, so that those in training mode normalise
            unlabelled images by their own statistics, which matters where these are of another
            place or time. Defaults to 'students'. Methods with one batch in a step refuse others.
        channels_last (bool): Keep weights and activations in that memory format, which is faster
            on recent CPUs, and on GPUs with AMP. Defaults to False.
        loss_weights (dict, optional): Weights of the terms; see the method. Defaults to None.
        ramp_up (float | dict): Part of the training in which the weights of the terms from
            pseudo-labels climb, see :class:`RampUp`. Defaults to 0: full weights from the start.
        strong_augmentation (list[dict], optional): Steps of :class:`StrongAugmentation`. Defaults
            to None: the method's.
        consistency (dict, optional): Settings of the method's consistency loss. Defaults to None.
        auxiliary_tasks (list[dict], optional): Losses of the students besides the method's, such as
            ``[dict(type='RotationTask')]``. Defaults to None: the method's, most have none.
        use_tags (bool): Limit pseudo-labels of the unlabelled images, a
            :class:`TaggedImageDataset`, to their tags and the background. Defaults to False.
        mode (str, optional): Variant of the method, where it has several. Defaults to None: the
            first of its ``modes``.
        data_preprocessor (dict, optional): Settings that ``segmentor.data_preprocessor`` leaves
            open. Defaults to None.
        test_cfg (dict, optional): ``predict_on``: ``student0``, ``teacher0``, ... or
            ``ensemble`` (mean probability of the teachers, of the students where there are no
            teachers). Defaults to None: see :meth:`default_predict_on`.
        train_cfg, pretrained, init_cfg: mmseg passes them; they are errors if they are set, since
            members have their own.
        method_settings: Arguments of the method's :meth:`build`.

    Raises:
        TypeError: If a setting is of a wrong type.
        ValueError: For unknown settings, members or modes, overrides that do not match the number
            of students, or students of different class counts or corner alignment.
    """

    # What a method says of itself.
    sources: ClassVar[Tuple[str, ...]] = ('labeled', 'unlabeled')  # arguments of `step`
    trains_heads: ClassVar[bool] = True  # False: the method learns features, heads stay as built
    default_num_pairs: ClassVar[int] = 2
    default_supervision: ClassVar[str] = 'cross'
    fixed_graph: ClassVar[bool] = False  # no other number of pairs, no other graph
    keeps_average: ClassVar[bool] = False  # EMA teachers that only predict
    default_member: ClassVar[Optional[str]] = None  # None: teacher0, student0 without teachers
    joins_batches: ClassVar[bool] = True  # whether a member takes several batches in a step
    uses_pseudo_labels: ClassVar[bool] = True  # False: alignment and ClassMix are errors
    default_loss_weights: ClassVar[Mapping[str, float]] = {}  # of the terms besides `sup`
    ramped_terms: ClassVar[Tuple[str, ...]] = ()  # terms that `ramp_up` applies to
    default_ramp_up: ClassVar[Union[float, Mapping]] = 0.0
    default_augmentation: ClassVar[Optional[Sequence[dict]]] = None  # None: the method has none
    default_consistency: ClassVar[Optional[Mapping[str, Any]]] = None  # None: the method has none
    consistency_class: ClassVar[Union[type, str]] = 'Consistency'
    # variants such as 'paper' and 'released': defaults of `loss_weights`, `consistency` and `build`
    modes: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    parts: ClassVar[Tuple[str, ...]] = ()  # attributes with weights beside the members
    reads_embedding: ClassVar[bool] = False  # whether the method needs PixelOutput.embedding
    reads_features: ClassVar[bool] = False  # whether it needs PixelOutput.features
    one_channel: ClassVar[bool] = False  # whether it takes binary heads of one (sigmoid) channel
    # steps that make the maps which the method reads, by source; see `pipeline_steps_of`
    pipeline_steps: ClassVar[Mapping[str, Sequence[dict]]] = {}
    renamed: ClassVar[Mapping[str, str]] = {}  # former settings of the method, see RENAMED
    # methods of the class by section of the step, for benchmarks
    sections: ClassVar[Mapping[str, str]] = dict(
        pseudo_labels='pseudo-labels', pseudo_label='pseudo-labels', supervised_loss='losses'
    )
    # settings with which every term is at work within a few iterations on tiny images of four
    # classes, for tests and benchmarks of all methods; some pixels of an untrained network of four
    # classes pass a confidence threshold just above 1/4, and others do not
    toy_settings: ClassVar[Mapping[str, Any]] = {}

    def __init__(
        self,
        segmentor: dict,
        num_pairs: Optional[int] = None,
        supervision: Optional[str] = None,
        student_overrides: Optional[Sequence[dict]] = None,
        teacher_mode: str = 'train',
        frozen_teachers: bool = False,
        joint_forward: Union[bool, str] = 'students',
        channels_last: bool = False,
        loss_weights: Optional[dict] = None,
        ramp_up: Union[None, float, dict] = None,
        strong_augmentation: Optional[Sequence[dict]] = None,
        consistency: Optional[dict] = None,
        auxiliary_tasks: Optional[Sequence[dict]] = None,
        use_tags: bool = False,
        mode: Optional[str] = None,
        data_preprocessor: Optional[dict] = None,
        train_cfg: Optional[dict] = None,
        test_cfg: Optional[dict] = None,
        pretrained: Optional[str] = None,
        init_cfg: Optional[dict] = None,
        **method_settings: Any,
    ) -> None:
        preprocessor = checks.preprocessor_settings(segmentor, data_preprocessor, self.sources)
        super().__init__(data_preprocessor=preprocessor, init_cfg=None)
        self.alignment, self.unlabeled_weight = None, None
        self.use_tags = checks.tags_used(type(self), use_tags)
        usual = self._mode_defaults(mode)
        method_settings = {**usual.get('build', {}), **method_settings}
        flags = dict(frozen_teachers=frozen_teachers, channels_last=channels_last)
        self._check_settings(method_settings, flags)
        settings.check_choice('model.teacher_mode', teacher_mode, TEACHER_MODES)
        checks.check_joint_forward(type(self), joint_forward)
        self.teacher_mode, self.joint_forward = teacher_mode, joint_forward
        self._build_members(segmentor, num_pairs, supervision, student_overrides, frozen_teachers)
        checks.check_teachers(type(self), has_teachers(self.graph), teacher_mode, frozen_teachers)
        checks.check_wrapper(test_cfg or {}, train_cfg, pretrained, init_cfg)
        self.train_cfg, self.test_cfg = train_cfg, dict(test_cfg or {})
        self.predict_on = self.test_cfg.get('predict_on') or self.usual_member(self.graph)
        self._build_losses(
            settings.merged('model.loss_weights', usual.get('loss_weights'), loss_weights),
            ramp_up,
            strong_augmentation,
            settings.merged('model.consistency', usual.get('consistency'), consistency),
        )
        self.build(**method_settings)
        self.add_tasks(auxiliary_tasks)
        if channels_last and checks.allows_channels_last(self):
            self.use_channels_last()

    def _mode_defaults(self, mode: Optional[str]) -> Mapping[str, Any]:
        """Defaults of the settings in a mode of the method, the first one if none is named."""
        if not self.modes and mode is not None:
            raise ValueError(f'model.mode: {type(self).__name__} has no modes, remove it')
        self.mode = mode or next(iter(self.modes), None)
        settings.check_choice('model.mode', self.mode, (*self.modes, None))
        return self.modes.get(self.mode, {}) if self.mode else {}

    def _check_settings(self, given: Mapping[str, Any], flags: Mapping[str, Any]) -> None:
        taken, shared = inherited_settings(type(self), 'build'), settings_of(SemiSegmentor)
        known = [parameter.name for parameter in (*taken, *shared)]
        key = f'model (type={type(self).__name__})'
        settings.check_keys(key, given, known, renamed={**settings.RENAMED, **self.renamed})
        refuse_texts('model', given, taken)
        refuse_texts('model', flags, shared)

    def _build_members(
        self,
        segmentor: dict,
        num_pairs: Optional[int],
        supervision: Optional[str],
        overrides: Optional[Sequence[dict]],
        frozen_teachers: bool,
    ) -> None:
        usual = self.default_num_pairs, self.default_supervision
        num_pairs = usual[0] if num_pairs is None else num_pairs
        supervision = supervision or usual[1]
        if self.fixed_graph and (num_pairs, supervision) != usual:
            raise ValueError(
                f'model.type={type(self).__name__} has num_pairs={usual[0]} and '
                f'supervision={usual[1]!r}, got {num_pairs} and {supervision!r}: remove them'
            )
        self._graph = supervision_graph(supervision, num_pairs)
        with_teachers = has_teachers(self._graph) or self.keeps_average
        self.members = self.member_table(num_pairs, with_teachers, frozen_teachers)
        segmentor = dict(self.segmentor_of(dict(segmentor=segmentor, mode=self.mode)))
        students = build_students(
            segmentor, num_pairs, overrides, self.reads_embedding, self.one_channel
        )
        self.add_members(checks.with_used_heads(type(self), students), segmentor)

    def _build_losses(
        self,
        weights: Optional[dict],
        ramp_up: Union[None, float, dict],
        augmentation: Optional[Sequence[dict]],
        consistency: Optional[dict],
    ) -> None:
        self.weights = settings.loss_weights(weights, self.usual_weights())
        self.ramp_up = RampUp.of(ramp_up, self.default_ramp_up)
        for key, given, default in (
            ('strong_augmentation', augmentation, self.default_augmentation),
            ('consistency', consistency, self.default_consistency),
            ('ramp_up', ramp_up, self.ramped_terms or None),
        ):
            if default is None:
                checks.check_absent(type(self), key, given)
        self.strong_augmentation = None
        if self.default_augmentation is not None:
            steps = self.default_augmentation if augmentation is None else augmentation
            self.strong_augmentation = StrongAugmentation(steps)
            checks.check_augmentation(self, self.strong_augmentation)
        self.consistency = None
        if self.default_consistency is not None:
            self.consistency = settings.build_part(
                'consistency',
                consistency,
                self.consistency_class,
                usual_settings(self.default_consistency, consistency),
                num_classes=self.num_classes,
            )

    @property
    def members_to_load(self) -> Dict[str, str]:
        """Members whose weights only a checkpoint can give, and what to set where none does."""
        return frozen_without_weights(self)

    def build(self) -> None:
        """Parts and settings of the method; the arguments are settings of the config."""

    @abstractmethod
    def step(self, *args: Any, **kwargs: Any) -> Losses:
        """Terms of one training step; every method's own.

        Args:
            *args (Images): One for each of ``sources``, such as ``labeled``, ``unlabeled``.
            **kwargs (Images): A method names them, ``step(self, labeled, unlabeled)``.

        Returns:
            dict[str, Tensor]: Scalars by ``{member}.{term}``. Terms of the loss weights come
            without their weight, which :meth:`loss` multiplies them by. Keys that have ``loss`` in
            them, such as those of :meth:`supervised_loss`, whose weight is applied, are summed as
            they are. All others are logged.
        """
