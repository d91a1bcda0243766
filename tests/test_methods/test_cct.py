# Copyright (c) mmseg_ctt contributors.
"""CCT: boxes and windows of objects, auxiliary decoders and their perturbations."""

import pytest
import torch
from no_sync import record
from scipy import ndimage
from toy import losses_of, prepared, ready_model, total_of, toy_batch, toy_model

from mmseg_ctt.functional import component_boxes, erased_windows, feature_dropout
from mmseg_ctt.methods.cct.decoders import KINDS, SETS, DecoderInput, ShuffleDecoder
from mmseg_ctt.nn.perturbation import FeatureDropout, FeatureNoise

KIND = 'CrossConsistency'
DROPOUT = dict(dropout=1)
DRAWS = [(7, 3), (7, 4)]


def masks(seed=0, size=(24, 31)):
    g = torch.Generator().manual_seed(seed)
    noise = torch.nn.functional.avg_pool2d(torch.randn(2, 1, *size, generator=g), 5, 1, 2)
    return noise[:, 0] > 0.12


# ---- boxes and windows


@pytest.mark.parametrize('min_pixels', [1, 12])
def test_boxes_are_those_of_connected_objects(min_pixels):
    mask = masks()
    boxes, exist = component_boxes(mask, min_pixels)
    for image in range(2):
        labels, number = ndimage.label(mask[image].numpy(), structure=torch.ones(3, 3).numpy())
        want = []
        for i, (rows, columns) in enumerate(ndimage.find_objects(labels)):
            if (labels == i + 1).sum() >= min_pixels:
                want.append((columns.start, rows.start, columns.stop - 1, rows.stop - 1))
        assert 1 < len(want) and (min_pixels == 1) == (len(want) == number)
        assert sorted(map(tuple, boxes[image][exist[image]].tolist())) == sorted(want)


def test_windows_equal_loops():
    boxes, exist = component_boxes(masks(), 12)
    noise = torch.rand(*exist.shape, 2, generator=torch.Generator().manual_seed(1))
    noise[0, :, 0] = 1 - 2**-24
    got = erased_windows(boxes, exist, noise, 0.4, (24, 31))
    want = torch.zeros_like(got)
    for image, box in exist.nonzero().tolist():
        left, top, right, bottom = boxes[image, box].tolist()
        starts, sides = [], []
        for first, side, u in ((left, right - left, 0), (top, bottom - top, 1)):
            room = int(side * (1 - 0.4))
            starts.append(first + min(int(noise[image, box, u] * (room + 1)), room))
            sides.append(int(side * 0.4))
        want[image, starts[1] : starts[1] + sides[1], starts[0] : starts[0] + sides[0]] = True
    assert want.any() and torch.equal(got, want)


def test_no_object_has_no_box_and_no_window():
    boxes, exist = component_boxes(torch.zeros(1, 4, 6, dtype=torch.bool))
    assert not exist.any()
    assert not erased_windows(boxes, exist, torch.rand(1, 24, 2), 1.0, (4, 6)).any()


def test_objects_need_no_host():
    mask = masks()
    noise = torch.rand(2, mask[0].numel(), 2)
    assert record(lambda: erased_windows(*component_boxes(mask), noise, 0.4, (24, 31))) == []


# ---- perturbations


def feature(seed=2, channels=5):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(2, channels, 6, 8, generator=g).relu()


def test_feature_dropout_equals_loops():
    maps, factor = feature(), torch.tensor([0.5, 0.8])
    got = feature_dropout(maps, factor)
    for b in range(2):
        means = maps[b].mean(0)
        for y, x in torch.ones(6, 8).nonzero().tolist():
            kept = means[y, x] < factor[b] * means.max()
            assert torch.equal(got[b, :, y, x], maps[b, :, y, x] * kept)
    assert 0 < (got == 0).all(1).sum() < 96


def test_feature_dropout_of_a_part():
    """The highest activation is that of the content."""
    maps = torch.rand(2, 3, 6, 8, generator=torch.Generator().manual_seed(0))
    valid = torch.zeros(2, 6, 8, dtype=torch.bool)
    valid[..., :5] = True
    maps[..., 5:] += 9.0
    factor = torch.tensor([0.8, 0.9])
    got = feature_dropout(maps, factor, valid)
    assert torch.equal(got[..., :5], feature_dropout(maps[..., :5], factor))
    assert not torch.equal(got[..., :5], maps[..., :5])


@pytest.mark.parametrize('step', [FeatureNoise(0.3), FeatureDropout((0.3, 0.6))])
def test_random_numbers_belong_to_the_images(step):
    maps = feature()
    both = step([maps, maps], DRAWS, 'a')
    alone = step([maps[1:], maps[1:]], DRAWS[1:], 'a')
    for level, (got, want) in enumerate(zip(both, alone)):
        torch.testing.assert_close(got[1:], want)
        assert not torch.equal(got, maps) and not torch.equal(got, both[1 - level])
    assert not torch.equal(step([maps], DRAWS, 'b')[0], both[0])
    kept = maps != 0
    if isinstance(step, FeatureNoise):
        factor = (both[0] / maps)[kept]
        assert factor.min() > 0.7 and factor.max() < 1.3 and factor.std() > 0.15


@pytest.mark.parametrize('kind', ['FeatureNoise', 'FeatureDropout'])
def test_other_methods_have_them(kind):
    plain = losses_of(ready_model('UniMatch'), toy_batch())
    model = ready_model('UniMatch', feature_perturbation=[dict(type=kind)])
    assert losses_of(model, toy_batch())['student0.loss_fp'] != plain['student0.loss_fp']


# ---- decoders


class Spy(torch.nn.Module):
    """A decoder that gives its input."""

    def forward(self, maps):
        return maps


def perturbed(kind, foreground=None):
    """Features that a decoder of a kind reads."""
    model = toy_model(KIND, decoders={kind: 1}, upscale=2)
    model.auxiliary.decoders[0] = Spy()
    maps = feature(channels=4)
    foreground = torch.zeros(2, 12, 16, dtype=torch.bool) if foreground is None else foreground
    return maps, model.auxiliary(DecoderInput(maps, foreground, DRAWS, None))[0]


def test_objects_and_their_surroundings_are_masked():
    foreground = torch.zeros(2, 12, 16, dtype=torch.bool)
    foreground[0, 2:8, 4:12] = True
    inside = foreground[:, None, ::2, ::2]
    maps, got = perturbed('context', foreground)
    assert torch.equal(got, maps * inside)
    maps, got = perturbed('object', foreground)
    assert torch.equal(got, maps * ~inside)


def test_a_window_of_an_object_is_cut():
    foreground = torch.zeros(2, 12, 16, dtype=torch.bool)
    foreground[0, 1:12, 1:16] = True
    maps, got = perturbed('cutout', foreground)
    kept = (got == maps).all(1)
    rows, columns = (~kept[0]).nonzero(as_tuple=True)
    assert kept[1].all() and len(rows) == len(set(rows.tolist())) * len(set(columns.tolist())) > 0
    assert (got[0][:, ~kept[0]] == 0).all()


@pytest.mark.parametrize('kind', ['dropout', 'feature_drop', 'feature_noise', 'vat'])
def test_other_perturbations_change_features(kind):
    maps, got = perturbed(kind)
    change = (got - maps).flatten(1).norm(dim=1)
    assert (change > 0).all()
    if kind == 'vat':
        torch.testing.assert_close(change, torch.full((2,), 2.0), rtol=1e-3, atol=0)


def test_numbers_of_decoders():
    assert list(SETS['published'].values()) == [2, 6, 6, 2, 2, 6, 6]
    model = toy_model(KIND, decoders='published')
    assert len(model.auxiliary.decoders) == 30
    assert model.auxiliary.kinds == [k for k in KINDS for _ in range(SETS['published'][k])]
    assert toy_model(KIND, decoders=dict(cutout=2, vat=0)).auxiliary.kinds == ['cutout'] * 2


def test_neighbours_of_an_enlarged_pixel_begin_as_equals():
    torch.manual_seed(0)
    decoder = ShuffleDecoder(4, 3, 4)
    decoder.init_weights()
    got = decoder(feature(channels=4))
    assert got.shape == (2, 3, 24, 32) and got.min() >= 0 and got.max() > 0
    assert torch.equal(got[..., ::4, ::4].repeat_interleave(4, 2).repeat_interleave(4, 3), got)


# ---- the step


def test_the_main_decoder_is_no_pupil():
    """The consistency trains the backbone and the auxiliary decoders."""
    model = ready_model(KIND, consistency=dict(confidence_threshold=0.0))
    losses_of(model, toy_batch())['student0.loss_consistency'].backward()
    student = model.member('student0')
    head = [weight.grad for weight in student.decode_head.parameters()]
    assert all(gradient is None or not gradient.any() for gradient in head)
    for module in (student.backbone, model.auxiliary):
        assert all(weight.grad.any() for weight in module.parameters() if weight.dim() == 4)


def test_a_step_by_hand():
    model = ready_model(KIND, decoders=dict(object=1), consistency=dict(confidence_threshold=0.0))
    data = prepared(model)
    images = torch.cat([data['inputs'][name] for name in ('labeled', 'unlabeled')])
    student = model.member('student0')
    features = student.extract_feat(images)
    main = student.decode_head(features)[2:].detach()
    background = (main.argmax(1, keepdim=True) == 0).float()
    logits = model.auxiliary.decoders[0](features[1][2:] * background)
    target = torch.nn.functional.interpolate(main, logits.shape[2:], mode='bilinear').softmax(1)
    value = 30 * (logits.softmax(1) - target).square().mean()
    again = ready_model(KIND, decoders=dict(object=1), consistency=dict(confidence_threshold=0.0))
    losses = losses_of(again, toy_batch())
    torch.testing.assert_close(losses['student0.loss_consistency'], value)
    assert total_of(losses, again) > value


@pytest.mark.parametrize(
    'settings,message',
    [
        (dict(decoders='many'), r"model.decoders must be one of .*'published'"),
        (dict(decoders=dict(blur=1)), r"model.decoders has unknown kinds \['blur'\]"),
        (dict(decoders=dict(vat=-1)), r'model.decoders.vat must be at least 0'),
        (dict(decoders=dict(vat=0)), r'model.decoders has no decoder'),
        (dict(upscale=3), r'model.upscale must be one of'),
        (dict(background=[9]), r'model.background\[0\] must be in \[0, 3\]'),
        (dict(erase=2), r'model.erase must be in \[0, 1\]'),
        (dict(adversarial=dict(xi=0)), r'model.adversarial.xi must be above 0'),
        (dict(drop_rate=1.5), r'^model.drop_rate must be in \[0, 1\)'),
        (dict(drop_rate=1), r'^model.drop_rate must be in \[0, 1\)'),
        (dict(drop_range=(0.9, 0.7)), r'^model.drop_range=\(0.9, 0.7\) is no range in \[0, 1\]'),
        (dict(noise_limit=-1), r'^model.noise_limit must be at least 0'),
        (dict(decoders=DROPOUT, adversarial=dict(eps=9.0)), '^model.adversarial: .*no vat, so it'),
        (dict(decoders=DROPOUT, erase=0.9), '^model.erase: .*no cutout, so it would be unused'),
        (dict(decoders=DROPOUT, smallest_object=0.9), '^model.smallest_object: .*no cutout'),
        (dict(decoders=DROPOUT, drop_range=(0, 1)), '^model.drop_range: .*no feature_drop'),
        (dict(decoders=DROPOUT, noise_limit=0.9), '^model.noise_limit: .*no feature_noise'),
        (dict(decoders=dict(vat=1), drop_rate=0.9), '^model.drop_rate: .*no dropout'),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        toy_model(KIND, **settings)


@pytest.mark.parametrize('kind', KINDS)
def test_defaults_and_facts_of_the_data_are_no_error(kind):
    """The kinds of a shipped config are changed alone, beside its background."""
    toy_model(KIND, decoders={kind: 1}, drop_range=[0.7, 0.9], erase=0.4, background=[1])
