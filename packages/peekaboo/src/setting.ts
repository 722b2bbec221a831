/**
 * How a sentence names a setting: by its path in the configuration, in backticks. The command line puts its flag there.
 */
export function setting(path: string): string {
  return `\`${path}\``;
}
