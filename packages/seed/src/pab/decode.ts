import { numel } from "@peekaboo/files/safetensors";
import { FloatCoder } from "../coding/float-model.js";
import { fromFloat16Bits } from "../coding/float16.js";
import { magnitudeLogs } from "../coding/magnitude-log.js";
import { isStorable, MaskCoder, NO_PARAMETERS } from "../coding/mask-model.js";
import { type BitCoder, RangeDecoder } from "../coding/range-coder.js";
import { SignCoder } from "../coding/sign-model.js";
import { codeText } from "../coding/text-model.js";
import { initialiseWeight } from "../init/weights.js";
import { randomMask, shuffledMask } from "../random/shuffled-mask.js";
import { utf8Text } from "../random/utf8.js";
import { damaged, partSizes, unpackSections } from "./container.js";
import { type Description, parseDescription, type TensorDescription } from "./description.js";
import { FLOAT_KINDS, floatKinds, kernelSize, maskShape, needsWeights } from "./layout.js";
import { logitsOf, mostText, valuesIn } from "./limits.js";
import type { PabNetwork, PabTensor } from "./network.js";

/** Watches what is decoded: hands on another coder in place of a section's decoder. */
export type Watch = (section: "masks" | "signs" | "numbers", coder: BitCoder) => BitCoder;

/** The description of a file alone. @throws {UserError} as {@link decodePab} does. */
export function describePab(bytes: Uint8Array): Description {
  return readDescription(unpackSections(bytes).description, bytes.length);
}

/**
 * A network from the bytes of a .pab file: the same bits on every engine.
 * @param onTensor is called before each tensor and after the last
 * @throws {UserError} when they are none, damaged, or stand for more than a file of that length can.
 */
export function decodePab(bytes: Uint8Array, watch?: Watch, onTensor?: () => void): PabNetwork {
  const steps = decodingSteps(bytes, watch);
  for (;;) {
    const { done, value } = steps.next();
    onTensor?.();
    if (done === true) return value;
  }
}

/** The same in steps, after each of which it tells the fraction that is done: for readers that mustn't block. */
export function* decodingSteps(bytes: Uint8Array, watch: Watch = (_, coder) => coder): Generator<number, PabNetwork> {
  const sections = unpackSections(bytes);
  const description = readDescription(sections.description, bytes.length);
  const ranges = {
    masks: new RangeDecoder(sections.masks),
    signs: new RangeDecoder(sections.signs),
    numbers: new RangeDecoder(sections.numbers),
  };
  const reader = new TensorReader(description, {
    masks: watch("masks", ranges.masks),
    signs: watch("signs", ranges.signs),
    numbers: watch("numbers", ranges.numbers),
  });
  const tensors = new Map<string, PabTensor>();
  const total = description.tensors.reduce((sum, { shape }) => sum + numel(shape), 0);
  let done = 0;
  for (const tensor of description.tensors) {
    yield done / total;
    tensors.set(tensor.name, reader.read(tensor));
    done += numel(tensor.shape);
  }
  for (const [name, range] of Object.entries(ranges))
    if (!range.isAtEnd) throw damaged(`the section of ${name}`, "no byte after its last", "more");
  return { description, tensors, sizes: partSizes(sections) };
}

function readDescription(section: Uint8Array, fileLength: number): Description {
  const coder = new RangeDecoder(section);
  const longest = mostText(section.length);
  const bytes = codeText(coder, new Uint8Array(), longest);
  if (bytes === null || !coder.isAtEnd) throw damaged("the description", `a text of at most ${longest} bytes`, "more");
  const text = utf8Text(bytes);
  if (text === null) throw damaged("the description", "UTF-8", "other bytes");
  const description = parseDescription(text);
  const { values, most } = valuesIn(description, fileLength);
  if (values > most) throw damaged("the tensors", `at most ${most} numbers in ${fileLength} bytes`, String(values));
  const [logits, { length }] = [logitsOf(description), description.classes];
  if (logits !== length) throw damaged("the classes", `${logits} names, one for each logit`, String(length));
  return description;
}

class TensorReader {
  readonly #description: Description;
  readonly #masks: MaskCoder;
  readonly #signs: SignCoder;
  readonly #numbers: FloatCoder;
  readonly #kinds: ReadonlyMap<string, number>;

  constructor(description: Description, coders: Record<"masks" | "signs" | "numbers", BitCoder>) {
    this.#description = description;
    this.#masks = new MaskCoder(coders.masks);
    this.#signs = new SignCoder(coders.signs);
    this.#numbers = new FloatCoder(coders.numbers, FLOAT_KINDS);
    this.#kinds = floatKinds(description);
  }

  read(tensor: TensorDescription): PabTensor {
    const { name, shape, stored, init } = tensor;
    const initial = needsWeights(tensor) ? initialiseWeight(init, this.#description.seed, name, shape) : null;
    const mask = this.#mask(tensor, initial);
    if (stored !== "signs") return { shape, data: this.#values(tensor, mask), mask };
    const data = initial ?? new Float32Array(numel(shape));
    const kept = mask ?? new Uint8Array(data.length).fill(1);
    const signs = new Uint8Array(data.length);
    this.#signs.signs(signs, kept, kernelSize(shape));
    for (let i = 0; i < data.length; i++) {
      const sign = signs[i];
      const magnitude = Math.abs(data[i] ?? 0);
      data[i] = sign === 0 ? 0 : sign === 1 ? magnitude : -magnitude;
    }
    return { shape, data, mask };
  }

  #mask({ name, shape, mask }: TensorDescription, initial: Float32Array | null): Uint8Array | null {
    const total = numel(shape);
    switch (mask) {
      case "all":
        return null;
      case "model": {
        const bits = new Uint8Array(total);
        const parameters = this.#masks.parameters(NO_PARAMETERS, maskShape(shape));
        if (!isStorable(parameters)) throw damaged(`the mask of ${name}`, "parameters within bounds", "others");
        this.#masks.mask(bits, magnitudeLogs(initial ?? new Float32Array(total)), parameters, maskShape(shape));
        return bits;
      }
      default: {
        const kept = this.#masks.unsigned(0);
        if (kept > total) throw damaged(`the mask of ${name}`, `at most ${total} kept weights`, String(kept));
        return (mask === "shuffle" ? shuffledMask : randomMask)(this.#description.seed, name, shape, kept);
      }
    }
  }

  #values({ name, shape, stored }: TensorDescription, mask: Uint8Array | null): Float32Array {
    const data = new Float32Array(numel(shape));
    const kept = mask === null ? data.length : mask.reduce((sum, bit) => sum + bit, 0);
    const bits = stored === "float16" ? new Uint16Array(kept) : new Uint32Array(kept);
    this.#numbers.values(bits, this.#kinds.get(name) ?? 0);
    const values =
      bits instanceof Uint16Array ? Float32Array.from(bits, fromFloat16Bits) : new Float32Array(bits.buffer);
    for (let i = 0, n = 0; i < data.length; i++) if (mask === null || mask[i] === 1) data[i] = values[n++] ?? 0;
    const wrong = data.findIndex((value) => !Number.isFinite(value));
    if (wrong >= 0) throw damaged(`number ${wrong} of ${name}`, "a finite one", String(data[wrong]));
    return data;
  }
}
