"""Dense training steps of one network in PyTorch: python3 dense_step.py WORKLOAD, in JSON.

Says `{}` when it is ready; takes a step for each line that it reads, and says what that took, its loss, and the most
memory so far in bytes. Images and labels are random.
"""

import json
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F


class Block(nn.Module):
    """A residual block of 3x3 convolutions, or a bottleneck, whose last has four times the channels."""

    def __init__(self, inputs, channels, stride, bottleneck):
        super().__init__()
        outputs = 4 * channels if bottleneck else channels
        if bottleneck:
            shapes = [(inputs, channels, 1, 1), (channels, channels, 3, stride), (channels, outputs, 1, 1)]
        else:
            shapes = [(inputs, channels, 3, stride), (channels, channels, 3, 1)]
        layers = [layer for shape in shapes for layer in (*convolution(*shape), nn.ReLU(inplace=True))]
        self.body = nn.Sequential(*layers[:-1])
        reshapes = stride != 1 or inputs != outputs
        self.shortcut = nn.Sequential(*convolution(inputs, outputs, 1, stride)) if reshapes else None

    def forward(self, x):
        out = self.body(x)
        out += x if self.shortcut is None else self.shortcut(x)
        return F.relu_(out)


def convolution(inputs, outputs, kernel, stride):
    return [nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outputs)]


def resnet(stem, base, stages, bottleneck, classes):
    layers, inputs = list(stem), base
    for stage, count in enumerate(stages):
        for i in range(count):
            layers.append(Block(inputs, base * 2**stage, 2 if stage > 0 and i == 0 else 1, bottleneck))
            inputs = base * 2**stage * (4 if bottleneck else 1)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, classes))


def vgg16(width, classes):
    layers, inputs = [], 3
    for channels, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(count):
            outputs = round(channels * width)
            layers += [nn.Conv2d(inputs, outputs, 3, 1, 1), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
            inputs = outputs
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(inputs, classes))


def network(arch, width, classes):
    def cifar_stem(channels):
        return (*convolution(3, channels, 3, 1), nn.ReLU(inplace=True))

    if arch == "VGG16":
        return vgg16(width, classes)
    if arch == "resnet50":
        base = round(64 * width)
        stem = (*convolution(3, base, 7, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1))
        return resnet(stem, base, (3, 4, 6, 3), True, classes)
    base, stages = {"ResNet20": (16, (3, 3, 3)), "ResNet18": (64, (2, 2, 2, 2))}[arch]
    base = round(base * width)
    return resnet(cifar_stem(base), base, stages, False, classes)


def peak():
    with open("/proc/self/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return 1024 * int(line.split()[1])
    return None


def say(reply):
    print(json.dumps(reply), flush=True)


def main():
    workload = json.loads(sys.argv[1])
    torch.set_num_threads(workload["threads"])
    torch.manual_seed(0)
    batch, classes = workload["batch"], workload["numClasses"]
    model = network(workload["arch"], workload["width"], classes)
    sgd = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
    batches = [(torch.randn(batch, *workload["imageShape"]), torch.randint(classes, (batch,))) for _ in range(16)]
    say({})
    for number, _ in enumerate(sys.stdin):
        images, labels = batches[number % len(batches)]
        begun, before = time.perf_counter(), time.process_time()
        sgd.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        sgd.step()
        value = loss.item()
        taken, processor = time.perf_counter() - begun, time.process_time() - before
        say({"seconds": taken, "processor": processor, "loss": value, "peak": peak()})


main()
