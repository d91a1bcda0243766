# Copyright (c) mmseg_ctt contributors.
from dataclasses import dataclass, field
from typing import Any, Dict, Mapping, Optional, Tuple

from ..deploy.class_maps import ClassMapSettings
from ..nn.settings import as_dict, check_choice, check_number
from .round_settings import KEY, RoundSettings

REFINEMENTS = ('pamr', 'crf', None)
REFINES = ('network', 'classifier')
SCALES = (0.5, 1.0, 1.5, 2.0)
SMOOTH_LEVEL = 0.3  # of saliency that no CRF has pushed to 0 and 1


@dataclass(frozen=True)
class AuxSegNetSettings(RoundSettings):
    """Settings of the rounds of AuxSegNet, ``self_training`` of a config.

    Attributes:
        rounds (int): Trainings, one a round; the pseudo-labels are refined behind each.
        saliency (str): Folder with the saliency of each image, ``<name of the image>.png``, or
            ``'grabcut'`` or another stand-in of :mod:`mmseg_ctt.weak_labels.saliency`.
        initial (str, optional): Folder with the pseudo-labels of round 0. None trains a classifier
            first and makes them of its class maps and the saliency.
        classifier (dict): Changes of the config of that classifier, such as
            ``dict(sizes=dict(max_iters=500))``, which moves the end of its schedule, too.
        scales (tuple[float, ...]): Sizes at which its class maps are averaged; None: the default.
        flip (bool): Whether these are averaged over flipped images too.
        object_level (float): Class map above which a pixel is of an object, in round 0.
        salient_level (float): Saliency above which a pixel is of an object, in round 0.
        refined_object_level (float, optional): ``object_level`` of later rounds. None: the same.
        refined_salient_level (float, optional): ``salient_level`` of later rounds. None: the same
            with a dense CRF, which pushes saliency to 0 and 1 (released code), else 0.3 (ours).
        refines (str): Class maps that the affinity refines: ``'network'``, those of the network
            itself (released code); ``'classifier'``, those of the first step (ours), which are
            better where the rounds are short.
        normalize_refined (bool): Whether refined class maps are divided by their maxima once more
            (ours), since an affinity that reaches far makes them flat.
        saliency_refinement (str, optional): What sharpens the refined saliency: ``'crf'`` (released
            code), ``'pamr'`` or None.
        truth (str, optional): Folder of the masks of the tagged images, of the same kind as those
            of the validation set, and relative to its ``data_root``. They are compared with the
            pseudo-labels for the report and never trained on.

    Raises:
        TypeError: If a setting is of another type.
        ValueError: For an unknown or impossible value, in a config for an unused one, too.
    """

    rounds: int = 2
    saliency: str = 'grabcut'
    initial: Optional[str] = None
    classifier: Mapping[str, Any] = field(default_factory=dict)
    scales: Tuple[float, ...] = SCALES
    flip: bool = True
    object_level: float = 0.2
    salient_level: float = 0.06
    refined_object_level: Optional[float] = None
    refined_salient_level: Optional[float] = None
    refines: str = 'network'
    normalize_refined: bool = True
    saliency_refinement: Optional[str] = 'pamr'
    truth: Optional[str] = None

    def __post_init__(self) -> None:
        check_number(f'{KEY}.rounds', self.rounds, 1, whole=True)
        for name in ('object_level', 'salient_level'):
            check_number(f'{KEY}.{name}', getattr(self, name), 0, 1)
        for name in ('refined_object_level', 'refined_salient_level'):
            if getattr(self, name) is not None:
                check_number(f'{KEY}.{name}', getattr(self, name), 0, 1)
        check_choice(f'{KEY}.saliency_refinement', self.saliency_refinement, REFINEMENTS)
        for name, kinds in (
            ('saliency', (str,)),
            ('initial', (str, type(None))),
            ('truth', (str, type(None))),
        ):
            if not isinstance(getattr(self, name), kinds):
                raise TypeError(f'{KEY}.{name} must be a folder, got {getattr(self, name)!r}')
        check_choice(f'{KEY}.refines', self.refines, REFINES)
        for name in ('flip', 'normalize_refined'):
            if not isinstance(getattr(self, name), bool):
                raise TypeError(f'{KEY}.{name} must be True or False, got {getattr(self, name)!r}')
        scales = SCALES if self.scales is None else self.scales
        object.__setattr__(self, 'scales', _checked_scales(scales))
        object.__setattr__(
            self, 'classifier', _plain(as_dict(f'{KEY}.classifier', self.classifier))
        )
        self._check_classifier()

    def _check_classifier(self) -> None:
        if self.initial is not None and self.classifier:
            raise ValueError(
                f'{KEY}.classifier would be unused: {KEY}.initial gives the first pseudo-labels; '
                'remove one of them'
            )
        if self.initial is not None and self.refines == 'classifier':
            raise ValueError(
                f'{KEY}.refines="classifier": {KEY}.initial gives the first pseudo-labels, so that '
                'there is no classifier; set refines="network", or remove initial'
            )

    def unused(self) -> Dict[str, str]:
        """See :meth:`RoundSettings.unused`."""
        if self.initial is None:
            return {}
        given = f'initial={self.initial!r}'
        found = dict.fromkeys(('scales', 'flip'), given)
        if self.refined_object_level is not None:
            found['object_level'] = f'{given} and refined_object_level'
        if self.refined_salient_level is not None:
            found['salient_level'] = f'{given} and refined_salient_level'
        elif self.saliency_refinement != 'crf':
            found['salient_level'] = f'{given} and without a dense CRF'
        return found

    def levels(self, refined: bool) -> Dict[str, float]:
        """Settings of the rule that makes pseudo-labels.

        Args:
            refined (bool): Whether of refined maps, or of those of round 0.
        """
        if not refined:
            return dict(object_level=self.object_level, salient_level=self.salient_level)
        usual = self.salient_level if self.saliency_refinement == 'crf' else SMOOTH_LEVEL
        return dict(
            object_level=_either(self.refined_object_level, self.object_level),
            salient_level=_either(self.refined_salient_level, usual),
        )


def _either(given: Optional[float], usual: float) -> float:
    return usual if given is None else given


def _checked_scales(scales: Any) -> Tuple[float, ...]:
    if not isinstance(scales, (list, tuple)) or not scales:
        raise TypeError(f'{KEY}.scales must be a list such as (0.5, 1.0), got {scales!r}')
    for scale in scales:
        check_number(f'{KEY}.scales', scale, 0.1, 10)
    made = tuple(float(scale) for scale in scales)
    try:
        ClassMapSettings(made).check()
    except ValueError as error:
        raise ValueError(f'{KEY}.{error}') from None
    return made


def _plain(node: Any) -> Any:
    """Built-in dicts and lists, which are compared with those of a JSON file."""
    if isinstance(node, Mapping):
        return {key: _plain(value) for key, value in node.items()}
    return [_plain(value) for value in node] if isinstance(node, (list, tuple)) else node
