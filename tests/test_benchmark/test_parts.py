# Copyright (c) mmseg_ctt contributors.
import pytest
import torch

from mmseg_ctt.lab.benchmark import comparison, local_loss, parts

CPU = torch.device('cpu')
SMALL = parts.Sizes(pixels=3000, classes=5, entries=64, width=16)


def test_contrast_holds_no_similarities():
    result = parts.contrast_part(CPU, 1, SMALL)
    assert result['sizes'] == SMALL._asdict()
    for term, banks in (('high', 1), ('low', 2)):
        memory = result[term]['memory']
        similarities = 3000 * 5 * 64 * 4 / 2**20
        assert memory['similarities_mib'] == pytest.approx(similarities)
        # the reference keeps several copies; ours a chunk, and the gradient twice
        assert memory['reference_mib'] > 2 * banks * similarities * 4 / 5
        assert memory['ratio'] == memory['mib'] / memory['reference_mib'] < 1
    assert result['times_faster'] == pytest.approx(
        sum(result[term]['reference_seconds'] for term in ('high', 'low'))
        / sum(result[term]['seconds'] for term in ('high', 'low'))
    )


def test_memory_beyond_a_chunk_grows_by_the_gradient_only(monkeypatch):
    monkeypatch.setattr('mmseg_ctt.methods.ctt.bank_contrast.CHUNK_ELEMENTS', 1 << 14)
    memory = parts.contrast_part(CPU, 1, SMALL)['high']['memory']
    assert memory['twice_pixels_mib'] - memory['mib'] < 3 * memory['gradient_mib']
    assert memory['twice_entries_mib'] - memory['mib'] < 0.1 * memory['similarities_mib']


def test_ema_is_one_operation(monkeypatch):
    monkeypatch.setattr(parts, 'teacher_shapes', lambda: [torch.Size([3, 2])] * 4)
    result = parts.ema_part(CPU, 1)
    assert (result['tensors'], result['parameters']) == (8, 48)
    assert result['operations'] == 1
    assert result['reference_operations'] > 8 * 5


def test_teachers_have_the_size_they_are_said_to_have():
    shapes = parts.teacher_shapes()
    assert len(shapes) == 214
    assert sum(shape.numel() for shape in shapes) / 1e6 == pytest.approx(43.6, abs=0.1)


def test_bank_pushes_into_full_queues():
    result = parts.bank_part(CPU, 1, images=2, side=11, sizes=SMALL._replace(entries=6))
    assert result['synchronisations'] == 0 < result['reference_synchronisations']
    assert result['operations'] < result['reference_operations']
    assert result['sizes'] == dict(images=2, side=11, pixels=242, classes=5, entries=6, width=16)


def test_locally_adaptive_loss_holds_little_beside_its_gradient(monkeypatch):
    monkeypatch.setattr('mmseg_ctt.functional.locally_adaptive.CHUNK_ELEMENTS', 1 << 12)
    result = local_loss.lal_part(CPU, 1, (1, 8, 48, 48))
    assert set(result) == {'shape', 'q3_t1', 'q3_t3', 'q7_t1'}
    gradient = 8 * 48 * 48 * 4 / 2**20
    assert gradient < result['q3_t3']['memory']['mib'] < 12 * gradient
    for measured in (result[key] for key in result if key != 'shape'):
        memory = measured['memory']
        assert memory['ratio'] == memory['mib'] / memory['reference_mib']
        assert measured['seconds'] > 0 and memory['reference_mib'] > gradient


def test_speed_is_measured_in_turns(monkeypatch):
    calls = []
    clock = iter([0, 1, 0, 4] * 3 + [0, 100, 0, 100])
    monkeypatch.setattr(comparison.time, 'perf_counter', lambda: next(clock))
    result = comparison.compare_speed(
        lambda: calls.append('o'), lambda: calls.append('r'), CPU, repeats=4, warmup=1
    )
    assert calls == ['o', 'r'] * 5
    assert result == dict(seconds=1, reference_seconds=4, times_faster=4)


def test_parts_run_in_a_process_of_their_own():
    held = parts._run('ema', 'meta', 1, torch.get_num_threads())
    apart = parts.run_in_process('ema', torch.device('meta'), 1)
    assert apart['operations'] == held['operations'] == 1
    assert apart['parameters'] == held['parameters'] == 2 * 43589878
