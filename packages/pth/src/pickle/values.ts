/**
 * What a pickle can hold here. A tuple is a frozen array and a list any other; integers beyond ±2^53 are bigints; a
 * dictionary's bytes keys stand as the latin-1 text of the same bytes, so that Python 2's and Python 3's are found alike.
 * A hostile pickle can make values that contain themselves: walk them to a fixed depth.
 */
export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | readonly PickleValue[]
  | PickleDict
  | Set<PickleValue>
  | PickleGlobal
  | PickleObject;

/** A Python dictionary, in its order. */
export type PickleDict = Map<PickleValue, PickleValue>;

/** A collections.OrderedDict; attributes set on it are dropped. */
export class OrderedDict extends Map<PickleValue, PickleValue> {}

/** A class or function that a pickle may name. Nothing of Python's stands behind it: `call` is ours. */
export class PickleGlobal {
  readonly name: string;
  /** What calling it gives; null where a pickle may only mention it. @throws {PickleFault} for wrong arguments. */
  readonly call: ((args: readonly PickleValue[]) => PickleValue) | null;

  constructor(name: string, call: PickleGlobal["call"] = null) {
    this.name = name;
    this.call = call;
  }
}

/** An object that a {@link PickleGlobal} or a persistent id made. */
export abstract class PickleObject {
  /** Takes the state that follows the object in the pickle. @throws {PickleFault}, unless overridden. */
  setState(_state: PickleValue): void {
    throw new PickleFault("no state for this object", `one for ${this.constructor.name}`);
  }
}

/** Why a pickle is refused; whoever reads the file turns it into a UserError that names the file. */
export class PickleFault extends Error {
  readonly expected: string;
  readonly received: string;

  constructor(expected: string, received: string) {
    super(`expected ${expected}, received ${received}`);
    this.expected = expected;
    this.received = received;
  }
}

/** Refuses what isn't data: the file may be whole, and hold a class, a function or a reference to something outside. */
export class ForeignFault extends PickleFault {
  constructor(received: string) {
    super("plain data alone", received);
  }
}

/** Whether the value is a list or a tuple. */
export function isSequence(value: PickleValue | undefined): value is readonly PickleValue[] {
  return Array.isArray(value);
}

/** Whether the value is a tuple. */
export function isTuple(value: PickleValue | undefined): value is readonly PickleValue[] {
  return Array.isArray(value) && Object.isFrozen(value);
}

/** Whether the value is a list, which still takes items. */
export function isList(value: PickleValue | undefined): value is PickleValue[] {
  return Array.isArray(value) && !Object.isFrozen(value);
}

/** The value's kind in Python's words, for messages; never its contents. */
export function kindOf(value: PickleValue | undefined): string {
  if (value === undefined) return "nothing";
  if (value === null) return "None";
  if (typeof value === "boolean") return "a bool";
  if (typeof value === "number" || typeof value === "bigint") return `the number ${String(value).slice(0, 24)}`;
  if (typeof value === "string") return "a str";
  if (value instanceof Uint8Array) return "bytes";
  if (isSequence(value)) return `a ${isTuple(value) ? "tuple" : "list"} of ${value.length}`;
  if (value instanceof Map) return `a dict of ${value.size}`;
  if (value instanceof Set) return `a set of ${value.size}`;
  return value instanceof PickleGlobal ? value.name : `a ${value.constructor.name}`;
}
