# Copyright (c) mmseg_ctt contributors.
"""Inputs that cannot be predicted: they are noted, the others are predicted; the call fails."""

from typing import Callable, Dict

from .items import Item

SHOWN = 3  # in the error; all are in the lines before it


class UnreadableVideoError(ValueError):
    """A video is damaged, or there is no decoder for it."""


# a file is damaged, cannot be opened, or has bands or values that the model does not take
REFUSED = (ValueError, OSError)


class Unreadable:
    """Inputs of a call that could not be predicted.

    Args:
        report (Callable): Takes a line about each as it is found, and all of them at the end.

    Attributes:
        found (dict[str, str]): Reason by path of the input.
    """

    def __init__(self, report: Callable[[str], None]) -> None:
        self.report = report
        self.found: Dict[str, str] = {}

    def add(self, item: Item, error: Exception) -> None:
        """Note an input.

        Args:
            item (Item): The input.
            error (Exception): Why it cannot be predicted.
        """
        text = ' '.join(str(error).split())
        self.found[item.path] = text if item.path in text else f'{item.path}: {text}'
        self.report(f'LEFT OUT: {self.found[item.path]}')

    def check(self, total: int) -> None:
        """List what was noted.

        Args:
            total (int): Number of inputs.

        Raises:
            ValueError: If there is any.
        """
        reasons = list(self.found.values())
        if not reasons:
            return
        if total == 1:
            raise ValueError(reasons[0])
        if len(reasons) > SHOWN:
            self.report(f'{len(reasons)} inputs are left out:')
            for reason in reasons:
                self.report(f'  {reason}')
        more = f'; and {len(reasons) - SHOWN} more, listed above' if len(reasons) > SHOWN else ''
        raise ValueError(
            f'{len(reasons)} of {total} inputs could not be predicted: '
            f'{"; ".join(reasons[:SHOWN])}{more}: repair them, or take them out of the folder, and '
            'give the same command again, which keeps what is predicted'
        )
