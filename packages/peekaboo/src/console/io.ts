/** Where a command writes; `process` is one, whose failures would end the command. */
export interface Io {
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: NodeJS.WritableStream;
}
