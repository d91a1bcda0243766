# PrevMatch: UniMatch that learns from past models of the run as well.
model = dict(type='PrevMatch')
default_hooks = dict(past_models=dict(type='PastModelsHook'))
