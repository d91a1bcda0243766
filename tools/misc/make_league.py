# Copyright (c) mmseg_ctt contributors.
"""Write the figures of the league: its tables in README.md and the docs, and its picture.

python tools/misc/make_league.py            write tables and picture
python tools/misc/make_league.py --check    say whether pages and picture are up to date

Scores are those of the CSVs that configs/matrices/league.yaml and league_longer.yaml name, which
may be filled in part; costs are those of docs/step_costs.json. A method is represented by the
member that its config predicts with. Exit status: 0 done or up to date, 1 not up to date.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Dict, List, Tuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _common import run  # noqa: E402
from _figures import LEAGUE, LONGER, read_league, step_base, step_costs  # noqa: E402
from _league_aims import aims_table  # noqa: E402
from _league_cells import SETS, main_set  # noqa: E402
from _league_tables import (  # noqa: E402
    gains_table,
    longer_table,
    miou_tables,
    question_table,
    recipe_table,
    shares_table,
)
from _made_tables import marks, parse_args, update  # noqa: E402

if TYPE_CHECKING:
    from mmseg_ctt.lab.experiments.league import League, Standing

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = 'tools/misc/make_league.py'
README = 'README.md'
PAGE, RESULTS, GUIDE = 'docs/league.md', 'docs/results.md', 'docs/guide/which_method.md'
PICTURE = 'docs/images/league.png'
ALT = (
    'share of the gap that each method wins back: a mark per question, a bar for the mean; '
    'both are hollow in rows of few seeds'
)
NONE = 'Figures are to come.'
MEASURE = f'python tools/analysis_tools/run_matrix.py {LEAGUE} --jobs 2 --threads 1'


def tables(league: 'League') -> Dict[Tuple[str, str], str]:
    """Tables by page and name; without any figure they say so."""
    names = {(README, 'results'), (GUIDE, 'league'), (GUIDE, 'gains')}
    names |= {(PAGE, name) for name in ('shares', 'aims', 'more steps', 'mIoU')}
    names |= {(RESULTS, question) for question in league.questions}
    if not has_figures(league):
        return dict.fromkeys(sorted(names), NONE)
    costs, memory = step_costs(ROOT), step_costs(ROOT, 'memory')
    shares = shares_table(league, costs, memory, step_base(ROOT))
    made = {
        (PAGE, 'shares'): f'![{ALT}](images/league.png)\n\n{shares}',
        (PAGE, 'aims'): aims_table(league),
        (PAGE, 'more steps'): longer_table(league, read_league(ROOT, LONGER)),
        (PAGE, 'mIoU'): miou_tables(league),
        (README, 'results'): recipe_table(league, titles(league)),
        (GUIDE, 'league'): f'![{ALT}](../images/league.png)',
        (GUIDE, 'gains'): gains_table(league, costs),
    }
    made.update({(RESULTS, name): question_table(league, name) for name in league.questions})
    return made


def titles(league: 'League') -> Dict[str, str]:
    """Heading of each question in the page of the results."""
    text, found = (ROOT / RESULTS).read_text(), {}
    for question in league.questions:
        before = text.partition(marks(question, SCRIPT)[0])[0]
        found[question] = before.rpartition('\n## ')[2].partition('\n')[0]
    return found


def has_figures(league: 'League') -> bool:
    """Whether any run of a question was evaluated."""
    return bool(league.standings('val') or league.standings('test'))


def shown(league: 'League') -> 'Tuple[List[Standing], List[str], str]':
    """What the picture shows: standings, questions, and the label of the axis."""
    images = main_set(league)
    label = f'share of the gap to all labels, {SETS[images]}, %'
    return league.standings(images), league.questions, label


def update_picture(league: 'League', check: bool) -> None:
    """Write the picture, or exit if it is missing or of other figures."""
    from mmseg_ctt.lab.experiments import league_chart

    path, figures = ROOT / PICTURE, shown(league)
    if not check:
        league_chart.save_league(path, *figures)
    elif league_chart.saved_checksum(path) != league_chart.checksum_of(*figures):
        print(f'{PICTURE}: run python {SCRIPT}')
        sys.exit(1)


def main() -> None:
    check = parse_args(__doc__).check
    import mmengine  # noqa: F401, without an environment the error is that of all tools

    league = read_league(ROOT)
    if not has_figures(league):
        print(f'{league.table.matrix.out} has no rows yet; measure them: {MEASURE}')
    else:
        update_picture(league, check)
    update(ROOT, tables(league), SCRIPT, check)


if __name__ == '__main__':
    run(main)
