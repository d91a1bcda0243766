# CorrMatch: one student, whose labels spread over correlating pixels and grow over regions of them.
model = dict(type='CorrMatch')
