import { readFileSync } from 'node:fs';
import { basename } from 'node:path';

/**
 * `node bench/flamegraph.ts FILE.cpuprofile... > graph.svg`: flame graphs of profiles that `PROFILE=operator,order node bench/run.ts orders` wrote, one
 * above the other. A frame is as wide as the time in which it was on the stack; what took less than half a percent is left out, and so is idle time.
 */
const WIDTH = 1200;
const ROW = 15;
const LEAST = 0.005;
/** Start-up, which is not what is asked about. Microseconds. */
const SKIP = 5e6;

interface Profile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
    readonly children?: readonly number[];
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

/** A function on a stack, and those that it called. */
interface Frame {
  readonly name: string;
  time: number;
  readonly children: Map<string, Frame>;
}

function treeOf({ nodes, samples, timeDeltas }: Profile): Frame {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const parents = new Map(nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id] as const)));
  const root: Frame = { name: 'all', time: 0, children: new Map() };
  let passed = 0;
  for (const [index, sample] of samples.entries()) {
    const delta = timeDeltas[index] ?? 0;
    passed += delta;
    if (passed < SKIP || byId.get(sample)?.callFrame.functionName === '(idle)') continue;
    const stack: string[] = [];
    for (let id: number | undefined = sample; id !== undefined; id = parents.get(id)) {
      const node = byId.get(id);
      if (node !== undefined && node.callFrame.functionName !== '(root)') stack.push(nameOf(node.callFrame));
    }
    root.time += delta;
    let at = root;
    for (const name of stack.toReversed()) {
      let child = at.children.get(name);
      if (child === undefined) {
        child = { name, time: 0, children: new Map() };
        at.children.set(name, child);
      }
      child.time += delta;
      at = child;
    }
  }
  return root;
}

/** `flush store/sqlite.ts:125`: no more of the path than tells files apart. */
function nameOf({ functionName, url, lineNumber }: Profile['nodes'][number]['callFrame']): string {
  const file = url.split('/').slice(-2).join('/');
  return `${functionName || '(anonymous)'}${file === '' ? '' : ` ${file}:${lineNumber + 1}`}`;
}

function graph(title: string, root: Frame, top: number): { readonly svg: string; readonly height: number } {
  const boxes: string[] = [];
  let deepest = 0;
  const draw = (frame: Frame, left: number, depth: number): void => {
    const width = (frame.time / root.time) * WIDTH;
    if (width < LEAST * WIDTH) return;
    deepest = Math.max(deepest, depth);
    const y = top + ROW * (depth + 1);
    const text = escaped(frame.name.slice(0, Math.floor(width / 6.2)));
    const percent = ((frame.time / root.time) * 100).toFixed(1);
    boxes.push(
      `<g><title>${escaped(frame.name)}: ${percent} %</title><rect x="${left.toFixed(1)}" y="${y}" width="${(width - 0.5).toFixed(1)}" height="${ROW - 1}" fill="${colourOf(frame.name)}"/><text x="${(left + 2).toFixed(1)}" y="${y + 11}">${width < 20 ? '' : text}</text></g>`,
    );
    let at = left;
    for (const child of [...frame.children.values()].sort((a, b) => b.time - a.time)) {
      draw(child, at, depth + 1);
      at += (child.time / root.time) * WIDTH;
    }
  };
  draw(root, 0, 0);
  const heading = `<text x="2" y="${top + 11}" font-weight="bold">${escaped(title)}</text>`;
  return { svg: heading + boxes.join('\n'), height: ROW * (deepest + 3) };
}

/** Ours, those of packages and of Node.js, and what is native are told apart. */
function colourOf(name: string): string {
  if (name.includes('node:')) return '#c9d6e8';
  if (!name.includes('.ts:')) return name.includes(':') && name.includes('.js') ? '#d9e8c9' : '#e8e0c9';
  return '#f4b183';
}

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');

const files = process.argv.slice(2);
if (files.length === 0) {
  process.stderr.write('usage: node bench/flamegraph.ts FILE.cpuprofile... > graph.svg\n');
  process.exit(2);
}
let top = 0;
const graphs = files.map((file) => {
  const made = graph(basename(file, '.cpuprofile'), treeOf(JSON.parse(readFileSync(file, 'utf8')) as Profile), top);
  top += made.height;
  return made.svg;
});
process.stdout.write(
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${top}" font-family="monospace" font-size="10"><title>Where processor time goes, by function</title>\n${graphs.join('\n')}\n</svg>\n`,
);
