# Copyright (c) mmseg_ctt contributors.
"""Values that the released code of WILSON gives for PAMR (``oracles/wilson``)."""

from released_code import close, every_case

from mmseg_ctt import functional


@every_case('wilson', 'PAMR')
def test_pixel_adaptive_refinement(case, record_property):
    data = case.load()
    got = functional.pamr(data.image, data.mask, data.dilations.tolist(), data.num_iter)
    record_property('refined', close(got, data.refined, data.tolerance(1e-5)))


@every_case('wilson', 'PAMR')
def test_in_double_precision(case):
    data = case.load(double=True)
    got = functional.pamr(data.image, data.mask, data.dilations.tolist(), data.num_iter)
    close(got, data.refined, 1e-9)
