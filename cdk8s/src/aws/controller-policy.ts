import { parseArgs } from 'node:util';
import { defaultsOf } from '../backends/values.ts';
import { type GlobalValues, globalSchema } from '../charts/global.ts';
import { ENVIRONMENTS } from '../model/types.ts';
import { CONTROLLERS, type Controller, controllerStatements } from './controllers.ts';
import { policy } from './policy.ts';
import { policyJson } from './policy-json.ts';

const USAGE = `usage: node cdk8s/src/aws/controller-policy.ts CONTROLLER --account ID --region REGION --cluster NAME [--environment production]

Prints the IAM policy of one of ACK's controllers: ${CONTROLLERS.join(', ')}
`;

/** `node cdk8s/src/aws/controller-policy.ts`: what an ACK controller is allowed, for `aws iam put-role-policy` (docs/tasks/eks.md). */
function main(args: readonly string[]): number {
  const { positionals, values } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      account: { type: 'string' },
      region: { type: 'string' },
      cluster: { type: 'string' },
      environment: { type: 'string', default: 'production' },
    },
  });
  const controller = CONTROLLERS.find((each) => each === positionals[0]);
  const environment = ENVIRONMENTS.find((each) => each === values.environment);
  const { account, region, cluster } = values;
  if (controller === undefined || environment === undefined || positionals.length !== 1) return usage();
  if (account === undefined || region === undefined || cluster === undefined) return usage();
  process.stdout.write(`${controllerPolicy(controller, { account, region, cluster, environment })}\n`);
  return 0;
}

/** Where a controller works. */
interface Place {
  readonly account: string;
  readonly region: string;
  readonly cluster: string;
  readonly environment: GlobalValues['environment'];
}

/** The policy of a controller, in JSON. */
export function controllerPolicy(controller: Controller, { account, region, cluster, environment }: Place): string {
  const defaults = defaultsOf(globalSchema) as GlobalValues;
  const global: GlobalValues = {
    ...defaults,
    environment,
    cluster: { ...defaults.cluster, name: cluster },
    aws: { ...defaults.aws, accountId: account, region },
  };
  return policyJson(policy(...controllerStatements(controller, global)));
}

function usage(): number {
  process.stderr.write(USAGE);
  return 2;
}

if (import.meta.main) process.exitCode = main(process.argv.slice(2));
