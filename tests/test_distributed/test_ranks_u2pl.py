# Copyright (c) mmseg_ctt contributors.
"""U2PL on two ranks against one process with the images of both."""

from pathlib import Path

import pytest
import torch
from ranks import Counted, Watch, on_ranks, rank_runner
from toy import NUM_CLASSES, toy_model, toy_segmentor
from toy_data import write_toy_data

from mmseg_ctt.methods.u2pl.contrast import Pixels, UnreliableContrast
from mmseg_ctt.methods.u2pl.entropy import EntropyPartition
from mmseg_ctt.nn.member import PixelOutput

K, D, SIDE, DRAWS = 4, 6, 8, [(7, i) for i in range(4)]


def images(seed=0):
    """Two labelled and two unlabelled images, and what is known of them; halves are ranks."""
    g = torch.Generator().manual_seed(seed)
    shape = 4, SIDE, SIDE
    label = torch.randint(0, K, shape, generator=g)
    known = torch.tensor([True, False, True, False]).view(-1, 1, 1).expand(shape)
    order = torch.rand(shape, generator=g)
    return Pixels(
        torch.randn(*shape, D, generator=g),
        (2 * torch.randn(*shape, K, generator=g)).softmax(-1),
        label,
        known | (order < 0.3),
        known,
        ~known & (order > 0.6),
    )


def part(whole, rows):
    return Pixels(*(one[rows].flatten(0, 2) for one in whole))


def build(**settings):
    torch.manual_seed(0)
    return UnreliableContrast(
        K,
        D,
        dict(size=30, budget=8),
        dim=D,
        dropout=0.0,
        num_anchors=5,
        num_negatives=4,
        ranks=(2, 4),
        **settings,
    )


def queues(rows):
    contrast, state = build(), []
    for step in range(3):
        contrast.remember(part(images(step), rows), DRAWS[rows])
        state.append({name: value.clone() for name, value in contrast.bank.state_dict().items()})
    return state


def test_queues_are_those_of_one_process():
    alone = queues(slice(0, 4))
    ranks = on_ranks(lambda rank: queues(slice(2 * rank, 2 * rank + 2)))
    for one, *others in zip(alone, *ranks):
        for name, value in one.items():
            assert all(torch.equal(value, other[name]) for other in others), name
    assert alone[-1]['count'].tolist() == [24] * K


def contrast(rows, case):
    """Value and gradient where the draws do not matter: pixels of a class have equal features."""
    g = torch.Generator().manual_seed(3)
    feature, whole = torch.randn(K, D, 1, 1, generator=g), images()
    if case == 'classes of one rank only':
        first = torch.tensor([1, 1, 0, 0]).view(-1, 1, 1)
        whole = whole._replace(label=whole.label // 2 + 2 * (1 - first))
    elif case == 'nothing on a rank':
        none = torch.zeros_like(whole.low)
        none[:2] = True
        whole = whole._replace(low=whole.low & none)
    model = build()
    model.projection = torch.nn.Identity()
    model.bank.features.copy_(torch.randn(K, 1, D, generator=g).expand(-1, 30, -1))
    model.bank.count.fill_(30)
    embedding = feature[whole.label].squeeze(-1).squeeze(-1).permute(0, 3, 1, 2)[rows]
    embedding = embedding.contiguous().requires_grad_()
    loss = model([PixelOutput(None, embedding, [])], part(whole, rows), DRAWS[rows])
    loss.backward()
    return loss.detach(), embedding.grad.sum((0, 2, 3)), model.bank.count


@pytest.mark.parametrize('case', ['usual', 'classes of one rank only', 'nothing on a rank'])
def test_contrast_is_that_of_one_process(case):
    alone, slope, _ = contrast(slice(0, 4), case)
    ranks = on_ranks(lambda rank: contrast(slice(2 * rank, 2 * rank + 2), case))
    torch.testing.assert_close((ranks[0][0] + ranks[1][0]) / 2, alone, rtol=1e-5, atol=0)
    torch.testing.assert_close((ranks[0][1] + ranks[1][1]) / 2, slope, rtol=1e-4, atol=1e-7)
    assert alone > 0 and slope.abs().sum() > 0


def teaching(rows):
    """Cross-entropy of the reliable pixels, its gradient and who they are."""
    g = torch.Generator().manual_seed(5)
    scale = torch.tensor([1.0, 4.0, 2.0, 3.0]).view(-1, 1, 1, 1)  # percentiles differ by rank
    shown = PixelOutput(scale * torch.randn(4, K, SIDE, SIDE, generator=g), None, [])
    logits = torch.randn(4, K, SIDE, SIDE, generator=g)[rows].requires_grad_()
    target = torch.randint(0, K, (4, SIDE, SIDE), generator=g)[rows]
    model = toy_model('U2PL', bank=dict(size=5))
    partition = model._partition(PixelOutput(shown.logits[rows], None, []), target, 0.0)
    terms = model._teach(PixelOutput(logits, None, []), target, partition)
    terms['student0.loss_unsup'].backward()
    return torch.stack([one.detach() for one in terms.values()]), logits.grad, partition


def test_reliable_pixels_are_those_of_one_process():
    alone, slope, partition = teaching(slice(0, 4))
    ranks = on_ranks(lambda rank: teaching(slice(2 * rank, 2 * rank + 2)))
    torch.testing.assert_close((ranks[0][0] + ranks[1][0]) / 2, alone)
    torch.testing.assert_close(torch.cat([rank[1] for rank in ranks]) / 2, slope)
    both = EntropyPartition(*map(torch.cat, zip(*(rank[2] for rank in ranks))))
    assert torch.equal(both.high, partition.high) and torch.equal(both.low, partition.low)
    assert both.high[:2].sum() != both.high[2:].sum()


def test_a_run(tmp_path: Path):
    """Queues, teacher and projections stay equal; keys and collectives are the same each time."""
    root = write_toy_data(tmp_path / 'data')
    model = dict(
        type='U2PL',
        segmentor=toy_segmentor(dropout=0.1),
        warmup=0.3,
        bank=dict(size=20),
        contrast=dict(dim=8, num_anchors=4, num_negatives=3),
    )

    def body(rank):
        with Counted() as counted:
            runner = rank_runner(
                root,
                tmp_path / 'work',
                model=model,
                train_cfg=dict(type='ResumableTrainLoop', max_iters=5, val_interval=100),
                custom_hooks=[dict(type='TeacherEMAHook')],
            )
            watch = Watch(counted)
            runner.register_hook(watch)
            runner.train()
        return watch.keys, watch.calls, watch.states

    (keys, calls, first), (other_keys, other_calls, second) = on_ranks(body)
    assert keys == other_keys and all(one == keys[0] for one in keys)
    statistics = ('running_mean', 'running_var')  # of the local batch, unless SyncBN is used
    for one, other in zip(first, second):
        for name, value in one.items():
            if not name.endswith(statistics):
                assert torch.equal(value, other[name]), name
    assert first[1]['unreliable.bank.count'].sum() == 0 < first[2]['unreliable.bank.count'].sum()
    pixels = 2 * 32 * 32  # of a rank's unlabelled images
    entropies = ('all_gather', (pixels,)), 1
    bank = ('all_gather', (NUM_CLASSES, 20, 8 + 2)), 1
    means = ('all_reduce', (NUM_CLASSES, 8 + 2)), 1
    share = ('all_reduce', ()), 2  # kept pixels, and their share for the log
    assert (
        calls
        == other_calls
        == [dict([entropies])] * 2 + [dict([entropies, bank, means, share])] * 3
    )
