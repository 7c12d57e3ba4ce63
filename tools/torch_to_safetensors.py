"""PyTorch checkpoints as safetensors files that `wisp import` and [[init]] read.

Usage: torch_to_safetensors.py IN.pth OUT.safetensors [--layout sslight] [--key KEY] [--unsafe]

Without --layout the tensors keep their names, as in published weights of torchvision and timm; those
are imported with --format torchvision or --format timm. --layout sslight is for checkpoints of
SSLight (methods DINO, SwAV and MoCo): its names become those of wisp's networks, so that
--format wisp takes the backbone that the published evaluations use, and [[init]] any other part.

The file may hold the tensors themselves, or a dictionary with them at "state_dict", "model" or
"teacher"; --key names another place. A checkpoint that holds more than tensors and plain values is
refused, because reading it may run code that is hidden in it; --unsafe reads it nevertheless.

Needs torch and safetensors; wisp itself needs neither.
"""

import argparse
import re
import sys

import safetensors.torch
import torch

PLACES = ("state_dict", "model", "teacher")

# The network whose backbone is evaluated, by how names of the method begin.
EVALUATED = {"student": "student.backbone", "network": "network.backbone",
             "encoder_q": "encoder_q.backbone"}

# A flat sequence of SSLight's ResNets; 2 and 3 are ReLU and pooling.
RESNET = {"0": "conv1", "1": "bn1", "4": "layer1", "5": "layer2", "6": "layer3", "7": "layer4"}


def stop(text):
    sys.exit("torch_to_safetensors.py: " + text)


def load(path, unsafe):
    try:
        return torch.load(path, map_location="cpu", weights_only=not unsafe)
    except FileNotFoundError:
        stop("%s: there is no such file" % path)
    except Exception as problem:  # torch raises many kinds
        stop("%s: %s%s" % (path, str(problem).splitlines()[0],
                           "" if unsafe else "; if you trust the file, try --unsafe"))


def find_tensors(content, key, path):
    """The dictionary of tensors in what torch.load gave."""
    if isinstance(content, torch.nn.Module):
        content = content.state_dict()
    if key and (not isinstance(content, dict) or key not in content):
        stop("%s has nothing at \"%s\"" % (path, key))
    if key:
        content = content[key]
    elif isinstance(content, dict):
        for place in PLACES:
            if isinstance(content.get(place), dict):
                content = content[place]
                break
    tensors = {name: x for name, x in dict(content).items() if isinstance(x, torch.Tensor)}
    if not tensors:
        stop("%s holds no tensors by name; --key says where they are" % path)
    return tensors


def is_resnet(names):
    """Blocks of a MobileNetV2 are called encoder.1.conv; those of a ResNet encoder.4.0.conv1."""
    return any(re.search(r"\.encoder\.4\.0\.conv1\.", name) for name in names)


def backbone_name(rest, resnet):
    """Below `backbone.`: a ViT has its own names, the others are numbered below `encoder.`."""
    if not rest.startswith("encoder."):
        return rest
    index, _, inside = rest[len("encoder."):].partition(".")
    if not resnet:
        return "features.%s.%s" % (index, inside)
    if index not in RESNET:
        stop("encoder.%s is no part of a ResNet that is known here" % index)
    return "%s.%s" % (RESNET[index], inside)


def sslight_name(name, resnet):
    """wisp's name; None for what wisp keeps in another form or not at all."""
    name = re.sub(r"^module\.", "", name)
    network, _, rest = name.partition(".")
    if network == "classifier":
        return "probe0.classifier." + rest
    if network not in ("student", "teacher", "network", "encoder_q", "encoder_k"):
        return None  # MoCo's queue has another layout
    if rest.startswith("backbone."):
        return "%s.backbone.%s" % (network, backbone_name(rest[len("backbone."):], resnet))
    return name


def sslight(tensors):
    resnet = is_resnet(tensors)
    named, left = {}, []
    for name, x in tensors.items():
        here = sslight_name(name, resnet)
        if here is None:
            left.append(name)
        else:
            named[here] = x
    networks = [n for n in EVALUATED if any(name.startswith(n + ".") for name in named)]
    if not networks:
        stop("no network of DINO, SwAV or MoCo is in it: is this a checkpoint of SSLight?")
    return named, EVALUATED[networks[0]], left


def stored(x):
    """What wisp reads: whole tensors, floats of 32 bits."""
    x = x.detach()
    return (x.float() if x.is_floating_point() else x).contiguous().clone()


def main():
    parser = argparse.ArgumentParser(
        description="PyTorch checkpoints as safetensors files for wisp")
    parser.add_argument("input", metavar="IN.pth")
    parser.add_argument("output", metavar="OUT.safetensors")
    parser.add_argument("--layout", choices=["sslight"],
                        help="whose checkpoint it is, when names have to change")
    parser.add_argument("--key", help="where in the file the tensors are")
    parser.add_argument("--unsafe", action="store_true",
                        help="read files that may run code; only for files that you trust")
    options = parser.parse_args()

    tensors = find_tensors(load(options.input, options.unsafe), options.key, options.input)
    metadata, left = {"format": "pt"}, []
    if options.layout == "sslight":
        tensors, metadata["wisp.evaluated"], left = sslight(tensors)
    tensors = {name: stored(x) for name, x in tensors.items()}
    safetensors.torch.save_file(tensors, options.output, metadata)
    print("%s: %d tensors%s" % (options.output, len(tensors),
                                "; left out: " + ", ".join(left) if left else ""))
    if "wisp.evaluated" in metadata:
        print("evaluated: " + metadata["wisp.evaluated"])


if __name__ == "__main__":
    main()
