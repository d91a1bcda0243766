# Copyright (c) mmseg_ctt contributors.
import json
import random
from collections import Counter

import numpy as np
import pytest
import torch
from mmengine.runner import Runner
from mmseg.registry import MODELS
from PIL import Image
from toy import toy_segmentor
from toy_data import (
    CLASSES,
    CROP,
    HEIGHT,
    LABELED,
    NUM_CLASSES,
    SPLIT,
    UNLABELED,
    WIDTH,
    toy_config,
    toy_ctt,
    toy_method,
    toy_semi,
    toy_set,
    write_image,
    write_mask,
    write_toy_data,
)

import mmseg_ctt.engine.hooks.pseudo_label_hook as hook_file
from mmseg_ctt.engine.hooks.pseudo_label_hook import PseudoLabelHook
from mmseg_ctt.methods import CrossTeacherTraining, registered_methods
from mmseg_ctt.nn.data_preprocessor import SemiSegDataPreProcessor

HELD_BACK = dict(data_prefix=dict(seg_map_path='held_back'))
SEMI = [kind for kind, method in registered_methods().items() if 'unlabeled' in method.sources]
HOOK = dict(type='PseudoLabelHook', truth=HELD_BACK, interval=2, num_images=3, pictures=2)


@pytest.fixture
def root(tmp_path):
    """Toy data whose unlabelled images have masks in a folder that no training config names."""
    for seed, stem in enumerate(UNLABELED):
        write_mask(tmp_path / 'data' / 'held_back' / f'{stem}.png', 50 + seed)
    return write_toy_data(tmp_path / 'data')


def hook_of(runner):
    return next(hook for hook in runner.hooks if isinstance(hook, PseudoLabelHook))


MASKED = dict(labeled=1, unlabeled=0)  # all that a plain model takes


def trained(root, work_dir, hook=None, iterations=4, hooks=None, ratio=None, **changes):
    """A runner after its training, with ``hook`` as default_hooks.pseudo_labels."""
    cfg = toy_config(
        root,
        work_dir,
        val_dataloader=None,
        val_cfg=None,
        val_evaluator=None,
        train_cfg=dict(type='ResumableTrainLoop', max_iters=iterations),
        default_hooks=dict(pseudo_labels=hook, **(hooks or {})),
        **changes,
    )
    if ratio is not None:
        cfg.train_dataloader.sampler.ratio = ratio
    runner = Runner.from_cfg(cfg)
    runner.train()
    return runner


def tensors(value, name=''):
    """Every tensor of nested dicts and lists, by its path."""
    if isinstance(value, torch.Tensor):
        return {name: value}
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, (list, tuple))
        else ()
    )
    return {
        path: tensor
        for key, item in items
        for path, tensor in tensors(item, f'{name}.{key}').items()
    }


@pytest.mark.parametrize(
    'kind, settings',
    [
        ('CrossTeacherTraining', dict(teacher_mode='eval')),
        ('CrossTeacherTraining', dict()),
        ('CrossTeacherTraining', dict(supervision='mutual')),
        ('GuidedMixNet', dict()),
    ],
    ids=str,
)
def test_run_with_and_without_the_hook_are_equal(root, tmp_path, kind, settings):
    """Weights, statistics, banks and momenta bit by bit; dropout and batch norm are at work."""
    own = settings.get('teacher_mode') != 'eval' and not registered_methods()[kind].keeps_average
    hooks = dict(teacher_ema=dict(type='TeacherEMAHook', buffers=not own))
    states = []
    for name, hook in (('without', None), ('with', HOOK)):
        model = toy_method(kind, **settings)
        runner = trained(root, tmp_path / name, hook, model=model, hooks=hooks)
        states.append(
            tensors(
                dict(
                    model=dict(runner.model.state_dict()),
                    optimizer=runner.optim_wrapper.state_dict(),
                )
            )
        )
        assert (tmp_path / name / 'pseudo_labels').is_dir() == (hook is not None)
    assert states[0].keys() == states[1].keys() and len(states[0]) > 20
    for path, tensor in states[0].items():
        assert torch.equal(tensor, states[1][path]), path


def measure(runner, iteration=2):
    """Let the hook measure a model that has been trained, as if in that iteration."""
    runner.train_loop._iter = iteration - 1
    runner.model.train()
    hook_of(runner).after_train_iter(runner, iteration - 1)


def recorded(monkeypatch, model):
    """Pseudo-labels of each batch as the model gives them to the hook, while it measures."""
    batches, inspect = [], model.inspect_pseudo_labels
    monkeypatch.setattr(
        model,
        'inspect_pseudo_labels',
        lambda **images: batches.append(inspect(**images)) or batches[-1],
    )
    return batches


def test_random_numbers_and_gradients_are_left_alone(root, tmp_path):
    runner = trained(root, tmp_path / 'work', HOOK)
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(123)  # another state than at the end of the last measurement
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()
    runner.optim_wrapper.zero_grad()
    measure(runner)
    assert random.getstate() == before[0] and np.random.get_state()[1].tolist() == before[1]
    assert torch.equal(torch.get_rng_state(), before[2])
    assert all(parameter.grad is None for parameter in runner.model.parameters())
    assert runner.model.training


@pytest.mark.parametrize('kind', ['ClassMix', 'CrossTeacherTraining'])
def test_pictures_show_parts_of_labelled_images(root, tmp_path, monkeypatch, kind):
    """The strong view is pasted all over with the labelled images of the batch."""
    steps = [dict(type='CutMixing', partner='labeled', area=(1, 1))]
    drawn, draw = [], hook_file.save_grid
    monkeypatch.setattr(
        hook_file,
        'save_grid',
        lambda path, rows, *more: drawn.append(rows) or draw(path, rows, *more),
    )
    model = toy_method(kind, strong_augmentation=steps)
    runner = trained(root, tmp_path / 'work', HOOK, iterations=2, model=model)
    (rows,) = drawn
    batch, _ = next(iter(hook_of(runner).images.batches(runner.train_dataloader)))
    labeled = [
        image.flip(0).permute(1, 2, 0).numpy()
        for image, sample in zip(batch['inputs'], batch['data_samples'])
        if sample.source == 'labeled'
    ]
    assert len(rows) == len(labeled) == HOOK['pictures']
    for (weak, strong, *_), image in zip(rows, labeled):
        np.testing.assert_allclose(strong.astype(int), image, atol=1)
        assert (strong != weak).any()


def restate(labels, confidences, truths, threshold):
    """The figures of all teachers together, by their definitions, in NumPy."""
    label, confidence, truth = map(np.concatenate, (labels, confidences, truths))
    known, figures = truth != 255, {}
    figures['pseudo/used'] = (confidence >= np.float32(threshold)).mean()
    figures['pseudo/acc'] = (label == truth)[known].mean()
    ious = [
        ((label == k) & (truth == k)).sum() / (((label == k) | (truth == k)) & known).sum()
        for k in range(NUM_CLASSES)
    ]
    figures.update({f'pseudo/IoU_{name}': value for name, value in zip(CLASSES, ious)})
    return {**figures, 'pseudo/mIoU': np.mean(ious)}


def test_figures_against_a_restatement(root, tmp_path, monkeypatch):
    """From the pseudo-labels of the model and the masks on the disk."""
    data = toy_semi(root)
    data['unlabeled'] = toy_set(root, False, random=False)
    data['labeled'] = toy_set(root, True, random=False)
    work = tmp_path / 'work'
    runner = trained(
        root,
        work,
        dict(HOOK, confidence_threshold=0.28),
        train_dataloader=dict(
            batch_size=4,
            num_workers=0,
            dataset=data,
            sampler=dict(type='LabeledUnlabeledSampler', ratio=(1, 1)),
        ),
        visualizer=dict(type='SegLocalVisualizer', vis_backends=[dict(type='LocalVisBackend')]),
    )
    batches = recorded(monkeypatch, runner.model)
    measure(runner)
    assert [list(batch) for batch in batches] == [['teacher0', 'teacher1']] * 2
    masks = [
        np.array(Image.open(root / 'held_back' / f'{UNLABELED[index]}.png'))
        for index in hook_of(runner).images.chosen
    ]
    # the second batch has one new image, and the first image once more
    parts = [
        (target.label[:new].numpy(), target.confidence[:new].numpy(), truth)
        for batch, new, truth in zip(batches, (2, 1), (np.stack(masks[:2]), np.stack(masks[2:])))
        for target in batch.values()
    ]
    expected = restate(*zip(*parts), 0.28)
    hub = runner.message_hub
    for name, value in expected.items():
        assert hub.get_scalar(name).current() == pytest.approx(value), name
    assert 0 < expected['pseudo/used'] < 1 and 0 < expected['pseudo/mIoU'] < 1
    lines = [
        json.loads(line)
        for path in work.glob('*/vis_data/scalars.json')
        for line in path.read_text().splitlines()
    ]
    logged = [line for line in lines if 'pseudo/mIoU' in line]
    assert [line['step'] for line in logged] == [2, 4, 2]  # the last by hand
    assert logged[-1]['pseudo/mIoU'] == pytest.approx(expected['pseudo/mIoU'])
    (log,) = work.glob('*/*.log')
    assert 'pseudo-labels of 3 images at iteration 4: used' in log.read_text()
    assert len(list(work.glob('*/vis_data/vis_image/pseudo_labels*'))) >= 2


def test_last_batch_is_as_large_as_the_others(root, tmp_path, monkeypatch):
    """Batch statistics of one image would be others, or an error where a head pools it to 1x1."""
    segmentor = toy_segmentor()
    segmentor['decode_head'].update(type='PSPHead', pool_scales=(1, 2), channels=8)
    for key in ('num_convs', 'kernel_size', 'concat_input'):
        del segmentor['decode_head'][key]
    model = toy_ctt(strong_augmentation=[dict(type='ClassMixing')])
    model['segmentor'] = segmentor
    sizes, original = [], hook_file.pixel_counts
    monkeypatch.setattr(
        hook_file,
        'pixel_counts',
        lambda label, *args: sizes.append(len(label)) or original(label, *args),
    )
    trained(
        root,
        tmp_path / 'work',
        HOOK,
        iterations=2,
        model=model,
        hooks=dict(teacher_ema=dict(type='TeacherEMAHook', buffers=False)),
    )
    assert sizes == [2, 2, 1, 1]


def test_labels_are_those_of_a_step(root, tmp_path, monkeypatch):
    """Aligned, with the thresholds of the classes; a measurement changes neither."""
    runner = trained(
        root,
        tmp_path / 'work',
        HOOK,
        hooks=dict(alignment=dict(type='DistributionAlignmentHook', temperature=0.5, steps=2)),
        model=toy_ctt(consistency=dict(confidence_threshold=0.2, class_thresholds=dict())),
    )
    model, confident, of = runner.model, [], hook_file.pixel_counts
    monkeypatch.setattr(
        hook_file, 'pixel_counts', lambda *args: confident.append(args[1]) or of(*args)
    )
    before = {
        name: value.clone()
        for name, value in model.state_dict().items()
        if name.startswith(('alignment', 'consistency'))
    }
    batches = recorded(monkeypatch, model)
    measure(runner)
    assert len(before) == 12 and all(
        torch.equal(value, model.state_dict()[name]) for name, value in before.items()
    )
    first = batches[0]['teacher0']
    threshold = model.consistency.class_thresholds.of(first.label)
    assert torch.equal(confident[0], first.confidence >= threshold)
    monkeypatch.setattr(type(model.alignment), 'align', lambda self, outputs: outputs)
    measure(runner)
    aligned, plain = (batches[i]['teacher0'].confidence for i in (0, len(batches) // 2))
    assert (aligned - plain).abs().max() > 1e-3


def test_padding_counts_nowhere(root, tmp_path, monkeypatch):
    runner = trained(root, tmp_path / 'work', HOOK)
    counted, counts = [], hook_file.pixel_counts

    def half(samples, image):
        mask = torch.ones(len(image), *image.shape[2:], dtype=torch.bool)
        mask[..., image.shape[3] // 2 :] = False
        return mask

    def noted(label, *rest):
        counted.append((label, counts(label, *rest)))
        return counted[-1][1]

    monkeypatch.setattr('mmseg_ctt.nn.images.valid_mask', half)
    monkeypatch.setattr(hook_file, 'pixel_counts', noted)
    measure(runner)
    assert len(counted) == 4
    for label, counts_ in counted:
        assert (label == 255).float().mean() == 0.5
        assert counts_.labeled.sum() == label.numel() // 2 >= counts_.confident.sum()


def test_masks_are_cropped_and_flipped_with_their_images(root, tmp_path):
    """Images in which each class is a shade of grey."""
    for stem in UNLABELED:
        mask = np.array(Image.open(root / 'held_back' / f'{stem}.png'))
        grey = Image.fromarray((np.where(mask == 255, 0, mask) * 80).astype(np.uint8))
        grey.convert('RGB').save(root / 'img' / f'{stem}.jpg', quality=100)
    data = toy_semi(root)
    data['unlabeled']['pipeline'] = [
        dict(type='LoadImageFromFile'),
        dict(type='RandomCrop', crop_size=CROP),
        dict(type='RandomFlip', prob=0.5),
        dict(type='PackSegInputs'),
    ]
    runner = trained(
        root,
        tmp_path / 'work',
        dict(HOOK, seed=1),
        iterations=1,
        train_dataloader=dict(
            batch_size=4,
            num_workers=0,
            dataset=data,
            sampler=dict(type='LabeledUnlabeledSampler', ratio=(1, 1)),
        ),
    )
    images, flips = hook_of(runner).images, set()
    for number in range(3):
        sample = images._weak_view(number)
        mask = sample['data_samples'].gt_sem_seg.data[0]
        shown = (sample['inputs'].float().mean(dim=0) / 80).round()
        assert mask.shape == CROP and (mask != 255).any()
        assert torch.equal(mask[mask != 255], shown[mask != 255].to(mask.dtype))
        flips.add(sample['data_samples'].flip)
        images.truth, kept = None, images.truth
        without = images._weak_view(number)
        images.truth = kept
        assert torch.equal(sample['inputs'], without['inputs'])  # the weak view of training
    assert flips == {False, True}


def test_pictures(root, tmp_path, monkeypatch):
    grids = []
    monkeypatch.setattr(
        hook_file,
        'save_grid',
        lambda path, rows, titles, *rest: (
            grids.append((path, rows, titles)),
            Image.new('RGB', (4, 4)).save(path),
        ),
    )
    trained(root, tmp_path / 'work', HOOK)
    assert [path.name for path, *_ in grids] == ['iter_2.png', 'iter_4.png']
    _, rows, titles = grids[0]
    assert titles == ['image', 'strong view', 'pseudo-label', 'confidence', 'truth']
    assert len(rows) == 2
    for row in rows:
        assert all(picture.shape == (*CROP, 3) and picture.dtype == np.uint8 for picture in row)
        assert not np.array_equal(row[0], row[1])
    first = [row[0] for row in rows]
    assert all(np.array_equal(image, row[0]) for image, row in zip(first, grids[1][1]))  # fixed


def test_picture_has_the_colours_of_the_file(root, tmp_path, monkeypatch):
    data = toy_semi(root)
    data['unlabeled'] = toy_set(root, False, random=False)
    data['labeled'] = toy_set(root, True, random=False)
    rows = []
    monkeypatch.setattr(PseudoLabelHook, '_draw', lambda self, runner, shown: rows.extend(shown))
    runner = trained(
        root,
        tmp_path / 'work',
        dict(HOOK, truth=None),
        iterations=2,
        train_dataloader=dict(
            batch_size=4,
            num_workers=0,
            dataset=data,
            sampler=dict(type='LabeledUnlabeledSampler', ratio=(1, 1)),
        ),
    )
    stem = UNLABELED[hook_of(runner).images.chosen[0]]
    image = np.array(Image.open(root / 'img' / f'{stem}.jpg')).astype(int)
    assert image.shape == (HEIGHT, WIDTH, 3)
    assert np.abs(image - rows[0][0]).max() <= 4  # two decoders of JPEG


GRAPHS = [
    ('CrossTeacherTraining', dict(supervision='self', num_pairs=1)),
    ('CrossTeacherTraining', dict(supervision='dual')),
    ('CrossTeacherTraining', dict(supervision='mutual')),
    ('CrossTeacherTraining', dict(supervision='own')),
    ('CrossTeacherTraining', dict(loss_weights=dict(hc=0, lc=0))),
    ('CrossPseudoSupervision', dict(strong_augmentation=[])),
]


@pytest.mark.parametrize('kind, settings', [*((kind, {}) for kind in SEMI), *GRAPHS], ids=str)
def test_every_method_and_graph_without_truth(root, tmp_path, monkeypatch, kind, settings):
    """Those without strong augmentation or consistency too, and where a student teaches itself."""
    grids, save = [], hook_file.save_grid
    monkeypatch.setattr(hook_file, 'save_grid', lambda *args: grids.append(args[2]) or save(*args))
    model = toy_method(kind, **settings)
    runner = trained(root, tmp_path / 'work', dict(HOOK, truth=None), iterations=2, model=model)
    named = [name for name in runner.message_hub.log_scalars if name.startswith('pseudo/')]
    assert 'pseudo/used' in named and 'pseudo/acc' not in named
    assert (tmp_path / 'work' / 'pseudo_labels' / 'iter_2.png').is_file()
    views = ['strong view'] * (runner.model.strong_augmentation is not None)
    assert grids == [['image', *views, 'pseudo-label', 'confidence']]
    if runner.model.consistency is None:  # every pixel is a target
        assert runner.message_hub.get_scalar('pseudo/used').current() == 1


def test_nothing_is_measured_between_intervals(root, tmp_path, monkeypatch):
    monkeypatch.setattr(PseudoLabelHook, '_measure', lambda *_: pytest.fail('measured'))
    trained(root, tmp_path / 'work', dict(HOOK, interval=5))


@pytest.mark.parametrize(
    'hook, model, words',
    [
        (dict(interval=0), None, 'default_hooks.pseudo_labels.interval must be positive, got 0'),
        (dict(num_images=0), None, 'default_hooks.pseudo_labels.num_images'),
        (
            dict(truth=dict(data_prefix=dict(seg_map_path='absent'))),
            None,
            r'absent/u\d.png does not',
        ),
        (dict(truth=dict()), None, 'truth.data_prefix.seg_map_path'),
        (
            {},
            toy_segmentor(data_preprocessor=dict(type='SegDataPreProcessor', size=CROP)),
            'needs a model of this package, got Enc.*set default_hooks.pseudo_labels=None',
        ),
        (dict(confident=0.9), None, 'confident of version 0.1 is now .*confidence_threshold'),
        (dict(pictres=1), None, "unknown settings \\['pictres'\\]"),
    ],
)
def test_errors(root, tmp_path, hook, model, words):
    with pytest.raises((ValueError, FileNotFoundError), match=words):
        trained(root, tmp_path / 'work', {**HOOK, **hook}, model=model, ratio=model and MASKED)


def test_batches_have_the_sources_of_training(root, tmp_path, monkeypatch):
    """The preprocessor refuses a batch that lacks one of the method's sources."""

    class ThreeSources(CrossTeacherTraining):
        sources = ('labeled', 'unlabeled', 'another')

        def step(self, labeled, unlabeled, another):
            return super().step(labeled, unlabeled)

    monkeypatch.setitem(MODELS.module_dict, 'ThreeSources', ThreeSources)
    write_image(root / 'img' / 't0.jpg', 30)
    (root / SPLIT / 'another.txt').write_text('t0\n')
    counted, forward = [], SemiSegDataPreProcessor.forward

    def count(self, data, training=False):
        counted.append(Counter(sample.source for sample in data['data_samples']))
        return forward(self, data, training)

    monkeypatch.setattr(SemiSegDataPreProcessor, 'forward', count)
    loader = dict(
        batch_size=8,
        num_workers=0,
        dataset={**toy_semi(root), 'another': toy_set(root, False)},
        sampler=dict(type='LabeledUnlabeledSampler', ratio=dict(labeled=1, unlabeled=1, another=2)),
    )
    runner = trained(
        root,
        tmp_path / 'work',
        HOOK,
        iterations=2,
        model=toy_method('ThreeSources'),
        train_dataloader=loader,
    )
    training = dict(labeled=2, unlabeled=2, another=4)
    assert counted == [training] * 4  # two iterations; three images in two batches of two
    assert runner.message_hub.get_scalar('pseudo/mIoU').current() >= 0


def test_training_has_no_path_to_the_truth(root, tmp_path):
    runner = trained(root, tmp_path / 'work', HOOK, iterations=1)
    data = runner.train_dataloader.dataset
    for i in range(len(data.unlabeled)):
        assert 'seg_map_path' not in data.unlabeled.get_data_info(i)
    assert hook_of(runner).images.truth.ann_file.endswith(f'{SPLIT}/unlabeled.txt')


def test_buffers_of_parts_are_restored(root, tmp_path, monkeypatch):
    """Of class thresholds, for example, which are no member."""
    thresholds = dict(confidence_threshold=0.9, class_thresholds={})
    runner = trained(
        root, tmp_path, HOOK, iterations=1, model=toy_method('FixMatchSeg', consistency=thresholds)
    )
    model, inspect = runner.model, runner.model.inspect_pseudo_labels
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    assert any(name.startswith('consistency.') for name in before)

    def spoil(**given):
        for buffer in model.buffers():
            buffer.zero_() if buffer.any() else buffer.fill_(1)
        return inspect(**given)

    monkeypatch.setattr(model, 'inspect_pseudo_labels', spoil)
    measure(runner)
    for name, buffer in model.named_buffers():
        assert torch.equal(buffer, before[name]), name


def test_tags_of_the_unlabelled_images(root, tmp_path, monkeypatch):
    """The truth has masks, and the tags of the same images limit the pseudo-labels."""
    tags = {stem: [CLASSES[1 + i % 2]] for i, stem in enumerate((*LABELED, *UNLABELED))}
    (root / 'tags.json').write_text(json.dumps(tags))
    source = toy_set(root, False, type='TaggedImageDataset', tags='tags.json', background='class0')
    found, plain = [], CrossTeacherTraining.inspect_pseudo_labels

    def inspect(model, **images):
        found.append((images['unlabeled'].tags.clone(), images['unlabeled'].labels.clone()))
        return plain(model, **images)

    monkeypatch.setattr(CrossTeacherTraining, 'inspect_pseudo_labels', inspect)
    data = {**toy_semi(root), 'unlabeled': source}
    loader = dict(
        batch_size=4,
        num_workers=0,
        dataset=data,
        sampler=dict(type='LabeledUnlabeledSampler', ratio=(1, 1)),
    )
    runner = trained(
        root, tmp_path / 'work', HOOK, 2, model=toy_ctt(use_tags=True), train_dataloader=loader
    )
    assert len(hook_of(runner).images.chosen) == len(UNLABELED) and found
    assert all(row.sum() == 1 and row[1:3].any() for tags, _ in found for row in tags)
    assert all(labels.max() > 0 for _, labels in found)


def test_a_method_without_unlabelled_images_refuses_the_hook(root, tmp_path):
    with pytest.raises(
        ValueError, match='ClassActivationMaps makes no pseudo-labels of unlabelled'
    ):
        trained(
            root, tmp_path, dict(type='PseudoLabelHook'), model=toy_method('ClassActivationMaps')
        )
