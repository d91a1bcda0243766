# Copyright (c) mmseg_ctt contributors.
"""Values that the released code of PS-MT gives on stored inputs (``oracles/ps_mt``)."""

from released_code import close, every_case

from mmseg_ctt import functional
from mmseg_ctt.nn.consistency import Consistency
from mmseg_ctt.nn.pseudo_label import PseudoLabel


@every_case('ps_mt', 'semi_ce_loss')
def test_losses_of_the_unlabelled_images(case, record_property):
    """Histograms of the probabilities, which the released code logs, are not made here."""
    data = case.load()
    label, confidence = functional.pseudo_label(data.targets)
    part = Consistency(
        data.num_classes, normalizer='kept', confidence_threshold=data.threshold, weighted=True
    )
    logits = data.inputs.clone().requires_grad_()
    positive, _ = part(logits, PseudoLabel(label, confidence))
    positive.backward()
    record_property('loss_positive', close(positive, data.loss_positive, data.tolerance(1e-5)))
    error = close(logits.grad, data.grad_positive_inputs, data.tolerance(2e-4))
    record_property('gradient_positive', error)
    logits = data.inputs.clone().requires_grad_()
    negative = functional.improbable_class_loss(
        logits, data.targets, data.threshold_neg, data.temperature_value
    )
    negative.backward()
    record_property('loss_negative', close(negative, data.loss_negative, data.tolerance(1e-5)))
    error = close(logits.grad, data.grad_negative_inputs, data.tolerance(2e-4))
    record_property('gradient_negative', error)
