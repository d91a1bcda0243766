# CCT: auxiliary decoders that read perturbed features must agree with the main decoder.
model = dict(type='CrossConsistency')
