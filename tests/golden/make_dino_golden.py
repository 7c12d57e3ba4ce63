"""Writes tests/golden/dino_<recipe>.safetensors: twenty steps of DINO in double precision.

Written for this comparison from the descriptions in the papers: DINO (Caron et al. 2021), its loss
weights for small networks (SSLight 2023), LARS (You et al. 2017). A ResNet18 of torchvision's
blocks with 1/16 of the channels and a CIFAR stem; weights and views come from formula.py, only
results are stored: loss, its parts, the teacher's entropy and the centre after every step, some
tensors after steps 1 and 10, all after step 20. tests/unit/test_dino_golden.c compares.

Needs torch and torchvision; used only to make the files again.
"""

import math
import os
import sys
import warnings

import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models.resnet import BasicBlock

from formula import fill, uniform
from make_ops_golden import HERE, write

B, GLOBALS, LOCALS, GLOBAL_SIZE, LOCAL_SIZE = 8, 2, 4, 16, 8
WIDTH, HIDDEN, BOTTLENECK, K = 4, 48, 128, 96
EPOCHS, STEPS_PER_EPOCH = 4, 5
STEPS = EPOCHS * STEPS_PER_EPOCH
FREEZE_EPOCHS = 1
CENTRE_MOMENTUM = 0.9
TRUST = 0.02
SOME = ["backbone.conv1.weight", "backbone.layer2.0.downsample.1.running_mean",
        "backbone.layer3.1.bn2.bias", "backbone.layer4.0.conv1.weight",
        "backbone.layer4.1.bn2.running_var", "head.mlp.0.weight", "head.last_layer.weight_v",
        "head.last_layer.weight_g"]

# So small a network is chaotic at full speed: PyTorch's own single precision leaves its double
# precision within five steps. The temperatures of "lars" are twice those of the paper and its
# vectors learn slowly; a disturbance of 1e-6 then stays below 1e-4 for all twenty steps.
RECIPES = {
    "lars": dict(head_norm=True, train_gain=False, weights=(0.4, 0.6), clip=0.0,
                 temperature=(0.2, 0.08, 0.14), lr=(0.005, 0.02, 0.002), decay=(0.01, 0.1)),
    "adamw": dict(head_norm=False, train_gain=True, weights=None, clip=0.02,
                  temperature=(0.1, 0.04, 0.07), lr=(1e-4, 2e-3, 1e-4), decay=(0.04, 0.4)),
}


class Backbone(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, WIDTH, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(WIDTH)
        channels = WIDTH
        for stage in range(4):
            out, stride = WIDTH << stage, 1 if stage == 0 else 2
            shortcut = None
            if stride != 1:
                shortcut = nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False),
                                         nn.BatchNorm2d(out))
            setattr(self, "layer%d" % (stage + 1),
                    nn.Sequential(BasicBlock(channels, out, stride, shortcut),
                                  BasicBlock(out, out)))
            channels = out

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return x.mean((2, 3))


class Head(nn.Module):
    def __init__(self, norm, train_gain):
        super().__init__()
        layers = []
        for inside in (WIDTH << 3, HIDDEN):
            layers += [nn.Linear(inside, HIDDEN)] + [nn.BatchNorm1d(HIDDEN)] * norm + [nn.GELU()]
        self.mlp = nn.Sequential(*layers, nn.Linear(HIDDEN, BOTTLENECK))
        if norm:  # two layers, not one twice
            self.mlp[4] = nn.BatchNorm1d(HIDDEN)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.last_layer = nn.utils.weight_norm(nn.Linear(BOTTLENECK, K, bias=False))
        self.last_layer.weight_g.requires_grad = train_gain

    def forward(self, x):
        return self.last_layer(F.normalize(self.mlp(x), dim=-1))


class Network(nn.Module):
    def __init__(self, recipe):
        super().__init__()
        self.backbone = Backbone()
        self.head = Head(recipe["head_norm"], recipe["train_gain"])

    def forward(self, groups):
        """One call of the backbone for each size, one of the head for all."""
        return self.head(torch.cat([self.backbone(x) for x in groups]))


class Lars(torch.optim.Optimizer):
    """Vectors are neither decayed nor adapted."""

    def __init__(self, params):
        super().__init__(params, dict(lr=0.0, weight_decay=0.0))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                d = p.grad.clone()
                if p.ndim > 1:
                    d += group["weight_decay"] * p
                    if p.norm() > 0 and d.norm() > 0:
                        d *= TRUST * p.norm() / d.norm()
                mu = self.state[p].setdefault("mu", torch.zeros_like(p))
                mu.mul_(0.9).add_(d)
                p.sub_(group["lr"] * mu)


def cosine(start, end, t, length):
    return end + 0.5 * (start - end) * (1 + math.cos(math.pi * t / length))


def learning_rate(values, step):
    start, peak, end = values
    warm = STEPS_PER_EPOCH
    if step < warm:
        return start + (peak - start) * step / (warm - 1)
    return cosine(peak, end, step - warm, STEPS - warm)


def views(step, name, count, size):
    x = uniform("views.%d.%s" % (step, name), (count * B, size, size, 3), -2.0, 2.0)
    return x.permute(0, 3, 1, 2)


def teacher_temperature(values, epoch):
    """From values[1] to values[2] over three epochs, both included."""
    return values[1] + (values[2] - values[1]) * min(epoch, 2) / 2


def pair_losses(student_out, teacher_out, centre, temperature):
    """Means over global-global and over global-local pairs, the share of the former, the targets;
    temperatures of the student and of the teacher."""
    student = (student_out / temperature[0]).chunk(GLOBALS + LOCALS)
    targets = F.softmax((teacher_out - centre) / temperature[1], dim=-1).detach()
    both = {True: [], False: []}
    for t, q in enumerate(targets.chunk(GLOBALS)):
        for v, out in enumerate(student):
            if v != t:
                both[v < GLOBALS].append(
                    torch.sum(-q * F.log_softmax(out, dim=-1), dim=-1).mean())
    n_gg, n_gl = len(both[True]), len(both[False])
    return sum(both[True]) / n_gg, sum(both[False]) / n_gl, n_gg / (n_gg + n_gl), targets


def groups_of(net):
    vectors = [p for p in net.parameters() if p.requires_grad and p.ndim <= 1]
    others = [p for p in net.parameters() if p.requires_grad and p.ndim > 1]
    return [dict(params=others), dict(params=vectors)]


def train(name, recipe):
    student, teacher = (fill(Network(recipe).double()) for _ in range(2))
    names = {x for x in student.state_dict() if not x.endswith("num_batches_tracked")}
    optimizer = (Lars(groups_of(student)) if name == "lars"
                 else torch.optim.AdamW(groups_of(student), lr=0.0, eps=1e-8))
    centre = torch.zeros(1, K, dtype=torch.float64)
    tensors, scalars, centres, clipped = {}, [], [], 0
    for step in range(STEPS):
        epoch = step // STEPS_PER_EPOCH
        for i, group in enumerate(optimizer.param_groups):
            group["lr"] = learning_rate(recipe["lr"], step)
            group["weight_decay"] = cosine(*recipe["decay"], step, STEPS) if i == 0 else 0.0
        x = [views(step, "global", GLOBALS, GLOBAL_SIZE), views(step, "local", LOCALS, LOCAL_SIZE)]
        with torch.no_grad():
            teacher_out = teacher(x[:1])
        temperature = recipe["temperature"]
        gg, gl, share, targets = pair_losses(
            student(x), teacher_out, centre,
            (temperature[0], teacher_temperature(temperature, epoch)))
        a, b = recipe["weights"] or (share, 1 - share)
        loss = a * gg + b * gl
        entropy = -(targets * torch.log(targets.clamp_min(1e-30))).sum(-1).mean()
        centre = CENTRE_MOMENTUM * centre + (1 - CENTRE_MOMENTUM) * teacher_out.mean(0, True)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if epoch < FREEZE_EPOCHS:
            for p in student.head.last_layer.parameters():
                p.grad = None
        for p in student.parameters():
            if recipe["clip"] and p.grad is not None:
                factor = recipe["clip"] / (p.grad.norm() + 1e-6)
                clipped += int(factor < 1)
                p.grad.mul_(min(1.0, factor.item()))
        optimizer.step()
        momentum = cosine(0.9, 1.0, step, STEPS)
        with torch.no_grad():
            for p, q in zip(teacher.parameters(), student.parameters()):
                p.mul_(momentum).add_((1 - momentum) * q)
        scalars.append([loss.item(), gg.item(), gl.item(), entropy.item()])
        centres.append(centre[0].clone())
        if step + 1 in (1, 10, STEPS):
            for role, net in (("student", student), ("teacher", teacher)):
                for key, x in net.state_dict().items():
                    if key in names and (key in SOME or step + 1 == STEPS):
                        tensors["%d.%s.%s" % (step + 1, role, key)] = x.float().clone()
    tensors["scalars"] = torch.tensor(scalars, dtype=torch.float64)
    tensors["centres"] = torch.stack(centres).float()
    path = os.path.join(HERE, "dino_%s.safetensors" % name)
    write(path, tensors, {"recipe": name})
    print(path, os.path.getsize(path), "tensors clipped:", clipped)
    for row in scalars:
        print("  ", " ".join("%.4f" % v for v in row))


if __name__ == "__main__":
    for wanted in sys.argv[1:] or RECIPES:
        train(wanted, RECIPES[wanted])
