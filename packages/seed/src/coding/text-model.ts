import { AdaptiveBits, IntegerCoder } from "./adaptive.js";
import { Mixer } from "./mixer.js";
import type { BitCoder } from "./range-coder.js";

/** How many bytes before the next one each prediction goes by. */
const ORDERS = [0, 1, 2, 3, 4, 6];
/** Contexts a prediction has room for; several may share one. */
const SLOTS = 1 << 16;
const RATE = 14;

/**
 * What a description usually says: both sides learn it before the first byte, so that names which every file has cost hardly
 * anything. Frozen with the format's version.
 */
const PRIMER = `{"network":"PsgResNet18","input":[3,32,32],"mean":[0.4914,0.4822,0.4465],"std":[0.2023,0.1994,0.201],"classes":["airplane","automobile","bird","cat","deer","dog","frog","horse","ship","truck"],"init":"kaiming_normal","seed":0,"tensors":[["conv1.weight",[16,3,3,3],"signs"],["bn1.scale",[16],"float16"],["bn1.shift",[16],"float16"],["layer1.0.conv1.weight",[16,16,3,3],"signs"],["layer1.0.bn1.scale",[16],"float16"],["layer1.0.bn1.shift",[16],"float16"],["layer1.0.conv2.weight",[16,16,3,3],"signs"],["layer2.0.shortcut.0.weight",[32,16,1,1],"signs"],["layer2.0.shortcut.1.scale",[32],"float16"],["features.0.weight",[64,3,3,3],"signs"],["linear.weight",[10,128],"float16"],["linear.bias",[10],"float16"]],"nodes":[["conv2d",0,{"weight":"conv1.weight","padding":1}],["affine",1,{"scale":"bn1.scale","shift":"bn1.shift"}],["relu",2],["conv2d",3,{"weight":"layer1.0.conv1.weight","padding":1}],["affine",4,{"scale":"layer1.0.bn1.scale","shift":"layer1.0.bn1.shift"}],["relu",5],["conv2d",6,{"weight":"layer2.0.conv1.weight","stride":2,"padding":1}],["add",[8,3]],["relu",9],["conv2d",10,{"weight":"layer2.0.shortcut.0.weight","stride":2}],["max_pool2d",11,{"kernel":2,"stride":2}],["avg_pool2d",40,{"kernel":4,"stride":4}],["reshape",41,{"shape":[128,1,1]}],["linear",42,{"weight":"linear.weight","bias":"linear.bias"}]],"test":{"accuracy":63.53,"images":10000,"loss":1.0372},"provenance":{"version":"0.1.0","dataset":"cifar10","data":"sha256:","license":null,"settings":{"arch":"PsgResNet18","width":0.25,"dropout":0,"initMethod":"kaiming_normal","seed":0,"hiddenAct":null,"pruning":{"pruner":"SynFlow","density":0.3,"iterations":100,"schedule":"exponential","scope":"global"},"optimizer":"BOP","bop":{"adaptivityRate":0.01,"threshold":0.00001},"sgd":{"lr":0.1,"momentum":0.9,"weightDecay":0.0005},"epochs":3,"maxSteps":2000,"batchSize":64,"psg":{"backward":true,"msbBits":8,"msbBitsGrad":16}}}}`;

/** Predicts each bit of a byte from the bytes before. Source: Mahoney's context mixing, as in lpaq. */
class ByteModel {
  readonly #contexts = new AdaptiveBits(ORDERS.length * SLOTS, 120);
  readonly #mixer = new Mixer(ORDERS.length, 256, RATE);
  readonly #slots = new Int32Array(ORDERS.length);
  /** The context of each prediction of the next bit. */
  readonly #places = new Int32Array(ORDERS.length);
  readonly #history = new Uint8Array(8);

  code(coder: BitCoder, byte: number): number {
    let hash = 0;
    let length = 0;
    ORDERS.forEach((order, i) => {
      for (; length < order; length++) hash = (Math.imul(hash, 0x2f0b4c47) + (this.#history[length] ?? 0) + 1) | 0;
      this.#slots[i] = Math.imul(hash ^ (order * 0x9e3779b9), 0x85ebca6b) >>> 0;
    });
    let read = 1;
    for (let shift = 7; shift >= 0; shift--) read = 2 * read + this.#bit(coder, read, (byte >>> shift) & 1);
    this.#history.copyWithin(1, 0, 7);
    this.#history[0] = read & 255;
    return read & 255;
  }

  #bit(coder: BitCoder, node: number, bit: number): number {
    const spread = Math.imul(node, 0x9e3779b1);
    for (let i = 0; i < ORDERS.length; i++) {
      const place = i * SLOTS + (((this.#slots[i] ?? 0) + spread) >>> 16);
      this.#places[i] = place;
      this.#mixer.add(i, this.#contexts.probability(place));
    }
    const read = coder.code(bit, this.#mixer.mix(node));
    this.#mixer.update(read);
    for (let i = 0; i < ORDERS.length; i++) this.#contexts.update(this.#places[i] ?? 0, read);
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
