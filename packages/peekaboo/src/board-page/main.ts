import type { RunsEvent } from "../board/protocol.js";
import { connect } from "./connection.js";
import { CurvesPanel } from "./curves-panel.js";
import { byId, setText } from "./dom.js";
import { LayersPanel } from "./layers-panel.js";
import { Runs } from "./runs.js";
import { RunsTable } from "./runs-table.js";
import { compareSettings, listShown } from "./shown-runs.js";

const runs = new Runs();
const table = new RunsTable(runs, () => showAnew());
const curves = new CurvesPanel(runs);
const layers = new LayersPanel(runs);

/** Shows the runs that are chosen now. */
function showAnew(): void {
  for (const id of ["compare", "layers-box"]) byId(id, HTMLElement).hidden = runs.shown.length === 0;
  listShown(runs.shown);
  compareSettings(runs.shown);
  void curves.show();
  void layers.show();
}

function take(event: RunsEvent): void {
  const before = runs.shown.map(({ id }) => id).join();
  runs.take(event);
  setText(byId("folder", HTMLElement), event.folder);
  table.update();
  if (event.all || runs.shown.map(({ id }) => id).join() !== before) showAnew();
  else if (event.runs.some(({ name }) => runs.isShown(name))) {
    listShown(runs.shown);
    compareSettings(runs.shown);
    curves.refresh();
    layers.refresh();
  }
}

connect({
  onRuns: take,
  onConnection: (connected) => {
    const told = byId("connection", HTMLElement);
    told.dataset.lost = String(!connected);
    setText(
      told,
      connected
        ? "Connected: what is new appears by itself."
        : "Connection lost: what you see may be old. Trying again…",
    );
  },
});
