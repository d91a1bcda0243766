# Copyright (c) mmseg_ctt contributors.
"""Runs the scripts that mmseg ships on an exported model; imports nothing of this package.

python stock_tools.py CONFIG CHECKPOINT WORK_DIR IMAGE LIST HEIGHT WIDTH

LIST names 200 images or more, which ``benchmark.py`` asks for. Writes ``stock.json`` and the labels
of IMAGE into WORK_DIR, and the label images of ``test.py --out`` into ``labels``.
"""

import importlib.util
import json
import runpy
import sys
from pathlib import Path


def call(script: str, *arguments: object) -> None:
    """Run a script of mmseg's wheel as ``python script arguments``."""
    import mmseg

    path = Path(mmseg.__file__).parent / '.mim' / 'tools' / script
    sys.argv = [str(path), *map(str, arguments)]
    runpy.run_path(str(path), run_name='__main__')


def last_scalars(work_dir: Path) -> dict:
    """What mmengine logged last."""
    (file,) = work_dir.glob('*/*.json')
    return json.loads(file.read_text().splitlines()[-1])


def importable(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def long_config(config: Path, list_file: str, work: Path) -> Path:
    path = work / 'long.py'
    path.write_text(
        f'_base_ = [{str(config.resolve())!r}]\n'
        f'test_dataloader = dict(dataset=dict(ann_file={list_file!r}))\n'
    )
    return path


def get_flops(config: str, *shape: str) -> None:
    """``get_flops.py`` of mmseg 1.2.2, which asks mmengine for both size and image.

    mmengine refuses that, whatever the config (mmsegmentation issue 3241); the size is dropped.
    """
    import mmengine.analysis

    count = mmengine.analysis.get_model_complexity_info
    mmengine.analysis.get_model_complexity_info = lambda model, input_shape, inputs, **kwargs: (
        count(model, inputs=inputs, **kwargs)
    )
    try:
        call('analysis_tools/get_flops.py', config, '--shape', *shape)
    finally:
        mmengine.analysis.get_model_complexity_info = count


def without_unfit_torchvision() -> None:
    """Take a torchvision whose operators do not fit PyTorch for none, and timm with it.

    mmengine and mmseg can do without both; ``mmseg_ctt`` would make them importable.
    """
    try:
        import torchvision  # noqa: F401
    except ImportError:
        pass
    except RuntimeError:
        for name in [name for name in sys.modules if name.partition('.')[0] == 'torchvision']:
            del sys.modules[name]
        sys.modules['torchvision'] = sys.modules['timm'] = None


def main(
    config: str, checkpoint: str, work_dir: str, image: str, list_file: str, height: str, width: str
) -> None:
    import mmengine
    import numpy as np
    import torch

    assert not importable('mmseg_ctt'), 'the test wants an environment without it'
    without_unfit_torchvision()
    work = Path(work_dir)
    call('test.py', config, checkpoint, '--work-dir', work / 'plain', '--out', work / 'labels')
    # the logger and the visualizer of a process are known by name
    call(
        'test.py',
        config,
        checkpoint,
        '--work-dir',
        work / 'tta',
        '--tta',
        '--cfg-options',
        'experiment_name=tta',
        'visualizer.name=tta',
    )
    get_flops(config, height, width)
    call(
        'analysis_tools/benchmark.py',
        long_config(Path(config), list_file, work),
        checkpoint,
        '--work-dir',
        work / 'speed',
    )
    from mmseg.apis import MMSegInferencer, inference_model, init_model

    labels = MMSegInferencer(model=config, weights=checkpoint, device='cpu')(image)['predictions']
    np.save(work / 'inferencer.npy', labels)
    sample = inference_model(init_model(config, checkpoint, 'cpu'), image)
    np.save(work / 'inference_model.npy', sample.pred_sem_seg.data[0].numpy())
    (speed,) = (work / 'speed').glob('fps_*.json')
    (work / 'stock.json').write_text(
        json.dumps(
            dict(
                mIoU=last_scalars(work / 'plain')['mIoU'],
                tta=last_scalars(work / 'tta')['mIoU'],
                fps=json.loads(speed.read_text())['average_fps'],
                torch=torch.__version__,
                mmengine=mmengine.__version__,
                prefix=sys.prefix,
            )
        )
    )


if __name__ == '__main__':
    main(*sys.argv[1:])
