# Copyright (c) mmseg_ctt contributors.
import pytest
import torch
import torch.nn.functional as F
from no_sync import record
from reference import stpg as slow
from versions import COMPILE

from mmseg_ctt.methods.stpg.functional import (
    confusion_matrix,
    mismatch_score,
    mismatch_selection,
    weighted_cross_entropy,
)


def maps(num_classes, present, seed, shape=(2, 5, 7), agree=0.5):
    """Labels of a teacher and predictions of a student, of the first ``present`` classes."""
    g = torch.Generator().manual_seed(seed)
    teacher = torch.randint(0, present, shape, generator=g)
    other = torch.randint(0, present, shape, generator=g)
    student = torch.where(torch.rand(shape, generator=g) < agree, teacher, other)
    return teacher, student, num_classes


@pytest.mark.parametrize('seed', range(3))
@pytest.mark.parametrize('num_classes,present', [(4, 4), (7, 3), (2, 2), (5, 1)])
def test_as_loops(num_classes, present, seed):
    teacher, student, _ = maps(num_classes, present, seed)
    flat = teacher.flatten().tolist(), student.flatten().tolist()
    table = confusion_matrix(teacher, student, num_classes)
    assert table.tolist() == slow.confusion(*flat, num_classes)
    score = mismatch_score(teacher, student, num_classes)
    want = slow.mismatch(*flat, num_classes)
    assert score.tolist() == pytest.approx(want, rel=1e-12)
    assert score.sum().item() == pytest.approx(1.0 if present > 1 else 0.0)
    assert (score[present:] == 0).all()  # absent from both maps
    kept = mismatch_selection(teacher, student, score)
    assert kept.shape == teacher.shape
    assert kept.flatten().tolist() == slow.selected(*flat, score)
    assert kept[teacher == student].all()
    if present > 1:
        assert not kept.all()


def test_a_hard_class_of_the_teacher_is_kept_and_an_easy_one_is_not():
    teacher = torch.tensor([0] * 90 + [1] * 4 + [0] * 2 + [1] * 4)
    student = torch.tensor([0] * 90 + [0] * 4 + [1] * 2 + [1] * 4)
    score = mismatch_score(teacher, student, 2)
    assert score[1] > score[0]
    kept = mismatch_selection(teacher, student, score)
    assert kept[90:94].all()  # teacher: rare; student: common
    assert not kept[94:96].any()  # the other way round
    assert kept[:90].all() and kept[96:].all()


def test_agreement_everywhere():
    label = torch.tensor([[0, 1], [1, 3]])
    score = mismatch_score(label, label, 5)
    assert torch.equal(score, torch.zeros(5, dtype=torch.double))
    assert mismatch_selection(label, label, score).all()


def test_agreement_nowhere():
    teacher, student = torch.tensor([0, 0, 0, 2]), torch.tensor([2, 2, 1, 1])
    score = mismatch_score(teacher, student, 4)
    assert score[3] == 0 and (score[:3] > 0).all()
    assert mismatch_selection(teacher, student, score).tolist() == slow.selected(
        teacher, student, score
    )


def test_counts_of_other_processes():
    teacher, student, k = maps(4, 4, 0, (4, 6, 6))
    halves = [confusion_matrix(teacher[i : i + 2], student[i : i + 2], k) for i in (0, 2)]
    alone = mismatch_score(teacher, student, k)
    parts = mismatch_score(teacher[:2], student[:2], k, sum_counts=lambda count: count + halves[1])
    assert torch.equal(alone, parts)


def test_invalid_pixels_do_not_count():
    teacher, student, k = maps(4, 4, 0, (4, 6, 6))
    valid = torch.rand(4, 6, 6, generator=torch.Generator().manual_seed(3)) < 0.4
    some = teacher[valid], student[valid]
    assert torch.equal(confusion_matrix(teacher, student, k, valid), confusion_matrix(*some, k))
    assert torch.equal(mismatch_score(teacher, student, k, valid), mismatch_score(*some, k))
    nothing = mismatch_score(teacher, student, k, torch.zeros_like(valid))
    assert torch.equal(nothing, torch.zeros(k, dtype=torch.double))


def weighted(seed=0, dtype=torch.float32):
    g = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, 3, 4, 5, generator=g, dtype=dtype)
    return (
        logits.requires_grad_(),
        torch.randint(0, 3, (2, 4, 5), generator=g),
        torch.rand(2, 4, 5, generator=g, dtype=dtype),
    )


def test_weighted_cross_entropy_is_a_mean_over_all_pixels():
    logits, label, weight = weighted()
    weight[0] = 0
    want = (
        sum(
            float(
                weight[b, y, x]
                * F.cross_entropy(logits.detach()[b : b + 1, :, y, x], label[b : b + 1, y, x])
            )
            for b in range(2)
            for y in range(4)
            for x in range(5)
        )
        / 40
    )
    assert weighted_cross_entropy(logits, label, weight).item() == pytest.approx(want, rel=1e-6)
    torch.testing.assert_close(
        weighted_cross_entropy(logits, label, torch.ones_like(weight)),
        F.cross_entropy(logits, label),
    )
    nothing = weighted_cross_entropy(logits, label, torch.zeros_like(weight))
    nothing.backward()
    assert nothing == 0 and logits.grad.abs().sum() == 0


def test_weighted_cross_entropy_gradient():
    logits, label, weight = weighted(dtype=torch.double)
    assert torch.autograd.gradcheck(lambda o: weighted_cross_entropy(o, label, weight), logits)


def test_weights_get_no_gradient():
    logits, label, weight = weighted()
    weighted_cross_entropy(logits, label, weight.requires_grad_()).backward()
    assert weight.grad is None


@pytest.mark.parametrize('half', [True, False])
def test_half_precision(half):
    logits, label, weight = weighted()
    logits = logits.detach().bfloat16().float()
    want = weighted_cross_entropy(logits, label, weight)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        got = weighted_cross_entropy(logits.bfloat16() if half else logits, label, weight)
    assert got.dtype == torch.float32 and torch.equal(got, want)


def test_nothing_is_read_back():
    teacher, student, k = maps(4, 4, 0)
    logits, label, weight = weighted()

    def step():
        score = mismatch_score(teacher, student, k)
        mismatch_selection(teacher, student, score)
        weighted_cross_entropy(logits, label, weight).backward()

    assert record(step) == []


@COMPILE
def test_compiled():
    """One graph, the values of eager execution."""
    teacher, student, k = maps(4, 4, 0)

    def taught(logits, confidence):
        score = mismatch_score(teacher, student, k, confidence > 0.2)
        kept = mismatch_selection(teacher, student, score)
        return weighted_cross_entropy(logits, teacher, confidence * kept), score

    g = torch.Generator().manual_seed(0)
    given = torch.randn(2, k, 5, 7, generator=g), torch.rand(2, 5, 7, generator=g)
    torch._dynamo.reset()
    compiled = torch.compile(taught, backend='aot_eager', fullgraph=True)
    torch.testing.assert_close(compiled(*given), taught(*given))
