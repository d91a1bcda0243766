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

from mmseg.registry import MODELS

from ..nn.images import Images
from .base import Losses
from .tag_learning import TagClassifier


@MODELS.register_module()
class ClassActivationMaps(TagClassifier):
    """An image classifier with class maps.

    The loss weight ``cls`` defaults to 1. ``model.segmentor.decode_head`` is a
    :class:`ClassMapHead`.

    Args:
        kwargs: As in :class:`SemiSegmentor`.
    """

    default_loss_weights = dict(cls=1.0)

    def step(self, tagged: Images) -> Losses:
        """One step, in the order of the file's header; see :meth:`SemiSegmentor.step`."""
        maps = self.class_maps(tagged.image)  # 1, 2
        loss, accuracy = self.tag_loss(maps, tagged)  # 3, 4
        return {'student0.cls': loss, 'student0.tag_accuracy': accuracy}
