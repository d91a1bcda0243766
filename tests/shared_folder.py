# Copyright (c) mmseg_ctt contributors.
"""The folder of fixtures and real data that lies beside the repository and is not part of it.

They are other people's data or outputs of their code, whose licences keep them out of this
repository. The formulae are held everywhere by ``tests/reference``.
"""

import os
from pathlib import Path

VARIABLE = 'MMSEG_CTT_SHARED'


def shared_folder() -> Path:
    """The folder that the variable names, or ``shared`` beside the repository."""
    return Path(os.environ.get(VARIABLE, Path(__file__).resolve().parents[2] / 'shared'))
