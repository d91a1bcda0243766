# Copyright (c) mmseg_ctt contributors.
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from mmseg_ctt.deploy.checkpoint import load_network
from mmseg_ctt.lab.report.embedding import Points, _without_padding, collect_points, project
from mmseg_ctt.lab.report.evaluation import validation_set
from mmseg_ctt.lab.report.runs import read_runs
from mmseg_ctt.nn.member import forward_member


@pytest.fixture
def parts(toy_runs):
    (run,) = read_runs([toy_runs.ctt])
    return load_network(run.config, run.checkpoint), validation_set(run.config)


def rows(features):
    return {tuple(row) for row in features.mul(1e4).round().int().tolist()}


def test_bank_and_queries(parts):
    model, dataset = parts
    bank = model.contrast.bank
    g = torch.Generator().manual_seed(1)
    bank.features.copy_(torch.rand(bank.features.shape, generator=g))
    bank.count.copy_(torch.tensor([[8, 8, 8, 8], [8, 3, 0, 1]]))
    points = collect_points(model, dataset, 99, pair=1)
    assert torch.allclose(points.features.norm(dim=1), torch.ones(len(points.features)))
    assert points.label[points.is_bank].bincount(minlength=4).tolist() == [8, 3, 0, 1]
    for k in range(4):
        kept = points.features[points.is_bank & (points.label == k)]
        assert rows(kept) == rows(F.normalize(bank.features[1, k, : bank.count[1, k]], dim=1))
    queries = points.features[~points.is_bank]
    assert len(queries) == 3 * 4 * 8, 'eight pixels of every class from each of three images'
    seen = []
    for item in dataset:
        batch = model.data_preprocessor(
            dict(inputs=[item['inputs']], data_samples=[item['data_samples']]), False
        )
        with torch.no_grad():
            output = forward_member(model.students[1], batch['inputs'])
        label = item['data_samples'].gt_sem_seg.data[:, ::4, ::4].flatten()
        embedding = F.normalize(output.embedding.permute(0, 2, 3, 1).flatten(0, 2), dim=1)
        seen.append((embedding, label))
    embedding, label = (torch.cat(one) for one in zip(*seen))
    for k in range(4):
        assert rows(points.features[~points.is_bank & (points.label == k)]) <= rows(
            embedding[label == k]
        )


def test_padding_is_left_out():
    embedding = torch.arange(24.0).view(1, 1, 4, 6)
    kept = _without_padding(embedding, torch.zeros(1, 3, 16, 24), (12, 16))
    assert torch.equal(kept, embedding[:, :, :3, :4])


def test_too_little_in_the_bank(parts):
    model, dataset = parts
    model.contrast.bank.count.fill_(1)
    with pytest.raises(ValueError, match='holds 4 entries only'):
        collect_points(model, dataset, 99)


def test_no_bank(toy_runs):
    (run,) = read_runs([toy_runs.plain])
    model, dataset = load_network(run.config, run.checkpoint), validation_set(run.config)
    with pytest.raises(ValueError, match='no class memory bank'):
        collect_points(model, dataset, 99)


def test_projection_keeps_groups_apart():
    pytest.importorskip('sklearn', reason='scikit-learn: pip install "mmseg_ctt[report]"')
    g = torch.Generator().manual_seed(0)
    label = torch.arange(2).repeat_interleave(20)
    features = torch.eye(2, 8)[label] + 0.05 * torch.randn(40, 8, generator=g)
    points = Points(F.normalize(features, dim=1), label, label == 0)
    made = project(points)
    assert made.shape == (40, 2) and np.isfinite(made).all()
    np.testing.assert_array_equal(made, project(points))
    centres = np.stack([made[label == k].mean(0) for k in range(2)])
    distance = np.linalg.norm(made[:, None] - centres, axis=2)
    assert (distance.argmin(1) == label.numpy()).all()
