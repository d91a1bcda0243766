# mmseg's runtime with this package imported. `custom_imports` is a list and lists are not merged:
# extend it here or repeat 'mmseg_ctt' in a config that sets its own.
_base_ = ['mmseg::_base_/default_runtime.py']
custom_imports = dict(imports=['mmseg_ctt'], allow_failed_imports=False)
randomness = dict(seed=0)
