# Cross pseudo supervision: two students that learn from each other's labels, with CutMix.
model = dict(type='CrossPseudoSupervision')
