import { dirname, join, parse } from "node:path";
import { refuseUnwritable, writeFileAtomic } from "@peekaboo/files";
import { decodePab, type PartSizes, pabPartSizes } from "@peekaboo/seed";
import { type LoadedNetwork, loadNetwork } from "../checkpoint/checkpoint.js";
import { evaluateOptions, IMAGE_FOLDER } from "../config/options.js";
import type { Guard } from "../console/interrupt.js";
import { datasetStatus } from "../data/dataset.js";
import { refuseNonfinite } from "../models/first-nonfinite.js";
import { networkOfPab } from "../pab/network-of-pab.js";
import { encodeNetwork } from "../pab/write-pab.js";
import { existingFolder } from "../runs/recorded-images.js";
import type { Evaluation } from "../training/evaluation.js";
import type { Reporter } from "../training/reporter.js";
import { chooseThreads } from "./device.js";
import { testSources } from "./evaluate-file.js";
import { refuseOverwriting } from "./output.js";
import { openSources, type Sources } from "./sources.js";

export interface ExportPabOptions {
  /** Null: beside the checkpoint, `best.safetensors` becoming `best.pab`. */
  output: string | null;
  force: boolean;
  float32: boolean;
  seedOnly: boolean;
  license: string | null;
  data: string | null;
  dataFolder: string | null;
  /** How many of the test images; null: all. */
  testLimit: number | null;
  threads: number | null;
}

/** What {@link exportPab} wrote. */
export interface ExportedPab {
  output: string;
  bytes: number;
  sizes: PartSizes;
  /** The convolutions whose weights don't follow from the seed. */
  stored: readonly string[];
  /** The checkpoint and the file on the test images; null where these aren't here. */
  tests: { checkpoint: Evaluation; file: Evaluation } | null;
}

/**
 * Writes a checkpoint's network as a .pab file, and where the test images are on this machine compares the two on them.
 * @throws {UserError} when the file is no checkpoint or holds what the format doesn't, and when the output is there already or
 * can't be written; Interrupted after a signal, with nothing written.
 */
export async function exportPab(
  file: string,
  options: ExportPabOptions,
  { reporter, guard }: { reporter: Reporter; guard: Guard },
): Promise<ExportedPab> {
  const output = options.output ?? join(dirname(file), `${parse(file).name}.pab`);
  refuseOverwriting("export", file, output, options.force);
  refuseUnwritable("export", output);
  chooseThreads(options, reporter);
  const loaded = loadNetwork(file);
  const { network, images } = loaded;
  try {
    refuseNonfinite(network.module.stateDict(), "export", file);
    const { config } = images;
    await using sources = await testImages(loaded, options, { reporter, guard });
    const checkpoint = sources === null ? null : await test(loaded, sources, file, { reporter, guard });
    const classes = images.classes ?? Array.from({ length: images.numClasses }, (_, i) => `class ${i}`);
    const known = sources === null ? {} : { checksums: await sources.checksums() };
    const source = { network, config, name: file, classes, license: options.license, ...known };
    const encode = (tested: Evaluation | null) => encodeNetwork({ ...source, test: resultOf(tested) }, options);
    const first = encode(checkpoint);
    const own = sources === null ? null : await testBytes(output, first.bytes, sources, { reporter, guard });
    // What the file tells is its own accuracy: rounding may have cost some.
    const { bytes, stored } = own === null ? first : encode(own);
    await guard.check();
    writeFileAtomic(output, [bytes]);
    const tests = checkpoint === null || own === null ? null : { checkpoint, file: own };
    return { output, bytes: bytes.length, sizes: pabPartSizes(bytes), stored, tests };
  } finally {
    network.dispose();
  }
}

function resultOf(tested: Evaluation | null) {
  return tested === null
    ? null
    : { accuracy: tested.accuracy, images: tested.images, loss: Number(tested.loss.toFixed(4)) };
}

/** The test images, if they are on this machine. */
async function testImages(
  { config, images }: LoadedNetwork,
  { data, dataFolder, testLimit }: Pick<ExportPabOptions, "data" | "dataFolder" | "testLimit">,
  { reporter, guard }: { reporter: Reporter; guard: Guard },
): Promise<Sources | null> {
  const isFolder = config.dataset === IMAGE_FOLDER;
  const cached = datasetStatus(dataFolder ?? undefined).some(
    ({ name, bytes }) => name === config.dataset && bytes !== undefined,
  );
  const folder = data ?? (isFolder ? existingFolder(images) : null);
  if (folder === null && !cached) return null;
  const own = { ...config, data: folder, dataFolder, trainLimit: null, testLimit };
  return openSources({ ...own, workers: null, onBadImage: "skip" }, "cpu", { reporter, signal: guard.signal });
}

async function testBytes(
  name: string,
  bytes: Uint8Array,
  sources: Sources,
  how: { reporter: Reporter; guard: Guard },
): Promise<Evaluation> {
  const loaded = networkOfPab("export", name, decodePab(bytes));
  try {
    return await test(loaded, sources, name, how);
  } finally {
    loaded.network.dispose();
  }
}

function test(
  { network, images }: LoadedNetwork,
  sources: Sources,
  file: string,
  how: { reporter: Reporter; guard: Guard },
): Promise<Evaluation> {
  return testSources("export", {
    file,
    images,
    batchSize: evaluateOptions.batchSize.default,
    network,
    sources,
    ...how,
  });
}
