# Copyright (c) mmseg_ctt contributors.
"""Values that the released code of CPS gives on stored inputs (``oracles/cps``)."""

import torch
from released_code import close, every_case

from mmseg_ctt import functional


def views_and_labels(data):
    """Logits of both networks that are trained on pseudo-labels, and the labels they make."""
    if not data.cutmix:
        logits = [
            torch.cat([data[f'sup_pred_{k}'], data[f'unsup_pred_{k}']]).detach() for k in 'lr'
        ]
        return [functional.pseudo_label(value)[0] for value in logits]
    mask = data.mix_mask.squeeze(1).bool()
    labels = []
    for number in (1, 2):
        first, second = (data[f'logits_u{image}_tea_{number}'] for image in (0, 1))
        # inside the mask the second image, outside its partner
        pair, size = torch.cat([second, first]), len(mask)
        mixed = functional.mix(pair, torch.cat([mask, mask]), shift=size)[:size]
        labels.append(functional.pseudo_label(mixed)[0])
    return labels


@every_case('cps', 'cps_loss')
def test_cps_loss(case, record_property):
    data = case.load()
    labels = views_and_labels(data)
    assert torch.equal(labels[0], data.ps_label_1) and torch.equal(labels[1], data.ps_label_2)
    names = ['sup_pred_l', 'sup_pred_r']
    names += (
        ['logits_cons_stu_1', 'logits_cons_stu_2']
        if data.cutmix
        else ['unsup_pred_l', 'unsup_pred_r']
    )
    leaves = {name: data[name].requires_grad_() for name in names}
    supervised = [leaves[name] for name in names[:2]]
    trained = [leaves[name] for name in names[2:]]
    if not data.cutmix:
        trained = [torch.cat(pair) for pair in zip(supervised, trained)]
    sup = [functional.cross_entropy(logits, data.gts) for logits in supervised]
    cross = [
        functional.consistency_loss(logits, label) for logits, label in zip(trained, labels[::-1])
    ]
    cps = data.cps_weight * (cross[0] + cross[1])
    total = sup[0] + sup[1] + cps
    total.backward()
    for name, got in (
        ('loss', total),
        ('loss_cps', cps),
        ('loss_sup', sup[0]),
        ('loss_sup_r', sup[1]),
    ):
        record_property(name, close(got, data[name], data.tolerance(1e-5)))
    for name, leaf in leaves.items():
        error = close(leaf.grad, data[f'grad_{name}'], data.tolerance(1e-5))
        record_property(f'gradient {name}', error)
