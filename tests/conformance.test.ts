import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { fileURLToPath } from "node:url";
import { readSafetensors, writeSafetensors } from "@peekaboo/files";
import { asTypedArray, type TensorEntry } from "@peekaboo/files/safetensors";
import { liveTensorCount } from "@peekaboo/torch";
import { describe, expect } from "vitest";
import { main } from "./conformance/main.js";
import { it } from "./support/folder.js";

const golden = fileURLToPath(new URL("golden", import.meta.url));
const INIT = "init_resnet20.safetensors";

interface Case {
  name: string;
  kind: string;
  params: Record<string, unknown>;
  file?: string;
  tolerance: number;
}

interface Architectures {
  salt: string;
  architectures: Record<string, Record<string, unknown>>;
}

const json = <Content>(name: string): Content => JSON.parse(readFileSync(join(golden, name), "utf8")) as Content;
const cases = json<Case[]>("cases.json");
const networks = json<Architectures>("architectures.json");

function present<Value>(value: Value | undefined): Value {
  if (value === undefined) throw new Error("the golden data lack something that this test alters");
  return value;
}

const goldenCase = (name: string): Case => present(cases.find((one) => one.name === name));

/** Runs the command and collects what it prints, line by line. */
async function conformance(...argv: string[]): Promise<{ status: number; lines: string[]; stderr: string }> {
  const io = { stdout: new PassThrough(), stderr: new PassThrough() };
  const status = await main(argv, io);
  const text = (stream: PassThrough) => String(stream.read() ?? "");
  return { status, lines: text(io.stdout).split("\n").slice(0, -1), stderr: text(io.stderr) };
}

/** Runs cases that lie in a folder of their own, and returns the lines. */
async function run(folder: string, ...definitions: unknown[]): Promise<string[]> {
  writeFileSync(join(folder, "cases.json"), JSON.stringify(definitions));
  return verdictsOf(folder, definitions.length);
}

async function verdictsOf(folder: string, count: number): Promise<string[]> {
  const { status, lines } = await conformance(folder);
  const failed = lines.filter((line) => line.startsWith("FAIL ")).length;
  expect(lines.at(-1)).toBe(`${count - failed} passed, ${failed} failed`);
  expect(status).toBe(failed > 0 ? 1 : 0);
  return lines.slice(0, -1);
}

type Tensors = Map<string, TensorEntry>;

/** The line that a golden case gets once its file or its definition is altered. */
async function altered(
  folder: string,
  name: string,
  alter: (tensors: Tensors) => void,
  change: Partial<Case> = {},
): Promise<string> {
  const original = goldenCase(name);
  const file = present(original.file);
  const { tensors } = readSafetensors(join(golden, file));
  alter(tensors);
  writeSafetensors(join(folder, file), tensors);
  if (original.params.init !== undefined) copyFileSync(join(golden, INIT), join(folder, INIT));
  const [line] = await run(folder, { ...original, ...change });
  return present(line);
}

/** Changes elements of a file's tensor in place. */
function change(tensors: Tensors, name: string, indices: Iterable<number>, to: (value: number) => number): void {
  const values = asTypedArray(present(tensors.get(name)));
  if (values instanceof BigInt64Array) throw new Error(`${name} holds integers`);
  for (const i of indices) values[i] = to(present(values[i]));
}

describe("npm run conformance", () => {
  it("passes every golden case, prints one line each and the sum, and frees every tensor", {
    timeout: 600_000,
  }, async () => {
    const before = liveTensorCount();
    const { status, lines, stderr } = await conformance(golden);
    const names = [...cases.map(({ name }) => name), ...Object.keys(networks.architectures)];
    expect(lines.filter((line) => !line.startsWith("ok "))).toEqual([`${names.length} passed, 0 failed`]);
    expect(lines.slice(0, -1).map((line) => line.split(" ")[1])).toEqual(names);
    expect(lines.at(-1)).toBe(`${names.length} passed, 0 failed`);
    for (const line of lines.slice(0, -1)) expect(line).toMatch(/^ok \S+ [\d.e-]+ .+ \(limit [\d.e-]+\)$/);
    expect([status, stderr]).toEqual([0, ""]);
    expect(liveTensorCount()).toBe(before);
  });

  it("fails an unknown kind, a missing file, a broken case, and runs the others", async ({ folder }) => {
    const good = goldenCase("quantize_weight_8b");
    copyFileSync(join(golden, present(good.file)), join(folder, present(good.file)));
    writeFileSync(join(folder, "broken.safetensors"), "no tensors");
    expect(
      await run(
        folder,
        { ...good, name: "a", kind: "dequantize" },
        { ...good, name: "b", file: "none.safetensors" },
        { ...good, name: "c", file: undefined },
        { ...good, name: "d", file: "broken.safetensors" },
        { ...good, name: "e", params: { ...good.params, bits: "eight" } },
        { ...good, name: "f", tolerance: -1 },
        "g",
        { ...goldenCase("bop_basic"), file: good.file },
        good,
      ),
    ).toEqual([
      expect.stringMatching(/^FAIL a .*kind.*dequantize/),
      expect.stringMatching(/^FAIL b .*none\.safetensors/),
      expect.stringMatching(/^FAIL c .*safetensors file for file, received none/),
      expect.stringMatching(/^FAIL d .*broken\.safetensors/),
      expect.stringMatching(/^FAIL e .*params\.bits/),
      expect.stringMatching(/^FAIL f .*tolerance/),
      expect.stringMatching(/^FAIL cases\.json\[6\] /),
      expect.stringMatching(/^FAIL bop_basic .*tensor "weight"/),
      expect.stringMatching(/^ok quantize_weight_8b 0 /),
    ]);
  });

  it("exits with 2 and one sentence when there is nothing to run", async ({ folder }) => {
    for (const argv of [[], [folder, folder], [folder], [join(folder, "none")]]) {
      const { status, lines, stderr } = await conformance(...argv);
      expect([status, lines]).toEqual([2, []]);
      expect(stderr).toMatch(/^[^\n]+\n$/);
    }
  });
});

describe("a quantize case", () => {
  it("fails for one value off by more than the tolerance, or NaN", async ({ folder }) => {
    const off = (by: number) =>
      altered(folder, "quantize_gradient_16b", (tensors) => change(tensors, "expected", [7], (value) => value + by));
    expect(await off(1e-3)).toMatch(/^FAIL quantize_gradient_16b [\d.e-]+ quantized values \(limit 1e-6\)$/);
    expect(await off(Number.NaN)).toMatch(/^FAIL quantize_gradient_16b NaN /);
  });

  it("fails for another shape with as many values", async ({ folder }) => {
    const line = await altered(folder, "quantize_weight_8b", (tensors) => {
      const entry = present(tensors.get("expected"));
      tensors.set("expected", { ...entry, shape: [...entry.shape, 1] });
    });
    expect(line).toMatch(/^FAIL quantize_weight_8b .*expected shape \[7, 4, 3, 3, 1\]/);
  });
});

describe("a psg_conv2d case", () => {
  it.for(["output", "grad_input", "grad_weight"])("fails for one wrong value of %s", async (name, { folder }) => {
    const line = await altered(folder, "psg_conv3x3_stride2_signed_input", (tensors) =>
      change(tensors, name, [4], (value) => value + 0.1),
    );
    expect(line).toMatch(new RegExp(`^FAIL psg_conv3x3_stride2_signed_input [\\d.e-]+ ${name} `));
  });

  /** Two 1×1 filters on one pixel of 1: without quantisation the predicted gradients are 0.5 and 0.25. */
  async function twoFilters(folder: string, threshold: number, gradWeight: [number, number]): Promise<string> {
    const entry = (shape: number[], values: number[]): TensorEntry => ({
      dtype: "F32",
      shape,
      data: new Uint8Array(new Float32Array(values).buffer),
    });
    const tensors: [string, TensorEntry][] = [
      ["input", entry([1, 1, 1, 1], [1])],
      ["weight", entry([2, 1, 1, 1], [3, -2])],
      ["mask", entry([2, 1, 1, 1], [1, 1])],
      ["grad_output", entry([1, 2, 1, 1], [0.5, 0.25])],
      ["output", entry([1, 2, 1, 1], [3, -2])],
      ["grad_input", entry([1, 1, 1, 1], [1])],
      ["grad_weight", entry([2, 1, 1, 1], gradWeight)],
    ];
    writeSafetensors(join(folder, "two.safetensors"), tensors);
    const { params } = goldenCase("psg_conv3x3_stride2_signed_input");
    const exact = { stride: 1, padding: 0, msbBits: 32, msbBitsGrad: 32, sparsify: true, takeSign: false, threshold };
    const definition = { name: "two", kind: "psg_conv2d", params: { ...params, ...exact } };
    const [line] = await run(folder, { ...definition, file: "two.safetensors", tolerance: 1e-5 });
    return present(line);
  }

  it("lets a weight differ whose gradient is within 1e-5 of the threshold, relative or absolute", async ({
    folder,
  }) => {
    expect(await twoFilters(folder, 0.500004, [0.5, 0])).toMatch(/^ok two 0 /);
    expect(await twoFilters(folder, -1.000008, [0.5, 0])).toMatch(/^ok two 0 /);
    expect(await twoFilters(folder, -0.500004, [0.5, 0.25])).toMatch(/^ok two 0 /);
  });

  it("lets no other weight differ", async ({ folder }) => {
    expect(await twoFilters(folder, 0.50001, [0.5, 0])).toMatch(/^FAIL two 1 grad_weight /);
    expect(await twoFilters(folder, 0.500004, [0.5, 0.25])).toMatch(/^FAIL two 0.5 grad_weight /);
    expect(await twoFilters(folder, 0, [0.5, 0])).toMatch(/^FAIL two 0.5 grad_weight /);
  });
});

describe("a bop case", () => {
  it.for([
    ["momentum_3", (value: number) => value + 1e-4, /FAIL bop_basic [\d.e-]+ momentum_3 /],
    ["weight_2", (value: number) => -value, /FAIL bop_basic 1 differing signs of weight_2 /],
    ["flips", (value: number) => value + 1, /FAIL bop_basic 1 differing flip counts /],
  ] as const)("fails for one wrong value of %s", async ([name, to, line], { folder }) => {
    expect(await altered(folder, "bop_basic", (tensors) => change(tensors, name, [11], to))).toMatch(line);
  });

  it("multiplies γ before the step that it names", async ({ folder }) => {
    const { params } = goldenCase("bop_basic");
    const line = await altered(folder, "bop_basic", () => {}, { params: { ...params, decayBeforeStep: 3 } });
    expect(line).toMatch(/^FAIL bop_basic /);
  });
});

describe("a prune case", () => {
  const MASK = "mask.layer3.2.conv2.weight";
  const flip = (count: number) => (tensors: Tensors) =>
    change(
      tensors,
      MASK,
      Array.from({ length: count }, (_, i) => i),
      (bit) => 1 - bit,
    );

  it("passes while at most the tolerated part of all mask bits differs", async ({ folder }) => {
    expect(await altered(folder, "prune_magnitude", flip(270))).toMatch(
      /^ok prune_magnitude 9.99e-4 of the mask bits /,
    );
    expect(await altered(folder, "prune_magnitude", flip(271))).toMatch(
      /^FAIL prune_magnitude 0.001 of the mask bits /,
    );
  });

  it("fails when the masks of the two sides have different names", async ({ folder }) => {
    expect(await altered(folder, "prune_magnitude", (tensors) => tensors.delete(MASK))).toMatch(
      /^FAIL .*layer3\.2\.conv2/,
    );
    const renamed = await altered(folder, "prune_magnitude", (tensors) =>
      tensors.set("mask.fc", present(tensors.get(MASK))),
    );
    expect(renamed).toMatch(/^FAIL prune_magnitude .*mask\.fc/);
  });

  it("fails for an unknown pruner or network", async ({ folder }) => {
    const { params } = goldenCase("prune_magnitude");
    expect(await altered(folder, "prune_magnitude", () => {}, { params: { ...params, pruner: "Magic" } })).toMatch(
      /^FAIL .*Mag/,
    );
    expect(await altered(folder, "prune_magnitude", () => {}, { params: { ...params, arch: "Net5" } })).toMatch(
      /^FAIL .*Net5/,
    );
    expect(await altered(folder, "prune_magnitude", () => {}, { params: { ...params, arch: "ResNet18" } })).toMatch(
      /^FAIL .*state/,
    );
  });
});

describe("a train case", () => {
  const NAME = "train_resnet20_without_psg";
  const SIGNS = "layer3.1.conv1.weight";
  const upTo = (count: number) => Array.from({ length: count }, (_, i) => i);
  const tipped = (code: number) => (code + 1) % 3;

  it.for<[string, string, number, (value: number) => number, RegExp]>([
    ["the first loss off by 0.02 %", "loss", 1, (value) => value * 1.0002, /^FAIL \S+ 2e-4 loss_0 /],
    [
      "a state tensor wrong after the first step",
      "first.linear.bias",
      1,
      () => 1,
      /^FAIL \S+ \S+ first\.linear\.bias /,
    ],
    ["more than 0.01 % of the first signs", `first_sign.${SIGNS}`, 29, tipped, /^FAIL \S+ 1\.\d+e-4 of first_sign /],
    ["more than 0.5 % of the final signs", `final_sign.${SIGNS}`, 1500, tipped, /^FAIL \S+ 0\.005\d+ of final_sign /],
  ])("fails for %s", { timeout: 300_000 }, async ([_, tensor, count, to, line], { folder }) => {
    expect(await altered(folder, NAME, (tensors) => change(tensors, tensor, upTo(count), to))).toMatch(line);
  });

  it("holds later steps to 5 % of the loss and 0.5 % of the signs only", { timeout: 300_000 }, async ({ folder }) => {
    const drift = (loss: number, signs: number) => (tensors: Tensors) => {
      change(tensors, "loss", [2], (value) => value * loss);
      change(tensors, `final_sign.${SIGNS}`, upTo(signs), tipped);
    };
    expect(await altered(folder, NAME, drift(1.04, 1000))).toMatch(/^ok /);
    expect(await altered(folder, NAME, drift(1.06, 0))).toMatch(/^FAIL \S+ 0\.05\d+ loss_2 /);
  });

  it("fails for a mask of another network, and for losses that don't match the steps", async ({ folder }) => {
    const mask = `mask.${SIGNS}`;
    const renamed = await altered(folder, NAME, (tensors) =>
      tensors.set("mask.linear.weight", present(tensors.get(mask))),
    );
    expect(renamed).toMatch(/^FAIL .*mask\.linear\.weight/);
    const { params } = goldenCase(NAME);
    expect(await altered(folder, NAME, () => {}, { params: { ...params, steps: 2 } })).toMatch(/^FAIL .*loss/);
  });
});

describe("an architecture", () => {
  type Network = Record<string, unknown> & { state: [string, number[]][]; prunable: string[]; logits: number[][] };

  async function described(
    folder: string,
    alter: (network: Network) => unknown,
    salt = networks.salt,
  ): Promise<string> {
    const network = structuredClone(networks.architectures.ResNet20) as Network;
    alter(network);
    writeFileSync(join(folder, "architectures.json"), JSON.stringify({ salt, architectures: { "R:20": network } }));
    return present((await verdictsOf(folder, 1))[0]);
  }

  it("passes as the reference describes it, under the name of its entry", async ({ folder }) => {
    expect(await described(folder, () => {})).toMatch(/^ok R:20 [\d.e-]+ logits \(limit 0.001\)$/);
  });

  it.for<[string, (network: Network) => unknown, RegExp]>([
    [
      "two state tensors in the other order",
      ({ state }) => state.splice(1, 0, ...state.splice(2, 1)),
      /2 differing state/,
    ],
    [
      "a state tensor of another shape",
      ({ state }) => present(state[0])[1].reverse(),
      /1 differing state .*conv1\.weight/,
    ],
    [
      "a state tensor too many",
      ({ state }) => state.push(["more", [1]]),
      /1 differing state .*nothing instead of more/,
    ],
    ["a prunable tensor too few", ({ prunable }) => prunable.pop(), /1 differing prunable entries/],
    ["a wrong logit", ({ logits }) => present(logits[1]).fill(0, 9), /\d logits/],
    ["too few rows of logits", ({ logits }) => logits.pop(), /NaN logits/],
    ["an unknown network", (network) => Object.assign(network, { arch: "ResNet7" }), /"ResNet7"/],
    ["an input of two dimensions", (network) => Object.assign(network, { inputShape: [2, 3] }), /inputShape/],
  ])("fails for %s", async ([_, alter, line], { folder }) => {
    const found = await described(folder, alter);
    expect(found).toMatch(/^FAIL R:20 /);
    expect(found).toMatch(line);
  });

  it("takes the order of the prunable names as it comes", async ({ folder }) => {
    expect(await described(folder, ({ prunable }) => prunable.reverse())).toMatch(/^ok /);
  });

  it("fills the state by the salt", async ({ folder }) => {
    expect(await described(folder, () => {}, "pepper")).toMatch(/^FAIL R:20 [\d.e-]+ logits /);
  });
});
