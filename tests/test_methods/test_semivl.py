# Copyright (c) mmseg_ctt contributors.
"""SemiVL: the frozen model against a restatement, its files, a step by hand, the text converter."""

import logging

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from reference import dense_guidance as reference
from toy import of_channels, prepared, ready_model, toy_batch, toy_model, toy_segmentor

from mmseg_ctt.functional import pseudo_label

pytest.importorskip('timm', reason='timm is not installed')
from mmseg_ctt.methods.semivl import ImageTextGuidance, SemiVL, guidance  # noqa: E402
from mmseg_ctt.methods.semivl.text_encoder import text_encoder  # noqa: E402

KIND, K = 'SemiVL', 4
SMALL = SemiVL.toy_settings['guidance']
TEXTS = ['sky', ['road', 'street'], 'tree', ['car', 'van', 'bus']]
FLAT = ['bus', 'sky', 'road', 'street', 'tree', 'car', 'van']


@pytest.fixture
def warnings(monkeypatch):
    said = []
    monkeypatch.setattr(guidance, 'print_log', lambda line, _, level: said.append((level, line)))
    return said


@pytest.fixture
def text_file(tmp_path):
    rows = np.random.RandomState(0).randn(len(FLAT), 8).astype(np.float32)
    np.savez(tmp_path / 'texts.npz', texts=np.array(FLAT), embeddings=rows)
    return tmp_path / 'texts.npz'


class Statistics:
    mean, std = torch.tensor([120.0, 110, 100]).view(3, 1, 1), torch.full((3, 1, 1), 50.0)
    channel_conversion = True


def images(*shape, seed=3):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


# ---- frozen model


def test_dense_labels(text_file):
    """Each class has the logit of its nearest text."""
    part = ImageTextGuidance(K, TEXTS, text_file=str(text_file), **SMALL)
    assert part.text_class.tolist() == [0, 1, 1, 2, 3, 3, 3]
    torch.testing.assert_close(part.text.norm(dim=1), torch.ones(7))
    image = images(2, 3, 24, 40)
    plain = ((image * Statistics.std + Statistics.mean) / 255).clamp(0, 1)
    want = reference.class_logits(
        part.network,
        (plain - part.mean) / part.std,
        part.text,
        part.text_class.tolist(),
        K,
        part.temperature,
    )
    got = part(image, Statistics())
    assert got.shape == (2, K, 3, 5)
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-3)
    as_given = ImageTextGuidance(K, TEXTS, text_file=str(text_file), renormalize=False, **SMALL)
    assert torch.equal(as_given.prepared(image, Statistics()), image)


@pytest.mark.parametrize('size', [(32, 32), (30, 41), (7, 9)])
@pytest.mark.parametrize('channels', [1, 3, 5])
def test_images_of_any_size_and_channels(size, channels):
    segmentor = of_channels(toy_segmentor(), channels)
    model = ready_model(KIND, segmentor=segmentor)
    got = model.guidance(images(2, channels, *size), model.data_preprocessor)
    assert got.shape == (2, K, -(-size[0] // 8), -(-size[1] // 8))
    assert torch.isfinite(got).all() and not got.requires_grad


def test_random_parts_are_announced_and_always_the_same(warnings, text_file):
    first = ImageTextGuidance(K, **SMALL)
    lines = [line for level, line in warnings if level == logging.WARNING]
    assert lines[0].startswith('RANDOM WEIGHTS in model.guidance: ')
    assert lines[1].startswith('RANDOM TEXT EMBEDDINGS in model.guidance: ') and len(lines) == 2
    torch.manual_seed(5)
    before = torch.get_rng_state()
    second = ImageTextGuidance(K, **SMALL)
    assert torch.equal(torch.get_rng_state(), before)
    for name, value in first.state_dict().items():
        assert torch.equal(second.state_dict()[name], value), name
    ImageTextGuidance(K, TEXTS, text_file=str(text_file), **SMALL)
    assert len(warnings) == 5  # the weights alone


def test_weights_of_a_file(tmp_path, warnings, monkeypatch):
    source = ImageTextGuidance(K, **SMALL).network
    for weight in source.parameters():
        weight.data.normal_()
    torch.save(dict(state_dict=source.state_dict()), tmp_path / 'clip.pth')
    loaded = ImageTextGuidance(K, checkpoint=str(tmp_path / 'clip.pth'), **SMALL).network
    for name, value in source.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name
    monkeypatch.setenv('PRETRAINED_ROOT', str(tmp_path))
    again = ImageTextGuidance(K, checkpoint='pretrained:clip.pth|random', **SMALL).network
    assert torch.equal(again.head.weight, source.head.weight)
    number = len(warnings)
    ImageTextGuidance(K, checkpoint='pretrained:other.pth|random', **SMALL)
    assert any('RANDOM WEIGHTS' in line for _, line in warnings[number:])
    state = source.state_dict()
    del state['head.weight']
    torch.save(state, tmp_path / 'short.pth')
    with pytest.raises(ValueError, match='lacks 1 weights of .*head.weight'):
        ImageTextGuidance(K, checkpoint=str(tmp_path / 'short.pth'), **SMALL)


def openai_names(network):
    """Weights of a network of timm under the names of CLIP's released code."""
    state, made = network.state_dict(), {}
    names = {
        'cls_token': 'class_embedding',
        'pos_embed': 'positional_embedding',
        'patch_embed.proj.weight': 'conv1.weight',
        'head.weight': 'proj',
    }
    parts = {
        'norm_pre': 'ln_pre',
        'norm.': 'ln_post.',
        'blocks': 'transformer.resblocks',
        'norm1': 'ln_1',
        'norm2': 'ln_2',
        'mlp.fc1': 'mlp.c_fc',
        'mlp.fc2': 'mlp.c_proj',
        'attn.qkv.': 'attn.in_proj_',
        'attn.proj': 'attn.out_proj',
    }
    for name, value in state.items():
        if name == 'head.bias':
            continue
        new = names.get(name, name)
        if new == name:
            for old, changed in parts.items():
                new = new.replace(old, changed)
        value = value.t() if name == 'head.weight' else value
        made[f'visual.{new}'] = value.flatten() if name == 'cls_token' else value
    made['visual.positional_embedding'] = state['pos_embed'][0]
    return made


@pytest.mark.parametrize('scripted', [False, True])
def test_weights_in_the_naming_of_openai(tmp_path, scripted):
    source = ImageTextGuidance(K, **SMALL).network
    for name, weight in source.named_parameters():
        weight.data.normal_() if name != 'head.bias' else weight.data.zero_()
    state, path = openai_names(source), tmp_path / 'ViT.pt'
    if scripted:
        holder = torch.nn.Module()
        for name, value in state.items():
            *folders, last = name.split('.')
            inner = holder
            for folder in folders:
                if not hasattr(inner, folder):
                    inner.add_module(folder, torch.nn.Module())
                inner = getattr(inner, folder)
            inner.register_parameter(last, torch.nn.Parameter(value.clone()))
        torch.jit.script(holder).save(str(path))
    else:
        torch.save(state, path)
    loaded = ImageTextGuidance(K, checkpoint=str(path), **SMALL).network
    image = images(1, 3, 32, 32)
    torch.testing.assert_close(loaded(image), source(image))


@pytest.mark.parametrize(
    'settings, error, words',
    [
        (dict(checkpoint='nowhere.pth'), FileNotFoundError, 'no file nowhere.pth'),
        (dict(checkpoint='pretrained:a.pth|torchvision://b'), ValueError, 'only local files'),
        (dict(text_file='{file}'), ValueError, 'model.guidance.texts is missing'),
        (dict(text_file='{file}', texts=TEXTS[:3]), ValueError, 'has 3 entries for 4 classes'),
        (dict(texts=['a', 3, 'b', 'c']), TypeError, 'a text, or a list of texts'),
        (dict(texts='sky'), TypeError, 'a text, or a list of texts'),
        (
            dict(text_file='{file}', texts=['sky', 'moon', 'tree', 'sun']),
            ValueError,
            "has no embedding of 'moon', 'sun'",
        ),
        (dict(text_file='{file}', texts=TEXTS, dim=6), ValueError, 'dim=6, but .* have 8'),
        (dict(text_file='{text}', texts=TEXTS), ValueError, 'is no file of text embeddings'),
        (dict(model_name='resnet18'), ValueError, 'timm builds no resnet18|is no vision'),
        (dict(network=dict(deepness=3)), ValueError, 'timm builds no .*deepness'),
        (dict(temperature=0), ValueError, 'temperature must be at least'),
        (dict(tokens=1), ValueError, "model.guidance has unknown settings .'tokens'"),
    ],
)
def test_mistakes(settings, error, words, text_file, tmp_path):
    other = tmp_path / 'other.npz'
    np.savez(other, names=np.zeros(3))
    given = {
        key: value.format(file=text_file, text=other) if key == 'text_file' else value
        for key, value in settings.items()
    }
    with pytest.raises(error, match=words):
        toy_model(KIND, guidance={**SMALL, **given})


# ---- method


def test_it_is_in_no_checkpoint_and_moves_along():
    model = ready_model(KIND)
    assert not any('guidance' in key and 'network' in key for key in model.state_dict())
    assert not any(name.startswith('guidance.') for name, _ in model.named_parameters())
    assert model.guidance.text.dtype == torch.float32
    model.double()
    assert model.guidance.text.dtype == torch.float64
    model.train()
    assert not any(module.training for module in model.guidance.modules())


def test_step_by_hand():
    model = ready_model(KIND, strong_augmentation=[], feature_perturbation=[])
    data = prepared(model)
    labeled, weak = data['inputs']['labeled'], data['inputs']['unlabeled']
    logits = model.guidance(weak, model.data_preprocessor)
    label, confidence = pseudo_label(logits, (32, 32))
    kept = confidence >= 0.9
    assert kept.any() and not kept.all()
    # passes of the same images as in the step, since batch norm reads them
    (on_weak,) = model.forward_member('student0', weak)
    _, strong = model.forward_member('student0', labeled, torch.cat([weak, weak]))

    def loss(output):
        up = F.interpolate(output, (32, 32), mode='bilinear', align_corners=False)
        return (F.cross_entropy(up, label, reduction='none') * kept).mean()

    both = sum(loss(view) for view in strong.logits.split(2)) / 2
    want = 0.1 * (both + loss(on_weak.logits)) / 2
    losses = model(**data, mode='loss')
    torch.testing.assert_close(losses['student0.loss_guidance'], want)
    torch.testing.assert_close(losses['student0.confident_ratio_guidance'], kept.float().mean())


def test_without_guidance_it_is_unimatch():
    found = {}
    for kind, weights in (('UniMatch', {}), (KIND, dict(guidance=0.0))):
        model = ready_model(kind, loss_weights=weights)
        found[kind] = model(**prepared(model, toy_batch()), mode='loss')
    for key, value in found['UniMatch'].items():
        assert torch.equal(found[KIND][key], value), key


@pytest.mark.parametrize('progress', [0.0, 0.25, 1.0])
def test_its_weight_falls_to_zero(progress, monkeypatch):
    model = ready_model(KIND)
    monkeypatch.setattr('mmseg_ctt.methods.semivl.segmentor.training_progress', lambda: progress)
    assert model.loss_weight('student0', 'guidance') == pytest.approx(0.1 * (1 - progress))
    assert model.loss_weight('student0', 'unsup') == 0.25


# ---- converter of texts


def clip_text_state(width=16, layers=2, dim=8):
    g = torch.Generator().manual_seed(1)

    def random(*shape):
        return 0.1 * torch.randn(shape, generator=g)

    state = {
        'token_embedding.weight': random(49408, width),
        'positional_embedding': random(77, width),
        'text_projection': random(width, dim),
        'logit_scale': torch.tensor(2.0),
        'visual.proj': random(3, 3),
    }
    for name in (
        'ln_final',
        *(f'transformer.resblocks.{i}.ln_{n}' for i in (0, 1) for n in (1, 2)),
    ):
        state[f'{name}.weight'], state[f'{name}.bias'] = 1 + random(width), random(width)
    for i in range(layers):
        part = f'transformer.resblocks.{i}'
        shapes = {
            'attn.in_proj_': (3 * width, width),
            'attn.out_proj.': (width, width),
            'mlp.c_fc.': (4 * width, width),
            'mlp.c_proj.': (width, 4 * width),
        }
        for name, shape in shapes.items():
            state[f'{part}.{name}weight'] = random(*shape)
            state[f'{part}.{name}bias'] = random(shape[0])
    return state


def encode(state, tokens, layers=2):
    """CLIP's text tower, one head of attention, written out."""
    x = state['token_embedding.weight'][tokens] + state['positional_embedding']
    width = x.shape[-1]

    def norm(x, name):
        return F.layer_norm(x, (width,), state[f'{name}.weight'], state[f'{name}.bias'])

    def linear(x, name):
        return F.linear(x, state[f'{name}weight'], state[f'{name}bias'])

    mask = torch.full((77, 77), float('-inf')).triu(1)
    for i in range(layers):
        part = f'transformer.resblocks.{i}'
        q, k, v = linear(norm(x, f'{part}.ln_1'), f'{part}.attn.in_proj_').chunk(3, -1)
        attention = (q @ k.t() / width**0.5 + mask).softmax(-1)
        x = x + linear(attention @ v, f'{part}.attn.out_proj.')
        hidden = linear(norm(x, f'{part}.ln_2'), f'{part}.mlp.c_fc.')
        x = x + linear(hidden * torch.sigmoid(1.702 * hidden), f'{part}.mlp.c_proj.')
    return norm(x, 'ln_final')[tokens.argmax()] @ state['text_projection']


def test_text_embeddings(load_tool, tmp_path, capsys):
    pytest.importorskip('ftfy')
    from mmseg.utils import tokenizer

    state, out = clip_text_state(), tmp_path / 'texts.npz'
    torch.save(state, tmp_path / 'clip.pt')
    script = load_tool('model_converters/clip_text_embeddings')
    command = [str(tmp_path / 'clip.pt'), str(out)]
    assert script.exit_code(*command, '--texts', 'road', 'a tree', 'road') == 0
    with np.load(out) as found:
        assert found['texts'].tolist() == ['road', 'a tree']
        for text, row in zip(found['texts'], found['embeddings']):
            (tokens,) = tokenizer.tokenize([f'a photo of a {text}'])
            want = F.normalize(encode(state, tokens), dim=0)
            torch.testing.assert_close(torch.from_numpy(row), want)
    assert script.exit_code(*command, '--texts', 'sky') == 2 and 'exists' in capsys.readouterr().err
    config = 'configs/semivl/semivl_deeplabv3plus_mobilenetv2_camvid_1-8.py'
    assert script.exit_code(*command, '--config', config, '--force') == 0
    part = ImageTextGuidance(2, ['sky', ['car', 'van']], text_file=str(out), **SMALL)
    assert part.text_class.tolist() == [0, 1, 1]


def test_a_checkpoint_without_a_text_tower():
    with pytest.raises(ValueError, match='x.pt has no text tower of CLIP'):
        text_encoder({'visual.proj': torch.zeros(2)}, ['a'], 'a {}', 'x.pt')
