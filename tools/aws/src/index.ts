export { InstallError } from './commands.ts';
export { startDynamoDbLocal } from './dynamodb-local.ts';
export { startElasticMq } from './elasticmq.ts';
export { ensureEmulator, type InstallOptions } from './install.ts';
export { startMiniStack } from './ministack.ts';
export { EMULATORS, type EmulatorName } from './releases.ts';
export type { ClientConfig, Emulator } from './server.ts';
