import { join } from 'node:path';
import { LOOPBACK } from '@mercato/controlplane/ports.ts';
import { ensureEmulator, type InstallOptions } from './install.ts';
import { type Emulator, startServer } from './server.ts';

/**
 * Starts MiniStack: SQS, SNS, EventBridge, DynamoDB, Step Functions, KMS, Cognito, S3 and Lambda in memory. Half a second, 100 MB.
 *
 * It has no StartMessageMoveTask, and accepts an invalid state machine.
 *
 * @throws InstallError, ComponentError
 */
export async function startMiniStack(options: InstallOptions = {}): Promise<Emulator> {
  const home = await ensureEmulator('ministack', options);
  return startServer({
    name: 'ministack',
    binary: join(home, 'venv', 'bin', 'python'),
    args: () => ['-m', 'ministack'],
    env: (port, folder) => ({
      // Without these it listens on every address, MQTT's port included, and writes to places that other processes use.
      BIND_HOST: LOOPBACK,
      MINISTACK_HOST: LOOPBACK,
      GATEWAY_PORT: String(port),
      IOT_MTLS_ENABLED: '0',
      SFTP_ENABLED: '0',
      TMPDIR: folder,
      S3_DATA_DIR: join(folder, 's3'),
      LOG_LEVEL: 'WARNING',
    }),
    path: '/_ministack/health',
    serves: (status) => status === 200,
  });
}
