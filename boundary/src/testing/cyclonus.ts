import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { ensureTool } from '@mercato/controlplane';
import type { NetworkPolicy, Protocol } from '../policy/types.ts';
import { type End, isWorkload } from '../reach/types.ts';

/** One question to cyclonus. */
export interface Traffic {
  readonly from: End;
  readonly to: End;
  readonly port: number;
  readonly protocol: Protocol;
}

/** Cyclonus speaks of one address of each end; a workload without any gets one that no policy of the tests names. */
const NOWHERE = '198.51.100.1';

/**
 * What cyclonus (https://github.com/mattfenwick/cyclonus) answers to each question, in their order. Without simplification: that is an optimisation
 * of its own which is no part of what policies mean. Throws with cyclonus' own words if it fails.
 */
export async function askCyclonus(
  policies: readonly NetworkPolicy[],
  questions: readonly Traffic[],
): Promise<boolean[]> {
  const tool = await ensureTool('cyclonus');
  const folder = await mkdtemp(join(tmpdir(), 'mercato-cyclonus-'));
  try {
    const [policyPath, trafficPath] = [join(folder, 'policies.json'), join(folder, 'traffic.json')];
    const list = { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicyList', items: policies };
    await writeFile(policyPath, JSON.stringify(list));
    await writeFile(trafficPath, JSON.stringify(questions.map(asTraffic)));
    const mode = ['analyze', '--mode', 'query-traffic', '--simplify-policies=false'];
    const answers = await run(tool, [...mode, '--policy-path', policyPath, '--traffic-path', trafficPath]);
    if (answers.length !== questions.length)
      throw new Error(`cyclonus gave ${answers.length} answers to ${questions.length} questions`);
    return answers;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Its only output is a table for people; the footer says "IS ALLOWED?" and TRUE or FALSE. */
async function run(tool: string, args: readonly string[]): Promise<boolean[]> {
  const child = spawn(tool, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: 120_000 });
  const ended = new Promise<number | null>((resolve, reject) => child.once('error', reject).once('close', resolve));
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said = `${said}${chunk.toString()}`.slice(0, 4000);
  });
  const answers: boolean[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    const answer = /\| IS ALLOWED\? \|\s+(TRUE|FALSE)\b/.exec(line)?.[1];
    if (answer !== undefined) answers.push(answer === 'TRUE');
  }
  const status = await ended;
  if (status !== 0) throw new Error(`cyclonus ended with ${status}: ${said}`);
  return answers;
}

function asTraffic({ from, to, port, protocol }: Traffic): object {
  const ports = isWorkload(to) ? (to.ports ?? []) : [];
  const name = ports.find((one) => one.port === port && (one.protocol ?? 'TCP') === protocol)?.name;
  return {
    Source: peer(from),
    Destination: peer(to),
    ResolvedPort: port,
    ResolvedPortName: name ?? '',
    Protocol: protocol,
  };
}

function peer(end: End): object {
  if (!isWorkload(end)) return { IP: end.address };
  const { namespace, labels, namespaceLabels, addresses } = end;
  return {
    Internal: { Namespace: namespace, NamespaceLabels: namespaceLabels, PodLabels: labels },
    IP: addresses?.[0] ?? NOWHERE,
  };
}
