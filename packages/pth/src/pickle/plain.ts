import {
  isSequence,
  kindOf,
  OrderedDict,
  PickleFault,
  PickleGlobal,
  PickleObject,
  type PickleValue,
} from "./values.js";

/** A Python complex number. */
export class Complex extends PickleObject {
  readonly re: number;
  readonly im: number;

  constructor(re: number, im: number) {
    super();
    this.re = re;
    this.im = im;
  }
}

/** An object of a class that is only data: what it was made from, and the attributes set on it. */
export class Inert extends PickleObject {
  readonly name: string;
  readonly args: readonly PickleValue[];
  state: PickleValue = null;

  constructor(name: string, args: readonly PickleValue[]) {
    super();
    this.name = name;
    this.args = args;
  }

  override setState(state: PickleValue): void {
    this.state = state;
  }
}

const BUILTINS = ["builtins", "__builtin__"] as const;
/** Types that a defaultdict may name for its missing values. */
const FACTORIES = ["list", "dict", "int", "float", "str", "bool", "tuple", "object"] as const;
/** Classes whose objects are kept as they are described. */
const INERT = [
  "argparse.Namespace",
  "types.SimpleNamespace",
  "datetime.datetime",
  "datetime.date",
  "datetime.time",
  "datetime.timedelta",
  "datetime.timezone",
  "decimal.Decimal",
  "fractions.Fraction",
  "uuid.UUID",
] as const;
const PATHS = ["PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath"] as const;

/**
 * Classes of Python's standard library that are plain data, as training scripts put them beside the weights: containers,
 * times, paths, numbers and namespaces. Making one runs nothing of Python's.
 */
export const plainGlobals: ReadonlyMap<string, PickleGlobal> = new Map(
  [
    new PickleGlobal("collections.OrderedDict", orderedDict),
    new PickleGlobal("collections.defaultdict", () => new Map()),
    new PickleGlobal("collections.Counter", ([counts = new Map()]) => new Map(counts instanceof Map ? counts : [])),
    new PickleGlobal("collections.deque", ([items = []]) => [...sequence(items, "a deque's items")]),
    ...BUILTINS.flatMap((module) => [
      new PickleGlobal(`${module}.set`, ([items = []]) => new Set(sequence(items, "a set's items"))),
      new PickleGlobal(`${module}.frozenset`, ([items = []]) => new Set(sequence(items, "a set's items"))),
      new PickleGlobal(`${module}.complex`, complex),
      new PickleGlobal(`${module}.bytearray`, bytes),
      new PickleGlobal(`${module}.bytes`, bytes),
      ...["slice", "range"].map((name) => inert(`${module}.${name}`)),
      ...FACTORIES.map((name) => new PickleGlobal(`${module}.${name}`)),
    ]),
    ...INERT.map(inert),
    new PickleGlobal("copyreg._reconstructor", reconstructed),
    new PickleGlobal("copy_reg._reconstructor", reconstructed),
    ...["pathlib", "pathlib._local"].flatMap((module) =>
      PATHS.map((name) => new PickleGlobal(`${module}.${name}`, (parts) => path(parts, name))),
    ),
  ].map((known) => [known.name, known]),
);

function inert(name: string): PickleGlobal {
  return new PickleGlobal(name, (args) => new Inert(name, args));
}

/** (class, object, None): how protocols 0 and 1 make an object without arguments. */
function reconstructed([type]: readonly PickleValue[]): PickleValue {
  const known = INERT.find((name) => type instanceof PickleGlobal && type.name === name);
  if (known === undefined) throw new PickleFault("a class of plain data", kindOf(type));
  return new Inert(known, []);
}

/** OrderedDict() or OrderedDict([[key, value], …]). */
function orderedDict(args: readonly PickleValue[]): PickleValue {
  const [pairs = [], ...rest] = args;
  if (!isSequence(pairs) || rest.length > 0) throw new PickleFault("OrderedDict of a list of pairs", kindOf(args));
  const dict = new OrderedDict();
  for (const pair of pairs) {
    if (!isSequence(pair)) throw new PickleFault("a pair of key and value", kindOf(pair));
    const [key, value] = pair;
    if (key === undefined || value === undefined) throw new PickleFault("a pair of key and value", kindOf(pair));
    dict.set(key, value);
  }
  return dict;
}

function complex([re = 0, im = 0]: readonly PickleValue[]): Complex {
  if (typeof re !== "number" || typeof im !== "number")
    throw new PickleFault("two numbers of a complex one", `${kindOf(re)} and ${kindOf(im)}`);
  return new Complex(re, im);
}

/** bytes(), bytearray(b"…") or bytearray("…", "latin-1"). */
function bytes([content = new Uint8Array(0)]: readonly PickleValue[]): Uint8Array {
  if (content instanceof Uint8Array) return content;
  if (typeof content === "string") return Buffer.from(content, "latin1");
  throw new PickleFault("bytes, or their latin-1 text", kindOf(content));
}

/** The path as text. */
function path(parts: readonly PickleValue[], name: string): string {
  const texts = parts.map((part) => {
    if (typeof part !== "string") throw new PickleFault("a path's parts", kindOf(part));
    return part;
  });
  const separator = name.includes("Windows") ? "\\" : "/";
  const [root = ".", ...rest] = texts;
  return root.endsWith(separator) ? root + rest.join(separator) : [root, ...rest].join(separator);
}

function sequence(value: PickleValue, what: string): readonly PickleValue[] {
  if (!isSequence(value)) throw new PickleFault(what, kindOf(value));
  return value;
}
