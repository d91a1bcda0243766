# Copyright (c) mmseg_ctt contributors.
"""Values that the released code of CTT gives on stored inputs (``oracles/ctt``).

Largest errors are properties of the tests: ``pytest -o junit_family=xunit1 --junit-xml FILE``.
"""

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import PolyLR
from reference import contrast as slow_contrast
from reference import cross_entropy as slow_cross_entropy
from reference import mixing as slow_mixing
from reference.bank import ListBank
from released_code import close, every_case, rows

from mmseg_ctt import functional
from mmseg_ctt.methods.ctt.contrast import CrossContrast
from mmseg_ctt.nn.member import PixelOutput
from mmseg_ctt.nn.memory_bank import ClassMemoryBank
from mmseg_ctt.nn.pseudo_label import PseudoLabel

# ---- contrast


@every_case('ctt', 'contr_self_loss')
def test_contr_self_loss(case, record_property):
    data = case.load()
    feature, label, mask = data.pred_rep.requires_grad_(), data.labels.flatten(), data.mask
    loss = functional.high_level_contrast(
        rows(feature), label, data.memory_bank, data.temp, mask.flatten()
    )
    loss.backward()
    assert loss.dtype == data.dtype
    record_property('loss', close(loss, data.loss, data.tolerance(1e-5)))
    record_property('gradient', close(feature.grad, data.grad_pred_rep, data.tolerance(1e-5)))


@every_case('ctt', 'contr_net_loss')
def test_contr_net_loss(case, record_property):
    data = case.load()
    mask = data.conf_teacher < data.phi
    direction = (data.conf_self < data.conf_peer) if data.directional else torch.ones_like(mask)
    if data.peer_threshold >= 0:
        direction = direction & (data.conf_peer >= data.peer_threshold)
    assert torch.equal(mask, data.mask) and torch.equal(direction, data.which_memory)
    feature = data.pred_rep_l.requires_grad_()
    loss = functional.low_level_contrast(
        rows(feature),
        rows(data.pred_rep_r),
        data.labels.flatten(),
        data.memory_bank,
        data.temp,
        (mask & direction).flatten(),
    )
    loss.backward()
    record_property('loss', close(loss, data.loss, data.tolerance(1e-5)))
    record_property('gradient', close(feature.grad, data.grad_pred_rep_l, data.tolerance(1e-5)))


@every_case('ctt', 'hc_lc_block')
def test_hc_lc_block(case, record_property):
    """Both terms with their masks, from network outputs, through the part of the model."""
    data = case.load()
    contrast = CrossContrast(
        2,
        data.num_classes,
        data.feat_l.shape[1],
        dict(size=data.memory_bank_l.shape[1]),
        threshold=data.gamma,
        temperature_high=data.temp_hc,
        temperature_low=data.temp_lc,
        directional=data.directional,
        peer_threshold=data.gamma if data.directional else None,
    )
    contrast.bank.features.copy_(torch.stack([data.memory_bank_l, data.memory_bank_r]))
    contrast.bank.count.fill_(contrast.bank.size)
    leaves = {
        key: value.requires_grad_() for key, value in vars(data).items() if key.startswith('feat_')
    }
    labeled = [PixelOutput(leaves[f'feat_{k}'].detach(), leaves[f'feat_{k}'], []) for k in 'lr']
    strong = [PixelOutput(data[f'out_u_{k}'], leaves[f'feat_u_{k}'], []) for k in 'lr']
    label, confidence = (
        torch.stack([data[f'{name}_{k}'] for k in 'lr']) for name in ('max', 'prob')
    )
    high, low = contrast(labeled, strong, data.labels_feat, PseudoLabel(label, confidence))

    for i, (k, peer) in enumerate(('lr', 'rl')):
        assert torch.equal(functional.pseudo_label(data[f'out_u_{peer}'])[0], data[f'max_u_{peer}'])
        for key, term, names in (
            ('hc', high[i], [f'feat_{k}', f'feat_u_{k}']),
            ('lc', low[i], [f'feat_u_{k}']),
        ):
            if f'loss_{key}_{k}' not in data:
                continue  # the released code gives NaN
            gradients = torch.autograd.grad(
                term, [leaves[name] for name in names], retain_graph=True
            )
            error = close(term, data[f'loss_{key}_{k}'], data.tolerance(1e-5))
            record_property(f'loss_{key}_{k}', error)
            for name, gradient in zip(names, gradients):
                want = data[f'grad_{key}_{k}_{name}']
                error = close(gradient, want, data.tolerance(1e-5))
                record_property(f'grad_{key}_{k}_{name}', error)
                # the masks: a pixel has a gradient if and only if it is selected
                assert torch.equal(gradient.any(1), want.any(1))


@every_case('ctt', 'contr_self_loss')
def test_high_level_loops(case):
    """What the other tests compare with is itself right."""
    data = case.load()
    kept = data.mask.flatten()
    loss = slow_contrast.high_level(
        rows(data.pred_rep)[kept], data.labels.flatten()[kept], data.memory_bank, data.temp
    )
    close(loss, data.loss, 1e-6)


@every_case('ctt', 'contr_net_loss')
def test_low_level_loops(case):
    data = case.load()
    loss = slow_contrast.low_level(
        rows(data.pred_rep_l),
        rows(data.pred_rep_r),
        data.labels.flatten(),
        data.memory_bank,
        data.temp,
        (data.mask & data.which_memory).flatten(),
    )
    close(loss, data.loss, 1e-6)


# ---- memory bank


@every_case('ctt', 'add_to_memory_bank')
def test_add_to_memory_bank(case, record_property):
    data = case.load()
    size = data.every_memory_count
    bank = ClassMemoryBank(data.num_classes, size, data.feat.shape[2], budget=data.budget)
    start = data.size_init.long()
    bank.features.copy_(data.bank_init)
    bank.count.copy_(start)
    bank.pointer.copy_(start % size)
    slow = ListBank(data.num_classes, size)
    for c, count in enumerate(start.tolist()):
        slow.queues[c] = list(data.bank_init[c, :count])
    for t in range(data.out.shape[0]):
        confidence, predicted = data.out[t].max(dim=1)
        valid = (predicted == data.labels[t]) & (confidence >= data.threshold)
        pixels = (
            rows(data.feat[t]),
            data.labels[t].flatten(),
            confidence.flatten(),
            valid.flatten(),
        )
        bank.update(*pixels, num_images=data.batch_size)
        slow.push(*pixels, data.budget)
        assert torch.equal(bank.count, data.size_after[t].long())
        ordered = bank.in_order()
        for c, count in enumerate(bank.count.tolist()):
            assert torch.equal(ordered[c, :count], data.bank_after[t, c, :count])
            assert len(slow.queues[c]) == count
            assert all(map(torch.equal, slow.queues[c], ordered[c]))
    record_property('mismatches', 0)


# ---- cross-entropy


@every_case('ctt', 'CrossEntropy2d')
def test_cross_entropy_2d(case, record_property):
    data = case.load()
    logits = data.predict.requires_grad_()
    loss = functional.cross_entropy(logits, data.target, data.ignore_label)
    loss.backward()
    record_property('loss', close(loss, data.loss, data.tolerance(2e-5)))
    record_property('gradient', close(logits.grad, data.grad_predict, data.tolerance(3e-5)))
    label = data.target.masked_fill(data.target < 0, data.ignore_label)
    slow = slow_cross_entropy.mean_over_labelled(logits.detach(), label, data.ignore_label)
    assert slow == pytest.approx(data.loss, rel=1e-9)


@every_case('ctt', 'CrossEntropyLoss2dPixelWiseWeighted')
def test_pixel_wise_weighted(case, record_property):
    """A weight of its own for each pixel, or CTT's, which is the same for all."""
    data = case.load()
    slow = slow_cross_entropy.weighted_over_all(
        data.output, data.target, data.pixelWiseWeight, data.ignore_index
    )
    assert slow == pytest.approx(data.loss, rel=1e-7)
    logits, weight = data.output.requires_grad_(), data.pixelWiseWeight
    losses = [
        functional.weighted_cross_entropy(logits, data.target, weight, data.ignore_index),
        functional.consistency_loss(
            logits, data.target, weight=weight, ignore_index=data.ignore_index
        ),
    ]
    if (weight == weight.flatten()[0]).all():
        losses.append(
            functional.confident_fraction_cross_entropy(
                logits, data.target, None, 0, data.ignore_index, weight.flatten()[0]
            )
        )
    if 'teacher_prob' in data:
        confidence, label = data.teacher_prob.max(dim=1)
        assert torch.equal(label, data.target)
        losses.append(
            functional.confident_fraction_cross_entropy(
                logits, label, confidence, data.conf_threshold, data.ignore_index
            )
        )
    for number, loss in enumerate(losses):
        (gradient,) = torch.autograd.grad(loss, logits)
        record_property(f'loss {number}', close(loss, data.loss, data.tolerance(1e-5)))
        error = close(gradient, data.grad_output, data.tolerance(1e-5))
        record_property(f'gradient {number}', error)


# ---- teachers, mixing, learning rate


@every_case('ctt', 'update_ema_variables')
def test_update_ema_variables(case, record_property):
    data = case.load()
    teacher = [data[f'teacher_init.{name}'].clone() for name in data.param_names]
    largest = 0.0
    for step, iteration in enumerate(data.iterations.tolist()):
        student = [data[f'student.{name}'][step] for name in data.param_names]
        functional.ema_update_(teacher, student, functional.ema_decay(iteration, data.alpha))
        for name, got in zip(data.param_names, teacher):
            want = data[f'teacher.{name}'][step]
            torch.testing.assert_close(got, want, rtol=1e-6, atol=1e-7)
            largest = max(largest, close(got, want, 1e-5))
    record_property('parameters', largest)


@every_case('ctt', 'classmix')
def test_classmix(case, record_property):
    data = case.load()
    confidence, label = data.teacher_prob.max(dim=1)
    assert torch.equal(label, data.argmax)
    label = label[: len(data.mask)]
    chosen = [row[:number].tolist() for row, number in zip(data.classes, data.num_chosen)]
    keys = torch.full((len(label), data.teacher_prob.shape[1]), 0.5)
    for key, classes in zip(keys, chosen):
        key[classes] = 0.1
    mask = functional.class_mix_mask(label, ignore_index=data.ignore_label, keys=keys)
    assert torch.equal(mask, data.mask.bool())
    assert torch.equal(slow_mixing.class_mask(label, chosen), mask)

    def mixed(tensor):
        if not data.half:
            return functional.mix(tensor, mask)
        # images 2i and 2i + 1 are each other's partners; the second half takes the rest of each
        pairs = torch.cat([tensor[0::2], tensor[1::2]])
        return functional.mix(pairs, torch.cat([mask, mask]), shift=len(mask))

    for given, want in ((data.data, data.mixed_data), (data.target, data.mixed_target)):
        assert torch.equal(mixed(given), want)
    probability = mixed(data.teacher_prob)
    assert torch.equal(probability, data.mixed_prob)
    assert torch.equal(mixed(confidence), data.mixed_conf)
    assert torch.equal(mixed(data.argmax), data.mixed_pseudo_label)
    record_property('mismatches', 0)


def poly_lr(base_lr, end, iterations, **settings):
    """Rates that mmengine's scheduler gives at these iterations."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=base_lr)
    scheduler = PolyLR(optimizer, end=end, **settings)
    optimizer.step()
    rates = []
    for _ in range(max(iterations) + 1):
        rates.append(optimizer.param_groups[0]['lr'])
        scheduler.step()
    return torch.tensor(rates, dtype=torch.float64)[iterations]


@every_case('ctt', 'lr_poly')
def test_lr_poly(repo_root, case, record_property):
    data = case.load()
    config = Config.fromfile(repo_root / 'configs/_base_/schedules/sgd_poly_80k.py')
    settings = dict(config.param_scheduler[0])
    # mmengine reaches zero in the last of `end` iterations, the release one later
    assert settings.pop('end') == config.train_cfg.max_iters + 1
    assert settings.pop('type') == 'PolyLR' and settings['eta_min'] == 0
    settings['power'] = data.power
    got = poly_lr(data.base_lr, data.max_iter + 1, data.iterations.tolist(), **settings)
    # relative to the first rate: step by step, rounding adds up in the last ones
    error = ((got - data.lr) / data.base_lr).abs().max().item()
    assert error <= 1e-12
    record_property('rate', error)
