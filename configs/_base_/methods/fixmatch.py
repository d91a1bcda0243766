# FixMatch: one student that learns from its own confident labels, from weak to strong augmentation.
model = dict(type='FixMatchSeg')
