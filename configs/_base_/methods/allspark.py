# AllSpark: one student whose neck rebuilds the features of labelled images from those of unlabelled ones.
model = dict(type='AllSpark')
