# Copyright (c) mmseg_ctt contributors.
"""Strong views of the unlabelled images, and what they are made of."""

from typing import Any, ClassVar, Dict, List, Optional, Sequence, Tuple

import torch
from torch import Tensor

from ..nn.augmentation import View
from ..nn.images import Images
from ..nn.pseudo_label import PseudoLabel
from .forward import ForwardPasses


class StrongViews(ForwardPasses):
    """Strong views by the steps of :attr:`strong_augmentation`."""

    takes_halves: ClassVar[bool] = False  # whether views may have half of the images
    takes_labeled: ClassVar[bool] = False  # whether views may have parts of labelled images
    strong_augmentation: Any  # StrongAugmentation, or None

    def mixing_pool(
        self, pseudo: Dict[str, PseudoLabel], **images: Images
    ) -> Tuple[Images, Dict[str, PseudoLabel]]:
        """The images that strong views are made of, and their labels by teaching member.

        These are the unlabelled ones; behind them as many labelled ones, with their true labels,
        where a step of ``strong_augmentation`` pastes these.

        Args:
            pseudo (dict[str, PseudoLabel]): Pseudo-labels of the unlabelled images.
            images (Images): Named by their sources, of which ``unlabeled`` is one.
        """
        unlabeled = images['unlabeled']
        if self.strong_augmentation is None or not self.strong_augmentation.takes_labeled:
            return unlabeled, pseudo
        number, labeled = len(unlabeled.samples), images['labeled']
        turns = -(-number // len(labeled.samples))  # whole turns and slices: no index to be sent
        image = torch.cat([unlabeled.image, *[labeled.image] * turns])[: 2 * number]
        pool = Images(image, [*unlabeled.samples, *(labeled.samples * turns)[:number]])
        truth = torch.cat([labeled.labels] * turns)[:number]
        return pool, {
            name: target.joined(PseudoLabel.of_truth(truth, self.num_classes, target.logits))
            for name, target in pseudo.items()
        }

    def first_view(
        self, pseudo: Dict[str, PseudoLabel], **images: Images
    ) -> Tuple[View, PseudoLabel]:
        """Strong view of the first student in a step, and its first target; for pictures.

        Args:
            pseudo (dict[str, PseudoLabel]): See :meth:`mixing_pool`.
            images (Images): See there.
        """
        pool, pseudo = self.mixing_pool(pseudo, **images)
        target = pseudo[self.first_target]
        view = self.strong_view(pool, target.label)
        return view, target.apply_mix(view)

    def strong_view(
        self,
        images: Images,
        label: Optional[Tensor] = None,
        index: int = 0,
        strength: Optional[Tensor] = None,
        augmentation: Any = None,
    ) -> View:
        """Strong view of the weakly augmented images.

        Args:
            images (Images): Weak view.
            label (Tensor, optional): ``(B, H, W)`` int64 pseudo-labels that ClassMix cuts along.
                Defaults to None: the method makes none (``uses_pseudo_labels``).
            index (int): Number of the view; views of other numbers have other random numbers.
            strength (Tensor, optional): ``(B,)`` in [0, 1], magnitude of each image's changes.
            augmentation (StrongAugmentation, optional): Steps of the view. Defaults to None: those
                of :attr:`strong_augmentation`.
        """
        return self.several_views(images, label, [index], strength, augmentation)[0]

    def several_views(
        self,
        images: Images,
        label: Optional[Tensor],
        indices: Sequence[int],
        strength: Optional[Tensor] = None,
        augmentation: Any = None,
    ) -> List[View]:
        """Strong views of the same weak one; see :meth:`strong_view`.

        Args:
            images (Images): Weak view.
            label (Tensor, optional): As there.
            indices (Sequence[int]): Numbers of the views.
            strength (Tensor, optional): As there.
            augmentation (StrongAugmentation, optional): As there.
        """
        if label is None:  # steps take its shape
            label = torch.zeros_like(images.image[:, 0], dtype=torch.long)
        return (augmentation or self.strong_augmentation).several(
            images.image,
            label,
            images.draws,
            self.data_preprocessor,
            self.num_classes,
            [f'strong{index}' for index in indices],
            strength,
        )
