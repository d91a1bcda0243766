# Copyright (c) mmseg_ctt contributors.
"""Values that the released code of CTT gives on stored inputs (``oracles/ctt``).

Largest errors are properties of the tests: ``pytest -o junit_family=xunit1 --junit-xml FILE``.
"""

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import PolyLR
from oracles import ReleasedCode, close_to_largest
from reference import contrast as slow_contrast
from reference import cross_entropy as slow_cross_entropy
from reference import mixing as slow_mixing
from reference.bank import ListBank

from mmseg_ctt import functional
from mmseg_ctt.methods.ctt import contrast as cross_contrast
from mmseg_ctt.methods.ctt.contrast import CrossContrast
from mmseg_ctt.nn.member import PixelOutput
from mmseg_ctt.nn.memory_bank import ClassMemoryBank

RELEASED = ReleasedCode(
    'ctt',
    {
        'contr_self_loss': ('base_t01', 'base_t05', 'relu_unnormalised_t01'),
        'contr_net_loss': ('base_t05', 'base_t01', 'peer_threshold', 'no_direction'),
        'hc_lc_block': ('directional', 'no_direction'),
        'add_to_memory_bank': (
            'logits_budget_B',
            'logits_budget_3',
            'few_candidates_budget_6',
            'probabilities',
        ),
        'CrossEntropy2d': ('voc', 'city_ignore250'),
        'CrossEntropyLoss2dPixelWiseWeighted': (
            'random_weight',
            'threshold_uniform',
            'ignore250_const',
        ),
        'update_ema_variables': ('from_zero', 'around_warmup_end'),
        'classmix': ('base', 'batch3'),
        'lr_poly': ('cityscapes', 'short'),
    },
)


def rows(feature):
    """``(B, D, h, w)`` to pixels ``(N, D)``."""
    return torch.cat([image.flatten(1).t() for image in feature])


# ---- contrast


@RELEASED.cases('contr_self_loss')
def test_contr_self_loss(shared_dir, case, record_property):
    data = RELEASED.load(shared_dir, 'contr_self_loss', case)
    feature = data.pred_rep.requires_grad_()
    loss = functional.high_level_contrast(
        rows(feature), data.labels.flatten(), data.memory_bank, data.temp, data.mask.flatten()
    )
    loss.backward()
    assert loss.dtype == torch.float32
    record_property('loss', close_to_largest(loss, data.loss, 1e-5))
    record_property('gradient', close_to_largest(feature.grad, data.grad_pred_rep, 1e-5))


@RELEASED.cases('contr_net_loss')
def test_contr_net_loss(shared_dir, case, record_property):
    data = RELEASED.load(shared_dir, 'contr_net_loss', case)
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
    record_property('loss', close_to_largest(loss, data.loss, 1e-5))
    record_property('gradient', close_to_largest(feature.grad, data.grad_pred_rep_l, 1e-5))


@pytest.fixture
def seen_masks(monkeypatch):
    """Masks that CrossContrast hands to the two losses, in the order of the calls."""
    masks = dict(high=[], low=[])

    def spy(name, position):
        inner = getattr(cross_contrast, name)
        key = name.split('_')[0]
        monkeypatch.setattr(
            cross_contrast, name, lambda *args: (masks[key].append(args[position]), inner(*args))[1]
        )

    spy('high_level_contrast', 4)
    spy('low_level_contrast', 5)
    return masks


@RELEASED.cases('hc_lc_block')
def test_hc_lc_block(shared_dir, case, record_property, seen_masks):
    data = RELEASED.load(shared_dir, 'hc_lc_block', case)
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
    labeled = [PixelOutput(None, leaves[f'feat_{k}'], []) for k in 'lr']
    strong = [PixelOutput(getattr(data, f'out_u_{k}'), leaves[f'feat_u_{k}'], []) for k in 'lr']
    targets = [
        torch.stack([getattr(data, f'{name}_{k}') for k in 'lr']) for name in ('max', 'prob')
    ]
    terms = contrast(labeled, strong, data.labels_feat, targets)

    images = data.labels_feat.shape[0]
    for i, (k, peer) in enumerate(('lr', 'rl')):
        assert torch.equal(seen_masks['high'][0][i], getattr(data, f'mask_{k}').flatten())
        uncertain = ~getattr(data, f'mask_{k}')[images:]
        sure = functional.pseudo_label(getattr(data, f'out_u_{peer}'))
        assert torch.equal(sure[0], getattr(data, f'max_u_{peer}'))
        if data.directional:  # the stored map is 1 where conf(l) >= conf(r)
            uncertain &= (data.which_memory == i) & (sure[1] >= data.gamma)
        assert torch.equal(seen_masks['low'][0][i], uncertain.flatten())
        for term, key in (('high', 'hc'), ('low', 'lc')):
            names = [f'feat_{k}', f'feat_u_{k}'][term == 'low' :]
            gradients = torch.autograd.grad(
                terms[term][i], [leaves[name] for name in names], retain_graph=True
            )
            record_property(
                f'loss_{key}_{k}',
                close_to_largest(terms[term][i], getattr(data, f'loss_{key}_{k}'), 1e-5),
            )
            for name, gradient in zip(names, gradients):
                record_property(
                    f'grad_{key}_{k}_{name}',
                    close_to_largest(gradient, getattr(data, f'grad_{key}_{k}_{name}'), 1e-5),
                )


def test_formula_by_loops_equals_the_released_code(shared_dir, record_property):
    """The yardstick of the other tests is itself right."""
    data = RELEASED.load(shared_dir, 'contr_self_loss', 'base_t01')
    kept = data.mask.flatten()
    loss = slow_contrast.high_level(
        rows(data.pred_rep)[kept], data.labels.flatten()[kept], data.memory_bank, data.temp
    )
    record_property('high', close_to_largest(loss, data.loss, 1e-6))
    data = RELEASED.load(shared_dir, 'contr_net_loss', 'no_direction')
    loss = slow_contrast.low_level(
        rows(data.pred_rep_l),
        rows(data.pred_rep_r),
        data.labels.flatten(),
        data.memory_bank,
        data.temp,
        (data.mask & data.which_memory).flatten(),
    )
    record_property('low', close_to_largest(loss, data.loss, 1e-6))


# ---- memory bank


@RELEASED.cases('add_to_memory_bank')
def test_add_to_memory_bank(shared_dir, case, record_property):
    data = RELEASED.load(shared_dir, 'add_to_memory_bank', case)
    size = data.every_memory_count
    bank = ClassMemoryBank(data.num_classes, size, data.feat.shape[2], budget=data.budget)
    slow = ListBank(data.num_classes, size)
    assert (data.size_init == 0).all()
    overflows = 0
    for t in range(data.out.shape[0]):
        confidence, guess = data.out[t].max(dim=1)
        valid = (guess == data.labels[t]) & (confidence >= data.threshold)
        pixels = (
            rows(data.feat[t]),
            data.labels[t].flatten(),
            confidence.flatten(),
            valid.flatten(),
        )
        overflows += int((bank.count == size).sum())
        bank.push(*pixels, num_images=data.batch_size)
        slow.push(*pixels, data.budget)
        assert torch.equal(bank.count, data.size_after[t].long())
        ordered = bank.in_order()
        for c, count in enumerate(bank.count.tolist()):
            assert torch.equal(ordered[c, :count], data.bank_after[t, c, :count])
            assert len(slow.queues[c]) == count
            assert all(map(torch.equal, slow.queues[c], ordered[c]))
    assert overflows > 0  # the fixture reaches full queues
    record_property('mismatches', 0)


# ---- cross-entropy


@RELEASED.cases('CrossEntropy2d')
def test_cross_entropy_2d(shared_dir, case, record_property):
    data = RELEASED.load(shared_dir, 'CrossEntropy2d', case)
    logits = data.predict.requires_grad_()
    loss = functional.cross_entropy(logits, data.target, data.ignore_label)
    loss.backward()
    record_property('loss', close_to_largest(loss, data.loss, 2e-5))
    record_property('gradient', close_to_largest(logits.grad, data.grad_predict, 3e-5))
    slow = slow_cross_entropy.mean_over_labelled(logits.detach(), data.target, data.ignore_label)
    assert slow == pytest.approx(data.loss, rel=1e-9)


@RELEASED.cases('CrossEntropyLoss2dPixelWiseWeighted')
def test_pixel_wise_weighted(shared_dir, case, record_property):
    data = RELEASED.load(shared_dir, 'CrossEntropyLoss2dPixelWiseWeighted', case)
    slow = slow_cross_entropy.weighted_over_all(
        data.output, data.target, data.pixelWiseWeight, data.ignore_index
    )
    assert slow == pytest.approx(data.loss, rel=1e-7)
    if case == 'random_weight':
        return  # a weight of its own for each pixel is no part of CTT
    logits = data.output.requires_grad_()
    constant = data.pixelWiseWeight.flatten()[0]
    assert (data.pixelWiseWeight == constant).all()
    if case == 'threshold_uniform':
        confidence, label = data.teacher_prob.max(dim=1)
        assert torch.equal(label, data.target)
        assert slow_cross_entropy.confident_share(confidence, data.conf_threshold) == pytest.approx(
            constant.item(), rel=1e-6
        )
        loss = functional.confident_fraction_cross_entropy(
            logits, label, confidence, data.conf_threshold, data.ignore_index
        )
    else:
        loss = functional.confident_fraction_cross_entropy(
            logits, data.target, None, ignore_index=data.ignore_index, fraction=constant
        )
    loss.backward()
    record_property('loss', close_to_largest(loss, data.loss, 1e-5))
    record_property('gradient', close_to_largest(logits.grad, data.grad_output, 1e-5))


# ---- teachers, mixing, learning rate


@RELEASED.cases('update_ema_variables')
def test_update_ema_variables(shared_dir, case, record_property):
    data = RELEASED.load(shared_dir, 'update_ema_variables', case)
    values = vars(data)
    teacher = [values[f'teacher_init.{name}'].clone() for name in data.param_names]
    worst = 0.0
    for step, iteration in enumerate(data.iterations.tolist()):
        student = [values[f'student.{name}'][step] for name in data.param_names]
        functional.ema_update_(teacher, student, functional.ema_decay(iteration, data.alpha))
        for name, got in zip(data.param_names, teacher):
            want = values[f'teacher.{name}'][step]
            torch.testing.assert_close(got, want, rtol=1e-6, atol=1e-7)
            worst = max(worst, (got - want).abs().max().item() / want.abs().max().item())
    record_property('parameters', worst)


@RELEASED.cases('classmix')
def test_classmix(shared_dir, case, record_property):
    data = RELEASED.load(shared_dir, 'classmix', case)
    confidence, label = data.teacher_prob.max(dim=1)
    assert torch.equal(label, data.argmax) and not data.half
    chosen = [row[:number].tolist() for row, number in zip(data.classes, data.num_chosen)]
    keys = torch.full(data.teacher_prob.shape[:2], 0.5)
    for key, classes in zip(keys, chosen):
        key[classes] = 0.1
    mask = functional.class_mix_mask(label, ignore_index=data.ignore_label, keys=keys)
    assert torch.equal(mask, data.mask.bool())
    assert torch.equal(slow_mixing.class_mask(label, chosen), mask)
    for given, mixed in (
        (data.data, data.mixed_data),
        (data.teacher_prob, data.mixed_prob),
        (data.target, data.mixed_target),
        (confidence, data.mixed_conf),
        (label, data.mixed_pseudo_label),
    ):
        assert torch.equal(functional.mix(given, mask), mixed)
    record_property('mismatches', 0)


def poly_lr(base_lr, end, wanted, **settings):
    """Rates that mmengine's scheduler gives at the wanted iterations."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=base_lr)
    scheduler = PolyLR(optimizer, end=end, **settings)
    optimizer.step()
    rates = []
    for _ in range(max(wanted) + 1):
        rates.append(optimizer.param_groups[0]['lr'])
        scheduler.step()
    return torch.tensor(rates, dtype=torch.float64)[wanted]


@RELEASED.cases('lr_poly')
def test_lr_poly(shared_dir, repo_root, case, record_property):
    data = RELEASED.load(shared_dir, 'lr_poly', case)
    config = Config.fromfile(repo_root / 'configs/_base_/schedules/sgd_poly_80k.py')
    settings = dict(config.param_scheduler[0])
    # mmengine reaches zero in the last of `end` iterations, the release one later
    assert settings.pop('end') == config.train_cfg.max_iters + 1
    assert settings.pop('type') == 'PolyLR' and settings['eta_min'] == 0
    got = poly_lr(data.base_lr, data.max_iter + 1, data.iterations.tolist(), **settings)
    record_property('rate', close_to_largest(got, data.lr, 1e-12))
