# The network alone, trained on the labelled images: the baseline of every method.
train_dataloader = dict(sampler=dict(ratio=dict(unlabeled=0)))
