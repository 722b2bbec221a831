// Reads files of events by their specification alone: TFRecords with checksums bit by bit, protobuf field by field.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** A field of a protobuf message: a number of 64 or 32 bits, little-endian, or a varint, or bytes. */
interface Field {
  number: number;
  varint: bigint;
  bytes: Buffer;
}

/** A figure, histogram (left, right, count of each bucket) or picture of an event. */
export interface ShownValue {
  tag: string;
  scalar?: number;
  histogram?: [number, number, number][];
  image?: { width: number; height: number; png: Buffer };
  /** What a plugin reads, by its name. */
  plugin?: { name: string; content: Buffer };
}

export interface ShownEvent {
  wallTime: number;
  step: number;
  fileVersion?: string;
  /** Whether it begins a session. */
  starts: boolean;
  values: ShownValue[];
}

/** A file's events. @throws for a checksum that is wrong and for a torn end. */
export function readEvents(path: string): ShownEvent[] {
  const file = readFileSync(path);
  const events: ShownEvent[] = [];
  for (let at = 0; at < file.length; ) {
    const length = Number(file.readBigUInt64LE(at));
    const data = file.subarray(at + 12, at + 12 + length);
    if (data.length !== length) throw new Error(`a record of ${length} bytes with ${data.length}`);
    const sums = [file.readUInt32LE(at + 8), file.readUInt32LE(at + 12 + length)];
    const own = [maskedChecksum(file.subarray(at, at + 8)), maskedChecksum(data)];
    if (sums.join() !== own.join()) throw new Error(`checksums ${sums} for ${own} at byte ${at}`);
    events.push(eventOf(data));
    at += length + 16;
  }
  return events;
}

/** What TensorBoard shows of a run: events by tag, without those that a later session takes back. */
export function readShownEvents(folder: string): Map<string, (ShownValue & { step: number })[]> {
  const files = readdirSync(folder).filter((name) => name.includes("tfevents"));
  let shown: (ShownValue & { step: number })[] = [];
  let sessions = 0;
  for (const { step, starts, values } of files.sort().flatMap((name) => readEvents(join(folder, name)))) {
    if (starts && sessions++ > 0) shown = shown.filter((before) => before.step < step);
    shown.push(...values.map((value) => ({ ...value, step })));
  }
  return new Map(shown.map(({ tag }) => [tag, shown.filter((value) => value.tag === tag)]));
}

/** CRC-32C: the remainder of a division by x^32 + x^28 + x^27 + … over GF(2); then rotated and shifted. */
function maskedChecksum(bytes: Uint8Array): number {
  let remainder = 0xffffffffn;
  for (const byte of bytes) {
    remainder ^= BigInt(byte);
    for (let bit = 0; bit < 8; bit++) remainder = (remainder >> 1n) ^ (remainder & 1n ? 0x82f63b78n : 0n);
  }
  const checksum = remainder ^ 0xffffffffn;
  return Number((((checksum >> 15n) | (checksum << 17n)) + 0xa282ead8n) & 0xffffffffn);
}

/** A message's fields in their order. */
function fieldsOf(message: Buffer): Field[] {
  const fields: Field[] = [];
  let at = 0;
  const varint = () => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = message.readUInt8(at++);
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < message.length) {
    const key = Number(varint());
    const wire = key & 7;
    const value = wire === 0 || wire === 2 ? varint() : 0n;
    const size = { 0: 0, 1: 8, 2: Number(value), 5: 4 }[wire];
    if (size === undefined) throw new Error(`wire type ${wire}`);
    fields.push({ number: key >> 3, varint: value, bytes: message.subarray(at, at + size) });
    at += size;
  }
  return fields;
}

const NONE: Field = { number: 0, varint: 0n, bytes: Buffer.alloc(0) };
const field = (message: Buffer, number: number) => fieldsOf(message).find((one) => one.number === number);
const bytesOf = (message: Buffer, number: number) => (field(message, number) ?? NONE).bytes;
const numberOf = (message: Buffer, number: number) => Number((field(message, number) ?? NONE).varint);
const doubles = (bytes: Buffer) => Array.from({ length: bytes.length / 8 }, (_, i) => bytes.readDoubleLE(8 * i));

function eventOf(event: Buffer): ShownEvent {
  const version = field(event, 3);
  return {
    wallTime: bytesOf(event, 1).readDoubleLE(),
    step: numberOf(event, 2),
    ...(version === undefined ? {} : { fileVersion: version.bytes.toString() }),
    starts: numberOf(bytesOf(event, 7), 1) === 1,
    values: fieldsOf(bytesOf(event, 5)).map(({ bytes }) => shownValueOf(bytes)),
  };
}

function shownValueOf(value: Buffer): ShownValue {
  const scalar = field(value, 2);
  const image = field(value, 4);
  const histogram = field(value, 5);
  const plugin = field(value, 9);
  return {
    tag: bytesOf(value, 1).toString(),
    ...(scalar === undefined ? {} : { scalar: scalar.bytes.readFloatLE() }),
    ...(histogram === undefined ? {} : { histogram: bucketsOf(histogram.bytes) }),
    ...(image === undefined
      ? {}
      : {
          image: {
            width: numberOf(image.bytes, 2),
            height: numberOf(image.bytes, 1),
            png: bytesOf(image.bytes, 4),
          },
        }),
    ...(plugin === undefined ? {} : { plugin: pluginOf(bytesOf(plugin.bytes, 1)) }),
  };
}

function bucketsOf(histogram: Buffer): [number, number, number][] {
  const limits = doubles(bytesOf(histogram, 6));
  const counts = doubles(bytesOf(histogram, 7));
  // What is 0 isn't written.
  const [least = 0] = doubles(bytesOf(histogram, 1));
  return limits.map((limit, i) => [limits[i - 1] ?? least, limit, counts[i] ?? Number.NaN]);
}

function pluginOf(data: Buffer): { name: string; content: Buffer } {
  return { name: bytesOf(data, 1).toString(), content: bytesOf(data, 2) };
}

/** The hyperparameters that the hparams plugin finds in its data: those of a session's start. */
export function hparamsIn(content: Buffer): Record<string, number | string | boolean> {
  const entries = fieldsOf(bytesOf(content, 3)).filter(({ number }) => number === 1);
  return Object.fromEntries(
    entries.map(({ bytes: entry }) => {
      const value = bytesOf(entry, 2);
      const [kind = NONE] = fieldsOf(value);
      const read = {
        2: () => kind.bytes.readDoubleLE(),
        3: () => kind.bytes.toString(),
        4: () => kind.varint === 1n,
      }[kind.number];
      if (read === undefined) throw new Error(`a value of kind ${kind.number}`);
      return [bytesOf(entry, 1).toString(), read()];
    }),
  );
}
