"""run_matrix.py in a given order: league_order.py ORDER.txt [arguments of run_matrix.py]

ORDER.txt has lines `method split seed`. Runs that are not in it are left out.
"""
import importlib.util
import sys
from pathlib import Path

root = Path.cwd()
order = [tuple(line.split()[:3]) for line in Path(sys.argv[1]).read_text().splitlines() if line.strip()]
sys.argv = ['run_matrix.py', *sys.argv[2:]]
sys.path.insert(0, str(root / 'tools'))
spec = importlib.util.spec_from_file_location('run_matrix', root / 'tools/analysis_tools/run_matrix.py')
rm = importlib.util.module_from_spec(spec)
spec.loader.exec_module(rm)
import mmseg_ctt  # noqa
from dataclasses import replace
from mmseg_ctt.lab.experiments import matrix as M, selection

def select(cells, only):
    by = {(c.method, c.split, str(c.seed)): c for c in cells}
    seen, out = set(), []
    for key in order:
        if key in seen:
            continue
        seen.add(key)
        if key in by:
            out.append(by[key])
        else:
            print('not in the matrix:', key)
    return out

selection.select = select
rm.run(rm.main)
