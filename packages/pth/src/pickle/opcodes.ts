import { latin1Text } from "./cursor.js";
import type { Machine } from "./machine.js";
import { parseFloatText, parseInteger, parseQuoted, parseRawUnicode } from "./text.js";
import { ForeignFault, isList, kindOf, OrderedDict, PickleFault, PickleObject, type PickleValue } from "./values.js";

type Opcode = (machine: Machine) => void;

const HIGHEST_PROTOCOL = 5;
const MAX_KEY_BYTES = 1024;

function code(character: string): number {
  return character.charCodeAt(0);
}

/** Numbers, booleans, None and text. */
const literals: readonly [number, Opcode][] = [
  [code("N"), (m) => m.push(null)],
  [0x88, (m) => m.push(true)],
  [0x89, (m) => m.push(false)],
  [code("I"), (m) => m.push(decimal(m.cursor.line()))],
  [code("L"), (m) => m.push(parseInteger(m.cursor.line().replace(/L$/, "")))],
  [code("J"), (m) => m.push(m.cursor.int32())],
  [code("K"), (m) => m.push(m.cursor.uint8())],
  [code("M"), (m) => m.push(m.cursor.uint16())],
  [0x8a, (m) => m.push(m.cursor.integer(m.cursor.uint8()))],
  [0x8b, (m) => m.push(m.cursor.integer(m.cursor.uint32()))],
  [code("F"), (m) => m.push(parseFloatText(m.cursor.line()))],
  [code("G"), (m) => m.push(m.cursor.float64())],
  [code("V"), (m) => m.push(parseRawUnicode(m.cursor.line()))],
  [code("X"), (m) => m.push(m.cursor.utf8(m.cursor.uint32()))],
  [0x8c, (m) => m.push(m.cursor.utf8(m.cursor.uint8()))],
  [0x8d, (m) => m.push(m.cursor.utf8(m.cursor.length64()))],
  [code("S"), (m) => pushPython2(m, Buffer.from(parseQuoted(m.cursor.line().trim()), "latin1"))],
  [code("T"), (m) => pushPython2(m, m.cursor.bytes(m.cursor.uint32()))],
  [code("U"), (m) => pushPython2(m, m.cursor.bytes(m.cursor.uint8()))],
  [code("B"), (m) => m.pushObject(m.cursor.bytes(m.cursor.uint32()))],
  [code("C"), (m) => m.pushObject(m.cursor.bytes(m.cursor.uint8()))],
  [0x8e, (m) => m.pushObject(m.cursor.bytes(m.cursor.length64()))],
  [0x96, (m) => m.pushObject(m.cursor.bytes(m.cursor.length64()))],
];

function decimal(line: string): number | bigint | boolean {
  if (line === "00") return false;
  return line === "01" ? true : parseInteger(line);
}

function pushPython2(machine: Machine, bytes: Uint8Array): void {
  if (machine.surroundings.python2Strings === "bytes") machine.pushObject(bytes);
  else machine.push(latin1Text(bytes));
}

/** Tuples, lists, dictionaries and sets. */
const containers: readonly [number, Opcode][] = [
  [code("("), (m) => m.mark()],
  [code(")"), (m) => m.pushTuple([])],
  [code("t"), (m) => m.pushTuple(m.popMark())],
  [0x85, (m) => m.pushTuple([m.pop()])],
  [0x86, (m) => m.pushTuple([m.pop(), m.pop()].reverse())],
  [0x87, (m) => m.pushTuple([m.pop(), m.pop(), m.pop()].reverse())],
  [code("]"), (m) => m.pushObject([])],
  [code("l"), (m) => m.pushObject(m.popMark())],
  [code("a"), (m) => append(m, [m.pop()])],
  [code("e"), (m) => append(m, m.popMark())],
  [code("}"), (m) => m.pushObject(new Map())],
  [code("d"), (m) => pushDict(m, m.popMark())],
  [code("s"), (m) => setItems(m, [m.pop(), m.pop()].reverse())],
  [code("u"), (m) => setItems(m, m.popMark())],
  [0x8f, (m) => m.pushObject(new Set())],
  [0x90, (m) => addItems(m, m.popMark())],
  [0x91, (m) => m.pushObject(new Set(m.popMark()))],
];

function append(machine: Machine, items: readonly PickleValue[]): void {
  const list = machine.top();
  if (!isList(list)) throw new PickleFault("a list to append to", kindOf(list));
  for (const item of items) list.push(item);
}

function pushDict(machine: Machine, items: readonly PickleValue[]): void {
  machine.pushObject(new Map());
  setItems(machine, items);
}

function setItems(machine: Machine, items: readonly PickleValue[]): void {
  const dict = machine.top();
  if (!(dict instanceof Map)) throw new PickleFault("a dict to put items into", kindOf(dict));
  putPairs(dict, items);
}

function putPairs(dict: Map<PickleValue, PickleValue>, items: readonly PickleValue[]): void {
  for (let i = 0; i < items.length; i += 2) {
    const [key, value] = [items[i], items[i + 1]];
    if (key === undefined || value === undefined) throw new PickleFault("pairs of key and value", "half a pair");
    dict.set(key instanceof Uint8Array ? keyText(key) : key, value);
  }
}

/** A key can come again and again from the memo, and is decoded each time. */
function keyText(key: Uint8Array): string {
  if (key.byteLength > MAX_KEY_BYTES)
    throw new PickleFault(`a key of at most ${MAX_KEY_BYTES} bytes`, `${key.byteLength}`);
  return latin1Text(key);
}

function addItems(machine: Machine, items: readonly PickleValue[]): void {
  const set = machine.top();
  if (!(set instanceof Set)) throw new PickleFault("a set to add to", kindOf(set));
  for (const item of items) set.add(item);
}

/** Objects: all go through {@link Machine.pushGlobal} and {@link Machine.pushCall}. */
const objects: readonly [number, Opcode][] = [
  [code("c"), (m) => m.pushGlobal(m.cursor.line(), m.cursor.line())],
  [0x93, (m) => pushStackGlobal(m, m.pop(), m.pop())],
  [code("R"), (m) => callOnStack(m, m.pop())],
  [0x81, (m) => callOnStack(m, m.pop())],
  [0x92, (m) => callWithKeywords(m, m.pop(), m.pop())],
  [code("i"), (m) => instantiate(m, m.cursor.line(), m.cursor.line())],
  [code("o"), (m) => callFirst(m, m.popMark())],
  [code("b"), (m) => build(m, m.pop())],
  [code("P"), (m) => m.pushPersistent(m.cursor.line())],
  [code("Q"), (m) => m.pushPersistent(m.pop())],
];

function pushStackGlobal(machine: Machine, name: PickleValue, module: PickleValue): void {
  if (typeof name !== "string" || typeof module !== "string")
    throw new PickleFault("a module and a name", `${kindOf(module)} and ${kindOf(name)}`);
  machine.pushGlobal(module, name);
}

function callOnStack(machine: Machine, args: PickleValue): void {
  machine.pushCall(machine.pop(), args);
}

function callWithKeywords(machine: Machine, keywords: PickleValue, args: PickleValue): void {
  if (!(keywords instanceof Map) || keywords.size > 0) throw new PickleFault("no keyword arguments", kindOf(keywords));
  callOnStack(machine, args);
}

function instantiate(machine: Machine, module: string, name: string): void {
  const args = Object.freeze(machine.popMark());
  machine.pushGlobal(module, name);
  callOnStack(machine, args);
}

function callFirst(machine: Machine, [callee, ...args]: readonly PickleValue[]): void {
  machine.pushCall(callee ?? null, Object.freeze(args));
}

function build(machine: Machine, state: PickleValue): void {
  const target = machine.top();
  if (target instanceof PickleObject) target.setState(state);
  else if (!(target instanceof OrderedDict && state instanceof Map))
    throw new PickleFault("an object to give a state to", kindOf(target));
}

/** The stack, the memo and what frames a pickle. */
const bookkeeping: readonly [number, Opcode][] = [
  [0x80, (m) => checkProtocol(m.cursor.uint8())],
  [0x95, (m) => checkFrame(m.cursor.length64(), m.cursor.left)],
  [code("0"), (m) => m.drop()],
  [code("1"), (m) => void m.popMark()],
  [code("2"), (m) => m.push(m.top())],
  [code("p"), (m) => m.remember(memoIndex(m.cursor.line()))],
  [code("q"), (m) => m.remember(m.cursor.uint8())],
  [code("r"), (m) => m.remember(m.cursor.uint32())],
  [0x94, (m) => m.remember(m.memo.size)],
  [code("g"), (m) => m.recall(memoIndex(m.cursor.line()))],
  [code("h"), (m) => m.recall(m.cursor.uint8())],
  [code("j"), (m) => m.recall(m.cursor.uint32())],
];

function checkProtocol(version: number): void {
  if (version > HIGHEST_PROTOCOL) throw new PickleFault(`a protocol of at most ${HIGHEST_PROTOCOL}`, `${version}`);
}

function checkFrame(length: number, left: number): void {
  if (length > left) throw new PickleFault(`a frame within the ${left} bytes left`, `one of ${length}`);
}

function memoIndex(line: string): number {
  const index = parseInteger(line);
  if (typeof index === "bigint" || index < 0) throw new PickleFault("a memo number", `${index}`.slice(0, 24));
  return index;
}

/** What is part of the format and refused: it refers to things outside the file. */
const refused: readonly [number, Opcode][] = [
  ...[0x82, 0x83, 0x84].map((opcode) => [opcode, refuse("an extension code")] as [number, Opcode]),
  ...[0x97, 0x98].map((opcode) => [opcode, refuse("a buffer out of band")] as [number, Opcode]),
];

function refuse(what: string): Opcode {
  return () => {
    throw new ForeignFault(what);
  };
}

/** The opcode that ends a pickle. */
export const STOP = code(".");

/** Every other opcode of protocols 0 to 5, by its byte (source: the tables of Python's pickletools). */
export const opcodes: ReadonlyMap<number, Opcode> = new Map([
  ...literals,
  ...containers,
  ...objects,
  ...bookkeeping,
  ...refused,
]);
