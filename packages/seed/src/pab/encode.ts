import { UserError } from "@peekaboo/files/errors";
import { FloatCoder } from "../coding/float-model.js";
import { toFloat16Bits } from "../coding/float16.js";
import { magnitudeLogs } from "../coding/magnitude-log.js";
import { fitMask } from "../coding/mask-fit.js";
import { MAX_BIAS, MaskCoder, NO_PARAMETERS } from "../coding/mask-model.js";
import { type BitCoder, RangeEncoder } from "../coding/range-coder.js";
import { SignCoder } from "../coding/sign-model.js";
import { codeText } from "../coding/text-model.js";
import { initialiseWeight } from "../init/weights.js";
import { randomMask, shuffledMask } from "../random/shuffled-mask.js";
import { utf8Bytes } from "../random/utf8.js";
import { packSections } from "./container.js";
import { type Description, formatDescription, type TensorDescription } from "./description.js";
import { FLOAT_KINDS, floatKinds, kernelSize, maskShape, needsWeights } from "./layout.js";
import { logitsOf, mostText, valuesIn } from "./limits.js";
import type { PabTensor } from "./network.js";

/** Largest finite float16. */
const MAX_FLOAT16 = 65504;

/**
 * The bytes of a .pab file.
 * @param tensors all that the description lists: values as they take effect, zeros where a mask cuts
 * @param initial the initial weights of tensors, as far as they are at hand: what is missing is drawn again
 * @throws {UserError} when a tensor isn't what its description says: signs of other weights than the seed gives, a mask that
 * doesn't follow from the seed, a number that float16 doesn't hold; and when the graph doesn't fit the tensors, or the classes the logits.
 */
export function encodePab(
  description: Description,
  tensors: ReadonlyMap<string, PabTensor>,
  initial: ReadonlyMap<string, Float32Array> = new Map(),
): Uint8Array {
  const [logits, { length }] = [logitsOf(description), description.classes];
  if (logits !== length) throw refused("the classes", `${logits} names, one for each logit`, String(length));
  const coders = {
    text: new RangeEncoder(),
    masks: new RangeEncoder(),
    signs: new RangeEncoder(),
    numbers: new RangeEncoder(),
  };
  const text = utf8Bytes(formatDescription(description));
  codeText(coders.text, text, text.length);
  const writer = new TensorWriter(description, coders, initial);
  for (const tensor of description.tensors) {
    const given = tensors.get(tensor.name);
    if (given === undefined) throw refused(tensor.name, "a tensor of the network", "none");
    writer.write(tensor, given);
  }
  const section = coders.text.finish();
  const longest = mostText(section.length);
  if (text.length > longest) throw refused("the description", `at most ${longest} bytes`, String(text.length));
  const bytes = packSections({
    description: section,
    masks: coders.masks.finish(),
    signs: coders.signs.finish(),
    numbers: coders.numbers.finish(),
  });
  const { values, most } = valuesIn(description, bytes.length);
  if (values > most)
    throw refused("the network", `at most ${most} numbers in ${bytes.length} bytes`, String(values), "prune less");
  return bytes;
}

/** Whether the kept values of a tensor are, but for their signs, the initial weights of that name. */
export function growsFromSeed({ shape, data, mask }: PabTensor, initial: Float32Array): boolean {
  if (shape.length < 2 || initial.length !== data.length) return false;
  for (let i = 0; i < data.length; i++) {
    if (mask !== null && mask[i] === 0) continue;
    if (Math.abs(data[i] ?? 0) !== Math.abs(initial[i] ?? 0)) return false;
  }
  return true;
}

class TensorWriter {
  readonly #description: Description;
  readonly #masks: MaskCoder;
  readonly #signs: SignCoder;
  readonly #numbers: FloatCoder;
  readonly #kinds: ReadonlyMap<string, number>;

  readonly #initial: ReadonlyMap<string, Float32Array>;

  constructor(
    description: Description,
    coders: Record<"masks" | "signs" | "numbers", BitCoder>,
    initial: ReadonlyMap<string, Float32Array>,
  ) {
    this.#description = description;
    this.#initial = initial;
    this.#masks = new MaskCoder(coders.masks);
    this.#signs = new SignCoder(coders.signs);
    this.#numbers = new FloatCoder(coders.numbers, FLOAT_KINDS);
    this.#kinds = floatKinds(description);
  }

  write(tensor: TensorDescription, given: PabTensor): void {
    const { name, shape, stored, init } = tensor;
    if (shape.join() !== given.shape.join())
      throw refused(name, `the shape [${shape.join()}]`, `[${given.shape.join()}]`);
    if ((given.mask === null) !== (tensor.mask === "all")) throw refused(name, "a mask as it is described", "another");
    const draw = () => this.#initial.get(name) ?? initialiseWeight(init, this.#description.seed, name, shape);
    const initial = needsWeights(tensor) ? draw() : null;
    if (given.mask !== null) this.#writeMask(tensor, given.mask, initial);
    if (stored !== "signs") {
      this.#writeValues(tensor, given);
      return;
    }
    if (initial === null || !growsFromSeed(given, initial))
      throw refused(name, `the weights that seed ${this.#description.seed} gives, but for their signs`, "others");
    const kept = given.mask ?? new Uint8Array(given.data.length).fill(1);
    const signs = new Uint8Array(kept.length);
    for (let i = 0; i < signs.length; i++) if (kept[i] === 1) signs[i] = (given.data[i] ?? 0) < 0 ? 2 : 1;
    this.#signs.signs(signs, kept, kernelSize(shape));
  }

  #writeMask(tensor: TensorDescription, mask: Uint8Array, initial: Float32Array | null): void {
    const { name, shape } = tensor;
    if (tensor.mask === "model") {
      const logs = magnitudeLogs(initial ?? new Float32Array(mask.length));
      const kept = mask.reduce((sum, bit) => sum + bit, 0);
      const one = kept === 0 || kept === mask.length;
      const parameters = one ? sure(kept > 0) : fitMask(mask, logs, maskShape(shape));
      this.#masks.parameters(parameters, maskShape(shape));
      this.#masks.mask(Uint8Array.from(mask), logs, parameters, maskShape(shape));
      return;
    }
    const kept = this.#masks.unsigned(mask.reduce((sum, bit) => sum + bit, 0));
    const own = (tensor.mask === "shuffle" ? shuffledMask : randomMask)(this.#description.seed, name, shape, kept);
    if (own.some((bit, i) => bit !== mask[i])) throw refused(name, "the mask that the seed gives", "another");
  }

  #writeValues({ name, stored }: TensorDescription, { data, mask }: PabTensor): void {
    const kept = mask === null ? data : data.filter((_, i) => mask[i] === 1);
    const most = stored === "float16" ? MAX_FLOAT16 : Number.MAX_VALUE;
    const wrong = kept.find((value) => !(Math.abs(value) <= most));
    if (wrong !== undefined)
      throw refused(name, `finite numbers, up to ${most}`, String(wrong), "store float32, or train anew");
    const bits = stored === "float16" ? Uint16Array.from(kept, toFloat16Bits) : new Uint32Array(kept.slice().buffer);
    this.#numbers.values(bits, this.#kinds.get(name) ?? 0);
  }
}

/** Parameters by which every weight is kept, or none: at the bounds no bit costs anything. */
function sure(kept: boolean) {
  return { ...NO_PARAMETERS, bias: kept ? MAX_BIAS : -MAX_BIAS };
}

function refused(argument: string, expected: string, received: string, remedy?: string): UserError {
  const advice = remedy === undefined ? {} : { remedy };
  return new UserError({ operation: "write a .pab file", argument, expected, received, ...advice });
}
