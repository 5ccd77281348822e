import { subscribe } from 'node:diagnostics_channel';
import { existsSync, rmSync } from 'node:fs';

/**
 * Loaded before a program (`node --import`): while the file is there that MERCATO_FAULT_RELAY names, the process ends with SIGKILL at the moment at which it
 * would send its next event. What the event tells of is committed, and nobody has heard of it. The file is taken away: the next life relays.
 */
const file = process.env['MERCATO_FAULT_RELAY'];
if (file === undefined) throw new Error('MERCATO_FAULT_RELAY: name the file that has the relay killed');

subscribe('undici:request:create', (message) => {
  const { request } = message as { readonly request: { readonly method: string } };
  if (request.method !== 'POST' || !existsSync(file)) return;
  rmSync(file);
  process.kill(process.pid, 'SIGKILL');
});
