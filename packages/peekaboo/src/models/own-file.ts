import { existsSync } from "node:fs";
import { register } from "node:module";
import { basename, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { printable, quoted, UserError } from "@peekaboo/files/errors";
import { nn, ops } from "@peekaboo/torch";
import { type Architecture, type BuildContext, forCifar } from "./architecture.js";
import { architectureOf, architectureOfModule, checkedTrace, type DisguiseRules } from "./disguise.js";
import { type OwnReference, ownReference } from "./own-reference.js";
import { registerOwn } from "./registry.js";
import { isTold, messageOf } from "./users-code.js";

/** What a user's function gets beside what any description does: the layers and operators, without an import. */
export interface OwnContext extends BuildContext {
  nn: typeof nn;
  ops: typeof ops;
}

/**
 * Runs a JavaScript file of the user's and makes the network that it exports known by the reference: a function or class that makes
 * an `nn.Module`, what `defineArchitecture` gives, or a module. Exports named `prunable`, `inputSigned` and `biases` are its rules.
 *
 * @throws {UserError} when there is no such file, it fails, or exports none of these.
 */
export async function loadOwnNetwork(name: string): Promise<void> {
  const reference = ownReference(name);
  if (reference === null) throw new TypeError(`loadOwnNetwork: expected a file's name, received ${name}`);
  const exported = await importOwn(reference.path);
  const found = reference.exported ?? (exported.default === undefined ? onlyNetwork(exported) : "default");
  const value = found === undefined ? undefined : exported[found];
  const architecture = architectureFrom(value, exported as DisguiseRules, reference.name);
  if (architecture === null) {
    const names = Object.keys(exported).map((own) => printable(own));
    const there = names.length === 0 ? "no export" : `exports ${names.join(", ")}`;
    throw noNetwork(reference, value === undefined ? there : `a ${found} that is a ${typeof value}`);
  }
  registerOwn(reference.name, architecture);
}

const RULES = ["prunable", "inputSigned", "biases"];

/** The name of the one export that is no rule. */
function onlyNetwork(exported: Readonly<Record<string, unknown>>): string | undefined {
  const names = Object.keys(exported).filter((name) => !RULES.includes(name));
  return names.length === 1 ? names[0] : undefined;
}

function architectureFrom(value: unknown, rules: DisguiseRules, name: string): Architecture | null {
  const { prunable, inputSigned, biases } = rules;
  if (typeof value === "function") {
    const make = isClass(value)
      ? (context: OwnContext) => new (value as new (context: OwnContext) => nn.Module)(context)
      : (value as (context: OwnContext) => nn.Module);
    const guarded = (context: BuildContext) => inUsersCode(name, () => make({ ...context, nn, ops }));
    return architectureOf(guarded, { prunable, inputSigned, biases }, { name });
  }
  if (value instanceof nn.Module)
    return architectureOfModule(value, { ...forCifar, name, prunable, inputSigned, biases });
  if (typeof value !== "object" || value === null || !("build" in value)) return null;
  const described = value as Architecture;
  return {
    ...described,
    build: (context) => {
      const module = inUsersCode(name, () => described.build(context));
      checkedTrace(module, context, name);
      return module;
    },
  };
}

function isClass(value: object): boolean {
  return (value as { prototype?: unknown }).prototype instanceof nn.Module;
}

/** Runs code of the user's. @throws {UserError} with what it throws. */
function inUsersCode(name: string, run: () => nn.Module): nn.Module {
  let made: unknown;
  try {
    made = run();
  } catch (error) {
    if (isTold(error)) throw error;
    throw failed(name, error);
  }
  if (made instanceof nn.Module) return made;
  throw failed(name, new Error(`it gave ${made === null || made === undefined ? String(made) : typeof made}`));
}

function failed(name: string, error: unknown): UserError {
  return new UserError({
    operation: `build ${name}`,
    argument: "its code",
    expected: "an nn.Module of @peekaboo/torch",
    received: messageOf(error),
    cause: error,
  });
}

async function importOwn(path: string): Promise<Record<string, unknown>> {
  const whole = resolve(path);
  const refuse = (received: string, remedy: string, cause?: unknown) =>
    new UserError({
      operation: "load a network's description",
      argument: quoted(path),
      expected: "a JavaScript module that builds a network",
      received,
      remedy,
      cause,
    });
  if (!existsSync(whole)) throw refuse("no such file", "give the path of one, e.g. ./my-network.mjs");
  resolveOurs();
  try {
    return (await import(pathToFileURL(whole).href)) as Record<string, unknown>;
  } catch (error) {
    if ((error as { code?: string }).code === "ERR_UNKNOWN_FILE_EXTENSION")
      throw refuse("a kind of file that this Node can't run", "compile it to .mjs, or use Node 22.18 or later", error);
    throw refuse(messageOf(error), `\`node ${printable(basename(path))}\` shows where`, error);
  }
}

let resolving = false;

/** Has the user's file find this very copy of our packages, wherever it lies. */
function resolveOurs(): void {
  if (resolving) return;
  resolving = true;
  const url = new URL("./own-packages.js", import.meta.url);
  register(url);
}

function noNetwork({ path, exported }: OwnReference, received: string): UserError {
  return new UserError({
    operation: "load a network's description",
    argument: quoted(path),
    expected:
      exported === null
        ? "a default export, or a single one, that builds a network"
        : `an export ${quoted(exported)} that builds a network`,
    received,
    remedy: "export default ({ nn, numClasses }) => new nn.Sequential(…), or name one as FILE#EXPORT",
  });
}
