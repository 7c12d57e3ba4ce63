"""Writes tests/golden/swav_<recipe>.safetensors: twenty steps of SwAV in double precision.

Written for this comparison from the descriptions in the papers: SwAV (Caron et al. 2020), its loss
weights for small networks (SSLight 2023). Backbone, views, optimizers and schedules are those of
make_dino_golden.py; weights and views come from formula.py, only results are stored: loss, its
parts, the codes' entropy and whether the queue was used, after every step; both queues when they
hold one batch, are full, are used, and at the end; some tensors after steps 1 and 10, all after
step 20. tests/unit/test_swav_golden.c compares.

Needs torch and torchvision; used only to make the files again. With the word "disturb" it writes
nothing and says how far weights that start off by 1e-7 of themselves lead away.
"""

import os
import sys

import torch
import torch.nn.functional as F
from torch import nn

from formula import fill
from make_dino_golden import (B, GLOBALS, GLOBAL_SIZE, LOCALS, LOCAL_SIZE, STEPS, STEPS_PER_EPOCH,
                              WIDTH, Backbone, Lars, cosine, groups_of, learning_rate, views)
from make_ops_golden import HERE, write

HIDDEN, D, K = 48, 32, 24
ROUNDS = 3
QUEUE_START = 1
SOME = ["backbone.conv1.weight", "backbone.layer2.0.downsample.1.running_mean",
        "backbone.layer3.1.bn2.bias", "backbone.layer4.0.conv1.weight",
        "head.projection.mlp.0.weight", "head.projection.mlp.3.bias", "head.prototypes.weight"]

# "queue": 30 rows are cut to 24, full after three steps of epoch 1. "plain": no queue, since one of
# 7 rows is shorter than a batch; without batch norm in the head; prototypes frozen for longer. With
# LARS so small a network is chaotic at the paper's temperatures; "plain" has twice those.
RECIPES = {
    "queue": dict(head_norm=True, weights=(0.4, 0.6), clip=0.02, epsilon=0.05, temperature=0.1,
                  queue=30, freeze=1, optimizer="adamw", lr=(1e-4, 2e-3, 1e-4), decay=(0.04, 0.4)),
    "plain": dict(head_norm=False, weights=None, clip=0.0, epsilon=0.1, temperature=0.2, queue=7,
                  freeze=2, optimizer="lars", lr=(0.005, 0.05, 0.005), decay=(0.01, 0.1)),
}


class Projection(nn.Module):
    def __init__(self, norm):
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(WIDTH << 3, HIDDEN),
                                 *[nn.BatchNorm1d(HIDDEN)] * norm, nn.ReLU(),
                                 nn.Linear(HIDDEN, D))

    def forward(self, x):
        return F.normalize(self.mlp(x), dim=1)


class Head(nn.Module):
    def __init__(self, norm):
        super().__init__()
        self.projection = Projection(norm)
        self.prototypes = nn.Linear(D, K, bias=False)


class Network(nn.Module):
    def __init__(self, norm):
        super().__init__()
        self.backbone = Backbone()
        self.head = Head(norm)

    def forward(self, groups):
        """Embeddings and scores, view-major; one call of the backbone for each size."""
        z = self.head.projection(torch.cat([self.backbone(x) for x in groups]))
        return z, self.head.prototypes(z)


def sinkhorn(scores, epsilon):
    """Rows are samples; on one rank."""
    q = torch.exp(scores / epsilon).t()
    k, n = q.shape
    q = q / q.sum()
    for _ in range(ROUNDS):
        q = q / q.sum(1, keepdim=True) / k
        q = q / q.sum(0, keepdim=True) / n
    return (q * n).t()


class Queue:
    """The newest rows in front, and zeros until it has been filled."""

    def __init__(self, rows):
        self.rows = torch.zeros(GLOBALS, rows, D, dtype=torch.float64)
        self.used = False

    def codes(self, z, scores, prototypes, epsilon):
        out = []
        for i in range(GLOBALS):
            s = scores[i * B:(i + 1) * B]
            self.used = self.used or bool((self.rows[i, -1] != 0).any())
            if self.used:
                s = torch.cat([self.rows[i] @ prototypes.t(), s])
            out.append(sinkhorn(s, epsilon)[-B:])
            self.rows[i, B:] = self.rows[i, :-B].clone()
            self.rows[i, :B] = z[i * B:(i + 1) * B]
        return out


def codes_of(recipe, queue, z, scores, prototypes):
    if queue is not None:
        return queue.codes(z, scores, prototypes, recipe["epsilon"])
    return [sinkhorn(scores[i * B:(i + 1) * B], recipe["epsilon"]) for i in range(GLOBALS)]


def pair_losses(scores, codes, temperature):
    """Means over global-global and over global-local pairs, the share of the former."""
    both = {True: [], False: []}
    for t, q in enumerate(codes):
        for v, out in enumerate(scores.chunk(GLOBALS + LOCALS)):
            if v != t:
                log_p = F.log_softmax(out / temperature, dim=1)
                both[v < GLOBALS].append(-torch.sum(q * log_p, dim=1).mean())
    n_gg, n_gl = len(both[True]), len(both[False])
    return sum(both[True]) / n_gg, sum(both[False]) / n_gl, n_gg / (n_gg + n_gl)


def clip_each(net, limit):
    clipped = 0
    for p in net.parameters():
        if limit and p.grad is not None:
            factor = limit / (p.grad.norm() + 1e-6)
            clipped += int(factor < 1)
            p.grad.mul_(min(1.0, factor.item()))
    return clipped


def one_step(net, optimizer, queue, recipe, step):
    """Loss, its parts, entropy of the codes; and how many tensors were clipped."""
    prototypes = net.head.prototypes.weight
    with torch.no_grad():
        prototypes.copy_(F.normalize(prototypes, dim=1))
    z, scores = net([views(step, "global", GLOBALS, GLOBAL_SIZE),
                     views(step, "local", LOCALS, LOCAL_SIZE)])
    with torch.no_grad():
        codes = codes_of(recipe, queue, z, scores, prototypes)
    gg, gl, share = pair_losses(scores, codes, recipe["temperature"])
    a, b = recipe["weights"] or (share, 1 - share)
    loss = a * gg + b * gl
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    if step // STEPS_PER_EPOCH < recipe["freeze"]:
        prototypes.grad = None
    clipped = clip_each(net, recipe["clip"])
    optimizer.step()
    q = torch.cat(codes)
    entropy = -(q * torch.log(q.clamp_min(1e-30))).sum(1).mean()
    return [x.item() for x in (loss, gg, gl, entropy)], clipped


def train(recipe, disturb=0.0):
    net = fill(Network(recipe["head_norm"]).double())
    with torch.no_grad():
        for p in net.parameters():
            p.mul_(1 + disturb * torch.randn_like(p))
    names = {x for x in net.state_dict() if not x.endswith("num_batches_tracked")}
    if recipe["head_norm"]:  # batch norm takes it out again: AdamW makes steps of mere rounding
        names.remove("head.projection.mlp.0.bias")
    optimizer = (Lars(groups_of(net)) if recipe["optimizer"] == "lars"
                 else torch.optim.AdamW(groups_of(net), lr=0.0, eps=1e-8))
    rows, queue = recipe["queue"] - recipe["queue"] % B, None
    tensors, scalars, used, all_clipped = {}, [], [], 0
    for step in range(STEPS):
        if rows and step == QUEUE_START * STEPS_PER_EPOCH:
            queue = Queue(rows)
        for i, group in enumerate(optimizer.param_groups):
            group["lr"] = learning_rate(recipe["lr"], step)
            group["weight_decay"] = cosine(*recipe["decay"], step, STEPS) if i == 0 else 0.0
        values, clipped = one_step(net, optimizer, queue, recipe, step)
        scalars.append(values)
        used.append(float(queue is not None and queue.used))
        all_clipped += clipped
        if queue is not None and step + 1 in (6, 8, 9, STEPS):
            tensors["queue.%d" % (step + 1)] = queue.rows.float().clone()
        if step + 1 in (1, 10, STEPS):
            for key, x in net.state_dict().items():
                if key in names and (key in SOME or step + 1 == STEPS):
                    tensors["%d.network.%s" % (step + 1, key)] = x.float().clone()
    tensors["scalars"] = torch.tensor(scalars, dtype=torch.float64)
    tensors["used"] = torch.tensor(used)
    return tensors, all_clipped


def main():
    disturb = "disturb" in sys.argv[1:]
    for name in [x for x in sys.argv[1:] if x != "disturb"] or RECIPES:
        tensors, clipped = train(RECIPES[name])
        if disturb:
            torch.manual_seed(0)
            other, _ = train(RECIPES[name], 1e-7)
            for key, x in tensors.items():
                print("%-60s %.2g" % (key, (other[key] - x).norm() / x.norm().clamp_min(1e-30)))
            off = (other["scalars"] / tensors["scalars"] - 1).abs()
            print(name, "worst scalar", off.max(0).values.tolist())
            continue
        path = os.path.join(HERE, "swav_%s.safetensors" % name)
        write(path, tensors, {"recipe": name})
        print(path, os.path.getsize(path), "tensors clipped:", clipped)
        for row in tensors["scalars"].tolist():
            print("  ", " ".join("%.4f" % v for v in row))


if __name__ == "__main__":
    main()
