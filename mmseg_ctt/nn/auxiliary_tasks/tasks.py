# Copyright (c) mmseg_ctt contributors.
"""The auxiliary tasks of a method: one of each for every student."""

from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any, ClassVar, Dict, Iterator, List, Mapping, Optional, Sequence, Type

import torch
import torch.nn as nn
from mmseg.registry import MODELS
from torch import Tensor

from .. import settings
from ..deepest_map import deepest_width
from ..feature_maps import map_of, split_output
from ..images import Images
from ..repeated_pass import constant_statistics
from ..signatures import inherited_settings
from .student_pass import SharedPass, StudentPass, shared_pass
from .task import ALONE, BESIDE, KEY, AuxiliaryTask, TaskResult, Terms, ViewTask


class AuxiliaryTasks(nn.Module):
    """Auxiliary tasks of all students.

    Args:
        configs (Sequence[dict]): One a task.
        students (nn.ModuleList): The students.
        sources (Sequence[str]): Sources of the method.
        alone (bool): Whether students make no passes but those of the tasks. Defaults to False.

    Raises:
        TypeError: If a task is no dict with a type.
        ValueError: If a type or a setting is unknown, or two tasks have one name.
    """

    sections: ClassVar[Mapping[str, str]] = dict(view_features='students forward')  # for benchmarks

    def __init__(
        self,
        configs: Sequence[dict],
        students: nn.ModuleList,
        sources: Sequence[str],
        alone: bool = False,
    ) -> None:
        super().__init__()
        self.alone = alone
        built = [[build_task(i, cfg) for i, cfg in enumerate(configs)] for _ in students]
        for student, tasks in zip(students, built):
            for task in tasks:
                task.use_sources(sources)
                task.usual_weight = ALONE if alone else BESIDE
                task.build(deepest_width(student))
        names = [name for task in built[0] for name in task.weights]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(
                    f'{KEY} has two tasks of the name {name}: set another name for one of them'
                )
        self.students = nn.ModuleList(nn.ModuleList(tasks) for tasks in built)

    @property
    def weights(self) -> Dict[str, float]:
        """Weight of each loss term."""
        return {name: weight for task in self.of(0) for name, weight in task.weights.items()}

    def init_weights(self) -> None:
        """Initialise the layers of all tasks."""
        for i in range(len(self.students)):
            for task in self.of(i):
                task.init_weights()

    def of(self, i: int) -> List[AuxiliaryTask]:
        """Tasks of student ``i``."""
        return list(self.students[i].children())  # type: ignore[arg-type]

    @contextmanager
    def step(
        self, students: nn.ModuleList, images: Mapping[str, Images], preprocessor: nn.Module
    ) -> Iterator['TaskStep']:
        """The ``with`` block is the step of the method; afterwards the tasks have their terms.

        Args:
            students (nn.ModuleList): The students.
            images (Mapping[str, Images]): Images of the step, by source.
            preprocessor (nn.Module): Data preprocessor.
        """
        views = [
            task.make_views(_of(task, images), preprocessor) if isinstance(task, ViewTask) else None
            for task in self.of(0)
        ]
        made = TaskStep(self, students, images, preprocessor, views)
        with ExitStack() as stack:
            made.enter(stack)
            yield made

    def view_features(self, student: StudentPass, image: Tensor) -> List[Any]:
        """A pass of views ``(T, C, h, w)`` of their own."""
        return student.features(image)

    @torch.no_grad()
    def evaluate(
        self, students: nn.ModuleList, images: Images, preprocessor: nn.Module
    ) -> List[Dict[str, TaskResult]]:
        """What the tasks of the first student find out on images of validation.

        Args:
            students (nn.ModuleList): The students.
            images (Images): A batch.
            preprocessor (nn.Module): Data preprocessor.

        Returns:
            list[dict[str, TaskResult]]: Of each image by name of the task; see
            :meth:`AuxiliaryTask.evaluate`.
        """
        found: List[Dict[str, TaskResult]] = [{} for _ in images.samples]
        student = StudentPass(students[0], {}, preprocessor)
        for task in self.of(0):
            for of_image, result in zip(found, task.evaluate(student, images) or ()):
                of_image[task.name] = {'score': task.score, **result}
        return found


class TaskStep:
    """One step of all tasks; see :meth:`AuxiliaryTasks.step`."""

    def __init__(
        self,
        tasks: AuxiliaryTasks,
        students: nn.ModuleList,
        images: Mapping[str, Images],
        preprocessor: nn.Module,
        views: Sequence[Any],
    ) -> None:
        self.tasks, self.images, self.views = tasks, images, views
        self.passes = [StudentPass(student, images, preprocessor) for student in students]
        self.joint = [
            i for i, task in enumerate(tasks.of(0)) if getattr(task, 'joint_forward', False)
        ]
        self.shared: List[SharedPass] = []

    def enter(self, stack: ExitStack) -> None:
        """Join the views of tasks with ``joint_forward`` to the pass of each student."""
        if not self.joint:
            return
        self._check_joint_sizes()
        image = torch.cat([self.views[i].image for i in self.joint])
        key = self.tasks.of(0)[self.joint[0]].key('joint_forward')
        for student in self.passes:
            self.shared.append(stack.enter_context(shared_pass(student.member, image, key)))

    def _check_joint_sizes(self) -> None:
        tasks, first = self.tasks.of(0), self.joint[0]
        size = tuple(self.views[first].image.shape[2:])
        for i in self.joint:
            other = tuple(self.views[i].image.shape[2:])
            if other != size:
                raise ValueError(
                    f'{tasks[i].key("joint_forward")}=True: views of {other} pixels cannot join '
                    f'those of {size} of {type(tasks[first]).__name__}: give both tasks views of '
                    'the size of the images, or set it to False for one of them'
                )

    def terms(self) -> Terms:
        """Terms of all tasks, by ``{student}.{term}``."""
        found: Terms = {}
        for i, student in enumerate(self.passes):
            joint = self._joint_features(i)
            for j, task in enumerate(self.tasks.of(i)):
                values = self._terms(task, student, self.views[j], joint.get(j))
                add_terms(found, {f'student{i}.{name}': value for name, value in values.items()})
        return found

    def _terms(self, task: AuxiliaryTask, student: StudentPass, views: Any, features: Any) -> Terms:
        if not isinstance(task, ViewTask):
            return task(student, _of(task, self.images))
        updates = task.update_statistics
        if updates is None:
            updates = self.tasks.alone or task.joint_forward
        with nullcontext() if updates else constant_statistics(student.member):
            if features is None:
                features = self.tasks.view_features(student, views.image)
            terms = task.view_terms(features, views, student)
        if self.tasks.alone:  # DDP wants a gradient of layers whose maps no task reads
            zero = torch.stack([map_of(level)[:0].float().sum() for level in features]).sum()
            terms = {**terms, task.name: terms[task.name] + zero}
        return terms

    def _joint_features(self, i: int) -> Dict[int, List[Any]]:
        """Features of the joint views of student ``i``, by number of the task."""
        features = self.shared[i].features(self.passes[i].member) if self.joint else None
        if features is None:  # without joint views, or without a pass of the student's own
            return {}
        sizes = [len(self.views[j].image) for j in self.joint]
        parts = [split_output(level, sizes) for level in features]
        return {j: [level[k] for level in parts] for k, j in enumerate(self.joint)}


def add_terms(terms: Terms, more: Mapping[str, Tensor]) -> None:
    """Add terms, by ``{student}.{term}``, to others.

    Args:
        terms (dict[str, Tensor]): Grows.
        more (Mapping[str, Tensor]): Of tasks.

    Raises:
        ValueError: If two have one name, of which the log would show one alone.
    """
    for name in more:
        if name in terms:
            raise ValueError(
                f'{KEY}: {name} of a task is the name of another value in the log: give the task '
                'another name'
            )
    terms.update(more)


def build_task(number: int, cfg: Any) -> AuxiliaryTask:
    """Build the task ``model.auxiliary_tasks[number]``.

    Args:
        number (int): Its index in the list.
        cfg (dict | str): Its config, or its type alone, which is all that a command line can give.

    Raises:
        TypeError: If it is neither a name nor a dict with a type.
        ValueError: If the type is no task, or a setting is unknown.
    """
    cfg = dict(type=cfg) if isinstance(cfg, str) else cfg
    if not isinstance(cfg, Mapping) or 'type' not in cfg:
        raise TypeError(
            f'{KEY}[{number}] must be a name, such as "RotationTask", or a dict with a type, got '
            f'{cfg!r}'
        )
    kind = task_class(cfg)
    if kind is None:
        raise ValueError(
            f'{KEY}[{number}].type={cfg["type"]!r} is no auxiliary task; known are '
            f'{", ".join(sorted(registered_tasks()))}'
        )
    given = {key: value for key, value in cfg.items() if key != 'type'}
    known = [parameter.name for parameter in inherited_settings(kind, '__init__')]
    settings.check_keys(f'{KEY}[{number}] ({kind.__name__})', given, known)
    return kind(**given)


def task_class(cfg: Any) -> Optional[Type[AuxiliaryTask]]:
    """Class of a task.

    Args:
        cfg (Any): Its config; ``type`` is a name, with or without its scope, or the class.

    Returns:
        type, optional: None where it is no config of a task.
    """
    kind = cfg.get('type') if isinstance(cfg, Mapping) else cfg
    kind = MODELS.get(kind) if isinstance(kind, str) else kind
    return kind if isinstance(kind, type) and issubclass(kind, AuxiliaryTask) else None


def registered_tasks() -> Dict[str, type]:
    """Every auxiliary task by its registered name, those of other packages too."""
    return {
        name: kind
        for name, kind in sorted(MODELS.module_dict.items())
        if isinstance(kind, type) and issubclass(kind, AuxiliaryTask)
    }


def _of(task: AuxiliaryTask, images: Mapping[str, Images]) -> Dict[str, Images]:
    return {source: images[source] for source in task.sources}
