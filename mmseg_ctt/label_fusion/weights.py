# Copyright (c) mmseg_ctt contributors.
"""Weights of raters from their self-consistency.

The abstract (arXiv 1612.02166) has self-consistency as the cost of a rater's label. The two rules
are a reconstruction.
"""

import numpy as np

RULES = ('pixel', 'rater')
FLOOR, OFFSET = 1e-3, 0.01  # of the rule 'rater'


def rater_weights(consistency: np.ndarray, rule: str = 'pixel', power: float = 2.0) -> np.ndarray:
    """Weight of each rater at each pixel; they sum to 1 over the raters.

    - ``'pixel'``: ``SC^p / sum over raters of SC^p`` at each pixel. A pixel where all are 0 has
      equal weights.
    - ``'rater'``: ``f = max(mean SC - lowest mean SC of the raters + 0.01, 0.001)^p``, the same at
      all pixels, divided by its sum. It sets raters further apart. Pixels that a rater did not
      annotate lower the mean of this rater by the confidence of their completion.

    Args:
        consistency (np.ndarray): ``(R, ...)`` in [0, 1], see
            :func:`.self_consistency.self_consistency`.
        rule (str): One of the above. Defaults to 'pixel'.
        power (float): p, not negative; 0: equal weights. A high power trusts a smooth rater with a
            systematic error. Defaults to 2.

    Returns:
        np.ndarray: ``(R, ...)`` float32.

    Raises:
        ValueError: For another rule or a negative power.
    """
    if rule not in RULES:
        raise ValueError(f'rule={rule!r} must be one of {RULES}')
    if not power >= 0:
        raise ValueError(f'power={power} must not be negative')
    values = consistency.astype(np.float64)
    if rule == 'rater':
        means = values.reshape(len(values), -1).mean(axis=1)
        means = np.maximum(means - means.min() + OFFSET, FLOOR)
        values = np.broadcast_to(means.reshape(-1, *(1,) * (values.ndim - 1)), values.shape)
    values = values**power
    total = values.sum(axis=0)
    equal = 1 / len(values)
    return np.where(total > 0, values / np.where(total > 0, total, 1), equal).astype(np.float32)
