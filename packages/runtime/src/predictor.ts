import { type Description, decodingSteps, type PabNetwork, type PartSizes } from "@peekaboo/seed";
import { createEngine, type Engine, type EngineOptions } from "./engine.js";
import { imageInput, type PixelImage } from "./image.js";

/** Options of {@link load}. */
export interface LoadOptions extends EngineOptions {
  /** Hears the fraction that is done, from 0 to 1. */
  onProgress?(fraction: number): void;
  /** Stops loading: the promise is rejected with its reason. */
  signal?: AbortSignal;
}

/** A class, and how likely it is by the network's softmax. */
export interface Guess {
  readonly label: string;
  /** The class's number, from 0. */
  readonly index: number;
  readonly probability: number;
}

/** What a network makes of an image: its likeliest class, and the likeliest ones, best first. */
export interface Prediction extends Guess {
  readonly best: readonly Guess[];
}

/** How long loading may keep a page or a server from anything else, in milliseconds. */
const TURN = 30;
const BEST = 5;
/** How much memory a file's network may take, in bytes: so many, and so many for each of its own. */
const LEAST_MEMORY = 2 ** 26;
const MEMORY_PER_BYTE = 2 ** 12;

/**
 * Loads a network from the bytes of a .pab file.
 * @throws {UserError} when they are none, or damaged, or stand for more than a file of that length can; the signal's reason once it is aborted.
 */
export async function load(bytes: Uint8Array, options: LoadOptions = {}): Promise<Predictor> {
  const { onProgress, signal, ...engineOptions } = options;
  const steps = decodingSteps(bytes);
  let turn = performance.now();
  for (;;) {
    signal?.throwIfAborted();
    const step = steps.next();
    if (step.done === true) {
      const engine = await createEngine(
        { graph: step.value.description.graph, tensors: step.value.tensors },
        { mostBytes: LEAST_MEMORY + MEMORY_PER_BYTE * bytes.length, ...engineOptions },
      );
      signal?.throwIfAborted();
      onProgress?.(1);
      return new Predictor(step.value, engine);
    }
    onProgress?.(step.value);
    if (performance.now() - turn < TURN) continue;
    await new Promise((resolve) => setTimeout(resolve, 0));
    turn = performance.now();
  }
}

/** A network that is ready to predict; made by {@link load}. */
export class Predictor {
  /** Its classes, seed, graph and where it comes from. */
  readonly description: Description;
  /** What was decoded: weights and masks by name. */
  readonly network: PabNetwork;
  readonly engine: Engine;

  /** @internal */
  constructor(network: PabNetwork, engine: Engine) {
    this.description = network.description;
    this.network = network;
    this.engine = engine;
  }

  /** The bytes of each part of the file. */
  get sizes(): PartSizes {
    return this.network.sizes;
  }

  /**
   * The likeliest classes of an image of any size, `best` of them at most (default: 5).
   * @throws {UserError} for an image whose data don't fit its size.
   */
  async predict(image: PixelImage, { best = BEST }: { best?: number } = {}): Promise<Prediction> {
    const [prediction] = await this.predictBatch([image], { best });
    if (prediction === undefined) throw new RangeError("predict: no prediction");
    return prediction;
  }

  /** The same for several images, in their order. */
  async predictBatch(images: readonly PixelImage[], { best = BEST }: { best?: number } = {}): Promise<Prediction[]> {
    const { input } = this.description.graph;
    const { classes } = this.engine;
    return images.map((image) => {
      const logits = this.engine.run(imageInput(image, { ...this.description, input }));
      return predictionOf(softmax(logits.subarray(0, classes)), this.description.classes, best);
    });
  }
}

/** The probabilities of logits: e^x over the sum of all. */
export function softmax(logits: Float32Array): Float64Array {
  const most = logits.reduce((largest, logit) => Math.max(largest, logit), Number.NEGATIVE_INFINITY);
  const powers = Float64Array.from(logits, (logit) => Math.exp(logit - most));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}

function predictionOf(probabilities: Float64Array, labels: readonly string[], count: number): Prediction {
  const guesses = [...probabilities.keys()]
    .sort((a, b) => (probabilities[b] ?? 0) - (probabilities[a] ?? 0) || a - b)
    .slice(0, Math.max(1, count))
    .map((index) => ({ label: labels[index] ?? `class ${index}`, index, probability: probabilities[index] ?? 0 }));
  const [first = { label: "", index: 0, probability: 0 }] = guesses;
  return { ...first, best: guesses };
}
