# Copyright (c) mmseg_ctt contributors.
"""Checks of versions, data sets and batches; a check imports the package when it runs."""

import platform
from itertools import combinations
from types import SimpleNamespace
from typing import TYPE_CHECKING, Callable, List

from _setup import EVALUATED, Setup, Skip

if TYPE_CHECKING:
    from mmengine.config import Config

    from mmseg_ctt.datasets.wrappers import AnySet

USUAL = ('labeled', 'unlabeled')  # sources that every table has a row of


def versions(_: Setup) -> str:
    from importlib.metadata import version

    import mmcv
    import mmengine
    import mmseg
    import torch

    return (
        f'Python {platform.python_version()}, torch {torch.__version__}, mmengine '
        f'{mmengine.__version__}, mmcv {mmcv.__version__}, mmseg {mmseg.__version__}, numpy '
        f'{version("numpy")}'
    )


def set_names(setup: Setup) -> List[str]:
    """Names of all sets that have a row in the table."""
    return list(dict.fromkeys((*USUAL, *setup.sources, *EVALUATED)))


def data_set(name: str) -> Callable[[Setup], str]:
    """Check that builds a data set and tests that its files exist."""

    def check(setup: Setup) -> str:
        from mmseg_ctt.datasets.checks import check_files
        from mmseg_ctt.datasets.wrappers import distinct_infos

        build = _build_plain if name in EVALUATED else _build_source
        dataset = build(setup.cfg, name)
        infos = distinct_infos(dataset)
        key = f'{name}_dataloader.dataset' if name in EVALUATED else None
        check_files(name, infos, setup.has_masks(name), key)
        setup.sets[name] = dataset
        return f'{len(infos)} images, such as {infos[0]["img_path"]}'

    return check


def _build_source(cfg: 'Config', name: str) -> 'AnySet':
    from mmseg.registry import DATASETS

    from mmseg_ctt.datasets import LabeledUnlabeledDataset
    from mmseg_ctt.datasets.sources import build_source, source_config

    data = cfg.train_dataloader.dataset
    kind = DATASETS.get(data.type)
    if not (isinstance(kind, type) and issubclass(kind, LabeledUnlabeledDataset)):
        raise Skip(f'train_dataloader.dataset.type is {data.type}')
    if data.get(name) is None:
        raise Skip(f'train_dataloader.dataset.{name} is not set')
    if kind is not LabeledUnlabeledDataset:  # adds images of its own, such as pseudo-labelled ones
        return DATASETS.build(data).sources[name]
    return build_source(name, source_config(data, name))


def _build_plain(cfg: 'Config', name: str) -> 'AnySet':
    from mmseg.registry import DATASETS

    from mmseg_ctt.datasets.built import set_num_classes

    if not cfg.get(f'{name}_dataloader'):
        raise Skip(f'no {name}_dataloader')
    dataset = DATASETS.build(cfg[f'{name}_dataloader'].dataset)
    set_num_classes(dataset)
    if len(dataset) == 0:
        raise ValueError(f'{name}_dataloader.dataset is empty')
    return dataset


def images(setup: Setup) -> str:
    """Every image is loaded as its pipeline loads it."""
    from mmseg_ctt.datasets.image_loading import loads
    from mmseg_ctt.datasets.image_reading import damage_of, stored_size
    from mmseg_ctt.volumes.address import file_of

    if not setup.sets:
        raise Skip('no set')
    found = {info['img_path']: name for name in setup.sets for info in setup.some(name)}
    broken = sorted(path for path, name in found.items() if not loads(setup.sets[name], path))
    if broken:
        files = sorted({file_of(path) for path in broken})
        cause = '' if broken[0] in files else f' ({damage_of(broken[0])})'
        raise ValueError(f'{len(files)} images cannot be decoded, such as {files[0]}{cause}')
    turned = sorted(path for path in found if stored_size(path)[1] > 1)
    note = f'{len(found)} decoded'
    if turned:
        note += (
            f'; {len(turned)} are turned as their orientation tag says, such as {turned[0]}: masks '
            'must be drawn on images as shown'
        )
    return note


def classes(setup: Setup) -> str:
    """Training, validation and test have the same classes in the same order."""
    from mmseg_ctt.datasets.checks import check_same_classes

    expected, key = setup.classes, f'train_dataloader.dataset.{setup.reference}'
    if not expected:
        raise Skip('the training images have none, and need none')
    evaluated = [name for name in EVALUATED if name in setup.sets]
    for name in evaluated:
        given = setup.sets[name].metainfo.get('classes')
        check_same_classes(given, f'{name}_dataloader.dataset', expected, key)
    return f'{len(expected)}, the same in {", ".join(["training", *evaluated])}'


def masks(setup: Setup) -> str:
    from mmseg_ctt.datasets.mask_scan import LIMIT, scan_masks, suspicious_masks, unlabeled_masks

    names, data = setup.classes, setup.cfg.train_dataloader.dataset
    scans, notes = {}, []
    for name in setup.sets:
        if setup.has_masks(name):
            infos = setup.infos(name)
            limit = len(infos) if setup.args.all else LIMIT
            scans[name] = scan_masks(infos, len(names), limit, data.get('ignore_index', 255))
    if not scans:
        raise Skip('no masks are read')
    for name, scan in scans.items():
        line = unlabeled_masks(scan, name) or suspicious_masks(scan, names, name)
        if line and name != 'test' and scan.pixels.any(axis=0).sum() < 2:
            raise ValueError(
                line
            )  # nothing to learn, or to choose by; labels of a test may be kept
        notes += [f'WARNING: {line}'] if line else []
    read = ', '.join(f'{name} {len(scan.pixels)}' for name, scan in scans.items())
    return '; '.join([f'read: {read}', *(notes or ['every class in each set'])])


def tags(setup: Setup) -> str:
    """Images of each tag; warnings of tags without images, and of masks that show other classes."""
    from mmseg_ctt.datasets.mask_scan import LIMIT, scan_masks, scanned
    from mmseg_ctt.datasets.tag_checks import (
        absent_tags,
        background_of,
        count_tags,
        tags_beside_masks,
    )
    from mmseg_ctt.datasets.tagged import tag_matrix

    tagged = [name for name in setup.trained if setup.has_tags(name)]
    if not tagged:
        raise Skip('no source with tags')
    notes, classes = [], setup.classes
    for name in tagged:
        source = setup.sets[name]
        matrix, background = tag_matrix(setup.infos(name), source.metainfo), background_of(source)
        notes.append(f'{name}: {count_tags(matrix, classes, background)}')
        absent = absent_tags(matrix, classes, background)
        setup.warnings += [f'{name}: {absent}'] if absent else []
        for other in filter(setup.has_masks, setup.trained):
            infos = setup.own(other)
            limit = len(infos) if setup.args.all else LIMIT
            ignored = setup.cfg.train_dataloader.dataset.get('ignore_index', 255)
            pixels = scan_masks(infos, len(classes), limit, ignored).pixels
            line = tags_beside_masks(source, scanned(infos, limit), pixels)
            setup.warnings += [f'{name}: {line}'] if line else []
    return '; '.join(notes)


def overlap(setup: Setup) -> str:
    from mmseg_ctt.datasets.checks import check_overlap
    from mmseg_ctt.datasets.patients import check_patients
    from mmseg_ctt.engine.guards import same_content

    infos = {name: setup.own(name) for name in setup.sources}
    if len(infos) < 2:
        raise Skip('fewer than two sources')
    check_overlap(infos)
    known = check_patients(infos)
    paths = {name: [info['img_path'] for info in infos[name]] for name in infos}
    for first, second in combinations(paths, 2):
        _refuse(same_content(paths[first], paths[second]), second, first)
    return (
        f'images{" and patients" * bool(known)} of {" and ".join(paths)} differ in name and content'
    )


def leaks(setup: Setup) -> str:
    from mmseg_ctt.datasets.leaks import trained_images
    from mmseg_ctt.datasets.patients import check_patients
    from mmseg_ctt.engine.guards import same_content

    if not setup.trained:
        raise Skip('no training set')
    sources = {f'train_dataloader.dataset.{name}': setup.sets[name] for name in setup.trained}
    infos = [info for name in setup.trained for info in setup.infos(name)]
    trained, known = [info['img_path'] for info in infos], False
    for name in EVALUATED:
        if name in setup.sets:
            known |= len(check_patients({'training': infos, name: setup.infos(name)})) > 1
            line = trained_images(sources, setup.sets[name], f'{name}_dataloader.dataset')
            if line is not None:
                raise ValueError(line)
            _refuse(
                same_content(trained, [info['img_path'] for info in setup.infos(name)]),
                name,
                'training',
            )
    return f'no image{" and no patient" * known} of val or test is trained on'


def _refuse(pairs: list, name: str, other: str) -> None:
    if pairs:
        raise ValueError(
            f'{len(pairs)} {name} images have the content of {other} ones, such as '
            f'{pairs[0][1]} and {pairs[0][0]}: remove them from one list'
        )


def batch(setup: Setup) -> str:
    from mmseg.registry import DATA_SAMPLERS

    from mmseg_ctt.datasets.sampler import STREAMS, ratio_by_source
    from mmseg_ctt.datasets.sources import TAGGED
    from mmseg_ctt.datasets.tagged import source_tag_matrix

    loader = setup.cfg.train_dataloader
    if loader.sampler.type not in STREAMS:
        raise ValueError(
            f'train_dataloader.sampler.type is "{loader.sampler.type}": use '
            '"LabeledUnlabeledSampler"'
        )
    ratio = ratio_by_source(loader.sampler.get('ratio'), setup.sources)
    setup.drawn = [name for name, count in ratio.items() if count]
    sizes = {name: len(setup.built(name)) if ratio[name] else 1 for name in setup.sources}
    data = SimpleNamespace(
        num_images=sizes,
        metainfo=setup.built(TAGGED).metainfo if TAGGED in setup.sources else {},
        tag_matrix=lambda name: source_tag_matrix(setup.built(name)),
    )
    sampler = DATA_SAMPLERS.build({**loader.sampler, 'dataset': data})
    size = loader.batch_size
    if size % sampler.period:
        raise ValueError(
            f'train_dataloader.batch_size={size} cannot be divided by sampler.ratio='
            f'{ratio}: use a multiple of {sampler.period}'
        )
    periods = setup.cfg.train_cfg.max_iters * setup.args.gpus * size // sampler.period
    passes = [
        f'{periods * count / sizes[name]:.1f} {name}' for name, count in ratio.items() if count
    ]
    return (
        f'{size} images on each of {setup.args.gpus} ranks; passes in '
        f'{setup.cfg.train_cfg.max_iters} iterations: {", ".join(passes)}'
    )


def samples(setup: Setup) -> str:
    from mmseg_ctt.datasets.checks import KEY, check_sample, pipeline_errors
    from mmseg_ctt.datasets.isolation import isolated_randomness
    from mmseg_ctt.datasets.wrappers import origin
    from mmseg_ctt.engine.run_checks import check_evaluation

    shapes = set()
    for name in setup.trained:
        info = {**setup.infos(name)[0], 'num_classes': len(setup.classes)}  # to check masks
        with pipeline_errors(f'{KEY}.{name}'), isolated_randomness(0, 0):
            sample = origin(setup.sets[name], 0)[0].pipeline(info)
        check_sample(f'{KEY}.{name}', sample, setup.has_masks(name))
        shapes.add(tuple(sample['inputs'].shape))
    for name in EVALUATED:
        if name in setup.sets:
            trained, masks = setup.sets[setup.reference], setup.has_masks(name)
            check_evaluation(setup.sets[name], trained, name, masks)
    fixed = (setup.cfg.model.get('segmentor') or setup.cfg.model).get('data_preprocessor') or {}
    if len(shapes) > 1 and not fixed.get('size'):
        raise ValueError(
            f'the pipelines give images of different sizes {sorted(shapes)}: crop '
            'them, or set data_preprocessor.size'
        )
    return f'the pipelines give {" and ".join(map(str, sorted(shapes)))}'
