# Copyright (c) mmseg_ctt contributors.
from dataclasses import dataclass
from typing import ClassVar, Optional, Tuple

from ..nn.settings import check_number
from .round_settings import KEY, RoundSettings


@dataclass(frozen=True)
class DistillationSettings(RoundSettings):
    """Settings of distillation, ``self_training`` of the config of the small network.

    Attributes:
        teacher_config (str): Config of the run that labels the images.
        teacher_checkpoint (str): Its checkpoint.
        member (str, optional): Member that predicts the labels, such as ``'ensemble'``. None is
            the teacher's ``test_cfg.predict_on``.
        confidence_threshold (float): Pixels of a lower confidence are ignored. Defaults to 0: the
            labels of all pixels, since those of rare classes are seldom confident.
        baseline (bool): Whether the small network is trained on the labels alone as well, for
            comparison; may be set to True later. Defaults to False.
        timed_images (int): Images that both networks predict in turns to be timed. Defaults to 20.

    Raises:
        TypeError: If a setting is of another type.
        ValueError: If the teacher is not named, or a number lies outside its bounds.
    """

    addable: ClassVar[Tuple[str, ...]] = ('baseline',)

    teacher_config: str = ''
    teacher_checkpoint: str = ''
    member: Optional[str] = None
    confidence_threshold: float = 0.0
    baseline: bool = False
    timed_images: int = 20

    def __post_init__(self) -> None:
        for name in ('teacher_config', 'teacher_checkpoint'):
            value = getattr(self, name)
            if not isinstance(value, str) or not value:
                raise ValueError(f'{KEY}.{name} must name a file of the teacher, got {value!r}')
        if not isinstance(self.member, (str, type(None))):
            raise TypeError(f'{KEY}.member must be a name or None, got {self.member!r}')
        if not isinstance(self.baseline, bool):
            raise TypeError(f'{KEY}.baseline must be True or False, got {self.baseline!r}')
        check_number(f'{KEY}.confidence_threshold', self.confidence_threshold, 0, 1)
        check_number(f'{KEY}.timed_images', self.timed_images, 1, whole=True)
