# DTC: classes and signed distances of one student, which must agree on all images.
model = dict(type='DualTaskConsistency')
