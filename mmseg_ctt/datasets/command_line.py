# Copyright (c) mmseg_ctt contributors.
"""What the data set tools share on the command line."""
import sys
from typing import Callable


def run_tool(name: str, command: Callable[[], None]) -> int:
    """Run a command; a user's mistake ends in one line, not in a traceback.

    Args:
        name (str): Name of the tool, put before the message.
        command (Callable): Does the work; raises ``ValueError`` or
            ``OSError`` for mistakes of the user.

    Returns:
        int: Exit code: 0, or 2 after a mistake.
    """
    try:
        command()
    except (ValueError, OSError) as error:
        message = ' '.join(str(error).split())
        print(f'{name}: error: {message}', file=sys.stderr)
        return 2
    return 0
