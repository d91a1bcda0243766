# Copyright (c) mmseg_ctt contributors.
import pytest
from copied import SCALE, big_images, prepared, training_set
from mmengine.config import Config
from PIL import Image
from toy_data import toy_config

from mmseg_ctt.datasets.training_copy.manifest import MANIFEST, read_entries, read_options


@pytest.fixture
def call(load_tool, capsys):
    """Exit code and printed text of a call."""
    tool = load_tool('dataset_converters/make_training_copy')

    def call(*arguments):
        code = tool.exit_code(*arguments)
        out, err = capsys.readouterr()
        return code, out + err

    return call


@pytest.fixture
def config(root, tmp_path):
    big_images(root)
    toy_config(root, tmp_path / 'work').dump(tmp_path / 'toy.py')
    return tmp_path / 'toy.py'


SIZES = ('--cfg-options', 'sizes.scale=(48,32)', 'sizes.ratio_range=(1.0,1.0)')


def test_of_a_config(config, root, tmp_path, call):
    copy = tmp_path / 'copy'
    code, text = call(config, copy, '--workers', 2, *SIZES)
    assert code == 0 and 'at most 48x32' in text and '9 files written, 0 there already' in text
    assert f'train_dataloader.dataset.training_copy={copy}' in text
    assert Image.open(copy / 'img' / 'u2.jpg').size == SCALE
    code, text = call(config, copy, *SIZES)
    assert code == 0 and '0 files written, 9 there already' in text
    code, text = call('--verify', copy)
    assert code == 0 and '9 files with the right checksums; the copy is complete' in text
    (copy / 'ann' / 'l2.png').write_bytes((copy / 'ann' / 'l1.png').read_bytes())
    code, text = call('--verify', copy)
    assert code == 2 and '1 of 9 files' in text and 'ann/l2.png' in text


@pytest.mark.parametrize(
    'arguments, size',
    [
        ((), (72, 48)),  # 1.5 times the scale of the pipelines
        (('--size', 'keep'), (96, 64)),
        (('--size', '80x60'), (80, 53)),
    ],
)
def test_sizes(config, tmp_path, call, arguments, size):
    code, text = call(config, tmp_path / 'copy', '--format', 'raw', *arguments)
    assert code == 0, text
    assert Image.open(tmp_path / 'copy' / 'img' / 'l0.bmp').size == size


def test_a_given_size_keeps_the_aspect_ratio_where_the_pipelines_do(config, tmp_path, call):
    cfg = Config.fromfile(config)
    for source in ('labeled', 'unlabeled'):
        for step in cfg.train_dataloader.dataset[source].pipeline:
            if step['type'] == 'RandomResize':
                step.keep_ratio = False
    cfg.dump(tmp_path / 'stretched.py')
    code, text = call(tmp_path / 'stretched.py', tmp_path / 'copy', '--size', '80x60')
    assert code == 0, text
    assert Image.open(tmp_path / 'copy' / 'img' / 'l0.jpg').size == (80, 60)


def test_of_a_folder(root, tmp_path, call):
    big_images(root)
    folders = ('--images', 'img', '--masks', 'ann')
    code, text = call(root, tmp_path / 'copy', '--size', '48x32', '--format', 'raw', *folders)
    assert code == 0, text
    assert len(read_entries(tmp_path / 'copy')) == 9
    assert read_options(tmp_path / 'copy').scale == SCALE
    data = training_set(prepared(root, SCALE), tmp_path / 'copy')
    assert data[0]['data_samples'].img_path.endswith('copy/img/l0.bmp')


@pytest.mark.parametrize(
    'arguments, words',
    [
        (('CONFIG', 'OUT', '--size', '40x30'), '--size=40x30 is less than 72x48'),
        (('CONFIG', 'OUT', '--size', 'half'), '--size=half must be auto, keep, or'),
        (('CONFIG', 'OUT', '--format', 'png'), "--format must be one of ('jpeg', 'raw')"),
        (('CONFIG', 'OUT', '--quality', '0'), '--quality must be in 1 to 100'),
        (('CONFIG', 'OUT', '--workers', '0'), '--workers=0 must be positive'),
        (('CONFIG', 'OUT', '--masks', 'ann'), '--masks would be unused'),
        (('CONFIG', 'OUT', '--format', 'raw', '--quality', '90'), '--quality would be unused'),
        (('ROOT', 'OUT', '--images', 'img'), 'without a config, name the size'),
        (('ROOT', 'OUT', '--cfg-options', 'a=1'), '--cfg-options would be unused'),
        (('ROOT', 'OUT', '--size', 'keep', '--images', 'none'), 'does not exist'),
        (('absent', 'OUT'), 'absent does not exist'),
        (('absent', 'OUT', '--cfg-options', 'a=1'), 'absent does not exist'),
        (('OUT',), 'name a config or the root of a data set'),
        (('--verify', 'OUT'), 'is no training copy'),
        (('absent', 'OUT', '--verify'), '--verify takes OUT alone, as it reads the files'),
        (('--verify', 'OUT', '--workers', '2'), '--workers would be unused'),
        (('--verify', 'OUT', '--size', 'auto'), '--size would be unused'),
        (('--verify', 'OUT', '--format', 'raw'), '--format would be unused'),
        (('--verify', 'OUT', '--quality', '90'), '--quality would be unused'),
    ],
)
def test_wrong_arguments(config, root, tmp_path, call, arguments, words):
    names = dict(CONFIG=config, OUT=tmp_path / 'copy', ROOT=root)
    code, text = call(*(names.get(name, name) for name in arguments))
    assert code == 2 and words in text, text
    assert not (tmp_path / 'copy' / MANIFEST).exists()
