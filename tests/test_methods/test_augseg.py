# Copyright (c) mmseg_ctt contributors.
"""AugSeg: a step by hand, the two orders of the boxes, the confidence of images."""

import pytest
import torch
import torch.nn.functional as F
from no_sync import record
from reference import augseg as reference
from toy import losses_of, prepared, ready_model, toy_batch, toy_model, toy_settings

from mmseg_ctt.methods.augseg import LabelInjectingCutMix
from mmseg_ctt.methods.augseg.functional import image_confidence, injected_source
from mmseg_ctt.nn.images import Images

KIND, SIZE = 'AugSeg', (6, 7)
DRAWS = [(3, i) for i in range(400)]


def rand(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def test_confidence_of_an_image():
    logits, valid = 3 * torch.randn(3, 4, 5, 6), torch.rand(3, 5, 6) < 0.6
    valid[2] = False
    for mask in (valid, None):
        want = reference.image_confidence(logits, torch.ones_like(valid) if mask is None else mask)
        got = image_confidence(logits, mask)
        torch.testing.assert_close(got, torch.tensor(want, dtype=torch.float32))
    assert image_confidence(logits, valid)[2] == 0
    sure = F.one_hot(torch.zeros(1, 2, 2, dtype=torch.long), 4).permute(0, 3, 1, 2) * 100.0
    assert image_confidence(sure) == 1 and abs(image_confidence(sure * 0).item()) < 1e-6


@pytest.mark.parametrize('visible', [True, False])
def test_source_of_each_pixel(visible):
    partner, labeled = torch.tensor([2, 0, 1, 3]), torch.tensor([1, 0, 1, 0])
    injected = torch.tensor([True, False, True, True])
    boxes = rand(4, *SIZE) < 0.5, rand(4, 1, *SIZE)[:, 0] < 0.5
    got = injected_source(partner, labeled, injected, *boxes, visible)
    lists = [value.tolist() for value in (partner, labeled, injected, *boxes)]
    for i in range(4):
        for y in range(SIZE[0]):
            for x in range(SIZE[1]):
                assert got[i, y, x] == reference.source(*lists, visible, i, y, x)
    assert (got[0][boxes[0][0]] == 5).all() == visible  # only then all of its label is seen
    assert set(got.unique().tolist()) == {0, 1, 2, 3, 4, 5}


def drawn(confidence, num_labeled=3, **settings):
    part = LabelInjectingCutMix(**settings)
    return part(torch.full((400,), confidence), (20, 30), num_labeled, DRAWS)


def test_labels_are_injected_the_more_the_less_confident_an_image_is():
    for confidence in (0.0, 0.3, 1.0):
        source, injected = drawn(confidence)
        assert abs(injected.float().mean().item() - (1 - confidence)) < 0.1
        has_label = (source.source >= 400).flatten(1).any(1)
        assert not has_label[~injected].any()
        assert confidence == 1 or has_label[injected].float().mean() > 0.95
    assert set(drawn(0.0)[0].source.clamp(min=399).unique().tolist()) == {399, 400, 401, 402}


def test_areas_of_the_boxes():
    """Means of 1 - Beta(8, 2) and of 1 - Beta(4, 4), less what lies outside of the image."""
    own = torch.arange(400).view(-1, 1, 1)
    labeled = (drawn(0.0)[0].source >= 400).float().mean()
    other = (drawn(1.0)[0].source != own).float().mean()
    assert 0.1 < labeled < 0.2 < other < 0.5
    small = drawn(1.0, unlabeled_beta=(40.0, 2.0))[0].source != own
    assert small.float().mean() < 0.1


def test_no_box_of_the_released_mode_is_centred_in_the_first_eighth():
    """A box in the upper left corner needs a centre there."""
    shown = [
        (drawn(0.0, lowest_centre=lowest, labeled_beta=(60.0, 2.0))[0].source >= 400)[:, 0, 0]
        for lowest in (0.0, 1 / 3)
    ]
    assert shown[0].any() and not shown[1].any()


def test_partners_are_a_permutation_and_nothing_waits():
    everywhere = dict(unlabeled_beta=(1e-3, 1e3), lowest_centre=0.5)
    source = drawn(1.0, **everywhere)[0].source
    last = source[:, -1, -1]
    assert len(last.unique()) > 380  # all but those whose box is not at the corner
    assert record(lambda: drawn(0.5)) == []


def parts(model, batch):
    data, names = prepared(model, batch), ('labeled', 'unlabeled')
    return (Images(data['inputs'][name], data['data_samples'][name]) for name in names)


@pytest.mark.parametrize('mode', ['visible', 'released'])
def test_a_step(mode):
    """The loss is the mean over all pixels of the cross-entropy to the mixed labels."""
    settings = toy_settings(KIND, mode=mode)
    batch = toy_batch(3, 4)
    for sample in batch['data_samples'][:3]:
        sample.gt_sem_seg.data[:, :9] = 255
    model, twin = (ready_model(KIND, **settings) for _ in range(2))
    losses = losses_of(model, batch)
    labeled, unlabeled = parts(twin, batch)
    size = unlabeled.size

    def up(logits):
        return F.interpolate(logits, size, mode='bilinear', align_corners=False)

    (teacher,) = twin.forward_member('teacher0', unlabeled.image)
    confidence, label = up(teacher.logits).softmax(1).max(1)
    strong = twin.strong_view(unlabeled, label).image
    assert not torch.equal(strong, unlabeled.image)
    certainty = image_confidence(teacher.logits)
    source, injected = twin.cut_mix(certainty, size, 3, unlabeled.draws)
    assert twin.cut_mix.visible == (mode == 'visible')
    index = source.source
    everything = torch.cat([strong, labeled.image])
    image = everything.gather(0, index.unsqueeze(1).expand(-1, 3, -1, -1))
    true = torch.cat([label, labeled.labels]).gather(0, index)
    known = torch.cat([confidence, torch.ones(3, *size)]).gather(0, index)
    kept = (known >= 0.27) & (true != 255)
    assert (true == 255).any() and 0 < kept.float().mean() < 1 and (index >= 4).any()
    _, output = twin.forward_member('student0', labeled.image, image)
    entropy = F.cross_entropy(up(output.logits), true, ignore_index=255, reduction='none')
    torch.testing.assert_close(losses['student0.loss_unsup'], (entropy * kept).mean())
    torch.testing.assert_close(losses['student0.image_confidence'], certainty.mean())
    assert losses['student0.injected_ratio'] == injected.float().mean()
    confident = (confidence >= 0.27).float().mean()
    torch.testing.assert_close(losses['student0.confident_ratio'], confident)


def test_soft_targets_know_the_injected_labels():
    losses = losses_of(
        ready_model(KIND, **toy_settings(KIND, consistency=dict(target='soft'))), toy_batch()
    )
    assert losses['student0.loss_unsup'] > 0


def test_one_unlabelled_image_cannot_be_mixed():
    with pytest.raises(ValueError, match='model.cut_mix mixes the unlabelled images of a batch'):
        losses_of(ready_model(KIND, **toy_settings(KIND)), toy_batch(2, 1))
    alone = ready_model(KIND, **toy_settings(KIND, cut_mix=False))
    assert losses_of(alone, toy_batch(2, 1))['student0.injected_ratio'] == 0


@pytest.mark.parametrize(
    'given,error,message',
    [
        (dict(cut_mix=dict(visible='yes')), TypeError, 'model.cut_mix.visible'),
        (dict(cut_mix=dict(lowest_centre=2)), ValueError, 'model.cut_mix.lowest_centre must be'),
        (dict(cut_mix=dict(labeled_beta=3)), TypeError, 'labeled_beta must be two numbers'),
        (dict(cut_mix=dict(unlabeled_beta=(0, 1))), ValueError, 'unlabeled_beta must be above 0'),
        (
            dict(strong_augmentation=[dict(type='CutMixing')]),
            ValueError,
            'AugSeg mixes by model.cut_mix; remove the steps that mix',
        ),
    ],
)
def test_wrong_settings(given, error, message):
    with pytest.raises(error, match=message):
        toy_model(KIND, **toy_settings(KIND, **given))
