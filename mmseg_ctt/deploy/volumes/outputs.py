# Copyright (c) mmseg_ctt contributors.
"""Folder of predicted volumes: what is in it, what is to be done, and with what it was made."""

import json
import os.path as osp
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Protocol, Sequence, Set

from ...engine.files import write_whole
from ...volumes.address import split_key
from ...volumes.cache import stamp_of

RECORD = 'prediction.json'


class Case(Protocol):
    """An input with the name of its output, and the end of that name."""

    @property
    def name(self) -> str:
        """Path of the output below the folder, without its end."""

    @property
    def path(self) -> str:
        """Of the input."""

    @property
    def suffix(self) -> str:
        """End of the name of the output."""


class PredictionFolder:
    """Outputs of one member of a run; nothing is written before :meth:`start`.

    A file ``prediction.json`` in it says by which settings the cases were predicted. A case is
    finished when its labels are in the folder, since they appear whole, and its probabilities in
    theirs, where they are wanted.

    Args:
        folder (Path): Of the labels; may not exist.
        settings (Mapping): What the prediction depends on, of what JSON holds.
        cases (Sequence[Case]): What is to be predicted.
        probabilities (Path, optional): Folder of the probabilities. Defaults to None: none.

    Attributes:
        finished (list[Case]): Cases that an earlier call with these settings has finished.
        pending (list[Case]): The others, in order.
    """

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, Any],
        cases: Sequence[Case],
        probabilities: Optional[Path] = None,
    ) -> None:
        self.folder, self.probabilities = folder, probabilities
        self.settings: Dict[str, Any] = json.loads(json.dumps(settings))
        self.cases: List[Any] = list(cases)
        self.record = folder / RECORD
        self.finished: List[Any] = []
        self.pending: List[Any] = self.cases

    def labels_of(self, case: Case) -> Path:
        """File of the labels of a case."""
        return self.folder / f'{case.name}{case.suffix}'

    def probabilities_of(self, case: Case) -> Optional[Path]:
        """File of the probabilities of a case; None where they are not kept."""
        return None if self.probabilities is None else self.probabilities / f'{case.name}.npy'

    def check(self, overwrite: bool = False) -> None:
        """Find out what is to be done.

        Args:
            overwrite (bool): Predict all cases anew. Defaults to False.

        Raises:
            ValueError: If an output would replace an input, the folder holds outputs of other
                settings that would stay, or without ``overwrite`` outputs of other settings, of
                other inputs, or of something else; or its inputs have other names in the record.
        """
        inputs = {osp.realpath(split_key(case.path)[0]) for case in self.cases}
        for path in self._files(self.cases):
            if osp.realpath(path) in inputs:
                raise ValueError(f'{path} is an input and would be replaced: give another --out')
        known = read_record(self.folder)
        self._check_names(known.get('cases', {}))
        if overwrite:
            self._check_others(known)
            return
        if known:
            self._check_settings(known['settings'])
        inputs_known: Mapping[str, str] = known.get('cases', {})
        for case in self.cases:
            if case.name in inputs_known:
                self._check_input(case, inputs_known[case.name])
            else:
                self._check_free(case)
        self.finished = [case for case in self.cases if self._is_finished(case)]
        self.pending = [case for case in self.cases if not self._is_finished(case)]

    def start(self, classes: Sequence[str], overwrite: bool = False) -> None:
        """Write ``prediction.json``; with ``overwrite`` remove what it replaces.

        Args:
            classes (Sequence[str]): Names of the classes, for the evaluation.
            overwrite (bool): As for :meth:`check`. Defaults to False.
        """
        known = read_record(self.folder)
        kept = known.get('cases', {}) if known.get('settings') == self.settings else {}
        if overwrite:
            for path in self._files(self.cases):
                path.unlink(missing_ok=True)
        record = dict(
            settings=self.settings,
            classes=list(classes),
            cases={**kept, **{case.name: stamp_of(case.path) for case in self.cases}},
        )
        write_whole(self.record, json.dumps(record, indent=1) + '\n')

    def _files(self, cases: Sequence[Case]) -> List[Path]:
        files = [file(case) for case in cases for file in (self.labels_of, self.probabilities_of)]
        return [path for path in files if path is not None]

    def _is_finished(self, case: Case) -> bool:
        kept = self.probabilities_of(case)
        return self.labels_of(case).exists() and (kept is None or kept.exists())

    def _check_names(self, known: Mapping[str, str]) -> None:
        """No input has another name in the folder, where it would be scored and fused twice."""
        names = {stamp: name for name, stamp in known.items() if name not in self._names}
        for case in self.cases if names else ():
            name = names.get(stamp_of(case.path))
            if name is not None and case.name not in known:
                raise ValueError(
                    f'{self.folder} has the prediction of {case.path} as the case {name}, which is '
                    f'{case.name} now (img_suffix or other inputs): give another --out, or remove '
                    f'{self.folder} to predict its cases anew'
                )

    @property
    def _names(self) -> Set[str]:
        return {case.name for case in self.cases}

    def _check_others(self, known: Mapping[str, Any]) -> None:
        """No outputs of other settings stay, which one score would take with the new ones."""
        if not known or known['settings'] == self.settings:
            return
        rest = sorted(set(known['cases']) - {case.name for case in self.cases})
        if rest:
            raise ValueError(
                f'{self.folder} holds predictions of other settings that this command would not '
                f'replace ({len(rest)} cases, such as {rest[0]}): name all cases, or give another '
                '--out'
            )

    def _check_settings(self, known: Mapping[str, Any]) -> None:
        keys = [key for key in {**self.settings, **known} if self._differs(key, known)]
        if keys:
            raise ValueError(
                f'{self.folder} holds predictions with another {", ".join(keys)}: give another '
                '--out, or --overwrite to predict these cases anew'
            )

    def _differs(self, key: str, known: Mapping[str, Any]) -> bool:
        return self.settings.get(key) != known.get(key)

    def _check_input(self, case: Case, stamp: str) -> None:
        if stamp != stamp_of(case.path):
            raise ValueError(
                f'{self.folder} has a case {case.name} of another file than {case.path}, or the '
                'file was changed since: give another --out, or --overwrite'
            )

    def _check_free(self, case: Case) -> None:
        for path in self._files([case]):
            if path.exists():
                raise ValueError(
                    f'{path} exists, and {RECORD} does not say how it was made: give another '
                    '--out, or --overwrite'
                )


def read_record(folder: Path) -> Dict[str, Any]:
    """How the predictions of a folder were made; empty where it does not say it.

    Args:
        folder (Path): Of :class:`PredictionFolder`; may not exist.

    Returns:
        dict: ``settings``, ``classes`` and ``cases``, the inputs by the names of the cases.

    Raises:
        ValueError: If ``prediction.json`` has another form.
    """
    record = folder / RECORD
    if not record.is_file():
        return {}
    try:
        known = json.loads(record.read_text(encoding='utf-8'))
        return dict(
            settings=dict(known['settings']),
            classes=tuple(known['classes']),
            cases=dict(known['cases']),
        )
    except (ValueError, KeyError, TypeError):
        raise ValueError(
            f'{record} is not the record of a prediction by this package: take another folder, or '
            'remove it'
        ) from None
