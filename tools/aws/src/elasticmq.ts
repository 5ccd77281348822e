import { LOOPBACK } from '@mercato/controlplane/ports.ts';
import { ensureEmulator, type InstallOptions } from './install.ts';
import { javaArgs } from './java.ts';
import { type Emulator, startServer } from './server.ts';

/**
 * Starts ElasticMQ: every call of SQS, StartMessageMoveTask too, with queues in memory. 2 s.
 *
 * @throws InstallError, ComponentError
 */
export async function startElasticMq(options: InstallOptions = {}): Promise<Emulator> {
  const home = await ensureEmulator('elasticmq', options);
  return startServer({
    name: 'elasticmq',
    binary: 'java',
    args: (port, folder) => javaArgs({ home, folder, main: 'org.elasticmq.server.Main', properties: settings(port) }),
    path: '/?Action=ListQueues',
    serves: (status) => status === 200,
  });
}

/** `node-address` is what its queues' URLs begin with: the SDK sends to those. */
function settings(port: number): Readonly<Record<string, string | number | boolean>> {
  return {
    'rest-sqs.bind-hostname': LOOPBACK,
    'rest-sqs.bind-port': port,
    'rest-stats.enabled': false,
    'node-address.protocol': 'http',
    'node-address.host': LOOPBACK,
    'node-address.port': port,
  };
}
