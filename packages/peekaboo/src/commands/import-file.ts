import { dirname, join, parse } from "node:path";
import { refuseUnwritable } from "@peekaboo/files";
import { writeNetwork } from "../checkpoint/checkpoint.js";
import { networkOfPab } from "../pab/network-of-pab.js";
import { refuseOverwriting } from "./output.js";

/** Where {@link importFile} writes. */
export interface ImportOptions {
  /** Null: beside the file, `best.pab` becoming `best.imported.safetensors`. */
  output: string | null;
  /** Replaces a file that is there. */
  force: boolean;
}

/**
 * Writes a .pab file's network as a checkpoint, which is evaluated, exported and trained on like any other; returns its path.
 * Convolutions are equal in every bit to the ones that were exported, the cut weights included, which are as they began.
 * @throws {UserError} when the file is damaged or of an unknown architecture, and when the output can't be written.
 */
export async function importFile(file: string, { output, force }: ImportOptions): Promise<string> {
  const target = output ?? join(dirname(file), `${parse(file).name}.imported.safetensors`);
  refuseOverwriting("import", file, target, force);
  refuseUnwritable("import", target);
  const { network, config, progress } = networkOfPab("import", file);
  try {
    await writeNetwork(target, network, config, progress);
    return target;
  } finally {
    network.dispose();
  }
}
