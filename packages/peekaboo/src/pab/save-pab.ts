import { refuseUnwritable, writeFileAtomic } from "@peekaboo/files";
import { UserError } from "@peekaboo/files/errors";
import { encodePab, type TestResult } from "@peekaboo/seed";
import type { Dataset } from "../data/dataset.js";
import { refuseNonfinite } from "../models/first-nonfinite.js";
import type { Network } from "../models/network.js";
import { version } from "../version.js";
import { pabOf } from "./pab-of.js";

/** What a file tells of a network beside its weights. */
export interface FileFacts {
  /** What it was trained on: its classes' names, and how its images are normalised. */
  dataset?: Pick<Dataset, "name" | "classes" | "mean" | "std">;
  /** The names of the classes, in order; default: the data set's or the network's, else "class 0", ….  */
  classes?: readonly string[];
  /** What each channel's values from 0 to 1 are reduced by and divided by; default: the data set's, else 0 and 1. */
  mean?: readonly number[];
  std?: readonly number[];
}

/** How {@link savePab} writes a network. */
export interface SavePabOptions extends FileFacts {
  /** What `evaluate` said of it. */
  test?: TestResult;
  /** SPDX's identifier of the licence that it may be used under. */
  license?: string;
  /** Numbers other than signs in float32; default: float16. */
  float32?: boolean;
  /** Refuses convolutions whose weights don't follow from the seed, instead of storing them. */
  seedOnly?: boolean;
}

/**
 * Writes a network as a .pab file, whole or not at all: its graph, the seed, masks and signs; `@peekaboo/runtime` runs it.
 *
 * @returns the file's bytes, and the names of the convolutions whose weights don't follow from the seed: they are stored.
 * @throws {UserError} for an operation that the format doesn't have, weights that aren't finite, and a path that can't be written.
 */
export function savePab(
  network: Network,
  path: string,
  options: SavePabOptions = {},
): { bytes: number; stored: readonly string[] } {
  const { test, license = null, float32 = false, seedOnly = false, dataset } = options;
  refuseUnwritable("save", path);
  refuseNonfinite(network.module.stateDict(), "save", path);
  const { origin } = network;
  if (origin === null) throw new TypeError("savePab: expected a network that was initialised");
  const { values, initial, stored, ...parts } = pabOf(network, { ...origin, float32, seedOnly });
  const description = {
    ...parts,
    ...factsOf(network, options),
    test: test === undefined ? null : testOf(test),
    provenance: { version: version(), ...(dataset === undefined ? {} : { dataset: dataset.name }), license },
  };
  const bytes = encodePab(description, values, initial);
  writeFileAtomic(path, [bytes]);
  return { bytes: bytes.length, stored };
}

/** What a file tells beside graph and tensors. @throws {UserError} for another number of names or channels. */
export function factsOf({ options, imageShape: [channels] }: Network, { dataset, classes, mean, std }: FileFacts) {
  const { arch, numClasses } = options;
  const names =
    classes ?? dataset?.classes ?? options.classes ?? Array.from({ length: numClasses }, (_, i) => `class ${i}`);
  if (names.length !== numClasses) throw refused("classes", `${numClasses} names`, names.length);
  return {
    network: arch,
    classes: names,
    mean: perChannel("mean", mean ?? dataset?.mean ?? [0], channels),
    std: perChannel("std", std ?? dataset?.std ?? [1], channels),
    crop: 1,
  };
}

/** A grey image's one number stands for each channel that it is repeated to. */
function perChannel(argument: string, values: readonly number[], channels: number): readonly number[] {
  if (values.length === channels) return values;
  const [only] = values;
  if (values.length === 1 && only !== undefined) return Array.from({ length: channels }, () => only);
  throw refused(argument, `one number, or one for each of ${channels} channels`, values.length);
}

function refused(argument: string, expected: string, received: number): UserError {
  return new UserError({ operation: "save the network", argument, expected, received: String(received) });
}

function testOf({ accuracy, images, loss }: TestResult): TestResult {
  return { accuracy, images, ...(loss === undefined ? {} : { loss: Number(loss.toFixed(4)) }) };
}
