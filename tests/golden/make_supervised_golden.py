"""Writes tests/golden/supervised_<head>.safetensors: twenty steps of training with labels.

torch.optim.SGD with Nesterov's momentum and PyTorch's cross-entropy on a ResNet18 of torchvision's
blocks with 1/16 of the channels, below the one-layer or the three-layer head (linear, batch norm,
GELU, twice, then linear); everything in double precision and in train mode. Weights, views and
labels come from formulas, only results are stored: the loss of every step, some tensors after steps
1 and 10, all after step 20, and the scores of the last views in eval mode after it.
tests/unit/test_supervised.c compares.

Needs torch and torchvision; used only to make the files again.
"""

import os

import torch
import torch.nn.functional as F
from torch import nn

from formula import fill
from make_dino_golden import B, GLOBAL_SIZE, GLOBALS, HIDDEN, STEPS, WIDTH, Backbone, learning_rate, views
from make_ops_golden import HERE, write

CLASSES = 10
# At ten times these rates a disturbance of 1e-7 grows to 2 % of the loss within twenty steps.
RATES = (1e-4, 5e-4, 5e-5)
SOME = ["backbone.conv1.weight", "backbone.layer3.1.bn2.bias", "backbone.layer4.1.bn2.running_var",
        "head.mlp.0.weight", "head.mlp.1.weight", "head.mlp.4.running_mean", "head.mlp.6.bias",
        "head.classifier.weight"]


class Head(nn.Module):
    def __init__(self, kind):
        super().__init__()
        inside = WIDTH << 3
        if kind == "linear":
            self.classifier = nn.Linear(inside, CLASSES)
        else:
            self.mlp = nn.Sequential(nn.Linear(inside, HIDDEN), nn.BatchNorm1d(HIDDEN), nn.GELU(),
                                     nn.Linear(HIDDEN, HIDDEN), nn.BatchNorm1d(HIDDEN), nn.GELU(),
                                     nn.Linear(HIDDEN, CLASSES))

    def forward(self, x):
        return self.classifier(x) if hasattr(self, "classifier") else self.mlp(x)


class Network(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.backbone = Backbone()
        self.head = Head(kind)

    def forward(self, x):
        return self.head(self.backbone(x))


def labels(step):
    return (step * B + torch.arange(B)) * 7 % CLASSES


def train(kind):
    net = fill(Network(kind).double())
    optimizer = torch.optim.SGD(net.parameters(), lr=1.0, momentum=0.9, nesterov=True)
    tensors, losses = {}, []
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(RATES, step)
        x = views(step, "global", GLOBALS, GLOBAL_SIZE)[:B]
        loss = F.cross_entropy(net(x), labels(step))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if step + 1 in (1, 10, STEPS):
            for key, value in net.state_dict().items():
                if not key.endswith("num_batches_tracked") and (key in SOME or step + 1 == STEPS):
                    tensors["%d.network.%s" % (step + 1, key)] = value.float().clone()
    with torch.no_grad():
        tensors["scores"] = net.eval()(x).float()
    tensors["scalars"] = torch.tensor(losses, dtype=torch.float64)
    path = os.path.join(HERE, "supervised_%s.safetensors" % kind)
    write(path, tensors, {"head": kind})
    print(path, os.path.getsize(path), ["%.4f" % v for v in losses])


if __name__ == "__main__":
    for kind in ("linear", "mlp"):
        train(kind)
