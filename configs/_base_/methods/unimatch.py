# UniMatch: one student, two strong views of the weak one, and the weak one with perturbed features.
model = dict(type='UniMatch')
