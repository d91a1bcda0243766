# Copyright (c) mmseg_ctt contributors.
"""Write embeddings of class texts, which the guidance of SemiVL reads.

python tools/model_converters/clip_text_embeddings.py CLIP.pt OUT.npz --config CONFIG
python tools/model_converters/clip_text_embeddings.py CLIP.pt OUT.npz --texts road sidewalk 'a tree'

CLIP.pt is a local checkpoint of OpenAI's CLIP (as published, or its state) or of OpenCLIP, with
its text tower; no network is needed. `--config` takes the texts of `model.guidance.texts`.
The tokenizer and the network are mmseg's.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _common import FLAG, add_cfg_options, check_file, described, given, read_config, run  # noqa: E402
from _refusals import refuse_unused  # noqa: E402


def parse_args() -> argparse.Namespace:
    parser = described(__doc__)
    parser.add_argument('checkpoint', help='local checkpoint of CLIP')
    parser.add_argument('out', help='.npz file to write')
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument('--texts', nargs='+', help='texts')
    source.add_argument('--config', help='config with model.guidance.texts')
    parser.add_argument(
        '--template', default='a photo of a {}', help='sentence around a text; default: %(default)s'
    )
    parser.add_argument('--force', **FLAG, help='replace OUT.npz if it exists')
    add_cfg_options(parser)
    return parser.parse_args()


def texts_of(args: argparse.Namespace) -> list:
    """Texts of the command line, or of all classes of a config."""
    if args.texts:
        refuse_unused(args, ('cfg_options',), '--texts needs no config')
        return args.texts
    cfg = read_config(args.config, args.cfg_options)
    entries = (cfg.model.get('guidance') or {}).get('texts')
    if not entries:
        raise ValueError(f'{args.config} has no model.guidance.texts')
    return [t for entry in entries for t in ([entry] if isinstance(entry, str) else entry)]


def main() -> None:
    args = parse_args()
    check_file(args.checkpoint, 'checkpoint')
    texts = list(dict.fromkeys(texts_of(args)))
    from mmseg_ctt.methods.semivl.text_encoder import embed_texts, write_embeddings

    path = write_embeddings(
        Path(args.out),
        texts,
        lambda: embed_texts(Path(args.checkpoint), texts, args.template),
        **given(args, ('force',)),
    )
    print(f'embeddings of {len(texts)} texts: {path}')


if __name__ == '__main__':
    run(main)
