# Copyright (c) mmseg_ctt contributors.
"""Tables of label_statistics.py in Markdown."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmseg_ctt.datasets.wrappers import AnySet


def tag_statistics(dataset: 'AnySet') -> dict:
    """Images of each tag as plain numbers."""
    from mmseg_ctt.datasets.tag_checks import background_of
    from mmseg_ctt.datasets.tagged import tag_matrix
    from mmseg_ctt.datasets.wrappers import distinct_infos

    matrix = tag_matrix(distinct_infos(dataset), dataset.metainfo)
    background, counts = background_of(dataset), matrix.sum(axis=0, dtype=int)
    rows = [
        {'id': k, 'class': name, 'images': int(counts[k]), 'share': float(counts[k] / len(matrix))}
        for k, name in enumerate(dataset.metainfo['classes'])
        if name != background
    ]
    return dict(
        images=len(matrix),
        tags_per_image=float(matrix.sum() / len(matrix)),
        untagged=int((matrix.sum(axis=1) == 0).sum()),
        classes=rows,
    )


def tag_markdown(result: dict, source: str) -> str:
    lines = [
        f'{source}: {result["images"]} images, {result["tags_per_image"]:.2f} tags an image, '
        f'{result["untagged"]} images without any',
        '',
        '| id | class | images | share of the images |',
        '| --- | --- | --- | --- |',
    ]
    lines += [
        f'| {row["id"]} | {row["class"]} | {row["images"]} | {row["share"]:.2%} |'
        for row in result['classes']
    ]
    absent = [row['class'] for row in result['classes'] if not row['images']]
    return '\n'.join([*lines, *(['', f'Without images: {", ".join(absent)}.'] if absent else [])])


def markdown(result: dict, source: str) -> str:
    lines = [
        f'{source}: {result["images"]} label maps, {result["pixels"]:,} pixels, '
        f'{result["ignored"]:.2%} of them ignored',
        '',
        '| id | class | pixels | share | images | inverse | enet | median |',
        '| --- | --- | --- | --- | --- | --- | --- | --- |',
    ]
    for k, row in enumerate(result['classes']):
        lines.append(
            f'| {k} | {row["class"]} | {row["pixels"]:,} | {row["share"]:.3%} | '
            f'{row["images"]} | {row["inverse"]:.3f} | {row["enet"]:.3f} | '
            f'{row["median"]:.3f} |'
        )
    lines.append('')
    for scheme in ('inverse', 'enet', 'median'):
        values = ', '.join(f'{row[scheme]:.4g}' for row in result['classes'])
        lines.append(f'{scheme}: `class_weight=[{values}]`')
    absent = [row['class'] for row in result['classes'] if not row['pixels']]
    return '\n'.join([*lines, *(['', f'Without pixels: {", ".join(absent)}.'] if absent else [])])
