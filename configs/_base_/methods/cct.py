# CCT: auxiliary decoders that read perturbed features must agree with the main decoder.
model = dict(type='CrossConsistency')
default_hooks = dict(
    pseudo_labels=dict(confidence_threshold=0.968)  # where the config has that hook
)
