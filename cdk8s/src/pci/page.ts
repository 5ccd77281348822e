import { matrixOf, renderMatrix } from '@mercato/boundary/reach/matrix.ts';
import { endName, INTERNET, METADATA } from '@mercato/boundary/reach/types.ts';
import { GENERATED } from '../backends/charts.ts';
import { ENVIRONMENTS, type Environment, type Model } from '../model/types.ts';
import { networkOf } from './network.ts';

/** Who reaches whom, for auditors: docs/pci/reachability.md. */
export function reachabilityPage(model: Model): string {
  const sections = ENVIRONMENTS.map((environment) => section(model, environment));
  return `<!-- ${GENERATED} -->
# Who reaches whom

Computed from the NetworkPolicies of the charts and of the PciBoundary, with the default values of each environment; what a cluster really does is
what the boundary's probes find (\`kubectl describe pciboundary card\`). Two independent evaluators agree on each answer: Mercato's own
(\`boundary/src/reach\`) and cyclonus. A way that an installation adds by its values (the payment processor's addresses, for example) is not here.

\`-\`: closed. A cell has the open ports of the column's pods, as seen from the row's.
${sections.join('')}`;
}

function section(model: Model, environment: Environment): string {
  const { workloads, strangers, policies, outside } = networkOf(model, environment);
  const table = renderMatrix(matrixOf(workloads, policies, [INTERNET, METADATA]));
  const matrix = matrixOf([...workloads, ...strangers], policies, outside);
  const services = new Set(
    workloads.filter(({ labels }) => labels['app.kubernetes.io/part-of'] === 'mercato').map(endName),
  );
  const isOurs = (name: string) => services.has(name) || name.startsWith('mercato-card/');
  const ways = matrix.ways.filter(({ from, to }) => isOurs(from) || isOurs(to));
  return `
## ${environment}

${table}
Every open way from or to a service of Mercato, and from or to any pod at all of the card namespace; all else is closed:

\`\`\`text
${renderMatrix({ ...matrix, ways }, 'text').trimEnd()}
\`\`\`
`;
}
