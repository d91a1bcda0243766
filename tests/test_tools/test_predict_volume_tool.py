# Copyright (c) mmseg_ctt contributors.
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from toy_volume_run import make_volume_run
from toy_volumes import AFFINE, SHAPE, toy_image, write_nifti

from mmseg_ctt.apis import load_model, predict_volume


@pytest.fixture
def made(tmp_path):
    return make_volume_run(tmp_path)


@pytest.fixture
def images(tmp_path):
    return tmp_path / 'volumes/images'


@pytest.fixture
def call(load_tool, made, tmp_path):
    """Calls the tool on the run; the folder of its outputs."""
    tool = load_tool('volumes/predict_volume')

    def call(*arguments, out='out', config=None, checkpoint=None):
        tool.call(
            config or made.config,
            checkpoint or made.checkpoint,
            *arguments,
            *('--out', tmp_path / out, '--device', 'cpu'),
        )
        return tmp_path / out

    return call


def files_of(folder: Path):
    """Every file below, hidden ones too."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob('*') if not path.is_dir())


def labels(path):
    return np.asarray(nib.load(path).dataobj)


def test_volumes_of_a_list(call, made, images, tmp_path, capsys):
    out = call(images, '--list', tmp_path / 'volumes/splits/val.txt', '--plane', 'y')
    assert files_of(out) == ['c.nii.gz', 'd.nii.gz', 'prediction.json']
    model = load_model(made.cfg, made.checkpoint)
    for name in 'cd':
        expected = predict_volume(model, images / f'{name}.nii.gz', plane='y').labels
        np.testing.assert_array_equal(labels(out / f'{name}.nii.gz'), expected)
    assert nib.load(out / 'c.nii.gz').affine == pytest.approx(AFFINE, abs=1e-6)
    assert '2/2' in capsys.readouterr().out
    settings = json.loads((out / 'prediction.json').read_text())['settings']
    assert (settings['plane'], settings['member']) == ('y', 'teacher0')


def test_every_member_has_a_folder(call, made, images):
    out = call(images / 'c.nii.gz', '--member', 'all')
    members = ['student0', 'student1', 'teacher0', 'teacher1', 'ensemble']
    assert sorted(path.name for path in out.iterdir()) == sorted(members)
    for member in members:
        model = load_model(made.cfg, made.checkpoint, member)
        expected = predict_volume(model, images / 'c.nii.gz').labels
        np.testing.assert_array_equal(labels(out / member / 'c.nii.gz'), expected)


def test_finished_cases_are_skipped(call, images, capsys):
    out = call(images / 'c.nii.gz')
    before = (out / 'c.nii.gz').stat().st_mtime_ns
    capsys.readouterr()
    call(images, '--batch-size', 3)
    assert (out / 'c.nii.gz').stat().st_mtime_ns == before
    printed = capsys.readouterr().out
    assert '1 of 6 cases are finished' in printed and '5/5' in printed
    call(images)
    assert '6 of 6 cases are finished' in capsys.readouterr().out


def test_goes_on_where_it_was_stopped(call, images, monkeypatch):
    """A case is finished when its labels are in the folder; nothing of another one is left."""
    import mmseg_ctt.deploy.volumes.run as run

    predict, started = run.predict_volume, []

    def stopping(model, volume, *arguments, **settings):
        started.append(volume.path)
        if len(started) == 3:
            raise KeyboardInterrupt
        return predict(model, volume, *arguments, **settings)

    monkeypatch.setattr(run, 'predict_volume', stopping)
    with pytest.raises(KeyboardInterrupt):
        call(images, '--probabilities', images.parent / 'kept')
    assert files_of(images.parent.parent / 'out') == ['a.nii.gz', 'b.nii.gz', 'prediction.json']
    assert files_of(images.parent / 'kept') == ['a.npy', 'b.npy']
    out = call(images, '--probabilities', images.parent / 'kept')
    assert len(started) == 3 + 4 and len(files_of(out)) == 7
    assert np.load(images.parent / 'kept/f.npy').shape == (2, *SHAPE)


@pytest.mark.parametrize(
    'change, words',
    [
        (dict(arguments=['--plane', 'x']), 'another plane:'),
        (dict(arguments=['--largest-component']), 'another largest_component:'),
        (dict(arguments=['--window', 0, 9]), 'another window:'),
        (dict(arguments=['--crop-size', 8, 8]), 'another windows:'),
        (dict(arguments=['--member', 'student0']), 'another member:'),
        (dict(checkpoint='other.pth'), 'another checkpoint, weights:'),
        (dict(image=toy_image(77)), 'of another file than .* or the file was changed'),
    ],
)
def test_other_predictions_are_not_replaced(call, made, images, tmp_path, change, words):
    out = call(images / 'c.nii.gz')
    before = {name: (out / name).read_bytes() for name in files_of(out)}
    checkpoint = None
    if 'checkpoint' in change:
        saved = torch.load(made.checkpoint)
        saved['state_dict']['teachers.0.decode_head.conv_seg.bias'] += 1
        checkpoint = tmp_path / change['checkpoint']
        torch.save(saved, checkpoint)
    if 'image' in change:
        write_nifti(images / 'c.nii.gz', change['image'])
    given = [images / 'c.nii.gz', *change.get('arguments', [])]
    with pytest.raises(ValueError, match=words):
        call(*given, checkpoint=checkpoint)
    assert before == {name: (out / name).read_bytes() for name in files_of(out)}
    call(*given, '--overwrite', checkpoint=checkpoint)
    assert files_of(out) == ['c.nii.gz', 'prediction.json']
    assert before['prediction.json'] != (out / 'prediction.json').read_bytes()


def test_with_overwrite_all_are_predicted_anew_also_after_a_stop(call, images, monkeypatch):
    import mmseg_ctt.deploy.volumes.run as run

    out = call(images)
    former = {name: labels(out / f'{name}.nii.gz') for name in 'abcdef'}

    def stopped(*arguments, **settings):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run, 'predict_volume', stopped)
        with pytest.raises(KeyboardInterrupt):
            call(images, '--plane', 'x', '--overwrite')
    call(images, '--plane', 'x')
    assert all((labels(out / f'{name}.nii.gz') != former[name]).any() for name in 'abcdef')


def test_overwriting_some_cases_leaves_none_of_other_settings(call, images):
    out = call(images / 'c.nii.gz', images / 'd.nii.gz')
    before = {name: (out / name).read_bytes() for name in files_of(out)}
    words = r'would not replace \(1 cases, such as d\): name all cases'
    with pytest.raises(ValueError, match=words):
        call(images / 'c.nii.gz', '--plane', 'x', '--overwrite')
    assert before == {name: (out / name).read_bytes() for name in files_of(out)}
    call(images / 'c.nii.gz', '--overwrite')  # the same settings
    assert sorted(json.loads((out / 'prediction.json').read_text())['cases']) == ['c', 'd']
    call(images, '--plane', 'x', '--overwrite')


def test_probabilities_in_another_folder(call, images, tmp_path, capsys):
    call(images / 'c.nii.gz', '--probabilities', tmp_path / 'first')
    call(images / 'c.nii.gz', '--probabilities', tmp_path / 'second')
    assert files_of(tmp_path / 'second') == ['c.npy']
    capsys.readouterr()
    call(images / 'c.nii.gz', '--probabilities', tmp_path / 'second')
    assert '1 of 1 cases are finished' in capsys.readouterr().out


def test_files_that_it_has_not_written(call, images, tmp_path):
    write_nifti(tmp_path / 'out/c.nii.gz', toy_image())
    with pytest.raises(ValueError, match='c.nii.gz exists, and prediction.json does not say'):
        call(images)
    assert files_of(tmp_path / 'out') == ['c.nii.gz']


@pytest.mark.parametrize('more', [[], ['--overwrite']])
def test_inputs_are_never_replaced(call, images, more):
    before = {name: (images / name).read_bytes() for name in files_of(images)}
    with pytest.raises(ValueError, match='is an input and would be replaced'):
        call(images / 'a.nii.gz', *more, out='volumes/images')
    for inputs, out in ((images, images), (images.parent, images / 'below')):
        with pytest.raises(ValueError, match='would be inside the input folder'):
            call(inputs, *more, out=out)
    with pytest.raises(ValueError, match='would be inside the input folder'):
        call(images, *more, '--probabilities', images / 'kept')
    assert before == {name: (images / name).read_bytes() for name in files_of(images)}


def test_equal_names_keep_their_folders(call, tmp_path):
    for patient in ('p1', 'p2'):
        write_nifti(tmp_path / 'data' / patient / 'image.nii', toy_image())
    np.savez(tmp_path / 'data/p3.npz', image=toy_image(), label=toy_image())
    out = call(tmp_path / 'data')
    assert files_of(out) == ['p1/image.nii', 'p2/image.nii', 'p3.npy', 'prediction.json']


def test_names_and_arrays_of_the_data_set(call, made, tmp_path):
    """img_suffix, seg_map_suffix and image_key, as training takes them."""
    folder = tmp_path / 'data'
    for seed, name in enumerate('ab'):
        write_nifti(folder / f'{name}_0000.nii.gz', toy_image(seed))
        write_nifti(folder / f'{name}_gt.nii.gz', toy_image(7))
    np.savez(tmp_path / 'e.npz', scan=toy_image(3), image=toy_image(4))
    (tmp_path / 'names.txt').write_text('b\n')
    ends = dict(img_suffix='_0000.nii.gz', seg_map_suffix='_gt.nii.gz', image_key='scan')
    made.cfg.test_dataloader.dataset.update(ends)
    made.cfg.dump(tmp_path / 'suffixes.py')
    config = tmp_path / 'suffixes.py'
    out = call(folder, config=config)
    assert files_of(out) == ['a.nii.gz', 'b.nii.gz', 'prediction.json']
    listed = call(folder, '--list', tmp_path / 'names.txt', config=config, out='listed')
    assert files_of(listed) == ['b.nii.gz', 'prediction.json']
    found = np.load(call(tmp_path / 'e.npz', config=config, out='array') / 'e.npy')
    model = load_model(made.cfg, made.checkpoint)
    expected = predict_volume(model, f'{tmp_path}/e.npz:scan').labels
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(predict_volume(model, tmp_path / 'e.npz').labels, expected)


def test_an_array_that_a_file_with_label_has(call, tmp_path):
    np.savez(tmp_path / 'e.npz', image=toy_image(), label=toy_image())
    assert files_of(call(tmp_path / 'e.npz')) == ['e.npy', 'prediction.json']


def test_two_inputs_of_one_case(call, images, tmp_path):
    write_nifti(tmp_path / 'c.nii', toy_image())
    np.save(tmp_path / 'c.npy', toy_image())
    with pytest.raises(ValueError, match="would both be the case 'c'"):
        call(tmp_path / 'c.nii', tmp_path / 'c.npy')


def bad_volume(folder: Path, kind: str) -> Path:
    path = folder / f'{kind}.nii.gz'
    if kind == 'truncated':
        write_nifti(path, toy_image())
        path.write_bytes(path.read_bytes()[:-200])
    elif kind == 'channels':
        write_nifti(path, np.stack([toy_image()] * 2, axis=-1))
    elif kind == 'constant':
        write_nifti(path, np.ones(SHAPE, np.uint8))
    elif kind == 'nan':
        write_nifti(path, np.where(toy_image() > 200, np.nan, toy_image()).astype(np.float32))
    elif kind == 'flat':
        write_nifti(path, toy_image()[:, :, :2])
    return path


@pytest.mark.parametrize(
    'kind, words',
    [
        ('absent', 'absent.nii.gz does not exist'),
        ('truncated', 'truncated.nii.gz cannot be read'),
        ('channels', 'has 4 axes'),
        ('constant', 'constant.nii.gz is constant'),
        ('nan', 'not finite'),
        ('flat', 'has 2 slices along z, fewer than context=3'),
    ],
)
def test_a_bad_volume_among_good_ones(call, images, tmp_path, kind, words):
    bad = bad_volume(tmp_path / 'bad', kind)
    with pytest.raises((ValueError, FileNotFoundError), match=words):
        call(images, bad, '--context', 3)
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize(
    'arguments, words',
    [
        (['--list', 'absent.txt'], 'the list absent.txt does not exist'),
        (['--member', 'teacher7'], "no member 'teacher7'"),
        (['--batch-size', 0], 'batch_size must be positive'),
        (['--stride', 4, 4], 'stride needs crop_size'),
        (['--window', 5, 1], 'rising numbers'),
    ],
)
def test_bad_arguments(call, images, tmp_path, arguments, words):
    with pytest.raises((ValueError, FileNotFoundError), match=words):
        call(images, *arguments)
    assert not (tmp_path / 'out').exists()


def test_a_list_of_absent_and_double_names(call, images, tmp_path):
    for content, words in (
        ('c\nx\n', 'the volume x of the list .* is not in'),
        ('c\nc.nii.gz\n', 'names the volume c twice'),
        ('\n', 'is empty'),
    ):
        (tmp_path / 'names.txt').write_text(content)
        with pytest.raises((ValueError, FileNotFoundError), match=words):
            call(images, '--list', tmp_path / 'names.txt')


def test_a_checkpoint_of_another_network(call, images, made, tmp_path):
    state = {k: v for k, v in made.state_dict.items() if 'conv_seg' not in k}
    torch.save(dict(state_dict=state), tmp_path / 'other.pth')
    with pytest.raises(ValueError, match='do not belong together'):
        call(images, checkpoint=tmp_path / 'other.pth')
    assert not (tmp_path / 'out').exists()


def test_probabilities_stay_out_of_the_labels(call, images, tmp_path):
    with pytest.raises(ValueError, match='must be a folder outside --out'):
        call(images, '--probabilities', tmp_path / 'out/kept')


def test_sizes_of_the_classes(call, made, images, capsys):
    out = call(images / 'c.nii.gz')
    text = capsys.readouterr().out
    count = int(labels(out / 'c.nii.gz').sum())
    millilitres = count * abs(np.linalg.det(AFFINE[:3, :3])) / 1000
    name = load_model(made.cfg, made.checkpoint).dataset_meta['classes'][1]
    assert count and f'; {name} {count} voxels ({millilitres:.1f} ml)' in text
    assert 'WARNING' not in text


def test_a_class_that_is_nowhere_is_named(call, made, images, capsys):
    checkpoint = torch.load(made.checkpoint, weights_only=False)
    for key, weight in checkpoint['state_dict'].items():
        if key.endswith('decode_head.conv_seg.bias'):
            weight[0] = 1e4  # background everywhere
    torch.save(checkpoint, made.checkpoint)
    call(images / 'c.nii.gz', images / 'd.nii.gz')
    name = load_model(made.cfg, made.checkpoint).dataset_meta['classes'][1]
    warning = capsys.readouterr().out.splitlines()[-1]
    assert warning.startswith(f'WARNING: no voxel of {name} in any of 2 volumes')
