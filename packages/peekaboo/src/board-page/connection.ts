import type { RunsEvent } from "../board/protocol.js";

/** After how long a page asks again where the browser has given up. */
const RETRY_MS = 1500;

/** What a page is told. */
export interface Listener {
  onRuns(event: RunsEvent): void;
  onConnection(connected: boolean): void;
}

/** Listens to the server for as long as the page is open, also after the server or the connection was gone. */
export function connect(listener: Listener): void {
  const source = new EventSource("events");
  source.addEventListener("open", () => listener.onConnection(true));
  source.addEventListener("runs", ({ data }) => listener.onRuns(JSON.parse(String(data)) as RunsEvent));
  source.addEventListener("error", () => {
    listener.onConnection(false);
    if (source.readyState === EventSource.CLOSED) setTimeout(() => connect(listener), RETRY_MS);
  });
}
