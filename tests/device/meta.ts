import { fileURLToPath } from "node:url";
import { liveTensorCount, loadLibrary, ops, scope, torchVersion } from "@peekaboo/torch";
import { HIDDEN_ACTS, type HiddenAct } from "#peekaboo/layers/latent-score";
import { THE_PAPERS } from "#peekaboo/layers/psg-conv2d";
import type { Variant } from "#peekaboo/models/architecture";
import { Network } from "#peekaboo/models/network";
import { architectureNames, findNetwork } from "#peekaboo/models/registry";
import { pabOps } from "#peekaboo/native/library";
import type { Report } from "./report.js";

const psg = { ...THE_PAPERS, sparsify: false };

/** A forward and a backward pass of every network on libtorch's meta device, which has shapes and no memory. */
export function meta(report: Report): void {
  loadLibrary(fileURLToPath(new URL("../build/meta.so", import.meta.url)));
  pabOps();
  const failures: string[] = [];
  let tried = 0;
  for (const arch of architectureNames) {
    const { variant } = findNetwork(arch);
    for (const hiddenAct of actsOf(arch, variant)) {
      tried++;
      const failure = scope(() => pass(arch, hiddenAct));
      if (failure !== undefined) failures.push(`${arch}${hiddenAct === undefined ? "" : `:${hiddenAct}`}: ${failure}`);
    }
  }
  for (const failure of failures) report.must(failure.slice(0, 300), false, `libtorch ${torchVersion()}`);
  const made = `${tried - failures.length} of ${tried} networks`;
  report.must(`forward and backward, libtorch ${torchVersion()}`, failures.length === 0 && tried > 60, made);
  report.must("live tensors at the end", liveTensorCount() === 0, String(liveTensorCount()));
}

/** All activations of latent scores are tried in one network: they don't know of the others'. */
function actsOf(arch: string, variant: Variant): readonly (HiddenAct | undefined)[] {
  if (variant !== "seed") return [undefined];
  return arch === "SeedResNet20" ? HIDDEN_ACTS : ["pruning"];
}

/** What went wrong, or undefined. */
function pass(arch: string, hiddenAct?: HiddenAct): string | undefined {
  const { numClasses } = findNetwork(arch).architecture;
  const network = new Network({ arch, numClasses, psg, hiddenDensity: 0.5, ...(hiddenAct && { hiddenAct }) });
  try {
    const masks = [...network.prunable()].map(
      ([name, { weight }]) => [name, ops.ones(weight.shape, { dtype: "uint8", device: "meta" })] as const,
    );
    network.module.to({ device: "meta" });
    network.setMasks(new Map(masks));
    network.module.train();
    const input = ops.zeros([4, ...network.imageShape], { device: "meta" });
    const logits = network.call(input);
    const target = ops.zeros([4], { dtype: "int64", device: "meta" });
    if (logits.shape.join() !== `4,${numClasses}`) return `logits [${logits.shape.join(", ")}]`;
    ops.crossEntropyLoss(logits, target).backward();
    const without = [...network.module.namedParameters()].find(
      ([, { requiresGrad, grad }]) => requiresGrad && grad === null,
    );
    if (without !== undefined) return `no gradient for ${without[0]}`;
    return undefined;
  } catch (error) {
    return String(error).split("\n")[0];
  } finally {
    network.dispose();
  }
}
