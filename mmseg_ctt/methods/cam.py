# Copyright (c) mmseg_ctt contributors.
"""Class activation maps (CAM, arXiv 1512.04150): an image classifier that shows where classes are.

One step, everything inside ``forward(mode='loss')``:

1. The student sees images that have tags and no masks.
2. Its head gives a raw map of each class that may be a tag.
3. The mean of a map is the score of its class.
4. Loss: multilabel soft margin between scores and tags.

``tools/weak/make_cams.py`` writes the maps of the tagged images, from which
``tools/weak/make_pseudo_labels.py`` makes masks for an ordinary segmentor.
"""

from typing import Tuple

from mmseg.registry import MODELS
from torch import Tensor

from ..functional.class_maps import class_scores, tag_loss
from ..nn.images import Images
from .base import Losses, SemiSegmentor
from .checks import class_map_head


@MODELS.register_module()
class ClassActivationMaps(SemiSegmentor):
    """An image classifier with class maps.

    The loss weight ``cls`` defaults to 1. ``model.segmentor.decode_head`` is a
    :class:`ClassMapHead`.

    Args:
        kwargs: As in :class:`SemiSegmentor`.
    """

    sources = ('tagged',)
    default_num_pairs = 1
    default_supervision = 'own'
    fixed_graph = True
    uses_pseudo_labels = False
    default_loss_weights = dict(cls=1.0)
    sections = dict(SemiSegmentor.sections, class_maps='students forward', tag_loss='losses')
    toy_settings = dict(
        segmentor=dict(
            decode_head=dict(
                _delete_=True, type='ClassMapHead', in_channels=8, in_index=1, num_classes=4
            )
        )
    )

    def build(self) -> None:
        """See the class."""
        class_map_head(self.students[0])

    def step(self, tagged: Images) -> Losses:
        """One step, in the order of the file's header; see :meth:`SemiSegmentor.step`."""
        maps = self.class_maps(tagged.image)  # 1, 2
        loss, accuracy = self.tag_loss(maps, tagged)  # 3, 4
        return {'student0.cls': loss, 'student0.tag_accuracy': accuracy}

    def class_maps(self, image: Tensor) -> Tensor:
        """Raw class maps ``(B, F, h, w)`` of images ``(B, C, H, W)``."""
        student = self.students[0]
        return class_map_head(student).class_maps(student.extract_feat(image))

    def tag_loss(self, maps: Tensor, tagged: Images) -> Tuple[Tensor, Tensor]:
        """Loss of class maps ``(B, F, h, w)``, and the accuracy of their tags."""
        tags = class_map_head(self.students[0]).tags_of_maps(tagged.tags)
        return tag_loss(class_scores(maps, tagged.valid()), tags)
