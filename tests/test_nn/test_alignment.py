# Copyright (c) mmseg_ctt contributors.
import pytest
import torch
from mmengine.runner import Runner
from test_functional.test_no_sync import record
from toy import NUM_CLASSES, losses_of, toy_batch, toy_model, toy_segmentor
from toy_data import toy_config, write_toy_data

from mmseg_ctt.datasets.frequency import label_frequency
from mmseg_ctt.engine import DistributionAlignmentHook
from mmseg_ctt.functional import distribution_alignment, target_distribution
from mmseg_ctt.methods.ctt.segmentor import CrossTeacherTraining
from mmseg_ctt.nn.alignment import DistributionAlignment, MemberAlignment

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


def attach(model, **settings):
    model.alignment = MemberAlignment(model.teaching_members, TARGET, **settings)
    return model.alignment


@pytest.mark.parametrize(
    'kind, settings',
    [
        ('CrossTeacherTraining', dict()),
        ('CrossTeacherTraining', dict(teaching='mutual')),
        ('CrossTeacherTraining', dict(teaching='self', num_pairs=1)),
        ('DualNegativeLabel', dict(two_views=True)),
        ('STPG', dict()),
        ('AEL', dict()),
        ('U2PL', dict()),
    ],
)
def test_every_method_learns_from_aligned_outputs(kind, settings):
    """For the weak view; and of nothing else does the step change."""
    model, seen = toy_model(kind, **settings), []
    guides, given = model.guides, model.aligned_guides
    model.guides = lambda *args: seen.append(guides(*args)) or seen[-1]
    model.aligned_guides = lambda *args: seen.append(given(*args)) or seen[-1]
    attach(model, steps=4)
    losses_of(model, toy_batch())
    plain, aligned = seen
    assert plain.keys() == aligned.keys() == set(model.teaching_members)
    for name, (weak, *others) in plain.items():
        moved = aligned[name][0].logits - weak.logits
        assert moved.std(dim=(0, 2, 3)).max() < 1e-5 and moved.abs().max() > 0.1
        assert aligned[name][0].embedding is weak.embedding
        assert all(one is other for one, other in zip(others, aligned[name][1:]))
    assert all(one.pointer == 1 for one in model.alignment.values())


def test_other_passes_are_left_alone():
    """As those that PseudoLabelHook looks at; they do not enter the mean either."""
    model = toy_model()
    weak = torch.ones(2, 3, 32, 32)
    plain = model.guides(weak, weak)['teacher0'][0].logits
    attach(model)
    assert torch.equal(model.guides(weak, weak)['teacher0'][0].logits, plain)
    assert model.alignment['teacher0'].pointer == 0


def test_padding_does_not_enter_the_mean():
    """Not at the stride of the logits either."""
    model = toy_model()
    image = torch.randn(2, 3, 32, 32)
    output = model.guides(image, image)
    content = torch.zeros(2, 32, 32, dtype=torch.bool)
    content[0, :16, :24] = True
    alignment = attach(model, steps=2)
    alignment(output, content)
    want = output['teacher0'][0].logits[0, :, :4, :6].softmax(0).mean(dim=(1, 2))
    torch.testing.assert_close(alignment['teacher0'].means[0], want)


def test_a_method_that_takes_no_notice(tmp_path, monkeypatch):
    monkeypatch.setattr(
        CrossTeacherTraining,
        'aligned_guides',
        lambda self, weak, labeled, samples: self.guides(weak, labeled),
    )
    with pytest.raises(ValueError, match='CrossTeacherTraining asks no aligned_guides.*align=Fa'):
        run(write_toy_data(tmp_path / 'data'), tmp_path / 'work')


def run(root, work, resume=None, **changes):
    cfg = toy_config(
        root,
        work,
        resume=resume is not None,
        load_from=resume,
        **changes,
        train_cfg=dict(type='ResumableTrainLoop', max_iters=3, val_interval=100),
        custom_hooks=[
            dict(type='TeacherEMAHook'),
            dict(
                type='DistributionAlignmentHook', frequency=[8, 4, 2, 1], temperature=0.7, steps=2
            ),
        ],
    )
    if cfg.model.type == 'CrossTeacherTraining':
        cfg.model.class_thresholds = dict()
    cfg.default_hooks.checkpoint = dict(type='SafeCheckpointHook', interval=1)
    runner = Runner.from_cfg(cfg)
    runner.train()
    return runner.model.state_dict()


def test_resumed_run_is_the_uninterrupted_run(tmp_path):
    root = write_toy_data(tmp_path / 'data')
    whole = run(root, tmp_path / 'whole')
    assert whole['alignment.teacher0.pointer'] == 3
    assert whole['thresholds.updates'].max() == 3
    again = run(root, tmp_path / 'again', str(tmp_path / 'whole' / 'iter_1.pth'))
    assert whole.keys() == again.keys()
    assert all(torch.equal(value, again[name]) for name, value in whole.items())


def test_frequencies_are_counted_in_the_labels(tmp_path):
    """Not in the masks that the unlabelled images happen to have; and only for a training."""
    root = write_toy_data(tmp_path / 'data')
    hook = DistributionAlignmentHook()
    cfg = toy_config(root, tmp_path / 'work', custom_hooks=[])
    runner = Runner.from_cfg(cfg)
    hook.before_run(runner)
    target = runner.model.alignment['teacher0'].target
    torch.testing.assert_close(target, torch.full((NUM_CLASSES,), 1 / NUM_CLASSES))
    assert runner.train_loop is not None  # is built here
    hook.before_run(runner)
    pixels = label_frequency(cfg).pixel
    assert pixels.sum() > 0
    want = target_distribution(pixels).float()
    torch.testing.assert_close(runner.model.alignment['teacher0'].target, want)


def test_bad_settings(tmp_path):
    root = write_toy_data(tmp_path / 'data')
    for settings, words in (
        (dict(steps=0), 'steps'),
        (dict(temperature=-1), 'temperature'),
        (dict(frequency=[0, 0]), 'frequency must be finite, not negative, and'),
        (dict(frequency=[]), 'one positive'),
        (dict(frequency=[1, float('nan')]), 'frequency must be finite'),
        (dict(frequency=[1, -1]), 'frequency must be finite, not negative'),
    ):
        with pytest.raises(ValueError, match=words):
            DistributionAlignmentHook(**settings)
    with pytest.raises(ValueError, match='semi-supervised model, got EncoderDecoder'):
        run(root, tmp_path / 'a', model=toy_segmentor())
    with pytest.raises(ValueError, match='4 entries for 3 classes'):
        DistributionAlignmentHook([8, 4, 2, 1]).before_run(
            type('R', (), dict(model=toy_model(segmentor=toy_segmentor(num_classes=3))))
        )
