# Copyright (c) mmseg_ctt contributors.
"""Patients of images, and the check that none is in two sets.

Slices of one volume, and volumes of one patient, look alike: a score on some is no score for a new
patient when others were trained on.
"""

import re
from typing import Any, Dict, List, Mapping, Optional, Sequence

WHOLE_NAME = '(.+)'


class PatientRule:
    """Patient of an image by its name.

    Args:
        pattern (str, optional): Regular expression that matches the whole name and whose first
            group is the patient, such as ``'(.+)_z[0-9]+'`` for ``06SR5RBR_z15``. None: patients
            are not known.
        owner (str): What has the setting, for messages.

    Raises:
        ValueError: If it is no regular expression with a group.
    """

    def __init__(self, pattern: Optional[str], owner: str) -> None:
        self.pattern, self.owner = pattern, owner
        try:
            self.compiled = None if pattern is None else re.compile(pattern)
        except (re.error, TypeError) as error:
            raise ValueError(
                f'{owner}: patient={pattern!r} is no regular expression: {error}'
            ) from None
        if self.compiled is not None and not self.compiled.groups:
            raise ValueError(
                f'{owner}: patient={pattern!r} has no group: put the part of the name that is the '
                "patient in brackets, as in '(.+)_z[0-9]+'"
            )

    def of(self, stem: str) -> Optional[str]:
        """Patient of an image; None without a pattern.

        Args:
            stem (str): Path of the image below its folder, without suffix.

        Raises:
            ValueError: If the pattern does not match it.
        """
        if self.compiled is None:
            return None
        found = self.compiled.fullmatch(stem)
        if found is None or not found[1]:
            raise ValueError(
                f'{self.owner}: patient={self.pattern!r} does not match the name {stem!r}: '
                'correct it, or set patient=None to do without the check of patients'
            )
        return found[1]


def patients_of(infos: Sequence[Mapping[str, Any]]) -> Dict[str, str]:
    """An image of each patient.

    Args:
        infos (Sequence[Mapping]): Entries of a data set: ``img_path``, ``patient`` where known.
    """
    found: Dict[str, str] = {}
    for info in infos:
        if info.get('patient') is not None:
            found.setdefault(info['patient'], info['img_path'])
    return found


def check_patients(infos: Mapping[str, Sequence[Mapping[str, Any]]]) -> List[str]:
    """No patient is in two sets.

    Args:
        infos (Mapping[str, Sequence[Mapping]]): Entries of each set, by its key in the config.

    Returns:
        list[str]: Keys of the sets whose patients are known.

    Raises:
        ValueError: Names two sets, the first patients they have in common and how many.
    """
    known = {key: patients_of(entries) for key, entries in infos.items()}
    known = {key: patients for key, patients in known.items() if patients}
    keys = list(known)
    for number, second in enumerate(keys):
        for first in keys[:number]:
            common = sorted(set(known[first]) & set(known[second]))
            if common:
                raise ValueError(
                    f'{len(common)} patients are in both {first} and {second}, e.g. '
                    f'{", ".join(common[:3])} ({known[second][common[0]]}): keep all images of a '
                    'patient on one side, or set patient=None for these data sets'
                )
    return keys
