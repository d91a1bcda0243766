# Copyright (c) mmseg_ctt contributors.
"""Every method on two ranks: whole runs, and steps against one process with all images."""

import zlib
from typing import Dict, Optional, Tuple

import torch
from family import (
    EVERY_RECIPE,
    Recipe,
    every_recipe_of,
    ready,
    trained_weights,
    unmixed,
    with_masks,
)
from mmengine.structures import PixelData
from test_distributed.ranks import Counted, Watch, on_ranks, rank_runner
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from toy import NUM_CLASSES, prepared, toy_batch
from toy_data import required_hooks, toy_method, write_toy_data
from versions import GLOO_BOOL

from mmseg_ctt.methods import SemiSegmentor
from mmseg_ctt.nn.member import PixelOutput

Tensors = Dict[str, Tensor]
Found = Tuple[Tensors, Tensors, Tensors]  # losses, gradients, ratios and memories
STATISTICS = ('running_mean', 'running_var')  # of the local batch, unless SyncBN is used
ITERATIONS = 3
WARMUP = dict(type='QueueWarmupHook', start_iter=2, interval=1, when_full=False)
# terms that are no mean over pixels, by method: U2PL, ReCo and PixCon draw anchors on each rank,
# GuidedMix-Net takes partners, and the exemplar task triplets, from the images of a rank
OTHER_TERMS = dict(
    U2PL=('loss_contrast',),
    ReCo=('loss_contrast',),
    PixCon=('loss_contrast',),
    GuidedMixNet=('loss_mix',),
    S4L=('loss_exemplar',),
)


# ---- whole runs


@GLOO_BOOL
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
    name = 'students.0.backbone.stem.weight'
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


def losses_and_gradients(
    recipe: Recipe,
    case: str,
    rows: slice,
    model: Optional[SemiSegmentor] = None,
    leaves: Optional[Tensors] = None,
) -> Found:
    """Of a step, and its ratios and the memories after it.

    The gradients are those of ``leaves``, else of the weights.
    """
    model = model or without_batch_statistics(ready(recipe, **unmixed(recipe)))
    data = prepared(model, batch(case, rows))
    model.labeled = data['inputs'].get('labeled')
    if case == 'padding on one rank':
        for sample in data['data_samples'][model.sources[-1]]:
            if sample.metainfo['draw'][1] < 6:
                sample.set_metainfo(dict(img_shape=(32, 12)))
    others = OTHER_TERMS.get(recipe.kind, ())
    terms = {
        key: value
        for key, value in model(**data, mode='loss').items()
        if not (others and key.endswith(others))
    }
    losses = {key: value for key, value in terms.items() if 'loss' in key}
    sum(losses.values()).backward()
    weights = trained_weights(model) if leaves is None else leaves
    gradients = {name: weight.grad for name, weight in weights.items() if weight.grad is not None}
    state = {
        name: value
        for name, value in model.named_buffers()
        if name.startswith(('contrast.bank', 'contrast.centroids', 'consistency', 'class_confid'))
    }
    state.update((key, value) for key, value in terms.items() if 'ratio' in key)
    return {key: value.detach() for key, value in losses.items()}, gradients, state


CASES = ('usual', 'classes of one rank only', 'nothing on a rank', 'padding on one rank')


# mix-and-match tuning has one term, of the graph of the patches of a rank
@every_recipe_of(lambda method: method.__name__ != 'MixAndMatchTuning')
def test_a_step_is_that_of_one_process_with_all_images(recipe):
    """The mean of losses and gradients over the ranks, which is what DDP takes."""
    alone = {case: losses_and_gradients(recipe, case, slice(0, 4)) for case in CASES}
    ranks = on_ranks(
        lambda rank: {
            case: losses_and_gradients(recipe, case, slice(2 * rank, 2 * rank + 2))
            for case in CASES
        }
    )
    for case, whole in alone.items():
        assert_mean_of_ranks(case, whole, *(rank[case] for rank in ranks))


def assert_mean_of_ranks(case: str, whole: Found, first: Found, second: Found) -> None:
    """Losses and gradients are the mean of the ranks', memories and ratios those of each rank."""
    for kind in (0, 1):
        assert first[kind].keys() == second[kind].keys() == whole[kind].keys()
        for name, value in whole[kind].items():
            mean = (first[kind][name] + second[kind][name]) / 2
            rtol = (1e-4, 1e-3)[kind]
            torch.testing.assert_close(mean, value, rtol=rtol, atol=1e-6, msg=f'{case}: {name}')
    for name, value in whole[2].items():
        got = first[2][name]
        assert torch.equal(got, second[2][name]), f'{case}: {name}'
        if name.endswith('bank.features'):  # one push may be in the order of the ranks
            value, got = value.sort(dim=-2).values, got.sort(dim=-2).values
        torch.testing.assert_close(got, value, msg=f'{case}: {name}')


# ---- the same with outputs that are made up, which differ more than those of small networks


def with_outputs(model: SemiSegmentor, case: str, rows: slice) -> Dict[str, Tensor]:
    """Give every pass outputs by member and image; the logits of students are leaves.

    The gradient of the leaves is kept in the place of all four images.
    """
    scale = 3 if case == 'certain' else 1
    leaves: Dict[str, Tensor] = {}

    def output(name: str, source: str) -> PixelOutput:
        g = torch.Generator().manual_seed(zlib.crc32(f'{name} {source}'.encode()))
        logits = scale * torch.randn(4, NUM_CLASSES, 8, 8, generator=g)
        if case == 'classes of one rank only':
            logits[:2, 2:] -= 10
        embedding, feature = (torch.randn(4, 8, 8, 8, generator=g) for _ in range(2))
        if model.members[name].trains:
            leaf = leaves.setdefault(f'{name} {source}', logits.requires_grad_())
            logits = leaf
        return PixelOutput(logits[rows], embedding[rows], [feature[rows], feature[rows]])

    def batch_output(name, batch, perturb):
        """A batch may hold several views of the images, and a perturbation appends copies."""
        source = 'labeled' if torch.equal(batch, model.labeled) else 'unlabeled'
        number = len(batch)
        if perturb is not None:
            number = len(perturb([torch.zeros(number, 8, 8, 8)] * 2)[0])
        views = [output(name, source)]
        for i in range(1, number // len(views[0].logits)):
            views.append(output(name, f'{source} {i}'))
        maps = [
            torch.cat([getattr(view, key) for view in views]) for key in ('logits', 'embedding')
        ]
        levels = [torch.cat(level) for level in zip(*(view.features for view in views))]
        return PixelOutput(*maps, levels)

    def forward_members(names, *batches, gradient='weights', perturb=None):
        found = {}
        changes = perturb if isinstance(perturb, (list, tuple)) else [None] * len(batches)
        for name in names:
            outputs = [batch_output(name, *pair) for pair in zip(batches, changes)]
            constant = torch.is_grad_enabled() and gradient == 'weights'
            found[name] = (
                outputs
                if constant
                else [
                    PixelOutput(o.logits.detach(), o.embedding.detach(), o.features)
                    for o in outputs
                ]
            )
        return found

    model.forward_members = forward_members
    return leaves


def made_up(recipe: Recipe, case: str, rows: slice) -> Found:
    model = without_batch_statistics(ready(recipe, **unmixed(recipe)))
    leaves = with_outputs(model, case, rows)
    return losses_and_gradients(recipe, case, rows, model, leaves)


SHARP = ('usual', 'certain', 'classes of one rank only', 'padding on one rank')


# GuidedMix-Net mixes features inside the network, which made-up outputs of it pass by; CAC
# compares the outputs for two crops, which made-up ones do not differ in; ECOCSeg learns bits
OTHER_OUTPUTS = ('GuidedMixNet', 'ContextAwareConsistency', 'ECOCSeg')


@every_recipe_of(lambda method: with_masks(method) and method.__name__ not in OTHER_OUTPUTS)
def test_losses_of_made_up_outputs(recipe):
    alone = {case: made_up(recipe, case, slice(0, 4)) for case in SHARP}
    ranks = on_ranks(
        lambda rank: {case: made_up(recipe, case, slice(2 * rank, 2 * rank + 2)) for case in SHARP}
    )
    for case, whole in alone.items():
        assert_mean_of_ranks(case, whole, *(rank[case] for rank in ranks))
