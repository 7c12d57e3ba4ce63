"""Writes tests/golden/tasks.safetensors: what PyTorch says that k-NN and linear probes give.

One set of embeddings with seven overlapping classes. For k-NN the accuracies (and, where test labels
do not vote, every prediction) of both protocols; for the linear probe the loss and accuracy of each
epoch and the classifier after it, trained by torch.optim.SGD or by LARS written with PyTorch. Initial
weights and the order of the samples follow the counter-based draws of wisp/rng.h (see formula.py).
tests/unit/test_tasks.c compares.

Everything is computed in double precision. What hangs on rounding is refused here, so accuracies can
be compared exactly. Needs torch; used only to make the file again.
"""

import json
import math
import os

import numpy as np
import torch
from torch.nn import functional as F

from formula import derive, philox, uniform
from make_ops_golden import HERE, write

BANK, QUERIES, DIM, CLASSES, SEED = 240, 90, 13, 7, 11
STREAM_TASK, DRAW_WEIGHTS, DRAW_ORDER = 6, 1, 2

KNN = [{"k": 20, "temperature": 0.07}, {"k": 1, "temperature": 0.07},
       {"k": 5, "temperature": 1.0}, {"k": 89, "temperature": 0.02}]
LINEAR = {
    "sgd": {"optimizer": "sgd", "epochs": 4, "batch": 64, "lr_per_256": 0.8, "lr_end": 0.01,
            "momentum": 0.9, "nesterov": False, "weight_decay": 0.0},
    "nesterov": {"optimizer": "sgd", "epochs": 3, "batch": 50, "lr_per_256": 0.5, "lr_end": 0.0,
                 "momentum": 0.8, "nesterov": True, "weight_decay": 0.02},
    "lars": {"optimizer": "lars", "epochs": 8, "batch": 8, "lr_per_256": 16.0, "lr_end": 0.1,
             "momentum": 0.9, "nesterov": False, "weight_decay": 5.0},
    "whole": {"optimizer": "sgd", "epochs": 5, "batch": 4096, "lr_per_256": 0.05, "lr_end": 1e-6,
              "momentum": 0.9, "nesterov": False, "weight_decay": 0.0, "standardize": True},
}


class Draws:
    """wisp_rng_begin(key) and what is drawn from it."""

    def __init__(self, key):
        self.key, self.block, self.left = key, 0, []

    def word(self):
        if not self.left:
            self.left = [int(x) for x in philox((self.block, 0, 0, 0), self.key)]
            self.block += 1
        return self.left.pop(0)

    def uniform(self):
        high, low = self.word() >> 5, self.word() >> 6
        return (high * 67108864 + low) / 9007199254740992.0

    def normal(self):
        u, v = 1 - self.uniform(), self.uniform()
        return math.sqrt(-2 * math.log(u)) * math.cos(2 * math.pi * v)

    def below(self, n):
        limit = (1 << 32) % n
        while True:
            product = self.word() * n
            if product & 0xFFFFFFFF >= limit:
                return product >> 32


def draws(what, epoch):
    stream = derive((SEED, 0), STREAM_TASK)
    return Draws(derive(stream, what, epoch))


def embeddings(name, count):
    labels = torch.arange(count) * 5 % CLASSES
    centres = uniform("tasks.centres", (CLASSES, DIM), -1, 1)
    x = 0.8 * centres[labels] + uniform("tasks." + name, (count, DIM), -1, 1) + 0.3
    return x.float(), labels.int()


# --- k-NN ---

def knn(queries, bank, labels, k, temperature, alone):
    """Class scores: top k + 1 without the first (the query itself) when alone."""
    cosines = F.normalize(queries.double()) @ F.normalize(bank.double()).T
    near, index = cosines.topk(k + 1 + alone, 1)
    assert (near[:, -2] - near[:, -1]).min() > 1e-6, "a neighbour hangs on rounding"
    if alone:
        assert (index[:, 0] == torch.arange(len(queries))).all()
    near, index = near[:, alone:k + alone], index[:, alone:k + alone]
    votes = torch.zeros(len(queries), CLASSES, dtype=torch.double)
    votes.scatter_add_(1, labels[index].long(), (near / temperature).exp())
    return votes


def accuracies(votes, labels):
    """Top-1 and top-5 in per cent. A class without a vote is never right."""
    ordered, classes = votes.sort(1, descending=True)
    gaps = (ordered[:, :-1] - ordered[:, 1:]) / ordered[:, :-1]
    assert gaps[ordered[:, :-1] > 0].min() > 1e-4, "a vote hangs on rounding"
    hits = (classes == labels.long()[:, None]) & (ordered > 0)
    return [100 * hits[:, :n].any(1).double().mean().item() for n in (1, 5)]


# --- linear probe ---

class Lars(torch.optim.Optimizer):
    """Trust ratio 0.001 |p| / |g + wd p| on weights; biases plainly. The rate stays outside the
    momentum."""

    def __init__(self, groups, lr, momentum):
        super().__init__(groups, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                d = p.grad + group["weight_decay"] * p
                if p.ndim > 1 and p.norm() > 0 and d.norm() > 0:
                    d = d * (0.001 * p.norm() / d.norm())
                state = self.state[p]
                state["mu"] = group["momentum"] * state.get("mu", 0) + d
                p -= group["lr"] * state["mu"]


def order(epoch):
    rng, list_ = draws(DRAW_ORDER, epoch), list(range(BANK))
    for i in range(BANK - 1, 0, -1):
        j = rng.below(i + 1)
        list_[i], list_[j] = list_[j], list_[i]
    return list_


def first_weights():
    rng = draws(DRAW_WEIGHTS, 0)
    values = [np.float32(0.01 * rng.normal()) for _ in range(CLASSES * DIM)]
    return torch.tensor(np.array(values)).double().view(CLASSES, DIM)


def train(case, x, labels, test, test_labels):
    x, test = x.double(), test.double()
    if case.get("standardize"):
        mean, std = x.mean(0), (x.var(0, unbiased=False) + 1e-12).sqrt()
        x, test = (x - mean) / std, (test - mean) / std
    net = torch.nn.Linear(DIM, CLASSES).double()
    with torch.no_grad():
        net.weight.copy_(first_weights())
        net.bias.zero_()
    first = case["lr_per_256"] * case["batch"] / 256
    groups = [{"params": [net.weight], "weight_decay": case["weight_decay"]},
              {"params": [net.bias], "weight_decay": 0.0}]
    if case["optimizer"] == "lars":
        optimizer = Lars(groups, first, case["momentum"])
    else:
        optimizer = torch.optim.SGD(groups, first, case["momentum"], nesterov=case["nesterov"])
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, case["epochs"],
                                                        eta_min=case["lr_end"])
    log = {"loss": [], "top1": [], "top5": [], "weight": [], "bias": []}
    for epoch in range(case["epochs"]):
        places, total = torch.tensor(order(epoch)), 0.0
        for batch in places.split(case["batch"]):
            loss = F.cross_entropy(net(x[batch]), labels[batch].long())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(batch)
        cosine.step()
        with torch.no_grad():
            scores = net(test)
        ordered = scores.sort(1, descending=True)
        assert (ordered[0][:, :-1] - ordered[0][:, 1:]).min() > 1e-6, "a score hangs on rounding"
        hits = ordered[1] == test_labels.long()[:, None]
        log["loss"].append(total / BANK)
        log["top1"].append(100 * hits[:, :1].any(1).double().mean().item())
        log["top5"].append(100 * hits[:, :5].any(1).double().mean().item())
        log["weight"].append(net.weight.detach().clone())
        log["bias"].append(net.bias.detach().clone())
    log["weight"], log["bias"] = torch.stack(log["weight"]), torch.stack(log["bias"])
    return {key: torch.as_tensor(value, dtype=torch.double) for key, value in log.items()}


def main():
    bank, labels = embeddings("bank", BANK)
    queries, query_labels = embeddings("queries", QUERIES)
    tensors = {"bank": bank, "bank.labels": labels, "queries": queries,
               "queries.labels": query_labels}
    rows = []
    for i, case in enumerate(KNN):
        for alone in (0, 1):
            if alone and case["k"] + 2 > QUERIES:
                continue
            source = (queries, query_labels) if alone else (bank, labels)
            votes = knn(queries, *source, case["k"], case["temperature"], alone)
            top = accuracies(votes, query_labels)
            rows.append({**case, "protocol": ("train_test", "leave_one_out")[alone], "top1": top[0],
                         "top5": top[1]})
            if not alone:
                tensors["predictions.%d" % len(rows)] = votes.argmax(1).int()
    for name, case in LINEAR.items():
        for key, value in train(case, bank, labels, queries, query_labels).items():
            tensors["%s.%s" % (name, key)] = value.float() if value.ndim > 1 else value
            if value.ndim == 1:
                print(name, key, [round(v, 4) for v in value.tolist()])
    tensors["order"] = torch.tensor([order(epoch) for epoch in range(8)], dtype=torch.int32)
    tensors["first_weights"] = first_weights().float()
    for row in rows:
        print(row)
    path = os.path.join(HERE, "tasks.safetensors")
    metadata = {"knn": json.dumps(rows), "linear": json.dumps(LINEAR), "seed": str(SEED)}
    write(path, tensors, metadata)
    print(path, os.path.getsize(path))


if __name__ == "__main__":
    main()
