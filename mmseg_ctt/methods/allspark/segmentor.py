# Copyright (c) mmseg_ctt contributors.
"""AllSpark (arXiv 2403.01818): labelled features are rebuilt from unlabelled ones.

One step, everything inside ``forward(mode='loss')``:

1. The student takes the unlabelled images, without gradient; each reads its own channels, as in a
   prediction.
2. Its classes are the pseudo-labels.
3. The student takes the labelled and the unlabelled images in one pass. Between backbone and head
   a neck rebuilds the deepest map: unlabelled images read their own channels. Each of these has a
   class, to whose queue in the memory it is written.
4. Labelled images read the channels of the memory; before its start those of the unlabelled images
   of the batch.
5. Losses: supervised, and cross-entropy to the pseudo-labels of all pixels.

The neck is a part of the network, and predictions go through it. The memory is not.
"""

from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Union

import torch
from mmseg.registry import MODELS

from ...nn import settings
from ...nn.images import Images
from ...nn.member import PixelOutput, eval_mode
from ...nn.schedule import StartPoint
from ..base import Losses, SemiSegmentor
from ..checks import input_channels
from .channel_sources import ChannelSources
from .memory import ChannelMemory
from .neck import AllSparkNeck, channels_of_batch, own_channels
from .neck_config import with_neck

STUDENT = 'student0'
GROUPINGS = ('probabilities', 'logits')
LABEL_MODES = ('train', 'eval')
LABEL_CHANNELS = dict(own=own_channels, batch=channels_of_batch)
GRID = (16, 16)  # of the memory where the preprocessor has no size of training images


@MODELS.register_module()
class AllSpark(SemiSegmentor):
    """AllSpark: one student with a neck of channel attention, no teacher.

    Loss weights ``sup`` and ``unsup`` default to 0.5 and 0.5 (released code).

    The neck is an :class:`AllSparkNeck`, which the method adds to the segmentor;
    ``segmentor.neck`` may hold settings of it. An exported model keeps it, and needs this package.

    Args:
        mode (str): ``'default'``: queues begin empty, channels are grouped by probabilities, and a
            labelled image reads the channels of its own head. ``'released'``: as in the released
            code, queues begin with noise, channels are grouped by logits, a labelled image reads
            the channels of all heads, and pseudo-labels come from eval mode, in which an image
            reads the channels of the batch. Defaults to 'default'.
        memory (dict, optional): Settings of :class:`ChannelMemory`. Defaults to None: ``grid`` is
            the size of the map for training images of ``data_preprocessor.size``, (16, 16) where
            that is not set.
        memory_start (int | float): Where labelled images begin to read the memory: an iteration, or
            as a float the ratio of the run. It is filled from the start. Defaults to 0.0625 (5 of
            80, or 15 of 240 epochs: released code).
        grouping (str): Maps of the classes by which channels are grouped: ``'probabilities'``
            (paper) or ``'logits'`` (released code). Defaults to that of the mode.
        label_mode (str): ``'train'`` or ``'eval'``, mode of the student while it makes
            pseudo-labels. Batch norm in eval mode takes running statistics, which say little in the
            first hundreds of iterations. Defaults to that of the mode.
        label_channels (str): What an image reads meanwhile: its ``'own'`` channels, or those of the
            ``'batch'``. Defaults to that of the mode.
        kwargs: As in :class:`SemiSegmentor`.

    Raises:
        TypeError: If a setting is of a wrong type.
        ValueError: For a bad setting, or a network with another neck.
    """

    default_num_pairs = 1
    default_supervision = 'own'
    fixed_graph = True
    default_loss_weights = dict(sup=0.5, unsup=0.5)
    ramped_terms = ('unsup',)
    default_consistency = dict(confidence_threshold=0.0)
    modes = dict(
        default={},
        released=dict(
            build=dict(
                memory=dict(noise=True),
                grouping='logits',
                label_mode='eval',
                label_channels='batch',
            )
        ),
    )
    toy_settings = dict(memory=dict(grid=(8, 8)))

    @classmethod
    def segmentor_of(cls, model_cfg: Mapping[str, Any]) -> Mapping[str, Any]:
        """Config of the segmentor with its neck; see :meth:`MemberNetworks.segmentor_of`."""
        return with_neck(model_cfg['segmentor'], model_cfg.get('mode') != 'released')

    def build(
        self,
        memory: Optional[dict] = None,
        memory_start: Union[int, float] = 0.0625,
        grouping: str = 'probabilities',
        label_mode: str = 'train',
        label_channels: str = 'own',
    ) -> None:
        """See the class."""
        settings.check_choice('model.grouping', grouping, GROUPINGS)
        settings.check_choice('model.label_mode', label_mode, LABEL_MODES)
        settings.check_choice('model.label_channels', label_channels, tuple(LABEL_CHANNELS))
        self.grouping, self.label_mode = grouping, label_mode
        self.label_channels = LABEL_CHANNELS[label_channels]
        self.memory_start = StartPoint('model.memory_start', memory_start)
        given = settings.as_dict('model.memory', memory)
        self.memory = settings.build_part(
            'memory',
            given,
            ChannelMemory,
            {} if 'grid' in given else dict(grid=self._grid()),
            num_classes=self.num_classes,
            channels=self.channel_neck.channels,
        )

    def stage_starts(self, max_iters: int) -> Sequence[Tuple[str, int, str, str]]:
        """Where the memory is read, for :func:`mmseg_ctt.engine.guards.check_stages`."""
        return [self.memory_start.stage(max_iters, 'labelled images never read the memory')]

    @property
    def channel_neck(self) -> AllSparkNeck:
        """The neck of the student."""
        return self.students[0].neck

    def step(self, labeled: Images, unlabeled: Images) -> Losses:
        """One step, in the order of the file's header; see :meth:`SemiSegmentor.step`."""
        with torch.no_grad():  # 1, alignment changes labels alone, not the classes of channels
            predicted = self.forward_teachers(dict(unlabeled=unlabeled))
        limited = self.align_and_limit(predicted, unlabeled)
        pseudo = self.pseudo_labels(limited, unlabeled)[STUDENT]  # 2
        sources = self._channel_sources(predicted[STUDENT][0], unlabeled)
        if self.joint_forward:
            # 3, 4: the neck writes the unlabelled channels to the memory, then labelled images
            # read it
            with self.channel_neck.reading(sources.of_joint_pass):
                on_labeled, on_unlabeled = self.forward_member(
                    STUDENT, labeled.image, unlabeled.image
                )
        else:
            on_labeled, on_unlabeled = self._separate_passes(labeled, unlabeled, sources)
        loss, ratio = self.consistency_loss(on_unlabeled.logits, pseudo)  # 5
        return {
            **self.supervised_loss(0, on_labeled, labeled),
            f'{STUDENT}.unsup': loss,
            f'{STUDENT}.confident_ratio': ratio,
            'queue_fill': self.memory.fill_ratio().mean(),
        }

    def forward_teachers(self, images: Mapping[str, Images]) -> Dict[str, List[PixelOutput]]:
        """Outputs of the student for the unlabelled images, in ``label_mode``."""
        student = self.students[0]
        with self.channel_neck.reading(self.label_channels):
            if self.label_mode == 'train':
                return super().forward_teachers(images)
            with eval_mode(student):
                return super().forward_teachers(images)

    def _channel_sources(self, predicted: PixelOutput, unlabeled: Images) -> ChannelSources:
        """Channels that the images of this step read."""
        scores = predicted.logits.float()
        scores = scores.softmax(dim=1) if self.grouping == 'probabilities' else scores
        return ChannelSources(self.memory, scores, unlabeled.valid(), self.memory_start())

    def _separate_passes(
        self, labeled: Images, unlabeled: Images, sources: ChannelSources
    ) -> Tuple[PixelOutput, PixelOutput]:
        """Outputs for the labelled and the unlabelled images, without ``joint_forward``."""
        with self.channel_neck.reading(sources.of_unlabeled):  # 3
            (on_unlabeled,) = self.forward_member(STUDENT, unlabeled.image)
        with self.channel_neck.reading(sources.of_labeled):  # 4
            (on_labeled,) = self.forward_member(STUDENT, labeled.image)
        return on_labeled, on_unlabeled

    @torch.no_grad()
    def _grid(self) -> tuple:
        """Height and width of the rebuilt map for training images."""
        size = getattr(self.data_preprocessor, 'size', None)
        if size is None:
            return GRID
        student, first = self.students[0], next(self.students[0].backbone.parameters())
        with eval_mode(student):
            maps = student.backbone(first.new_zeros(1, input_channels(student), *size))
        return tuple(self.channel_neck.read_map(maps).shape[2:])
