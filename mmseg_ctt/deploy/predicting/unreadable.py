# Copyright (c) mmseg_ctt contributors.
"""Inputs that cannot be predicted: they are noted, the others are predicted; the call fails."""

from typing import Callable, Dict, List

from ...datasets.image_reading import UnreadableImageError
from ...rasters import UnreadableRasterError
from .items import Item

SHOWN = 3  # in the error; the others are in the lines before it
# so many intact files that all do not fit are no accident; to refuse a raster may take a scan of
# the whole file, so that a folder would take hours
MISFITS = 10
SETTINGS = "the settings of the checkpoint's config (bands, image_loading.value_range)"


class UnreadableVideoError(ValueError):
    """A video is damaged, or there is no decoder for it."""


# a file is damaged or cannot be opened, whatever the settings
DAMAGE = (UnreadableImageError, UnreadableRasterError, UnreadableVideoError, OSError)
# or has bands or values that the model does not take
REFUSED = (ValueError, OSError)


class Unreadable:
    """Inputs of a call that could not be predicted.

    Args:
        report (Callable): Takes a line about each, at once while others are predicted, and those
            that the error at the end does not name.

    Attributes:
        found (dict[str, str]): Reason by path of the input.
        misfits (list[str]): Reasons of those that are not damaged.
    """

    def __init__(self, report: Callable[[str], None]) -> None:
        self.report = report
        self.found: Dict[str, str] = {}
        self.misfits: List[str] = []
        self.at_once = False

    def add(self, item: Item, error: Exception) -> None:
        """Note an input.

        Args:
            item (Item): The input.
            error (Exception): Why it cannot be predicted.
        """
        text = ' '.join(str(error).split())
        reason = text if item.path in text else f'{item.path}: {text}'
        self.found[item.path] = reason
        if not isinstance(error, DAMAGE):
            self.misfits.append(reason)
        if self.at_once:
            self._say(reason)

    def go_on(self) -> None:
        """Others are predicted: say what was noted, and what will be at once."""
        self.at_once = True
        for reason in self.found.values():
            self._say(reason)

    def check_settings(self) -> None:
        """End the call if no input has been predicted, and too many do not fit.

        Raises:
            ValueError: If there are :data:`MISFITS`; with one of the reasons.
        """
        if len(self.misfits) >= MISFITS:
            raise ValueError(
                f'the first {MISFITS} intact inputs that were tried are all refused: '
                f'{self.misfits[0]}. Look at {SETTINGS}, or take these inputs out of the folder; '
                'nothing was written'
            )

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
        more = ''
        if len(reasons) > SHOWN:
            more = f'; and {len(reasons) - SHOWN} more, listed above'
            self.report(f'{len(reasons)} inputs are left out, among them:')
            for reason in reasons[SHOWN:]:
                self.report(f'  {reason}')
        raise ValueError(
            f'{len(reasons)} of {total} inputs could not be predicted: '
            f'{"; ".join(reasons[:SHOWN])}{more}: {self._advice(total)}'
        )

    def _say(self, reason: str) -> None:
        self.report(f'LEFT OUT: {reason}')

    def _advice(self, total: int) -> str:
        if self.at_once or len(self.found) < total:
            return (
                'repair them, or take them out of the folder, and give the same command again, '
                'which keeps what is predicted'
            )
        if self.misfits:
            return f'nothing was written. Repair the files, or look at {SETTINGS}'
        return 'nothing was written. Repair them, or give other inputs'
