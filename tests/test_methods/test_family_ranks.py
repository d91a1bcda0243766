# Copyright (c) mmseg_ctt contributors.
"""Every method on two ranks: whole runs, and steps against one process with all images."""

from typing import Dict, Tuple

import torch
from family import EVERY_RECIPE, ready, trained_weights, unmixed
from mmengine.structures import PixelData
from test_distributed.ranks import Counted, Watch, on_ranks, rank_runner
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from toy import toy_batch
from toy_data import required_hooks, toy_method, write_toy_data

Tensors = Dict[str, Tensor]
STATISTICS = ('running_mean', 'running_var')  # of the local batch, unless SyncBN is used
ITERATIONS = 3
WARMUP = dict(type='QueueWarmupHook', start_iter=2, interval=1, when_full=False)
# losses that are no mean over pixels, by method: U2PL draws anchors on each rank, GuidedMix-Net
# takes partners from the images of a rank
OTHER_LOSSES = dict(U2PL=('contrast',), GuidedMixNet=('mix',))


# ---- whole runs


@EVERY_RECIPE
def test_a_run_on_two_ranks(recipe, tmp_path):
    """Equal keys and collectives in every iteration, equal state, every weight with a gradient."""
    root = write_toy_data(tmp_path / 'data')
    model = toy_method(recipe.kind, **{**recipe.settings, **recipe.run})
    hooks = {'queue_warmup': WARMUP} if 'queue_warmup' in required_hooks(model) else {}

    def body(rank):
        with Counted() as counted:
            runner = rank_runner(
                root,
                tmp_path / 'work',
                model=model,
                hooks=hooks,
                train_cfg=dict(type='ResumableTrainLoop', max_iters=ITERATIONS, val_interval=100),
                **dict.fromkeys(('val_cfg', 'val_dataloader', 'val_evaluator')),
            )
            watch = Watch(counted)
            runner.register_hook(watch)
            runner.train()
        return watch.keys, watch.calls, watch.states

    (keys, calls, first), (other_keys, other_calls, second) = on_ranks(body)
    assert len(keys) == ITERATIONS and keys == other_keys
    assert all(names == keys[0] for names in keys)
    assert calls == other_calls
    for state, other in zip(first, second):
        for name, value in state.items():
            assert name.endswith(STATISTICS) or torch.equal(value, other[name]), name
    name = 'students.0.decode_head.conv_seg.weight'
    assert not torch.equal(first[0][name], first[-1][name])
    if 'contrast.on' in first[0]:
        assert [bool(state['contrast.on']) for state in first] == [False, True, True]


# ---- a step against one process


def without_batch_statistics(model: nn.Module) -> nn.Module:
    """Each image is normalised alone, as batch statistics would part one process from two."""
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, _BatchNorm):
                setattr(module, name, nn.GroupNorm(1, child.num_features))
    return model


def batch(case: str, rows: slice) -> dict:
    """Some of four labelled and four unlabelled images; the halves are ranks."""
    whole = toy_batch(4, 4)
    samples = whole['data_samples']
    for i, sample in enumerate(samples[:4]):
        label = sample.gt_sem_seg.data
        if case == 'classes of one rank only' and i < 2:
            label = label % 2
        elif case == 'nothing on a rank' and i < 2:
            label = torch.full_like(label, 3)
        sample.gt_sem_seg = PixelData(data=label)
    if case == 'nothing on a rank':
        for image in whole['inputs'][4:6]:
            image.zero_()
    numbers = [*range(4)[rows], *range(4, 8)[rows]]
    return dict(
        inputs=[whole['inputs'][i] for i in numbers], data_samples=[samples[i] for i in numbers]
    )


def losses_and_gradients(recipe, case: str, rows: slice) -> Tuple[Tensors, Tensors, Tensors]:
    """Of a step, and the memories after it."""
    model = without_batch_statistics(ready(recipe, **unmixed(recipe)))
    data = model.data_preprocessor(batch(case, rows), True)
    if case == 'padding on one rank':
        for sample in data['data_samples']['unlabeled']:
            if sample.metainfo['draw'][1] < 6:
                sample.set_metainfo(dict(img_shape=(32, 12)))
    others = tuple(f'loss_{term}' for term in OTHER_LOSSES.get(recipe.kind, ()))
    losses = {
        key: value
        for key, value in model(**data, mode='loss').items()
        if 'loss' in key and not (others and key.endswith(others))
    }
    sum(losses.values()).backward()
    gradients = {
        name: weight.grad
        for name, weight in trained_weights(model).items()
        if weight.grad is not None
    }
    state = {
        name: value
        for name, value in model.named_buffers()
        if name.startswith(('contrast.bank', 'contrast.centroids', 'consistency', 'class_confid'))
    }
    return {key: value.detach() for key, value in losses.items()}, gradients, state


CASES = ('usual', 'classes of one rank only', 'nothing on a rank', 'padding on one rank')


@EVERY_RECIPE
def test_a_step_is_that_of_one_process_with_all_images(recipe):
    """The mean of losses and gradients over the ranks, which is what DDP takes."""
    alone = {case: losses_and_gradients(recipe, case, slice(0, 4)) for case in CASES}
    ranks = on_ranks(
        lambda rank: {
            case: losses_and_gradients(recipe, case, slice(2 * rank, 2 * rank + 2))
            for case in CASES
        }
    )
    for case, (losses, gradients, state) in alone.items():
        (first, first_grad, one), (second, second_grad, other) = (rank[case] for rank in ranks)
        assert first.keys() == second.keys() == losses.keys()
        for key, value in losses.items():
            mean = (first[key] + second[key]) / 2
            torch.testing.assert_close(mean, value, rtol=1e-4, atol=1e-6, msg=f'{case}: {key}')
        for name, value in gradients.items():
            mean = (first_grad[name] + second_grad[name]) / 2
            torch.testing.assert_close(mean, value, rtol=1e-3, atol=1e-6, msg=f'{case}: {name}')
        for name, value in state.items():
            assert torch.equal(one[name], other[name]), f'{case}: {name}'
            if name.endswith('bank.features'):  # one push may be in the order of the ranks
                value, one[name] = value.sort(dim=-2).values, one[name].sort(dim=-2).values
            torch.testing.assert_close(one[name], value, msg=f'{case}: {name}')
