"""What PyTorch makes of peekaboo's files and the other way round: python3 pytorch.py COMMAND ARGUMENTS.

evaluate STATE INPUT OUTPUT   loads STATE strictly into a ResNet20, and saves its logits for INPUT
create STATE INPUT OUTPUT     saves a random ResNet20's state as DataParallel has it, and its logits for INPUT
"""

import inspect
import sys

import torch
import torch.nn.functional as F
from torch import nn


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        out = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(out + self.shortcut(x))


class ResNet20(nn.Module):
    """Three stages of three blocks, a quarter as wide as the paper's."""

    def __init__(self, base=4, classes=10):
        super().__init__()
        self.conv1 = nn.Conv2d(3, base, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(base)
        widths = [base, base, 2 * base, 4 * base]
        for stage in (1, 2, 3):
            inputs, outputs = widths[stage - 1 : stage + 1]
            blocks = [Block(inputs if i == 0 else outputs, outputs, 2 if stage > 1 and i == 0 else 1) for i in range(3)]
            setattr(self, f"layer{stage}", nn.Sequential(*blocks))
        self.linear = nn.Linear(4 * base, classes)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(x.mean((2, 3)))


def load(path):
    safe = {"weights_only": True} if "weights_only" in inspect.signature(torch.load).parameters else {}
    return torch.load(path, **safe)


def save_logits(model, images, path):
    with torch.no_grad():
        torch.save({"logits": model.eval()(load(images)["input"])}, path)


def evaluate(state, images, output):
    model = ResNet20()
    model.load_state_dict(load(state), strict=True)
    save_logits(model, images, output)


def create(state, images, output):
    torch.manual_seed(0)
    model = ResNet20()
    for _ in range(3):  # Gives the BatchNorms statistics of their own.
        model(torch.randn(16, 3, 32, 32))
    torch.save({"net": nn.DataParallel(model).state_dict(), "acc": 10.0, "epoch": 1}, state)
    save_logits(model, images, output)


{"evaluate": evaluate, "create": create}[sys.argv[1]](*sys.argv[2:])
