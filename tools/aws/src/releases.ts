import { readFileSync } from 'node:fs';

/** The emulators of AWS that tests and benches run against. */
export const EMULATORS = ['ministack', 'dynamodb-local', 'elasticmq'] as const;

/** An emulator of AWS. */
export type EmulatorName = (typeof EMULATORS)[number];

/** Whether this is the name of an emulator. */
export function isEmulatorName(name: string): name is EmulatorName {
  return (EMULATORS as readonly string[]).includes(name);
}

/** What is installed of an emulator, and with what. */
export interface Release {
  readonly version: string;
  /** The clients that install it, as found on PATH. */
  readonly needs: readonly string[];
  /** Files of recipes/: what they say decides what is installed. */
  readonly recipes: readonly string[];
}

/** Pinned: what an emulator answers differs between releases, and tests hold for these. */
export const RELEASES: Readonly<Record<EmulatorName, Release>> = {
  ministack: { version: '1.5.33', needs: ['python3'], recipes: ['ministack.txt'] },
  'dynamodb-local': {
    version: '2.6.1',
    needs: ['mvn', 'java', 'javac'],
    recipes: ['dynamodb-local.pom.xml', 'LoopbackDynamoDb.java'],
  },
  elasticmq: { version: '1.7.1', needs: ['mvn', 'java'], recipes: ['elasticmq.pom.xml'] },
};

/** Where a recipe lies. */
export function recipe(file: string): URL {
  return new URL(`../recipes/${file}`, import.meta.url);
}

/** What all recipes of a release say. */
export function recipeTexts(release: Release): readonly string[] {
  return release.recipes.map((file) => readFileSync(recipe(file), 'utf8'));
}
