/** Far above what any file of ours nests; what reads a value goes down into it by calling itself. */
const MAX_DEPTH = 64;
/** Far above what any of our texts takes. */
const MAX_LENGTH = 2 ** 26;

/**
 * Reads JSON that may be hostile: text too long or nested too deep for what reads the value is an error as other text is.
 *
 * @param fault makes the error to throw from what came instead of JSON, in words.
 */
export function parseJson(text: string, fault: (received: string) => Error): unknown {
  if (text.length > MAX_LENGTH) throw fault(`${text.length} characters`);
  if (depthOf(text) > MAX_DEPTH) throw fault(`JSON nested more than ${MAX_DEPTH} deep`);
  try {
    return JSON.parse(text);
  } catch {
    throw fault("text that is not JSON");
  }
}

/** How many brackets are open at the deepest place, those in strings not counted. */
function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  for (let at = 0; at < text.length; at++) {
    const { [at]: character } = text;
    if (character === '"') at = endOfString(text, at);
    else if (character === "[" || character === "{") deepest = Math.max(deepest, ++depth);
    else if (character === "]" || character === "}") depth--;
  }
  return deepest;
}

/** Where the string that begins at `start` has its closing quote; the text's end when it has none. */
export function endOfString(text: string, start: number): number {
  let end = start + 1;
  while (end < text.length && text[end] !== '"') end += text[end] === "\\" ? 2 : 1;
  return end;
}
