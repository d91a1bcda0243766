# Copyright (c) mmseg_ctt contributors.
"""Half precision around the functional core and a whole step: results stay float32 and finite."""

import itertools
from types import SimpleNamespace

import pytest
import torch
from test_compile import NAMES, cases, results
from toy import losses_of, ready_model, total_of, toy_batch

from mmseg_ctt import functional
from mmseg_ctt.engine import StudentOptimWrapperConstructor, TeacherEMAHook
from mmseg_ctt.methods.ctt.contrast import CrossContrast
from mmseg_ctt.nn.member import PixelOutput
from mmseg_ctt.nn.pseudo_label import PseudoLabel

NO_CUDA = pytest.mark.skipif(
    not torch.cuda.is_available(), reason='this machine has no CUDA device'
)
PRECISIONS = [
    ('cpu', torch.bfloat16),
    *(pytest.param('cuda', dtype, marks=NO_CUDA) for dtype in (torch.bfloat16, torch.float16)),
]
KEEP_DTYPE = (
    'mix',
    'downsample_nearest',
    'channel_dropout',
    'complementary_channel_dropout',
    'graph_triplets',
    'two_class_logits',
)
# their numbers come from the host in float32
FROM_NOISE = (
    'class_graph',
    'class_mix_mask',
    'cut_mix_mask',
    'rejection_box_mask',
    'sample_patches',
)
FROM_NETWORK = ('adversarial_direction',)  # the network that it is given runs in half precision
ROUNDED = ('feature_dropout', 'uniform_feature_noise')  # to the precision of the feature
FROM_WEIGHTS = ('ema_update_',)  # parameters are float32
FLOAT32_INPUTS = (*FROM_NOISE, *FROM_NETWORK, *FROM_WEIGHTS, *ROUNDED)


def equal(got, want, device):
    """Bit for bit on a CPU; sums on a GPU may be taken in another order."""
    exact = device == 'cpu'
    torch.testing.assert_close(got, want, rtol=0 if exact else 1e-6, atol=0 if exact else 1e-7)


# ---- each function


@pytest.mark.parametrize('name', [name for name in NAMES if name not in FROM_NETWORK])
@pytest.mark.parametrize('device,dtype', PRECISIONS)
def test_float32_inputs_under_autocast(name, device, dtype):
    case = cases(device)[name]
    want = results(*case)
    with torch.autocast(device, dtype=dtype):
        one = torch.ones(1, 1, device=device)
        assert (one @ one).dtype == dtype  # autocast is on
        got = results(*case)
    assert all(value.dtype != dtype for value in got[0])
    equal(got, want, device)


@pytest.mark.parametrize('name', [name for name in NAMES if name not in FLOAT32_INPUTS])
@pytest.mark.parametrize('device,dtype', PRECISIONS)
def test_half_precision_inputs_are_computed_in_float32(name, device, dtype):
    function, inputs, has_gradient = cases(device)[name]
    want = results(function, inputs, has_gradient)
    with torch.autocast(device, dtype=dtype):
        got = results(function, [x.to(dtype) for x in inputs], has_gradient)
    for value, exact in zip(got[0], want[0]):
        wanted = dtype if name in KEEP_DTYPE and exact.is_floating_point() else exact.dtype
        assert value.dtype == wanted
        equal(value.to(exact.dtype), exact, device)
    for gradient, exact in zip(got[1], want[1]):
        assert (gradient is None) == (exact is None)
        if exact is not None:
            equal(gradient, exact.to(dtype), device)


# ---- a whole step


def confident_model(threshold, **settings):
    return ready_model(consistency=dict(confidence_threshold=threshold), **settings)


def training(device, **settings):
    """A model on the device, and its optimiser, whose steps update the teachers."""
    model = confident_model(0.3, **settings).to(device)
    wrapper = StudentOptimWrapperConstructor(
        dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.05))
    )(model)
    TeacherEMAHook().before_train(SimpleNamespace(model=model, optim_wrapper=wrapper))
    return model, wrapper


def one_step(model, wrapper, device, dtype, seed=0):
    """Losses of a step under autocast, after the optimiser and the teachers have moved."""
    with torch.autocast(device, dtype=dtype):
        losses = losses_of(model, toy_batch(seed=seed))
    wrapper.update_params(total_of(losses, model))
    return losses


def check_losses(losses):
    for key, value in losses.items():
        assert value.dtype == torch.float32 and torch.isfinite(value), key


@pytest.mark.parametrize(
    'supervision,pairs', [('cross', 2), ('cross', 3), ('self', 1), ('mutual', 2)]
)
@pytest.mark.parametrize('device,dtype', PRECISIONS)
def test_a_step_is_finite_and_its_state_float32(device, dtype, supervision, pairs):
    model, wrapper = training(device, supervision=supervision, num_pairs=pairs)
    before = model.contrast.bank.features.clone()
    passes = []
    forward = model.forward_members

    def forward_members(*args, **kwargs):
        passes.append(forward(*args, **kwargs))
        return passes[-1]

    model.forward_members = forward_members
    for seed in range(3):
        check_losses(one_step(model, wrapper, device, dtype, seed))
    # the networks did run in half precision
    assert all(
        output.logits.dtype == output.embedding.dtype == dtype
        for members in passes
        for output in itertools.chain(*members.values())
    )
    features = model.contrast.bank.features
    assert features.dtype == torch.float32 and torch.isfinite(features).all()
    assert all(not torch.equal(*pair) for pair in zip(features, before))
    floating = [value for value in model.state_dict().values() if value.is_floating_point()]
    assert all(value.dtype == torch.float32 and torch.isfinite(value).all() for value in floating)
    assert passes and int(model.num_updates) == (3 if model.teachers else 0)


@pytest.mark.parametrize('device,dtype', PRECISIONS)
def test_a_step_in_half_precision_is_near_the_float32_step(device, dtype):
    half = one_step(*training(device), device, dtype)
    full = losses_of(training(device)[0], toy_batch())
    for key in full:
        torch.testing.assert_close(half[key], full[key], rtol=0.1, atol=0.02)


@pytest.mark.parametrize('device,dtype', PRECISIONS)
def test_a_step_before_the_contrast_starts(device, dtype):
    """Terms that are off are zeros in float32 too, whatever the features hold."""
    model, _ = training(device)
    model.contrast.switch(False)
    with torch.no_grad():
        for student in model.students:  # sums beyond the range of float16
            student.decode_head.convs[0].bn.bias.fill_(1e3)
    with torch.autocast(device, dtype=dtype):
        losses = losses_of(model, toy_batch())
    check_losses(losses)
    assert losses['student0.loss_hc'] == losses['student1.loss_lc'] == 0
    assert losses['student0.loss_hc'].requires_grad


# ---- corners, with and without autocast


@pytest.fixture(params=[False, True], ids=['float32', 'autocast'])
def precision(request):
    with torch.autocast('cpu', dtype=torch.bfloat16, enabled=request.param):
        yield torch.bfloat16 if request.param else torch.float32


def finite_step(model, batch=None):
    losses = losses_of(model, batch or toy_batch())
    total_of(losses, model).backward()
    check_losses(losses)
    assert all(
        torch.isfinite(p.grad).all() for p in model.students.parameters() if p.grad is not None
    )
    assert torch.isfinite(model.contrast.bank.features).all()
    return losses


@pytest.mark.parametrize('function', ['supervised', 'pseudo'])
def test_cross_entropy_of_huge_logits(precision, function):
    logits = torch.zeros(1, 3, 1, 2)
    logits[0, 1] = 1e4
    logits = logits.to(precision).requires_grad_()
    label = torch.tensor([[[1, 0]]])
    if function == 'supervised':
        loss = functional.cross_entropy(logits, label)
    else:
        loss = functional.confident_fraction_cross_entropy(logits, label, torch.ones(1, 1, 2))
    loss.backward()
    assert loss.item() == pytest.approx(5e3, rel=5e-3)  # 0 where right, 1e4 where wrong
    assert logits.grad[0, :, 0, 0].abs().sum() == 0
    assert logits.grad[0, :, 0, 1].tolist() == pytest.approx([-0.5, 0.5, 0])


def test_step_with_huge_logits(precision):
    model = confident_model(0.3)
    with torch.no_grad():
        for member in (*model.students, *model.teachers):
            member.decode_head.conv_seg.weight.normal_(std=1e4)
    data = model.data_preprocessor(toy_batch(), True)
    assert model.forward_member('teacher0', data['inputs']['unlabeled'])[0].logits.abs().max() > 1e4
    losses = finite_step(model)
    assert losses['student0.confident_ratio'] > 0.9


def test_step_with_every_label_ignored(precision):
    model = confident_model(1.0, contrast=dict(threshold=1.0))
    before = model.contrast.bank.features.clone()
    batch = toy_batch()
    for sample in batch['data_samples'][:2]:
        sample.gt_sem_seg.data.fill_(255)
    losses = finite_step(model, batch)
    for key in ('decode.loss_ce', 'loss_ct', 'loss_hc'):
        assert losses[f'student0.{key}'] == 0
    assert losses['student0.loss_lc'] > 0  # needs no label
    assert torch.equal(before, model.contrast.bank.features)


def test_step_with_zero_features(precision):
    model = confident_model(0.0)
    with torch.no_grad():
        for member in (*model.students, *model.teachers):
            norm = member.decode_head.convs[0].bn
            norm.weight.zero_()
            norm.bias.zero_()
    data = model.data_preprocessor(toy_batch(), True)
    assert model.forward_member('student0', data['inputs']['labeled'])[0].embedding.abs().max() == 0
    finite_step(model)


def test_step_with_one_class_in_the_image(precision):
    model = confident_model(0.0)
    with torch.no_grad():
        for teacher in model.teachers:
            teacher.decode_head.conv_seg.bias[2] = 100
    batch = toy_batch()
    for sample in batch['data_samples'][:2]:
        sample.gt_sem_seg.data.fill_(2)
    losses = finite_step(model, batch)
    assert losses['student0.loss_hc'] > 0 and losses['student0.loss_lc'] == 0


def test_class_without_a_directionally_valid_pixel(precision):
    """Class 1 of the peer is not confident anywhere; only class 0 counts, its mean undiminished."""
    g = torch.Generator().manual_seed(0)
    contrast = CrossContrast(2, 3, 4, dict(size=2))
    contrast.bank.features.copy_(torch.randn(2, 3, 2, 4, generator=g))
    contrast.bank.count.fill_(2)

    def output(first, second):
        """Two pixels with these logits for classes 0 and 1."""
        logits = torch.tensor([[first, 0.0], [0.0, second], [0.0, 0.0]]).view(1, 3, 1, 2)
        embedding = torch.randn(1, 4, 1, 2, generator=g).to(precision).requires_grad_()
        return PixelOutput(logits.to(precision), embedding, [])

    own, peer = output(0.5, 2.0), output(1.0, 1.0)  # the peer is more confident at the first pixel
    label = torch.full((1, 1, 2), 255)
    target = PseudoLabel(torch.zeros(2, 1, 1, 2, dtype=torch.long), torch.full((2, 1, 1, 2), 0.1))
    terms = contrast([own, peer], [own, peer], label, target)
    term = {key: value[0] for key, value in zip(('high', 'low'), terms)}
    banks = torch.cat(contrast.bank.features.unbind(), dim=1)
    want = functional.low_level_contrast(
        own.embedding[0, :, 0, :1].t(),
        peer.embedding[0, :, 0, :1].t(),
        torch.zeros(1).long(),
        banks,
    )
    torch.testing.assert_close(term['low'], want)
    assert term['low'] > 0 and term['high'] == 0
    (term['low'] + term['high']).backward()
    assert own.embedding.grad[..., 0].abs().sum() > 0
    assert own.embedding.grad[..., 1].abs().sum() == 0
