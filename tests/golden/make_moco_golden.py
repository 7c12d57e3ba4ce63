"""Writes tests/golden/moco_<recipe>.safetensors: twenty steps of MoCo in double precision.

Written for this comparison from the descriptions in the papers: MoCo (He et al. 2020; version 2,
Chen et al. 2020), its local views and loss weights for small networks (SSLight 2023), LARS (You et
al. 2017). The network, views, optimizer and rates are those of make_dino_golden.py; the queue
starts by formula too. Only results are stored: loss, its parts and the queries' mean cosine to
their keys after every step, queue and cursor after every step, some tensors after steps 1 and 10,
all after step 20. tests/unit/test_moco_golden.c compares.

Needs torch and torchvision; used only to make the files again.
"""

import os
import sys

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from formula import derive, fill, philox, uniform
from make_dino_golden import (B, GLOBAL_SIZE, GLOBALS, LOCAL_SIZE, LOCALS, STEPS, WIDTH, Backbone,
                              Lars, cosine, groups_of, learning_rate, views)
from make_ops_golden import HERE, write

HIDDEN, D, K = 48, 16, 40
KEY_MOMENTUM = 0.9
SEED, STREAM_STEP = 1, 5
SOME = ["backbone.conv1.weight", "backbone.layer2.0.downsample.1.running_mean",
        "backbone.layer3.1.bn2.bias", "backbone.layer4.0.conv1.weight",
        "backbone.layer4.1.bn2.running_var", "head.mlp.0.weight", "head.mlp.0.bias"]

# "lars" is SSLight's, "sgd" is version 1, "parts" has batch norm by parts of the batch everywhere
# and equal weights for all pairs. So small a network is chaotic at full speed: activations that
# rounding carries over the bend of a ReLU change gradients. At these rates a disturbance of all
# weights by 1e-6 stays below 1e-4 for all twenty steps; main() prints it.
RECIPES = {
    "lars": dict(layers=2, norm=False, local=True, weights=(0.4, 0.6), temperature=0.2, parts=1,
                 lr=(1e-4, 5e-4, 1e-4), decay=(0.01, 0.1)),
    "sgd": dict(layers=1, norm=False, local=False, weights=None, temperature=0.07, parts=1,
                lr=(4e-6, 4e-5, 4e-6), decay=(0.1, 1.0)),
    "parts": dict(layers=2, norm=True, local=True, weights=None, temperature=0.2, parts=2,
                  lr=(4e-6, 4e-5, 4e-6), decay=(0.1, 1.0)),
}


class Head(nn.Module):
    def __init__(self, recipe):
        super().__init__()
        layers, inside = [], WIDTH << 3
        for _ in range(recipe["layers"] - 1):
            layers += [nn.Linear(inside, HIDDEN)] + [nn.BatchNorm1d(HIDDEN)] * recipe["norm"]
            layers += [nn.ReLU()]
            inside = HIDDEN
        self.mlp = nn.Sequential(*layers, nn.Linear(inside, D))

    def forward(self, x):
        return F.normalize(self.mlp(x), dim=-1)


class Encoder(nn.Module):
    def __init__(self, recipe):
        super().__init__()
        self.backbone, self.head = Backbone(), Head(recipe)


def by_parts(module, x, parts):
    """As if the images of each view were shared out to `parts` devices, and statistics were not."""
    pieces = x.unflatten(0, (-1, parts, B // parts))
    out = [module(pieces[:, i].flatten(0, 1)).unflatten(0, (-1, B // parts)) for i in range(parts)]
    return torch.cat(out, dim=1).flatten(0, 1)


def encode(encoder, groups, parts):
    """One call of the backbone for each size, one of the head for all."""
    embeddings = torch.cat([by_parts(encoder.backbone, x, parts) for x in groups])
    return by_parts(encoder.head, embeddings, parts)


def random_order(step):
    """From larger to smaller numbers of the step's first draw."""
    key = derive(derive((SEED, 0), STREAM_STEP), step)
    n = np.arange(B, dtype=np.uint64)
    zero = np.zeros_like(n)
    numbers = philox((n, zero, zero, zero), key)[0] >> np.uint64(8)
    return torch.from_numpy(np.argsort(-numbers.astype(np.int64), kind="stable"))


def keys_of(encoder, images, parts, step):
    if parts == 1:
        return encode(encoder, [images], parts)
    order = random_order(step)
    keys = torch.empty(B, D, dtype=images.dtype)
    keys[order] = encode(encoder, [images[order]], parts)
    return keys


def losses(queries, keys, queue, temperature):
    """One for each view of the queries, and the mean cosine to the keys."""
    cosines = [(q * keys).sum(-1, keepdim=True) for q in queries.split(B)]
    logits = [torch.cat([c, q @ queue.T], dim=1) / temperature
              for c, q in zip(cosines, queries.split(B))]
    right = torch.zeros(B, dtype=torch.long)
    return [F.cross_entropy(x, right) for x in logits], torch.cat(cosines).mean()


def train(name, recipe, disturbance=0.0):
    query, key = (fill(Encoder(recipe).double()) for _ in range(2))
    with torch.no_grad():
        for p in [*query.parameters(), *key.parameters()]:
            p.mul_(1 + disturbance * torch.cos(torch.arange(p.numel()).view(p.shape)))
    names = {x for x in query.state_dict() if not x.endswith("num_batches_tracked")}
    optimizer = (Lars(groups_of(query)) if name == "lars"
                 else torch.optim.SGD(groups_of(query), lr=0.0, momentum=0.9))
    queue, cursor = uniform("queue", (K, D), -0.4, 0.4), 0
    tensors, scalars, queues, cursors = {}, [], [], []
    for step in range(STEPS):
        for i, group in enumerate(optimizer.param_groups):
            group["lr"] = learning_rate(recipe["lr"], step)
            group["weight_decay"] = cosine(*recipe["decay"], step, STEPS) if i == 0 else 0.0
        images = views(step, "global", GLOBALS, GLOBAL_SIZE)
        local = views(step, "local", LOCALS, LOCAL_SIZE)
        with torch.no_grad():
            for p, q in zip(key.parameters(), query.parameters()):
                p.mul_(KEY_MOMENTUM).add_((1 - KEY_MOMENTUM) * q)
            keys = keys_of(key, images[:B], recipe["parts"], step)
        groups = [images[B:], local] if recipe["local"] else [images[B:]]
        each, cosine_mean = losses(encode(query, groups, recipe["parts"]), keys, queue,
                                   recipe["temperature"])
        gg = each[0]
        gl = sum(each[1:]) / LOCALS if recipe["local"] else None
        a, b = recipe["weights"] or (1 / len(each), 1 - 1 / len(each))
        loss = a * gg + b * gl if recipe["local"] else gg
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        queue = queue.clone()
        queue[[(cursor + i) % K for i in range(B)]] = keys
        cursor = (cursor + B) % K
        row = [loss.item(), gg.item(), cosine_mean.item()]
        scalars.append(row + [gl.item()] if recipe["local"] else row)
        queues.append(queue.float())
        cursors.append(float(cursor))
        if step + 1 in (1, 10, STEPS):
            for role, net in (("encoder_q", query), ("encoder_k", key)):
                for entry, x in net.state_dict().items():
                    if entry in names and (entry in SOME or step + 1 == STEPS):
                        tensors["%d.%s.%s" % (step + 1, role, entry)] = x.float().clone()
    tensors["scalars"] = torch.tensor(scalars, dtype=torch.float64)
    tensors["queues"] = torch.stack(queues)
    tensors["cursors"] = torch.tensor(cursors, dtype=torch.float64)
    return tensors


def main():
    torch.set_num_threads(1)
    for name in sys.argv[1:] or RECIPES:
        tensors = train(name, RECIPES[name])
        path = os.path.join(HERE, "moco_%s.safetensors" % name)
        write(path, tensors, {"recipe": name})
        print(path, os.path.getsize(path))
        off = train(name, RECIPES[name], 1e-6)["scalars"] / tensors["scalars"] - 1
        for row, apart in zip(tensors["scalars"], off.abs().amax(1)):
            print("  ", " ".join("%.4f" % v for v in row), "disturbed by 1e-6: %.1e" % apart)


if __name__ == "__main__":
    main()
