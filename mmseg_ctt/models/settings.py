# Copyright (c) mmseg_ctt contributors.
"""Checks of settings that several methods have."""
from typing import Dict, Optional


def loss_weights(given: Optional[Dict[str, float]],
                 defaults: Dict[str, float]) -> Dict[str, float]:
    """``model.loss_weights`` over a method's own.

    Raises:
        ValueError: For a term that the method does not have.
    """
    unknown = set(given or {}) - set(defaults)
    if unknown:
        raise ValueError(f'model.loss_weights has unknown terms {sorted(unknown)}; known are '
                         f'{sorted(defaults)}')
    return {**defaults, **(given or {})}


def check_single_pair(method: str, num_pairs: int, teaching: str) -> None:
    """For methods of one student and its teacher.

    Raises:
        ValueError: For another number or graph.
    """
    if (num_pairs, teaching) != (1, 'self'):
        raise ValueError(f'model.type={method} is one student and its teacher: remove '
                         f'num_pairs={num_pairs} and teaching={teaching!r}')
