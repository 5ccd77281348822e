import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureTool } from '@mercato/controlplane/tools.ts';
import { type Figure, percentile } from './figures.ts';

const ROOT = join(import.meta.dirname, '..');
const SAMPLES = 7;

/** Whole processes, as a person at a shell waits for them: manifests of all environments, and the umbrella chart. */
export async function synth(): Promise<Figure[]> {
  const helm = await ensureTool('helm', {});
  const out = mkdtempSync(join(tmpdir(), 'mercato-synth-'));
  try {
    const chart = join(ROOT, 'charts/mercato');
    execFileSync(helm, ['dependency', 'update', '--skip-refresh', chart], { stdio: 'ignore' });
    const values = join(ROOT, 'environments/production/mercato.yaml');
    return [
      {
        name: 'cdk8s synth, all charts and environments, median',
        value: seconds(process.execPath, [join(ROOT, 'cdk8s/src/main.ts'), 'synth', '--out', out]),
        unit: 's',
        goal: '< 3',
      },
      {
        name: 'helm template mercato, median',
        value: seconds(helm, ['template', 'mercato', chart, '-f', values]),
        unit: 's',
        goal: '< 1',
      },
    ];
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}

function seconds(program: string, args: readonly string[]): number {
  const samples = Array.from({ length: SAMPLES }, () => {
    const began = performance.now();
    execFileSync(program, args, { stdio: 'ignore', maxBuffer: 256 * 1024 * 1024 });
    return (performance.now() - began) / 1000;
  });
  return percentile(samples, 50);
}
