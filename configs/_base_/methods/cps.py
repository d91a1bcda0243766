# Cross pseudo supervision: two students that learn from each other's labels, with CutMix.
model = dict(type='CrossPseudoSupervision')
default_hooks = dict(
    pseudo_labels=dict(confidence_threshold=0.968)  # where the config has that hook
)
