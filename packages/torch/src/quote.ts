/**
 * The text in double quotes, safe to print whatever it holds: control and formatting characters escaped, cut after `limit` UTF-16 units.
 */
export function quoted(text: string, limit = 80): string {
  const start = text.length > limit ? `${text.slice(0, limit)}…` : text;
  return JSON.stringify(start).replace(/\p{C}/gu, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`);
}
