"""Writes tests/golden/vit_{tiny,toy}.safetensors: what timm's vision transformers give in doubles.

Weights and images come from formula.py; only results are stored. "tiny" is vit_tiny_patch16_224:
at 224 px by timm's own forward, at other sizes with the position embedding interpolated as DINO's
published code does it (timm resamples differently), restated here with torch's bicubic
interpolation. "toy" is small enough to store all attention and the gradients of all parameters; it
also runs with hidden patches and on a choice of tokens. tests/unit/test_vit.c compares.

Needs torch and timm; used only to make the files again.
"""

import os

import timm
import torch
from timm.models.vision_transformer import VisionTransformer

from formula import fill, uniform
from make_ops_golden import HERE, write

IMAGES, CLASSES = 2, 10
TOY = {"img_size": 32, "patch_size": 8, "embed_dim": 16, "depth": 3, "num_heads": 2}


def images(height, width):
    return uniform("images", (IMAGES, height, width, 3), -2.0, 2.0).permute(0, 3, 1, 2)


def positions(net, rows, columns):
    """As DINO: a tenth of a patch more than there is, used as the scale factor itself."""
    grid = round((net.pos_embed.shape[1] - 1) ** 0.5)
    if (rows, columns) == (grid, grid):
        return net.pos_embed
    patches = net.pos_embed[:, 1:].reshape(1, grid, grid, -1).permute(0, 3, 1, 2)
    patches = torch.nn.functional.interpolate(
        patches, scale_factor=((rows + 0.1) / grid, (columns + 0.1) / grid), mode="bicubic")
    assert patches.shape[2:] == (rows, columns)
    return torch.cat([net.pos_embed[:, :1], patches.flatten(2).transpose(1, 2)], 1)


def attention(block, x):
    """softmax(q k^T / sqrt(d)) of a block, (N,heads,T,T)."""
    n, tokens, dim = x.shape
    heads = block.attn.num_heads
    qkv = block.attn.qkv(block.norm1(x)).reshape(n, tokens, 3, heads, dim // heads)
    q, k = qkv[:, :, 0].transpose(1, 2), qkv[:, :, 1].transpose(1, 2)
    return torch.softmax(q @ k.transpose(2, 3) / (dim // heads) ** 0.5, -1)


def run(net, x, mask=None, mask_token=None, keep=None):
    """A dict of results; mask (N,T) with 1 = hidden, keep (N,M)."""
    maps = net.patch_embed.proj(x)
    patches = maps.flatten(2).transpose(1, 2)
    if mask is not None:
        hidden = mask[:, 1:, None].bool()
        filler = torch.zeros_like(patches) if mask_token is None else mask_token
        patches = torch.where(hidden, filler, patches)
    y = torch.cat([net.cls_token.expand(len(x), -1, -1), patches], 1)
    y = y + positions(net, *maps.shape[2:])
    if keep is not None:
        y = torch.stack([row[index] for row, index in zip(y, keep)])
    results = {"attention": [], "class_tokens": []}
    for block in net.blocks:
        results["attention"].append(attention(block, y))
        y = block(y)
        results["class_tokens"].append(net.norm(y)[:, 0])
    results.update(before_norm=y[:, 0], tokens=net.norm(y))
    results.update(pooled=results["tokens"][:, 0])
    results.update(logits=net.head(results["pooled"]))
    return results


def make_tiny(tensors):
    net = timm.create_model("vit_tiny_patch16_224", num_classes=CLASSES).double().eval()
    fill(net)
    for height, width in ((224, 224), (128, 128), (96, 96), (96, 160)):
        with torch.no_grad():
            x = images(height, width)
            r = run(net, x)
            if height == 224:
                assert torch.allclose(r["tokens"], net.forward_features(x), rtol=0, atol=1e-12)
                r["tokens"] = net.forward_features(x)
                r["pooled"] = net.forward_head(r["tokens"], pre_logits=True)
                r["logits"] = net(x)
        name = "%dx%d." % (height, width)
        for key in ("pooled", "logits", "before_norm"):
            tensors[name + key] = r[key]
        tensors[name + "projected"] = r["tokens"] @ uniform("projection", (192,), -1.0, 1.0)
        tensors[name + "last_four"] = torch.cat(r["class_tokens"][-4:], 1)
        tensors[name + "class_attention"] = r["attention"][-1][:, :, 0]
    return sum(p.numel() for p in net.parameters())


def toy_mask(tokens):
    """Hidden patches; token 0 is never one."""
    return torch.tensor([[float(t > 0 and (5 * t + 3 * n) % 7 < 3) for t in range(tokens)]
                         for n in range(IMAGES)], dtype=torch.float64)


def toy_keep(tokens):
    """The class token and about half of the others, in an order of their own."""
    patches = tokens - 1
    return torch.tensor([[0] + [1 + (7 * m + 5 * n) % patches for m in range(patches // 2)]
                         for n in range(IMAGES)])


def make_toy(tensors):
    net = VisionTransformer(num_classes=CLASSES, **TOY).double().eval()
    fill(net)
    token = uniform("mask_token", (1, TOY["embed_dim"]), -0.25, 0.25).requires_grad_()
    for name, height, width, masked, kept in (("whole", 32, 32, 0, 0), ("wide", 24, 48, 0, 0),
                                              ("masked", 32, 32, 1, 0), ("kept", 32, 32, 0, 1),
                                              ("both", 48, 24, 1, 1)):
        tokens = 1 + (height // 8) * (width // 8)
        r = run(net, images(height, width), toy_mask(tokens) if masked else None, token,
                toy_keep(tokens) if kept else None)
        loss = (r["tokens"] * uniform("loss", r["tokens"].shape, -1.0, 1.0)).sum() \
            + (r["logits"] ** 2).sum()
        net.zero_grad()
        token.grad = None
        loss.backward()
        for key in ("pooled", "logits", "before_norm", "tokens"):
            tensors["%s.%s" % (name, key)] = r[key]
        for key in ("attention", "class_tokens"):
            tensors["%s.%s" % (name, key)] = torch.stack(r[key])
        if name in ("wide", "both"):
            for key, p in net.named_parameters():
                tensors["%s.grad.%s" % (name, key)] = p.grad.clone()
            if masked:
                tensors["%s.grad.mask_token" % name] = token.grad.clone()
    return sum(p.numel() for p in net.parameters())


def main():
    for name, make in (("tiny", make_tiny), ("toy", make_toy)):
        tensors = {}
        parameters = make(tensors)
        tensors = {key: x.detach().float().contiguous() for key, x in tensors.items()}
        path = os.path.join(HERE, "vit_%s.safetensors" % name)
        write(path, tensors, {"parameters": str(parameters)})
        print(path, os.path.getsize(path), parameters,
              {k: round(x.abs().max().item(), 4) for k, x in tensors.items() if "logits" in k})


if __name__ == "__main__":
    main()
