# Copyright (c) mmseg_ctt contributors.
import json

import pytest
import torch
from mmengine.runner import Runner
from mmseg.registry import DATASETS
from toy import toy_segmentor
from toy_data import toy_config, toy_ctt, toy_method, toy_set, write_toy_data

from mmseg_ctt.lab.benchmark import preparation
from mmseg_ctt.lab.benchmark.sections import SECTIONS, SectionStack
from mmseg_ctt.lab.benchmark.step import StepBenchmark, benchmark_step
from mmseg_ctt.lab.benchmark.synthetic import use_synthetic_data
from mmseg_ctt.nn.consistency import Consistency

OF_CTT = [name for name in SECTIONS if name != 'perturbation']  # it perturbs no features

# where a step may not wait for the device; `data` and `logging` are mmengine's
QUIET = (
    'teachers',
    'pseudo-labels',
    'students forward',
    'losses',
    'contrast',
    'bank',
    'EMA',
    'backward',
    'optimiser',
    'other',
)


@pytest.fixture
def config(tmp_path):
    write_toy_data(tmp_path / 'data')
    return toy_config(tmp_path / 'data', tmp_path / 'work')


@pytest.fixture
def measure(tmp_path):
    """Counts of one step of a config, after two others."""

    def call(cfg, action=lambda benchmark: benchmark.count()[0]):
        runner = Runner.from_cfg(preparation.prepare_config(cfg, str(tmp_path / 'benchmark')))
        stack = SectionStack()

        def act(loop):
            benchmark = StepBenchmark(loop, stack)
            benchmark.warm_up(1)
            return action(benchmark)

        return preparation.run_in_train_loop(runner, stack, act)

    return call


def test_report_of_a_ctt_step(config):
    result = benchmark_step(config, repeats=2, warmup=1)
    json.dumps(result)
    assert list(result['sections']) == OF_CTT
    seconds = result['seconds']
    assert result['floor_ratio'] == seconds['step'] / seconds['floor']
    assert len(seconds['steps']) == len(seconds['floors']) == 2
    operations = result['operations']
    sections = result['sections'].values()
    assert operations['outside'] + operations['autograd'] == sum(
        section['operations']['outside'] for section in sections
    )
    assert (
        operations['networks'] == sum(section['operations']['networks'] for section in sections) > 0
    )
    assert 0 < operations['views_among_them'] < operations['outside']
    assert operations['autograd'] == result['sections']['backward']['operations']['outside']
    assert result['sections']['EMA']['operations']['outside'] <= 4
    assert (
        result['memory']['step_mib'] >= max(section['peak_memory_mib'] for section in sections) > 0
    )
    assert result['iterations'] == dict(repeats=2, warmup=1)
    assert result['machine']['threads'] == torch.get_num_threads()


def test_every_section_of_every_step_is_timed(config, measure):
    times = measure(config, lambda benchmark: benchmark.time(3))
    assert [len(column) for column in times] == [3, 3, 3, 3]
    assert all(set(step) == set(OF_CTT) for step in times.steps)
    assert all(value > 0 for step in times.steps for value in step.values())
    assert min(times.cpu_steps + times.cpu_floors) > 0


@pytest.mark.parametrize('joint', [True, False])
def test_no_synchronisation_in_the_steady_state(config, measure, joint):
    config.model = toy_ctt(joint_forward=joint)
    counter = measure(config)
    waits = {name: counter.total(counter.synchronisations, name) for name in QUIET}
    assert waits == dict.fromkeys(QUIET, 0)
    for name in QUIET:
        assert counter.total(counter.outside + counter.networks, name) > 0, name


def test_the_strong_view_does_not_wait(config, measure):
    counter = measure(config)
    assert counter.total(counter.synchronisations, 'strong view') == 0


def test_planted_operations_and_a_planted_read_are_found(config, measure, monkeypatch):
    before = measure(config)
    forward = Consistency.forward

    def slower(self, logits, *args):
        logits.max().neg().item()
        return forward(self, logits, *args)

    monkeypatch.setattr(Consistency, 'forward', slower)
    after = measure(config)
    more = after.outside - before.outside
    assert {section for section, _ in more} == {'losses'}
    assert more['losses', 'max'] == more['losses', 'neg'] == 1
    assert after.total(after.synchronisations, 'losses') == 1


def test_the_steady_state_is_measured(config, measure):
    config.default_hooks.queue_warmup.start_iter = None  # the contrast waits for full queues
    seen = measure(
        config,
        lambda benchmark: (
            benchmark.model.contrast.active,
            benchmark.model.contrast.fill_ratio().min().item(),
        ),
    )
    assert seen == (True, 1.0)


def test_parts_that_start_later_are_at_work(config, measure):
    """A contrast from a quarter of the run on, and past models, of which a new run has none."""
    config.model = toy_method('ContextAwareConsistency', start=0.25)
    assert measure(config, lambda benchmark: benchmark.model.start())
    config.model = toy_method('PrevMatch')
    config.default_hooks.past_models = dict(type='PastModelsHook')
    assert measure(config, lambda benchmark: benchmark.model.ring.stored) >= 2


def test_floors_leave_no_gradient_for_the_step(config, measure):
    def gradients(benchmark):
        benchmark.time(1)
        return [p.grad for p in benchmark.model.parameters() if p.grad is not None]

    assert measure(config, gradients) == []


def test_two_benchmarks_in_one_process(config):
    config.visualizer.vis_backends = [dict(type='LocalVisBackend')]
    config.visualizer.name = 'visualizer'
    for _ in range(2):
        assert benchmark_step(config, repeats=1, warmup=1)['floor_ratio'] > 0


def test_a_supervised_step(config):
    config.model = toy_segmentor()
    config.default_hooks.teacher_ema = config.default_hooks.queue_warmup = None
    config.model.data_preprocessor.size = (32, 32)
    config.train_dataloader.sampler.ratio = (1, 0)
    result = benchmark_step(config, repeats=2, warmup=1)
    assert set(result['sections']) == {
        'data',
        'students forward',
        'losses',
        'backward',
        'optimiser',
        'logging',
        'other',
    }
    assert result['floor_ratio'] > 0


@pytest.mark.parametrize('size', ['preprocessor', 'crop'])
def test_synthetic_data_has_the_size_of_the_config(tmp_path, size, measure):
    cfg = toy_config(tmp_path / 'absent', tmp_path / 'work', model=toy_ctt(joint_forward=True))
    expected = (32, 32)
    if size == 'preprocessor':
        expected = (48, 40)
        cfg.model.segmentor.data_preprocessor.size = expected
    use_synthetic_data(cfg)
    images = measure(cfg, lambda benchmark: [one.images for one in benchmark.passes])
    assert {tuple(image.shape) for image in images} == {(4, 3, *expected)}


def test_synthetic_data_has_no_frequencies_to_count(tmp_path, measure):
    cfg = toy_config(tmp_path / 'absent', tmp_path / 'work', model=toy_ctt())
    cfg.default_hooks.alignment = dict(type='DistributionAlignmentHook')
    use_synthetic_data(cfg)
    target = measure(cfg, lambda benchmark: benchmark.model.alignment['teacher0'].target)
    torch.testing.assert_close(target, torch.full((4,), 0.25))


def test_synthetic_data_has_the_sources_of_the_config(tmp_path):
    cfg = toy_config(tmp_path / 'absent', tmp_path / 'work')
    cfg.train_dataloader.dataset.tagged = toy_set(tmp_path, False)
    cfg.train_dataloader.dataset.coarse = toy_set(tmp_path, True)
    use_synthetic_data(cfg)
    data = DATASETS.build(cfg.train_dataloader.dataset)
    assert data.num_images == dict.fromkeys(('labeled', 'unlabeled', 'coarse', 'tagged'), 64)
    samples = [data[i]['data_samples'] for i in (0, 63, 64, 128, 255)]
    assert [sample.source for sample in samples] == [
        'labeled',
        'labeled',
        'unlabeled',
        'coarse',
        'tagged',
    ]
    assert ['gt_sem_seg' in sample for sample in samples] == [True, True, False, True, False]


def test_synthetic_data_has_tags_and_maps(tmp_path):
    cfg = toy_config(write_toy_data(tmp_path), tmp_path / 'work', model=toy_method('AuxSegNet'))
    use_synthetic_data(cfg)
    data = DATASETS.build(cfg.train_dataloader.dataset)
    assert data.num_images == dict(tagged=64) and data.tag_matrix('tagged').shape == (64, 4)
    sample = data[3]['data_samples']
    assert not sample.gt_tags.label[0] and sample.gt_tags.label.any()
    assert 'gt_sem_seg' not in sample
    assert sample.pseudo_label.data.dtype == torch.uint8
    assert 0 <= sample.saliency.data.min() and sample.saliency.data.max() <= 1


def test_synthetic_data_needs_a_size(tmp_path):
    cfg = toy_config(tmp_path, tmp_path)
    del cfg.train_dataloader.dataset
    with pytest.raises(ValueError, match='data_preprocessor.size'):
        use_synthetic_data(cfg)


def test_pretrained_weights_are_not_fetched(tmp_path):
    cfg = toy_config(tmp_path, tmp_path)
    weights = dict(type='Pretrained', checkpoint='https://absent')
    cfg.model.segmentor.pretrained = 'absent://weights'
    cfg.model.segmentor.backbone.init_cfg = weights
    cfg.model.segmentor.decode_head.init_cfg = [dict(type='Normal', layer='Conv2d'), weights]
    timm = dict(type='TIMMBackbone', model_name='resnet18')  # which downloads by default
    cfg.model.student_overrides = [dict(backbone=dict(init_cfg=weights)), dict(backbone=timm)]
    prepared = preparation.prepare_config(cfg, str(tmp_path))
    assert 'absent' not in str(prepared.model)
    assert prepared.model.segmentor.decode_head.init_cfg == [dict(type='Normal', layer='Conv2d')]
    assert prepared.model.student_overrides[1].backbone.pretrained is False
    assert cfg.model.segmentor.pretrained == 'absent://weights'


def test_backbones_are_compiled_in_step_and_floor(config, measure):
    calls = []

    def backend(graph, inputs):
        return lambda *args: calls.append(1) or graph(*args)

    def act(benchmark):
        preparation.compile_networks(benchmark.model, backend=backend)
        benchmark.step()
        in_step = len(calls)
        benchmark.floor()
        return in_step, len(calls) - in_step

    in_step, in_floor = measure(config, act)
    assert in_step == in_floor >= 4


@pytest.mark.parametrize('counts', [dict(repeats=0), dict(warmup=0)])
def test_counts_must_be_positive(config, counts):
    with pytest.raises(ValueError, match='must be positive'):
        benchmark_step(config, **counts)


def test_loops_of_epochs_are_refused(config):
    config.train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=1)
    with pytest.raises(ValueError, match='train_cfg.max_epochs=1.*Count in iterations'):
        benchmark_step(config, repeats=1, warmup=1)
