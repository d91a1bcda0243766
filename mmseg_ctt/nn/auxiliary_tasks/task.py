# Copyright (c) mmseg_ctt contributors.
"""What every auxiliary task is: a loss of a student beside those of the method."""

import re
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import torch.nn as nn
from torch import Tensor

from .. import settings
from ..images import Images
from .student_pass import StudentPass

KEY = 'model.auxiliary_tasks'
BESIDE, ALONE = 0.1, 1.0  # usual weights, beside the losses of a method and without such
Terms = Dict[str, Tensor]
TaskResult = Dict[str, Any]


class AuxiliaryTask(nn.Module, ABC):
    """A loss beside those of the method, of one student.

    A task that derives from it sets :attr:`name`, makes its layers in :meth:`build` and its terms
    in :meth:`forward`. Each student has a task of its own; no member holds its layers, so exported
    models do not have them.

    Args:
        weight (float, optional): Of the loss. Defaults to None: 0.1 beside the losses of a method
            (S4L: 1, which cost short runs several points of mIoU, ``configs/s4l``), and 1 where the
            student learns by tasks alone (pre-training).
        sources (Sequence[str], optional): Sources of images that the task reads. Defaults to None:
            all of the method.
        name (str, optional): Of the loss in the log, ``student0.loss_<name>``; two tasks of one
            type need different ones. Letters, digits, ``_`` and ``-``, without the word ``loss``.
            Defaults to None: the task's.

    Raises:
        TypeError: If a setting is of a wrong type.
        ValueError: If the weight is negative, a source is named twice, or the name has other signs.
    """

    default_name: ClassVar[str]
    default_sources: ClassVar[Optional[Tuple[str, ...]]] = None  # None: all of the method
    score: ClassVar[Optional[str]] = None  # of `evaluate`: 'accuracy' or 'retrieval'; None: none
    evaluates_masks: ClassVar[bool] = False  # whether `evaluate` reads masks
    sections: ClassVar[Mapping[str, str]] = dict(forward='losses')  # for benchmarks of the step

    def __init__(
        self,
        weight: Optional[float] = None,
        sources: Optional[Sequence[str]] = None,
        name: Optional[str] = None,
    ) -> None:
        super().__init__()
        if weight is not None:
            settings.check_number(self.key('weight'), weight, low=0)
        self._check_names(sources, name)
        self.weight, self.usual_weight = weight, BESIDE
        self.given_sources = None if sources is None else tuple(sources)
        self.sources: Tuple[str, ...] = ()  # see `use_sources`
        self.name = self.default_name if name is None else name

    def _check_names(self, sources: Any, name: Any) -> None:
        if sources is not None and not (isinstance(sources, (list, tuple)) and sources):
            raise TypeError(f'{self.key("sources")} must be a list of names, got {sources!r}')
        if sources is not None and len(set(map(str, sources))) < len(sources):
            raise ValueError(f'{self.key("sources")}={sources} names a source twice')
        if name is not None and not isinstance(name, str):
            raise TypeError(f'{self.key("name")} must be a text, such as "turned", got {name!r}')
        # in the log a dot is behind the student, and what has "loss" in its name is added up
        if name is not None and (not re.fullmatch(r'[\w-]+', name) or 'loss' in name):
            raise ValueError(
                f'{self.key("name")}={name!r}: use letters, digits, _ and -, without the word loss'
            )

    @classmethod
    def key(cls, setting: str) -> str:
        """A setting of the task in messages of errors."""
        return f'{KEY}: {cls.__name__}.{setting}'

    def use_sources(self, known: Sequence[str]) -> None:
        """Set the sources that the task reads.

        Args:
            known (Sequence[str]): Those of the method.

        Raises:
            ValueError: If the method does not have one of them.
        """
        sources = self.given_sources or self.default_sources or tuple(known)
        for source in sources:
            if source not in known:
                raise ValueError(
                    f'{self.key("sources")}: the method has no images of the source {source}, '
                    f'only of {", ".join(known)}'
                )
        self.sources = tuple(sources)

    @property
    def weights(self) -> Mapping[str, float]:
        """Weight of each loss term that :meth:`forward` gives."""
        return {self.name: self.usual_weight if self.weight is None else self.weight}

    @property
    def reads_predictions(self) -> str:
        """Setting by which the task needs a decode head that learns; '' where it needs none."""
        return ''

    def build(self, width: int) -> None:
        """Make the layers of the task.

        Args:
            width (int): Channels of the deepest feature map that the decode head reads.
        """

    def init_weights(self) -> None:
        """Initialise the layers; those of torch are as they should be."""

    @abstractmethod
    def forward(self, student: StudentPass, images: Mapping[str, Images]) -> Terms:
        """Terms of one step.

        Args:
            student (StudentPass): Passes of the student.
            images (Mapping[str, Images]): Of :attr:`sources`, by source.

        Returns:
            dict[str, Tensor]: Scalars: a loss for each of :attr:`weights`, and others that are
            logged alone, which are named ``<name>_...``.
        """

    def evaluate(self, student: StudentPass, images: Images) -> Optional[List[TaskResult]]:
        """What the task finds out on images of validation, without gradient and in eval mode.

        Args:
            student (StudentPass): Passes of the student.
            images (Images): A batch, with labels where the data set has masks. ``draws`` are the
                same in every validation.

        Returns:
            list[dict] | None: Of each image, on the host, what :attr:`score` needs:
            ``accuracy``: ``right`` ``(n,)``, whether each of ``n`` answers is right;
            ``retrieval``: ``embedding`` ``(n, D)`` float32 of ``n`` views, and their classes
            ``label`` ``(n,)`` int64 (255: none) if views of other images are to be found; without
            ``label`` those of the same image. None where :attr:`score` is.
        """
        return None


class Views(NamedTuple):
    """Images that a task makes of those of a batch.

    Attributes:
        image (Tensor): ``(T, C, h, w)``, normalised, source by source.
        sizes (tuple[int, ...]): Views of each source.
        target (Any): What the task compares the output with.
    """

    image: Tensor
    sizes: Tuple[int, ...]
    target: Any = None


class ViewTask(AuxiliaryTask):
    """A task that makes views of the images and reads their features.

    Args:
        joint_forward (bool): Put the views into the pass of the backbone in which the student
            learns, so that batch normalisation has common statistics (released code of S4L). Views
            must have the size of the images then, that is, training crops must be square.
            Defaults to False: a pass of its own.
        update_statistics (bool, optional): Whether running averages of batch normalisation, by
            which the network predicts, learn from the views. Defaults to None: in a joint pass, and
            where the student makes no other pass (pre-training). Otherwise turned or cropped views
            would shift them.
        kwargs: As in :class:`AuxiliaryTask`.

    Raises:
        ValueError: If a joint pass is to leave the averages as they are.
    """

    sections = dict(make_views='strong view', view_terms='losses')

    def __init__(
        self, joint_forward: bool = False, update_statistics: Optional[bool] = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        settings.check_choice(self.key('joint_forward'), joint_forward, (True, False))
        key = self.key('update_statistics')
        settings.check_choice(key, update_statistics, (True, False, None))
        if joint_forward and update_statistics is not None and not update_statistics:
            raise ValueError(f'{key}=False: a joint pass updates them; remove it or joint_forward')
        self.joint_forward, self.update_statistics = joint_forward, update_statistics

    def forward(self, student: StudentPass, images: Mapping[str, Images]) -> Terms:
        """Terms of views in a pass of their own; see :meth:`AuxiliaryTask.forward`.

        A step of several students makes the views once, for all (:class:`AuxiliaryTasks`).
        """
        views = self.make_views(images, student.preprocessor)
        return self.view_terms(student.features(views.image), views, student)

    @abstractmethod
    def make_views(self, images: Mapping[str, Images], preprocessor: nn.Module) -> Views:
        """Views of a batch, the same for all students.

        Args:
            images (Mapping[str, Images]): Of :attr:`sources`, by source.
            preprocessor (nn.Module): Data preprocessor; its mean, std and channel order.
        """

    @abstractmethod
    def view_terms(self, features: Sequence[Any], views: Views, student: StudentPass) -> Terms:
        """Terms of the step; see :meth:`AuxiliaryTask.forward`.

        Args:
            features (Sequence): Levels of backbone and neck of the views, see
                :mod:`..feature_maps`; ``student.deepest(features)`` is the map to read.
            views (Views): The views.
            student (StudentPass): Further passes.
        """
