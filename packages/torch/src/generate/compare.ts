import { parseSchema, type SchemaArgument } from "./schema.js";

/** The schema texts that the doc comments of a generated module hold, by operator name. */
export function schemasIn(module: string): Map<string, string> {
  const texts = [...module.matchAll(/^\/\*\* (?<schema>(?<name>\w+::[\w.]+)\(.*) \*\/$/gm)];
  return new Map(texts.map(({ groups }) => [groups?.name ?? "", groups?.schema ?? ""]));
}

/**
 * What differs between the schema that a wrapper was generated from and the live one, in a way that matters to a
 * caller: undefined when nothing does. SymInt equals int, defaults may differ, and an argument with a default may have
 * been added at the end.
 */
export function schemaDifference(generated: string, live: string): string | undefined {
  const [before, now] = [parseSchema(generated), parseSchema(live)];
  for (const [i, argument] of before.arguments.entries()) {
    const other = now.arguments[i];
    if (other === undefined || describe(argument) !== describe(other)) {
      return `argument ${i + 1} was "${describe(argument)}", is ${other === undefined ? "none" : `"${describe(other)}"`}`;
    }
  }
  const added = now.arguments.slice(before.arguments.length).find(({ hasDefault }) => !hasDefault);
  if (added !== undefined) return `a new argument "${describe(added)}" has no default`;
  const returns = (list: readonly SchemaArgument[]) => list.map(({ type }) => type).join(", ");
  if (returns(before.returns) === returns(now.returns)) return undefined;
  return `it returned (${returns(before.returns)}), returns (${returns(now.returns)})`;
}

function describe({ type, optional, name, writes }: SchemaArgument): string {
  return `${type}${optional ? "?" : ""}${writes === undefined ? "" : " (written)"} ${name}`;
}
