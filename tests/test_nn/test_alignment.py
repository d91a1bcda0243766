# Copyright (c) mmseg_ctt contributors.
import pytest
import torch
from no_sync import record
from toy import NUM_CLASSES

from mmseg_ctt.functional import distribution_alignment, target_distribution
from mmseg_ctt.nn.alignment import DistributionAlignment, MemberAlignment
from mmseg_ctt.nn.member import PixelOutput

TARGET = target_distribution(torch.tensor([8.0, 4, 2, 1]))


def logits(seed=0):
    return 2 * torch.randn(2, NUM_CLASSES, 5, 6, generator=torch.Generator().manual_seed(seed))


def test_running_mean_by_hand():
    """Uniform at first; every step replaces the oldest of the last means."""
    module = DistributionAlignment(TARGET, steps=3)
    means = [torch.full((NUM_CLASSES,), 1 / NUM_CLASSES)] * 3
    for step in range(5):
        o = logits(step)
        model = torch.stack(means[-3:]).mean(0)
        want = distribution_alignment(o.softmax(1), model, TARGET.float())
        torch.testing.assert_close(module(o).softmax(1), want)
        means.append(o.softmax(1).mean(dim=(0, 2, 3)))
    assert module.pointer == 5


def test_a_start_without_uniform_means():
    """The first step is left as it is, the next ones follow the steps there are."""
    module, means = DistributionAlignment(TARGET, steps=3, uniform_start=False), []
    for step in range(5):
        o = logits(step)
        want = (
            o.softmax(1)
            if not means
            else distribution_alignment(
                o.softmax(1), torch.stack(means[-3:]).mean(0), TARGET.float()
            )
        )
        torch.testing.assert_close(module(o).softmax(1), want)
        means.append(o.softmax(1).mean(dim=(0, 2, 3)))


def test_only_raise_leaves_common_classes_alone():
    both, up = DistributionAlignment(TARGET), DistributionAlignment(TARGET, only_raise=True)
    bias = [module(logits()) - logits() for module in (both, up)]
    assert (bias[0] < -0.1).any() and (bias[0] > 0.1).any()
    torch.testing.assert_close(bias[1], bias[0].clamp(min=0))


@pytest.mark.parametrize('uniform', [True, False])
def test_autocast_rounds_nothing(uniform):
    module = DistributionAlignment(TARGET, steps=3, uniform_start=uniform)
    module(logits())
    plain = module.align(logits(1))
    with torch.autocast('cpu', torch.bfloat16):
        assert torch.equal(module.align(logits(1)), plain)


def test_a_class_without_labels_is_not_raised():
    target = target_distribution(torch.tensor([9e5, 1e5, 0, 1]), temperature=0.5)
    module = DistributionAlignment(target, steps=2, uniform_start=False, only_raise=True)
    module(logits())
    bias = module.align(logits()) - logits()
    assert bias[:, 2].max() == 0


def test_align_alone_changes_no_state():
    module = DistributionAlignment(TARGET, steps=3)
    module(logits())
    before = {name: value.clone() for name, value in module.state_dict().items()}
    aligned = module.align(logits(1))
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert torch.equal(aligned, module(logits(1)))


def test_pixels_that_do_not_count():
    module, none = DistributionAlignment(TARGET, 2), torch.zeros(2, 5, 6, dtype=torch.bool)
    module(logits(), none)
    torch.testing.assert_close(module.means, torch.full((2, NUM_CLASSES), 0.25))
    some = none.clone()
    some[0, :2] = True
    module(logits(), some)
    want = logits().softmax(1)[0, :, :2].mean(dim=(1, 2))
    torch.testing.assert_close(module.means[0], want)  # the step before entered nothing
    assert module.pointer == 1


def test_no_host_synchronisation():
    module = DistributionAlignment(TARGET, 4)
    assert record(lambda: module(logits())) == []
    module = DistributionAlignment(TARGET, 4, uniform_start=False)
    assert record(lambda: module(logits())) == []


def outputs(seed):
    """Of two members, for the weak view and for other images."""
    return {
        name: [PixelOutput(logits(seed + i + j), None, []) for j in (0, 10)]
        for i, name in enumerate(('teacher0', 'teacher1'))
    }


def test_only_the_first_output_of_each_member_is_aligned():
    alignment, given = MemberAlignment(('teacher0', 'teacher1'), TARGET, steps=4), outputs(3)
    assert not alignment.applied
    alignment(outputs(0), None)
    assert alignment.applied
    want = {name: alignment[name].align(given[name][0].logits) for name in given}
    for name, (weak, other) in alignment(given, None).items():
        assert torch.equal(weak.logits, want[name]) and other is given[name][1]
    assert torch.equal(alignment['teacher0'].pointer, alignment['teacher1'].pointer)
    assert not torch.equal(alignment['teacher0'].means, alignment['teacher1'].means)


def test_padding_does_not_enter_the_mean_at_the_stride_of_the_logits_either():
    alignment, given = MemberAlignment(('teacher0', 'teacher1'), TARGET, steps=2), outputs(0)
    valid = torch.zeros(2, 10, 12, dtype=torch.bool)  # twice the size of the logits
    valid[0, :4, :6] = True
    alignment(given, valid)
    want = given['teacher0'][0].logits[0, :, :2, :3].softmax(0).mean(dim=(1, 2))
    torch.testing.assert_close(alignment['teacher0'].means[0], want)
