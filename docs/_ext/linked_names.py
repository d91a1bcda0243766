# Copyright (c) mmseg_ctt contributors.
"""Links names of the package, in code font or by :class: in docstrings, to their reference."""

from typing import Dict, Optional

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.domains.python import PythonDomain
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.nodes import make_refnode


def short_names(domain: PythonDomain) -> Dict[str, Optional[str]]:
    """Full name of each name that ends one object only; None where it ends several."""
    names: Dict[str, Optional[str]] = {}
    for full, entry in domain.objects.items():
        parts = full.split('.')
        if entry.objtype not in ('class', 'exception', 'function', 'method', 'property'):
            continue
        for start in range(len(parts)):
            short = '.'.join(parts[start:])
            names[short] = full if names.get(short, full) == full else None
    return names


def telling(name: str) -> bool:
    """Whether a word in code font is surely meant as a name: SegResult, mix.shift, ema_decay."""
    return '.' in name or '_' in name or (name[:1].isupper() and name != name.upper())


class LinkedNames(SphinxPostTransform):
    """Makes links of code such as ``ema_decay``."""

    default_priority = 500

    def run(self, **kwargs) -> None:
        """Replace the text of every such piece of code by a link to its object."""
        domain = self.env.domains['py']
        names = short_names(domain)
        for node in list(self.document.findall(nodes.literal)):
            name = node.astext().removesuffix('()')
            full = names.get(name) if telling(name) else None
            if full is None or isinstance(node.parent, nodes.reference):
                continue
            target = domain.objects[full]
            text = nodes.literal(node.astext(), node.astext())
            node.replace_self(
                make_refnode(
                    self.app.builder, self.env.docname, target.docname, target.node_id, text, full
                )
            )


def resolve(app: Sphinx, env, node, content: nodes.Node) -> Optional[nodes.reference]:
    """:class:`Name` without its module, as docstrings have it."""
    if node.get('refdomain') != 'py':
        return None
    full = short_names(env.domains['py']).get(node['reftarget'])
    if full is None:
        return None
    target = env.domains['py'].objects[full]
    return make_refnode(app.builder, node['refdoc'], target.docname, target.node_id, content, full)


def setup(app: Sphinx) -> dict:
    """Register with Sphinx."""
    app.add_post_transform(LinkedNames)
    app.connect('missing-reference', resolve)
    return dict(parallel_read_safe=True)
