# Copyright (c) mmseg_ctt contributors.
"""Entropy minimisation: predictions of unlabelled images become certain (EntMin, NIPS 2004)."""

from typing import Mapping

from mmseg.registry import MODELS

from ...functional import prediction_entropy
from ..images import Images
from .predictions import PredictionTask, class_logits, mean_over_pixels
from .student_pass import StudentPass
from .task import Terms


@MODELS.register_module()
class EntropyTask(PredictionTask):
    """Mean entropy of the predictions, in nats.

    S4L adds it to virtual adversarial training with the weight 1, and with 0.3 to the combination
    of all tasks. Alone it makes a network certain of whatever it predicts.

    Args:
        kwargs: As in :class:`PredictionTask`.
    """

    default_name = 'entropy'

    def forward(self, student: StudentPass, images: Mapping[str, Images]) -> Terms:
        """See :meth:`AuxiliaryTask.forward`."""
        values, valid = [], []
        for source, found in images.items():
            logits = class_logits(student.output(source))
            values.append(prediction_entropy(logits))
            valid.append(found.valid(logits.shape[2:]))
        return {self.name: mean_over_pixels(values, valid)}
