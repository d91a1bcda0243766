# Copyright (c) mmseg_ctt contributors.
"""Rules that make a pseudo-label of class maps, and of a saliency map where they need it.

All rules take the class maps ``(P, H, W)`` float, in [0, 1], of the P tagged classes of an image
(or of all classes, 0 for those without a tag) and return class ids ``(H, W)`` uint8. 255 is a pixel
without a label.
"""

import inspect
from typing import Any, Callable, Dict, NamedTuple, Optional, Sequence, Tuple

import numpy as np

IGNORED = 255


def threshold_label(
    maps: np.ndarray, classes: Sequence[int], background: float = 0.3
) -> np.ndarray:
    """Class of the highest map, or 0 where no map is above a constant background.

    Args:
        maps (np.ndarray): ``(P, H, W)`` in [0, 1].
        classes (Sequence[int]): Ids of the P classes.
        background (float): Level of the background, in [0, 1]. Defaults to 0.3.
    """
    _check_level('background', background)
    label, highest = highest_class(maps, classes)
    return np.where(highest > background, label, 0).astype(np.uint8)


def highest_label(maps: np.ndarray, classes: Sequence[int]) -> np.ndarray:
    """Class of the highest map, for data sets without a background; 255 where all maps are 0.

    Args:
        maps (np.ndarray): ``(P, H, W)`` in [0, 1].
        classes (Sequence[int]): Ids of the P classes.
    """
    label, highest = highest_class(maps, classes)
    return np.where(highest > 0, label, IGNORED).astype(np.uint8)


def auxsegnet_label(
    maps: np.ndarray,
    classes: Sequence[int],
    saliency: np.ndarray,
    object_level: float = 0.2,
    salient_level: float = 0.06,
) -> np.ndarray:
    """Agreement of class maps and saliency (AuxSegNet, released code).

    A pixel has the class of the highest map where that map and the saliency are both above their
    level, 0 where neither is, and 255 where they disagree.

    Args:
        maps (np.ndarray): ``(P, H, W)`` in [0, 1].
        classes (Sequence[int]): Ids of the P classes.
        saliency (np.ndarray): ``(H, W)`` in [0, 1].
        object_level (float): Of the maps. Defaults to 0.2 (released code).
        salient_level (float): Of the saliency. Defaults to 0.06 (released code).
    """
    _check_level('object_level', object_level)
    _check_level('salient_level', salient_level)
    label, highest = highest_class(maps, classes)
    is_object, is_salient = highest > object_level, saliency > salient_level
    disagree = np.where(is_object ^ is_salient, IGNORED, 0)
    return np.where(is_object & is_salient, label, disagree).astype(np.uint8)


def group_wsss_label(
    maps: np.ndarray,
    classes: Sequence[int],
    saliency: np.ndarray,
    conflict_level: float = 0.9,
    certain_level: float = 0.8,
    salient_level: float = 32 / 255,
    min_foreground: float = 0.01,
    min_max: bool = True,
) -> np.ndarray:
    """Maximum of class maps and of the inverted saliency (Group-WSSS, released code).

    1. The maps of the classes are stretched to [0, 1] by their own minimum and maximum.
    2. A pixel has the class of the highest among them and the background, ``1 - saliency``.
    3. Pixels with two or more of these above ``conflict_level`` become 255.
    4. Pixels of the background that are salient, or in a map above ``certain_level``, become 255.
    5. An image with less than ``min_foreground`` of labelled foreground becomes 255 as a whole.

    Args:
        maps (np.ndarray): ``(P, H, W)`` in [0, 1].
        classes (Sequence[int]): Ids of the P classes.
        saliency (np.ndarray): ``(H, W)`` in [0, 1].
        conflict_level (float): Defaults to 0.9 (released code).
        certain_level (float): Defaults to 0.8 (released code).
        salient_level (float): From it on a pixel is salient. Defaults to 32 / 255 (released code).
        min_foreground (float): Part of the image; 0 keeps every image. Defaults to 0.01 (released
            code).
        min_max (bool): Step 1; False takes the maps as they are. Defaults to True (released code).
    """
    for name, level in (
        ('conflict_level', conflict_level),
        ('certain_level', certain_level),
        ('salient_level', salient_level),
        ('min_foreground', min_foreground),
    ):
        _check_level(name, level)
    maps = stretched(maps) if min_max else maps
    scores = np.concatenate([1 - saliency[np.newaxis].astype(maps.dtype), maps])
    label = np.asarray([0, *classes])[scores.argmax(0)]
    certain = saliency >= salient_level
    if len(maps):
        certain = certain | (maps > certain_level).any(0)
    label[(scores > conflict_level).sum(0) > 1] = IGNORED
    label[(label == 0) & certain] = IGNORED
    if ((label > 0) & (label != IGNORED)).mean() < min_foreground:
        label[:] = IGNORED
    return label.astype(np.uint8)


class Rule(NamedTuple):
    """A rule, and what it needs.

    Attributes:
        function (Callable): From maps and class ids, and the saliency if it needs one.
        needs_saliency (bool): Whether it takes a saliency map.
        has_background (bool): Whether it gives the class 0 to pixels without an object.
        level (str | None): Setting that a sweep of thresholds changes.
    """

    function: Callable[..., np.ndarray]
    needs_saliency: bool
    has_background: bool = True
    level: Optional[str] = None

    @property
    def settings(self) -> Dict[str, Any]:
        """Settings of the rule with their defaults."""
        parameters = inspect.signature(self.function).parameters.values()
        return {p.name: p.default for p in parameters if p.default is not p.empty}


RULES: Dict[str, Rule] = {
    'threshold': Rule(threshold_label, needs_saliency=False, level='background'),
    'none': Rule(highest_label, needs_saliency=False, has_background=False),
    'auxsegnet': Rule(auxsegnet_label, needs_saliency=True, level='object_level'),
    'group_wsss': Rule(group_wsss_label, needs_saliency=True, level='certain_level'),
}


def check_rule(
    rule: str, has_saliency: bool, has_background: bool = True, **settings: Any
) -> Dict[str, Any]:
    """Check a rule, its settings and what it needs.

    Args:
        rule (str): A name of :data:`RULES`.
        has_saliency (bool): Whether there are saliency maps.
        has_background (bool): Whether class 0 of the data set is its background.
        **settings: Of the rule.

    Returns:
        dict: All settings of the rule.

    Raises:
        ValueError: If the rule or a setting is unknown, a setting has a wrong value, saliency is
            missing or would not be used, or the rule needs a background that the data set lacks.
    """
    if rule not in RULES:
        raise ValueError(f'rule={rule!r} must be one of {", ".join(RULES)}')
    chosen = RULES[rule]
    unknown = sorted(set(settings) - set(chosen.settings))
    if unknown:
        known = ', '.join(chosen.settings) or 'no setting'
        raise ValueError(f'the rule {rule} has no setting {unknown[0]!r}: it has {known}')
    if chosen.needs_saliency and not has_saliency:
        raise ValueError(
            f'the rule {rule} needs saliency maps: name their folder (--saliency DIR; '
            'tools/weak/make_saliency.py makes a stand-in), or take the rule threshold'
        )
    if has_saliency and not chosen.needs_saliency:
        raise ValueError(f'the rule {rule} uses no saliency: leave it out')
    if chosen.has_background and not has_background:
        raise ValueError(
            f'the rule {rule} gives class 0 to the background, which these class maps do not have: '
            'take the rule none'
        )
    if has_background and not chosen.has_background:
        raise ValueError(f'the rule {rule} makes no background, which these class maps have')
    tiny, no_class = np.zeros((0, 1, 1), np.float32), ()
    saliency = (np.zeros((1, 1), np.float32),) if chosen.needs_saliency else ()
    chosen.function(tiny, no_class, *saliency, **settings)  # checks the values
    return {**chosen.settings, **settings}


def fuse(
    rule: str,
    maps: np.ndarray,
    classes: Optional[Sequence[int]] = None,
    saliency: Optional[np.ndarray] = None,
    **settings: Any,
) -> np.ndarray:
    """Pseudo-label of class maps by the rule of a name.

    Args:
        rule (str): A name of :data:`RULES`.
        maps (np.ndarray): ``(P, H, W)`` float, in [0, 1].
        classes (Sequence[int], optional): Ids of the P classes. Defaults to None: 1 to P.
        saliency (np.ndarray, optional): ``(H, W)`` float, in [0, 1], of the rules that need it.
        **settings: Of the rule.

    Returns:
        np.ndarray: Class ids ``(H, W)`` uint8; 255 without a label.

    Raises:
        ValueError: See :func:`check_rule`; if the saliency is not of the size of the maps, or the
            number of the ids is not that of the maps.
    """
    ids = range(1, len(maps) + 1) if classes is None else classes
    if len(ids) != len(maps):
        raise ValueError(f'{len(maps)} class maps have {len(ids)} class ids')
    if saliency is not None and saliency.shape != maps.shape[1:]:
        raise ValueError(f'saliency of {saliency.shape} pixels for maps of {maps.shape[1:]}')
    check_rule(rule, saliency is not None, RULES[rule].has_background, **settings)
    extra = () if saliency is None else (saliency,)
    return RULES[rule].function(maps, ids, *extra, **settings)


def confidence_of(
    label: np.ndarray, maps: np.ndarray, classes: Optional[Sequence[int]] = None
) -> np.ndarray:
    """Confidence of a pseudo-label (ours): the map of its class, 1 - highest map of a background.

    Args:
        label (np.ndarray): ``(H, W)`` uint8, from the maps; 255 has the confidence 0.
        maps (np.ndarray): ``(P, H, W)`` in [0, 1].
        classes (Sequence[int], optional): Ids of the P classes. Defaults to None: 1 to P.

    Returns:
        np.ndarray: ``(H, W)`` float32 in [0, 1]; weight of a pixel in training.
    """
    ids = range(1, len(maps) + 1) if classes is None else classes
    highest = maps.max(0, initial=0)
    confidence = np.where(label == 0, 1 - highest, 0)
    for identifier, single in zip(ids, maps):
        confidence = np.where(label == identifier, single, confidence)
    return confidence.astype(np.float32)


def highest_class(maps: np.ndarray, classes: Sequence[int]) -> Tuple[np.ndarray, np.ndarray]:
    """Id of the class of the highest map (the first of equal ones), and the value of that map.

    Both ``(H, W)``; 0 without a map.
    """
    if not len(maps):
        empty = np.zeros(maps.shape[1:], maps.dtype)
        return empty.astype(np.int64), empty
    return np.asarray(classes, np.int64)[maps.argmax(0)], maps.max(0)


def stretched(maps: np.ndarray) -> np.ndarray:
    """Maps ``(P, H, W)``, each from its minimum to its maximum on [0, 1]; constant ones are 0."""
    low = maps.min((1, 2), keepdims=True)
    return (maps - low) / (maps.max((1, 2), keepdims=True) - low + 1e-8)


def _check_level(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise ValueError(f'{name}={value!r} must be a number from 0 to 1')
