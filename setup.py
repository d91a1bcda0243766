# Copyright (c) mmseg_ctt contributors.
import os
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
# What MIM (`mim train`, `mim search`) looks for in <package>/.mim.
MIM_FILES = ('tools', 'configs', 'model-index.yml')


class BuildPyWithMim(build_py):
    """Adds ``mmseg_ctt/.mim``: copies in a wheel, links into the tree if editable."""

    def run(self) -> None:
        super().run()
        target = (ROOT if self.editable_mode else Path(self.build_lib)) / 'mmseg_ctt' / '.mim'
        if target.exists():
            shutil.rmtree(target)
        target.mkdir(parents=True)
        for name in MIM_FILES:
            source = ROOT / name
            if self.editable_mode and os.name == 'posix':
                (target / name).symlink_to(os.path.relpath(source, target))
            elif source.is_dir():
                shutil.copytree(
                    source, target / name, ignore=shutil.ignore_patterns('__pycache__', '*.pyc')
                )
            else:
                shutil.copy(source, target / name)


def read_version() -> str:
    scope = {}
    exec((ROOT / 'mmseg_ctt' / 'version.py').read_text(), scope)
    return scope['__version__']


def read_requirements(name: str) -> list:
    lines = (line.partition('#')[0].strip() for line in (ROOT / name).read_text().splitlines())
    return [line for line in lines if line]


setup(
    name='mmseg_ctt',
    version=read_version(),
    description='Semi-supervised semantic segmentation for MMSegmentation: Cross-Teacher '
    'Training and its sibling methods',
    long_description=(ROOT / 'README.md').read_text() if (ROOT / 'README.md').exists() else '',
    long_description_content_type='text/markdown',
    author='mmseg_ctt contributors',
    license='Apache-2.0',
    python_requires='>=3.9',
    packages=find_packages(include=['mmseg_ctt', 'mmseg_ctt.*']),
    package_data={'mmseg_ctt.lab.report': ['page.html', 'page.css']},
    install_requires=read_requirements('requirements.txt'),
    extras_require={
        name: read_requirements(f'requirements/{name}.txt')
        for name in (
            'crf',
            'dicom',
            'docs',
            'geo',
            'lite',
            'onnx',
            'raters',
            'report',
            'tests',
            'tiff',
            'timm',
            'volumes',
        )
    },
    cmdclass={'build_py': BuildPyWithMim},
    zip_safe=False,
)
