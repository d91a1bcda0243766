# Copyright (c) mmseg_ctt contributors.
"""The parser of all scripts, in which no option counts twice: one of the two would be unused."""

import argparse
from typing import Any, Optional

GIVEN = '_given'  # options that a command line has had so far


class Once(argparse.Action):
    """``store`` of argparse, which refuses an option that is given twice."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: Optional[str] = None,
    ) -> None:
        earlier = vars(namespace).setdefault(GIVEN, set())
        if option_string and self.dest in earlier:
            parser.error(f'{option_string} is given twice: leave one')
        earlier.add(self.dest)
        self.store(parser, namespace, values, option_string)

    def store(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, *_: Any
    ) -> None:
        """Set the value."""
        setattr(namespace, self.dest, values)


class YesOrNo(Once, argparse.BooleanOptionalAction):
    """``--name`` and ``--no-name``, of which one is given."""

    store = argparse.BooleanOptionalAction.__call__


class _Parser(argparse.ArgumentParser):
    """Parser in which no option counts twice; its sub-parsers are of the same class."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in (None, 'store'):
            self.register('action', name, Once)

    def parse_known_args(self, *args: Any, **kwargs: Any) -> Any:
        namespace, rest = super().parse_known_args(*args, **kwargs)
        vars(namespace).pop(GIVEN, None)
        return namespace, rest


def described(header: str) -> argparse.ArgumentParser:
    """Parser whose help is the header of a script, line by line; no option counts twice."""
    return _Parser(description=header, formatter_class=argparse.RawDescriptionHelpFormatter)
