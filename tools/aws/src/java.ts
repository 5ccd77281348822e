import { join } from 'node:path';

/** What is run on a Java virtual machine. */
export interface JavaProgram {
  /** Where the emulator is installed. */
  readonly home: string;
  /** Its temporary folder. */
  readonly folder: string;
  /** The main class. */
  readonly main: string;
  /** System properties. @default none */
  readonly properties?: Readonly<Record<string, string | number | boolean>>;
}

/** Command line of an emulator in Java: little memory, a quick start, and nothing written outside of its folder. */
export function javaArgs({ home, folder, main, properties = {} }: JavaProgram): readonly string[] {
  const lib = join(home, 'lib');
  const all = { 'java.io.tmpdir': folder, 'java.library.path': lib, ...properties };
  return [
    '-XX:+UseSerialGC',
    '-XX:-UsePerfData',
    '-Xmx512m',
    ...Object.entries(all).map(([name, value]) => `-D${name}=${value}`),
    '-cp',
    `${join(lib, '*')}:${lib}`,
    main,
  ];
}
