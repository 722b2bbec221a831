import { liveTensorCount, type nn, noGrad, ops, Tensor } from "@peekaboo/torch";
import { afterEach, describe, expect, it } from "vitest";
import { PLAIN_GRADIENT } from "../layers/psg-conv2d.js";
import { firstNonfinite } from "./first-nonfinite.js";
import { Network } from "./network.js";

const open: { dispose(): void }[] = [];
afterEach(() => {
  for (const thing of open.splice(0)) thing.dispose();
});

function makeNetwork(arch = "ResNet20"): Network {
  const network = new Network({ arch, numClasses: 10, width: 0.25, psg: PLAIN_GRADIENT });
  network.initialise("kaiming_normal", 1);
  open.push(network);
  return network;
}

function images(): Tensor {
  const tensor = Tensor.from(
    Float32Array.from({ length: 4 * 3 * 16 * 16 }, (_, i) => Math.sin(i)),
    { shape: [4, 3, 16, 16] },
  );
  open.push(tensor);
  return tensor;
}

function fill(module: nn.Module, name: string, value: number): void {
  const tensor = module.stateDict().get(name);
  if (tensor === undefined) throw new RangeError(`no ${name}`);
  noGrad(() => void ops.fill_(tensor, value));
}

const statistics = ({ module }: Network) =>
  [...module.namedBuffers()].map(([name, tensor]) => [name, tensor.toArray()]);

describe("firstNonfinite", () => {
  it.each(["ResNet20", "PsgResNet20"])("names the layer of %s whose output overflows, not those behind it", (arch) => {
    const network = makeNetwork(arch);
    fill(network.module, "layer2.1.conv1.weight", 3e38);
    expect(firstNonfinite(network, images())).toEqual({ kind: "output", name: "layer2.1.conv1" });
  });

  it("names the block where two finite branches add up to infinity", () => {
    const network = makeNetwork();
    network.module.eval();
    // In evaluation mode, 3e38 from both BatchNorm and shortcut.
    for (const layer of ["bn1", "layer1.0.bn2"]) {
      fill(network.module, `${layer}.weight`, 0);
      fill(network.module, `${layer}.bias`, 3e38);
    }
    expect(firstNonfinite(network, images())).toEqual({ kind: "output", name: "layer1.0.conv1" });
    fill(network.module, "layer1.0.conv1.weight", 0);
    expect(firstNonfinite(network, images())).toEqual({ kind: "output", name: "layer1.0" });
  });

  it("blames the images, and a parameter, before any layer", () => {
    const network = makeNetwork();
    const input = images();
    fill(network.module, "layer1.2.bn1.bias", Number.NaN);
    expect(firstNonfinite(network, input)).toEqual({ kind: "parameter", name: "layer1.2.bn1.bias" });
    ops.fill_(input.narrow(0, 3, 1), Number.POSITIVE_INFINITY);
    expect(firstNonfinite(network, input)).toEqual({ kind: "input" });
  });

  it("says that it is the loss where every output is finite", () => {
    expect(firstNonfinite(makeNetwork(), images())).toEqual({ kind: "loss" });
  });

  it("leaves BatchNorm's statistics and the number of tensors as they were", () => {
    const network = makeNetwork();
    const input = images();
    fill(network.module, "layer3.0.conv2.weight", 3e38);
    const [before, tensors] = [statistics(network), liveTensorCount()];
    firstNonfinite(network, input);
    expect(statistics(network)).toEqual(before);
    expect(liveTensorCount()).toBe(tensors);
  });
});
