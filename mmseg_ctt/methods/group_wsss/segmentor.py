# Copyright (c) mmseg_ctt contributors.
"""Group-wise semantic mining (Group-WSSS, arXiv 2012.05007): class maps of images that share tags.

One step, everything inside ``forward(mode='loss')``:

1. The student sees groups of images that share classes; the sampler makes the groups.
2. Its head gives a raw map of each class that may be a tag: the state of an image in the graph.
3. The graph: in every round each image gets messages from the others by co-attention, a ConvGRU
   updates its maps, and graph dropout weakens the positions that dominate.
4. Scores are the means of the maps, before the graph (single) and after it (group).
5. Losses: multilabel soft margin between both scores and the tags.

Prediction needs no graph. ``group_class_maps`` gives the maps from which the pseudo-labels of the
training images are made.
"""

from typing import Any, Mapping, Optional, Sequence

import torch
from mmseg.registry import MODELS
from torch import Tensor

from ...nn import settings
from ...nn.images import Images
from ...nn.rng import Draw, sample_noise
from ..base import Losses
from ..checks import class_map_head
from ..tag_learning import TagClassifier
from .graph import GroupGraph

STREAM = 'group_wsss/graph_dropout'


@MODELS.register_module()
class GroupSemanticMining(TagClassifier):
    """An image classifier whose class maps are refined by other images of the same classes.

    Loss weights ``single`` and ``group`` default to 0.2 and 0.5: the released code sums
    ``0.4 * single + group`` over a group and divides by twice its size. ``sampler`` must be a
    :class:`GroupSampler` with ``ratio=dict(tagged=group_size)``, and
    ``model.segmentor.decode_head`` a :class:`ClassMapHead` (``num_convs=3`` as published).

    Args:
        group_size (int): Images of a group, 2 or more. Defaults to 3 (released code).
        group_graph (dict, optional): Settings of :class:`GroupGraph`. Defaults to None.
        kwargs: As in :class:`SemiSegmentor`.

    Raises:
        TypeError: For a setting of a wrong type.
        ValueError: For a bad setting, or a head without class maps.
    """

    default_loss_weights = dict(single=0.2, group=0.5)
    parts = ('group_graph',)
    toy_settings = dict(TagClassifier.toy_settings, group_size=2)
    sections = dict(TagClassifier.sections, group_maps='students forward')

    def build(self, group_size: int = 3, group_graph: Optional[Mapping[str, Any]] = None) -> None:
        """See the class."""
        super().build()
        settings.check_number('model.group_size', group_size, 2, whole=True)
        self.group_size = group_size
        number = class_map_head(self.students[0]).num_maps
        self.group_graph = settings.build_part(
            'group_graph', group_graph, GroupGraph, num_maps=number
        )

    def step(self, tagged: Images) -> Losses:
        """One step, in the order of the file's header; see :meth:`SemiSegmentor.step`."""
        single = self.class_maps(tagged.image)  # 1, 2
        group = self.group_maps(single, tagged.draws, tagged.valid())  # 3
        single_loss, accuracy = self.tag_loss(single, tagged)  # 4, 5
        group_loss, _ = self.tag_loss(group, tagged)
        return {
            'student0.single': single_loss,
            'student0.group': group_loss,
            'student0.tag_accuracy': accuracy,
        }

    def group_maps(
        self, maps: Tensor, draws: Sequence[Draw], valid: Optional[Tensor] = None
    ) -> Tensor:
        """Class maps after the graph.

        Args:
            maps (Tensor): ``(N, F, h, w)`` raw class maps, group by group.
            draws (Sequence[tuple[int, int]]): ``(seed, draw number)`` of each image, from which
                graph dropout follows.
            valid (Tensor, optional): ``(N, H, W)`` bool, False in the padding. Defaults to None.

        Returns:
            Tensor: Same shape, float32.

        Raises:
            ValueError: If they are no whole groups.
        """
        if len(maps) % self.group_size:
            raise ValueError(
                f'the batch has {len(maps)} tagged images, which are no groups of '
                f'model.group_size={self.group_size}: set train_dataloader.batch_size to a multiple'
            )
        groups, noise = maps.unflatten(0, (-1, self.group_size)), None
        if self.group_graph.drops:
            noise = sample_noise(draws, self.group_graph.rounds, STREAM, maps.device)
        return self.group_graph(groups, noise, valid).flatten(0, 1)

    @torch.no_grad()
    def group_class_maps(self, image: Tensor) -> Tensor:
        """Class maps of images in groups, mean before and after the graph, for pseudo-labels.

        Args:
            image (Tensor): ``(N, C, H, W)``, group by group, normalised.

        Returns:
            Tensor: Raw maps ``(N, F, h, w)`` float32; their negative values mean no class
            (released code).
        """
        maps = self.class_maps(image).float()
        draws = [(0, number) for number in range(len(maps))]  # of `drop_in_eval`
        return (maps + self.group_maps(maps, draws)) / 2
