import { printable, quoted, UserError } from "@peekaboo/files/errors";
import { noGrad } from "../autograd.js";
import type { Dtype } from "../dtype.js";
import { keep, scope } from "../scope.js";
import type { Tensor } from "../tensor.js";

/** How a state differs from a module's own names and shapes. */
export interface StateDifference {
  missing: string[];
  unexpected: string[];
  misshaped: { name: string; expected: readonly number[]; received: readonly number[] }[];
}

interface Buffer {
  tensor: Tensor;
  persistent: boolean;
}

/** Hears of a module's output as it is computed; {@link watchOutputs} sets it. */
type Watch = (module: Module, output: Tensor) => void;

let watch: Watch | null = null;

/** A part of a network: named parameters and buffers, named children, and a forward pass. */
export abstract class Module {
  readonly #parameters = new Map<string, Tensor>();
  readonly #buffers = new Map<string, Buffer>();
  readonly #children = new Map<string, Module>();
  #training = true;

  /** What the module computes; call it through {@link call}. */
  abstract forward(input: Tensor): Tensor;

  /** Runs the forward pass and frees what it made but for the result. */
  call(input: Tensor): Tensor {
    return scope(() => {
      const output = this.forward(input);
      watch?.(this, output);
      return output;
    });
  }

  /** Whether BatchNorm and dropout behave as in training. */
  get training(): boolean {
    return this.#training;
  }

  /** Puts the module and all below it in training mode, or in evaluation mode with `false`. */
  train(training = true): this {
    for (const [, module] of this.namedModules()) module.#training = training;
    return this;
  }

  eval(): this {
    return this.train(false);
  }

  /** Adopts a tensor that is trained: it lives until the module is disposed of, and requires a gradient. */
  protected registerParameter(name: string, tensor: Tensor): void {
    this.#refuseTaken(name, this.#parameters);
    this.#parameters.set(name, keep(tensor).requireGrad());
  }

  /** Adopts a tensor that isn't trained; only a persistent one belongs to the state. */
  protected registerBuffer(name: string, tensor: Tensor, { persistent = true } = {}): void {
    this.#refuseTaken(name, this.#buffers);
    this.#buffers.set(name, { tensor: keep(tensor), persistent });
  }

  protected registerModule<Child extends Module>(name: string, module: Child): Child {
    this.#refuseTaken(name, this.#children);
    this.#children.set(name, module);
    return module;
  }

  /**
   * Has the tree hold another module in a descendant's place, in all walks and in the state; whoever holds the descendant itself
   * holds it still.
   *
   * @throws {UserError} when there is no module of that dotted name below this one.
   */
  replaceModule(path: string, module: Module): void {
    const [name = "", ...rest] = path.split(".");
    const child = this.#children.get(name);
    if (child !== undefined && rest.length > 0) {
      child.replaceModule(rest.join("."), module);
      return;
    }
    if (child === undefined) {
      throw new UserError({
        operation: `replace a module of ${this.constructor.name}`,
        argument: "path",
        expected: "the name of a module below it",
        received: quoted(path),
      });
    }
    this.#children.set(name, module);
  }

  /** A name stands for one thing, and a dot separates names. */
  #refuseTaken(name: string, own: ReadonlyMap<string, unknown>): void {
    const maps: ReadonlyMap<string, unknown>[] = [this.#parameters, this.#buffers, this.#children];
    const taken = maps.some((map) => map !== own && map.has(name));
    if (!taken && name !== "" && !name.includes(".")) return;
    throw new UserError({
      operation: `register in ${this.constructor.name}`,
      argument: "name",
      expected: "a new name without a dot",
      received: quoted(name),
    });
  }

  /** The module's own parameter or buffer of that name. */
  protected own(name: string): Tensor {
    const tensor = this.#parameters.get(name) ?? this.#buffers.get(name)?.tensor;
    if (tensor === undefined)
      throw new RangeError(`${this.constructor.name}: expected a registered tensor, received "${name}"`);
    return tensor;
  }

  /** As {@link own}, null where there is none. */
  protected ownOrNull(name: string): Tensor | null {
    return this.#parameters.get(name) ?? this.#buffers.get(name)?.tensor ?? null;
  }

  /** Every module below this one and itself, with its dotted name, in registration order. */
  *namedModules(prefix = ""): Generator<[string, Module]> {
    yield [prefix, this];
    for (const [name, child] of this.#children) yield* child.namedModules(join(prefix, name));
  }

  /** Every trainable tensor with its state name, e.g. "layer1.0.conv1.weight"; a shared one once, by its first name. */
  *namedParameters(prefix = ""): Generator<[string, Tensor]> {
    const seen = new Set<Tensor>();
    for (const [path, module] of this.namedModules(prefix)) {
      for (const [name, tensor] of module.#parameters) {
        if (!seen.has(tensor)) yield [join(path, name), tensor];
        seen.add(tensor);
      }
    }
  }

  /** Every buffer with its state name; only those that belong to the state unless `all`. */
  *namedBuffers({ all = false } = {}): Generator<[string, Tensor]> {
    for (const [prefix, module] of this.namedModules()) {
      for (const [name, { tensor, persistent }] of module.#buffers) {
        if (all || persistent) yield [join(prefix, name), tensor];
      }
    }
  }

  /** Parameters and persistent buffers by state name, module by module as PyTorch orders them; not copied. */
  stateDict(): Map<string, Tensor> {
    const state = new Map<string, Tensor>();
    for (const [prefix, module] of this.namedModules()) {
      for (const [name, tensor] of module.#parameters) state.set(join(prefix, name), tensor);
      for (const [name, { tensor, persistent }] of module.#buffers)
        if (persistent) state.set(join(prefix, name), tensor);
    }
    return state;
  }

  /** Which names and shapes of `state` are not this module's. */
  compareState(state: ReadonlyMap<string, { readonly shape: readonly number[] }>): StateDifference {
    const difference: StateDifference = { missing: [], unexpected: [], misshaped: [] };
    const mine = this.stateDict();
    for (const [name, { shape: expected }] of mine) {
      const received = state.get(name)?.shape;
      if (received === undefined) difference.missing.push(name);
      else if (received.join() !== expected.join()) difference.misshaped.push({ name, expected, received });
    }
    difference.unexpected = [...state.keys()].filter((name) => !mine.has(name));
    return difference;
  }

  /**
   * Copies a state into the module and returns what did not fit.
   *
   * @throws {UserError} listing the first few differences, with nothing copied, unless `strict` is false: then what
   * fits is copied.
   */
  loadStateDict(state: ReadonlyMap<string, Tensor>, { strict = true } = {}): StateDifference {
    const difference = this.compareState(state);
    if (strict) refuseDifference(difference);
    const skipped = new Set(difference.misshaped.map(({ name }) => name));
    noGrad(() => {
      for (const [name, tensor] of this.stateDict()) {
        const source = state.get(name);
        if (source !== undefined && !skipped.has(name)) tensor.copy_(source);
      }
    });
    return difference;
  }

  /**
   * Moves every tensor to a device and every floating-point one to a dtype, in place: who holds a parameter (an
   * optimiser) holds it still. Gradients are dropped.
   */
  to({ dtype, device }: { dtype?: Dtype; device?: string }): this {
    const tensors = [...this.namedParameters(), ...this.namedBuffers({ all: true })];
    noGrad(() => {
      for (const [, tensor] of tensors) {
        const floating = tensor.dtype.startsWith("float");
        const moved = tensor.to({
          dtype: (floating ? dtype : undefined) ?? tensor.dtype,
          device: device ?? tensor.device,
        });
        if (moved !== tensor) tensor.become(moved.requireGrad(tensor.requiresGrad));
      }
    });
    return this;
  }

  /** Forgets every gradient. */
  zeroGrad(): void {
    for (const [, parameter] of this.namedParameters()) parameter.grad = null;
  }

  /** Frees every parameter and buffer. */
  dispose(): void {
    for (const [, tensor] of this.namedParameters()) tensor.dispose();
    for (const [, tensor] of this.namedBuffers({ all: true })) tensor.dispose();
  }
}

/**
 * Runs `body` and tells of each module's output as it is computed, a child's before its parent's; what follows may
 * overwrite the tensor in place.
 */
export function watchOutputs<Result>(body: () => Result, onOutput: Watch): Result {
  const outer = watch;
  watch = onOutput;
  try {
    return body();
  } finally {
    watch = outer;
  }
}

/** Whether someone is told of outputs: then a module that another's computation could include must be called by itself. */
export function outputsAreWatched(): boolean {
  return watch !== null;
}

function join(prefix: string, name: string): string {
  return prefix === "" ? name : `${prefix}.${name}`;
}

/** @throws {UserError} naming the first few differences, when there are any. */
export function refuseDifference({ missing, unexpected, misshaped }: StateDifference, operation = "load state"): void {
  const few = (names: string[]) =>
    `${names
      .slice(0, 3)
      .map((name) => printable(name))
      .join(", ")}${names.length > 3 ? ` and ${names.length - 3} more` : ""}`;
  const parts = [
    missing.length > 0 ? `${missing.length} missing (${few(missing)})` : "",
    unexpected.length > 0 ? `${unexpected.length} unexpected (${few(unexpected)})` : "",
    misshaped.length > 0
      ? `${misshaped.length} of another shape (${few(misshaped.map(({ name, expected, received }) => `${name} [${received}] instead of [${expected}]`))})`
      : "",
  ].filter((part) => part !== "");
  if (parts.length === 0) return;
  throw new UserError({
    operation,
    argument: "the state",
    expected: "the network's own names and shapes",
    received: parts.join(", "),
    remedy: "build the network as it was when the state was saved",
  });
}
