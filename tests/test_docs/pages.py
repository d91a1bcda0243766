# Copyright (c) mmseg_ctt contributors.
"""The Markdown pages of the project, and what stands in them."""

import functools
import re
import shlex
import sys
from pathlib import Path
from typing import Dict, Iterator, List, Set, Tuple

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / 'docs' / '_ext'))

from replaced_blocks import MADE  # noqa: E402

PATTERNS = ('*.md', 'docs/**/*.md', 'configs/**/README.md')
PAGES = sorted(
    {
        path.relative_to(ROOT).as_posix()
        for pattern in PATTERNS
        for path in ROOT.glob(pattern)
        if '_build' not in path.parts
    }
)


@functools.lru_cache(maxsize=None)
def tokens(page: str, on_site: bool = False) -> List[Token]:
    """Blocks of a page; on the site without those that it replaces."""
    text = (ROOT / page).read_text()
    text = MADE.sub('', text) if on_site else text
    return MarkdownIt('commonmark').enable('table').parse(text)


def inline(page: str) -> Iterator[Token]:
    """What stands within its paragraphs, headings and tables."""
    for block in tokens(page):
        yield from block.children or ()


def links(page: str) -> Set[str]:
    """Targets of its links and images."""
    found = {
        one.attrs.get('href') or one.attrs.get('src')
        for one in inline(page)
        if one.type in ('link_open', 'image')
    }
    return {str(target) for target in found if target}


@functools.lru_cache(maxsize=None)
def anchors(page: str) -> Set[str]:
    """Anchors of its headings that both GitHub and the site have."""
    found: Dict[str, int] = {}
    blocks = tokens(page, on_site=True)
    for start, text in zip(blocks, blocks[1:]):
        if start.type == 'heading_open':
            plain = ''.join(one.content for one in text.children or ())
            slug = re.sub(r'[^\w\- ]', '', plain.lower()).replace(' ', '-')
            found[slug] = found.get(slug, -1) + 1
    return {f'{slug}-{i}' if i else slug for slug, last in found.items() for i in range(last + 1)}


def code(page: str, language: str) -> List[str]:
    """Its code blocks in a language."""
    return [
        block.content
        for block in tokens(page)
        if block.type == 'fence' and block.info.strip() == language
    ]


def code_words(page: str) -> Set[str]:
    """Words of its code, within lines and in blocks."""
    pieces = [
        one.content
        for one in (*tokens(page), *inline(page))
        if one.type in ('fence', 'code_inline')
    ]
    return {word for piece in pieces for word in re.split(r'[\s"\'=:()]+', piece)}


def commands(page: str) -> Iterator[Tuple[str, ...]]:
    """Commands of its shell blocks as words; variables set there are filled in."""
    for block in code(page, 'bash'):
        variables: Dict[str, str] = {}
        for line in block.replace('\\\n', ' ').splitlines():
            for name, value in variables.items():
                line = re.sub(rf'\${name}\b|\${{{name}}}', value, line)
            words = shlex.split(line, comments=True)
            while words and (words[0] == 'export' or re.match(r'\w+=', words[0])):
                name, _, value = words.pop(0).partition('=')
                variables[name] = value
            if words:
                yield tuple(words)
