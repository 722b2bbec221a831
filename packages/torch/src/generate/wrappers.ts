import { parseSchema, type Schema, type SchemaArgument } from "./schema.js";

/** How a schema's type reads in TypeScript, and the expression that hands it to the addon. */
interface Mapping {
  type: string;
  pass(name: string): string;
}

const plain = (type: string): Mapping => ({ type, pass: (name) => name });

const MAPPINGS: Record<string, Mapping> = {
  int: plain("number"),
  float: plain("number"),
  bool: plain("boolean"),
  str: plain("string"),
  Scalar: plain("number | boolean"),
  Device: plain("string"),
  Layout: plain("number"),
  MemoryFormat: plain("MemoryFormat"),
  ScalarType: plain("Dtype"),
  "Tensor[]": { type: "readonly Tensor[]", pass: (name) => `${name}.map((tensor) => tensor.handle)` },
  "Tensor?[]": { type: "readonly (Tensor | null)[]", pass: (name) => `${name}.map(handleOf)` },
};

function mapping(argument: SchemaArgument): Mapping {
  const { type, optional } = argument;
  if (type === "Tensor") return { type, pass: (name) => (optional ? `handleOf(${name})` : `${name}.handle`) };
  const known = MAPPINGS[type];
  if (known !== undefined) return known;
  const list = /^(int|float|bool)\[(\d*)\]$/.exec(type);
  if (list === null) throw new TypeError(`generate: expected a known type, received ${type} ${argument.name}`);
  const item = list[1] === "bool" ? "boolean" : "number";
  // A list of fixed length takes a single integer for all its places.
  return plain(list[1] === "int" && list[2] !== "" ? `${item} | readonly ${item}[]` : `readonly ${item}[]`);
}

const RESERVED = new Set(["default", "in", "function", "with", "var", "new", "this"]);

function camelCase(name: string): string {
  const camel = name.replace(/(?<=[a-z0-9])_([a-z0-9])/gi, (_, letter: string) => letter.toUpperCase());
  return RESERVED.has(camel) ? `${camel}Value` : camel;
}

function signatureOf(schema: Schema): { positional: string[]; options: string[]; passed: string[] } {
  const positional: string[] = [];
  const options: string[] = [];
  const passed: string[] = [];
  for (const argument of schema.arguments) {
    // Generators and pinned memory are not for TypeScript: the schema's default.
    if (argument.type === "Generator" || ["layout", "pin_memory"].includes(argument.name)) {
      passed.push(argument.hasDefault ? "undefined" : "null");
      continue;
    }
    const name = camelCase(argument.name);
    const { type, pass } = mapping(argument);
    const full = argument.optional ? `${type} | null` : type;
    if (argument.keywordOnly) {
      options.push(`${name}${argument.hasDefault ? "?" : ""}: ${full}${argument.hasDefault ? " | undefined" : ""}`);
      passed.push(pass(`options.${name}`));
    } else {
      positional.push(`${name}${argument.hasDefault ? "?" : ""}: ${full}`);
      passed.push(pass(name));
    }
  }
  while (passed.at(-1) === "undefined") passed.pop();
  return { positional, options, passed };
}

function returnType(schema: Schema, one: SchemaArgument): string {
  // Gradients that an output mask leaves out come back as null.
  const masked = schema.arguments.some((argument) => argument.name === "output_mask");
  if (one.type === "Tensor") return masked || one.optional ? "Tensor | null" : "Tensor";
  return one.type === "Tensor[]" ? "Tensor[]" : (MAPPINGS[one.type]?.type ?? "unknown");
}

function wrapReturn(schema: Schema, one: SchemaArgument, value: string): string {
  const type = returnType(schema, one);
  if (type === "Tensor") return `new Tensor(${value} as Handle)`;
  if (type === "Tensor | null") return `tensorOrNull(${value} as Handle | null)`;
  if (type === "Tensor[]") return `(${value} as Handle[]).map((handle) => new Tensor(handle))`;
  return `${value} as ${type}`;
}

/** The TypeScript function of one operator. */
function wrapper(functionName: string, text: string): string {
  const schema = parseSchema(text);
  const { positional, options, passed } = signatureOf(schema);
  const required = options.some((option) => !option.includes("?:"));
  const parameters =
    options.length === 0 ? positional : [...positional, `options: { ${options.join("; ")} }${required ? "" : " = {}"}`];
  const call = `${functionName}Op.call(${passed.join(", ")})`;
  const [first, ...others] = schema.returns;
  const written = schema.arguments.find(
    (argument) => argument.writes !== undefined && argument.writes === first?.writes,
  );
  let result: string;
  let body: string[];
  if (first === undefined) {
    result = "void";
    body = [`${call};`];
  } else if (others.length > 0) {
    result = `[${schema.returns.map((one) => returnType(schema, one)).join(", ")}]`;
    const items = schema.returns.map((one, i) => wrapReturn(schema, one, `results[${i}]`));
    body = [`const results = ${call} as unknown[];`, `return [${items.join(", ")}];`];
  } else if (written !== undefined) {
    result = "Tensor";
    body = [`${call};`, `return ${camelCase(written.name)};`];
  } else {
    result = returnType(schema, first);
    body = [`return ${wrapReturn(schema, first, call)};`];
  }
  return [
    `const ${functionName}Op = new Operator("${schema.name}");`,
    "",
    `/** ${text.replaceAll("SymInt", "int")} */`,
    `export function ${functionName}(${parameters.join(", ")}): ${result} {`,
    ...body.map((line) => `  ${line}`),
    "}",
    "",
  ].join("\n");
}

/** Where the generated file finds what it uses. */
export interface WrapperImports {
  /** Import lines, in the generated file's own folder. */
  header: string;
}

/**
 * The text of a TypeScript module with one typed function an operator.
 *
 * @param operators function name → schema text, as the live libtorch prints it
 */
export function generateWrappers(operators: ReadonlyMap<string, string>, { header }: WrapperImports): string {
  const functions = [...operators].map(([name, schema]) => wrapper(name, schema));
  return `// Generated by \`npm run generate\` from the live schemas. Do not edit.\n${header}\n${functions.join("\n")}`;
}
