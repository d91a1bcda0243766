# Copyright (c) mmseg_ctt contributors.
"""Context-aware consistency, written out; its mathematics is in test_pixel_contrasts.py."""

import pytest
import torch
from mmengine.logging import MessageHub
from reference import directional as reference
from toy import losses_of, prepared, total_of, toy_batch, toy_model, toy_settings

from mmseg_ctt.engine.guards import late_stage
from mmseg_ctt.functional import pseudo_label
from mmseg_ctt.functional.unit import unit
from mmseg_ctt.methods.cac.bank import RecentPixelBank
from mmseg_ctt.nn.images import Images

KIND = 'ContextAwareConsistency'


def ready(**settings):
    """A model whose classifier differs from pixel to pixel."""
    model = toy_model(KIND, **toy_settings(KIND, **settings))
    torch.manual_seed(11)
    model.students[0].decode_head.conv_seg.weight.data.normal_(std=0.1)
    return model


def images_of(model, source, batch=None):
    data = prepared(model, batch)
    return Images(data['inputs'][source], data['data_samples'][source])


# ---- the step


def crop_pixels(model, output, crop, b):
    """By place in the whole image, in features: feature, label and confidence."""
    feature = unit(model.contrast.projection(output.embedding)[b].flatten(1).t())
    label, confidence = (map_[b].flatten() for map_ in pseudo_label(output.logits))
    width, (top, left), found = output.logits.shape[3], crop.corner[b].tolist(), {}
    for i in range(len(label)):
        y, x = divmod(i, width)
        x = width - 1 - x if crop.flip[b] else x
        place = top + 4 * y, left + 4 * x
        found[place] = feature[i], int(label[i]), float(confidence[i])
    return found


def test_a_step_by_hand():
    model, twin = ready(), ready()
    losses = losses_of(model, toy_batch())
    unlabeled = images_of(twin, 'unlabeled')
    twin.forward_member('student0', images_of(twin, 'labeled').image)  # batch norm alone reads it
    crops = twin.crops(unlabeled)
    views = [twin.strong_view(crop.images, index=i).image for i, crop in enumerate(crops)]
    outputs = twin.forward_member('student0', *views)
    bank, terms, shared = model.contrast.bank, ([], []), 0
    threshold = twin.contrast.positive_threshold
    for b in range(2):
        first, second = (crop_pixels(twin, *pair, b) for pair in zip(outputs, crops))
        for place in set(first) & set(second):
            shared += 1
            pair = first[place], second[place]
            for direction, (query, peer) in enumerate((pair, pair[::-1])):
                if query[2] < peer[2] and peer[2] > threshold:
                    args = peer[0].detach(), query[1], bank.features, bank.labels
                    terms[direction].append(reference.directional(query[0], *args, 0.1))
    assert all(terms) and len(terms[0]) + len(terms[1]) < shared
    want = sum(torch.stack(direction).mean() for direction in terms)
    torch.testing.assert_close(losses['student0.loss_contrast'], 0.1 * want)
    used = (len(terms[0]) + len(terms[1])) / shared
    assert losses['student0.pulled_ratio'] == pytest.approx(used)
    (0.1 * want).backward()
    losses['student0.loss_contrast'].backward()
    for got, other in zip(model.contrast.parameters(), twin.contrast.parameters()):
        torch.testing.assert_close(got.grad, other.grad)


def test_before_the_start_the_student_learns_from_labels_alone():
    hub = MessageHub.get_current_instance()
    hub.update_info('max_iters', 100)
    model, later = ready(start=0.5), ready(start=0.5)
    hub.update_info('iter', 49)
    losses = losses_of(model, toy_batch())
    assert losses['student0.loss_contrast'] == 0 and model.contrast.bank.count == 0
    total_of(losses, model).backward()
    assert all(weight.grad is not None for weight in model.parameters())
    hub.update_info('iter', 50)
    trained = losses_of(later, toy_batch())
    assert trained['student0.loss_contrast'] > 0 and set(trained) == set(losses)


def test_pixels_of_the_padding_are_neither_contrasted_nor_negatives():
    def with_padding(fill):
        model, data = ready(strong_augmentation=[]), prepared(ready())
        data['inputs']['unlabeled'][..., 12:] = fill
        for sample in data['data_samples']['unlabeled']:
            sample.set_metainfo(dict(img_shape=(32, 12)))
        return model, model(**data, mode='loss')

    model, losses = with_padding(0.0)
    bank, filled = model.contrast.bank, ready().contrast.bank
    losses_of(model, toy_batch(seed=1))
    assert losses['student0.loss_contrast'] > 0
    assert filled.labels.max() == -1
    written = bank.labels[: bank.budget]  # of the first step
    assert (written == -1).any() and (written >= 0).any()


# ---- the crops


def test_crops_show_the_image():
    model = ready(crops=dict(stride=4, size=0.5))
    images = images_of(model, 'unlabeled')
    crops = model.crops(images)
    for crop in crops:
        assert crop.images.size == (16, 16)
        for b in range(2):
            top, left = crop.corner[b].tolist()
            want = images.image[b, :, top : top + 16, left : left + 16]
            got = crop.images.image[b]
            assert torch.equal(got.flip(2) if crop.flip[b] else got, want)
    assert not torch.equal(crops[0].corner, crops[1].corner)
    again = model.crops(images)
    assert torch.equal(again[1].corner, crops[1].corner)  # they belong to the samples


@pytest.mark.parametrize(
    'settings,sentence',
    [
        (dict(crops=dict(stride=3)), 'model.crops.stride=3 is no multiple of the stride'),
        (dict(crops=dict(stride=64)), 'model.crops.stride=64 exceeds a side of the images'),
        (dict(bank=dict(size=9, budget=3)), 'model.bank.budget=3 is below the 4 crops'),
    ],
)
def test_settings_that_do_not_fit_the_images(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        losses_of(ready(**settings), toy_batch())


@pytest.mark.parametrize(
    'settings,sentence',
    [
        (dict(strong_augmentation=[dict(type='CutMixing')]), 'nothing may be mixed'),
        (dict(crops=dict(size=0)), 'model.crops.size'),
        (dict(crops=dict(iou=(0.9, 0.1))), 'model.crops.iou'),
        (dict(crops=dict(flip=2)), 'model.crops.flip'),
        (dict(bank=dict(size=4, budget=5)), 'model.bank.budget'),
        (dict(contrast=dict(positive_threshold=2)), 'model.contrast.positive_threshold'),
        (dict(loss_weights=dict(contrast=0), bank=dict(ranking='random')), 'model.bank .*ranking'),
        (dict(start=1.5), 'model.start'),
    ],
)
def test_bad_settings(settings, sentence):
    with pytest.raises((ValueError, TypeError), match=sentence):
        ready(**settings)


# ---- the memory


def test_the_memory_is_a_ring():
    bank = RecentPixelBank(dim=1, size=7, budget=4)
    for step in range(3):  # two crops of three pixels, of which two each enter
        feature = torch.arange(6.0).view(2, 3, 1) + 10 * step
        label = torch.tensor([[0, 1, -1], [2, 3, 0]]) if step else torch.zeros(2, 3).long()
        score = torch.tensor([[0.1, 0.5, 0.9], [0.9, 0.5, 0.1]])
        bank.update(feature, label, score)
    assert bank.count == 7 and bank.pointer == 5 and bank.fill_ratio() == 1
    # of the last step: pixel 2 of the first crop is padding, the scores choose among the others
    assert bank.features[[1, 2, 3, 4], 0].tolist() == [21, 20, 23, 24]
    assert bank.labels[[1, 2, 3, 4]].tolist() == [1, 0, 2, 3]
    assert bank.features[[5, 6, 0], 0].tolist() == [10, 13, 14]


def test_all_pixels_enter_where_they_fit():
    bank = RecentPixelBank(dim=1, size=8, budget=8)
    bank.update(torch.arange(6.0).view(2, 3, 1), torch.ones(2, 3).long(), torch.rand(2, 3))
    assert bank.features[:6, 0].tolist() == [0, 1, 2, 3, 4, 5] and bank.count == 6
    assert bank.labels.tolist() == [1] * 6 + [-1] * 2


def test_a_contrast_that_never_starts():
    late, in_time = (ready(start=start) for start in (9, 8))
    line = late_stage(late, [], dict(max_iters=9))
    assert line.startswith('model.start=9, but the run has 9 iterations: the student never sees')
    assert late_stage(in_time, [], dict(max_iters=9)) is None
    assert late_stage(ready(), [], dict(max_iters=9)) is None
    without = ready(start=9, loss_weights=dict(contrast=0))
    assert late_stage(without, [], dict(max_iters=9)) is None
