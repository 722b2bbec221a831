import type { ImageShape } from "#peekaboo/data/batch";
import { findNetwork } from "#peekaboo/models/registry";

/** A network and how it is trained. */
export interface Workload {
  readonly name: string;
  /** The plain network's name. */
  readonly arch: string;
  readonly width: number;
  readonly batch: number;
  readonly imageShape: ImageShape;
  readonly numClasses: number;
}

/** A network of the registry, on the images that it is for. */
export function workload(arch: string, batch: number, width = 1): Workload {
  const { imageShape, numClasses } = findNetwork(arch).architecture;
  return { name: width === 1 ? arch : `${arch}x${width}`, arch, width, batch, imageShape, numClasses };
}

/** Those of a full run, and the one of a quick run. */
export const WORKLOADS: readonly Workload[] = [
  workload("ResNet20", 128),
  workload("ResNet18", 128),
  workload("ResNet18", 64, 0.25),
  workload("VGG16", 128),
  workload("resnet50", 8),
];
export const QUICK: Workload = workload("ResNet20", 4, 0.25);

/** The name of the network that learns by predicted gradients. */
export function psgName(arch: string): string {
  return `${findNetwork(arch).architecture.variants.psg ?? ""}${arch}`;
}

/** A workload's name with what it trains on. */
export function title({ name, batch, imageShape: [, height] }: Workload): string {
  return `${name}, ${batch} images of ${height}²`;
}
