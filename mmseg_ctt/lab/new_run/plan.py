# Copyright (c) mmseg_ctt contributors.
"""All files of a run, checked, before the first is written."""

import json
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from ...datasets.lists import check_names, read_stems
from ...datasets.split_files import LIST_NAMES
from ...engine.files import write_whole
from .baseline import check_options, read_baseline
from .choose_lists import Wanted, choose_lists
from .class_names import META
from .configs import SUPERVISED, check_texts, method_text, supervised_text
from .conversion import Conversion, plan_conversion, write_masks
from .found import Found
from .lists import Lists, few_notes
from .networks import USUAL as USUAL_NETWORK
from .networks import network
from .places import check_places
from .sizes import choose_sizes, described, machine_memory
from .words import TEST, TRAIN, VAL

RUNS = 'runs'


@dataclass
class Plan:
    """Files of a run.

    Attributes:
        found (Found): What the folder holds.
        folder (Path): Of the configs.
        lists (Lists): Lists of images.
        evaluated (dict[str, list[str]]): Stems by list, of parts with folders of their own.
        conversions (list[Conversion]): Masks to write.
        texts (dict[str, str]): Configs by method.
        lines (list[str]): What was chosen, in words.
    """

    found: Found
    folder: Path
    lists: Lists
    evaluated: Dict[str, List[str]]
    conversions: List[Conversion]
    texts: Dict[str, str]
    lines: List[str] = field(default_factory=list)

    @property
    def scored(self) -> bool:
        """Whether there are images for validation."""
        return bool(self.lists.val or VAL in self.found.masks)

    def config(self, method: str, folder: Path) -> Path:
        """Config of a method: that which is there, else written to another folder for a check.

        Args:
            method (str): One of :attr:`texts`.
            folder (Path): Where to write it.
        """
        path, base = self.folder / f'{method}.py', f'{SUPERVISED}.py'
        if path.is_file():
            return path
        text = self.texts[method]
        if method != SUPERVISED:
            inherited = repr(str(self.config(SUPERVISED, folder)))
            text = text.replace(repr(f'./{base}'), inherited)
        written = folder / path.name
        written.write_text(text, encoding='utf-8')
        return written

    def write(self) -> List[str]:
        """Write what is not there, and say so."""
        root, lines = self.found.root, []
        for conversion in self.conversions:
            write_masks(root, conversion)
            lines.append(str(conversion))
        meta = root / META
        if not meta.is_file():
            content: dict = dict(classes=self.found.labels.names)
            if self.found.labels.palette:
                content['palette'] = self.found.labels.palette
            write_whole(meta, json.dumps(content) + '\n')
            names = '; give the classes their names there' if self.found.labels.unnamed else ''
            lines.append(f'{META}: written{names}')
        self.lists.write(root)
        lines += [_write_list(root, name, stems) for name, stems in self.evaluated.items()]
        names = ', '.join(LIST_NAMES) + (', val.txt' if self.lists.val else '')
        lines.append(f'{self.lists.folder}: {names}')
        self.folder.mkdir(parents=True, exist_ok=True)
        for method, text in self.texts.items():
            path = self.folder / f'{method}.py'
            present = path.is_file()
            if not present:
                write_whole(path, text)
            same = present and path.read_text(encoding='utf-8') == text
            state = 'is there already' if same else 'is there and is kept as it is'
            short = path.relative_to(root)
            lines.append(f'{short}: {state if present else "written"}')
        return lines


def _write_list(root: Path, name: str, stems: Sequence[str]) -> str:
    """Write a list unless it is there, which the user may have changed."""
    path, text = root / name, ''.join(f'{stem}\n' for stem in stems)
    if not path.is_file():
        write_whole(path, text)
        return f'{name}: written'
    same = path.read_text(encoding='utf-8') == text
    return f'{name}: {"is there already" if same else "is there and is kept as it is"}'


def make_plan(
    found: Found,
    method: str,
    model: Optional[str] = None,
    size: Optional[Sequence[int]] = None,
    lists: Optional[str] = None,
    val: Optional[int] = None,
    name: Optional[str] = None,
    seed: Optional[int] = None,
    iterations: Optional[int] = None,
    given: Sequence[str] = (),
) -> Plan:
    """Choose lists, sizes and configs of a run, and check them.

    A baseline that is there keeps its numbers, on whatever machine it was written, and a method
    gets those.

    Args: as of ``new_run``; ``found`` is what the folder holds, ``given`` the options with which it
        was searched.

    Raises:
        FileNotFoundError: If a list names an image that is not there.
        ValueError: If settings do not go together, or files of a former run would have to be
            replaced.
    """
    folder = found.root / RUNS / (name or '')
    chosen = choose_lists(found, Wanted(lists, val, name, seed))
    conversions, masks = _masks(found, name)
    baseline = read_baseline(folder)
    known = model or (baseline.model if baseline else None) or USUAL_NETWORK
    net, memory = network(known), machine_memory()
    wanted = choose_sizes(found.images, net, len(chosen.labeled), memory, size, iterations)
    sizes = wanted
    if baseline:
        source = f'as in {RUNS}/{baseline.path.relative_to(found.root / RUNS)}'
        sizes = described(baseline.numbers, found.images, net, memory, source, source)
    texts = {SUPERVISED: supervised_text(found, chosen, sizes, known, masks, folder / SUPERVISED)}
    if baseline:
        classes = len(found.labels.names)
        check_options(baseline, texts[SUPERVISED], wanted, classes, model, size, iterations, given)
    if chosen.unlabeled and method != SUPERVISED:
        texts[method] = method_text(method, sizes, folder / method)
    check_texts(texts)
    check_places(found.root, folder, chosen, conversions)
    evaluated = {
        part: _evaluated(found, f'{chosen.folder}/{part}_folder.txt', part)
        for part in (VAL, TEST)
        if part in masks
    }
    notes = [note for listed in evaluated.values() for note in listed.notes]
    notes += _without_unlabeled(found, chosen, method, masks[TRAIN], given)
    lines = [*_list_lines(found, chosen, evaluated), *notes, *sizes.lines]
    title = net.title if baseline is None or baseline.model else 'as in the baseline'
    lines.append(f'network: {title} (--model), method: {method} (--method)')
    stems = {listed.name: list(found.parts[part].masks) for part, listed in evaluated.items()}
    return Plan(found, folder, chosen, stems, conversions, texts, lines)


class Evaluated(NamedTuple):
    """List of a part that has a folder of its own: its name, images, and lines for the user."""

    name: str
    stems: List[str]
    notes: List[str]


def _evaluated(found: Found, name: str, part: str) -> Evaluated:
    """Images of a part: those of the list that is there, which the user may have changed."""
    path, matched = found.root / name, found.parts[part]
    if not path.is_file():
        check_names(list(matched.masks), name)
        return Evaluated(name, list(matched.masks), [])
    stems = read_stems(path, matched.masks, found.root / matched.masks_dir)
    new = sorted(set(matched.masks) - set(stems))
    if not new:
        return Evaluated(name, stems, [])
    note = (
        f'{len(new)} images of {part} are not in {name}, such as {new[0]}, and are not used: add '
        'them to it, or remove the list to use all'
    )
    return Evaluated(name, stems, [note])


def _list_lines(found: Found, lists: Lists, evaluated: Mapping[str, Evaluated]) -> List[str]:
    kept = len(evaluated[VAL].stems) if VAL in evaluated else len(lists.val)
    tested = '' if TEST in found.masks or lists.test or not kept else ', which test.py scores too'
    return [
        f'lists: {len(lists.labeled)} labelled, {len(lists.unlabeled)} unlabelled, {kept} for '
        f'validation{tested}',
        *lists.notes,
        *few_notes(len(lists.labeled), kept),
    ]


def _masks(
    found: Found, name: Optional[str]
) -> Tuple[List[Conversion], Dict[str, Tuple[str, str]]]:
    """Masks to write, and folder and ending of the masks of each part."""
    conversions: Dict[str, Conversion] = {}
    masks: Dict[str, Tuple[str, str]] = {}
    for part in found.masks:
        matched = found.parts[part]
        masks[part] = (matched.masks_dir, matched.suffix or '.png')
        if found.labels.convert:
            conversion = plan_conversion(found.root, matched, found.labels, name)
            before = conversions.get(conversion.folder)
            if before:
                conversion = before._replace(
                    total=before.total + conversion.total,
                    missing={**before.missing, **conversion.missing},
                )
            conversions[conversion.folder] = conversion
            masks[part] = (conversion.folder, '.png')
    return list(conversions.values()), masks


def _without_unlabeled(
    found: Found, lists: Lists, method: str, masks: Tuple[str, str], given: Sequence[str]
) -> List[str]:
    if lists.unlabeled:
        return []
    root, (folder, suffix) = found.root, masks
    hide = ['make_split.py', 'make', '--fraction', '1/4', '--out', str(root / 'splits')]
    hide += ['--list', str(root / lists.folder / LIST_NAMES[0]), '--ann-dir', str(root / folder)]
    hide += ['--meta', str(root / META), *([] if suffix == '.png' else ['--suffix', suffix])]
    use = ['new_run.py', str(root), '--lists', 'splits/1_4/seed0', '--name', 'quarter']
    same = f' with {" ".join(given)} as before' if given else ''
    return [
        f'WARNING: every image has a mask, so that {method} has nothing to learn from beyond the '
        'masks, and the baseline alone is written. Add images without a mask, or hide some masks '
        'to see what the method would give: python tools/dataset_converters/'
        f'{shlex.join(hide)}, then python tools/misc/{shlex.join(use)}{same}'
    ]
