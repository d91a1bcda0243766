# Copyright (c) mmseg_ctt contributors.
import importlib.util
import inspect
import sys

import numpy as np
import pytest
import torch
from toy_data import HEIGHT, LABELED, WIDTH
from toy_run import make_run, small_ctt, small_segmentor

from mmseg_ctt.deploy.api import load_model, predict
from mmseg_ctt.deploy.export import export_member, read_checkpoint, write_export
from mmseg_ctt.deploy.export.onnx_graph import PACKAGES, Agreement, PixelLabels

MISSING = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
OLDER = 'external_data' not in inspect.signature(torch.onnx.export).parameters
needs_onnx = pytest.mark.skipif(
    bool(MISSING) or OLDER, reason=f'not installed: {", ".join(MISSING)}, or an older PyTorch'
)


@pytest.fixture
def tool(load_tool):
    return load_tool('model_converters/export_onnx')


@pytest.fixture
def exported(tmp_path):
    run = make_run(tmp_path)
    return run, write_export(
        export_member(run.cfg, read_checkpoint(run.checkpoint)), tmp_path / 'out', 'toy'
    )


@needs_onnx
@pytest.mark.parametrize('dynamic', [False, True])
def test_labels_of_onnxruntime(tmp_path, tool, exported, capsys, dynamic):
    import onnxruntime

    run, files = exported
    folder = tmp_path / 'data' / 'img'
    options = ['--dynamic-batch'] if dynamic else []
    tool.call(*files, tmp_path / 'm.onnx', '--shape', HEIGHT, WIDTH, *options)
    printed = capsys.readouterr().out
    assert f'm.onnx: 0 of {2 * HEIGHT * WIDTH} labels differ' in printed
    session = onnxruntime.InferenceSession(
        str(tmp_path / 'm.onnx'), providers=['CPUExecutionProvider']
    )
    results = predict(load_model(*files), [folder / f'{stem}.jpg' for stem in LABELED])
    pixels = np.stack([one.image.transpose(2, 0, 1) for one in results]).astype(np.float32)
    batches = [pixels] if dynamic else np.split(pixels, len(pixels))
    outputs = [session.run(None, {'image': batch}) for batch in batches]
    labels, confidence = (np.concatenate(parts) for parts in zip(*outputs))
    assert labels.dtype == np.int64 and len(np.unique(labels)) > 1
    np.testing.assert_array_equal(labels, np.stack([one.labels for one in results]))
    np.testing.assert_allclose(confidence, np.stack([one.confidence for one in results]), atol=5e-4)


@needs_onnx
def test_a_run_by_its_member(tmp_path, tool, capsys):
    """Heads of this package too, which stock mmseg does not have; the size is the config's."""
    segmentor = small_segmentor()
    segmentor['decode_head'] = dict(
        type='DeepLabV2ASPPHead',
        in_channels=16,
        in_index=1,
        channels=32,
        dilations=(2, 4),
        num_classes=4,
        align_corners=True,
        loss_decode=dict(type='PixelCrossEntropyLoss'),
    )
    segmentor['data_preprocessor']['size'] = (32, 40)
    run = make_run(tmp_path, model=dict(small_ctt(), segmentor=segmentor))
    tool.call(run.config, run.checkpoint, tmp_path / 'm.onnx', '--member', 'student1')
    assert f'0 of {2 * 32 * 40} labels differ' in capsys.readouterr().out


SEGMENTORS = {
    'RGB': {},
    'BGR': dict(data_preprocessor=dict(bgr_to_rgb=False)),
    'sigmoid': dict(decode_head=dict(num_classes=2, out_channels=1, threshold=0.3)),
}


@pytest.mark.parametrize('name', SEGMENTORS)
def test_graph_is_the_model(tmp_path, name):
    """From RGB pixels to the results of :func:`predict`, whatever the model reads and says."""
    segmentor = small_segmentor()
    for part, changes in SEGMENTORS[name].items():
        segmentor[part].update(changes)
    run = make_run(tmp_path, model=segmentor)
    model = load_model(run.config, run.checkpoint)
    image = np.random.RandomState(1).randint(0, 256, (32, 48, 3)).astype(np.uint8)
    expected = predict(model, image)
    with torch.inference_mode():
        pixels = torch.from_numpy(image.transpose(2, 0, 1)).float()[None]
        label, confidence = PixelLabels(model, (32, 48))(pixels)
    np.testing.assert_array_equal(label[0], expected.labels)
    np.testing.assert_allclose(confidence[0], expected.confidence, atol=1e-6)
    assert len(np.unique(label)) > 1


def test_disagreement_is_an_error(tmp_path, tool, exported, monkeypatch):
    _, files = exported
    import mmseg_ctt.deploy.export.onnx_graph as graph

    monkeypatch.setattr(graph, 'check_packages', lambda: None)
    monkeypatch.setattr(graph, 'export_onnx', lambda *_: None)
    monkeypatch.setattr(graph, 'compare', lambda model, path, images: Agreement(1000, 1, 0.1))
    with pytest.raises(ValueError, match='does not give the labels.*m.onnx is not written'):
        tool.call(*files, tmp_path / 'm.onnx', '--shape', 32, 48)


def test_another_export_is_not_replaced(tmp_path, tool, exported, monkeypatch):
    _, files = exported
    import mmseg_ctt.deploy.export.onnx_graph as graph

    monkeypatch.setattr(graph, 'check_packages', lambda: None)
    monkeypatch.setattr(
        graph, 'export_onnx', lambda model, path, size, _: path.write_bytes(bytes(size))
    )
    monkeypatch.setattr(graph, 'compare', lambda model, path, images: Agreement(1000, 0, 0.0))
    out = tmp_path / 'new' / 'm.onnx'
    for _ in range(2):  # equal content may be written again
        tool.call(*files, out, '--shape', 32, 48)
    assert out.read_bytes() == bytes((32, 48))
    with pytest.raises(ValueError, match='m.onnx is there, of another export'):
        tool.call(*files, out, '--shape', 32, 32)
    assert out.read_bytes() == bytes((32, 48))


def test_missing_package(tmp_path, tool, exported, monkeypatch):
    _, files = exported
    monkeypatch.setitem(sys.modules, 'onnx', None)
    with pytest.raises(ImportError, match='onnx is not installed: pip install'):
        tool.call(*files, tmp_path / 'm.onnx')


@needs_onnx
@pytest.mark.parametrize(
    'out, shape, words',
    [
        ('m.onnx', (0, 64), r'size \(--shape\) must be at least 1, got 0'),
        ('m.onnx', (1, 1), r'the network takes no images of 1x1 pixels \(.*\): give another size'),
        ('data', (HEIGHT, WIDTH), 'data is a folder: give the name of a file'),
        ('toy.py/m.onnx', (HEIGHT, WIDTH), 'toy.py is a file: give another folder'),
    ],
)
def test_what_cannot_be_written(tmp_path, tool, exported, monkeypatch, out, shape, words):
    """Nothing is exported for it."""
    _, files = exported
    stop = lambda *_, external_data=None, **__: pytest.fail('exported')  # noqa: E731
    monkeypatch.setattr(torch.onnx, 'export', stop)
    if shape == (1, 1):
        monkeypatch.setattr(PixelLabels, 'forward', too_small)
    with pytest.raises(ValueError, match=words):
        tool.call(*files, tmp_path / out, '--shape', *shape)


def too_small(*_):
    raise RuntimeError('Calculated padded input size per channel: (1 x 1)\nmore lines')
