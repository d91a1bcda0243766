# Copyright (c) mmseg_ctt contributors.
"""Learning from image-level tags: what methods without masks and teachers have in common.

:class:`TagLearning` is one student that sees the source ``tagged``. :class:`TagClassifier` is such
a student whose head gives a map of each class, with the loss of an image classifier: the mean of a
map is the score of its class, and a multilabel soft margin compares scores and tags.
"""

from typing import Tuple

from torch import Tensor

from ..functional.class_maps import class_scores, tag_loss
from ..nn.images import Images
from .base import SemiSegmentor
from .checks import class_map_head


class TagLearning(SemiSegmentor):
    """One student that learns from images with tags, and from no teacher."""

    sources = ('tagged',)
    default_num_pairs = 1
    default_supervision = 'own'
    fixed_graph = True
    uses_pseudo_labels = False
    joins_batches = False


class TagClassifier(TagLearning):
    """An image classifier with class maps; its decode head is a :class:`ClassMapHead`."""

    sections = dict(SemiSegmentor.sections, class_maps='students forward', tag_loss='losses')
    toy_settings = dict(
        segmentor=dict(
            decode_head=dict(
                _delete_=True, type='ClassMapHead', in_channels=8, in_index=1, num_classes=4
            )
        )
    )

    def build(self) -> None:
        """Check that the head gives class maps.

        Raises:
            ValueError: If it does not.
        """
        class_map_head(self.students[0])

    def class_maps(self, image: Tensor) -> Tensor:
        """Raw class maps ``(B, F, h, w)`` of images ``(B, C, H, W)``."""
        student = self.students[0]
        return class_map_head(student).class_maps(student.extract_feat(image))

    def tag_loss(self, maps: Tensor, tagged: Images) -> Tuple[Tensor, Tensor]:
        """Loss of class maps ``(B, F, h, w)``, and the ratio of tags that their scores give."""
        tags = class_map_head(self.students[0]).tags_of_maps(tagged.tags)
        return tag_loss(class_scores(maps, tagged.valid()), tags)
