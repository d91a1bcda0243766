# Copyright (c) mmseg_ctt contributors.
"""Cross-consistency training (CCT, arXiv 2003.09005): decoders of perturbed features must agree.

One step, everything inside ``forward(mode='loss')``:

1. The student sees the labelled and the unlabelled images.
2. Its prediction for the unlabelled images, without gradient, is the target.
3. Auxiliary decoders read the deepest features of the unlabelled images, each after a perturbation:
   dropout of channels, noise, dropout of the most active positions, an adversarial change,
   objects or their surroundings masked, windows of objects cut out.
4. The target is resized to the auxiliary logits. Losses: supervised, and the squared difference
   of the auxiliary probabilities from the target, mean over classes, pixels and decoders. It trains
   the encoder and the auxiliary decoders.

There is no teacher. The auxiliary decoders are in no member, so an exported model has none.
"""

from typing import Any, Dict, Mapping, Optional, Sequence, Tuple, Union

import torch
from mmseg.registry import MODELS
from torch import Tensor

from ...functional import downsample_nearest
from ...nn import settings
from ...nn.adversarial import AdversarialFeatures
from ...nn.deepest_map import deepest_map, deepest_width
from ...nn.images import Images
from ...nn.member import PixelOutput
from ...nn.pseudo_label import PseudoLabel
from ...nn.unused_settings import refuse_unused
from ..base import Losses, SemiSegmentor
from ..forward import Outputs
from .decoders import KINDS, SETS, AuxiliaryDecoders, DecoderInput

STUDENT = 'student0'
READ_BY = dict(  # kinds of decoders that read a setting
    adversarial=('vat',),
    drop_rate=('dropout',),
    erase=('cutout',),
    smallest_object=('cutout',),
    drop_range=('feature_drop',),
    noise_limit=('feature_noise',),
)


@MODELS.register_module()
class CrossConsistency(SemiSegmentor):
    """Cross-consistency training: one student with auxiliary decoders.

    Loss weights ``sup`` and ``consistency`` default to 1 and 30; the second climbs along a sigmoid
    in the first tenth of the run (paper and released code). ``consistency=dict(target='kl')`` and
    ``'middle_kl'`` are other distances of the released code, there means over classes, here sums;
    ``confidence_threshold`` is its mask of confident pixels.

    Random numbers belong to the images; the released code draws noise and factors of a decoder
    once for a batch.

    Args:
        decoders (str | dict): Number of auxiliary decoders by kind (``vat``, ``dropout``,
            ``cutout``, ``context``, ``object``, ``feature_drop``, ``feature_noise``), or the name
            of a set: ``'published'``: 2, 6, 6, 2, 2, 6, 6; ``'one_each'``. Defaults to 'one_each'.
        upscale (int): Power of 2, size of the auxiliary logits over that of the features. Defaults
            to 8 (released code).
        background (Sequence[int]): Classes that are no objects, for ``cutout``, ``context`` and
            ``object``. Defaults to (0,) (released code).
        adversarial (dict, optional): Settings of :class:`AdversarialFeatures`, for ``vat``.
            Defaults to None.
        drop_rate (float): Probability of a channel to be dropped in ``dropout``. Defaults to 0.5
            (released code).
        erase (float): Sides of the windows of ``cutout`` over those of the box of an object.
            Defaults to 0.4 (released code).
        smallest_object (float): Connected objects of a smaller ratio of the image are not cut.
            Defaults to 0.002 (ours; the released code counts the corners of their outline instead).
        drop_range (tuple[float, float]): See :class:`FeatureDropout`. Defaults to (0.7, 0.9).
        noise_limit (float): See :class:`FeatureNoise`. Defaults to 0.3 (released code).
        kwargs: As in :class:`SemiSegmentor`.

    Raises:
        TypeError: If a setting is of a wrong type.
        ValueError: If a setting is unknown, out of range or of a kind that ``decoders`` leaves
            out, or there is no decoder.
    """

    default_num_pairs = 1
    default_supervision = 'own'
    fixed_graph = True
    default_loss_weights = dict(consistency=30.0)
    ramped_terms = ('consistency',)
    default_ramp_up = dict(ratio=0.1, shape='sigmoid')
    default_consistency = dict(target='squared', confidence_threshold=0.0)
    parts = ('auxiliary',)
    reads_features = True
    toy_settings = dict(upscale=2, consistency=dict(confidence_threshold=0.27))
    sections = dict(SemiSegmentor.sections, auxiliary_logits='students forward')

    def build(
        self,
        decoders: Union[str, Mapping[str, int]] = 'one_each',
        upscale: int = 8,
        background: Sequence[int] = (0,),
        adversarial: Optional[dict] = None,
        drop_rate: float = 0.5,
        erase: float = 0.4,
        smallest_object: float = 0.002,
        drop_range: Tuple[float, float] = (0.7, 0.9),
        noise_limit: float = 0.3,
    ) -> None:
        """See the class."""
        settings.check_choice('model.upscale', upscale, (1, 2, 4, 8, 16, 32))
        settings.check_numbers('model', dict(erase=erase, smallest_object=smallest_object), 0, 1)
        settings.check_number('model.drop_rate', drop_rate, 0, 1, ends='[)')
        settings.check_range('model.drop_range', drop_range, 0, 1)
        settings.check_number('model.noise_limit', noise_limit, 0)
        numbers = _numbers(decoders)
        _check_read(
            numbers,
            adversarial=adversarial or None,
            drop_rate=drop_rate,
            erase=erase,
            smallest_object=smallest_object,
            drop_range=drop_range,
            noise_limit=noise_limit,
        )
        self.auxiliary = AuxiliaryDecoders(
            deepest_width(self.students[0]),
            self.num_classes,
            numbers,
            upscale,
            settings.build_part('adversarial', adversarial, AdversarialFeatures),
            drop_rate,
            erase,
            smallest_object,
            drop_range,
            noise_limit,
        )
        self.register_buffer('is_object', _objects(background, self.num_classes), persistent=False)

    def step(self, labeled: Images, unlabeled: Images) -> Losses:
        """One step, in the order of the file's header; see :meth:`SemiSegmentor.step`."""
        on_labeled, on_unlabeled = self.forward_member(  # 1
            STUDENT, labeled.image, unlabeled.image
        )
        main = self.main_logits(on_unlabeled, unlabeled)  # 2
        logits = self.auxiliary_logits(on_unlabeled, main, unlabeled)  # 3
        target = self.target(main, unlabeled, (logits.shape[3], logits.shape[4]))  # 4
        self.consistency.update(target.label, target.confidence)
        loss, ratio = self.consistency_loss(logits, repeated(target, len(logits)))
        return {
            **self.supervised_loss(0, on_labeled, labeled),
            'student0.consistency': loss.mean(),
            'student0.confident_ratio': ratio[0],
        }

    def forward_teachers(self, images: Mapping[str, Images]) -> Outputs:
        """Outputs of the student, from the pass with the labelled images that a step makes."""
        outputs = self.forward_member(STUDENT, images['labeled'].image, images['unlabeled'].image)
        return {STUDENT: outputs[::-1]}

    @torch.no_grad()
    def main_logits(self, output: PixelOutput, unlabeled: Images) -> Tensor:
        """``(B, K, h, w)`` prediction of the main decoder, aligned where alignment is on."""
        output = output._replace(logits=output.logits.detach())
        return self.align_and_limit({STUDENT: [output]}, unlabeled)[STUDENT][0].logits

    def auxiliary_logits(self, output: PixelOutput, main: Tensor, unlabeled: Images) -> Tensor:
        """``(P, B, K, h', w')`` of the auxiliary decoders."""
        valid = unlabeled.valid()
        foreground = self.is_object[main.argmax(1)]
        if valid is not None:
            foreground = foreground & downsample_nearest(valid, foreground.shape[1:])
        feature = deepest_map(self.students[0], output.features)
        return self.auxiliary(DecoderInput(feature, foreground, unlabeled.draws, valid))

    @torch.no_grad()
    def target(self, main: Tensor, unlabeled: Images, size: Tuple[int, int]) -> PseudoLabel:
        """The main prediction at the size of the auxiliary logits."""
        logits = self.upsampled(main, size)
        confidence, label = logits.softmax(1).max(1)
        return PseudoLabel.of(label, confidence, unlabeled.valid(size), logits)


def repeated(target: PseudoLabel, number: int) -> PseudoLabel:
    """The target of ``number`` decoders, without a copy."""
    return PseudoLabel._make(
        None if map_ is None else map_.expand(number, *map_.shape) for map_ in target
    )


def _numbers(decoders: Any) -> Dict[str, int]:
    """Decoders by kind, from the setting.

    Raises:
        TypeError: If it is neither a name nor a dict of whole numbers.
        ValueError: If the name or a kind is unknown, or there is no decoder.
    """
    if isinstance(decoders, str):
        settings.check_choice('model.decoders', decoders, tuple(SETS))
        return SETS[decoders]
    numbers = settings.as_dict('model.decoders', decoders)
    settings.check_keys('model.decoders', numbers, KINDS, 'kinds')
    for kind, number in numbers.items():
        settings.check_number(f'model.decoders.{kind}', number, 0, whole=True)
    if not sum(numbers.values()):
        raise ValueError(
            'model.decoders has no decoder, so nothing would learn from unlabelled images: set '
            "'one_each', or method=supervised"
        )
    return numbers


def _check_read(numbers: Mapping[str, int], **given: Any) -> None:
    """Refuse settings of kinds of which there is no decoder."""
    for name, kinds in READ_BY.items():
        if not any(numbers.get(kind) for kind in kinds):
            cause = f'model.decoders has no {" or ".join(kinds)}'
            refuse_unused('model', {name: given[name]}, CrossConsistency.build, cause)


def _objects(background: Any, num_classes: int) -> Tensor:
    """``(K,)`` bool, classes that are objects.

    Raises:
        TypeError: If the background is no list of whole numbers.
        ValueError: If a class is unknown.
    """
    if not isinstance(background, (list, tuple)):
        raise TypeError(f'model.background must be a list of classes, got {background!r}')
    for i, index in enumerate(background):
        settings.check_number(f'model.background[{i}]', index, 0, num_classes - 1, whole=True)
    objects = torch.ones(num_classes, dtype=torch.bool)
    objects[list(background)] = False
    return objects
