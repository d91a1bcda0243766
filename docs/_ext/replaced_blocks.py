# Copyright (c) mmseg_ctt contributors.
"""Blocks of pages that the site replaces by its own text."""

import re

# Tables for a reader of the file; the site has signatures, errors and links in their place.
MADE = re.compile(
    r'<!-- ([\w ]+): made by \S+/make_settings_reference.py -->.*?<!-- end of \1 -->', re.DOTALL
)
