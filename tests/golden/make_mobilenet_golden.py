"""Writes tests/golden/mobilenet_v2_{imagenet,cifar}.safetensors: what torchvision's MobileNetV2
gives in double precision.

Weights, statistics and images come from formula.py; only results are stored. Embeddings and logits
in evaluation and in train mode, the channel means of each stage's map, running statistics after one
step in train mode, and gradients of the mean square of the logits in evaluation mode: in train mode
rounding alone moves so many activations over the borders of ReLU6 that single and double precision
differ by 2 %. tests/unit/test_mobilenet_v2.c compares.

The CIFAR network has half the width, and stride 1 in the stem and in the 24-channel stage.

Needs torch and torchvision; used only to make the files again.
"""

import os

import torch
from torchvision.models import mobilenet_v2

from formula import fill, uniform
from make_ops_golden import HERE, write

IMAGES, CLASSES = 8, 10
STAGE_ENDS = (1, 3, 6, 10, 13, 16, 17, 18)
RUNNING = ("0.1.running_mean", "3.conv.1.1.running_var", "17.conv.3.running_mean",
           "18.1.running_var")
GRADIENTS = ("0.0.weight", "0.1.bias", "1.conv.0.0.weight", "2.conv.0.0.weight",
             "2.conv.1.0.weight", "3.conv.2.weight", "3.conv.3.weight", "17.conv.1.0.weight",
             "18.1.weight")


def network(stem):
    net = mobilenet_v2(num_classes=CLASSES, width_mult=0.5 if stem == "cifar" else 1.0).double()
    if stem == "cifar":
        net.features[0][0].stride = (1, 1)
        net.features[2].conv[1][0].stride = (1, 1)
    fill(net)
    fill(net.classifier[1], "fc.")
    return net


def outputs(net, x):
    """Embedding, logits, and the channel means of the stages, by name. No dropout."""
    results, stages = {}, 0
    for i, layer in enumerate(net.features):
        x = layer(x)
        if i in STAGE_ENDS:
            stages += 1
            results["stage%d" % stages] = x.mean((2, 3))
    results["pooled"] = x.mean((2, 3))
    results["logits"] = net.classifier[1](results["pooled"])
    return results


def run(net, x):
    tensors = {}
    for mode in ("eval", "train"):
        net.train(mode == "train")
        results = outputs(net, x)
        for name, y in results.items():
            tensors["%s.%s" % (mode, name)] = y
        if mode == "eval":
            (results["logits"] ** 2).mean().backward()
    for name in RUNNING:
        tensors["after.features." + name] = net.state_dict()["features." + name]
    for name in GRADIENTS:
        tensors["grad.features." + name] = net.get_parameter("features." + name).grad
    return {name: y.detach().clone() for name, y in tensors.items()}


def main():
    for stem, size in (("imagenet", 64), ("cifar", 32)):
        x = uniform("images", (IMAGES, size, size, 3), -2.0, 2.0).permute(0, 3, 1, 2)
        tensors = run(network(stem), x)
        # How far single precision is off on its own, for the test's tolerances.
        single = run(network(stem).float(), x.float())
        for name, y in tensors.items():
            error = (single[name] - y).abs().max() / y.abs().max()
            if error > 2e-5:
                print("%s %s: %.2g" % (stem, name, error))
        tensors = {name: y.float().contiguous() for name, y in tensors.items()}
        path = os.path.join(HERE, "mobilenet_v2_%s.safetensors" % stem)
        write(path, tensors, {"stem": stem})
        print(path, os.path.getsize(path))


if __name__ == "__main__":
    main()
