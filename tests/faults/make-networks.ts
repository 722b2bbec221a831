import { join } from "node:path";
import { networkOptions, writeCheckpoint, writePruned } from "#peekaboo/checkpoint/checkpoint";
import { BEGINNING } from "#peekaboo/checkpoint/progress";
import { parseConfig } from "#peekaboo/config/config";
import { Network } from "#peekaboo/models/network";
import { Trainer } from "#peekaboo/training/trainer";

/** Writes a small network's pruned file and its checkpoint into `folder`; returns their paths. */
export async function makeNetworks(folder: string, width: number): Promise<{ pruned: string; checkpoint: string }> {
  const arch = "PsgResNet20";
  const config = parseConfig({ arch, width, optimizer: "BOP", pruning: { pruner: "Mag", density: 0.5 } });
  const network = new Network(networkOptions(config, 10, [3, 32, 32]));
  network.initialise(config.initMethod, 1);
  const trainer = new Trainer(network, config);
  const [pruned, checkpoint] = ["pruned", "checkpoint"].map((name) => join(folder, `${name}-${width}.safetensors`));
  if (pruned === undefined || checkpoint === undefined) throw new Error("unreachable");
  const layers = [...network.prunable()].map(([name, { weight }]) => ({
    name,
    kept: weight.numel,
    total: weight.numel,
  }));
  await writePruned(pruned, network, config, { kept: 1, total: 1, layers, emptied: [], tied: 0 });
  await writeCheckpoint(checkpoint, trainer, config, BEGINNING);
  trainer.dispose();
  network.dispose();
  return { pruned, checkpoint };
}
