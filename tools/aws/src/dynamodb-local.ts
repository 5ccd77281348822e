import { ensureEmulator, type InstallOptions } from './install.ts';
import { javaArgs } from './java.ts';
import { type Emulator, startServer } from './server.ts';

/**
 * Starts DynamoDB Local with its tables in memory: the semantics of DynamoDB as Amazon wrote them down. 2 s.
 *
 * It never answers TransactionConflict and never throttles; a test injects those.
 *
 * @throws InstallError, ComponentError
 */
export async function startDynamoDbLocal(options: InstallOptions = {}): Promise<Emulator> {
  const home = await ensureEmulator('dynamodb-local', options);
  return startServer({
    name: 'dynamodb-local',
    binary: 'java',
    args: (port, folder) => [
      ...javaArgs({ home, folder, main: 'LoopbackDynamoDb' }),
      ...['-inMemory', '-sharedDb', '-disableTelemetry', '-port', String(port)],
    ],
    path: '/',
    // It has nothing to GET, and says so.
    serves: (status) => status === 400,
  });
}
