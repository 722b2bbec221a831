/** One argument or return of an operator schema. */
export interface SchemaArgument {
  /** E.g. "Tensor", "int[2]", "Tensor?[]"; without the last question mark and the alias annotation. */
  type: string;
  optional: boolean;
  name: string;
  hasDefault: boolean;
  keywordOnly: boolean;
  /** The alias set when the operator writes to it ("a" of "Tensor(a!)"), else undefined. */
  writes: string | undefined;
}

export interface Schema {
  /** E.g. "aten::add.Tensor". */
  name: string;
  arguments: SchemaArgument[];
  returns: SchemaArgument[];
}

const PART =
  /^(?<type>[A-Za-z_]+)(?:\((?<alias>[^)]*)\))?(?<list>\??\[\d*\])?(?<optional>\?)?(?: (?<name>\w+))?(?<default>=.*)?$/;

function parsePart(text: string, keywordOnly: boolean): SchemaArgument {
  const groups = PART.exec(text)?.groups;
  if (groups === undefined) throw new SyntaxError(`schema: expected "type name=default", received "${text}"`);
  const alias = groups.alias ?? "";
  return {
    // libtorch 1.13 says SymInt only in places; to JavaScript both are integers.
    type: (groups.type ?? "").replace("SymInt", "int") + (groups.list ?? ""),
    optional: groups.optional !== undefined,
    name: groups.name ?? "",
    hasDefault: groups.default !== undefined,
    keywordOnly,
    writes: alias.includes("!") ? alias.replace(/!.*/, "") : undefined,
  };
}

/** Splits at the commas outside brackets and quotes. */
function splitList(text: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let quote = "";
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    const char = text.charAt(i);
    if (quote !== "") quote = char === quote ? "" : quote;
    else if (`"'`.includes(char)) quote = char;
    else if ("([".includes(char)) depth++;
    else if (")]".includes(char)) depth--;
    else if (char === "," && depth === 0) {
      parts.push(text.slice(start, i).trim());
      start = i + 1;
    }
  }
  const last = text.slice(start).trim();
  return last === "" ? parts : [...parts, last];
}

/** Reads a schema as libtorch prints it: `aten::add.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor`. */
export function parseSchema(text: string): Schema {
  const arrow = text.lastIndexOf(") -> ");
  const open = text.indexOf("(");
  if (arrow < 0 || open < 0) throw new SyntaxError(`schema: expected "name(arguments) -> returns", received "${text}"`);
  const returned = text.slice(arrow + 5);
  let keywordOnly = false;
  const parsed: SchemaArgument[] = [];
  for (const part of splitList(text.slice(open + 1, arrow))) {
    if (part === "*") keywordOnly = true;
    else parsed.push(parsePart(part, keywordOnly));
  }
  const returns = returned.startsWith("(") ? splitList(returned.slice(1, -1)) : [returned];
  return { name: text.slice(0, open), arguments: parsed, returns: returns.map((part) => parsePart(part, false)) };
}
