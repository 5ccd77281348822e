/** A line of a panel. */
export interface Query {
  /** PromQL. */
  readonly expr: string;
  /** What the line is called; may use `{{label}}`. */
  readonly legend: string;
}

/** Grafana's names of units. */
export type Unit = 'reqps' | 'percentunit' | 's' | 'short' | 'bytes' | 'ops';

/** One panel of a dashboard. */
export interface Panel {
  readonly title: string;
  readonly unit: Unit;
  readonly queries: readonly Query[];
  /** Shown at the panel's corner: what is good and what is not. */
  readonly description?: string;
  /** A number instead of lines. @default 'timeseries' */
  readonly type?: 'timeseries' | 'stat';
  /** A line, or for a number its colour: above it is bad (below it, for `below`). */
  readonly limit?: { readonly value: number; readonly below?: boolean };
}

/** A dashboard before Grafana's words for it. */
export interface Board {
  /** Unique in Grafana, at most 40 characters. */
  readonly uid: string;
  readonly title: string;
  readonly description: string;
  /** Rows of panels, as wide as the page together. */
  readonly rows: readonly (readonly Panel[])[];
}

const WIDTH = 24;
/** Grafana's variable, not ours: a dashboard is looked at with the Prometheus that is chosen in it. */
const DATASOURCE = { type: 'prometheus', uid: '$datasource' };

/** A dashboard as Grafana's JSON (schema 39, Grafana 10 and later). Same input, same text. */
export function grafana({ uid, title, description, rows }: Board): object {
  let y = 0;
  const panels = rows.flatMap((row) => {
    const height = row.every(({ type }) => type === 'stat') ? 4 : 8;
    const width = Math.floor(WIDTH / row.length);
    const placed = row.map((panel, i) => ({ ...panelJson(panel), gridPos: { x: i * width, y, w: width, h: height } }));
    y += height;
    return placed;
  });
  return {
    uid,
    title,
    description,
    tags: ['mercato'],
    schemaVersion: 39,
    editable: false,
    graphTooltip: 1,
    refresh: '1m',
    time: { from: 'now-6h', to: 'now' },
    templating: { list: [{ name: 'datasource', label: 'Prometheus', type: 'datasource', query: 'prometheus' }] },
    panels: panels.map((panel, i) => ({ id: i + 1, ...panel })),
  };
}

function panelJson({ title, unit, queries, description, type = 'timeseries', limit }: Panel): object {
  return {
    type,
    title,
    ...(description === undefined ? {} : { description }),
    datasource: DATASOURCE,
    targets: queries.map(({ expr, legend }, i) => ({
      refId: String.fromCharCode(65 + i),
      expr,
      legendFormat: legend,
      datasource: DATASOURCE,
    })),
    fieldConfig: {
      defaults: {
        unit,
        ...(limit === undefined ? {} : { thresholds: { mode: 'absolute', steps: steps(limit) } }),
        ...(limit === undefined || type === 'stat' ? {} : { custom: { thresholdsStyle: { mode: 'line' } } }),
      },
      overrides: [],
    },
    ...(type === 'stat' ? { options: { reduceOptions: { calcs: ['lastNotNull'] }, graphMode: 'none' } } : {}),
  };
}

const steps = ({ value, below = false }: { readonly value: number; readonly below?: boolean }) => [
  { color: below ? 'red' : 'green', value: null },
  { color: below ? 'green' : 'red', value },
];
