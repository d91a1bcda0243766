# Copyright (c) mmseg_ctt contributors.
"""Distribution alignment of pseudo-labels (ReMixMatch, CReST+)."""

from torch import Tensor

FLOOR = 1e-6  # frequency of a class without labels


def target_distribution(frequency: Tensor, temperature: float = 1.0) -> Tensor:
    """Target distribution ``q_c = p_c^t / sum``: that of the labels at ``t = 1``, flatter below.

    Args:
        frequency (Tensor): ``(K,)``, not negative.
        temperature (float): ``t``. Defaults to 1.

    Returns:
        Tensor: ``(K,)`` float64; about 1e-6 for a class without labels, whatever ``t``.
    """
    # flattening the floor too would make a class without labels a thousand times more frequent
    power = normalized_frequency(frequency).pow(temperature).where(frequency > 0, FLOOR)
    return power / power.sum()


def alignment_bias(model: Tensor, target: Tensor, eps: float = 1e-6) -> Tensor:
    """Bias of the logits that aligns them: the logarithm of ``(q + eps) / (p_model + eps)``.

    Args:
        model (Tensor): ``(K,)``, mean probability of the predictions.
        target (Tensor): ``(K,)``, ``q``.
        eps (float): Defaults to 1e-6 (released code).

    Returns:
        Tensor: ``(K,)``.
    """
    return ((target + eps) / (model + eps)).log()


def distribution_alignment(
    probability: Tensor, model: Tensor, target: Tensor, eps: float = 1e-6
) -> Tensor:
    """Distribution alignment: ``p * (q + eps) / (p_model + eps)``, normalised.

    Args:
        probability (Tensor): ``(B, K, ...)``.
        model (Tensor): ``(K,)``.
        target (Tensor): ``(K,)``.
        eps (float): Defaults to 1e-6 (released code).

    Returns:
        Tensor: Shape of ``probability``.
    """
    ratio = alignment_bias(model, target, eps).exp().to(probability.dtype)
    aligned = probability * ratio.view(1, -1, *[1] * (probability.dim() - 2))
    return aligned / aligned.sum(dim=1, keepdim=True)


def normalized_frequency(frequency: Tensor) -> Tensor:
    """Class frequencies with sum 1, at least ``FLOOR`` each.

    Args:
        frequency (Tensor): ``(K,)``, any number dtype.

    Returns:
        Tensor: ``(K,)`` float64.

    Raises:
        ValueError: If one is negative, or all are 0.
    """
    frequency = frequency.double()
    if bool((frequency < 0).any()) or float(frequency.sum()) <= 0:
        raise ValueError(
            'class frequencies must not be negative, and one must be positive, got '
            f'{frequency.tolist()}'
        )
    return (frequency / frequency.sum()).clamp(min=FLOOR)
