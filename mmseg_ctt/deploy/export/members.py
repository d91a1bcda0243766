# Copyright (c) mmseg_ctt contributors.
"""The members of a semi-supervised run, as its config and its checkpoint hold them."""

import copy
import re
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import torch
from mmengine.config import Config, ConfigDict
from mmseg.registry import MODELS
from torch import Tensor

from ...methods.feature_learning import NO_SEGMENTATION
from ...methods.networks import MemberNetworks
from ...nn.lora import is_adapter

State = Dict[str, Tensor]

_KEY = re.compile(r'(student|teacher)s\.(\d+)\.')
MEANS = {'mean-student': 'student', 'mean-teacher': 'teacher'}


def member_names(state_dict: Mapping[str, Tensor]) -> Tuple[str, ...]:
    """``student0``, ``student1``, ..., ``teacher0``, ...; empty for a plain segmentor.

    Example:
        >>> member_names({'students.0.a': 1, 'students.0.b': 1, 'teachers.0.a': 1, 'x': 1})
        ('student0', 'teacher0')
    """
    found = {match.groups() for match in map(_KEY.match, state_dict) if match}
    ordered = sorted(found, key=lambda one: (one[0], int(one[1])))
    return tuple(kind + number for kind, number in ordered)


def member_choices(names: Sequence[str]) -> Tuple[str, ...]:
    """The members and the weight averages that can be made of them."""
    means = [mean for mean, kind in MEANS.items() if any(n.startswith(kind) for n in names)]
    return (*names, *means)


def default_member(model_cfg: Mapping) -> str:
    """Member that a run predicts with: ``test_cfg.predict_on``, else the choice of its class.

    Args:
        model_cfg (Mapping): ``model`` of the run's config.

    Raises:
        ValueError: If the type of the model is not known.
    """
    kind = MODELS.get(model_cfg['type'])
    if kind is None or not issubclass(kind, MemberNetworks):
        raise ValueError(
            f'model.type={model_cfg["type"]!r} is no method of this package: name the member'
        )
    return kind.default_predict_on(model_cfg)


def choose_member(
    model_cfg: Mapping,
    names: Sequence[str],
    member: Optional[str] = None,
    ensemble: bool = False,
    features: bool = False,
) -> Optional[str]:
    """The member that is named, else that of ``test_cfg.predict_on``, else that of the class.

    Args:
        model_cfg (Mapping): ``model`` of the run's config.
        names (Sequence[str]): Of :func:`member_names`.
        member (str, optional): A member, ``mean-student`` or ``mean-teacher``.
        ensemble (bool): Whether several networks are accepted. Defaults to False.
        features (bool): Whether a method is accepted that trains no decode head. Defaults to
            False: there must be a segmentation.

    Returns:
        str | None: None for a plain segmentor, which has no members.

    Raises:
        ValueError: If there is no such member, it is the ensemble, which is no single model, or
            the method gives no segmentation.
    """
    kind = model_cfg.get('type') if names else None
    if kind and not features and not getattr(MODELS.get(kind), 'trains_heads', True):
        raise ValueError(NO_SEGMENTATION.format(kind))
    choices = member_choices(names)
    if not names:
        if member is not None:
            raise ValueError(
                f'the checkpoint holds a plain segmentor, not {member!r} of a '
                'semi-supervised run: leave the member out'
            )
        return None
    member = member or default_member(model_cfg)
    if member == 'ensemble' and ensemble:
        return member
    if member == 'ensemble':
        raise ValueError(
            'the ensemble is several networks and a plain segmentor is one: choose '
            f'the member {", ".join(choices[:-1])} or {choices[-1]}'
        )
    if member not in choices:
        known = [*choices, *(['ensemble'] if ensemble else [])]
        raise ValueError(f'the run has no member {member!r}: choose from {", ".join(known)}')
    return member


def member_state(state_dict: Mapping[str, Tensor], member: Optional[str]) -> State:
    """Weights and buffers of one member, without its prefix.

    Args:
        state_dict (Mapping[str, Tensor]): Of the whole model.
        member (str, optional): Of :func:`choose_member`; None takes everything.

    Returns:
        dict[str, Tensor]: Copies on the host, contiguous. A weight average also averages
        batch-norm statistics; integer counters are those of its first network.

    Raises:
        ValueError: If the networks to be averaged differ in their layers, or have adapters.
    """
    if member is None:
        return _host_copies(state_dict)
    if member not in MEANS:
        return _host_copies(_below(state_dict, member))
    names = [name for name in member_names(state_dict) if name.startswith(MEANS[member])]
    return _average([_below(state_dict, name) for name in names], member)


def segmentor_config(
    model_cfg: Mapping, member: Optional[str], data_preprocessor: Optional[Mapping] = None
) -> ConfigDict:
    """Config of the plain segmentor that a member is.

    Args:
        model_cfg (Mapping): ``model`` of the run's config.
        member (str, optional): Of :func:`choose_member`; an average is built like the first.
        data_preprocessor (Mapping, optional): Top level ``data_preprocessor`` of the config,
            which fills what the model leaves open.

    Returns:
        ConfigDict: With a ``SegDataPreProcessor`` and no trace of the wrapper.
    """
    cfg = copy.deepcopy(dict(model_cfg))
    preprocessor = {**(data_preprocessor or {}), **(cfg.pop('data_preprocessor', None) or {})}
    if 'segmentor' in cfg:
        overrides = cfg.get('student_overrides') or [{}]
        index = 0 if member in MEANS or member is None else int(re.sub(r'\D', '', member))
        kind: Any = MODELS.get(cfg['type']) if 'type' in cfg else None
        whole = kind.segmentor_of(cfg) if hasattr(kind, 'segmentor_of') else cfg['segmentor']
        cfg = ConfigDict(whole)
        if len(overrides) > index and overrides[index]:
            cfg = Config._merge_a_into_b(ConfigDict(overrides[index]), cfg)
        preprocessor.update(cfg.pop('data_preprocessor', None) or {})
    preprocessor['type'] = 'SegDataPreProcessor'
    return ConfigDict({**cfg, 'data_preprocessor': preprocessor})


def _below(state_dict: Mapping[str, Tensor], member: str) -> State:
    prefix = re.sub(r'(\d+)', r's.\1.', member)
    return {
        key[len(prefix) :]: value for key, value in state_dict.items() if key.startswith(prefix)
    }


def _host_copies(state: Mapping[str, Tensor]) -> State:
    return {
        key: value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for key, value in state.items()
    }


def _average(states: List[State], member: str) -> State:
    shapes = [{key: value.shape for key, value in state.items()} for state in states]
    if any(other != shapes[0] for other in shapes[1:]):
        raise ValueError(
            f'{member} needs networks of one architecture, and '
            'model.student_overrides changes it: choose a single member'
        )
    if any(map(is_adapter, states[0])):
        raise ValueError(
            f'{member} of LoRA adapters is no average of the networks, whose weights are their '
            'products: choose a single member'
        )
    mean = {}
    for key, first in states[0].items():
        if first.is_floating_point():
            # half precision would lose digits in the sum
            mean[key] = torch.stack([state[key].double() for state in states]).mean(0).to(first)
        else:
            mean[key] = first
    return _host_copies(mean)
