# Copyright (c) mmseg_ctt contributors.
import json
import random
from collections import Counter

import numpy as np
import pytest
import torch
from mmengine.runner import Runner
from PIL import Image
from toy_data import (
    CLASSES,
    CROP,
    HEIGHT,
    NUM_CLASSES,
    SPLIT,
    UNLABELED,
    WIDTH,
    toy_config,
    toy_ctt,
    toy_segmentor,
    toy_semi,
    toy_set,
    write_image,
    write_mask,
    write_toy_data,
)

import mmseg_ctt.engine.hooks.pseudo_label_hook as hook_file
from mmseg_ctt.engine.hooks.pseudo_label_hook import PseudoLabelHook
from mmseg_ctt.nn.data_preprocessor import SemiSegDataPreProcessor

HELD_BACK = dict(data_prefix=dict(seg_map_path='held_back'))
HOOK = dict(type='PseudoLabelHook', truth=HELD_BACK, interval=2, num_images=3, pictures=2)


@pytest.fixture
def root(tmp_path):
    """Toy data whose unlabelled images have masks in a folder that no training config names."""
    for seed, stem in enumerate(UNLABELED):
        write_mask(tmp_path / 'data' / 'held_back' / f'{stem}.png', 50 + seed)
    return write_toy_data(tmp_path / 'data')


def runner_of(root, work_dir, *hooks, model=None, **changes):
    cfg = toy_config(root, work_dir, **changes)
    if model is not None:
        cfg.model = model
    cfg.custom_hooks.extend(hooks)
    return Runner.from_cfg(cfg)


def hook_of(runner):
    return next(hook for hook in runner.hooks if isinstance(hook, PseudoLabelHook))


def trained(root, work_dir, *hooks, iterations=4, **changes):
    runner = runner_of(
        root,
        work_dir,
        *hooks,
        val_dataloader=None,
        val_cfg=None,
        val_evaluator=None,
        train_cfg=dict(type='ResumableTrainLoop', max_iters=iterations),
        **changes,
    )
    runner.train()
    return runner


def tensors(value, name=''):
    """Every tensor of a nest of dicts and lists, by its place."""
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
        place: tensor
        for key, item in items
        for place, tensor in tensors(item, f'{name}.{key}').items()
    }


@pytest.mark.parametrize(
    'model',
    [None, dict(teacher_mode='train'), dict(teaching='mutual', teacher_mode='train')],
    ids=['eval', 'train', 'mutual'],
)
def test_run_with_and_without_the_hook_are_equal(root, tmp_path, model):
    """Weights, statistics, banks and momenta bit by bit; dropout and batch norm are at work."""
    model = toy_ctt(**(model or {}))
    hooks = (
        []
        if model.get('teaching') == 'mutual'
        else [dict(type='TeacherEMAHook', buffers=model.get('teacher_mode') != 'train')]
    )
    states = []
    for name, more in (('without', []), ('with', [HOOK])):
        runner = trained(root, tmp_path / name, *more, model=model, custom_hooks=hooks)
        states.append(
            tensors(
                dict(
                    model=dict(runner.model.state_dict()),
                    optimizer=runner.optim_wrapper.state_dict(),
                )
            )
        )
        assert (tmp_path / name / 'pseudo_labels').is_dir() == bool(more)
    assert states[0].keys() == states[1].keys() and len(states[0]) > 20
    for place, tensor in states[0].items():
        assert torch.equal(tensor, states[1][place]), place


def look(runner, iteration=2):
    """Let the hook look at a model that has been trained, as if in that iteration."""
    runner.train_loop._iter = iteration - 1
    runner.model.train()
    hook_of(runner).after_train_iter(runner, iteration - 1)


def test_random_numbers_and_gradients_are_left_alone(root, tmp_path):
    runner = trained(
        root, tmp_path / 'work', HOOK, model=toy_ctt(teacher_mode='train'), custom_hooks=[]
    )
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(123)  # else the state might be the one that the last look left behind
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()
    runner.optim_wrapper.zero_grad()
    look(runner)
    assert random.getstate() == before[0] and np.random.get_state()[1].tolist() == before[1]
    assert torch.equal(torch.get_rng_state(), before[2])
    assert all(parameter.grad is None for parameter in runner.model.parameters())
    assert runner.model.training


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
    """Pseudo-labels as they leave the model, masks as they lie on disk."""
    data = toy_semi(root)
    data['unlabeled'] = toy_set(root, False, random=False)
    data['labeled'] = toy_set(root, True, random=False)
    work = tmp_path / 'work'
    runner = trained(
        root,
        work,
        dict(HOOK, confident=0.28),
        train_dataloader=dict(
            batch_size=4,
            num_workers=0,
            dataset=data,
            sampler=dict(type='LabeledUnlabeledSampler', ratio=(1, 1)),
        ),
        visualizer=dict(type='SegLocalVisualizer', vis_backends=[dict(type='LocalVisBackend')]),
    )
    seen, original = [], hook_file.pseudo_label
    monkeypatch.setattr(
        hook_file, 'pseudo_label', lambda *args: seen.append(original(*args)) or seen[-1]
    )
    look(runner)
    assert [len(label) for label, _ in seen] == [2, 2, 2, 2]  # two batches, two teachers
    seen[2:] = [(label[:1], confidence[:1]) for label, confidence in seen[2:]]  # the third image
    masks = [
        np.array(Image.open(root / 'held_back' / f'{UNLABELED[index]}.png'))
        for index in hook_of(runner).chosen
    ]
    truths = [np.stack(masks[:2])] * 2 + [np.stack(masks[2:])] * 2
    expected = restate(
        [label.numpy() for label, _ in seen],
        [confidence.numpy() for _, confidence in seen],
        truths,
        0.28,
    )
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
    model = toy_ctt(
        teacher_mode='train', joint_forward='students', strong_view=dict(jitter_prob=0, blur_prob=0)
    )
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
        custom_hooks=[dict(type='TeacherEMAHook', buffers=False)],
    )
    assert sizes == [2, 2, 1, 1]


def test_shows_what_is_taught(root, tmp_path, monkeypatch):
    """Aligned labels, and the thresholds of the classes; looking moves neither."""
    align = dict(type='DistributionAlignmentHook', temperature=0.5, steps=2)
    runner = trained(root, tmp_path / 'work', align, HOOK, model=toy_ctt(class_thresholds=dict()))
    model, asked, aligned = runner.model, [], []
    threshold_of, plain = model.threshold_of, hook_file.pseudo_label
    monkeypatch.setattr(
        model, 'threshold_of', lambda label: asked.append(label) or threshold_of(label)
    )
    monkeypatch.setattr(
        hook_file,
        'pseudo_label',
        lambda logits, *rest: aligned.append(logits) or plain(logits, *rest),
    )
    before = {
        name: value.clone()
        for name, value in model.state_dict().items()
        if name.startswith(('alignment', 'thresholds'))
    }
    look(runner)
    assert len(before) == 6 and all(
        torch.equal(value, model.state_dict()[name]) for name, value in before.items()
    )
    assert asked and len(asked) == len(aligned)
    monkeypatch.setattr(type(model.alignment['teacher0']), 'align', lambda self, logits: logits)
    look(runner)
    bias = aligned[0] - aligned[len(aligned) // 2]
    assert bias.abs().max() > 1e-3 and bias.std(dim=(0, 2, 3)).max() < 1e-4


def test_padding_counts_nowhere(root, tmp_path, monkeypatch):
    runner = trained(root, tmp_path / 'work', HOOK)
    seen, counts = [], hook_file.pixel_counts

    def half(samples, image):
        mask = torch.ones(len(image), *image.shape[2:], dtype=torch.bool)
        mask[..., image.shape[3] // 2 :] = False
        return mask

    def noted(label, *rest):
        seen.append((label, counts(label, *rest)))
        return seen[-1][1]

    monkeypatch.setattr(hook_file, 'content_mask', half)
    monkeypatch.setattr(hook_file, 'pixel_counts', noted)
    look(runner)
    for label, counted in seen:
        assert (label == 255).float().mean() == 0.5
        assert counted.labeled.sum() == label.numel() // 2 >= counted.confident.sum()


def test_mask_follows_crop_and_flip(root, tmp_path):
    """Images that show their own class as a shade of grey."""
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
    hook, flips = hook_of(runner), set()
    for number in range(3):
        sample = hook._weak_view(number)
        mask = sample['data_samples'].gt_sem_seg.data[0]
        shown = (sample['inputs'].float().mean(dim=0) / 80).round()
        assert mask.shape == CROP and (mask != 255).any()
        assert torch.equal(mask[mask != 255], shown[mask != 255].to(mask.dtype))
        flips.add(sample['data_samples'].flip)
        hook.truth_set, kept = None, hook.truth_set
        without = hook._weak_view(number)
        hook.truth_set = kept
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
    assert all(np.array_equal(one, row[0]) for one, row in zip(first, grids[1][1]))  # fixed


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
    stem = UNLABELED[hook_of(runner).chosen[0]]
    image = np.array(Image.open(root / 'img' / f'{stem}.jpg')).astype(int)
    assert image.shape == (HEIGHT, WIDTH, 3)
    assert np.abs(image - rows[0][0]).max() <= 4  # two decoders of JPEG


@pytest.mark.parametrize(
    'model',
    [
        dict(teaching='self', num_pairs=1),
        dict(teaching='dual'),
        dict(teaching='mutual'),
        dict(loss_weights=dict(hc=0, lc=0)),
    ],
    ids=str,
)
def test_every_teaching_graph_and_no_truth(root, tmp_path, model):
    runner = trained(
        root,
        tmp_path / 'work',
        dict(HOOK, truth=None),
        iterations=2,
        model=toy_ctt(**model),
        custom_hooks=[],
    )
    named = [name for name in runner.message_hub.log_scalars if name.startswith('pseudo/')]
    assert 'pseudo/used' in named and 'pseudo/acc' not in named
    assert (tmp_path / 'work' / 'pseudo_labels' / 'iter_2.png').is_file()


def test_nothing_happens_between_intervals(root, tmp_path, monkeypatch):
    monkeypatch.setattr(PseudoLabelHook, '_look', lambda *_: pytest.fail('looked'))
    trained(root, tmp_path / 'work', dict(HOOK, interval=5))


@pytest.mark.parametrize(
    'hook, model, words',
    [
        (dict(interval=0), None, 'PseudoLabelHook.interval must be positive, got 0'),
        (dict(num_images=0), None, 'PseudoLabelHook.num_images'),
        (
            dict(truth=dict(data_prefix=dict(seg_map_path='absent'))),
            None,
            r'absent/u\d.png does not',
        ),
        (dict(truth=dict()), None, 'truth.data_prefix.seg_map_path'),
        (
            {},
            toy_segmentor(data_preprocessor=dict(type='SegDataPreProcessor', size=CROP)),
            'needs a semi-supervised model, got Enc',
        ),
    ],
)
def test_errors(root, tmp_path, hook, model, words):
    with pytest.raises((ValueError, FileNotFoundError), match=words):
        trained(root, tmp_path / 'work', {**HOOK, **hook}, model=model, custom_hooks=[])


def test_batches_have_the_sources_of_training(root, tmp_path, monkeypatch):
    """The preprocessor refuses a batch that lacks one of the method's sources."""
    write_image(root / 'img' / 't0.jpg', 30)
    (root / SPLIT / 'tagged.txt').write_text('t0\n')
    names = ('labeled', 'unlabeled', 'tagged')
    counted, forward = [], SemiSegDataPreProcessor.forward

    def count(self, data, training=False):
        counted.append(Counter(sample.source for sample in data['data_samples']))
        return forward(self, data, training)

    monkeypatch.setattr(SemiSegDataPreProcessor, 'forward', count)
    loader = dict(
        batch_size=8,
        num_workers=0,
        dataset={**toy_semi(root), 'tagged': toy_set(root, False)},
        sampler=dict(type='LabeledUnlabeledSampler', ratio=dict(labeled=1, unlabeled=1, tagged=2)),
    )
    runner = trained(
        root,
        tmp_path / 'work',
        HOOK,
        iterations=2,
        model=toy_ctt(data_preprocessor=dict(sources=names)),
        train_dataloader=loader,
    )
    training = dict(labeled=2, unlabeled=2, tagged=4)
    assert counted == [training] * 4  # two iterations; three images in two batches of two
    assert runner.message_hub.get_scalar('pseudo/mIoU').current() >= 0


def test_training_has_no_path_to_the_truth(root, tmp_path):
    runner = trained(root, tmp_path / 'work', HOOK, iterations=1)
    data = runner.train_dataloader.dataset
    for i in range(data.num_unlabeled):
        assert 'seg_map_path' not in data.unlabeled.get_data_info(i)
    assert hook_of(runner).truth_set.ann_file.endswith(f'{SPLIT}/unlabeled.txt')
