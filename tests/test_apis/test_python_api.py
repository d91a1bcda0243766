# Copyright (c) mmseg_ctt contributors.
"""Training, evaluation and export in the process of a notebook."""

import importlib
import json
import logging
import os
import random
import signal
import threading
import time
import warnings

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import DefaultScope
from mmengine.visualization import Visualizer
from toy_data import CLASSES, LABELED, toy_config, write_toy_data
from toy_folders import KINDS

from mmseg_ctt.apis import TrainingRun, evaluate, export, load_model, predict, train
from mmseg_ctt.deploy.export.onnx_graph import Agreement
from mmseg_ctt.engine import PreemptionHook, ResumableTrainLoop
from mmseg_ctt.lab.new_run import new_run
from mmseg_ctt.lab.python_api import Scores
from mmseg_ctt.lab.python_api.evaluate import grouped
from mmseg_ctt.lab.python_api.train import config_of_folder, network_file

module = importlib.import_module('mmseg_ctt.lab.python_api.export')
PNG = b'\x89PNG'


def notebook_config(folder, **changes):
    """A toy run that records its scalars, and validates after each of two iterations."""
    local = dict(type='SegLocalVisualizer', vis_backends=[dict(type='LocalVisBackend')])
    cfg = toy_config(
        write_toy_data(folder / 'data'),
        folder / 'work',
        visualizer=dict(local, name='visualizer'),
        hooks=dict(
            checkpoint=dict(type='SafeCheckpointHook', interval='validation'),
            preemption=dict(type='PreemptionHook'),
        ),
        **changes,
    )
    cfg.train_cfg.val_interval = 1
    return cfg


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    return train(notebook_config(tmp_path_factory.mktemp('run')))


def files(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob('*') if path.is_file()}


def test_run_has_paths_scores_and_curves(run):
    assert run.checkpoint.name == 'iter_2.pth' and run.config.is_file()
    assert run.member == 'teacher0'
    assert run.members == ['student0', 'student1', 'teacher0', 'teacher1', 'ensemble']
    assert list(run.scores.members) == run.members
    assert run.curves['teacher0/mIoU'].steps == [1, 2]
    assert run.scores['teacher0']['mIoU'] == run.curves['teacher0/mIoU'].values[-1]
    assert run.scores.best() in run.members and 'teacher0' in str(run)
    assert TrainingRun(run.work_dir).checkpoint == run.checkpoint


def test_run_shows_itself(run):
    html = run._repr_html_()
    assert html.count('data:image/png;base64,') == 2
    assert all(f'>{name}</td>' in html for name in run.members)
    assert html.count('font-weight: bold') == len(run.scores.metrics) + 1  # the row of teacher0
    assert run._repr_png_().startswith(PNG)


def test_run_without_its_data_still_shows_curves(run, tmp_path):
    moved = tmp_path / 'work'
    moved.mkdir()
    (moved / 'toy.py').write_text(run.config.read_text().replace('/data', '/nowhere'))
    shown = TrainingRun(moved)
    html = shown._repr_html_()
    assert 'no predictions: the run has no checkpoint' in html and html.count('<img') == 1
    assert shown._repr_png_().startswith(PNG) and not shown.scores.members
    with pytest.raises(ValueError, match='no checkpoint yet'):
        shown.model()


def test_evaluation_gives_the_scores_of_the_validation_and_of_classes(run):
    before = files(run.work_dir)
    scores = evaluate(run)
    assert scores.members == {
        name: pytest.approx(run.scores[name], abs=0.01) for name in run.members
    }
    values = scores.classes['student1']
    assert tuple(values) == CLASSES
    assert np.nanmean(list(values.values())) == pytest.approx(scores['student1']['mIoU'], abs=0.01)
    assert files(run.work_dir) == before
    for text in (str(scores), scores._repr_html_()):
        assert 'class2' in text and 'iter_2.pth on 3 images of the val set' in text
    assert 'on 3 images of the test set, the validation images' in str(evaluate(run, data='test'))
    with pytest.raises(KeyError, match='student2'):
        scores['student2']
    with pytest.raises(ValueError, match="'mDice'"):
        scores.best('mDice')


def test_evaluation_of_a_run_that_only_validates(run):
    none = dict.fromkeys(('test_dataloader', 'test_evaluator', 'test_cfg'))
    assert evaluate(run, cfg_options=none).members == evaluate(run).members


def test_evaluation_names_no_folder_that_is_gone(run, capfd, tmp_path, monkeypatch):
    monkeypatch.setattr('tempfile.tempdir', str(tmp_path / 'temporary'))
    (tmp_path / 'temporary').mkdir()
    evaluate(run)
    printed = ''.join(capfd.readouterr())
    assert 'images: test 3' in printed and str(tmp_path / 'temporary') not in printed


def test_scores_have_the_digits_that_were_meant(run):
    for scores in (evaluate(run), run.scores):
        for values in scores.members.values():
            assert all(value == round(value, 2) for value in values.values()), values


def test_evaluation_of_what_cannot_be_evaluated(run):
    with pytest.raises(ValueError, match="'train'"):
        evaluate(run, data='train')
    with pytest.raises(ValueError, match='second argument'):
        evaluate(run.config)
    with pytest.raises(ValueError, match='no test_dataloader'):
        evaluate(run, data='test', cfg_options=dict(test_dataloader=None))


def test_scores_of_a_plain_segmentor_have_one_member():
    metrics, classes = grouped({'mIoU': np.float32(5), 'IoU/road': 4.0}, ['model'])
    assert grouped({'mIoU': np.float32(31.03)}, ['model'])[0]['model']['mIoU'] == 31.03
    assert metrics == dict(model=dict(mIoU=5.0)) and classes == dict(model=dict(road=4.0))
    assert Scores({}, {}, 'model', 'none')._repr_html_() == '<p>none: no scores</p>'
    assert Scores(dict(model=dict(a=float('nan'))), {}, 'model', '').best('a') == 'model'


def test_export_predicts_as_the_run(run):
    made = export(run)
    assert made.config.parent == run.work_dir / 'exported' and made.member == 'teacher0'
    assert made.onnx is None and str(made.checkpoint) in str(made)
    image = str(run.work_dir.parent / 'data' / 'img' / f'{LABELED[0]}.jpg')
    expected = predict(run.model(), image).labels
    np.testing.assert_array_equal(predict(made.model(), image).labels, expected)
    other = export(run.work_dir, member='student1', name='mine', out_dir=run.work_dir / 'b')
    assert other.config.name == 'mine.py' and other.member == 'student1'
    with pytest.raises(ValueError, match='size is that of the ONNX graph'):
        export(run, size=(32, 32))


def test_an_export_replaces_no_other(run, tmp_path):
    first = export(run, out_dir=tmp_path)
    before = first.checkpoint.read_bytes()
    again = export(run, out_dir=tmp_path)
    assert again.checkpoint == first.checkpoint and again.checkpoint.read_bytes() == before
    with pytest.raises(ValueError, match='is there, of another export: .*in Python name'):
        export(run, out_dir=tmp_path, member='student1', name=first.config.stem)
    first.config.write_text('changed = True\n')
    with pytest.raises(ValueError, match=f'{first.config} is there'):
        export(run, out_dir=tmp_path)
    assert first.checkpoint.read_bytes() == before and len(list(tmp_path.glob('*.p*'))) == 2


def test_export_as_onnx_is_the_checked_one(run, monkeypatch):
    called = []

    def export_checked(model, path, size):
        called.append((model.member_name, path.name, size))
        return Agreement(2048, 0, 0.0)

    monkeypatch.setattr(module, 'check_packages', lambda: None)
    monkeypatch.setattr(module, 'export_checked', export_checked)
    made = export(run, out_dir=run.work_dir / 'onnx', onnx=True, size=(32, 32))
    assert called == [(None, made.onnx.name, (32, 32))]
    assert 'ONNX: 0 of 2048 labels differ' in str(made) and str(made.onnx) in str(made)


def state_of_process():
    kinds = (MMLogger, MessageHub, DefaultScope, Visualizer)
    return dict(
        managed=[list(kind._instance_dict) for kind in kinds],
        handlers=[signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)],
        python=random.getstate(),
        numpy=json.dumps(np.random.get_state()[1].tolist()),
        torch=torch.get_rng_state().tolist(),
        cudnn=torch.backends.cudnn.benchmark,
        environment=dict(os.environ),
        filters=list(warnings.filters),
        root=list(logging.getLogger().handlers),
    )


@pytest.fixture
def interrupted(monkeypatch):
    """Ctrl-C in the first iteration."""
    run_iter = ResumableTrainLoop.run_iter

    def interrupt(loop, batch):
        if loop._iter == 0:
            os.kill(os.getpid(), signal.SIGINT)
        run_iter(loop, batch)

    with monkeypatch.context() as patch:
        patch.setattr(ResumableTrainLoop, 'run_iter', interrupt)
        yield patch


def test_interrupt_keeps_a_checkpoint_and_the_process(tmp_path, interrupted):
    """The second and third run of this process, in folders of their own."""
    cfg, before = notebook_config(tmp_path), state_of_process()
    with pytest.raises(KeyboardInterrupt, match=r'iter_1.pth is saved in .*resume=True'):
        train(cfg, work_dir=tmp_path / 'mine')
    assert state_of_process() == before
    interrupted.undo()
    resumed = train(cfg, work_dir=tmp_path / 'mine', resume=True, amp='bf16')
    assert state_of_process() == before
    assert resumed.checkpoint.name == 'iter_2.pth'
    assert resumed.curves['loss'].steps[-1] == 2
    assert Config.fromfile(resumed.config).optim_wrapper.type == 'BFloat16OptimWrapper'
    assert not (tmp_path / 'work').exists()


def test_second_interrupt_stops_at_once(capfd):
    hook = PreemptionHook()
    hook.stay_in_process()
    assert hook.signals == [signal.SIGINT]
    hook._handle_signal(signal.SIGINT, None)
    hook.interrupted = time.monotonic() - 5
    with pytest.raises(KeyboardInterrupt):
        hook._handle_signal(signal.SIGINT, None)


def test_other_threads_set_no_handlers():
    hook = PreemptionHook()
    thread = threading.Thread(target=hook.stay_in_process)
    thread.start()
    thread.join()
    assert hook.signals == []


def test_wrong_arguments(tmp_path):
    with pytest.raises(FileNotFoundError, match='absent.py'):
        train('absent.py')
    with pytest.raises(TypeError, match='got int'):
        train(3)
    with pytest.raises(ValueError, match='sizes.max_iters is in cfg_options'):
        train('absent.py', iterations=2, cfg_options={'sizes.max_iters': 3})
    with pytest.raises(ValueError, match="model='segformer-b9'.*segformer-b0"):
        train('ctt_deeplabv3plus_streets_1-8.py', model='segformer-b9')
    with pytest.raises(TypeError, match="cfg_options must be a dict .*, got 'x=3'"):
        train('absent.py', cfg_options='x=3')
    with pytest.raises(ValueError, match="amp='bf32' is not known"):
        train('ctt_deeplabv3plus_streets_1-8.py', amp='bf32')
    with pytest.raises(ValueError, match='needs a work_dir'):
        train(Config(dict(model=dict(type='EncoderDecoder'))))
    assert network_file('mmseg::a/b.py') == 'mmseg::a/b.py'
    assert network_file('segformer-b0').endswith('_base_/networks/segformer-b0.py')


def test_errors_of_a_folder_are_in_words_of_python(tmp_path):
    KINDS['plain_ids'](tmp_path)
    new_run(tmp_path)
    call = rf"new_run\('{tmp_path}', 'ctt-plus', 'resnet50', name='NAME'\).configs\['ctt-plus'\]"
    with pytest.raises(ValueError, match=f'another network than .*In Python, options .*{call}'):
        train(tmp_path, model='resnet50')
    (tmp_path / 'empty').mkdir()
    with pytest.raises(FileNotFoundError, match='no image was found.*In Python, options'):
        train(tmp_path / 'empty')


def test_a_folder_keeps_the_network_of_its_baseline(tmp_path):
    KINDS['plain_ids'](tmp_path)
    path = new_run(tmp_path, model='segformer-b0').configs['supervised']
    text = path.read_text()
    made = config_of_folder(tmp_path, dict(method='fixmatch'))
    assert made.name == 'fixmatch.py' and path.read_text() == text


@pytest.mark.parametrize(
    'arguments, kind',
    [
        (dict(iterations=0), ValueError),
        (dict(amp='foo'), ValueError),
        (dict(resume='absent.pth'), FileNotFoundError),
        (dict(cfg_options={'sizes.max_iter': 3}), ValueError),
        (dict(cfg_options={'model.consistncy.a': 3}), ValueError),
        (dict(cfg_options={'optim_wrapper.optimizer.learning_rate': 3}), TypeError),
        (dict(cfg_options={'train_dataloader.batchsize': 3}), ValueError),
        (dict(cfg_options=['a=1']), TypeError),
        (dict(method='absent'), ValueError),
    ],
)
def test_nothing_is_written_for_wrong_arguments_of_a_folder(tmp_path, arguments, kind):
    KINDS['no_meta'](tmp_path)
    before = sorted(tmp_path.rglob('*'))
    with pytest.raises(kind):
        train(tmp_path, **arguments)
    assert sorted(tmp_path.rglob('*')) == before


def test_folders_that_are_no_run(tmp_path, run):
    KINDS['no_meta'](tmp_path)
    made = new_run(tmp_path)
    folder = made.configs['supervised'].parent
    for call in (TrainingRun, evaluate, export):
        with pytest.raises(FileNotFoundError, match='holds configs and no run: .*runs/'):
            call(folder)
    for call in (evaluate, export):
        with pytest.raises(FileNotFoundError, match='absent does not exist: give the work folder'):
            call(tmp_path / 'absent')
    with pytest.raises(ValueError, match=r'TrainingRun\(.*\).model\(\) loads the network'):
        load_model(run.work_dir)
    with pytest.raises(ValueError, match='needs a checkpoint beside the config'):
        load_model(run.config)
