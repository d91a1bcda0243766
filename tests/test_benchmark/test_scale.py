# Copyright (c) mmseg_ctt contributors.
"""What grows with images, classes and ranks; nothing grows faster than linearly."""

import pytest
import torch

from mmseg_ctt.lab.benchmark import messages, scale
from mmseg_ctt.lab.benchmark.growth import Growth
from mmseg_ctt.nn import ranks


def by_name(growths):
    return {(growth.part, growth.quantity): growth for growth in growths}


def test_the_sampler_keeps_no_list_of_images():
    found = by_name(scale.of_images(images=(10**3, 10**9), listed=(1000, 4000)))
    assert max(found['sampler', 'memory'].values) < 20_000  # bytes
    assert found['sampler', 'memory'].exponent < 0.1
    assert found['random split', 'memory'].exponent > 0.5


def test_banks_grow_linearly_with_the_classes():
    found = by_name(scale.of_classes(classes=(5, 10)))
    assert found['bank of CTT, 256 x 256 a class', 'memory'].values == [
        k * (256 * 256 * 4 + 16) for k in (5, 10)
    ]
    assert all(growth.axis == 'classes' for growth in found.values())


@pytest.mark.parametrize('world', [2, 8, 64])
def test_messages_of_a_bank(world):
    """Scores of all ranks' candidates, features of the chosen once."""
    found = by_name(messages.of_ranks((1, world)))
    bank = [growth for (name, _), growth in found.items() if name.startswith('bank')]
    number = min(2 * world, 256)  # candidates of a rank and class
    scores, features = 2 * 21 * number * 4, 21 * number * 256 * 4
    assert bank[0].values == [0, 2]
    assert bank[1].values == [0, (world - 1) * scores + 2 * (world - 1) * features // world]
    assert all(growth.exponent < 1.25 for growth in found.values())


def test_bytes_of_both_kinds_of_messages():
    with messages.counted_messages(4) as counts:
        ranks.sum_over_ranks(torch.ones(10))
    assert counts == dict(messages=1, bytes=2 * 3 * 40 // 4)
    assert ranks.get_world_size() == 1


def test_rows():
    growth = Growth(
        'bank', 'memory', (10, 1000, 10**6), (2048.0, 3 * 2.0**20, 3 * 2.0**30), 'images'
    )
    assert growth.row() == [
        'bank',
        'memory',
        '10 images: 2 KiB',
        '1,000 images: 3 MiB',
        '10^6 images: 3 GiB',
        'linearly',
    ]


@pytest.mark.parametrize(
    'values, words',
    [
        ((1, 1), 'no'),
        ((0, 0), 'no'),
        ((1, 3), 'slowly (power 0.5)'),
        ((1, 10), 'linearly'),
        ((1, 100), 'with power 2.0'),
    ],
)
def test_growth_in_words(values, words):
    assert Growth('x', 'time', (10, 100), values, 'ranks').row()[-1] == words


def test_tool(load_tool, tmp_path, monkeypatch, capsys):
    import json

    monkeypatch.setattr(scale, 'IMAGES', (10, 20, 30))
    for name in ('of_images', 'of_classes'):
        monkeypatch.setattr(scale, name, lambda: [Growth('x', 'time', (10, 20), (1, 2), 'ranks')])
    assert load_tool('analysis_tools/benchmark_scale').exit_code('--out', tmp_path) == 0
    written = json.loads((tmp_path / 'scale.json').read_text())
    assert {len(row) for row in written['rows']} >= {5}
    assert 'at scale' in capsys.readouterr().out
