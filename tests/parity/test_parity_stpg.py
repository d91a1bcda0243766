# Copyright (c) mmseg_ctt contributors.
"""Values that the released code of STPG gives on stored inputs (``oracles/stpg``)."""

import torch
from released_code import close, every_case

from mmseg_ctt import functional


@every_case('stpg', 'contrastive_class_to_class_learned_memory')
def test_anchor_contrast(case, record_property):
    data = case.load()
    leaf, label = data.features.requires_grad_(), data.class_labels.flatten()
    loss = functional.anchor_contrast(
        leaf.flatten(0, -2),  # channels are the last dimension
        label,
        data.class_centroid,
        data.memory,
        data.anchor_temperature,
        valid=(label >= 0) & (label < data.num_classes),
        bank_valid=torch.arange(data.memory.shape[1]) < data.memory_count.unsqueeze(1),
    )
    loss.backward()
    record_property('loss', close(loss, data.loss, data.tolerance(1e-5)))
    record_property('gradient', close(leaf.grad, data.grad_features, data.tolerance(1e-5)))


@every_case('stpg', 'mismatch_selection')
def test_mismatch(case, record_property):
    data = case.load()
    classes, teacher, student = data.num_classes, data.label_teacher1, data.pred_student2
    assert torch.equal(data.logits_student2.argmax(1), student)
    table = functional.confusion_matrix(teacher, student, classes)
    assert torch.equal(table + torch.eye(classes, dtype=torch.long), data.confusion)
    score = functional.mismatch_score(teacher, student, classes)
    if 'mismatch' in data:  # NaN where both agree everywhere
        torch.testing.assert_close(score, data.mismatch, rtol=1e-12, atol=0)
    kept = functional.mismatch_selection(teacher, student, score)
    assert torch.equal(kept.float(), data.selection.float())
    record_property('mismatches', 0)
    for name, student, label, weight in (
        ('general', 1, data.label_teacher2, data.conf_teacher2),
        ('professional', 2, teacher, data.conf_teacher1 * kept),
    ):
        logits = data[f'logits_student{student}'].requires_grad_()
        loss = functional.weighted_cross_entropy(logits, label, weight)
        loss.backward()
        error = close(loss, data[f'loss_{name}'], data.tolerance(1e-5))
        record_property(f'loss {name}', error)
        want = data[f'grad_logits_student{student}']
        record_property(f'gradient {name}', close(logits.grad, want, data.tolerance(1e-5)))
