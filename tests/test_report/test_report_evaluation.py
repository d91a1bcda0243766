# Copyright (c) mmseg_ctt contributors.
import numpy as np
import pytest
import torch

from mmseg_ctt.deploy.checkpoint import load_network
from mmseg_ctt.lab.report.evaluation import (
    class_iou,
    evaluate,
    image_score,
    pixel_confusion,
    spread,
    validation_set,
)
from mmseg_ctt.lab.report.runs import read_runs

TRUTH = np.array([[0, 0, 1], [1, 255, 2]])
LABELS = np.array([[0, 1, 1], [1, 0, 0]])


def test_confusion():
    counts = pixel_confusion(TRUTH, LABELS, 4)
    assert counts.tolist() == [[1, 1, 0, 0], [0, 2, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
    np.testing.assert_allclose(class_iou(counts), [1 / 3, 2 / 3, 0, np.nan])
    assert image_score(counts) == pytest.approx(1 / 3)
    assert image_score(np.zeros((2, 2), int)) == 1
    with pytest.raises(ValueError, match='behind Resize'):
        pixel_confusion(TRUTH, LABELS[:1], 4)


def test_spread():
    assert spread(10, 3) == [0, 3, 6] and spread(3, 10) == [0, 1, 2]


@pytest.fixture(params=['ctt', 'plain'])
def run(request, toy_runs):
    (run,) = read_runs([getattr(toy_runs, request.param)])
    return run


def test_same_miou_as_in_training(run):
    """The last checkpoint on the whole validation set, beside what the run itself measured."""
    seen = evaluate(load_network(run.config, run.checkpoint), validation_set(run.config), 99, 2)
    assert list(seen.confusion) == run.members and seen.predicting == run.predicting
    assert (seen.images, seen.of) == (3, 3)
    for member, counts in seen.confusion.items():
        assert 100 * np.nanmean(class_iou(counts)) == pytest.approx(
            run.score(member).last, abs=0.006
        ), member


def test_worst_images(run):
    model, dataset = load_network(run.config, run.checkpoint), validation_set(run.config)
    torch.manual_seed(2)
    for head in [part for part in model.modules() if hasattr(part, 'conv_seg')]:
        torch.nn.init.normal_(head.conv_seg.weight, std=5)
    everything = evaluate(model, dataset, 99, 99).worst
    scores = [one.score for one in everything]
    assert len(scores) == 3 and scores == sorted(scores) and scores[0] < scores[-1]
    (worst,) = evaluate(model, dataset, 99, 1).worst
    assert worst.result.name == everything[0].result.name
    np.testing.assert_array_equal(worst.result.labels, everything[0].result.labels)
    counts = pixel_confusion(worst.truth, worst.result.labels, 4)
    assert worst.score == pytest.approx(image_score(counts))
    assert evaluate(model, dataset, 2, 1).images == 2


def test_errors(toy_runs, tmp_path):
    run, other = read_runs([toy_runs.ctt, toy_runs.plain])
    with pytest.raises(ValueError, match='do not belong together'):
        load_network(run.config, other.checkpoint)
    run.config.val_dataloader.dataset.data_root = str(tmp_path / 'absent')
    with pytest.raises(FileNotFoundError):
        validation_set(run.config)
    other.config.val_dataloader.dataset.data_prefix.pop('seg_map_path')
    other.config.val_dataloader.dataset.pipeline = []
    with pytest.raises(ValueError, match='no labels'):
        validation_set(other.config)
    other.config.val_dataloader = None
    with pytest.raises(ValueError, match='no val_dataloader'):
        validation_set(other.config)
