# Copyright (c) mmseg_ctt contributors.
"""MaskCLIP patch by patch from the layers of a vision transformer: class logits by texts."""

import torch
import torch.nn.functional as F


def class_logits(network, image, text, text_class, num_classes, temperature):
    """``(B, K, h, w)``; ``image`` is normalised for the network."""
    x = network.patch_embed(image)
    x = network.norm_pre(network._pos_embed(x))
    for block in network.blocks[:-1]:
        x = block(x)
    block, logits = network.blocks[-1], []
    width = x.shape[-1]
    weight, bias = block.attn.qkv.weight[2 * width :], block.attn.qkv.bias[2 * width :]
    for token in x[:, 1:].flatten(0, 1):  # without the class token
        value = F.linear(block.norm1(token), weight, bias)
        token = token + block.attn.proj(value)
        token = token + block.mlp(block.norm2(token))
        dense = network.head(network.norm(token))
        cosine = [F.cosine_similarity(dense, row, dim=0) for row in text]
        logits.append(
            torch.stack(
                [
                    max(value for value, owner in zip(cosine, text_class) if owner == k)
                    for k in range(num_classes)
                ]
            )
            / temperature
        )
    step = network.patch_embed.patch_size
    size = image.shape[2] // step[0], image.shape[3] // step[1]
    return torch.stack(logits).view(len(image), *size, num_classes).permute(0, 3, 1, 2)
