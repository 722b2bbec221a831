/**
 * Peek-a-Boo for TypeScript: prune a random network, then learn only the signs of the weights that are left.
 *
 * ```ts
 * const network = buildNetwork("PsgResNet20", { width: 0.25 });
 * await prune(network, { pruner: pruners.synFlow, density: 0.3 });
 * const data = imagesOf(await openDataset("cifar10"));
 * for await (const { number, test } of train(network, { data, epochs: 3 })) console.log(number, test.accuracy);
 * saveNetwork(network, "network.safetensors");
 * ```
 *
 * Only what this file exports is public.
 *
 * @packageDocumentation
 */

export { INIT_METHODS, type InitMethod, initialiseWeight } from "@peekaboo/seed";
// Files of the command line
export { type LoadedNetwork, loadNetwork } from "./checkpoint/checkpoint.js";
export { type IdealSize, type InspectReport, inspectFile, type LayerReport } from "./checkpoint/inspect.js";
// Networks
export { restoreNetwork, saveNetwork } from "./checkpoint/network-file.js";
export type { TrainConfig } from "./config/config.js";
// Data
export type { Batch, ImageShape } from "./data/batch.js";
export type { BatchSource } from "./data/batch-source.js";
export { type Dataset, type OpenOptions, openDataset, type Split } from "./data/dataset.js";
export { type Images, type ImagesOptions, imagesOf } from "./data/images.js";
export type { AugmentationRule, DataProgress } from "./data/source.js";
export type { LayerFactory } from "./layers/factory.js";
export type { HiddenAct, LatentOptions } from "./layers/latent-score.js";
export type { MaskedConv2dOptions } from "./layers/masked-conv2d.js";
export type { MaskedLayer } from "./layers/masked-layer.js";
export type { MaskedLinearOptions } from "./layers/masked-linear.js";
export { PsgConv2d, type PsgOptions, THE_PAPERS as thePapersPsg } from "./layers/psg-conv2d.js";
export type { Architecture, BuildContext, Variant } from "./models/architecture.js";
export { type ArchitectureDefinition, type BuildOptions, buildNetwork, defineArchitecture } from "./models/build.js";
export { type DisguiseOptions, type DisguiseRules, disguise, type LayerRule } from "./models/disguise.js";
export { Network, type NetworkOptions } from "./models/network.js";
export type { OwnContext } from "./models/own-file.js";
export { architectureNames } from "./models/registry.js";
// Files for others
export { saveOnnx } from "./onnx/save-onnx.js";
// Training
export { Bop, type BopOptions } from "./optim/bop.js";
export { Bop2, type Bop2Options } from "./optim/bop2.js";
export { SignOptimizer, type SignOptions } from "./optim/sign-optimizer.js";
export { type FileFacts, type SavePabOptions, savePab } from "./pab/save-pab.js";
// Pruning
export { type LayerKept, type PruneOptions, type PruneReport, prune } from "./pruning/loop.js";
export type { MinKept } from "./pruning/min-kept.js";
export type { Pruner, ScoreContext, WeightFactors } from "./pruning/pruner.js";
export * as pruners from "./pruning/pruners/all.js";
export { findPruner, prunerNames } from "./pruning/pruners/registry.js";
export type { PruneSchedule } from "./pruning/schedule.js";
export type { PruneScope } from "./pruning/selection.js";
export type { RecordedImages } from "./runs/recorded-images.js";
export type { StudyFile, StudyGrid } from "./studies/study.js";
export type { EpochMeans } from "./training/epoch-means.js";
export { type EvaluateParts, type Evaluation, evaluate } from "./training/evaluation.js";
export type { Pruned, ReportedEpoch, ReportedStep, Reporter, StepPlace, Work } from "./training/reporter.js";
export { type TrainedEpoch, type TrainedStep, type TrainOptions, train } from "./training/search.js";
export type { StepResult } from "./training/trainer.js";
