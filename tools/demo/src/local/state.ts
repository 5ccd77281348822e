import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { adoptComponent, type Component } from '@mercato/controlplane/component.ts';
import { JOURNALS, type Journal, logOf, PROGRAMS, type ProgramName } from './programs.ts';

type Pids = Partial<Record<ProgramName, number>>;

const fileOf = (folder: string) => join(folder, 'pids.json');

/** The programs of a shop that goes on running by itself, by what its folder says and what really runs. */
export async function livingPrograms(folder: string): Promise<Map<ProgramName, Component>> {
  const pids = await readPids(folder);
  const living = new Map<ProgramName, Component>();
  for (const name of PROGRAMS) {
    const pid = pids[name];
    const program = pid === undefined ? undefined : adoptComponent(name, pid, logOf(folder, name), folder);
    if (program !== undefined) living.set(name, program);
  }
  return living;
}

/** Notes which programs run. */
export async function writePids(folder: string, programs: Iterable<Component>): Promise<void> {
  await mkdir(folder, { recursive: true });
  const pids = Object.fromEntries([...programs].map(({ name, pid }) => [name, pid]));
  const file = fileOf(folder);
  // As a whole, so that a crash in between leaves the old one.
  await writeFile(`${file}.new`, `${JSON.stringify(pids, null, 2)}\n`);
  await rename(`${file}.new`, file);
}

const journalFileOf = (folder: string) => join(folder, 'journal');

/** The journal that a shop's runs live in since its first start; undefined before that. */
export async function journalOf(folder: string): Promise<Journal | undefined> {
  const text = await readFile(journalFileOf(folder), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
  return JOURNALS.find((each) => each === text.trim());
}

/** Notes the journal of a shop that begins. */
export async function writeJournal(folder: string, journal: Journal): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(journalFileOf(folder), `${journal}\n`);
}

async function readPids(folder: string): Promise<Pids> {
  try {
    return JSON.parse(await readFile(fileOf(folder), 'utf8')) as Pids;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw new Error(
      `${fileOf(folder)} cannot be read: ${(error as Error).message}; remove it if nothing of the shop runs`,
    );
  }
}
