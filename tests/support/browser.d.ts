import { type Browser } from "playwright-core";
/** Chromium's program: `CHROMIUM`, or the first of its names that is in PATH. */
export declare function chromiumPath({ CHROMIUM, PATH }?: NodeJS.ProcessEnv): string | undefined;
export declare function launchChromium(executablePath: string): Promise<Browser>;
/** Serves a folder's files below /a/folder/, as any static host does. Gives the address, and what ends it. */
export declare function serveFolder(folder: string): Promise<{
    address: string;
    close(): void;
}>;
