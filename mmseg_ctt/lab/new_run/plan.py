# Copyright (c) mmseg_ctt contributors.
"""All files of a run, checked, before the first is written."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np

from ...datasets.lists import read_list
from ...datasets.split_files import LIST_NAMES
from .baseline import check_options, read_baseline
from .class_names import META
from .configs import SUPERVISED, check_texts, method_text, supervised_text
from .conversion import Conversion, plan_conversion, write_masks
from .found import Found
from .lists import (
    USUAL,
    Lists,
    few_notes,
    find_lists,
    held_notes,
    held_out,
    make_lists,
    other_lists,
    read_lists,
    read_names,
    seed_of,
)
from .networks import USUAL as USUAL_NETWORK
from .networks import network
from .places import check_places
from .sizes import choose_sizes, described, machine_memory
from .words import TEST, TRAIN, UNLABELED, VAL

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
            meta.write_text(json.dumps(content) + '\n', encoding='utf-8')
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
                path.write_text(text, encoding='utf-8')
            same = present and path.read_text(encoding='utf-8') == text
            state = 'is there already' if same else 'is there and is kept as it is'
            short = path.relative_to(root)
            lines.append(f'{short}: {state if present else "written"}')
        return lines


def _write_list(root: Path, name: str, stems: Sequence[str]) -> str:
    """Write a list unless it is there, which the user may have changed."""
    path, text = root / name, ''.join(f'{stem}\n' for stem in stems)
    if not path.is_file():
        path.write_text(text, encoding='utf-8')
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
    chosen = _lists(found, lists, val, name, seed)
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
        f'{chosen.folder}/{part}_folder.txt': list(found.parts[part].masks)
        for part in (VAL, TEST)
        if part in masks
    }
    lines = [*_list_lines(found, chosen, method), *sizes.lines]
    title = net.title if baseline is None or baseline.model else 'as in the baseline'
    lines.append(f'network: {title} (--model), method: {method} (--method)')
    return Plan(found, folder, chosen, evaluated, conversions, texts, lines)


def _list_lines(found: Found, lists: Lists, method: str) -> List[str]:
    kept = len(found.parts[VAL].masks) if VAL in found.masks else len(lists.val)
    tested = '' if TEST in found.masks or lists.test or not kept else ', which test.py scores too'
    return [
        f'lists: {len(lists.labeled)} labelled, {len(lists.unlabeled)} unlabelled, {kept} for '
        f'validation{tested}',
        *lists.notes,
        *few_notes(len(lists.labeled), kept),
        *_without_unlabeled(lists, method),
    ]


def _lists(
    found: Found, given: Optional[str], val: Optional[int], name: Optional[str], seed: Optional[int]
) -> Lists:
    root, train, own = found.root, found.train, f'splits/{name or USUAL}'
    unlabeled = found.parts.get(UNLABELED)
    has_val = VAL in found.masks
    for option, value in (('--val', val), ('--seed', seed)):
        if has_val and value is not None:
            raise ValueError(
                f'{option} {value} is for training images kept for validation, but '
                f'{found.parts[VAL].images_dir} has images for it: leave {option} out, or move them'
            )
    made = (root / own / LIST_NAMES[0]).is_file()
    new = bool(name) and given is None and not made
    present = None if new else find_lists(root, found.files, given, own)
    if present is not None:
        apart = unlabeled.images if unlabeled else None
        lists = read_lists(root, present, own, train.images, list(train.masks), apart)
        if val is not None and val != len(lists.val):
            raise ValueError(
                f'--val {val}, but the lists in {present} keep {len(lists.val)} images for '
                'validation: --name NAME makes other lists'
            )
        if seed is not None and seed != seed_of(root / present):
            raise ValueError(
                f'--seed {seed} draws images for validation, and the lists in {present} are there, '
                'drawn otherwise: --name NAME makes other lists'
            )
        if made and not lists.present and not _same_lists(root / own, lists):
            raise ValueError(
                f'{own} holds other lists than {present}, and configs that use them: --name NAME '
                'makes another run'
            )
        return lists
    test = held_out(root / 'splits' / USUAL, train.images) or held_out(root, train.images)
    bare = set(unlabeled.images) if unlabeled else set(train.images) - {*train.masks, *test}
    rows = [i for i, stem in enumerate(train.masks) if stem not in set(test)]
    stems = list(train.masks)
    presence = np.array(found.presence(TRAIN))[rows] > 0
    kept = [] if val is not None or has_val else _kept(root, train.images)
    if kept and seed is not None:
        raise ValueError(
            f'--seed {seed} draws images for validation, and those of splits/{USUAL} are used: '
            f'--val {len(kept)} draws others'
        )
    lists = make_lists(
        own,
        [stems[i] for i in rows],
        presence,
        found.labels.names,
        sorted(bare),
        (0 if has_val else val, kept),
        seed or 0,
    )
    lists.test = test
    lists.notes += held_notes(test)
    others = [] if name else other_lists(root, own)
    if others:
        lists.notes.append(f'lists are in {", ".join(others[:5])}, too: --lists uses one of them')
    return lists


def _same_lists(folder: Path, lists: Lists) -> bool:
    """Whether lists are those of a folder."""
    read = {kind: read_list(path) for kind, path in read_names(folder).items()}
    return [read.get(kind, []) for kind in ('labeled', 'unlabeled', 'val')] == [
        lists.labeled,
        lists.unlabeled,
        lists.val,
    ]


def _kept(root: Path, images: Dict[str, str]) -> List[str]:
    """Images for validation of the usual run, for another run of the same folder."""
    path = read_names(root / 'splits' / USUAL).get('val')
    return [stem for stem in path.read_text('utf-8').splitlines() if stem in images] if path else []


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


def _without_unlabeled(lists: Lists, method: str) -> List[str]:
    if lists.unlabeled:
        return []
    return [
        f'WARNING: every image has a mask, so that {method} has nothing to learn from beyond the '
        'masks, and the baseline alone is written. Add images without a mask, or hide some masks '
        'to see what the method would give: make_split.py make --fraction 1/4, then --lists'
    ]
