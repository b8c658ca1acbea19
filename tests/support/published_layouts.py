"""The published networks in plain PyTorch, whose state_dict() has the published keys.

Written from the descriptions of the networks, without tetviz: neurons, blocks and time axes are their own, and so is
the order of the computation. Every network is called with images x_NCHW and T, or with a sequence x_TNCHW.
"""

import torch
from torch import nn


def fire(current_T, leak, threshold, *, inclusive=False):
    """Neurons over the first axis: integrate, compare, reset to 0."""
    potential, spikes = torch.zeros_like(current_T[0]), []
    for current in current_T:
        potential = potential * leak + current
        fired = potential >= threshold if inclusive else potential > threshold
        spikes.append(fired.to(potential.dtype))
        potential = torch.where(fired, torch.zeros_like(potential), potential)
    return torch.stack(spikes)


class Steps(nn.Module):
    """Modules that are applied to every step by itself; a single one is `module`, several are `module.0`, ..."""

    def __init__(self, *modules):
        super().__init__()
        self.module = modules[0] if len(modules) == 1 else nn.Sequential(*modules)

    def forward(self, x_T):
        return torch.stack([self.module(x) for x in x_T])


def randomise(network, seed=0, lift=0.0):
    """Random weights and statistics, in float64; a lift of all normalised values lets neurons fire more."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            fan_in = module.weight[0].numel()
            module.weight.data = torch.randn(module.weight.shape, generator=generator) * (2 / fan_in) ** 0.5
            if module.bias is not None:
                module.bias.data = 0.1 * torch.randn(module.bias.shape, generator=generator)
        elif isinstance(module, nn.modules.batchnorm._BatchNorm):
            shape = module.weight.shape
            module.weight.data = 0.5 + torch.rand(shape, generator=generator)
            module.bias.data = lift + 0.3 * torch.randn(shape, generator=generator)
            module.running_mean = 0.2 * torch.randn(shape, generator=generator)
            module.running_var = 0.3 + torch.rand(shape, generator=generator)
            module.num_batches_tracked.fill_(int(torch.randint(1, 999, (), generator=generator)))
    return network.double().eval()


def sequence(x, timesteps):
    return x if x.dim() == 5 else torch.stack([x] * timesteps)


# --- TET: ResNet-19, in which every weight is registered twice or four times, and VGGSNN


class TwiceNamed(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.bn = nn.BatchNorm2d(channels)
        self.seqbn = Steps(self.bn)

    def forward(self, x_T):
        return self.seqbn(x_T)


class Wrapped(nn.Module):
    def __init__(self, layer, bn=None):
        super().__init__()
        self.layer, self.bn = Steps(layer), bn

    def forward(self, x_T):
        x_T = self.layer(x_T)
        return x_T if self.bn is None else self.bn(x_T)


class TETBlock(nn.Module):
    def __init__(self, before, after, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.bn1 = TwiceNamed(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.bn2 = TwiceNamed(after)
        self.downsample = None
        if stride > 1 or before != after:
            self.downsample = Wrapped(nn.Conv2d(before, after, 1, stride, bias=False), TwiceNamed(after))
        self.conv1_s, self.conv2_s = Wrapped(self.conv1, self.bn1), Wrapped(self.conv2, self.bn2)

    def forward(self, x_T):
        y_T = self.conv2_s(fire(self.conv1_s(x_T), 0.5, 1.0))
        return fire(y_T + (x_T if self.downsample is None else self.downsample(x_T)), 0.5, 1.0)


class TETResNet19(nn.Module):
    def __init__(self, classes=10, width=1.0, stem=64):
        super().__init__()
        self.conv1 = nn.Conv2d(3, int(stem * width), 3, 1, 1, bias=False)
        self.bn1 = TwiceNamed(int(stem * width))
        self.conv1_s = Wrapped(self.conv1, self.bn1)
        before = int(stem * width)
        for stage, (channels, count) in enumerate(((128, 3), (256, 3), (512, 2)), 1):
            after, blocks = int(channels * width), []
            for index in range(count):
                blocks.append(TETBlock(before, after, 2 if stage > 1 and index == 0 else 1))
                before = after
            setattr(self, f"layer{stage}", nn.Sequential(*blocks))
        self.fc1, self.fc2 = nn.Linear(before, int(256 * width)), nn.Linear(int(256 * width), classes)
        self.fc1_s, self.fc2_s = Wrapped(self.fc1), Wrapped(self.fc2)

    def forward(self, x, timesteps=None):
        x_T = fire(self.conv1_s(sequence(x, timesteps)), 0.5, 1.0)
        x_T = self.layer3(self.layer2(self.layer1(x_T)))
        return self.fc2_s(fire(self.fc1_s(x_T.mean((-2, -1))), 0.5, 1.0))


class TETLayer(nn.Module):
    def __init__(self, before, after, stride):
        super().__init__()
        self.fwd = Steps(nn.Conv2d(before, after, 3, stride, 1), nn.BatchNorm2d(after))

    def forward(self, x_T):
        return fire(self.fwd(x_T), 0.5, 1.0)


class TETVGGSNN(nn.Module):
    def __init__(self, classes=10, channels=2, side=48, width=1.0, pool=True):
        super().__init__()
        shared, layers, before = Steps(nn.AvgPool2d(2)), [], channels
        for index, published in enumerate((64, 128, 256, 256, 512, 512, 512, 512)):
            after, halves = int(published * width), index % 2 == 1
            layers += [TETLayer(before, after, 2 if halves and not pool else 1), *([shared] if halves and pool else [])]
            before = after
        self.features = nn.Sequential(*layers)
        self.classifier = Steps(nn.Linear(before * (side // 16) ** 2, classes))

    def forward(self, x, timesteps=None):
        return self.classifier(self.features(sequence(x, timesteps)).flatten(2))


# --- STBP-simple: ResNet-19 with tdBN, time on the last axis, and neurons behind the last layer


LEAK, V_TH = 0.25, 0.2


def fire_last(x):
    return fire(x.movedim(-1, 0), LEAK, V_TH).movedim(0, -1)


class LastAxisNorm(nn.BatchNorm2d):
    def __init__(self, channels, alpha=1.0):
        super().__init__(channels)
        self.alpha = alpha

    def forward(self, x):
        shape = (1, -1, 1, 1, 1)
        spread = torch.sqrt(self.running_var + self.eps).view(shape)
        normal = self.alpha * V_TH * (x - self.running_mean.view(shape)) / spread
        return normal * self.weight.view(shape) + self.bias.view(shape)


class LastAxis(nn.Module):
    def __init__(self, layer, bn=None):
        super().__init__()
        self.layer, self.bn = layer, bn

    def forward(self, x):
        y = torch.stack([self.layer(part) for part in x.unbind(-1)], -1)
        return y if self.bn is None else self.bn(y)


class STBPBlock(nn.Module):
    def __init__(self, before, after, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(before, after, 3, stride, 1, bias=False), LastAxisNorm(after)
        self.conv2, self.bn2 = nn.Conv2d(after, after, 3, 1, 1, bias=False), LastAxisNorm(after, 0.5**0.5)
        self.downsample = None
        if stride > 1 or before != after:
            norm = LastAxisNorm(after, 0.5**0.5)
            self.downsample = LastAxis(nn.Conv2d(before, after, 1, stride, bias=False), norm)
        self.conv1_s, self.conv2_s = LastAxis(self.conv1, self.bn1), LastAxis(self.conv2, self.bn2)

    def forward(self, x):
        y = self.conv2_s(fire_last(self.conv1_s(x)))
        return fire_last(y + (x if self.downsample is None else self.downsample(x)))


class STBPResNet19(nn.Module):
    """Its published output is the mean of what is returned here over the first axis."""

    def __init__(self, classes=10, width=1.0):
        super().__init__()
        before = int(64 * width)
        self.conv1, self.bn1 = nn.Conv2d(3, before, 3, 1, 1, bias=False), LastAxisNorm(before)
        self.conv1_s = LastAxis(self.conv1, self.bn1)
        for stage, (channels, count) in enumerate(((128, 3), (256, 3), (512, 2)), 1):
            after, blocks = int(channels * width), []
            for index in range(count):
                blocks.append(STBPBlock(before, after, 2 if stage > 1 and index == 0 else 1))
                before = after
            setattr(self, f"layer{stage}", nn.Sequential(*blocks))
        self.fc1, self.fc2 = nn.Linear(before, int(256 * width)), nn.Linear(int(256 * width), classes)
        self.fc1_s, self.fc2_s = LastAxis(self.fc1), LastAxis(self.fc2)

    def forward(self, x, timesteps=None):
        x = fire_last(self.conv1_s(sequence(x, timesteps).movedim(0, -1)))
        x = self.layer3(self.layer2(self.layer1(x))).mean((2, 3))
        return fire_last(self.fc2_s(fire_last(self.fc1_s(x)))).movedim(-1, 0)


# --- Fang et al.: Spiking-ResNet and SEW-ResNet; the output is the readout of the mean over time


def fire_if(x_T):
    return fire(x_T, 1.0, 1.0, inclusive=True)


class FangBlock(nn.Module):
    def __init__(self, before, after, stride, connect, hidden):
        super().__init__()
        plan = [(before, after, 3, stride), (after, after, 3, 1)]
        if hidden is not None:
            plan = [(before, hidden, 1, 1), (hidden, hidden, 3, stride), (hidden, after, 1, 1)]
        for index, (i, o, kernel, step) in enumerate(plan, 1):
            conv = nn.Conv2d(i, o, kernel, step, kernel // 2, bias=False)
            setattr(self, f"conv{index}", Steps(conv, nn.BatchNorm2d(o)))
        self.connect, self.depth, self.downsample = connect, len(plan), None
        if stride > 1 or before != after:
            pair = Steps(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))
            self.downsample = pair if connect is None else nn.ModuleList([pair])

    def forward(self, x_T):
        y_T = x_T
        for index in range(1, self.depth):
            y_T = fire_if(getattr(self, f"conv{index}")(y_T))
        y_T = getattr(self, f"conv{self.depth}")(y_T)
        if self.connect is None:
            return fire_if(y_T + (x_T if self.downsample is None else self.downsample(x_T)))
        y_T, side_T = fire_if(y_T), x_T if self.downsample is None else fire_if(self.downsample[0](x_T))
        return {"ADD": y_T + side_T, "AND": y_T * side_T, "IAND": side_T * (1 - y_T)}[self.connect]


FANG_BLOCKS = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}


class FangResNet(nn.Module):
    """`connect` None is Spiking-ResNet."""

    def __init__(self, depth, connect=None, classes=1000, width=1.0):
        super().__init__()
        before, bottleneck = int(64 * width), depth >= 50
        self.conv1, self.bn1 = nn.Conv2d(3, before, 7, 2, 3, bias=False), nn.BatchNorm2d(before)
        for stage, count in enumerate(FANG_BLOCKS[depth], 1):
            hidden, blocks = int(64 * 2 ** (stage - 1) * width), []
            for index in range(count):
                stride, after = 2 if stage > 1 and index == 0 else 1, hidden * (4 if bottleneck else 1)
                blocks.append(FangBlock(before, after, stride, connect, hidden if bottleneck else None))
                before = after
            setattr(self, f"layer{stage}", nn.Sequential(*blocks))
        self.fc = nn.Linear(before, classes)

    def forward(self, x, timesteps):
        once = self.bn1(self.conv1(x))
        x_T = fire_if(torch.stack([once] * timesteps))
        x_T = torch.stack([nn.functional.max_pool2d(part, 3, 2, 1) for part in x_T])
        x_T = self.layer4(self.layer3(self.layer2(self.layer1(x_T))))
        return self.fc(x_T.mean((-2, -1)).mean(0))


# --- MS-ResNet: potentials between blocks, normalisation over time, batch and space by BatchNorm3d


class Norm3d(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.bn = nn.BatchNorm3d(channels)

    def forward(self, x_T):
        return self.bn(x_T.permute(1, 2, 0, 3, 4)).permute(2, 0, 1, 3, 4)


class Conv(nn.Conv2d):
    def forward(self, x_T):
        return torch.stack([super(Conv, self).forward(part) for part in x_T])


class Neurons(nn.Module):
    def forward(self, x_T):
        return fire(x_T, 0.25, 0.5)


class MSBlock(nn.Module):
    def __init__(self, before, after, stride, pooled):
        super().__init__()
        self.residual_function = nn.Sequential(
            Neurons(),
            Conv(before, after, 3, stride, 1, bias=False),
            Norm3d(after),
            Neurons(),
            Conv(after, after, 3, 1, 1, bias=False),
            Norm3d(after),
        )
        self.shortcut = nn.Sequential()
        if pooled and stride > 1:
            pool = nn.AvgPool3d((1, 2, 2))
            self.shortcut = nn.Sequential(pool, Conv(before, after, 1, bias=False), Norm3d(after))
        elif stride > 1 or before != after:
            self.shortcut = nn.Sequential(Conv(before, after, 1, stride, bias=False), Norm3d(after))

    def forward(self, x_T):
        return self.residual_function(x_T) + self.shortcut(x_T)


class MSResNet(nn.Module):
    def __init__(self, depth, classes=1000, width=1.0):
        super().__init__()
        deep, before = depth == 104, int(64 * width)
        if deep:
            convs = [Conv(3, before, 3, 2, 1), Conv(before, before, 3, 1, 1), Conv(before, before, 3, 1, 1)]
        else:
            convs = [Conv(3, before, 7, 2, 3, bias=False)]
        self.conv1 = nn.Sequential(*convs, Norm3d(before))
        for stage, count in enumerate({18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 104: (3, 8, 32, 8)}[depth], 2):
            after, blocks = int(64 * 2 ** (stage - 2) * width), []
            for index in range(count):
                blocks.append(MSBlock(before, after, 2 if index == 0 else 1, deep))
                before = after
            setattr(self, f"conv{stage}_x", nn.Sequential(*blocks))
        self.fc, self.fire = nn.Linear(before, classes), Neurons()

    def forward(self, x, timesteps):
        x_T = self.conv5_x(self.conv4_x(self.conv3_x(self.conv2_x(self.conv1(sequence(x, timesteps))))))
        return self.fc(self.fire(x_T).mean((-2, -1)).sum(0) / timesteps)
