# Copyright (c) mmseg_ctt contributors.
"""Losses on two ranks, averaged as DDP averages gradients, against one process with all images."""

import pytest
import torch
from ranks import assert_as_one_process
from toy import NUM_CLASSES, ready_model

from mmseg_ctt.nn.member import PixelOutput

SIDE, WIDTH = 8, 8


def outputs(images, seed):
    """Logits and embeddings of each student, to be differentiated."""
    g = torch.Generator().manual_seed(seed)
    return [
        PixelOutput(
            logits=2 * torch.randn(images, NUM_CLASSES, SIDE, SIDE, generator=g),
            embedding=torch.randn(images, WIDTH, SIDE, SIDE, generator=g),
            features=[],
        )
        for _ in range(2)
    ]


def everything(case):
    """Two labelled and two unlabelled images, and what they are taught; the halves are ranks."""
    g = torch.Generator().manual_seed(1)
    label = torch.randint(0, NUM_CLASSES, (4, SIDE, SIDE), generator=g)
    target = torch.randint(0, NUM_CLASSES, (4, SIDE, SIDE), generator=g)
    confidence = torch.rand(4, SIDE, SIDE, generator=g)
    if case == 'a class on one rank only':
        label[:2], target[:2] = label[:2] % 2, target[:2] % 2
    elif case == 'a rank without a confident pixel':
        confidence[:2] = 0.1
    elif case == 'a rank where all is confident':
        confidence[2:] = 1.0
    elif case == 'nothing on a rank':
        label[:2], confidence[:2] = 255, 0.1
    return outputs(4, 2), outputs(4, 3), label, (target, confidence)


def part_of(value, rows):
    """The rows of every tensor of a structure, as new leaves."""
    if isinstance(value, PixelOutput):
        return PixelOutput(*(part_of(tensor, rows) for tensor in value))
    if isinstance(value, (list, tuple)):
        return type(value)(part_of(one, rows) for one in value)
    part = value[rows].clone()
    return part.requires_grad_() if part.is_floating_point() and part.dim() == 4 else part


def contrast(case, rows):
    """Both terms of each student, and the gradient of all embeddings."""
    model = ready_model(contrast=dict(threshold=0.5))
    labeled, strong, label, target = part_of(everything(case), rows)
    terms = model.contrast(labeled, strong, label, [torch.stack([one, one]) for one in target])
    values = torch.cat([terms['high'], terms['low']])
    values.sum().backward()
    gradients = torch.cat([output.embedding.grad for output in (*labeled, *strong)], dim=1)
    return values.detach(), gradients


def teaching(case, rows):
    """Eq 5 of each student, the shares of confident pixels, and the gradient of all logits."""
    model = ready_model(confident=0.5)
    strong, _, _, target = part_of(everything(case), rows)
    terms = model._teach(strong, [torch.stack([one, one])[:, None] for one in target])
    sum(terms[f'student{i}.loss_ct'] for i in (0, 1)).backward()
    return (
        torch.stack([term.detach() for term in terms.values()]),
        torch.cat([output.logits.grad for output in strong], dim=1),
    )


CASES = (
    'usual',
    'a class on one rank only',
    'a rank without a confident pixel',
    'a rank where all is confident',
    'nothing on a rank',
)


@pytest.mark.parametrize('case', CASES)
@pytest.mark.parametrize('losses', [contrast, teaching])
def test_as_one_process_with_the_double_batch(losses, case):
    assert_as_one_process(lambda rows: losses(case, rows))
