# Copyright (c) mmseg_ctt contributors.
"""WILSON (arXiv 2112.01882): a step of weakly incremental learning.

One step, everything inside ``forward(mode='loss')``:

1. The student and the frozen old network see images that have tags of the new classes alone.
2. From ``pseudo_start`` on the localiser, a head of the training alone that reads the student's
   last feature map, gives maps of the tagged classes in eval mode; PAMR refines them. This comes
   before 3, which moves the running statistics of the localiser.
3. The localiser in training mode gives a map of every class.
4. CLS: pooled scores of the new classes against the tags.
5. LOC: maps of the old classes against the old network. ENC: features against the old network's.
6. From ``pseudo_start`` on, SSS: confident pixels of the refined maps of 2 train the localiser.
7. From there on, SEG: the student learns the maps of 2 for the new classes, and the old network for
   the old ones; the background is the smaller of both.

The network of the step before comes from ``old_checkpoint``. Prediction needs the student alone.
"""

from typing import Dict, Optional, Sequence, Tuple, Union

import torch
import torch.nn.functional as F
from mmengine.model import ModuleList
from mmseg.registry import MODELS
from torch import Tensor

from ...nn import settings
from ...nn.augmentation.view import denormalize
from ...nn.deepest_map import deepest_map, deepest_width, reading_head
from ...nn.images import Images
from ...nn.members import Member
from ...nn.ranks import mean_over_ranks
from ...nn.schedule import StartPoint
from ..base import Losses
from ..tag_learning import TagLearning
from . import functional, losses
from .growth import INITS, TO_LOAD, OldClasses, checked_path, number_of_old, old_head, start_from
from .localizer import Localizer
from .passes import Passes
from .pseudo_labels import HardMap, Refinement, check_switches, check_terms

OLD = 'old'
WEIGHTS = ('claimed', 'image')  # of pixels in SSS
REDUCTIONS = ('mean', 'sum')  # of classes in CLS
Maps = Tuple[Tensor, Optional[Tensor]]  # probabilities and their refinement, (B, T, h, w)


@MODELS.register_module()
class WILSON(TagLearning):
    """A segmentor that learns new classes from tags, and keeps the old ones by an old network.

    Classes are those of the data set in its order: first the old ones, the background among them as
    class 0, then the new ones. Loss weights ``cls``, ``loc``, ``enc``, ``sss``, ``seg`` default to
    1 (paper and released code). A weight of 0 leaves the term out; ``cls`` and ``seg`` must stay.

    Args:
        old_classes (int | Sequence[str]): Classes of the old network, with the background, or their
            number. Names are compared with those of the checkpoint.
        old_checkpoint (str | bool, optional): Checkpoint of the step before: a plain segmentor of
            this architecture, or a run of this method. False: the old network comes with
            ``load_from`` of a run of this method, whose checkpoints hold it. Defaults to None: a
            training without one is an error.
        new_class_init (str): Classifier of new classes: ``'default'``, that of the head, or
            ``'balanced'``, from the background. Defaults to 'default' (released scripts).
        pseudo_start (int | float): Where SSS and SEG begin: an iteration, or as a float the ratio
            of the run. Defaults to 0.125 (5 of 40 epochs).
        alpha (float): Hardness of the soft pseudo-labels. Defaults to 0.5 (paper); 0.9 in the
            released script for COCO.
        background_blend (float, optional): Ratio of the localiser in the target of the background.
            Defaults to None: the smaller of both (paper).
        use_old_image_labels (bool): Whether tags of old classes are read, too. Defaults to False.
        eps (float): Of the pooled scores. Defaults to 1 (released code; the paper has a small one).
        focal (bool): Whether scores have the penalty of size. Defaults to True.
        cls_reduction (str): ``'mean'`` or ``'sum'`` over the classes in CLS. Defaults to 'mean'
            (released code).
        sss_weights (str): Weights of the pixels in SSS: ``'claimed'``, by claimed pixels (released
            code), or ``'image'``, by all pixels and soft masses (eq. A3). Defaults to 'claimed'.
        refinement (bool | dict): Settings of :class:`Refinement` (PAMR); False: none. Defaults to
            True.
        hard_map (dict, optional): Settings of :class:`HardMap`. Defaults to None.
        localizer (dict, optional): Settings of :class:`Localizer`. Defaults to None.
        kwargs: As in :class:`SemiSegmentor`.

    Raises:
        TypeError: If a setting is of a wrong type.
        ValueError: For a bad setting, or without new classes.
    """

    default_loss_weights = dict(cls=1.0, loc=1.0, enc=1.0, sss=1.0, seg=1.0)
    ramped_terms = ('sss', 'seg')
    parts = ('localizer',)
    reads_features = True
    sections = dict(
        TagLearning.sections,
        _maps='pseudo-labels',
        _tag_and_old_network_losses='losses',
        _pseudo_label_losses='losses',
    )
    toy_settings = dict(
        old_classes=2,
        old_checkpoint=False,
        localizer=dict(channels=8),
        hard_map=dict(top=0.99, background=0.99, low=0.1, drop_ambiguous=False),
    )

    def add_members(self, students: ModuleList, segmentor: dict) -> None:
        """Add the student; :meth:`build`, which knows its classes, adds the old network."""
        super().add_members(students, segmentor)
        self._segmentor = segmentor

    def build(
        self,
        old_classes: Optional[OldClasses] = None,
        old_checkpoint: Union[None, bool, str] = None,
        new_class_init: str = 'default',
        pseudo_start: Union[int, float] = 0.125,
        alpha: float = 0.5,
        background_blend: Optional[float] = None,
        use_old_image_labels: bool = False,
        eps: float = 1.0,
        focal: bool = True,
        cls_reduction: str = 'mean',
        sss_weights: str = 'claimed',
        refinement: Union[bool, dict] = True,
        hard_map: Optional[dict] = None,
        localizer: Optional[dict] = None,
    ) -> None:
        """See the class."""
        settings.check_choice('model.new_class_init', new_class_init, INITS)
        settings.check_choice('model.cls_reduction', cls_reduction, REDUCTIONS)
        settings.check_choice('model.sss_weights', sss_weights, WEIGHTS)
        settings.check_number('model.alpha', alpha, 0, 1)
        settings.check_number('model.eps', eps, 0)
        if background_blend is not None:
            settings.check_number('model.background_blend', background_blend, 0, 1)
        check_switches(use_old_image_labels=use_old_image_labels, focal=focal)
        check_terms(self.weights, refinement, hard_map)
        self.old_classes: OldClasses = old_classes  # type: ignore[assignment]
        self.num_old = number_of_old(old_classes, self.num_classes)
        self.old_checkpoint, self.new_class_init = checked_path(old_checkpoint), new_class_init
        self.pseudo_start = StartPoint('model.pseudo_start', pseudo_start)
        self.alpha, self.background_blend = alpha, background_blend
        self.use_old_image_labels, self.sss_weights = use_old_image_labels, sss_weights
        self.eps, self.focal, self.cls_reduction = eps, focal, cls_reduction
        self.refine = settings.build_optional('refinement', refinement, Refinement)
        self.hard_map = settings.build_part('hard_map', hard_map, HardMap)
        self._add_old_network()
        self.localizer = settings.build_part(
            'localizer',
            localizer,
            Localizer,
            dict(norm_cfg=reading_head(self.students[0]).norm_cfg),
            in_channels=deepest_width(self.students[0]),
            num_classes=self.num_classes,
        )

    def _add_old_network(self) -> None:
        segmentor = self.__dict__.pop('_segmentor')
        override = dict(decode_head=old_head(segmentor.get('decode_head'), self.num_old))
        self.members[OLD] = Member(predicts=False, override=override)
        self.old = self._new_member(self.members[OLD], segmentor)

    def init_weights(self) -> None:
        """Initialise, then begin as the network of the step before.

        Raises:
            FileNotFoundError: If ``old_checkpoint`` does not exist.
            ValueError: If it is not set, or of other classes.
        """
        super().init_weights()
        if self.old_checkpoint is None:
            raise ValueError(
                'model.old_checkpoint is not set: give the checkpoint of the step before, or train '
                'all steps by tools/self_train.py'
            )
        if self.old_checkpoint:
            start_from(
                self.old_checkpoint,
                self.old,
                self.students[0],
                self.old_classes,
                self.new_class_init,
            )

    @property
    def members_to_load(self) -> Dict[str, str]:
        """The old network, unless ``old_checkpoint`` gave it."""
        return {} if self.old_checkpoint else {OLD: TO_LOAD}

    def stage_starts(self, max_iters: int) -> Sequence[Tuple[str, int, str, str]]:
        """Where pseudo-labels begin, for :func:`mmseg_ctt.engine.guards.check_stages`."""
        return [self.pseudo_start.stage(max_iters, 'the network never learns new classes')]

    # ---- the step

    def step(self, tagged: Images) -> Losses:
        """One step, in the order of the file's header; see :meth:`SemiSegmentor.step`."""
        (student,) = self.forward_member('student0', tagged.image)  # 1
        (old,) = self.forward_member(OLD, tagged.image)
        features = deepest_map(self.students[0], student.features)
        tags = self._tags(tagged)
        maps = self._maps(features, tagged, tags) if self.pseudo_start() else None  # 2
        passes = Passes(student, old, self.localizer(features), tagged, tags)  # 3
        terms = self._tag_and_old_network_losses(passes)  # 4, 5
        if maps is None:
            zero = student.zero_loss() + passes.logits[:0].sum()
            pseudo_label_terms, ratio = dict.fromkeys(('sss', 'seg'), zero), zero.detach()
        else:
            pseudo_label_terms, ratio = self._pseudo_label_losses(*maps, passes)  # 6, 7
        terms.update({key: term for key, term in pseudo_label_terms.items() if self.weights[key]})
        losses_of_student = {f'student0.{key}': term for key, term in terms.items()}
        return {**losses_of_student, 'student0.claimed_ratio': ratio}

    def _tags(self, tagged: Images) -> Tensor:
        """``(B, T)`` tags; those of old classes are 0 unless they are used."""
        tags = tagged.tags
        if tags.shape[1] != self.num_classes:
            raise ValueError(
                f'images have tags of {tags.shape[1]} classes and the network has '
                f'{self.num_classes}: set metainfo.classes of the data sets and '
                'model.segmentor.decode_head.num_classes to all old and new classes'
            )
        if self.use_old_image_labels:
            return tags
        return torch.cat([torch.zeros_like(tags[:, : self.num_old]), tags[:, self.num_old :]], 1)

    @torch.no_grad()
    def _maps(self, features: Tensor, tagged: Images, tags: Tensor) -> Maps:
        """Probabilities of the localiser in eval mode, and the same refined, of tagged classes."""
        mask = self.localizer.predict(features).softmax(dim=1)
        refined = None
        if self.weights['sss']:
            refined = mask
            if self.refine is not None:
                image = denormalize(tagged.image, self.data_preprocessor)
                size = mask.shape[2:]
                image = F.interpolate(image, size, mode='bilinear', align_corners=True)
                refined = self.refine(image, mask, tagged.valid(size))
            refined = functional.tagged_only(refined, tags)
        return functional.tagged_only(mask, tags), refined

    def _tag_and_old_network_losses(self, passes: Passes) -> Dict[str, Tensor]:
        """Terms of every iteration: CLS, by the tags; LOC and ENC, by the old network."""
        logits, valid = passes.logits, passes.valid(passes.logits)
        first = 1 if self.use_old_image_labels else self.num_old
        scores = functional.pooled_scores(logits, self.eps, self.focal, valid=valid)
        tags = passes.tags[:, first:]
        terms = dict(cls=losses.classification_loss(scores, tags, self.cls_reduction))
        if self.weights['loc']:
            target = self._resized(passes.old.logits.float().sigmoid(), logits)
            terms['loc'] = losses.localisation_loss(logits, target, valid)
        if self.weights['enc']:
            features, old = (
                deepest_map(self.students[0], output.features)
                for output in (passes.student, passes.old)
            )
            terms['enc'] = losses.feature_loss(features, old, valid)
        return terms

    def _pseudo_label_losses(
        self, mask: Tensor, refined: Optional[Tensor], passes: Passes
    ) -> Tuple[Dict[str, Tensor], Tensor]:
        """SEG and SSS, and the ratio of pixels that a class claims."""
        terms = dict(seg=self._segmentation_loss(mask, passes))
        ratio = mask.new_zeros(())
        if refined is not None:
            valid = passes.valid(mask)
            claimed = self.hard_map(refined, valid=valid)
            mass = refined if self.sss_weights == 'image' else None
            terms['sss'] = losses.balanced_cross_entropy(
                passes.logits, claimed, passes.tags[:, 1:], mass, valid
            ).loss
            ratio = mean_over_ranks(losses.image_means(claimed.sum(dim=1), valid).mean())
        return terms, ratio

    def _segmentation_loss(self, mask: Tensor, passes: Passes) -> Tensor:
        """SEG at the size of the network's logits."""
        logits, new_tags = passes.student.logits, passes.tags[:, self.num_old :]
        soft = functional.soft_target(mask, self.alpha)
        met = losses.tags_are_met(soft, new_tags, passes.valid(mask))
        target = functional.segmentation_target(
            passes.old.logits.float().sigmoid(), self._resized(soft, logits), self.background_blend
        )
        means = losses.soft_segmentation_loss(logits, target, passes.valid(logits))
        return losses.mean_of_kept(means, met, mean_over_ranks(met.sum().float()))

    def _resized(self, maps: Tensor, like: Tensor) -> Tensor:
        size = like.shape[2:]
        if maps.shape[2:] == size:
            return maps
        return F.interpolate(maps, size, mode='bilinear', align_corners=self.align_corners)
