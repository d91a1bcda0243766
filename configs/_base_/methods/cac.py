# Context-aware consistency for short runs and small batches: features averaged over squares of 2, a
# memory of two steps of 4 images.
model = dict(
    type='ContextAwareConsistency', bank=dict(size=6912, budget=3456), contrast=dict(pool=2)
)
