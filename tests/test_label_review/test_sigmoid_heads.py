# Copyright (c) mmseg_ctt contributors.
"""Heads of one channel: their own threshold says what is foreground."""

import numpy as np
import pytest
import torch
from toy import toy_segmentor
from toy_data import toy_config

from mmseg_ctt.deploy.api.predict import input_pipeline
from mmseg_ctt.deploy.checkpoint import build_network
from mmseg_ctt.engine.config import prepare_config
from mmseg_ctt.lab.label_review.disagreement import compare
from mmseg_ctt.lab.label_review.images import ListedImage, MaskedImage, load_image, unlabeled_images
from mmseg_ctt.lab.label_review.known_classes import class_knowledge
from mmseg_ctt.lab.label_review.label_errors import Contradiction, examine
from mmseg_ctt.lab.label_review.members import MemberPass

THRESHOLDS = [0.3, 0.5, 0.7]


@pytest.fixture(params=THRESHOLDS)
def threshold(request):
    return request.param


@pytest.fixture
def model(root, tmp_path, threshold):
    network = toy_segmentor()
    network['decode_head'].update(num_classes=2, out_channels=1, threshold=threshold)
    cfg = prepare_config(toy_config(root, tmp_path / 'run', model=network))
    model = build_network(cfg.model).eval()
    torch.manual_seed(4)
    torch.nn.init.normal_(model.decode_head.conv_seg.weight, std=3)
    model.cfg = cfg
    return model


@pytest.fixture
def data(model):
    data = load_image(unlabeled_images(model.cfg)[0], input_pipeline(model))
    ((_, probability, _),) = MemberPass(model, ['model']).predictions(data)
    with torch.no_grad():  # half of the pixels are foreground
        model.decode_head.conv_seg.bias -= probability[1].logit().median()
    return data


@pytest.fixture
def label(model, data, threshold):
    """By mmseg."""
    ((_, probability, label),) = MemberPass(model, ['model']).predictions(data)
    foreground = probability[1]
    assert all((foreground < limit).any() and (foreground > limit).any() for limit in THRESHOLDS)
    assert torch.equal(label, (foreground > threshold).long())
    (sample,) = model.test_step(dict(inputs=[data['inputs']], data_samples=[data['data_samples']]))
    assert torch.equal(sample.pred_sem_seg.data[0], label)
    return label


def test_labels_that_are_compared(model, data, label):
    assert torch.equal(compare(MemberPass(model, ['model']), data).labels['model'], label)


def test_masks_like_the_predictions_have_no_error(model, data, label):
    """All pixels are hit, whatever the threshold, and none contradicts its mask."""
    masked = MaskedImage(ListedImage('a.jpg', 'a'), data, label.numpy())
    known = class_knowledge(model, [masked], [0])
    np.testing.assert_array_equal(known.iou, [1, 1])
    settings = Contradiction(threshold=0, border=0, min_area=0)
    assert not examine(MemberPass(model, ['model']), masked, known, settings).regions
    other = masked._replace(mask=1 - masked.mask)
    found = examine(MemberPass(model, ['model']), other, known, settings)
    np.testing.assert_array_equal(found.predicted, label.numpy())
    ((_, probability, _),) = MemberPass(model, ['model']).predictions(data)
    confidence = torch.where(label == 1, probability[1], probability[0])
    shares = sum(region.confidence * region.area for region in found.regions)
    assert shares == pytest.approx(float(confidence.mean()), abs=1e-5)
