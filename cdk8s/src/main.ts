import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { reference } from './aws/reference.ts';
import { chartFiles, GENERATED } from './backends/charts.ts';
import { overridesOf, valuesFile } from './backends/environments.ts';
import { manifestOf, objectsOf } from './backends/manifests.ts';
import { packagesOf } from './charts/index.ts';
import { compare, type Difference, write } from './files.ts';
import { checkModel } from './model/derive.ts';
import { environments } from './model/environments.ts';
import { mercato } from './model/mercato.ts';
import { ENVIRONMENTS } from './model/types.ts';
import { reachabilityPage } from './pci/page.ts';

const ROOT = join(import.meta.dirname, '../..');
const USAGE = `usage: node cdk8s/src/main.ts COMMAND

  synth [--out FOLDER]   write the manifests of every environment (default: dist, or CDK8S_OUTDIR)
  generate [--check]     write charts/, environments/, docs/pci/reachability.md, docs/reference/aws.md; with --check, only say whether they are current
`;

/** Where what is generated from the model is, below the repository's root. */
const FOLDERS = ['charts', 'environments', 'docs/pci', 'docs/reference'] as const;
type Folder = (typeof FOLDERS)[number];

/** The model as it is written, by path from the repository's root. */
export function generatedFiles(): Record<Folder, Map<string, string>> {
  const packages = packagesOf(mercato);
  const files = {
    charts: new Map<string, string>(),
    environments: new Map<string, string>(),
    'docs/pci': new Map([['reachability.md', reachabilityPage(mercato)]]),
    'docs/reference': new Map([['aws.md', `<!-- ${GENERATED} -->\n\n${reference(mercato)}`]]),
  };
  for (const each of packages) {
    const { name } = each.definition;
    for (const [path, text] of chartFiles(each)) files.charts.set(`${name}/${path}`, text);
    for (const environment of ENVIRONMENTS)
      files.environments.set(`${environment}/${name}.yaml`, valuesFile(each, environments[environment]));
  }
  return files;
}

/** The manifests of an environment by chart, as `kubectl apply` takes them. */
export function synth(): Map<string, string> {
  const files = new Map<string, string>();
  for (const each of packagesOf(mercato)) {
    const { definition } = each;
    // What the umbrella brings along has files of its own; its own are namespaces.
    const own = { definition, dependencies: [] };
    for (const environment of ENVIRONMENTS) {
      const overrides = overridesOf(each, environments[environment]);
      if (overrides['enabled'] === false) continue;
      files.set(`${environment}/${definition.name}.yaml`, manifestOf(objectsOf(own, overrides)));
    }
  }
  return files;
}

function main(args: readonly string[]): number {
  const { positionals, values } = parseArgs({
    args: [...args],
    options: { out: { type: 'string' }, check: { type: 'boolean' } },
    allowPositionals: true,
  });
  checkModel(mercato);
  switch (positionals.length === 1 ? positionals[0] : undefined) {
    case 'synth': {
      const out = values.out ?? process.env['CDK8S_OUTDIR'] ?? 'dist';
      const files = synth();
      write(out, files);
      process.stdout.write(`${[...files.keys()].map((path) => `${out}/${path}`).join('\n')}\n`);
      return 0;
    }
    case 'generate': {
      const files = generatedFiles();
      const act = values.check === true ? compare : write;
      const differences = FOLDERS.flatMap((folder) => report(folder, act(join(ROOT, folder), files[folder])));
      if (values.check !== true || differences.length === 0) return 0;
      process.stderr.write('generated files are not current: run make generate\n');
      return 1;
    }
    default:
      process.stderr.write(USAGE);
      return 2;
  }
}

function report(folder: string, differences: readonly Difference[]): readonly Difference[] {
  for (const { path, how } of differences) process.stdout.write(`${how}: ${folder}/${path}\n`);
  return differences;
}

if (process.argv[1] === import.meta.filename) process.exitCode = main(process.argv.slice(2));
