# Copyright (c) mmseg_ctt contributors.
"""Tables of the page: what each shows, and its rows from the results of its parts."""

from typing import Any, Callable, Dict, List, NamedTuple, Sequence, Tuple

from ..methods import short_names

Row = List[str]
Result = Dict[str, Any]
NOT_MEASURED = 'not measured: '


class Kind(NamedTuple):
    """A table.

    Attributes:
        title (str): Heading.
        text (str): What is measured, in a sentence or two.
        columns (tuple): Names of the columns.
        rows (Callable): Rows of a result of one part, given the label of the part.
    """

    title: str
    text: str
    columns: Tuple[str, ...]
    rows: Callable[[str, Result], List[Row]]


def number(value: float) -> str:
    """Three digits, more where there are more before the point."""
    return f'{value:,.0f}' if abs(value) >= 100 else f'{value:.3g}'


def of_processor(result: Result) -> Result:
    """Seconds of a step by the clock on a GPU, of the processor without one."""
    return result['cpu_seconds' if result['machine']['device'] == 'cpu' else 'seconds']


def waits(counts: Result) -> str:
    """Host synchronisations: counted ones, or those that CUDA reports if these are more."""
    return str(max(counts['counted'], counts['reported_by_cuda']))


def step_rows(label: str, result: Result) -> List[Row]:
    """Rows of :func:`mmseg_ctt.lab.benchmark.step.benchmark_step`."""
    seconds, memory = of_processor(result), result['memory']
    return [
        [
            f'CTT, {label}',
            number(1e3 * seconds['step']),
            number(1e3 * seconds['floor']),
            f'{seconds["floor_ratio"]:.3f}',
            str(result['operations']['outside']),
            waits(result['synchronisations']),
            f'{number(memory["step_mib"])} / {number(memory["floor_mib"])}',
        ]
    ]


def method_rows(label: str, result: Result) -> List[Row]:
    """Rows of ``methods.json``, the cheapest step first, those without a result last."""
    costs, reasons = result['costs'], result['not_measured']
    names = short_names([cost['name'] for cost in costs] + list(reasons))
    rows = [
        [
            name,
            number(1e3 * cost['step']),
            number(1e3 * cost['floor']),
            f'{cost["step"] / cost["floor"]:.2f}',
            str(cost['operations']),
            str(cost['synchronisations']),
            number(cost['memory']),
        ]
        for name, cost in zip(names, costs)
    ]
    left = zip(names[len(costs) :], reasons.values())
    return rows + [missing_row(name, reason, 7) for name, reason in left]


def chunk_rows(label: str, result: Result) -> List[Row]:
    """Rows of the part ``chunks`` of ``parts.json``."""
    chunks = result['chunks']
    return [
        [
            size,
            str(part['operations']),
            f'{1 / part["times_faster"]:.2f}',
            number(part['memory']['mib']),
        ]
        for size, part in chunks.items()
        if size != 'pixels'
    ]


def part_rows(label: str, result: Result) -> List[Row]:
    """Rows of one other part of ``parts.json``, beside the form of released code."""
    if label == 'contrast':
        parts = {f'contrast, {name}-level': result[label][name] for name in ('high', 'low')}
    elif label == 'lal':
        parts = {
            f'locally adaptive loss {name} beside cross-entropy': part
            for name, part in result[label].items()
            if name != 'shape'
        }
    else:
        parts = {dict(ema='EMA of two teachers', bank='update of a bank')[label]: result[label]}
    return [
        [
            name,
            f'{1 / part["times_faster"]:.3g}',
            _pair(part.get('memory', {}), 'mib'),
            _pair(part, 'operations'),
            _pair(part, 'synchronisations'),
        ]
        for name, part in parts.items()
    ]


def evaluation_rows(label: str, result: Result) -> List[Row]:
    """Rows of ``evaluation.json``: the whole, then its sections in per cent of the floor."""
    seconds = of_processor(result)
    sections = [
        [name, number(1e3 * part['cpu_seconds']), f'{part["cpu_of_floor"]:.3f}']
        for name, part in result['sections'].items()
    ]
    whole = f'all, {result["images"]} images, {result["networks"]} networks, without reading'
    rows = [[whole, number(1e3 * seconds['loop']), f'{seconds["ratio"]:.3f}'], *sections]
    if 'of_stock' in result:
        number_of = result['networks'] + 1
        words = f'all, with reading, beside {number_of} evaluations by mmseg alone'
        rows.append([words, '', f'{result["of_stock"]:.2f} of them'])
    return rows


def loader_rows(label: str, result: Result) -> List[Row]:
    """Rows of ``loader.json``: steps of each source, then numbers of workers."""
    rows = []
    for kind, sources in result['stages'].items():
        for source, steps in sources.items():
            total = {'all': sum(steps.values())}
            rows += [
                [f'{kind}, {source}: {step}', number(1e3 * seconds), '']
                for step, seconds in {**steps, **total}.items()
            ]
    for kind, rates in result['images_per_second'].items():
        rows += [
            [f'{kind}, {workers} workers', '', number(rate)] for workers, rate in rates.items()
        ]
    return rows


def author_rows(label: str, result: Result) -> List[Row]:
    """Rows of ``authors.json``."""
    ours, theirs = result['ours'], result['authors']
    return [
        [
            label,
            number(1e3 * ours['seconds']),
            number(1e3 * theirs['seconds']),
            f'{ours["seconds"] / theirs["seconds"]:.2f}',
            f'{ours["operations"]} / {theirs["operations"]}',
            f'{ours["synchronisations"]} / {theirs["synchronisations"]}',
        ]
    ]


def made_rows(label: str, result: Result) -> List[Row]:
    """Rows that a tool has written itself, as lists of cells."""
    return [[str(cell) for cell in row] for row in result['rows']]


def missing_row(label: str, reason: str, width: int) -> Row:
    """Row of what was not measured."""
    return [label or 'all', NOT_MEASURED + reason, *[''] * (width - 2)]


def _pair(part: Result, key: str) -> str:
    if key not in part:
        return '-'
    return f'{number(part[key])} / {number(part[f"reference_{key}"])}'


STEP_COLUMNS = ('ms', 'networks alone, ms', 'ratio', 'operations', 'synchronisations')
KINDS: Dict[str, Kind] = dict(
    step=Kind(
        'A step of CTT beside its floor',
        'The floor is the same network passes under a mean of the logits, forward and backward, '
        'in turns with the step. Operations are those outside the networks, without autograd.',
        ('numbers', *STEP_COLUMNS, 'peak MiB, step / floor'),
        step_rows,
    ),
    methods=Kind(
        'One step of each method',
        'The same network and the same images for every method, with banks and past models full '
        'and every loss at work, each beside its own floor in one process. Compare a step with '
        'its floor, and two methods only where they differ much: they are measured one after the '
        'other.',
        ('method', *STEP_COLUMNS, 'peak MiB'),
        method_rows,
    ),
    chunks=Kind(
        'Chunks of the contrast',
        'Both contrasts of CTT, forward and backward, 21 classes with 256 entries of width 256, by '
        'the number of similarities that are held at a time; the time is beside that of 2^22. 2^22 '
        'is beside itself, which shows the noise; rows of equal operations are one computation.',
        ('similarities', 'operations', 'time', 'extra MiB'),
        chunk_rows,
    ),
    evaluation=Kind(
        'Evaluation of all members',
        'The validation loop with its metrics beside the forwards of the same networks on images '
        'that were read and normalised before. Images are read in the main process. Five '
        'evaluations are those of four members and of the ensemble, one after the other.',
        ('section', 'ms', 'of the forwards'),
        evaluation_rows,
    ),
    loader=Kind(
        'Loader',
        'Processor time of one image by step of the pipeline, then images a second by the clock '
        'with each number of workers.',
        ('step, or workers', 'ms an image', 'images a second'),
        loader_rows,
    ),
    authors=Kind(
        "Beside the authors' code",
        "The authors' own training loop, run from their file with our network and our images, in "
        'turns with ours.',
        ('method', 'ours, ms', 'theirs, ms', 'ratio', 'operations', 'synchronisations'),
        author_rows,
    ),
    parts=Kind(
        'Parts beside the forms of released code',
        'Contrast of 6,724 pixels, 21 classes, 256 entries of width 256; EMA of two DeepLabV3+ on '
        'ResNet-50; a bank that takes 10 images of 41x41 pixels; the [locally adaptive '
        'loss](methods/lal.md) of 2 images of 321x321 pixels and 21 classes by side q and '
        'stride t.',
        ('part', 'time, ours / theirs', 'extra MiB', 'operations', 'synchronisations'),
        part_rows,
    ),
    scale=Kind(
        'What it costs at scale',
        'By simulation: indices and sizes alone, no image files.',
        ('part', 'size', 'memory', 'time', 'grows with'),
        made_rows,
    ),
)


def rows_of(table: str, parts: Sequence[Dict[str, Any]]) -> List[Row]:
    """Rows of a table from its parts: ``label``, and ``result`` or ``not_measured``."""
    kind, rows = KINDS[table], []
    for part in parts:
        if part['result'] is None:
            rows.append(missing_row(part['label'], part['not_measured'], len(kind.columns)))
        else:
            rows += kind.rows(part['label'], part['result'])
    return rows
