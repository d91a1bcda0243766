# Copyright (c) mmseg_ctt contributors.
"""The authors' loop is run as it stands; here a loop of our own in its place."""

import pytest
import torch
from mmengine.config import Config
from toy_data import toy_config

from mmseg_ctt.lab.benchmark.authors import FILE, authors_loop, benchmark_authors
from mmseg_ctt.lab.benchmark.synthetic import use_synthetic_data

SCRIPT = """
def main():
    loader = zip(a, b)
    for epoch in range(3):
        for i, ((image, label), (weak, s1, s2, ignored, box1, box2)) in enumerate(loader):
            image, label = image.cuda(), label.cuda()
            with torch.no_grad():
                target = model_ema(weak).argmax(dim=1)
            first, second = model(torch.cat((s1, s2)), comp_drop=True).chunk(2)
            loss = criterion_l(model(image), label) + criterion_u(first, target).mean()
            loss = loss + (criterion_u(second, target) * (ignored != 255)).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total_loss.update(loss.item())
            optimizer.param_groups[1]['lr'] = cfg['lr'] * cfg['lr_multi']
        for i, batch in enumerate(validation):
            pass
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / FILE).write_text(SCRIPT)
    return tmp_path


def test_the_loop_is_found(folder):
    assert authors_loop(folder).co_filename == str(folder / FILE)


def test_a_file_without_the_loop(folder):
    (folder / FILE).write_text('def main():\n    pass\n')
    with pytest.raises(ValueError, match=f'{FILE}: expected one loop over batches, found 0'):
        authors_loop(folder)


def test_both_steps_are_measured(tmp_path, folder):
    config: Config = toy_config(tmp_path / 'absent', tmp_path / 'work')
    config.model = dict(config.model, type='UniMatchV2')
    for key in ('num_pairs', 'bank', 'contrast'):
        config.model.pop(key, None)
    config.default_hooks.queue_warmup = None
    use_synthetic_data(config)
    result = benchmark_authors(config, folder, repeats=1)
    assert result['authors']['synchronisations'] == 1  # its .item()
    assert 0 < result['authors']['operations'] < 200
    assert all(result[name]['seconds'] > 0 for name in ('ours', 'authors'))
    assert not torch.is_inference_mode_enabled()
