import { AdaptiveBits, IntegerCoder } from "./adaptive.js";
import { MAX_LOG_ODDS, squash, stretch } from "./logistic.js";
import type { BitCoder } from "./range-coder.js";

/** How many bytes before the next one each prediction goes by. */
const ORDERS = [0, 1, 2, 3, 4, 6];
/** Contexts a prediction has room for; several may share one. */
const SLOTS = 1 << 16;
/** A weight of 1, of which weights are fractions, and the most that one may be: all sums are exact. */
const UNIT = 65536;
const MAX_WEIGHT = 8 * UNIT;
/** How fast weights learn. */
const RATE = 14;
const LEARNING = 2 ** 18;

/**
 * What a description usually says: both sides learn it before the first byte, so that names which every file has cost hardly
 * anything. Frozen with the format's version.
 */
const PRIMER = `{"network":"PsgResNet18","input":[3,32,32],"mean":[0.4914,0.4822,0.4465],"std":[0.2023,0.1994,0.201],"classes":["airplane","automobile","bird","cat","deer","dog","frog","horse","ship","truck"],"init":"kaiming_normal","seed":0,"tensors":[["conv1.weight",[16,3,3,3],"signs"],["bn1.scale",[16],"float16"],["bn1.shift",[16],"float16"],["layer1.0.conv1.weight",[16,16,3,3],"signs"],["layer1.0.bn1.scale",[16],"float16"],["layer1.0.bn1.shift",[16],"float16"],["layer1.0.conv2.weight",[16,16,3,3],"signs"],["layer2.0.shortcut.0.weight",[32,16,1,1],"signs"],["layer2.0.shortcut.1.scale",[32],"float16"],["features.0.weight",[64,3,3,3],"signs"],["linear.weight",[10,128],"float16"],["linear.bias",[10],"float16"]],"nodes":[["conv2d",0,{"weight":"conv1.weight","padding":1}],["affine",1,{"scale":"bn1.scale","shift":"bn1.shift"}],["relu",2],["conv2d",3,{"weight":"layer1.0.conv1.weight","padding":1}],["affine",4,{"scale":"layer1.0.bn1.scale","shift":"layer1.0.bn1.shift"}],["relu",5],["conv2d",6,{"weight":"layer2.0.conv1.weight","stride":2,"padding":1}],["add",[8,3]],["relu",9],["conv2d",10,{"weight":"layer2.0.shortcut.0.weight","stride":2}],["max_pool2d",11,{"kernel":2,"stride":2}],["avg_pool2d",40,{"kernel":4,"stride":4}],["reshape",41,{"shape":[128,1,1]}],["linear",42,{"weight":"linear.weight","bias":"linear.bias"}]],"test":{"accuracy":63.5,"images":10000,"loss":0.9981},"provenance":{"version":"0.1.0","dataset":"cifar10","checksums":{"train.images.sha256":"0123456789abcdef","train.labels.sha256":"","test.images.sha256":"","test.labels.sha256":""},"license":null,"settings":{"arch":"PsgResNet18","width":0.25,"initMethod":"kaiming_normal","seed":1,"dataset":"mnist","grey":"single","imageSize":224,"epochs":3,"maxSteps":2000,"batchSize":64,"optimizer":"BOP","sgd":{"lr":0.1,"lrSchedule":"linear"},"bop":{"ar":0.01,"tau":0.00001,"arSchedule":"linear","arFinal":0.0002},"psg":{"msbBits":8,"msbBitsWeight":8,"msbBitsGrad":16,"threshold":{"value":1e-7},"sparsify":true,"takeSign":false},"pruning":{"pruner":"SynFlow","density":0.3,"epoch":0,"shots":1,"iterations":100,"schedule":"exponential","scope":"global","minKept":null,"maskShuffle":false,"batchSize":256,"verbose":false}}}}`;

/**
 * Predicts each bit of a byte from the bytes before: a table of adaptive probabilities for each order, mixed in the logistic domain
 * by weights that learn online. In flat arrays, since a reader waits for it. Sources: Mahoney, "Adaptive Weighing of Context Models for
 * Lossless Data Compression" (2005), and lpaq.
 */
class ByteModel {
  readonly #tables = new AdaptiveBits(ORDERS.length * SLOTS, 120);
  readonly #weights = new Int32Array(ORDERS.length * 256).fill(Math.floor(UNIT / ORDERS.length));
  readonly #slots = new Int32Array(ORDERS.length);
  readonly #contexts = new Int32Array(ORDERS.length);
  readonly #inputs = new Int32Array(ORDERS.length);
  readonly #history = new Uint8Array(8);

  code(coder: BitCoder, byte: number): number {
    this.#choose();
    let read = 1;
    for (let shift = 7; shift >= 0; shift--) read = 2 * read + this.#bit(coder, read, (byte >>> shift) & 1);
    this.#history.copyWithin(1, 0, 7);
    this.#history[0] = read & 255;
    return read & 255;
  }

  /** Each order's slot, by a hash of so many bytes before. */
  #choose(): void {
    let hash = 0;
    let length = 0;
    for (let i = 0; i < ORDERS.length; i++) {
      const order = ORDERS[i] ?? 0;
      for (; length < order; length++) hash = (Math.imul(hash, 0x2f0b4c47) + (this.#history[length] ?? 0) + 1) | 0;
      this.#slots[i] = Math.imul(hash ^ Math.imul(order, 0x9e3779b9), 0x85ebca6b);
    }
  }

  #bit(coder: BitCoder, node: number, bit: number): number {
    const tables = this.#tables;
    const weights = this.#weights;
    const contexts = this.#contexts;
    const inputs = this.#inputs;
    const step = Math.imul(node, 0x9e3779b1);
    const set = node * ORDERS.length;
    let sum = 0;
    for (let i = 0; i < ORDERS.length; i++) {
      const context = i * SLOTS + (((this.#slots[i] ?? 0) + step) >>> 16);
      const input = stretch(tables.probability(context));
      contexts[i] = context;
      inputs[i] = input;
      sum += input * (weights[set + i] ?? 0);
    }
    const p = squash(Math.max(-MAX_LOG_ODDS, Math.min(MAX_LOG_ODDS, Math.floor(sum / UNIT))));
    const read = coder.code(bit, p);
    const error = ((read << 16) - p) * RATE;
    for (let i = 0; i < ORDERS.length; i++) {
      const moved = (weights[set + i] ?? 0) + Math.floor(((inputs[i] ?? 0) * error) / LEARNING);
      weights[set + i] = Math.max(-MAX_WEIGHT, Math.min(MAX_WEIGHT, moved));
      tables.update(contexts[i] ?? 0, read);
    }
    return read;
  }
}

/** Takes each bit as it comes. */
const listener: BitCoder = { code: (bit) => bit };

/**
 * Codes bytes of text, of which a decoder returns those that it reads.
 * @param most a decoder reads no more bytes than that: at more it returns null
 */
export function codeText(coder: BitCoder, text: Uint8Array, most: number): Uint8Array | null {
  const model = new ByteModel();
  for (let i = 0; i < PRIMER.length; i++) model.code(listener, PRIMER.charCodeAt(i));
  const length = new IntegerCoder().unsigned(coder, text.length);
  if (length > most) return null;
  const read = new Uint8Array(length);
  for (let i = 0; i < length; i++) read[i] = model.code(coder, text[i] ?? 0);
  return read;
}
