import { UserError } from "@peekaboo/files/errors";
import { ByteCursor } from "./cursor.js";
import { Machine, type Surroundings } from "./machine.js";
import { opcodes, STOP } from "./opcodes.js";
import { ForeignFault, PickleFault, type PickleValue } from "./values.js";

/** How {@link unpickle} reads, and what its errors say. */
export interface UnpickleOptions extends Surroundings {
  /** What was being done, e.g. "read pickle". */
  readonly operation?: string;
  /** What the error messages call the pickle, e.g. a quoted path. */
  readonly source: string;
  /** What the user can do about a pickle that is damaged, and about one that holds more than data. */
  readonly remedies?: { readonly damaged: string; readonly foreign: string };
  /** The byte at which the pickle begins. */
  readonly start?: number;
}

/** A pickle's value, and the byte after its end. */
export interface Unpickled {
  readonly value: PickleValue;
  readonly end: number;
}

/**
 * Reads one pickle of protocol 0 to 5 and executes nothing: only the given globals can be called, and they are ours.
 *
 * bytes values are views of `bytes`. The numbers of operations and objects are limited, so that memory stays in
 * proportion to honest files; nothing recurses.
 *
 * @throws {UserError} naming the class, the opcode or the length that is refused.
 */
export function unpickle(bytes: Uint8Array, options: UnpickleOptions): Unpickled {
  const { operation = "read pickle", source: argument, remedies, start = 0 } = options;
  const cursor = new ByteCursor(bytes, start);
  try {
    return { value: run(new Machine(cursor, options)), end: cursor.position };
  } catch (cause) {
    if (!(cause instanceof PickleFault)) throw cause;
    const { expected, received } = cause;
    const remedy = remedies?.[cause instanceof ForeignFault ? "foreign" : "damaged"];
    throw new UserError({
      operation,
      argument,
      expected,
      received,
      cause,
      ...(remedy === undefined ? {} : { remedy }),
    });
  }
}

function run(machine: Machine): PickleValue {
  const { cursor } = machine;
  for (let byte = cursor.uint8(); byte !== STOP; byte = cursor.uint8()) {
    machine.countOperation();
    const opcode = opcodes.get(byte);
    if (opcode === undefined) {
      throw new PickleFault("a pickle's operation", `the byte 0x${byte.toString(16)} at ${cursor.position - 1}`);
    }
    opcode(machine);
  }
  return machine.result();
}
