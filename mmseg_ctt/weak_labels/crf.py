# Copyright (c) mmseg_ctt contributors.
"""Dense conditional random fields (Krahenbuhl and Koltun, 2011) around labels and saliency.

Inference is that of the library pydensecrf2, an extra of this package. Constants are those of the
released code that is named.
"""

from typing import Any, NamedTuple, Tuple

import numpy as np

from ..volumes.libraries import optional_library

IGNORED = 255


class PairwiseTerms(NamedTuple):
    """Gaussian and bilateral term of a dense CRF.

    Attributes:
        gaussian (tuple[float, float]): Deviation in pixels, and weight.
        bilateral (tuple[float, float, float]): Deviation in pixels and in colour (0 to 255), and
            weight.
        iterations (int): Of mean-field inference.
    """

    gaussian: Tuple[float, float]
    bilateral: Tuple[float, float, float]
    iterations: int


SALIENCY_TERMS = PairwiseTerms((3, 3), (60, 5, 5), 1)  # released code of AuxSegNet
TEST_TERMS = PairwiseTerms((4, 3), (83, 5, 3), 10)  # released code of AuxSegNet
LABEL_TERMS = PairwiseTerms((3, 3), (80, 13, 10), 10)  # example of the library


def check_library() -> None:
    """Raise a ValueError that says what to install, or what to use instead."""
    _library()


def _library() -> Any:
    try:
        return optional_library('pydensecrf.densecrf', 'dense CRFs', 'crf', 'pydensecrf2')
    except ValueError as error:
        raise ValueError(
            f'{error} (a C++ compiler builds it), or use pixel-adaptive refinement instead '
            '(--refine pamr), which needs nothing'
        ) from None


def dense_crf(image: np.ndarray, unary: np.ndarray, terms: PairwiseTerms) -> np.ndarray:
    """Probabilities of a dense CRF.

    Args:
        image (np.ndarray): ``(H, W, 3)`` uint8, red first.
        unary (np.ndarray): ``(K, H, W)`` energies: negative logarithms of probabilities.
        terms (PairwiseTerms): Weights of the edges.

    Returns:
        np.ndarray: ``(K, H, W)`` float32, 1 in sum.

    Raises:
        ValueError: If the library is missing, or the image is of another size.
    """
    crf = _library()
    classes, height, width = unary.shape
    if image.shape != (height, width, 3) or image.dtype != np.uint8:
        raise ValueError(
            f'a dense CRF of {height}x{width} pixels needs an image (H, W, 3) uint8 of that size, '
            f'got {image.shape} {image.dtype}'
        )
    field = crf.DenseCRF2D(width, height, classes)
    field.setUnaryEnergy(np.ascontiguousarray(unary.reshape(classes, -1), np.float32))
    field.addPairwiseGaussian(sxy=terms.gaussian[0], compat=terms.gaussian[1])
    field.addPairwiseBilateral(
        sxy=terms.bilateral[0],
        srgb=terms.bilateral[1],
        rgbim=np.ascontiguousarray(image),
        compat=terms.bilateral[2],
    )
    return np.array(field.inference(terms.iterations), np.float32).reshape(unary.shape)


def probability_crf(
    image: np.ndarray, probability: np.ndarray, terms: PairwiseTerms = TEST_TERMS
) -> np.ndarray:
    """Probabilities of a network after a dense CRF, for tests (AuxSegNet, released code).

    Args:
        image (np.ndarray): ``(H, W, 3)`` uint8, red first.
        probability (np.ndarray): ``(K, H, W)``.
        terms (PairwiseTerms): Defaults to :data:`TEST_TERMS`.

    Returns:
        np.ndarray: ``(K, H, W)`` float32.
    """
    return dense_crf(image, -np.log(probability.clip(1e-5, 1)), terms)


def saliency_energy(saliency: np.ndarray, eps: float = 1e-8, tau: float = 1.05) -> np.ndarray:
    """Energies of saliency, ``-log(p) / (tau sigmoid(p))`` (AuxSegNet, released code).

    Args:
        saliency (np.ndarray): ``(H, W)`` in [0, 1].
        eps (float): Added to the probability in the logarithm.
        tau (float): Divisor.

    Returns:
        np.ndarray: ``(2, H, W)`` float32, of the background and of what is salient.
    """
    p = np.stack([1 - saliency, saliency]).astype(np.float64)
    return (-np.log(p + eps) / (tau / (1 + np.exp(-p)))).astype(np.float32)


def saliency_crf(
    image: np.ndarray, saliency: np.ndarray, terms: PairwiseTerms = SALIENCY_TERMS
) -> np.ndarray:
    """Saliency after a dense CRF (AuxSegNet, released code).

    Args:
        image (np.ndarray): ``(H, W, 3)`` uint8, red first.
        saliency (np.ndarray): ``(H, W)`` in [0, 1].
        terms (PairwiseTerms): Defaults to :data:`SALIENCY_TERMS`.

    Returns:
        np.ndarray: ``(H, W)`` float32 in [0, 1].
    """
    return dense_crf(image, saliency_energy(saliency), terms)[1].clip(0, 1)


def label_crf(
    image: np.ndarray, label: np.ndarray, certainty: float = 0.7, terms: PairwiseTerms = LABEL_TERMS
) -> np.ndarray:
    """Pseudo-label whose borders a dense CRF moves to those of the image.

    A labelled pixel has its class with the probability ``certainty`` and the others with equal
    ones; a pixel of 255 has equal ones for all, and stays 255 (ours).

    Args:
        image (np.ndarray): ``(H, W, 3)`` uint8, red first.
        label (np.ndarray): ``(H, W)`` uint8.
        certainty (float): In (0, 1). Defaults to 0.7.
        terms (PairwiseTerms): Defaults to :data:`LABEL_TERMS`.

    Returns:
        np.ndarray: ``(H, W)`` uint8.
    """
    ids = np.setdiff1d(np.unique(label), [IGNORED])
    if len(ids) < 2:
        return label.copy()  # nothing competes
    own = label == ids[:, np.newaxis, np.newaxis]
    probability = np.where(own, certainty, (1 - certainty) / (len(ids) - 1))
    probability = np.where(label == IGNORED, 1 / len(ids), probability)
    refined = dense_crf(image, -np.log(probability), terms)
    return np.where(label == IGNORED, IGNORED, ids[refined.argmax(0)]).astype(np.uint8)
