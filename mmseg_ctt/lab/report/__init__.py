# Copyright (c) mmseg_ctt contributors.
"""Report on trainings as one HTML file: :func:`mmseg_ctt.lab.report.build.write_report`.

Figures and page need the extra ``report`` (plotly), the embedding also its scikit-learn; reading
runs and evaluating networks do not.
"""
